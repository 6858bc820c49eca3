//! How much a measure costs the engine, without HTTP:
//! `cargo run --release -p nephometer-engine --example ingest -- <folder> [series of the cycle] [MiB of a full head]`.
//!
//! Two loads, with real files and an fsync before each answer: bulk (100 series of 60 measures a request) and cycle
//! (one measure each of 1,000 series a request; 100,000 series, 30 rounds). Then reads, a flush, merges, and a start
//! with a log.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool")]

#[path = "../tests/support/catalog.rs"]
#[allow(dead_code, reason = "tests use all of it")]
mod catalog;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::executor::block_on;
use nephometer_drivers::{AggregateRead, MeasureStore, SeriesRun, WriteBatch};
use nephometer_engine::io::FileStorage;
use nephometer_engine::{Engine, Settings};
use nephometer_model::{
    AggregationMethod, ArchivePolicy, Clock, MethodSet, PolicyItem, PolicyKey, SeriesKey, SystemClock,
    Timespan,
};

const S: i64 = 1_000_000_000;
const WRITERS: u64 = 8;

struct Bench {
    clock: Arc<SystemClock>,
    catalog: Arc<catalog::TestCatalog>,
    root: PathBuf,
    policies: Vec<Arc<ArchivePolicy>>,
}

impl Bench {
    fn open(&self) -> Engine {
        let storage = Arc::new(FileStorage::new(&self.root).unwrap());
        let mut settings = Settings::default();
        if let Some(mib) = std::env::args().nth(3) {
            settings.flush_head_bytes = mib.parse::<u64>().unwrap() << 20;
            settings.head_bytes = settings.head_bytes.max(settings.flush_head_bytes * 4);
        }
        let (clock, ids) = (self.clock.clone(), self.clock.clone());
        Engine::open(settings, storage, self.catalog.clone(), clock, ids, &self.policies).unwrap()
    }

    /// Runs `work`, which handles `items`, and prints what each cost.
    fn measure<T>(&self, name: &str, items: u64, work: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (self.clock.monotonic_ns(), cpu_ns());
        let result = work();
        let wall = self.clock.monotonic_ns() - wall;
        let cpu = cpu_ns() - cpu;
        let each = |ns: u64| ns as f64 / items as f64;
        let rate = items as f64 * 1e3 / wall as f64;
        println!(
            "{name:32} {items:>9}  {:>8.3} s  {:>9.1} ns wall  {:>9.1} ns CPU  {rate:>8.3} M/s",
            wall as f64 / 1e9,
            each(wall),
            each(cpu)
        );
        result
    }
}

/// CPU time of this process so far.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<i64> =
        stat.rsplit(')').next().unwrap().split(' ').filter_map(|f| f.parse().ok()).collect();
    (fields[10] + fields[11]).unsigned_abs() * 10_000_000
}

/// Resident memory of this process in MiB.
fn resident_mib() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() / 256
}

/// What the system says of this process under `name` in the file `file` of /proc/self.
fn told(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The most memory that this process had resident, in MiB, and all that it has written to files, in bytes.
fn print_totals(name: &str) {
    println!(
        "{name}: at most {} MiB, {} B written",
        told("status", "VmHWM:") / 1024,
        told("io", "write_bytes:")
    );
}

/// A value of series `key` at a second: of the six kinds that telemetry has.
fn value(key: u64, second: i64) -> f64 {
    let noise = (key.wrapping_mul(0x9e37_79b9) ^ (second as u64).wrapping_mul(0x85eb_ca6b)) >> 7;
    match key % 6 {
        0 => (second as f64 * 0.4e9).floor() + (noise % 100_000_000) as f64,
        1 => (2048 + noise % 9) as f64,
        2 => (second / 20 * 5_000_000) as f64,
        3 => (noise % 10_000) as f64 / 100.0,
        4 => 42.0,
        _ => (second * 20 + (noise % 40) as i64) as f64,
    }
}

fn batch(keys: impl Iterator<Item = u64>, start: i64, measures: i64, step: i64) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for key in keys {
        batch.runs.push(SeriesRun { key: SeriesKey(key), policy: PolicyKey(1), len: measures as u32 });
        let seconds = (0..measures).map(|at| start + at * step);
        batch.timestamps_ns.extend(seconds.clone().map(|second| second * S));
        batch.values.extend(seconds.map(|second| value(key, second)));
    }
    batch
}

/// Writes `batches` from several threads.
fn write_all(engine: &Engine, batches: &[WriteBatch]) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(batch) = batches.get(at) else { return };
                    while let Err(error) = block_on(engine.write(batch.clone())) {
                        println!("{error}");
                        std::thread::sleep(std::time::Duration::from_millis(200));
                    }
                }
            });
        }
    });
}

fn read(key: u64, method: &str, seconds: i64) -> AggregateRead {
    AggregateRead {
        key: SeriesKey(key),
        policy: PolicyKey(1),
        method: AggregationMethod::parse(method).unwrap(),
        granularity: Timespan::from_seconds(seconds),
        start: None,
        stop: None,
    }
}

fn reads(bench: &Bench, engine: &Engine, place: &str) {
    for method in ["mean", "95pct", "rate:mean"] {
        let points = block_on(engine.read(vec![read(50_000_000, method, 60)])).unwrap()[0].values.len();
        bench.measure(&format!("{method} of {points} from {place}"), 20, || {
            for _ in 0..20 {
                block_on(engine.read(vec![read(50_000_000, method, 60)])).unwrap();
            }
        });
    }
}

/// What the log has grown by since it was `before` bytes long.
fn print_log_bytes(name: &str, engine: &Engine, before: u64, measures: u64) {
    let bytes = (engine.status().log_bytes.saturating_sub(before)) as f64;
    println!("{name}: {:.2} B of log a measure", bytes / measures as f64);
}

/// Both loads.
fn write(bench: &Bench, engine: &Engine) {
    let now = bench.clock.now().ns() / S;

    let bulk: Vec<WriteBatch> = (0..2000)
        .map(|at| batch(at % 20 * 100..at % 20 * 100 + 100, now - 400_000 + (at / 20) as i64 * 3600, 60, 60))
        .collect();
    bench.measure("bulk", 12_000_000, || write_all(engine, &bulk));
    print_log_bytes("bulk", engine, 0, 12_000_000);
    drop(bulk);
    let log_bytes = engine.status().log_bytes;
    let series: u64 = std::env::args().nth(2).map_or(100_000, |count| count.parse().unwrap());
    let rounds = 30;
    // The most resident memory is counted from here on.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = resident_mib();
    bench.measure("cycle", series * rounds, || {
        for round in 0..rounds {
            let requests = series / 1000;
            let first = |at| 1_000_000 + at * 1000;
            let second = now - 3600 + round as i64 * 60;
            let cycle: Vec<_> =
                (0..requests).map(|at| batch(first(at)..first(at) + 1000, second, 1, 60)).collect();
            write_all(engine, &cycle);
        }
    });
    print_log_bytes("cycle", engine, log_bytes, series * rounds);
    println!("{before} MiB before, {} MiB after", resident_mib());
    print_totals("written");
}

fn main() {
    let root =
        std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("nephometer-ingest");
    let _ = std::fs::remove_dir_all(&root);
    let item = |seconds, points| PolicyItem { granularity: Timespan::from_seconds(seconds), points };
    let policy = ArchivePolicy {
        key: PolicyKey(1),
        name: "bench".to_owned(),
        back_window: 0,
        definition: vec![item(60, Some(20_000)), item(3600, None)],
        methods: MethodSet::upstream_default(),
    };
    let clock = Arc::new(SystemClock::new());
    let bench = Bench { clock, catalog: Arc::default(), root, policies: vec![Arc::new(policy)] };
    let engine = bench.open();
    write(&bench, &engine);
    write_all(
        &engine,
        &[batch(std::iter::once(50_000_000), bench.clock.now().ns() / S - 600_000, 10_000, 60)],
    );
    reads(&bench, &engine, "head");
    let status = engine.status();
    println!("{status:?}");
    drop(engine);
    let engine = bench.measure("start with the log", status.log_bytes, || bench.open());
    bench.measure("flush", engine.status().head_measures, || engine.flush().unwrap());
    reads(&bench, &engine, "parts");
    bench.measure("merge", engine.status().part_measures, || engine.settle().unwrap());
    print_totals("merged");
    reads(&bench, &engine, "merged parts");
    let status = engine.status();
    println!(
        "{:.2} B a measure in {} parts",
        status.part_bytes as f64 / status.part_measures as f64,
        status.parts
    );
    engine.stop().unwrap();
    let _ = std::fs::remove_dir_all(&bench.root);
}
