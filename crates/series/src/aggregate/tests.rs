//! Aggregation and resampling against upstream's worked examples and against definitions written out.

use proptest::prelude::*;

use super::*;
use crate::grouping::Calendar;

const SECOND: i64 = 1_000_000_000;
const MINUTE: Timespan = Timespan::from_seconds(60);

fn method(name: &str) -> AggregationMethod {
    AggregationMethod::parse(name).unwrap()
}

fn points(seconds: &[(i64, f64)]) -> Points {
    seconds.iter().map(|(at, value)| (at * SECOND, *value)).collect()
}

/// Aggregates measures at whole seconds; gives buckets in whole seconds.
fn aggregated(measures: &[(i64, f64)], granularity: Timespan, name: &str) -> Vec<(i64, f64)> {
    let raw = points(measures);
    let result = aggregate(&raw.timestamps_ns, &raw.values, None, granularity, method(name));
    result.iter().map(|(at, value)| (at / SECOND, value)).collect()
}

/// All values in one bucket.
fn one_bucket(values: &[f64], name: &str) -> Option<f64> {
    let timestamps: Vec<i64> = (0..).take(values.len()).collect();
    let result = aggregate(&timestamps, values, None, MINUTE, method(name));
    assert!(result.len() <= 1);
    result.values.first().copied()
}

#[test]
fn one_bucket_by_every_method() {
    let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0];
    for (name, expected) in [
        ("mean", 3.9),
        ("sum", 39.0),
        ("min", 1.0),
        ("max", 9.0),
        ("first", 3.0),
        ("last", 3.0),
        ("count", 10.0),
        ("std", 2.469_817_807_045_693_8),
        ("median", 3.5),
        ("10pct", 1.0),
        ("25pct", 2.25),
        ("75pct", 5.0),
        ("90pct", 6.299_999_999_999_999),
        ("95pct", 7.649_999_999_999_999),
        ("99pct", 8.73),
    ] {
        let value = one_bucket(&values, name).unwrap();
        assert!((value - expected).abs() <= 1e-14, "{name}: {value}");
    }
}

#[test]
fn a_measure_that_is_not_a_number() {
    let values = [1.0, f64::NAN, 3.0, 2.0];
    for (name, expected) in
        [("min", 1.0), ("first", 1.0), ("last", 2.0), ("count", 4.0), ("median", 2.5), ("1pct", 1.03)]
    {
        assert_eq!(one_bucket(&values, name), Some(expected), "{name}");
    }
    for name in ["mean", "sum", "std", "max", "95pct"] {
        assert!(one_bucket(&values, name).unwrap().is_nan(), "{name}");
    }
    for name in ["min", "max", "median", "50pct"] {
        assert!(one_bucket(&[f64::NAN; 20], name).unwrap().is_nan(), "{name}");
    }
}

#[test]
fn infinities_are_values() {
    let values = [f64::INFINITY, 1.0, f64::INFINITY];
    assert_eq!(one_bucket(&values, "min"), Some(1.0));
    assert_eq!(one_bucket(&values, "max"), Some(f64::INFINITY));
    assert_eq!(one_bucket(&[f64::INFINITY; 9], "min"), Some(f64::INFINITY));
    assert_eq!(one_bucket(&[f64::NEG_INFINITY; 9], "max"), Some(f64::NEG_INFINITY));
    assert_eq!(one_bucket(&values, "median"), Some(f64::INFINITY));
    assert!(one_bucket(&values, "std").unwrap().is_nan());
}

#[test]
fn std_has_no_value_for_one_measure() {
    assert_eq!(one_bucket(&[5.0], "std"), None);
    assert_eq!(one_bucket(&[5.0, 5.0], "std"), Some(0.0));
    assert_eq!(aggregated(&[(0, 1.0), (1, 3.0), (60, 7.0)], MINUTE, "std"), [(0, 2.0_f64.sqrt())]);
}

/// 2015-03-06, seconds from 14:33.
fn rate_example() -> Vec<(i64, f64)> {
    let minutes: [(i64, &[i32]); 3] = [
        (70, &[13, 13, 15, 18, 20]),
        (120, &[22, 26, 30, 31, 37, 55]),
        (180, &[62, 100, 102, 103, 104, 110]),
    ];
    let mut measures = vec![(0, 10.0)];
    for (first, values) in minutes {
        measures.extend((first..).step_by(10).zip(values.iter().map(|value| f64::from(*value))));
    }
    measures
}

#[test]
fn rates_cross_buckets() {
    let raw = rate_example();
    for (name, expected) in [
        ("rate:mean", vec![(60, 2.0), (120, 5.833_333_333_333_333), (180, 9.166_666_666_666_666)]),
        ("rate:95pct", vec![(60, 3.0), (120, 15.0), (180, 30.25)]),
        ("rate:max", vec![(60, 3.0), (120, 18.0), (180, 38.0)]),
        ("max", vec![(0, 10.0), (60, 20.0), (120, 55.0), (180, 110.0)]),
    ] {
        assert_eq!(aggregated(&raw, MINUTE, name), expected, "{name}");
    }
}

#[test]
fn a_rate_needs_only_the_measure_before_however_old() {
    let raw = [(10, 1.0), (70, 2.0), (250, 5.0), (370, 4.0)];
    let whole = aggregated(&raw, MINUTE, "rate:mean");
    assert_eq!(whole, [(60, 1.0), (240, 3.0), (360, -1.0)]);
    let mut one_by_one = Vec::new();
    let mut previous = None;
    for (at, value) in raw {
        let result = aggregate(&[at * SECOND], &[value], previous, MINUTE, method("rate:mean"));
        one_by_one.extend(result.iter().map(|(at, value)| (at / SECOND, value)));
        previous = Some((at * SECOND, value));
    }
    assert_eq!(one_by_one, whole);
}

#[test]
fn nothing_aggregates_to_nothing() {
    let all: Vec<AggregationMethod> = AggregationMethod::all().collect();
    let results = aggregate_many(&[], &[], Some((0, 1.0)), MINUTE, &all);
    assert_eq!(results, vec![Points::default(); 216]);
    assert!(aggregate_many(&[1], &[1.0], None, MINUTE, &[]).is_empty());
}

#[test]
fn buckets_of_several_granularities() {
    let raw: Vec<(i64, f64)> = (0..10).map(|s| (s, s as f64)).chain([(13, 13.0)]).collect();
    assert_eq!(aggregated(&raw, MINUTE, "mean"), [(0, 5.272_727_272_727_272_5)]);
    assert_eq!(aggregated(&raw, Timespan::from_seconds(1), "mean"), raw);
    let noon = 12 * 3600;
    let raw = [(noon, 1234.2), (noon + 2, 456.0)];
    assert_eq!(aggregated(&raw, Timespan::from_seconds(3600), "mean"), [(noon, 845.1)]);
}

#[test]
fn resamples_by_calendar() {
    let day = |text: &str| format!("{text}T00:00Z").parse::<jiff::Timestamp>().unwrap().as_second();
    let daily = points(&[
        (day("2015-03-01"), 10.0),
        (day("2015-03-06"), 12.0),
        (day("2015-04-01"), 2.0),
        (day("2015-04-06"), 4.0),
        (day("2015-10-06"), 7.0),
        (day("2016-01-06"), 12.0),
        (day("2016-02-06"), 4.0),
    ]);
    for (letter, expected) in [
        ("Y", "2015-01-01 7 2016-01-01 8"),
        ("H", "2015-01-01 7 2015-07-01 7 2016-01-01 8"),
        ("Q", "2015-01-01 11 2015-04-01 3 2015-10-01 7 2016-01-01 8"),
        ("M", "2015-03-01 11 2015-04-01 3 2015-10-01 7 2016-01-01 12 2016-02-01 4"),
        ("W", "2015-03-01 11 2015-03-29 2 2015-04-05 4 2015-10-04 7 2016-01-03 12 2016-01-31 4"),
    ] {
        let calendar = Calendar::parse(letter).unwrap();
        let result = resample(&daily, Grouping::Calendar(calendar), method("mean"));
        let words: Vec<&str> = expected.split(' ').collect();
        let expected: Vec<(i64, f64)> =
            words.chunks(2).map(|pair| (day(pair[0]), pair[1].parse().unwrap())).collect();
        assert_eq!(result, points(&expected), "{letter}");
    }
    let rates = resample(&daily, Grouping::Calendar(Calendar::Year), method("rate:sum"));
    assert_eq!(rates, points(&[(day("2015-01-01"), -3.0), (day("2016-01-01"), -3.0)]));
}

#[test]
fn resampling_a_rate_differences_again() {
    let stored = points(&[(0, 1.0), (60, 4.0), (120, 9.0), (180, 3.0)]);
    let wide = Grouping::Span(Timespan::from_seconds(120));
    assert_eq!(resample(&stored, wide, method("rate:mean")), points(&[(0, 3.0), (120, -0.5)]));
    assert_eq!(resample(&stored, wide, method("count")), points(&[(0, 2.0), (120, 2.0)]));
}

/// What the method is, said plainly.
fn naive(reducer: Reducer, values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let sum = values.iter().fold(0.0, |sum, value| sum + value);
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b)));
    Some(match reducer {
        Reducer::Mean => sum / n,
        Reducer::Sum => sum,
        Reducer::Last => *values.last()?,
        Reducer::First => *values.first()?,
        Reducer::Count => n,
        Reducer::Min => sorted[0],
        Reducer::Max => sorted[sorted.len() - 1],
        Reducer::Median => (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0,
        Reducer::Std if values.len() < 2 => return None,
        Reducer::Std => {
            let squares = values.iter().map(|value| (value - sum / n) * (value - sum / n));
            (squares.fold(0.0, |sum, square| sum + square) / (n - 1.0)).sqrt()
        }
        Reducer::Percentile(percent) => {
            let rank = (n - 1.0) * (f64::from(percent) / 100.0);
            let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            let exact = rank.fract() == 0.0;
            if exact { low } else { low * (rank.ceil() - rank) + high * (rank - rank.floor()) }
        }
    })
}

fn naive_aggregate(
    raw: &[(i64, f64)],
    previous: Option<f64>,
    width: i64,
    method: AggregationMethod,
) -> Points {
    let mut before = previous;
    let mut buckets: Vec<(i64, Vec<f64>)> = Vec::new();
    for (at, value) in raw {
        let start = at.div_euclid(width) * width;
        let input = if method.rate { before.map(|before| value - before) } else { Some(*value) };
        before = Some(*value);
        let Some(input) = input else { continue };
        match buckets.last_mut() {
            Some((last, values)) if *last == start => values.push(input),
            _ => buckets.push((start, vec![input])),
        }
    }
    buckets.into_iter().filter_map(|(start, values)| Some((start, naive(method.reducer, &values)?))).collect()
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => -1e6..1e6_f64,
        20 => (-50..50_i32).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn measures() -> impl Strategy<Value = Vec<(i64, f64)>> {
    (-300..300_i64, prop::collection::vec((prop_oneof![3 => 1..5_i64, 1 => 1..200_i64], value()), 0..120))
        .prop_map(|(mut at, steps)| {
            let mut next = |step: i64| {
                at += step;
                at
            };
            steps.into_iter().map(|(step, value)| (next(step), value)).collect()
        })
}

fn bits(points: &Points) -> Vec<(i64, u64)> {
    let canonical = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
    points.iter().map(|(at, value)| (at, canonical(value).to_bits())).collect()
}

proptest! {
    #[test]
    fn every_method_is_its_definition(
        raw in measures(),
        width in 1..120_i64,
        previous in prop::option::of(value()),
        one in prop::sample::select(AggregationMethod::all().collect::<Vec<_>>()),
        several in prop::sample::subsequence(AggregationMethod::all().collect::<Vec<_>>(), 0..12),
    ) {
        let (timestamps, values): (Vec<i64>, Vec<f64>) = raw.iter().copied().unzip();
        let span = Timespan::from_ns(width);
        let measure_before = previous.map(|value| (-1_000_000, value));
        let single = aggregate(&timestamps, &values, measure_before, span, one);
        prop_assert_eq!(bits(&single), bits(&naive_aggregate(&raw, previous, width, one)), "{}", one);
        let many = aggregate_many(&timestamps, &values, measure_before, span, &several);
        for (method, result) in several.iter().zip(many) {
            let expected = naive_aggregate(&raw, previous, width, *method);
            prop_assert_eq!(bits(&result), bits(&expected), "{}", method);
        }
    }

    #[test]
    fn resampled_sums_and_extremes_are_those_of_the_wider_bucket(
        raw in measures(),
        width in 1..20_i64,
        times in 2..10_i64,
    ) {
        let timestamps: Vec<i64> = raw.iter().map(|(at, _)| *at).collect();
        let values: Vec<f64> = raw.iter().map(|(_, v)| if v.is_finite() { v.trunc() } else { 0.0 }).collect();
        let (narrow, wide) = (Timespan::from_ns(width), Timespan::from_ns(width * times));
        for name in ["sum", "min", "max", "first", "last"] {
            let stored = aggregate(&timestamps, &values, None, narrow, method(name));
            let direct = aggregate(&timestamps, &values, None, wide, method(name));
            prop_assert_eq!(resample(&stored, Grouping::Span(wide), method(name)), direct);
        }
    }

    #[test]
    fn batches_do_not_matter(raw in measures(), cut in 0..120_usize, width in 1..60_i64) {
        let cut = cut.min(raw.len());
        let (timestamps, values): (Vec<i64>, Vec<f64>) = raw.iter().copied().unzip();
        let span = Timespan::from_ns(width);
        let whole = aggregate(&timestamps, &values, None, span, method("rate:last"));
        let previous = cut.checked_sub(1).map(|at| raw[at]);
        let later = aggregate(&timestamps[cut..], &values[cut..], previous, span, method("rate:last"));
        let tail = whole.len() - later.len();
        prop_assert_eq!(&bits(&whole)[tail..], &bits(&later)[..]);
    }
}
