//! What a long run came to, against what is wanted of it.

use serde::Serialize;

use super::super::report::Outcome;
use super::super::target::Settled;
use super::super::usage::Usage;

/// Wanted of the cloud of 10,000 nodes on two cores.
const MAX_CORES: f64 = 1.0;
const MAX_BYTES_A_MEASURE: f64 = 1.6;
const MAX_AMPLIFICATION: f64 = 4.0;
const MAX_RESIDENT_BYTES: u64 = 1_600_000_000;
const MAX_START_SECONDS: f64 = 3.0;
/// The memory of the last quarter of the run over that of the second: flat.
const MAX_MEMORY_GROWTH: f64 = 1.10;
const MIN_RATE_KEPT: f64 = 0.99;

/// What a long run came to.
#[derive(Debug, Clone, Default, Serialize)]
pub(in super::super) struct Summary {
    measures: u64,
    /// Of the rate that was asked for.
    rate_kept: f64,
    /// CPU time of the server's processes over time, while it was loaded.
    cores: f64,
    largest_resident_bytes: u64,
    /// Mean of the last quarter of the lines over that of the second.
    memory_growth: Option<f64>,
    /// Written to the block device, from the end of the first round until it had settled.
    written_bytes: u64,
    disk_bytes_per_measure: Option<f64>,
    /// What was written for a measure over what it takes in the end.
    pub(super) write_amplification: Option<f64>,
    /// The same where the server's own account takes the place of the block device's while it was loaded: pages of the
    /// log that are synced half full are written again, which this leaves out.
    own_write_amplification: Option<f64>,
    own_written_bytes: Option<u64>,
    pub(super) start_after_kill_seconds: Option<f64>,
    start_seconds: Option<f64>,
    /// Of what the process had written that lives now, what was counted already.
    #[serde(skip)]
    counted_bytes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for reports")]
impl Summary {
    /// Of the load alone: `begin` is the use before it, `last` that of the last line, so many seconds later.
    pub(super) fn new(
        (outcome, rate): (&Outcome, f64),
        begin: Usage,
        (last, passed_seconds): (Usage, f64),
        resident_bytes: &[u64],
    ) -> Self {
        let quarter = resident_bytes.len() / 4;
        let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64;
        let memory_growth = (quarter > 0).then(|| {
            mean(&resident_bytes[resident_bytes.len() - quarter..])
                / mean(&resident_bytes[quarter..2 * quarter])
        });
        Self {
            measures: outcome.items,
            rate_kept: outcome.items_per_second / rate,
            cores: if passed_seconds > 0.0 {
                (last.cpu_seconds - begin.cpu_seconds) / passed_seconds
            } else {
                0.0
            },
            largest_resident_bytes: resident_bytes.iter().copied().max().unwrap_or(0),
            memory_growth,
            counted_bytes: begin.written_bytes,
            ..Self::default()
        }
    }

    /// What the server says that it has written under the load.
    pub(super) fn with_own_account(self, own_written_bytes: Option<u64>) -> Self {
        Self { own_written_bytes, ..self }
    }

    /// Notes what a process had written that is about to be killed.
    pub(super) fn note_killed(&mut self, usage: Option<Usage>) {
        self.note_loaded(usage);
        self.counted_bytes = 0;
    }

    /// Notes what the process has written so far.
    pub(super) fn note_loaded(&mut self, usage: Option<Usage>) {
        let bytes = usage.map_or(0, |usage| usage.written_bytes);
        self.written_bytes += bytes.saturating_sub(self.counted_bytes);
        self.counted_bytes = bytes;
    }

    /// Notes what came out when the server had settled.
    pub(super) fn note_settled(&mut self, settled: &Settled, disk_bytes_per_measure: Option<f64>) {
        let after_load = settled.written_bytes.unwrap_or(0);
        self.written_bytes += after_load;
        self.own_written_bytes = self.own_written_bytes.map(|bytes| bytes + after_load);
        self.disk_bytes_per_measure = disk_bytes_per_measure;
        self.start_seconds = settled.start_seconds;
        let grown =
            disk_bytes_per_measure.map(|bytes| bytes * self.measures as f64).filter(|bytes| *bytes > 0.0);
        let over_growth = |bytes: Option<u64>| bytes.zip(grown).map(|(bytes, grown)| bytes as f64 / grown);
        self.write_amplification = over_growth(Some(self.written_bytes));
        self.own_write_amplification = over_growth(self.own_written_bytes);
    }

    /// For people, one figure a line.
    pub(in super::super) fn lines(&self) -> Vec<String> {
        let within = |good: bool| if good { "reached" } else { "MISSED" };
        let at_most = |name: &str, value: Option<f64>, bound: f64| {
            value.map(|value| format!("{name}: {value:.3} (at most {bound}): {}", within(value <= bound)))
        };
        let start = |name: &str, value| {
            at_most(&format!("seconds to the first answer after {name}"), value, MAX_START_SECONDS)
        };
        let written = self.written_bytes as f64 / self.measures.max(1) as f64;
        [
            Some(format!(
                "rate kept: {:.4} (at least {MIN_RATE_KEPT}): {}",
                self.rate_kept,
                within(self.rate_kept >= MIN_RATE_KEPT)
            )),
            at_most("cores", Some(self.cores), MAX_CORES),
            at_most(
                "largest resident memory, MB",
                Some(self.largest_resident_bytes as f64 / 1e6),
                MAX_RESIDENT_BYTES as f64 / 1e6,
            ),
            at_most("memory of the last quarter over the second", self.memory_growth, MAX_MEMORY_GROWTH),
            at_most("bytes a measure on disk", self.disk_bytes_per_measure, MAX_BYTES_A_MEASURE),
            Some(format!("bytes a measure written: {written:.3}")),
            at_most("write amplification", self.write_amplification, MAX_AMPLIFICATION),
            at_most(
                "write amplification without pages of the log that were synced half full",
                self.own_write_amplification,
                MAX_AMPLIFICATION,
            ),
            start("kill -9", self.start_after_kill_seconds),
            start("a stop", self.start_seconds),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::args::Kind;
    use super::super::super::tally::Tally;
    use super::*;

    #[test]
    fn bytes_of_all_processes_count() {
        let tally = Tally { items: 1000, ..Tally::default() };
        let outcome = Outcome::new("steady", Kind::Nephometer, "measures", tally, 1.0);
        let at = |written_bytes| Usage { written_bytes, ..Usage::default() };
        let mut summary = Summary::new((&outcome, 1000.0), at(500), (at(600), 1.0), &[7, 7, 8, 8]);
        summary = summary.with_own_account(Some(1500));
        summary.note_killed(Some(at(2500)));
        summary.note_loaded(Some(at(1000)));
        summary.note_settled(&Settled { written_bytes: Some(1000), ..Settled::default() }, Some(1.0));
        assert!((summary.write_amplification.unwrap() - 4.0).abs() < 1e-9);
        let lines = summary.lines();
        assert!(lines.iter().any(|line| line.starts_with("write amplification: 4.000 (at most 4): reached")));
        assert!(
            lines.iter().any(|line| line.starts_with("memory of the last quarter over the second: 1.143"))
        );
    }
}
