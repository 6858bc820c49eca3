//! Random lives in which history is imported beside and before what is measured now: whatever the order, the disk comes
//! to hold about what answers need, answers never change, and no byte is written again and again.
//!
//! One seed replays one life: `NEPHOMETER_SEED=<seed>`; `NEPHOMETER_LIVES=<n>` runs more of them.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use nephometer_drivers::StoreStatus;
use nephometer_engine::Settings;
use nephometer_model::{AggregationMethod, ArchivePolicy, Timespan};
use support::model::Model;
use support::{Bench, Random, S, policy, settings};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1000 * DAY;
const STEP: i64 = 300;
const METHODS: [&str; 3] = ["mean", "count", "max"];
const KEYS: u64 = 8;
/// Days of the lively part of a life, at most.
const LIVELY_DAYS: i64 = 80;

/// What is kept of a series, in measures and slots of rollups: raw alone for two days; raw for a day, then rollups; raw
/// for twenty days; everything.
const DEFINITIONS: [&[(i64, Option<u64>)]; 4] = [
    &[(300, Some(576))],
    &[(300, Some(288)), (3600, Some(240))],
    &[(600, Some(2880))],
    &[(300, Some(100)), (7200, None)],
];

fn policy_of(key: u64) -> u32 {
    key as u32 % 4 + 1
}

struct Life {
    random: Random,
    bench: Bench,
    model: Model,
    /// Where each series goes on, in seconds.
    next: Vec<i64>,
    /// Of the engines that were stopped.
    flushed_bytes: u64,
    merged_bytes: u64,
}

impl Life {
    fn new(seed: u64) -> Self {
        let policies: Vec<_> =
            (1..).zip(DEFINITIONS).map(|(number, items)| policy(number, 0, items, &METHODS)).collect();
        let mut random = Random(seed);
        let next = (0..KEYS).map(|_| START - random.between(0, 60 * DAY)).collect();
        Self {
            random,
            bench: Bench::new(Settings { sacks: 1, ..settings() }, &policies, START),
            model: Model::default(),
            next,
            flushed_bytes: 0,
            merged_bytes: 0,
        }
    }

    fn now(&self) -> i64 {
        self.bench.now_ns() / S
    }

    /// Writes a series on, in ascending order, up to `until` or now.
    fn write(&mut self, key: u64, until: i64) {
        let until = until.min(self.now());
        let next = &mut self.next[key as usize];
        let measures: Vec<_> = (*next..until)
            .step_by(STEP as usize)
            .map(|at| (at * S, self.random.between(0, 99) as f64))
            .collect();
        *next = until.max(*next);
        let request = [(key, policy_of(key), measures)];
        self.bench.write_many(&request).unwrap();
        self.model.write(&request);
    }

    /// Up to three days of the past of a series.
    fn import(&mut self) {
        let key = self.random.below(KEYS);
        let until = self.next[key as usize] + self.random.between(HOUR, 3 * DAY);
        self.write(key, until);
    }

    /// The last hours of some series; what was before, and not imported, is left out.
    fn measure(&mut self) {
        for key in 0..KEYS {
            if self.random.below(3) > 0 {
                let next = &mut self.next[key as usize];
                *next = (*next).max(self.bench.now_ns() / S - 6 * HOUR);
                self.write(key, i64::MAX);
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..7 => self.import(),
            7 if self.random.below(2) == 0 => self.measure(),
            7..12 => self.bench.flush(),
            12..16 => self.bench.settle(),
            16..19 => self.bench.clock.advance_ns(self.random.between(0, DAY * S)),
            _ => self.restart(),
        }
    }

    fn restart(&mut self) {
        self.bench.flush();
        self.note_bytes();
        self.bench.restart();
    }

    /// Before an engine ends: it counts from its start.
    fn note_bytes(&mut self) {
        let StoreStatus { flush_bytes_written, merge_bytes_written, .. } = self.bench.engine_status();
        self.flushed_bytes += flush_bytes_written;
        self.merged_bytes += merge_bytes_written;
    }

    fn check(&self) {
        let present_ns = self.bench.now_ns() + DAY * S;
        for key in 0..KEYS {
            let policy = &self.bench.policies[policy_of(key) as usize - 1];
            for (item, name) in policy.definition.iter().flat_map(|item| METHODS.map(|name| (item, name))) {
                let seconds = item.granularity.ns() / S;
                let method = AggregationMethod::parse(name).unwrap();
                let width = Timespan::from_seconds(seconds);
                let expected = self.model.all(key, policy, method, width, present_ns);
                let shown = self.bench.read(key, policy_of(key), name, seconds, (None, None));
                assert_eq!(shown.len(), expected.len(), "series {key}, {name} at {seconds} s");
                let near = |(a, b): (&(i64, f64), &(i64, f64))| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9;
                assert!(shown.iter().zip(&expected).all(near), "series {key}, {name} at {seconds} s");
            }
        }
    }

    /// Measures and slots on disk.
    fn kept(&self) -> u64 {
        self.bench.catalog.state().parts.iter().map(|row| row.points).sum()
    }

    /// Measures and slots that answers are made of, when everything has come of age.
    fn needed(&self) -> u64 {
        let of = |key: u64| {
            let policy = &self.bench.policies[policy_of(key) as usize - 1];
            let Some(newest) = self.model.newest(key, i64::MAX) else { return 0 };
            let raw_from = raw_begin(policy, newest);
            let points = &self.model.series[&key];
            // And the last measure before those.
            let raw = points.range(raw_from..).count() + 1;
            let slots = policy.definition.iter().map(|item| {
                let count = AggregationMethod::parse("count").unwrap();
                let shown = self.model.all(key, policy, count, item.granularity, i64::MAX - 1);
                shown.iter().filter(|(at, _)| *at < raw_from).count()
            });
            (raw + slots.sum::<usize>()) as u64
        };
        (0..KEYS).map(of).sum()
    }
}

/// Where the raw measures begin that are needed: with the finest definition, but no bucket is torn.
fn raw_begin(policy: &ArchivePolicy, newest: i64) -> i64 {
    let items = &policy.definition;
    let finest = items.iter().min_by_key(|item| item.granularity).unwrap();
    let width = finest.granularity.ns();
    let span = finest.points.unwrap() as i64 * width;
    if items.len() == 1 {
        return newest - newest.rem_euclid(width) - (span - width);
    }
    items.iter().map(|item| newest - span - (newest - span).rem_euclid(item.granularity.ns())).min().unwrap()
}

fn live(seed: u64) {
    let mut life = Life::new(seed);
    for step in 0..250 {
        life.step();
        if life.now() > START + LIVELY_DAYS * DAY {
            break;
        }
        if step % 25 == 24 {
            life.check();
        }
    }
    // What has come last is as old as all of it now, and as long again.
    life.bench.flush();
    if seed.is_multiple_of(4) {
        life.restart();
    }
    life.bench.settle();
    for _ in 0..2 * LIVELY_DAYS {
        life.bench.clock.advance_ns(DAY * S);
        life.bench.settle();
    }
    life.check();
    let (kept, needed) = (life.kept(), life.needed());
    assert!(kept <= needed * 4 / 3 + 10, "{kept} measures and slots kept, {needed} needed");
    life.note_bytes();
    // Merges of like size and those of what has come of age together; lives come to 1.6 to 2.7.
    let amplification = life.merged_bytes as f64 / life.flushed_bytes as f64;
    assert!(amplification < 4.0, "{amplification} times as much merged as flushed");
    let before = life.bench.engine_status().merges;
    for _ in 0..LIVELY_DAYS {
        life.bench.clock.advance_ns(10 * DAY * S);
        life.bench.settle();
    }
    assert_eq!(life.bench.engine_status().merges, before, "nothing more comes of age");
    life.restart();
    life.bench.settle();
    assert_eq!(life.bench.engine_status().merges, 0, "nor after a start");
    life.check();
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn lives() {
    if let Some(seed) = number("NEPHOMETER_SEED") {
        return live(seed);
    }
    for seed in 0..number("NEPHOMETER_LIVES").unwrap_or(12) {
        if std::panic::catch_unwind(|| live(seed)).is_err() {
            panic!("replay this life with NEPHOMETER_SEED={seed}");
        }
    }
}
