//! What the workloads found, as a table and as JSON.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::cli::BenchArgs;

use super::load::Tally;
use super::target::Settled;

/// What one workload found.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    workload: &'static str,
    /// What is counted: `measures` or `points`.
    unit: &'static str,
    pub(super) seconds: f64,
    requests: u64,
    items: u64,
    items_per_second: f64,
    /// Requests answered 503 and sent again.
    refused: u64,
    failed: u64,
    /// Series that do not hold exactly what was acknowledged.
    pub(super) unverified: u64,
    server_cpu_us_per_item: Option<f64>,
    client_cpu_us_per_item: Option<f64>,
    bytes_sent: u64,
    bytes_received: u64,
    latency_ms: Latency,
}

#[derive(Debug, Default, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for reports")]
impl Outcome {
    /// Sums up `tally` over a run of `nanoseconds`; CPU seconds of server and client where they are known.
    pub(super) fn new(
        workload: &'static str,
        unit: &'static str,
        mut tally: Tally,
        nanoseconds: u64,
        (server_cpu, client_cpu): (Option<f64>, Option<f64>),
    ) -> Self {
        let seconds = nanoseconds as f64 / 1e9;
        let per_item = |cpu_seconds: Option<f64>| {
            (tally.items > 0).then_some(())?;
            Some(cpu_seconds? * 1e6 / tally.items as f64)
        };
        let (server_cpu_us_per_item, client_cpu_us_per_item) = (per_item(server_cpu), per_item(client_cpu));
        tally.latencies_ns.sort_unstable();
        Self {
            workload,
            unit,
            seconds,
            requests: tally.latencies_ns.len() as u64,
            items: tally.items,
            items_per_second: tally.items as f64 / seconds,
            refused: tally.refused,
            failed: tally.failed,
            unverified: 0,
            server_cpu_us_per_item,
            client_cpu_us_per_item,
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            latency_ms: Latency::of(&tally.latencies_ns),
        }
    }
}

impl Latency {
    /// Percentiles of sorted nanoseconds, nearest rank.
    #[expect(clippy::cast_precision_loss, reason = "figures for reports")]
    fn of(sorted_ns: &[u64]) -> Self {
        let Some(last) = sorted_ns.len().checked_sub(1) else { return Self::default() };
        let at = |per_cent: usize| sorted_ns[last * per_cent / 100] as f64 / 1e6;
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// All outcomes of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    seed: u64,
    workers: usize,
    metrics: usize,
    batch_metrics: usize,
    measures_per_metric: u32,
    workloads: Vec<Outcome>,
    server_resident_bytes: Option<u64>,
    server_peak_resident_bytes: Option<u64>,
    data_bytes: Option<u64>,
    /// Data bytes over all measures that were acknowledged.
    data_bytes_per_measure: Option<f64>,
}

impl Report {
    pub(super) fn new(args: &BenchArgs) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            seed: args.seed,
            workers: args.workers,
            metrics: args.metrics,
            batch_metrics: args.batch_metrics,
            measures_per_metric: args.measures,
            workloads: Vec::new(),
            server_resident_bytes: None,
            server_peak_resident_bytes: None,
            data_bytes: None,
            data_bytes_per_measure: None,
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.workloads.push(outcome);
    }

    /// Adds what the server holds in the end.
    #[expect(clippy::cast_precision_loss, reason = "figures for reports")]
    pub(super) fn finish(&mut self, settled: Settled) {
        self.server_resident_bytes = settled.process.map(|process| process.resident_bytes);
        self.server_peak_resident_bytes = settled.process.map(|process| process.peak_resident_bytes);
        self.data_bytes = settled.data_bytes;
        let written: u64 =
            self.workloads.iter().filter(|o| o.unit == "measures").map(|outcome| outcome.items).sum();
        self.data_bytes_per_measure =
            settled.data_bytes.filter(|_| written > 0).map(|bytes| bytes as f64 / written as f64);
    }

    /// Requests that failed, and series that did not read back.
    pub(super) fn failures(&self) -> u64 {
        self.workloads.iter().map(|outcome| outcome.failed + outcome.unverified).sum()
    }

    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{:<13}{:>9}{:>13}{:>12}{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}\n",
            "workload",
            "requests",
            "items",
            "items/s",
            "server µs",
            "client µs",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "max ms",
            "failed"
        );
        let or_dash = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        for o in &self.workloads {
            let Latency { p50, p90, p99, max } = o.latency_ms;
            let _ = writeln!(
                text,
                "{:<13}{:>9}{:>13}{:>12.0}{:>12}{:>9}{p50:>9.2}{p90:>9.2}{p99:>9.2}{max:>9.2}{:>8}",
                o.workload,
                o.requests,
                o.items,
                o.items_per_second,
                or_dash(o.server_cpu_us_per_item),
                or_dash(o.client_cpu_us_per_item),
                o.failed + o.unverified,
            );
        }
        let _ = writeln!(
            text,
            "items are measures (writes, acknowledged and synced) or points (reads); µs are CPU time an item; \
             seed {}, {} workers, {} metrics, {} metrics × {} measures a request",
            self.seed, self.workers, self.metrics, self.batch_metrics, self.measures_per_metric
        );
        let megabytes = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| format!("{}", bytes >> 20));
        let _ = writeln!(
            text,
            "server: {} MiB resident, {} MiB at most; data directory {} MiB, {} bytes a measure",
            megabytes(self.server_resident_bytes),
            megabytes(self.server_peak_resident_bytes),
            megabytes(self.data_bytes),
            or_dash(self.data_bytes_per_measure),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_rates() {
        let tally = Tally {
            latencies_ns: (1..=101).rev().map(|ms| ms * 1_000_000).collect(),
            items: 500,
            ..Tally::default()
        };
        let outcome = Outcome::new("x", "points", tally, 2_000_000_000, (Some(1.0), None));
        assert!((outcome.items_per_second - 250.0).abs() < 1e-9);
        assert_eq!(outcome.server_cpu_us_per_item.map(f64::round), Some(2000.0));
        let Latency { p50, p90, p99, max } = outcome.latency_ms;
        assert_eq!([p50, p90, p99, max].map(f64::round), [51.0, 91.0, 100.0, 101.0]);
        assert!(Latency::of(&[]).max.abs() < 1e-9);
    }
}
