//! Writers, readers, flushing and merging at the same time, on real files, with sudden ends in between.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::executor::block_on;
use nephometer_drivers::{AggregateRead, MeasureStore};
use nephometer_engine::io::FileStorage;
use nephometer_engine::{Engine, Settings};
use nephometer_model::{
    AggregationMethod, Clock, PolicyKey, Reducer, SeriesKey, SystemClock, Timespan, Timestamp,
};
use support::catalog::TestCatalog;
use support::{S, batch, policy};

const SERIES: u64 = 40;
const WRITERS: u64 = 4;
const STAIRS: &[(i64, Option<u64>)] = &[(1, Some(600)), (60, Some(100_000))];

/// Flushes and merges all the time.
fn busy_settings() -> Settings {
    Settings {
        sacks: 3,
        flush_head_bytes: 1 << 16,
        head_bytes: 64 << 20,
        log_segment_bytes: 1 << 20,
        min_free_disk_bytes: 0,
        partition_seconds: 7200,
        garbage_seconds: 0,
        merge_fan_in: 2,
        ..Settings::default()
    }
}

fn count(engine: &Engine, key: u64) -> f64 {
    let read = AggregateRead {
        key: SeriesKey(key),
        policy: PolicyKey(1),
        method: AggregationMethod::of(Reducer::Count),
        granularity: Timespan::from_seconds(60),
        start: None,
        stop: None,
    };
    block_on(engine.read(vec![read])).unwrap()[0].values.iter().sum()
}

#[test]
fn every_acknowledged_measure_once_through_sudden_ends() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let catalog = Arc::new(TestCatalog::default());
    let policies = [policy(1, 0, STAIRS, &["count"])];
    // Each series is written in order from here on, a measure a second.
    let start = clock.now().ns() / S - 1_000_000;
    let written: Vec<AtomicU64> = (0..SERIES).map(|_| AtomicU64::new(0)).collect();
    for round in 0..6 {
        let engine = Engine::open(
            busy_settings(),
            Arc::new(FileStorage::new(dir.path()).unwrap()),
            catalog.clone(),
            clock.clone(),
            clock.clone(),
            &policies,
        )
        .unwrap();
        for key in 0..SERIES {
            let expected = written[key as usize].load(Ordering::SeqCst) as f64;
            assert_eq!(count(&engine, key), expected, "round {round}, series {key}");
        }
        live(&engine, start, &written);
        match round % 3 {
            2 => engine.stop().unwrap(),
            _ => drop(engine),
        }
    }
    assert_eq!(catalog.state().quarantined, []);
    assert!(catalog.state().parts.iter().any(|row| row.level > 0));
}

/// Writes and reads for a while; what a read shows never falls behind what was acknowledged before it.
fn live(engine: &Engine, start: i64, written: &[AtomicU64]) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let stop = &stop;
            scope.spawn(move || {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    let mut request = Vec::new();
                    for key in (0..SERIES).filter(|key| key % WRITERS == writer) {
                        let from = written[key as usize].load(Ordering::SeqCst) as i64;
                        let measures: Vec<_> =
                            (from..from + 50 + turn % 7).map(|at| ((start + at) * S, at as f64)).collect();
                        request.push((key, 1, measures));
                    }
                    if block_on(engine.write(batch(&request))).is_ok() {
                        for (key, _, measures) in &request {
                            written[*key as usize].fetch_add(measures.len() as u64, Ordering::SeqCst);
                        }
                    }
                    turn += 1;
                }
            });
        }
        scope.spawn(|| {
            let mut key = 0;
            while !stop.load(Ordering::Relaxed) {
                let acknowledged = written[key as usize].load(Ordering::SeqCst) as f64;
                let shown = count(engine, key);
                assert!(shown >= acknowledged, "series {key}: {shown} of {acknowledged}");
                key = (key + 1) % SERIES;
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(1500));
        stop.store(true, Ordering::Relaxed);
    });
    let status = engine.status();
    assert!(status.flushes > 0, "{status:?}");
    let gone = SeriesKey(SERIES + 1);
    block_on(engine.delete_span(gone, Timestamp::from_ns(0), Timestamp::from_ns(1))).unwrap();
}
