//! What the workloads found, as a table and as JSON.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::alarms::AlarmUse;
use super::args::{BenchArgs, Kind};
use super::retention::DiskUse;
use super::steady::Summary;
use super::tally::{Latency, Tally};
use super::target::Settled;
use super::usage::Usage;

/// What one measurement found.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) name: String,
    server: &'static str,
    /// What is counted: `measures`, `points` or `resources`.
    unit: &'static str,
    pub(super) seconds: f64,
    requests: u64,
    pub(super) items: u64,
    pub(super) items_per_second: f64,
    /// From the first request until all measures could be read.
    readable_per_second: Option<f64>,
    /// Requests answered 503 and sent again.
    refused: u64,
    failed: u64,
    /// Series that do not hold exactly what was acknowledged.
    pub(super) unverified: u64,
    server_cpu_us_per_item: Option<f64>,
    /// With all flushing and merging until the server had settled.
    settled_cpu_us_per_item: Option<f64>,
    client_cpu_us_per_item: Option<f64>,
    bytes_sent: u64,
    bytes_received: u64,
    latency_ms: Latency,
    /// How late the latest request of an open loop was sent.
    latest_ms: Option<f64>,
    /// What the data directory had grown by after the server had settled.
    pub(super) disk_bytes_per_measure: Option<f64>,
    /// Bytes written to disk over bytes that the data directory had grown by.
    pub(super) write_amplification: Option<f64>,
    resident_bytes: Option<u64>,
    peak_resident_bytes: Option<u64>,
    /// After it had settled, where it was started again.
    restarted_resident_bytes: Option<u64>,
    /// From its start with this data to its first answer.
    start_seconds: Option<f64>,
    /// Whether the disk came to a flat line, where that is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<DiskUse>,
    /// What a long run came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    steady: Option<Summary>,
    /// How alarms were decided meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    alarms: Option<AlarmUse>,
}

#[expect(clippy::cast_precision_loss, reason = "figures for reports")]
impl Outcome {
    /// Sums up `tally` over a run of `seconds`.
    pub(super) fn new(name: &str, server: Kind, unit: &'static str, tally: Tally, seconds: f64) -> Self {
        Self {
            name: name.to_owned(),
            server: server.name(),
            unit,
            seconds,
            requests: tally.latencies_ns.len() as u64,
            items: tally.items,
            items_per_second: tally.items as f64 / seconds,
            readable_per_second: None,
            refused: tally.refused,
            failed: tally.failed,
            unverified: 0,
            server_cpu_us_per_item: None,
            settled_cpu_us_per_item: None,
            client_cpu_us_per_item: None,
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            latest_ms: (tally.latest_ns > 0).then_some(tally.latest_ns as f64 / 1e6),
            latency_ms: Latency::of(tally.latencies_ns),
            disk_bytes_per_measure: None,
            write_amplification: None,
            resident_bytes: None,
            peak_resident_bytes: None,
            restarted_resident_bytes: None,
            start_seconds: None,
            disk: None,
            steady: None,
            alarms: None,
        }
    }

    /// Sets what a long run came to.
    pub(super) fn set_steady(&mut self, summary: Summary) {
        self.steady = Some(summary);
    }

    /// Sets how alarms were decided meanwhile.
    pub(super) fn set_alarms(&mut self, alarms: AlarmUse) {
        self.alarms = Some(alarms);
    }

    /// Sets what was seen of the disk.
    pub(super) fn set_disk(&mut self, disk: DiskUse) {
        self.disk = Some(disk);
    }

    /// Sets CPU seconds of server and client.
    pub(super) fn set_cpu(&mut self, server: Option<f64>, client: Option<f64>) {
        self.set_server_cpu(server);
        self.client_cpu_us_per_item = self.per_item_us(client);
    }

    /// Sets CPU seconds of the server.
    pub(super) fn set_server_cpu(&mut self, seconds: Option<f64>) {
        self.server_cpu_us_per_item = self.per_item_us(seconds);
    }

    fn per_item_us(&self, seconds: Option<f64>) -> Option<f64> {
        seconds.filter(|_| self.items > 0).map(|seconds| seconds * 1e6 / self.items as f64)
    }

    /// Sets the seconds from the first request until all could be read.
    pub(super) fn set_readable(&mut self, seconds: f64) {
        self.readable_per_second = Some(self.items as f64 / seconds);
    }

    /// Sets what the server holds in memory.
    pub(super) fn set_memory(&mut self, usage: Option<Usage>) {
        self.resident_bytes = usage.map(|usage| usage.resident_bytes);
        self.peak_resident_bytes = usage.map(|usage| usage.peak_resident_bytes);
    }

    /// Sets what came out when the server had settled, having `grown` by so many bytes for `measures`.
    pub(super) fn set_settled(&mut self, settled: &Settled, grown: Option<u64>, measures: u64) {
        let more = self.per_item_us(settled.cpu_seconds);
        self.settled_cpu_us_per_item = self.server_cpu_us_per_item.zip(more).map(|(load, more)| load + more);
        self.disk_bytes_per_measure =
            grown.filter(|_| measures > 0).map(|grown| grown as f64 / measures as f64);
        self.start_seconds = settled.start_seconds;
        let restarted = settled.usage.filter(|_| settled.start_seconds.is_some());
        self.restarted_resident_bytes = restarted.map(|usage| usage.resident_bytes);
    }

    fn problems(&self) -> u64 {
        self.failed + self.unverified + self.disk.as_ref().map_or(0, DiskUse::problems)
    }
}

/// All outcomes of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    seed: u64,
    workers: usize,
    outcomes: Vec<Outcome>,
}

impl Report {
    pub(super) fn new(args: &BenchArgs) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            seed: args.seed,
            workers: args.workers,
            outcomes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, outcomes: Vec<Outcome>) {
        self.outcomes.extend(outcomes);
    }

    /// Requests that failed, and series that did not read back.
    pub(super) fn problems(&self) -> u64 {
        self.outcomes.iter().map(Outcome::problems).sum()
    }

    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{:<22}{:<11}{:>10}{:>11}{:>11}{:>9}{:>9}{:>9}{:>8}{:>9}{:>9}{:>9}{:>8}{:>7}\n",
            "workload",
            "server",
            "items",
            "items/s",
            "readable/s",
            "cpu µs",
            "settled",
            "client",
            "B/item",
            "p50 ms",
            "p99 ms",
            "max ms",
            "RSS MiB",
            "failed"
        );
        for outcome in &self.outcomes {
            write_row(&mut text, outcome);
        }
        self.write_ratios(&mut text);
        let _ = writeln!(
            text,
            "Items are measures (writes, acknowledged), points or resources (reads). cpu: the server's processes until \
             all could be\nread, an item; settled: with all flushing and merging after it; B/item: on disk after \
             that, without the index.\nSeed {}, {} workers.",
            self.seed, self.workers
        );
        text
    }

    /// How each server does against the first one that was measured in the same way.
    fn write_ratios(&self, text: &mut String) {
        for (at, outcome) in self.outcomes.iter().enumerate() {
            let base = outcome.name.replace("-names", "");
            let peers =
                self.outcomes.iter().filter(|peer| peer.server != outcome.server && peer.name == base);
            for peer in peers.filter(|_| outcome.server == self.outcomes[0].server) {
                let ratio = |own: Option<f64>, other: Option<f64>| {
                    let ratio =
                        own.zip(other).filter(|(_, other)| *other > 0.0).map(|(own, other)| own / other);
                    ratio.map_or("-".to_owned(), digits)
                };
                let _ = writeln!(
                    text,
                    "{}{} against {}: {} × items/s, {} × readable/s, {} × cpu, {} × settled cpu, {} × bytes, {} × p50",
                    if at == 0 { "\n" } else { "" },
                    outcome.name,
                    peer.server,
                    ratio(Some(outcome.items_per_second), Some(peer.items_per_second)),
                    ratio(outcome.readable_per_second, peer.readable_per_second),
                    ratio(outcome.server_cpu_us_per_item, peer.server_cpu_us_per_item),
                    ratio(outcome.settled_cpu_us_per_item, peer.settled_cpu_us_per_item),
                    ratio(outcome.disk_bytes_per_measure, peer.disk_bytes_per_measure),
                    ratio(Some(outcome.latency_ms.p50), Some(peer.latency_ms.p50)),
                );
            }
        }
    }
}

fn write_row(text: &mut String, outcome: &Outcome) {
    let o = outcome;
    let whole = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
    let Latency { p50, p99, max, .. } = o.latency_ms;
    let _ = writeln!(
        text,
        "{:<22}{:<11}{:>10}{:>11.0}{:>11}{:>9}{:>9}{:>9}{:>8}{p50:>9.2}{p99:>9.2}{max:>9.2}{:>8}{:>7}",
        o.name,
        o.server.get(..10).unwrap_or(o.server),
        o.items,
        o.items_per_second,
        whole(o.readable_per_second),
        or_dash(o.server_cpu_us_per_item),
        or_dash(o.settled_cpu_us_per_item),
        or_dash(o.client_cpu_us_per_item),
        or_dash(o.disk_bytes_per_measure),
        o.resident_bytes.map_or("-".to_owned(), |bytes| (bytes >> 20).to_string()),
        o.problems(),
    );
    if let Some(start) = o.start_seconds {
        let resident = o.restarted_resident_bytes.unwrap_or(0) >> 20;
        let _ = writeln!(text, "{:<22}started again in {start:.2} s, {resident} MiB", "");
    }
    if o.refused > 0 {
        let _ = writeln!(text, "{:<22}{} requests answered 503 and sent again", "", o.refused);
    }
    if let Some(latest) = o.latest_ms {
        let _ = writeln!(text, "{:<22}latest request sent {latest:.1} ms after its time", "");
    }
    if let Some(amplification) = o.write_amplification {
        let _ = writeln!(text, "{:<22}write amplification {amplification:.2}", "");
    }
    let long = o.disk.iter().flat_map(DiskUse::lines).chain(o.steady.iter().flat_map(Summary::lines));
    for line in long.chain(o.alarms.iter().flat_map(AlarmUse::lines)) {
        let _ = writeln!(text, "{:<22}{line}", "");
    }
}

/// Three digits that count, of a ratio that may be a thousand or a thousandth.
fn digits(ratio: f64) -> String {
    match ratio {
        100.0.. => format!("{ratio:.0}"),
        1.0.. => format!("{ratio:.2}"),
        0.1.. => format!("{ratio:.3}"),
        _ => format!("{ratio:.5}"),
    }
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, server: Kind, items: u64) -> Outcome {
        let tally = Tally { items, latencies_ns: vec![1_000_000], ..Tally::default() };
        Outcome::new(name, server, "measures", tally, 2.0)
    }

    #[test]
    fn rates_and_ratios() {
        let mut ours = outcome("bulk-names", Kind::Nephometer, 500);
        ours.set_cpu(Some(1.0), None);
        assert!((ours.items_per_second - 250.0).abs() < 1e-9);
        assert_eq!(ours.server_cpu_us_per_item.map(f64::round), Some(2000.0));
        let settled = Settled { cpu_seconds: Some(0.5), ..Settled::default() };
        ours.set_settled(&settled, Some(1000), 500);
        assert_eq!(ours.settled_cpu_us_per_item.map(f64::round), Some(3000.0));
        assert_eq!(ours.disk_bytes_per_measure.map(f64::round), Some(2.0));
        let peer = outcome("bulk", Kind::VictoriaMetrics, 250);
        let report = Report { version: "", seed: 1, workers: 1, outcomes: vec![ours, peer] };
        assert!(report.table().contains("bulk-names against victoria-metrics: 2.00 × items/s"));
    }
}
