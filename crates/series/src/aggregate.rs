//! From measures to aggregates, and from aggregates to coarser ones.
//!
//! Every method is computed as Gnocchi's `carbonara` defines it, with two accidents mended: buckets are found with
//! integers, and a difference is taken against the measure before, however long ago that was.

mod stream;

use nephometer_model::{AggregationMethod, Reducer, Timespan};

pub use stream::Aggregation;

use crate::buckets::Buckets;
use crate::grouping::Grouping;
use crate::order::{self, Rank};
use crate::points::Points;

/// Aggregates measures with ascending, unique timestamps into buckets of `granularity` (positive), counted from the
/// epoch. `previous` is the measure before the first one, which only `rate:` methods use: the first measure of all
/// has no difference. Buckets without a value are absent: those without measures, and for `std` those with only one.
pub fn aggregate(
    timestamps_ns: &[i64],
    values: &[f64],
    previous: Option<(i64, f64)>,
    granularity: Timespan,
    method: AggregationMethod,
) -> Points {
    let grouping = Grouping::Span(granularity);
    aggregate_groups(timestamps_ns, values, previous, grouping, &[method]).pop().unwrap_or_default()
}

/// As [`aggregate`] for several methods at once, in their order: the search for buckets, differences and sorting are
/// shared.
pub fn aggregate_many(
    timestamps_ns: &[i64],
    values: &[f64],
    previous: Option<(i64, f64)>,
    granularity: Timespan,
    methods: &[AggregationMethod],
) -> Vec<Points> {
    aggregate_groups(timestamps_ns, values, previous, Grouping::Span(granularity), methods)
}

/// Regroups stored aggregates: the same method over the points themselves, so that `count` counts points and a mean
/// is a mean of means. A `rate:` method differences the points first, across groups; the first point has none.
pub fn resample(points: &Points, grouping: Grouping, method: AggregationMethod) -> Points {
    aggregate_groups(&points.timestamps_ns, &points.values, None, grouping, &[method])
        .pop()
        .unwrap_or_default()
}

fn aggregate_groups(
    timestamps_ns: &[i64],
    values: &[f64],
    previous: Option<(i64, f64)>,
    grouping: Grouping,
    methods: &[AggregationMethod],
) -> Vec<Points> {
    debug_assert_eq!(timestamps_ns.len(), values.len(), "columns have one length");
    debug_assert!(timestamps_ns.is_sorted_by(|a, b| a < b), "timestamps ascend and are unique");
    let mut buckets = Buckets::of(timestamps_ns, grouping);
    let mut results = vec![Points::default(); methods.len()];
    let rates = methods.iter().filter(|method| method.rate).count();
    if rates == 0 {
        reduce(buckets, values, methods, false, &mut results);
        return results;
    }
    if rates < methods.len() {
        reduce(buckets.clone(), values, methods, false, &mut results);
    }
    if previous.is_none() {
        buckets.drop_first_point();
    }
    let differences = differences(values, previous.map(|(_, value)| value));
    reduce(buckets, &differences, methods, true, &mut results);
    results
}

/// Each value less the one before; the first one, where nothing is before, is NaN and belongs to no bucket.
fn differences(values: &[f64], previous: Option<f64>) -> Vec<f64> {
    let Some(first) = values.first() else { return Vec::new() };
    let mut differences = Vec::with_capacity(values.len());
    differences.push(previous.map_or(f64::NAN, |previous| first - previous));
    differences.extend(values.windows(2).map(|pair| pair[1] - pair[0]));
    differences
}

/// Fills the results of those methods whose `rate` is the one given.
fn reduce(
    buckets: Buckets,
    values: &[f64],
    methods: &[AggregationMethod],
    rate: bool,
    results: &mut [Points],
) {
    let each = |reduce: fn(&[f64]) -> f64| buckets.slices(values).map(reduce).collect();
    let (mut ranked, mut whole) = (Vec::new(), Vec::new());
    for (at, method) in methods.iter().enumerate().filter(|(_, method)| method.rate == rate) {
        let column: Vec<f64> = match method.reducer {
            Reducer::Std => {
                results[at] = deviations(&buckets, values);
                continue;
            }
            Reducer::Median => {
                ranked.push((at, Rank::Median));
                continue;
            }
            Reducer::Percentile(percent) => {
                ranked.push((at, Rank::Percent(percent)));
                continue;
            }
            Reducer::Sum => each(sum),
            Reducer::Mean => each(|slice| sum(slice) / slice.len() as f64),
            Reducer::Min => each(min),
            Reducer::Max => each(max),
            Reducer::First => each(|slice| slice[0]),
            Reducer::Last => each(|slice| slice[slice.len() - 1]),
            Reducer::Count => each(|slice| slice.len() as f64),
        };
        whole.push((at, column));
    }
    let ranks: Vec<Rank> = ranked.iter().map(|(_, rank)| *rank).collect();
    if !ranks.is_empty() {
        let columns = order::ranks(&buckets, values, &ranks);
        whole.extend(ranked.iter().map(|(at, _)| *at).zip(columns));
    }
    place(whole, buckets.starts_ns, results);
}

/// Gives each column its timestamps, the last one without a copy.
fn place(mut columns: Vec<(usize, Vec<f64>)>, starts_ns: Vec<i64>, results: &mut [Points]) {
    let Some((last, values)) = columns.pop() else { return };
    for (at, values) in columns {
        results[at] = Points { timestamps_ns: starts_ns.clone(), values };
    }
    results[last] = Points { timestamps_ns: starts_ns, values };
}

/// The sample standard deviation of each bucket of two measures or more.
fn deviations(buckets: &Buckets, values: &[f64]) -> Points {
    let starts_ns = buckets.starts_ns.iter().copied();
    starts_ns
        .zip(buckets.slices(values))
        .filter(|(_, slice)| slice.len() > 1)
        .map(|(start_ns, slice)| (start_ns, sample_deviation(slice)))
        .collect()
}

/// From the first to the last: the order decides the last bit.
fn sum(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |sum, value| sum + value)
}

fn sample_deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = sum(values) / n;
    let squares = values.iter().fold(0.0, |squares, value| {
        let distance = value - mean;
        squares + distance * distance
    });
    (squares / (n - 1.0)).sqrt()
}

const LANES: usize = 8;

/// The smallest value that is a number; NaN where there is none.
fn min(values: &[f64]) -> f64 {
    let smaller = |a: f64, b: f64| if b < a { b } else { a };
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f64::INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = smaller(*lane, *value);
        }
    }
    let smallest = lanes.iter().chain(rest).fold(f64::INFINITY, |a, b| smaller(a, *b));
    let nothing = smallest == f64::INFINITY && values.iter().all(|value| value.is_nan());
    if nothing { f64::NAN } else { smallest }
}

/// The largest value; NaN where there is one.
fn max(values: &[f64]) -> f64 {
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f64::NEG_INFINITY; LANES];
    let mut strange = [false; LANES];
    for chunk in chunks {
        for ((lane, strange), value) in lanes.iter_mut().zip(&mut strange).zip(chunk) {
            *lane = larger(*lane, *value);
            *strange |= value.is_nan();
        }
    }
    let largest = lanes.iter().chain(rest).fold(f64::NEG_INFINITY, |a, b| larger(a, *b));
    let any_nan = strange.contains(&true) || rest.iter().any(|value| value.is_nan());
    if any_nan { f64::NAN } else { largest }
}

#[cfg(test)]
mod tests;
