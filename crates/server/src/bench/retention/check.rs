//! Readings of the workload `retention`, compared with the model.

use anyhow::{Context, Result};
use nephometer_model::SystemClock;
use serde_json::Value;

use crate::client::Connection;

use super::super::load::iso;
use super::super::runner::rows;
use super::super::tally::{Request, Tally};
use super::super::values::Random;
use super::metric::{Metric, below};
use super::model::{Point, is_close};

/// Wrong answers are told one by one up to this.
const TOLD: u64 = 20;

/// Reads and compares.
pub(super) struct Checker {
    clock: SystemClock,
    pub(super) tally: Tally,
    pub(super) wrong: u64,
}

impl Default for Checker {
    fn default() -> Self {
        Self { clock: SystemClock::new(), tally: Tally::default(), wrong: 0 }
    }
}

impl Checker {
    /// A reading of a metric by any method and definition, of all it has or some of it.
    pub(super) fn anything(
        &mut self,
        connection: &mut Connection,
        metric: &Metric,
        random: &mut Random,
    ) -> Result<()> {
        let policy = metric.policy;
        let definition = policy.definitions[super::below(random, policy.definitions.len())];
        let method = policy.methods[super::below(random, policy.methods.len())];
        let newest = metric.model.newest().unwrap_or(0);
        let range = if random.below(2) == 0 {
            (0, i64::MAX)
        } else {
            let start = newest - below(random, definition.0 * definition.1 * 5 / 4);
            (start, start + 1 + below(random, definition.0 * definition.1))
        };
        self.reading(connection, metric, (method, definition), range)
    }

    /// Every metric by all methods and definitions, and what came too late.
    pub(super) fn everything(&mut self, connection: &mut Connection, metrics: &[Metric]) -> Result<()> {
        for metric in metrics {
            for definition in metric.policy.definitions {
                for method in metric.policy.methods {
                    self.reading(connection, metric, (method, *definition), (0, i64::MAX))?;
                }
            }
            self.ledger(connection, metric)?;
        }
        Ok(())
    }

    /// Deletes a metric, which must then be gone.
    pub(super) fn gone(&mut self, connection: &mut Connection, metric: &Metric) -> Result<()> {
        let path = format!("/v1/metric/{}", metric.id);
        let deleted = connection.request("DELETE", &path, b"")?;
        let read = connection.request("GET", &format!("{path}/measures"), b"")?;
        if (deleted.status, read.status) != (204, 404) {
            self.tell(
                &path,
                &format!("answers {} when deleted, {} when read then", deleted.status, read.status),
            );
        }
        Ok(())
    }

    fn reading(
        &mut self,
        connection: &mut Connection,
        metric: &Metric,
        (method, definition): (&str, (i64, i64)),
        range: (i64, i64),
    ) -> Result<()> {
        let mut path =
            format!("/v1/metric/{}/measures?aggregation={method}&granularity={}", metric.id, definition.0);
        if range != (0, i64::MAX) {
            path = format!("{path}&start={}&stop={}", iso(range.0), iso(range.1));
        }
        let request = Request { method: "GET", path: &path, body: b"" };
        let answer = self.tally.timed(&self.clock, connection, request)?;
        let answer = answer.json()?;
        let got = rows(&answer)?;
        self.tally.items += got.len() as u64;
        if let Some(difference) = difference(got, &metric.model.points(method, definition, range))? {
            self.tell(&format!("{path} ({})", metric.policy.name), &difference);
        }
        Ok(())
    }

    fn ledger(&mut self, connection: &mut Connection, metric: &Metric) -> Result<()> {
        let path = format!("/v1/metric/{}/late", metric.id);
        let answer = connection.request("GET", &path, b"")?.json()?;
        let counts = rows(&answer)?.iter().map(|span| span["measures"].as_u64().context("a count"));
        let counted = counts.sum::<Result<u64>>()?;
        if counted != metric.model.too_late {
            self.tell(&path, &format!("{counted} too late, not {}", metric.model.too_late));
        }
        Ok(())
    }

    fn tell(&mut self, path: &str, what: &str) {
        self.wrong += 1;
        if self.wrong <= TOLD {
            eprintln!("wrong: {path}: {what}");
        }
    }
}

/// What is wrong with an answer, if anything.
fn difference(got: &[Value], wanted: &[Point]) -> Result<Option<String>> {
    if got.len() != wanted.len() {
        let first = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
        let ours = first(got.first().map(|row| row[0].to_string()));
        let theirs = first(wanted.first().map(|point| iso(point.0)));
        return Ok(Some(format!("{} points from {ours}, not {} from {theirs}", got.len(), wanted.len())));
    }
    for (row, (at, value)) in got.iter().zip(wanted) {
        let time = row[0].as_str().context("a time")?;
        let found = row[2].as_f64().context("a value")?;
        if time.strip_suffix("+00:00") != Some(&iso(*at)) || !is_close(found, *value) {
            return Ok(Some(format!("{time} {found}, not {} {value}", iso(*at))));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_found() {
        let got = json!([["1970-01-01T00:01:00+00:00", 60.0, 2.5], ["1970-01-01T00:02:00+00:00", 60.0, 3.0]]);
        let got = got.as_array().unwrap();
        assert_eq!(difference(got, &[(60, 2.5), (120, 3.0)]).unwrap(), None);
        for wanted in [vec![(60, 2.5)], vec![(60, 2.5), (120, 3.1)], vec![(60, 2.5), (180, 3.0)]] {
            assert!(difference(got, &wanted).unwrap().is_some(), "{wanted:?}");
        }
    }
}
