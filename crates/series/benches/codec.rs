//! Size and speed of blocks for six kinds of series, as a flush sees them (many short series) and as merging leaves
//! them (long ones). Run with `cargo bench -p nephometer-series --bench codec`.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use nephometer_series::codec::{Effort, RawBlock, SeriesColumns, encode_raw_block};

#[path = "support/kinds.rs"]
mod kinds;

use kinds::{KINDS, MIXED, Random, Series};

fn columns(series: &Series) -> SeriesColumns<'_> {
    SeriesColumns { key: series.key, policy: 3, timestamps_ns: &series.timestamps_ns, values: &series.values }
}

/// A shape of a block: which kinds, how many series, how many points of each.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    kind: Option<usize>,
    series: usize,
    points: usize,
    step_seconds: i64,
    effort: Effort,
}

impl Shape {
    fn series(&self) -> Vec<Series> {
        let mut random = Random(42);
        let make = |i: usize| {
            Series::new(
                i as u64 + 1000,
                self.kind.unwrap_or(i % MIXED),
                self.points,
                self.step_seconds,
                &mut random,
            )
        };
        (0..self.series).map(make).collect()
    }

    fn encode(&self, series: &[Series]) -> Vec<u8> {
        let columns: Vec<_> = series.iter().map(columns).collect();
        let mut out = Vec::new();
        encode_raw_block(&columns, self.effort, &mut out).expect("the columns are good");
        out
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} series of {} points, {:?}", self.name, self.series, self.points, self.effort)
    }
}

fn shapes() -> Vec<Shape> {
    let mixed = |series, points, effort| Shape {
        name: "mixed",
        kind: None,
        series,
        points,
        step_seconds: 60,
        effort,
    };
    let kind = |kind: usize| Shape {
        name: KINDS[kind],
        kind: Some(kind),
        series: 1,
        points: 19_800,
        step_seconds: 1,
        effort: Effort::Merge,
    };
    let flush = [(16_384, 1), (8192, 2), (6553, 5), (2184, 15), (546, 60), (91, 360)];
    let mut shapes: Vec<_> =
        flush.iter().map(|(series, points)| mixed(*series, *points, Effort::Flush)).collect();
    shapes.extend([(546, 60), (91, 360), (22, 1440), (6, 5760)].map(|(s, p)| mixed(s, p, Effort::Merge)));
    shapes.extend([6, 7].map(|kind| Shape {
        name: KINDS[kind],
        kind: Some(kind),
        series: 22,
        points: 1440,
        step_seconds: 300,
        effort: Effort::Merge,
    }));
    shapes.extend((0..KINDS.len()).map(kind));
    shapes
}

fn main() {
    for shape in shapes() {
        let bytes = shape.encode(&shape.series()).len();
        println!("{:6.3} B a point  {shape}", bytes as f64 / (shape.series * shape.points) as f64);
    }
    divan::main();
}

#[divan::bench(args = shapes())]
fn encode(bencher: Bencher<'_, '_>, shape: &Shape) {
    let series = shape.series();
    let points = shape.series * shape.points;
    bencher
        .counter(ItemsCount::new(points))
        .counter(BytesCount::new(points * 8))
        .bench(|| shape.encode(&series));
}

#[divan::bench(args = shapes())]
fn decode_all(bencher: Bencher<'_, '_>, shape: &Shape) {
    let bytes = shape.encode(&shape.series());
    let points = shape.series * shape.points;
    bencher.counter(ItemsCount::new(points)).counter(BytesCount::new(points * 8)).bench(|| {
        let block = RawBlock::parse(bytes.clone()).expect("the block is good");
        let (mut timestamps_ns, mut values) = (Vec::with_capacity(points), Vec::with_capacity(points));
        for index in 0..block.entries().len() {
            block.decode(index, 0..i64::MAX, &mut timestamps_ns, &mut values).expect("the block is good");
        }
        (timestamps_ns, values)
    });
}

#[divan::bench(args = shapes())]
fn decode_one(bencher: Bencher<'_, '_>, shape: &Shape) {
    let bytes = shape.encode(&shape.series());
    bencher.bench(|| {
        let block = RawBlock::parse(bytes.clone()).expect("the block is good");
        let (mut timestamps_ns, mut values) = (Vec::new(), Vec::new());
        block
            .decode(shape.series / 2, 0..i64::MAX, &mut timestamps_ns, &mut values)
            .expect("the block is good");
        (timestamps_ns, values)
    });
}
