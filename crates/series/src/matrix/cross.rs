//! Reductions that ignore missing values: across series at each timestamp, and over the points of a window.
//!
//! Sums add in NumPy's order, so that results agree to the last bit: across series one after the other, within one
//! row of cells pairwise.

use std::fmt;

use super::Matrix;
use crate::order::{Rank, key_of};

/// How several values become one, NaN ignored. Without any number the sum and the count are 0, all else is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrossReducer {
    /// Arithmetic mean.
    Mean,
    /// Middle of the sorted values.
    Median,
    /// Standard deviation of the population (unlike the stored `std`).
    Std,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum.
    Sum,
    /// Variance of the population.
    Var,
    /// Number of values.
    Count,
}

/// A reducer, or as `rate:X` the differences of its consecutive results, without a first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrossMethod {
    /// Whether results are differenced.
    pub rate: bool,
    /// What reduces.
    pub reducer: CrossReducer,
}

impl CrossReducer {
    /// All of them, in upstream's order.
    pub const ALL: [Self; 8] =
        [Self::Mean, Self::Median, Self::Std, Self::Min, Self::Max, Self::Sum, Self::Var, Self::Count];

    /// Upstream's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Std => "std",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Var => "var",
            Self::Count => "count",
        }
    }

    /// Over one run of cells.
    pub(super) fn of(self, cells: &[f64]) -> f64 {
        match self {
            Self::Sum => sum(cells, &|value| value),
            Self::Count => count(cells),
            Self::Mean => sum(cells, &|value| value) / count(cells),
            Self::Min => cells.iter().copied().fold(f64::NAN, f64::min),
            Self::Max => cells.iter().copied().fold(f64::NAN, f64::max),
            Self::Var => variance(cells),
            Self::Std => variance(cells).sqrt(),
            Self::Median => median(&mut keys(cells)),
        }
    }
}

impl CrossMethod {
    /// The method called `name` (`mean`, `rate:max`, …).
    pub fn parse(name: &str) -> Option<Self> {
        let (rate, plain) = name.strip_prefix("rate:").map_or((false, name), |plain| (true, plain));
        let reducer = CrossReducer::ALL.into_iter().find(|reducer| reducer.name() == plain)?;
        Some(Self { rate, reducer })
    }
}

impl fmt::Display for CrossMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.rate { "rate:" } else { "" })?;
        f.write_str(self.reducer.name())
    }
}

impl Matrix {
    /// All series as one, reduced at each timestamp.
    #[must_use]
    pub fn aggregate(self, method: CrossMethod) -> Self {
        let column = match (method.reducer, self.timestamps_ns.len()) {
            (reducer, 0 | 1) => self.by_rows(|cells| reducer.of(cells)),
            (CrossReducer::Median, _) => self.by_rows(|cells| median(&mut keys(cells))),
            (reducer, _) => self.by_columns(reducer),
        };
        let result =
            Self { granularity: self.granularity, timestamps_ns: self.timestamps_ns, columns: vec![column] };
        if method.rate { result.rate_of_change() } else { result }
    }

    fn by_rows(&self, reduce: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let mut cells = Vec::with_capacity(self.columns.len());
        (0..self.timestamps_ns.len())
            .map(|row| {
                cells.clear();
                cells.extend(self.columns.iter().map(|column| column[row]));
                reduce(&cells)
            })
            .collect()
    }

    fn by_columns(&self, reducer: CrossReducer) -> Vec<f64> {
        match reducer {
            CrossReducer::Sum => self.fold(0.0, |sum, value| sum + or_zero(value)),
            CrossReducer::Count => self.fold(0.0, |count, value| count + one_if_number(value)),
            CrossReducer::Min => self.fold(f64::NAN, f64::min),
            CrossReducer::Max => self.fold(f64::NAN, f64::max),
            CrossReducer::Mean => self.means(),
            CrossReducer::Std => self.variances().into_iter().map(f64::sqrt).collect(),
            CrossReducer::Var => self.variances(),
            CrossReducer::Median => Vec::new(),
        }
    }

    fn fold(&self, initial: f64, combine: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let mut results = vec![initial; self.timestamps_ns.len()];
        for column in &self.columns {
            for (result, value) in results.iter_mut().zip(column) {
                *result = combine(*result, *value);
            }
        }
        results
    }

    fn means(&self) -> Vec<f64> {
        divided(self.by_columns(CrossReducer::Sum), &self.by_columns(CrossReducer::Count))
    }

    fn variances(&self) -> Vec<f64> {
        let means = self.means();
        let mut squares = vec![0.0; means.len()];
        for column in &self.columns {
            for ((square, mean), value) in squares.iter_mut().zip(&means).zip(column) {
                *square += squared_distance(*value, *mean);
            }
        }
        divided(squares, &self.by_columns(CrossReducer::Count))
    }
}

fn divided(mut sums: Vec<f64>, counts: &[f64]) -> Vec<f64> {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum /= count;
    }
    sums
}

fn or_zero(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

fn one_if_number(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { 1.0 }
}

/// Zero for a missing value; not for one whose distance is not a number, as from infinity to infinity.
fn squared_distance(value: f64, mean: f64) -> f64 {
    let distance = if value.is_nan() { 0.0 } else { value - mean };
    distance * distance
}

fn count(cells: &[f64]) -> f64 {
    cells.iter().filter(|value| !value.is_nan()).count() as f64
}

fn variance(cells: &[f64]) -> f64 {
    let n = count(cells);
    let mean = sum(cells, &|value| value) / n;
    sum(cells, &|value| squared_distance(value, mean)) / n
}

fn keys(cells: &[f64]) -> Vec<i64> {
    cells.iter().filter(|value| !value.is_nan()).map(|value| key_of(*value)).collect()
}

fn median(keys: &mut [i64]) -> f64 {
    if keys.is_empty() { f64::NAN } else { Rank::Median.of_unsorted(keys) }
}

/// The longest run that NumPy adds up without halving it.
const BLOCK: usize = 128;
const LANES: usize = 8;

/// The sum of `f` of the cells, those that are not a number counting 0, in NumPy's pairwise order.
fn sum(cells: &[f64], f: &impl Fn(f64) -> f64) -> f64 {
    let add = |sum: f64, value: &f64| sum + if value.is_nan() { 0.0 } else { f(*value) };
    if cells.len() < LANES {
        return cells.iter().fold(0.0, add);
    }
    if cells.len() > BLOCK {
        let half = cells.len() / 2;
        let (left, right) = cells.split_at(half - half % LANES);
        return sum(left, f) + sum(right, f);
    }
    let (chunks, rest) = cells.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = add(*lane, value);
        }
    }
    let [a, b, c, d, e, f1, g, h] = lanes;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f1) + (g + h)), add)
}
