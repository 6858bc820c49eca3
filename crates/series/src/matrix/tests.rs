//! Operations across series against worked examples and against definitions written out.

use nephometer_model::{AggregationMethod, Timespan};
use proptest::prelude::*;

use super::*;
use crate::operators::{BinaryOp, UnaryOp};

const SECOND: i64 = 1_000_000_000;
const GRANULARITY: Grouping = Grouping::Span(Timespan::from_seconds(1));

fn points(seconds: &[(i64, f64)]) -> Points {
    seconds.iter().map(|(at, value)| (at * SECOND, *value)).collect()
}

/// Two series that share three of five timestamps.
fn pair(fill: Fill) -> Matrix {
    let a = points(&[(0, 1.0), (10, 4.0), (20, 9.0), (30, -2.0)]);
    let b = points(&[(10, 2.0), (20, 3.0), (30, 5.0), (40, 8.0)]);
    Matrix::align(GRANULARITY, &[a, b], fill)
}

fn only(matrix: &Matrix, column: usize) -> Vec<(i64, f64)> {
    matrix.points(column, true).map(|(at, value)| (at / SECOND, value)).collect()
}

fn a() -> Matrix {
    let a = points(&[(0, 1.0), (10, 4.0), (20, 9.0), (30, -2.0)]);
    Matrix::align(GRANULARITY, &[a], Fill::DropNa)
}

fn method(name: &str) -> CrossMethod {
    CrossMethod::parse(name).unwrap()
}

fn stored(name: &str) -> AggregationMethod {
    AggregationMethod::parse(name).unwrap()
}

fn series(operand: Operand) -> Matrix {
    let Operand::Series(matrix) = operand else { panic!("series expected") };
    matrix
}

#[test]
fn aggregates_across_series() {
    let across = |name| only(&pair(Fill::DropNa).aggregate(method(name)), 0);
    assert_eq!(across("mean"), [(0, 1.0), (10, 3.0), (20, 6.0), (30, 1.5), (40, 8.0)]);
    assert_eq!(across("std"), [(0, 0.0), (10, 1.0), (20, 3.0), (30, 3.5), (40, 0.0)]);
    assert_eq!(across("var"), [(0, 0.0), (10, 1.0), (20, 9.0), (30, 12.25), (40, 0.0)]);
    assert_eq!(across("rate:mean"), [(10, 2.0), (20, 3.0), (30, -4.5), (40, 6.5)]);
    assert_eq!(across("count"), [(0, 1.0), (10, 2.0), (20, 2.0), (30, 2.0), (40, 1.0)]);
    assert_eq!(across("median"), across("mean"));
    assert_eq!(across("max"), [(0, 1.0), (10, 4.0), (20, 9.0), (30, 5.0), (40, 8.0)]);
    assert_eq!(across("min"), [(0, 1.0), (10, 2.0), (20, 3.0), (30, -2.0), (40, 8.0)]);
}

#[test]
fn rolling_windows() {
    let rolled = |name, window| only(&a().rolling(method(name), window).unwrap(), 0);
    assert_eq!(rolled("mean", 2), [(10, 2.5), (20, 6.5), (30, 3.5)]);
    assert_eq!(rolled("rate:mean", 2), [(20, 4.0), (30, -3.0)]);
    assert_eq!(rolled("median", 3), [(20, 4.0), (30, 4.0)]);
    let error = a().rolling(method("mean"), 10).unwrap_err();
    assert_eq!(error.to_string(), "Rolling window '10' is greater than serie length '4'");
}

#[test]
fn resamples_each_series() {
    let span = Grouping::Span(Timespan::from_seconds(20));
    let both = pair(Fill::DropNa).resample(span, stored("mean"));
    assert_eq!(both.granularity, span);
    assert_eq!(only(&both, 0), [(0, 2.5), (20, 3.5)]);
    assert_eq!(only(&both, 1), [(20, 4.0), (40, 8.0)]);
    let std = a().resample(span, stored("std"));
    assert_eq!(only(&std, 0), [(0, 2.121_320_343_559_642_4), (20, 7.778_174_593_052_022_5)]);
}

#[test]
fn element_wise() {
    let matrix = pair(Fill::DropNa);
    let both = |op| {
        let (a, b) = (matrix.select(&[0]), matrix.select(&[1]));
        only(&series(binary(op, Operand::Series(a), Operand::Series(b)).unwrap()), 0)
    };
    assert_eq!(both(BinaryOp::Add), [(10, 6.0), (20, 12.0), (30, 3.0)]);
    assert_eq!(both(BinaryOp::Max), [(0, 1.0), (10, 4.0), (20, 9.0), (30, 5.0), (40, 8.0)]);
    let modulo = binary(BinaryOp::Mod, Operand::Series(a()), Operand::Number(3.0)).unwrap();
    assert_eq!(series(modulo).columns[0], [1.0, 1.0, 0.0, 1.0]);
    let negated = binary(BinaryOp::Sub, Operand::Number(0.0), Operand::Series(a())).unwrap();
    assert_eq!(negated, unary(UnaryOp::Neg, Operand::Series(a())));
    let clipped = clip(Operand::Series(a()), Operand::Number(0.0), Some(Operand::Number(5.0))).unwrap();
    assert_eq!(series(clipped).columns[0], [1.0, 4.0, 5.0, 0.0]);
    let raised = clip(Operand::Series(a()), Operand::Number(2.0), None).unwrap();
    assert_eq!(series(raised).columns[0], [2.0, 4.0, 9.0, 2.0]);
}

#[test]
fn one_column_meets_many() {
    let many = pair(Fill::Value(0.0));
    let one = many.select(&[0]);
    let difference = |l: &Matrix, r: &Matrix| {
        series(binary(BinaryOp::Sub, Operand::Series(l.clone()), Operand::Series(r.clone())).unwrap()).columns
    };
    assert_eq!(difference(&many, &one)[1], [-1.0, -2.0, -6.0, 7.0, 8.0]);
    assert_eq!(difference(&one, &many)[0], [0.0; 5]);
    let three = Matrix::join([many.clone(), one]).unwrap().unwrap();
    assert_eq!(three.columns.len(), 3);
    let error = binary(BinaryOp::Add, Operand::Series(three.clone()), Operand::Series(many.clone()));
    assert_eq!(error, Err(OperationError::DifferentColumns { left: 3, right: 2 }));
    let error = binary(BinaryOp::Add, Operand::Series(three), Operand::Series(a()));
    assert_eq!(error, Err(OperationError::DifferentRows));
    assert_eq!(Matrix::join([many, a()]), Err(OperationError::DifferentRows));
    assert_eq!(Matrix::join([]), Ok(None));
}

#[test]
fn rates_of_change() {
    assert_eq!(only(&a().rate_of_change(), 0), [(10, 3.0), (20, 5.0), (30, -11.0)]);
    let per_second = a().rate_of_change_per_second();
    assert!(per_second.columns[0][0].is_nan());
    assert_eq!(only(&per_second, 0), [(10, 0.3), (20, 0.5), (30, -1.1)]);
    let empty = Matrix::align(GRANULARITY, &[Points::default()], Fill::Null);
    assert_eq!(empty.clone().rate_of_change(), empty);
    assert_eq!(empty.clone().rate_of_change_per_second(), empty);
    assert_eq!(empty.clone().aggregate(method("rate:sum")), empty);
}

#[test]
fn overlap_is_cut_and_measured() {
    let mut bounded = pair(Fill::Null);
    let error = bounded.require_overlap(80.0, true, true).unwrap_err();
    assert_eq!(error.to_string(), "Less than 80.000000% of datapoints overlap in this timespan (60.00%)");
    let mut open = pair(Fill::Null);
    open.require_overlap(100.0, false, false).unwrap();
    assert_eq!(open.timestamps_ns, [10, 20, 30].map(|s| s * SECOND));
    let mut open = pair(Fill::Null);
    open.require_overlap(0.0, false, true).unwrap();
    assert_eq!(open.timestamps_ns, [10, 20, 30, 40].map(|s| s * SECOND));
    let mut apart = Matrix::align(GRANULARITY, &[points(&[(1, 1.0)]), points(&[(2, 1.0)])], Fill::Null);
    assert_eq!(apart.require_overlap(1.0, false, false).unwrap_err().to_string(), "No overlap");
    assert_eq!(apart.require_overlap(0.0, false, false), Ok(()));
    assert_eq!(apart.timestamps_ns.len(), 2);
    let mut empty = Matrix::align(GRANULARITY, &[Points::default(), Points::default()], Fill::Null);
    assert_eq!(empty.require_overlap(50.0, false, false), Err(OverlapError::Nothing));
}

#[test]
fn a_series_without_points_leaves_nothing_of_a_difference() {
    for fill in ["dropna", "ffill", "bfill", "full_ffill", "full_bfill"] {
        let series_of = [points(&[(1, 1.0), (2, 2.0)]), Points::default()];
        let matrix = Matrix::align(GRANULARITY, &series_of, Fill::parse(fill).unwrap());
        let (full, empty) = (matrix.select(&[0]), matrix.select(&[1]));
        let difference = binary(BinaryOp::Sub, Operand::Series(full), Operand::Series(empty)).unwrap();
        assert!(only(&series(difference), 0).is_empty(), "{fill}");
    }
}

/// A day of 2023-11-21 by its hour, minute and second.
fn at(hour: i64, minute: i64, second: i64) -> i64 {
    1_700_524_800 + hour * 3600 + minute * 60 + second
}

#[test]
fn fills_before_subtracting() {
    let rows = [at(8, 46, 34), at(8, 47, 9), at(8, 48, 33), at(8, 49, 23), at(8, 50, 11)];
    let m3 = points(&[(rows[1], 19.5), (rows[2], 32.0), (rows[3], 11.3)]);
    let m4 = points(&[(rows[0], 1.2), (rows[2], 4.2), (rows[3], 3.0), (rows[4], 4.9)]);
    let gap = f64::NAN;
    for (fill, expected) in [
        ("dropna", [gap, gap, 27.8, 8.3, gap]),
        ("ffill", [gap, 18.3, 27.8, 8.3, 6.4]),
        ("bfill", [18.3, 15.3, 27.8, 8.3, gap]),
        ("full_ffill", [18.3, 18.3, 27.8, 8.3, 6.4]),
        ("full_bfill", [18.3, 15.3, 27.8, 8.3, 6.4]),
    ] {
        let matrix = Matrix::align(GRANULARITY, &[m3.clone(), m4.clone()], Fill::parse(fill).unwrap());
        let (m3, m4) = (matrix.select(&[0]), matrix.select(&[1]));
        let difference = binary(BinaryOp::Sub, Operand::Series(m3), Operand::Series(m4)).unwrap();
        let mean = series(difference).aggregate(method("mean"));
        for (value, expected) in mean.columns[0].iter().zip(expected) {
            let same = (value - expected).abs() < 1e-12 || value.is_nan() && expected.is_nan();
            assert!(same, "{fill}: {value} {expected}");
        }
    }
}

#[test]
fn fill_with_a_number_or_nothing() {
    let day = 1_425_600_000 + 14 * 3600;
    let first = points(&[(day + 33 * 60 + 57, 43.1), (day + 34 * 60 + 12, 12.0)]);
    let second = points(&[(day + 33 * 60 + 57, 3.1), (day + 34 * 60 + 12, 2.0), (day + 35 * 60 + 12, 5.0)]);
    let mean = |fill| {
        let matrix = Matrix::align(GRANULARITY, &[first.clone(), second.clone()], fill);
        matrix.aggregate(method("mean")).columns.remove(0)
    };
    assert_eq!(mean(Fill::Value(0.0)), [23.1, 7.0, 2.5]);
    assert_eq!(mean(Fill::Null), [23.1, 7.0, 5.0]);
    let wide = Grouping::Span(Timespan::from_seconds(300));
    let stored_means = [&first, &second].map(|raw| resample(raw, wide, stored("mean")));
    let across = |fill, name| Matrix::align(wide, &stored_means, fill).aggregate(method(name));
    let buckets = [day + 30 * 60, day + 35 * 60];
    assert_eq!(only(&across(Fill::Value(0.0), "mean"), 0), [(buckets[0], 15.05), (buckets[1], 2.5)]);
    assert_eq!(across(Fill::Null, "min").columns[0], [2.55, 5.0]);
}

#[test]
fn nothing_but_gaps() {
    let gap = Points { timestamps_ns: vec![0, SECOND], values: vec![f64::NAN; 2] };
    let reduced = |name| {
        let matrix = Matrix::align(GRANULARITY, &[gap.clone(), gap.clone()], Fill::Null);
        matrix.aggregate(method(name)).columns.remove(0)[1]
    };
    assert_eq!((reduced("sum"), reduced("count")), (0.0, 0.0));
    for name in ["mean", "median", "std", "min", "max", "var"] {
        assert!(reduced(name).is_nan(), "{name}");
    }
}

#[test]
fn method_names_round_trip() {
    for rate in ["", "rate:"] {
        for reducer in CrossReducer::ALL {
            let name = format!("{rate}{}", reducer.name());
            assert_eq!(method(&name).to_string(), name);
        }
    }
    assert!(["last", "rate:", "Mean", "95pct"].iter().all(|name| CrossMethod::parse(name).is_none()));
}

fn cell() -> impl Strategy<Value = f64> {
    prop_oneof![1 => Just(f64::NAN), 4 => (-100..100_i32).prop_map(|v| f64::from(v) / 4.0)]
}

fn naive(name: &str, cells: &[f64]) -> f64 {
    let mut numbers: Vec<f64> = cells.iter().copied().filter(|v| !v.is_nan()).collect();
    numbers.sort_by(f64::total_cmp);
    let n = numbers.len() as f64;
    let sum: f64 = numbers.iter().fold(0.0, |a, b| a + b);
    let var = numbers.iter().map(|v| (v - sum / n).powi(2)).fold(0.0, |a, b| a + b) / n;
    match name {
        "sum" => sum,
        "count" => n,
        "mean" => sum / n,
        "var" => var,
        "std" => var.sqrt(),
        "min" => numbers.first().copied().unwrap_or(f64::NAN),
        "max" => numbers.last().copied().unwrap_or(f64::NAN),
        _ if numbers.is_empty() => f64::NAN,
        _ => (numbers[(numbers.len() - 1) / 2] + numbers[numbers.len() / 2]) / 2.0,
    }
}

fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

proptest! {
    #[test]
    fn reducing_rows_is_the_definition(
        columns in (1..12_usize, 1..6_usize).prop_flat_map(|(columns, rows)| {
            prop::collection::vec(prop::collection::vec(cell(), rows), columns)
        }),
    ) {
        let rows = columns[0].len();
        let timestamps_ns: Vec<i64> = (0..rows as i64).collect();
        let matrix = Matrix { granularity: GRANULARITY, timestamps_ns, columns };
        for reducer in CrossReducer::ALL {
            let result = matrix.clone().aggregate(CrossMethod { rate: false, reducer });
            for row in 0..rows {
                let cells: Vec<f64> = matrix.columns.iter().map(|column| column[row]).collect();
                let expected = naive(reducer.name(), &cells);
                prop_assert!(close(result.columns[0][row], expected), "{} {cells:?}", reducer.name());
            }
        }
    }

    #[test]
    fn rolling_is_the_definition(column in prop::collection::vec(cell(), 1..300), window in 1..300_usize) {
        let window = window.min(column.len());
        let timestamps_ns: Vec<i64> = (0..column.len() as i64).collect();
        let matrix = Matrix { granularity: GRANULARITY, timestamps_ns, columns: vec![column.clone()] };
        for reducer in CrossReducer::ALL {
            let rolled = matrix.clone().rolling(CrossMethod { rate: false, reducer }, window).unwrap();
            prop_assert_eq!(&rolled.timestamps_ns, &matrix.timestamps_ns[window - 1..]);
            for (value, cells) in rolled.columns[0].iter().zip(column.windows(window)) {
                prop_assert!(close(*value, naive(reducer.name(), cells)), "{}", reducer.name());
            }
        }
    }

    #[test]
    fn aligning_keeps_every_point_and_invents_none(
        series in prop::collection::vec(prop::collection::btree_map(0..40_i64, -9..9_i32, 0..20), 1..6),
    ) {
        let series: Vec<Points> = series
            .iter()
            .map(|points| points.iter().map(|(at, value)| (*at, f64::from(*value))).collect())
            .collect();
        let matrix = Matrix::align(GRANULARITY, &series, Fill::Null);
        prop_assert!(matrix.timestamps_ns.is_sorted_by(|a, b| a < b));
        for (column, points) in series.iter().enumerate() {
            prop_assert_eq!(&matrix.points(column, true).collect::<Points>(), points);
        }
    }
}
