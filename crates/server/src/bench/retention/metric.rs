//! One metric of the workload `retention`: what is measured, what comes late, what is deleted, and what must be shown.

use std::io::Write as _;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::client::Connection;

use super::super::load::iso;
use super::super::values::{Random, Walk};
use super::model::Model;
use super::policies::Policy;

/// Of so many rounds of a metric, one has the thing in question.
const LATE_ROUNDS: u64 = 5;
const CORRECTED_ROUNDS: u64 = 9;
const TOO_LATE_ROUNDS: u64 = 31;
const DELETED_ROUNDS: u64 = 37;
/// Of so many measures, one is never taken.
const MISSING: u64 = 33;

/// A metric on the server, and what it must show.
pub(super) struct Metric {
    pub(super) id: String,
    pub(super) policy: &'static Policy,
    pub(super) model: Model,
    /// When its next measure is due.
    pub(super) next_seconds: i64,
    walk: Walk,
    /// What its values follow from.
    random: Random,
}

impl Metric {
    /// Makes a metric on the server; its values follow from its index and the seed.
    pub(super) fn create(
        connection: &mut Connection,
        policy: &'static Policy,
        (index, seed): (u64, u64),
        begin_seconds: i64,
    ) -> Result<Self> {
        let body = json!({"archive_policy_name": policy.name}).to_string();
        let made = connection.request("POST", "/v1/metric", body.as_bytes())?.json()?;
        let id = made["id"].as_str().context("a metric has an id")?.to_owned();
        let mut random = Random::new(seed ^ (index + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let walk = Walk::start(index, &mut random);
        Ok(Self { id, policy, model: Model::default(), next_seconds: begin_seconds, walk, random })
    }

    /// Appends what is due until `end_seconds`, and now and then what comes late, to the body of a request; notes it and
    /// returns how many measures that are.
    pub(super) fn write_body(&mut self, end_seconds: i64, chance: &mut Random, body: &mut Vec<u8>) -> u64 {
        let mut measures: Vec<(i64, f64)> = Vec::new();
        let newest = self.model.newest();
        while self.next_seconds < end_seconds {
            let jitter = below(&mut self.random, self.policy.step_seconds);
            let value = self.value();
            if self.random.below(MISSING) > 0 {
                measures.push((self.next_seconds + jitter, value));
            }
            self.next_seconds += self.policy.step_seconds;
        }
        if let Some(newest) = newest {
            measures.extend(self.late(newest, chance));
        }
        if measures.is_empty() {
            return 0;
        }
        let open = if body.is_empty() { "{" } else { ", " };
        body.extend_from_slice(format!("{open}\"{}\": [", self.id).as_bytes());
        for (at, (seconds, value)) in measures.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            // Writing to memory does not fail.
            let _ = write!(body, "{comma}{{\"timestamp\": \"{}\", \"value\": {value}}}", iso(*seconds));
        }
        body.push(b']');
        self.model.write(self.policy, &measures);
        measures.len() as u64
    }

    fn value(&mut self) -> f64 {
        self.walk.step(u32::try_from(self.policy.step_seconds).unwrap_or(1), &mut self.random);
        self.walk.value()
    }

    /// Measures that are older than the newest: such that count for sure, and such that do not.
    fn late(&self, newest: i64, chance: &mut Random) -> Vec<(i64, f64)> {
        let mut late = Vec::new();
        let value = |chance: &mut Random| f64::from(u16::try_from(chance.below(60_000)).unwrap_or(0)) / 4.0;
        if chance.below(LATE_ROUNDS) == 0 {
            let at = newest - below(chance, self.policy.raw_seconds());
            // Twice at one time: the smaller one counts.
            late.extend([(at, value(chance)), (at, value(chance))]);
        }
        if chance.below(CORRECTED_ROUNDS) == 0 {
            late.push((newest, value(chance)));
        }
        if chance.below(TOO_LATE_ROUNDS) == 0 {
            let reach = self.policy.span_seconds() + 2 * self.policy.coarsest_seconds();
            late.push((newest - reach - below(chance, 3600), value(chance)));
        }
        late
    }

    /// Now and then deletes a span: of raw measures any, of what rollups may have taken the place of whole buckets. The
    /// newest measure stays, because retention counts from it.
    pub(super) fn delete_sometimes(
        &mut self,
        connection: &mut Connection,
        chance: &mut Random,
    ) -> Result<()> {
        let Some(newest) = self.model.newest() else { return Ok(()) };
        if chance.below(DELETED_ROUNDS) > 0 {
            return Ok(());
        }
        let (start, stop) = if self.policy.has_rates() || chance.below(2) == 0 {
            let start = newest - below(chance, self.policy.raw_seconds());
            (start, start + below(chance, 1800))
        } else {
            let width = self.policy.coarsest_seconds();
            let start = newest - 3 * width - below(chance, self.policy.span_seconds());
            let start = start - start.rem_euclid(width);
            (start, start + width * (1 + below(chance, 3)))
        };
        let stop = stop.min(newest);
        if start >= stop {
            return Ok(());
        }
        let path = format!("/v1/metric/{}/measures?start={}&stop={}", self.id, iso(start), iso(stop));
        let answer = connection.request("DELETE", &path, b"")?;
        if answer.status != 204 {
            bail!("DELETE {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        self.model.delete(start, stop);
        Ok(())
    }

    /// How many of its measures can matter to what it shows.
    pub(super) fn shown_measures(&self) -> u64 {
        self.model.shown_measures(self.policy) as u64
    }
}

/// A random number of seconds.
pub(super) fn below(random: &mut Random, bound: i64) -> i64 {
    random.below(bound.unsigned_abs()).cast_signed()
}
