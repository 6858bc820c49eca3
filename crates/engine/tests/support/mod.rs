//! What the engine's tests stand on: a disk that crashes, a catalog that survives, a model that knows better.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

pub(crate) mod catalog;
pub(crate) mod disk;
pub(crate) mod model;

use std::sync::Arc;

use futures::executor::block_on;
use nephometer_drivers::{AggregateRead, MeasureStore, SeriesRun, StoreError, WriteBatch};
use nephometer_engine::{Engine, OpenError, Settings};
use nephometer_model::{
    AggregationMethod, ArchivePolicy, ManualClock, MethodSet, PolicyItem, PolicyKey, SeriesKey, Timespan,
    Timestamp,
};

use catalog::TestCatalog;
use disk::TestDisk;

/// Nanoseconds in a second.
pub(crate) const S: i64 = 1_000_000_000;

/// Key, policy and measures of a series.
pub(crate) type SeriesMeasures = (u64, u32, Vec<(i64, f64)>);

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).unsigned_abs()) as i64
    }
}

/// A policy of (granularity in seconds, points) with the given methods.
pub(crate) fn policy(
    key: u32,
    back_window: u64,
    items: &[(i64, Option<u64>)],
    methods: &[&str],
) -> Arc<ArchivePolicy> {
    let item = |(seconds, points): &(i64, _)| PolicyItem {
        granularity: Timespan::from_seconds(*seconds),
        points: *points,
    };
    Arc::new(ArchivePolicy {
        key: PolicyKey(key),
        name: format!("policy-{key}"),
        back_window,
        definition: items.iter().map(item).collect(),
        methods: MethodSet::new(methods.iter().map(|name| AggregationMethod::parse(name).unwrap())),
    })
}

/// Settings under which the test decides when to flush and merge.
pub(crate) fn settings() -> Settings {
    Settings {
        sacks: 2,
        min_free_disk_bytes: 0,
        partition_seconds: 86_400,
        garbage_seconds: 0,
        merge_fan_in: 3,
        log_segment_bytes: 1 << 16,
        background: false,
        ..Settings::default()
    }
}

/// An engine and what it stands on.
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    pub(crate) disk: Arc<TestDisk>,
    pub(crate) catalog: Arc<TestCatalog>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) policies: Vec<Arc<ArchivePolicy>>,
    engine: Option<Engine>,
}

impl Bench {
    pub(crate) fn new(settings: Settings, policies: &[Arc<ArchivePolicy>], now_seconds: i64) -> Self {
        let mut bench = Self {
            settings,
            disk: Arc::new(TestDisk::default()),
            catalog: Arc::new(TestCatalog::default()),
            clock: Arc::new(ManualClock::at(Timestamp::from_ns(now_seconds * S))),
            policies: policies.to_vec(),
            engine: None,
        };
        bench.start().unwrap();
        bench
    }

    pub(crate) fn start(&mut self) -> Result<(), OpenError> {
        self.engine = None;
        let engine = Engine::open(
            self.settings.clone(),
            self.disk.clone(),
            self.catalog.clone(),
            self.clock.clone(),
            self.clock.clone(),
            &self.policies,
        )?;
        self.engine = Some(engine);
        Ok(())
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Ends the engine, loses what was not synced, and starts again.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        self.engine = None;
        self.disk.crash(random);
        self.start().unwrap();
    }

    /// Stops the engine as an operator would, and starts again.
    pub(crate) fn restart(&mut self) {
        self.engine().stop().unwrap();
        self.start().unwrap();
    }

    pub(crate) fn write(&self, key: u64, policy: u32, measures: &[(i64, f64)]) -> Result<(), StoreError> {
        self.write_many(&[(key, policy, measures.to_vec())])
    }

    pub(crate) fn write_many(&self, series: &[SeriesMeasures]) -> Result<(), StoreError> {
        block_on(self.engine().write(batch(series)))
    }

    pub(crate) fn read(
        &self,
        key: u64,
        policy: u32,
        method: &str,
        seconds: i64,
        range: (Option<i64>, Option<i64>),
    ) -> Vec<(i64, f64)> {
        let read = AggregateRead {
            key: SeriesKey(key),
            policy: PolicyKey(policy),
            method: AggregationMethod::parse(method).unwrap(),
            granularity: Timespan::from_seconds(seconds),
            start: range.0.map(Timestamp::from_ns),
            stop: range.1.map(Timestamp::from_ns),
        };
        let answer = block_on(self.engine().read(vec![read])).unwrap().remove(0);
        answer.timestamps_ns.into_iter().zip(answer.values).collect()
    }

    /// All of a series, with timestamps in seconds.
    pub(crate) fn all(&self, key: u64, policy: u32, method: &str, seconds: i64) -> Vec<(i64, f64)> {
        let points = self.read(key, policy, method, seconds, (None, None));
        points.into_iter().map(|(at, value)| (at / S, value)).collect()
    }

    pub(crate) fn delete(&self, key: u64, start_ns: i64, stop_ns: i64) -> Result<(), StoreError> {
        let (start, stop) = (Timestamp::from_ns(start_ns), Timestamp::from_ns(stop_ns));
        block_on(self.engine().delete_span(SeriesKey(key), start, stop))
    }

    pub(crate) fn late(&self, key: u64) -> Vec<(i64, i64, u64)> {
        let spans = block_on(self.engine().late(SeriesKey(key))).unwrap();
        spans.iter().map(|span| (span.start.ns() / S, span.width.ns() / S, span.measures)).collect()
    }

    pub(crate) fn flush(&self) {
        self.engine().flush().unwrap();
    }

    pub(crate) fn settle(&self) {
        self.engine().settle().unwrap();
    }

    pub(crate) fn engine_status(&self) -> nephometer_drivers::StoreStatus {
        self.engine().status()
    }

    pub(crate) fn now_ns(&self) -> i64 {
        use nephometer_model::Clock;
        self.clock.now().ns()
    }
}

pub(crate) fn batch(series: &[SeriesMeasures]) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for (key, policy, measures) in series {
        batch.runs.push(SeriesRun {
            key: SeriesKey(*key),
            policy: PolicyKey(*policy),
            len: measures.len() as u32,
        });
        batch.timestamps_ns.extend(measures.iter().map(|(at, _)| *at));
        batch.values.extend(measures.iter().map(|(_, value)| *value));
    }
    batch
}

/// Measures every `step` seconds from `start` to before `stop`, all in seconds; the value is the second.
pub(crate) fn every(start: i64, stop: i64, step: usize) -> Vec<(i64, f64)> {
    (start..stop).step_by(step).map(|second| (second * S, second as f64)).collect()
}
