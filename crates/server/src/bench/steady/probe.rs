//! Reads of random series beside the load, compared with what the generator wrote.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use nephometer_model::{Clock, SystemClock};
use serde_json::Value;

use crate::client::Connection;

use super::super::load::{Record, iso};
use super::super::runner::{Runner, rows};
use super::super::tally::{Request, Tally};
use super::super::values::Random;
use super::watch::Seen;

/// Between two reads.
const EVERY_NS: u64 = 100_000_000;
/// Width of the buckets that are read: a measure a bucket.
const STEP_SECONDS: i64 = 60;

/// Reads one series after the other.
pub(super) struct Probe<'a> {
    records: &'a [Record],
    random: Random,
    /// Series that do not hold what was acknowledged, or something else.
    pub(super) wrong: u64,
}

impl<'a> Probe<'a> {
    /// A probe of the series of `records`; which it takes follows from the seed.
    pub(super) fn new(records: &'a [Record], seed: u64) -> Self {
        Self { records, random: Random::new(seed), wrong: 0 }
    }

    /// Reads as often as it is time to, until the load ends; returns what it saw and how many series were wrong.
    pub(super) fn run(mut self, runner: &Runner<'_>, seen: &Mutex<Seen>) -> Result<(Tally, u64)> {
        let mut connection = runner.target.connect()?;
        let mut tally = Tally::default();
        let begin_ns = runner.clock.monotonic_ns();
        for due_ns in (0..runner.args.duration_ns()).step_by(usize::try_from(EVERY_NS)?) {
            let due_ns = begin_ns + due_ns;
            std::thread::sleep(Duration::from_nanos(due_ns.saturating_sub(runner.clock.monotonic_ns())));
            self.read(&runner.clock, due_ns, &mut connection, &mut tally)?;
            Seen::note_read(seen, tally.latencies_ns.last().copied().unwrap_or(0));
        }
        Ok((tally, self.wrong))
    }

    /// Reads one series, wholly; what was acknowledged before must be there, and nothing that was not sent.
    pub(super) fn read(
        &mut self,
        clock: &SystemClock,
        due_ns: u64,
        connection: &mut Connection,
        tally: &mut Tally,
    ) -> Result<()> {
        let record = &self.records[self.below(self.records.len())];
        let at = self.below(record.names.len);
        let path = format!("{}/measures?aggregation=mean&granularity={STEP_SECONDS}", record.names.path(at));
        let least = record.acknowledged();
        let request = Request { method: "GET", path: &path, body: b"" };
        let answer = tally.timed_from(due_ns, clock, connection, request)?;
        // One request of a group may be on its way.
        let most = record.acknowledged() + 1;
        if answer.status != 200 {
            return Ok(());
        }
        let answer = answer.json()?;
        let got = rows(&answer)?;
        tally.items += got.len() as u64;
        let count = got.len() as u64;
        let is_right =
            (least..=most).contains(&count) && is_what_was_written(got, &record.measures(at, count))?;
        if !is_right {
            self.wrong += 1;
            tracing::error!(path, count, least, "a series does not hold what was written");
        }
        Ok(())
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap_or(0)
    }
}

/// Whether the buckets hold these measures, one each.
fn is_what_was_written(got: &[Value], written: &[(i64, f64)]) -> Result<bool> {
    for (row, (seconds, value)) in got.iter().zip(written) {
        let time = row[0].as_str().context("a time")?;
        let bucket = iso(seconds - seconds.rem_euclid(STEP_SECONDS));
        let found = row[2].as_f64().context("a value")?;
        if time.strip_suffix("+00:00") != Some(&bucket) || found.total_cmp(value).is_ne() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bucket_a_measure() {
        let got = json!([["1970-01-01T00:01:00+00:00", 60.0, 2.5], ["1970-01-01T00:02:00+00:00", 60.0, 3.0]]);
        let got = got.as_array().unwrap();
        assert!(is_what_was_written(got, &[(61, 2.5), (121, 3.0)]).unwrap());
        assert!(!is_what_was_written(got, &[(61, 2.5), (181, 3.0)]).unwrap());
        assert!(!is_what_was_written(got, &[(61, 2.5), (121, 3.5)]).unwrap());
    }
}
