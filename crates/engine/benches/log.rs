//! Size and speed of the log's records for six kinds of series: many measures of some series in one request, and one
//! measure each of many series. Run with `cargo bench -p nephometer-engine --bench log`.

use divan::Bencher;
use divan::counter::ItemsCount;
use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_engine::wal::EncodedRecord;
use nephometer_model::{PolicyKey, SeriesKey};

#[path = "../../series/benches/support/kinds.rs"]
mod kinds;

use kinds::{MIXED, Random, Series};

const SHAPES: [(u64, usize); 3] = [(100, 60), (1000, 1), (60, 1000)];

fn batch((series, points): (u64, usize)) -> WriteBatch {
    let mut random = Random(7);
    let mut batch = WriteBatch::default();
    for key in 0..series {
        let one = Series::new(key + 5, key as usize % MIXED, points, 60, &mut random);
        let len = points as u32;
        batch.runs.push(SeriesRun { key: SeriesKey(one.key), policy: PolicyKey(1), len });
        batch.timestamps_ns.extend(one.timestamps_ns);
        batch.values.extend(one.values);
    }
    batch
}

fn main() {
    for shape in SHAPES {
        let bytes = EncodedRecord::write(&batch(shape)).log_bytes();
        let (series, points) = shape;
        println!(
            "{:6.3} B a measure  {series} series of {points}",
            bytes as f64 / (series as usize * points) as f64
        );
    }
    divan::main();
}

#[divan::bench(args = SHAPES)]
fn encode(bencher: Bencher<'_, '_>, shape: (u64, usize)) {
    let batch = batch(shape);
    bencher.counter(ItemsCount::new(batch.values.len())).bench(|| EncodedRecord::write(&batch));
}

#[divan::bench(args = SHAPES)]
fn decode(bencher: Bencher<'_, '_>, shape: (u64, usize)) {
    let batch = batch(shape);
    let record = EncodedRecord::write(&batch);
    bencher.counter(ItemsCount::new(batch.values.len())).bench(|| record.decode());
}
