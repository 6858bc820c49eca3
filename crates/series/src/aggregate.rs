//! From measures to aggregates, and from aggregates to coarser ones.
//!
//! Every method is computed as Gnocchi's `carbonara` defines it, with two accidents mended: buckets are found with
//! integers, and a difference is taken against the measure before, however long ago that was.

use nephometer_model::{AggregationMethod, Reducer, Timespan};

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

/// As [`aggregate`] for several methods at once, in their order: the search for buckets, differences, sums and sorting
/// are shared.
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
    let buckets = Buckets::of(timestamps_ns, grouping);
    let mut results = vec![Points::default(); methods.len()];
    if methods.iter().any(|method| method.rate) {
        let differences = differences(values, previous.map(|(_, value)| value));
        let later;
        let buckets = if previous.is_some() {
            &buckets
        } else {
            later = buckets.without_first_point();
            &later
        };
        reduce(buckets, &differences, methods, true, &mut results);
    }
    reduce(&buckets, values, methods, false, &mut results);
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
    buckets: &Buckets,
    values: &[f64],
    methods: &[AggregationMethod],
    rate: bool,
    results: &mut [Points],
) {
    let mut reduction = Reduction { buckets, values, sums: None };
    let mut ranked = Vec::new();
    for (at, method) in methods.iter().enumerate().filter(|(_, method)| method.rate == rate) {
        match method.reducer {
            Reducer::Median => ranked.push((at, Rank::Median)),
            Reducer::Percentile(percent) => ranked.push((at, Rank::Percent(percent))),
            reducer => results[at] = reduction.points(reducer),
        }
    }
    if ranked.is_empty() {
        return;
    }
    let ranks: Vec<Rank> = ranked.iter().map(|(_, rank)| *rank).collect();
    for ((at, _), column) in ranked.iter().zip(order::ranks(buckets, values, &ranks)) {
        results[*at] = Points { timestamps_ns: buckets.starts_ns.clone(), values: column };
    }
}

/// The reductions that need no order, with what they share.
struct Reduction<'a> {
    buckets: &'a Buckets,
    values: &'a [f64],
    sums: Option<Vec<f64>>,
}

impl Reduction<'_> {
    fn points(&mut self, reducer: Reducer) -> Points {
        let values = match reducer {
            Reducer::Std => return self.std(),
            Reducer::Sum => self.sums().to_vec(),
            Reducer::Mean => self.means(),
            Reducer::Min => self.each(min),
            Reducer::Max => self.each(max),
            Reducer::First => self.each(|slice| slice[0]),
            Reducer::Last => self.each(|slice| slice[slice.len() - 1]),
            Reducer::Count => self.each(|slice| slice.len() as f64),
            Reducer::Median | Reducer::Percentile(_) => Vec::new(),
        };
        Points { timestamps_ns: self.buckets.starts_ns.clone(), values }
    }

    fn each(&self, reduce: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        self.buckets.slices(self.values).map(reduce).collect()
    }

    fn sums(&mut self) -> &[f64] {
        if self.sums.is_none() {
            self.sums = Some(self.each(|slice| slice.iter().fold(0.0, |sum, value| sum + value)));
        }
        self.sums.as_deref().unwrap_or_default()
    }

    fn means(&mut self) -> Vec<f64> {
        let mut means = self.sums().to_vec();
        for (mean, slice) in means.iter_mut().zip(self.buckets.slices(self.values)) {
            *mean /= slice.len() as f64;
        }
        means
    }

    fn std(&mut self) -> Points {
        self.sums();
        let sums = self.sums.as_deref().unwrap_or_default();
        let slices = self.buckets.slices(self.values);
        self.buckets
            .starts_ns
            .iter()
            .zip(slices.zip(sums))
            .filter(|(_, (slice, _))| slice.len() > 1)
            .map(|(start_ns, (slice, sum))| (*start_ns, sample_deviation(slice, *sum)))
            .collect()
    }
}

fn sample_deviation(values: &[f64], sum: f64) -> f64 {
    let n = values.len() as f64;
    let mean = sum / n;
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
