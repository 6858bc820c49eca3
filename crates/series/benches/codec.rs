//! Size and speed of blocks for six kinds of series: a CPU time counter in nanoseconds, a memory gauge, a bursty byte
//! counter, a utilisation with two decimals, a constant, a slow counter; as a flush sees them (many short series)
//! and as merging leaves them (long ones). Run with `cargo bench -p nephometer-series --bench codec`.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use nephometer_series::codec::{Effort, RawBlock, SeriesColumns, encode_raw_block};

const KINDS: [&str; 6] = ["cpu ns", "memory", "bursty", "percent", "constant", "slow"];
const SECOND_NS: i64 = 1_000_000_000;

/// A small generator of random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: u64) -> f64 {
        (self.next() % limit) as f64
    }
}

struct Series {
    key: u64,
    timestamps_ns: Vec<i64>,
    values: Vec<f64>,
}

impl Series {
    fn new(key: u64, kind: usize, points: usize, step_seconds: i64, random: &mut Random) -> Self {
        let mut value = random.below(100_000);
        let mut next = || {
            match kind {
                0 => value += ((0.05 + 0.85 * random.unit()) * step_seconds as f64 * 1e9).floor(),
                1 => value = (value + random.below(17) - 8.0).clamp(64.0, 65_536.0),
                2 if random.unit() < 0.3 => value += random.below(5_000_000),
                3 => value = (value + random.unit() * 10.0 - 5.0).clamp(0.0, 100.0),
                5 => value += random.below(40),
                _ => {}
            }
            if kind == 3 { (value * 100.0).round() / 100.0 } else { value }
        };
        let values = (0..points).map(|_| next()).collect();
        let start = 1_700_000_000 * SECOND_NS;
        let timestamps_ns = (0..points as i64).map(|i| start + i * step_seconds * SECOND_NS).collect();
        Self { key, timestamps_ns, values }
    }

    fn columns(&self) -> SeriesColumns<'_> {
        SeriesColumns { key: self.key, policy: 3, timestamps_ns: &self.timestamps_ns, values: &self.values }
    }
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
                self.kind.unwrap_or(i % 6),
                self.points,
                self.step_seconds,
                &mut random,
            )
        };
        (0..self.series).map(make).collect()
    }

    fn encode(&self, series: &[Series]) -> Vec<u8> {
        let columns: Vec<_> = series.iter().map(Series::columns).collect();
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
    shapes.extend((0..6).map(kind));
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
