//! Random lives of an engine against a plain map: writes, deletes, flushes, merges, crashes that lose and tear what was
//! not synced, full disks, failing syncs, a catalog that fails before or after it did its work.
//!
//! One seed replays one life: `NEPHOMETER_SEED=<seed>`; `NEPHOMETER_LIVES=<n>` runs more of them.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use nephometer_drivers::StoreError;
use nephometer_engine::Settings;
use nephometer_model::{AggregationMethod, Timespan};
use support::catalog::Failure;
use support::model::Model;
use support::{Bench, Random, S, SeriesMeasures, policy, settings};

const METHODS: &[&str] =
    &["count", "sum", "min", "max", "mean", "last", "median", "std", "95pct", "rate:sum"];
/// Everything is kept in one definition; nothing is ever rolled up.
const FLAT: &[(i64, Option<u64>)] = &[(60, None)];
/// Raw measures are kept for an hour.
const STAIRS: &[(i64, Option<u64>)] = &[(10, Some(360)), (60, Some(2880)), (600, None)];
/// Half an hour and no more: what comes later than that is counted instead.
const SHORT: &[(i64, Option<u64>)] = &[(10, Some(180)), (60, Some(30))];
/// Raw measures are kept for a day and more, but where many lie in a minute for an hour.
const DENSE: &[(i64, Option<u64>)] = &[(60, Some(2000)), (600, None)];
const KEYS: u64 = 8;
const START: i64 = 20 * 86_400;

type Request = Vec<SeriesMeasures>;

struct Life {
    random: Random,
    bench: Bench,
    model: Model,
    /// A request that was not acknowledged and may be in the log all the same.
    doubtful: Option<Request>,
}

fn policy_of(key: u64) -> u32 {
    key as u32 % 4 + 1
}

impl Life {
    fn new(seed: u64) -> Self {
        let policies = [
            // The back window asks for all raw measures.
            policy(1, 1 << 50, FLAT, METHODS),
            policy(2, 0, STAIRS, METHODS),
            policy(3, 0, SHORT, METHODS),
            policy(4, 0, DENSE, METHODS),
        ];
        Self {
            random: Random(seed),
            // In hours, one flush may span more partitions than get a file of their own.
            bench: Bench::new(
                Settings {
                    min_raw_seconds: 3600,
                    partition_seconds: if seed.is_multiple_of(2) { 86_400 } else { 3600 },
                    ..settings()
                },
                &policies,
                START,
            ),
            model: Model::default(),
            doubtful: None,
        }
    }

    fn present_ns(&self) -> i64 {
        self.bench.now_ns() + 86_400 * S
    }

    /// Timestamps that are never too late, but for the policy that keeps little.
    fn measures(&mut self, key: u64) -> Vec<(i64, f64)> {
        let random = &mut self.random;
        let now_ns = self.bench.now_ns();
        let present_ns = now_ns + 86_400 * S;
        let newest = self.model.newest(key, present_ns).unwrap_or(now_ns - 600 * S);
        let mut at = match random.below(20) {
            0 if matches!(policy_of(key), 1 | 3) => random.between(0, newest),
            0..4 => newest - random.between(0, 3000 * S),
            4 => now_ns + random.between(0, 4 * 86_400 * S),
            _ => newest + random.between(0, 90 * S),
        };
        let regular = random.below(2) == 0;
        let wide = policy_of(key) == 1 && random.below(4) == 0;
        let step = random.between(1, 30)
            * match policy_of(key) {
                _ if wide => 360 * S,
                4 => S / 10,
                _ => S,
            };
        let count = if random.below(10) == 0 { 800 } else { 20 };
        // What is beyond the horizon now may be late or not when the log is replayed.
        let bounded = wide || policy_of(key) == 3;
        if bounded {
            at = at.min(present_ns);
        }
        let mut measures = Vec::new();
        for _ in 0..=random.below(count) {
            measures.push((at, random.between(-1000, 1000) as f64));
            at += if regular { step } else { random.between(0, 40 * S) };
            if bounded && at > present_ns {
                break;
            }
        }
        if random.below(8) == 0 {
            measures.reverse();
        }
        measures
    }

    fn write(&mut self) {
        let mut request = Request::new();
        for _ in 0..=self.random.below(3) {
            let key = self.random.below(KEYS);
            let measures = self.measures(key);
            request.push((key, policy_of(key), measures));
        }
        match self.bench.write_many(&request) {
            Ok(()) => self.model.write_judged(&request, &self.bench.policies, self.present_ns()),
            Err(StoreError::Busy { .. }) => {}
            Err(StoreError::Closed(_)) => self.doubtful = Some(request),
            Err(error) => panic!("{error}"),
        }
    }

    /// Deletes where raw measures are kept, never the newest.
    fn delete(&mut self) {
        let key = self.random.below(KEYS);
        let Some(newest) = self.model.newest(key, self.present_ns()) else { return };
        let kept = if policy_of(key) == 3 { 900 } else { 3000 };
        let start = newest - self.random.between(1, kept * S);
        let stop = self.random.between(start, newest);
        if self.bench.delete(key, start, stop).is_ok() {
            self.model.delete(key, start, stop);
        }
    }

    fn crash(&mut self) {
        self.bench.crash(&mut self.random);
        if let Some(request) = self.doubtful.take() {
            let mut other = self.model.clone();
            other.write_judged(&request, &self.bench.policies, self.present_ns());
            if self.difference(&self.model).is_some() {
                self.model = other;
            }
        }
        self.check();
    }

    fn full_disk(&mut self) {
        self.bench.disk.set_free(self.random.below(5000));
        for _ in 0..self.random.below(6) {
            match self.random.below(4) {
                0 => drop(self.bench.engine().flush()),
                1 => drop(self.bench.engine().settle()),
                _ => self.write(),
            }
        }
        self.bench.disk.set_free(1 << 40);
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..55 => self.write(),
            55..68 => self.bench.flush(),
            68..76 => self.bench.settle(),
            76..82 => {
                let span = if self.random.below(3) == 0 { 3 * 86_400 } else { 3600 };
                self.bench.clock.advance_ns(self.random.between(0, span * S));
            }
            82..88 => self.delete(),
            88..92 => self.crash(),
            92..93 => self.bench.restart(),
            93..95 => self.full_disk(),
            95..97 => {
                self.bench.disk.fail_syncs(true);
                self.write();
                self.crash();
            }
            _ => {
                let failure = if self.random.below(2) == 0 { Failure::Before } else { Failure::After };
                self.bench.catalog.fail_next(failure);
                let _ = if self.random.below(2) == 0 {
                    self.bench.engine().flush()
                } else {
                    self.bench.engine().settle()
                };
                self.bench.catalog.fail_no_more();
            }
        }
    }

    fn check(&self) {
        if let Some(difference) = self.difference(&self.model) {
            panic!("{difference}");
        }
        assert!(self.bench.catalog.state().quarantined.is_empty());
        assert_eq!(self.bench.engine_status().late_measures, self.model.late_total());
    }

    /// Where the engine's answers differ from what `model` says.
    fn difference(&self, model: &Model) -> Option<String> {
        for key in 0..KEYS {
            let number = policy_of(key);
            let policy = &self.bench.policies[number as usize - 1];
            let counted: Vec<_> = model.late.get(&key).into_iter().flatten().collect();
            let spans = counted.iter().map(|((start, width), count)| (start / S, width / S, **count));
            let (expected, shown) = (spans.collect::<Vec<_>>(), self.bench.late(key));
            if shown != expected {
                return Some(format!("series {key}, late: {shown:?} instead of {expected:?}"));
            }
            for item in &policy.definition {
                let seconds = item.granularity.ns() / S;
                for name in METHODS {
                    let method = AggregationMethod::parse(name).unwrap();
                    let width = Timespan::from_seconds(seconds);
                    let expected = model.all(key, policy, method, width, self.present_ns());
                    let shown = self.bench.read(key, number, name, seconds, (None, None));
                    if let Some(text) = compare(&shown, &expected) {
                        return Some(format!("series {key}, {name} at {seconds} s: {text}"));
                    }
                }
            }
        }
        None
    }
}

fn compare(shown: &[(i64, f64)], expected: &[(i64, f64)]) -> Option<String> {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
    let same = |(a, b): (&(i64, f64), &(i64, f64))| a.0 == b.0 && near(a.1, b.1);
    if shown.len() == expected.len() && shown.iter().zip(expected).all(same) {
        return None;
    }
    let at = shown.iter().zip(expected).position(|pair| !same(pair));
    let at = at.unwrap_or(shown.len().min(expected.len()));
    Some(format!(
        "{} points instead of {}; at {at} {:?} instead of {:?}",
        shown.len(),
        expected.len(),
        shown.get(at),
        expected.get(at)
    ))
}

fn live(seed: u64) {
    let mut life = Life::new(seed);
    for step in 0..150 {
        life.step();
        if step % 15 == 14 {
            life.check();
        }
    }
    life.bench.flush();
    life.bench.clock.advance_ns(10 * 86_400 * S);
    life.bench.settle();
    life.check();
    life.crash();
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn lives() {
    if let Some(seed) = number("NEPHOMETER_SEED") {
        return live(seed);
    }
    for seed in 0..number("NEPHOMETER_LIVES").unwrap_or(40) {
        if std::panic::catch_unwind(|| live(seed)).is_err() {
            panic!("replay this life with NEPHOMETER_SEED={seed}");
        }
    }
}
