//! Size and speed of the log's records for six kinds of series: many measures of some series in one request, and one
//! measure each of many series, round after round. Run with `cargo bench -p nephometer-engine --bench log`.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_engine::io::{FileStorage, Storage};
use nephometer_engine::wal::{EncodedRecord, WalWriter, replay};
use nephometer_model::{PolicyKey, SeriesKey};

#[path = "../../series/benches/support/kinds.rs"]
mod kinds;

use kinds::{MIXED, Random, Series};

/// Series of a request, measures of each in it, and requests one after the other.
type Shape = (u64, usize, usize);

const SHAPES: [Shape; 5] = [(100, 60, 10), (1000, 1, 40), (60, 1000, 2), (15, 60, 60), (1000, 4, 10)];

const SALT: u64 = 0x5a17;

fn batches((series, points, requests): Shape) -> Vec<WriteBatch> {
    let mut random = Random(7);
    let mut batches = vec![WriteBatch::default(); requests];
    for key in 0..series {
        let one = Series::new(key + 5, key as usize % MIXED, points * requests, 60, &mut random);
        for (number, batch) in batches.iter_mut().enumerate() {
            let range = number * points..(number + 1) * points;
            let len = points as u32;
            batch.runs.push(SeriesRun { key: SeriesKey(one.key), policy: PolicyKey(1), len });
            batch.timestamps_ns.extend_from_slice(&one.timestamps_ns[range.clone()]);
            batch.values.extend_from_slice(&one.values[range]);
        }
    }
    batches
}

fn measures((series, points, requests): Shape) -> usize {
    series as usize * points * requests
}

struct Log {
    _folder: tempfile::TempDir,
    storage: Arc<dyn Storage>,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = Arc::new(FileStorage::new(folder.path()).expect("a folder of files"));
        Self { _folder: folder, storage }
    }

    /// Appends `records`, a request each; returns the bytes of each, which are whole blocks.
    fn append(&self, records: &[EncodedRecord]) -> Vec<u64> {
        let mut log = WalWriter::open(Arc::clone(&self.storage), "log", 1, 1 << 30, SALT).expect("a log");
        let mut append = |record| {
            let before = log.bytes();
            log.append(std::slice::from_ref(record)).expect("room");
            log.bytes() - before
        };
        records.iter().map(&mut append).collect()
    }
}

fn records(shape: Shape) -> Vec<EncodedRecord> {
    batches(shape).iter().map(EncodedRecord::write).collect()
}

fn main() {
    for shape in SHAPES {
        let bytes = Log::new().append(&records(shape));
        let (series, points, requests) = shape;
        let each = |bytes: u64, requests: usize| bytes as f64 / (series as usize * points * requests) as f64;
        println!(
            "{:6.3} B a measure, {:6.3} at first, {:6.3} in the end: {requests} requests of {points} measures of {series} series",
            each(bytes.iter().sum(), requests),
            each(bytes[0], 1),
            each(bytes[requests / 2..].iter().sum(), requests - requests / 2),
        );
    }
    divan::main();
}

#[divan::bench(args = SHAPES)]
fn encode(bencher: Bencher<'_, '_>, shape: Shape) {
    let batches = batches(shape);
    let count = ItemsCount::new(measures(shape));
    bencher.counter(count).bench(|| batches.iter().map(EncodedRecord::write).collect::<Vec<_>>());
}

#[divan::bench(args = SHAPES)]
fn append(bencher: Bencher<'_, '_>, shape: Shape) {
    let records = records(shape);
    bencher
        .counter(ItemsCount::new(measures(shape)))
        .with_inputs(Log::new)
        .bench_values(|log| log.append(&records));
}

#[divan::bench(args = SHAPES)]
fn read(bencher: Bencher<'_, '_>, shape: Shape) {
    let log = Log::new();
    log.append(&records(shape));
    bencher
        .counter(ItemsCount::new(measures(shape)))
        .bench(|| replay(&*log.storage, "log", 0, |_, record| drop(record)).expect("a log that can be read"));
}
