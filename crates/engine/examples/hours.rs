//! What hours of a cloud's cycle cost the engine in memory and in bytes written:
//! `cargo run --release -p nephometer-engine --example hours -- <folder> [series] [rounds] [rounds between flushes] [writers]`.
//!
//! A measure of each series a round, a round a minute, on a clock that is moved on at once, of the six kinds of values that
//! PERFORMANCE.md describes. The engine flushes and merges by its own rules; or, where the last number is given, it
//! flushes after so many rounds and merges then what there is to merge: so that a small run shows what days of many
//! series do. Files are real, answers wait for an fsync; of one writer each request waits for its own. What the block
//! device under the folder is given counts with all that others write to it, so it is best one of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool")]

#[path = "../tests/support/catalog.rs"]
#[allow(dead_code, reason = "tests use all of it")]
mod catalog;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::executor::block_on;
use nephometer_drivers::{MeasureStore, SeriesRun, StoreStatus, WriteBatch};
use nephometer_engine::io::FileStorage;
use nephometer_engine::{Engine, Settings};
use nephometer_model::{
    ArchivePolicy, Clock, ManualClock, MethodSet, PolicyItem, PolicyKey, SeriesKey, SystemClock, Timespan,
    Timestamp,
};

const S: i64 = 1_000_000_000;
const WRITERS: u64 = 8;
const SERIES_PER_REQUEST: usize = 1000;

/// Numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: i64) -> i64 {
        ((u128::from(self.next()) * bound as u128) >> 64) as i64
    }
}

/// A minute later in the life of series `key`; hundredths of a utilisation.
fn step(key: usize, value: &mut i64, random: &mut Random) -> f64 {
    match key % 6 {
        0 => *value += random.below(51_000_000_000) + 3_000_000_000,
        1 => *value = (*value + random.below(17) - 8).clamp(64, 65_536),
        2 if random.below(10) < 3 => *value += random.below(5_000_000),
        3 => *value = (*value + random.below(1000) - 500).clamp(0, 10_000),
        5 => *value += random.below(40),
        _ => {}
    }
    if key % 6 == 3 { *value as f64 / 100.0 } else { *value as f64 }
}

/// One round: all series in requests of 1,000, from several threads.
fn round(engine: &Engine, values: &mut [i64], second: i64, (seed, writers): (u64, u64)) {
    let next = AtomicU64::new(0);
    let requests: Vec<_> = values.chunks_mut(SERIES_PER_REQUEST).map(parking_lot::Mutex::new).collect();
    std::thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(values) = requests.get(at) else { return };
                    let mut random = Random(seed << 32 | at as u64);
                    let mut batch = WriteBatch::default();
                    for (offset, value) in values.lock().iter_mut().enumerate() {
                        let key = at * SERIES_PER_REQUEST + offset;
                        batch.runs.push(SeriesRun {
                            key: SeriesKey(key as u64),
                            policy: PolicyKey(1),
                            len: 1,
                        });
                        batch.timestamps_ns.push(second * S);
                        batch.values.push(step(key, value, &mut random));
                    }
                    while let Err(error) = block_on(engine.write(batch.clone())) {
                        println!("{error}");
                        std::thread::sleep(std::time::Duration::from_millis(200));
                    }
                }
            });
        }
    });
}

/// What the system says of this process under `name` in the file `file` of /proc/self.
fn told(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Bytes that the block device under `path` was given so far.
fn device_bytes(path: &Path) -> u64 {
    let device = std::fs::metadata(path).unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).unwrap();
    stat.split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * 512
}

/// CPU time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap().split(' ').filter_map(|field| field.parse().ok()).collect();
    (fields[10] + fields[11]) as f64 / 100.0
}

fn print(name: &str, engine: &Engine, before: &StoreStatus) {
    let status = engine.status();
    let measures = (before.measures_written + status.measures_written) as f64;
    let log = before.log_bytes_written + status.log_bytes_written;
    let flushed = before.flush_bytes_written + status.flush_bytes_written;
    let merged = before.merge_bytes_written + status.merge_bytes_written;
    let each = |bytes: u64| bytes as f64 / measures;
    println!(
        "{name:>9}: written a measure {:.2} log {:.2} flushes {:.2} merges; {:.3} B a measure in {} parts; \
         written over parts {:.2}; {} flushes, {} merges; {} MiB now, {} at most; {:.0} ns CPU a measure",
        each(log),
        each(flushed),
        each(merged),
        status.part_bytes as f64 / status.part_measures.max(1) as f64,
        status.parts,
        (log + flushed + merged) as f64 / status.part_bytes.max(1) as f64,
        status.flushes,
        status.merges,
        told("status", "VmRSS:") / 1024,
        told("status", "VmHWM:") / 1024,
        cpu_seconds() * 1e9 / measures,
    );
}

/// Second at which the first round is measured.
const START: i64 = 1_795_000_000;

/// All rounds.
fn live(
    (engine, root): (&Engine, &Path),
    clock: &ManualClock,
    series: usize,
    (rounds, flush_rounds, writers): (i64, i64, u64),
) {
    let begin_bytes = (device_bytes(root), told("io", "write_bytes:"));
    let mut values: Vec<i64> = Vec::with_capacity(series);
    let mut random = Random(1);
    values.extend((0..series).map(|key| random.below(if key % 6 == 3 { 10_001 } else { 100_000 })));
    for at in 0..rounds {
        round(engine, &mut values, START + at * 60, (at as u64, writers));
        clock.advance_ns(60 * S);
        if flush_rounds > 0 && (at + 1) % flush_rounds == 0 {
            engine.flush().unwrap();
            engine.settle().unwrap();
        }
        if (at + 1) % if flush_rounds == 0 { 10 } else { 10 * flush_rounds } == 0 {
            print(&format!("round {}", at + 1), engine, &StoreStatus::default());
            let measures = (series as i64 * (at + 1)) as f64;
            println!(
                "           to the device {:.2} B a measure, {:.2} as the system counts this process",
                (device_bytes(root) - begin_bytes.0) as f64 / measures,
                (told("io", "write_bytes:") - begin_bytes.1) as f64 / measures,
            );
        }
    }
    engine.stop().unwrap();
    print("stopped", engine, &StoreStatus::default());
}

fn main() {
    let number = |at, default| std::env::args().nth(at).map_or(default, |text| text.parse().unwrap());
    let (series, rounds, flush_rounds) = (number(2, 100_000) as usize, number(3, 60), number(4, 0));
    let root =
        std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("nephometer-hours");
    let _ = std::fs::remove_dir_all(&root);
    let item = PolicyItem { granularity: Timespan::from_seconds(300), points: Some(8640) };
    let policies = [Arc::new(ArchivePolicy {
        key: PolicyKey(1),
        name: "low".to_owned(),
        back_window: 0,
        definition: vec![item],
        methods: MethodSet::upstream_default(),
    })];
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(START * S)));
    let catalog: Arc<catalog::TestCatalog> = Arc::default();
    let open = |background| {
        let settings = Settings { background, ..Settings::default() };
        let storage = Arc::new(FileStorage::new(&root).unwrap());
        Engine::open(settings, storage, catalog.clone(), clock.clone(), clock.clone(), &policies).unwrap()
    };
    let engine = open(flush_rounds == 0);
    live((&engine, &root), &clock, series, (rounds, flush_rounds, number(5, WRITERS as i64) as u64));
    let before = engine.status();
    drop(engine);
    let wall = SystemClock::new();
    let begun_ns = wall.monotonic_ns();
    let engine = open(false);
    println!("started again in {:.2} s", (wall.monotonic_ns() - begun_ns) as f64 / 1e9);
    // The partition passes: what is left to merge in it is merged.
    clock.advance_ns(5 * 86_400 * S);
    engine.settle().unwrap();
    print("settled", &engine, &before);
    engine.stop().unwrap();
    let _ = std::fs::remove_dir_all(&root);
}
