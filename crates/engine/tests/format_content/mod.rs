//! What the fixtures hold: a little of everything that the formats have a form for. Never to be changed.

use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_engine::wal::Record;
use nephometer_model::{AggregationMethod, PolicyKey, SeriesKey};
use nephometer_series::codec::ColumnId;

const SECOND_NS: i64 = 1_000_000_000;
const START_NS: i64 = 1_700_000_000 * SECOND_NS;

/// A series of a raw part.
pub(crate) struct Series {
    /// Its key.
    pub(crate) key: u64,
    /// Its policy.
    pub(crate) policy: u32,
    /// When.
    pub(crate) timestamps_ns: Vec<i64>,
    /// What.
    pub(crate) values: Vec<f64>,
}

/// A series of a rollup part.
pub(crate) struct RollupSeries {
    /// Its key.
    pub(crate) key: u64,
    /// Width of its slots.
    pub(crate) granularity_ns: i64,
    /// Where raw begins.
    pub(crate) raw_floor_ns: i64,
    /// Starts of slots.
    pub(crate) slots_ns: Vec<i64>,
    /// Values.
    pub(crate) columns: Vec<(ColumnId, Vec<f64>)>,
}

/// Some numbers without a pattern, from a fixed generator.
fn noise(seed: u64, limit: i64) -> impl Fn(usize) -> i64 {
    move |i| {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ seed;
        let mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed >> 20) as i64).rem_euclid(limit)
    }
}

fn counter(seed: u64, limit: i64, n: usize, unit: i64) -> Vec<f64> {
    let step = noise(seed, limit);
    let mut at = 12_345;
    let mut next = |i| {
        at += step(i) * unit;
        at as f64
    };
    (0..n).map(&mut next).collect()
}

fn values(kind: u64, n: usize) -> Vec<f64> {
    let random = noise(kind, 1000);
    match kind % 9 {
        0 => counter(kind, 900_000_000, n, 1),
        1 => (0..n).map(|i| random(i) as f64 / 100.0).collect(),
        2 => vec![64.5; n],
        3 => (0..n).map(|i| random(i) as f64 / 7.0).collect(),
        4 => counter(kind, 40, n, 4096),
        5 => (0..n).map(|i| if random(i) < 700 { 0.0 } else { (random(i) * 7001) as f64 }).collect(),
        6 => (0..n).map(|i| [f64::NAN, -0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324][i % 5]).collect(),
        7 => vec![f64::from_bits(0x7ff8_0000_0000_1234); n],
        _ => (0..n).map(|i| -(random(i) as f64)).collect(),
    }
}

fn times(kind: u64, n: usize) -> Vec<i64> {
    let random = noise(kind + 99, 100);
    match kind % 4 {
        0 | 1 => (0..n as i64).map(|i| START_NS + i * 60 * SECOND_NS).collect(),
        2 => (0..n).map(|i| START_NS + i as i64 * 60 * SECOND_NS + random(i) * 1_000_003).collect(),
        _ => (0..n as i64).filter(|i| random(*i as usize) != 7).map(|i| START_NS + i * SECOND_NS).collect(),
    }
}

/// Short series of all kinds, then long ones.
pub(crate) fn raw_series() -> Vec<Series> {
    let short = (0..60_u64).map(|i| (i * i / 7 + i + 3, i, 1 + (i as usize * 37) % 90));
    let long = (0..9_u64).map(|i| (1 << (20 + 4 * i), i, 2100));
    let spanning = std::iter::once((u64::MAX, 1, 33_000));
    let series = |(key, kind, n): (u64, u64, usize)| {
        let timestamps_ns = times(kind / 2, n);
        let values = values(kind, timestamps_ns.len());
        Series { key, policy: if kind % 5 == 0 { u32::MAX } else { 3 }, timestamps_ns, values }
    };
    short.chain(long).chain(spanning).map(series).collect()
}

/// Rollups with equal, derived and independent columns.
pub(crate) fn rollup_series() -> Vec<RollupSeries> {
    let names = ["mean", "min", "max", "sum", "std", "count", "95pct", "rate:mean", "rate:sum", "rate:count"];
    let ids = names.map(|name| ColumnId::from(AggregationMethod::parse(name).unwrap()));
    let mut all = Vec::new();
    for key in [4_u64, 5, 90] {
        for granularity_ns in [300 * SECOND_NS, 3600 * SECOND_NS] {
            let n = 40 + key as usize;
            let base: Vec<_> = (0..n).map(|i| noise(key, 500)(i) as f64).collect();
            let counts = vec![if key == 4 { 1.0 } else { 60.0 }; n];
            let sums: Vec<_> =
                base.iter().zip(&counts).map(|(value, count)| value * count + count - 1.0).collect();
            let means: Vec<_> = sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect();
            let std =
                if key == 4 { vec![f64::NAN; n] } else { base.iter().map(|value| value.sqrt()).collect() };
            let columns = [
                means.clone(),
                base.clone(),
                base.clone(),
                sums.clone(),
                std,
                counts.clone(),
                base.iter().map(|value| value * 0.95).collect(),
                means,
                sums,
                counts,
            ];
            all.push(RollupSeries {
                key,
                granularity_ns,
                raw_floor_ns: START_NS,
                slots_ns: (0..n as i64).map(|i| (i + i / 9) * granularity_ns).collect(),
                columns: ids.into_iter().zip(columns).skip(usize::from(key == 90)).collect(),
            });
        }
    }
    all
}

/// Records of all kinds.
pub(crate) fn records() -> Vec<Record> {
    let run = |key, policy, len| SeriesRun { key: SeriesKey(key), policy: PolicyKey(policy), len };
    let mut many = WriteBatch::default();
    for kind in 0..9 {
        let timestamps_ns = times(kind / 2, 12);
        many.runs.push(run(kind / 2 * 5 + kind, kind as u32 / 4, timestamps_ns.len() as u32));
        many.values.extend(values(kind, timestamps_ns.len()));
        many.timestamps_ns.extend(timestamps_ns);
    }
    let unsorted = WriteBatch {
        runs: vec![run(u64::MAX, u32::MAX, 3), run(1, 1, 1)],
        timestamps_ns: vec![3 * SECOND_NS, SECOND_NS, SECOND_NS, i64::MAX],
        values: vec![0.1, 0.25, -7.0, 9e15],
    };
    // Rounds that build on one another, a record of long runs among them that builds on nothing.
    let round = |minute: usize, len: usize| {
        let mut batch = WriteBatch::default();
        for kind in 0..9 {
            batch.runs.push(run(1000 + kind * 300, 3, len as u32));
            batch.values.extend(&values(kind, 100)[minute..minute + len]);
            batch
                .timestamps_ns
                .extend((minute..minute + len).map(|at| START_NS + at as i64 * 60 * SECOND_NS));
        }
        Record::Write(batch)
    };
    let rounds = [(0, 1), (1, 1), (2, 1), (3, 40), (43, 1), (44, 5), (49, 1)];
    let mut all = vec![
        Record::Write(many),
        Record::DeleteSpan { key: SeriesKey(7), start_ns: START_NS, stop_ns: i64::MAX },
        Record::Write(unsorted),
        Record::DeleteSeries(vec![SeriesKey(1), SeriesKey(u64::MAX)]),
        Record::Write(WriteBatch::default()),
    ];
    all.extend(rounds.map(|(minute, len)| round(minute, len)));
    all
}
