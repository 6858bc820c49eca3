//! A year of minutes through the main methods: what reads and merges pay.

use divan::Bencher;
use divan::counter::ItemsCount;
use nephometer_model::{AggregationMethod, MethodSet, Timespan};
use nephometer_series::matrix::{CrossMethod, Fill, Matrix};
use nephometer_series::{Duplicates, Grouping, Points, aggregate, aggregate_many, sort_and_deduplicate};

const POINTS: usize = 525_600;
const SECOND_NS: i64 = 1_000_000_000;
const START_NS: i64 = 1_767_225_600 * SECOND_NS;

/// What the server runs on: the system's own gives large columns back and faults them in again each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// A value a minute for a year: a wave with noise.
fn year() -> Points {
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    (0_i32..)
        .take(POINTS)
        .map(|minute| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let wave = (f64::from(minute) / 700.0).sin() * 40.0;
            (START_NS + i64::from(minute) * 60 * SECOND_NS, wave + (noise >> 40) as f64 / 1e6)
        })
        .collect()
}

fn method(name: &str) -> AggregationMethod {
    AggregationMethod::parse(name).expect("a method's name")
}

#[divan::bench(
    args = ["mean", "sum", "min", "max", "last", "count", "std", "median", "95pct", "rate:mean"],
    consts = [60, 3600, 86400],
)]
fn one_method<const SECONDS: i64>(bencher: Bencher<'_, '_>, name: &str) {
    let (raw, method) = (year(), method(name));
    bencher
        .counter(ItemsCount::new(POINTS))
        .bench(|| aggregate(&raw.timestamps_ns, &raw.values, None, Timespan::from_seconds(SECONDS), method));
}

#[divan::bench(consts = [60, 3600])]
fn default_methods<const SECONDS: i64>(bencher: Bencher<'_, '_>) {
    let raw = year();
    let methods: Vec<AggregationMethod> = MethodSet::upstream_default().iter().collect();
    bencher.counter(ItemsCount::new(POINTS)).bench(|| {
        aggregate_many(&raw.timestamps_ns, &raw.values, None, Timespan::from_seconds(SECONDS), &methods)
    });
}

#[divan::bench]
fn all_methods_hourly(bencher: Bencher<'_, '_>) {
    let raw = year();
    let methods: Vec<AggregationMethod> = AggregationMethod::all().collect();
    bencher.counter(ItemsCount::new(POINTS)).bench(|| {
        aggregate_many(&raw.timestamps_ns, &raw.values, None, Timespan::from_seconds(3600), &methods)
    });
}

#[divan::bench(args = ["sorted", "shuffled"])]
fn deduplicate(bencher: Bencher<'_, '_>, order: &str) {
    let mut raw = year();
    if order == "shuffled" {
        // 7919 shares no factor with the number of points, so that every one is visited once.
        raw = Points {
            timestamps_ns: (0..POINTS).map(|at| raw.timestamps_ns[at * 7919 % POINTS]).collect(),
            values: (0..POINTS).map(|at| raw.values[at * 7919 % POINTS]).collect(),
        };
    }
    bencher.counter(ItemsCount::new(POINTS)).with_inputs(|| raw.clone()).bench_values(|mut raw| {
        sort_and_deduplicate(&mut raw.timestamps_ns, &mut raw.values, Duplicates::Newest);
        raw
    });
}

#[divan::bench(args = ["mean", "std", "median"])]
fn across_hundred_series(bencher: Bencher<'_, '_>, name: &str) {
    let whole = year();
    let part = |from: usize| Points {
        timestamps_ns: whole.timestamps_ns[from..from + 5000].to_vec(),
        values: whole.values[from..from + 5000].to_vec(),
    };
    let series: Vec<Points> = (0..100).map(|at| part(at % 7)).collect();
    let method = CrossMethod::parse(name).expect("a method's name");
    bencher.counter(ItemsCount::new(500_000_usize)).bench(|| {
        Matrix::align(Grouping::Span(Timespan::from_seconds(60)), &series, Fill::DropNa).aggregate(method)
    });
}
