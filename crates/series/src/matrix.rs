//! Several series side by side, for operations across them.
//!
//! The rows are the sorted union of all timestamps, compared exactly; a missing cell is NaN. Operations check shapes
//! and never panic on them.

mod cross;
mod fill;
mod operand;
mod overlap;
mod rolling;

use nephometer_model::AggregationMethod;

pub use cross::{CrossMethod, CrossReducer};
pub use fill::Fill;
pub use operand::{Operand, binary, clip, unary};
pub use overlap::OverlapError;

use crate::aggregate::resample;
use crate::grouping::Grouping;
use crate::points::Points;

/// Series of one granularity over common timestamps.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Of all series.
    pub granularity: Grouping,
    /// Rows: nanoseconds since the epoch, strictly ascending.
    pub timestamps_ns: Vec<i64>,
    /// One column for each series, as long as `timestamps_ns`; NaN where the series has no value.
    pub columns: Vec<Vec<f64>>,
}

/// Why an operation cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The window of a moving aggregation has more points than there are.
    #[error("Rolling window '{window}' is greater than serie length '{length}'")]
    WindowTooLong {
        /// Points asked for.
        window: usize,
        /// Points there are.
        length: usize,
    },
    /// The operands have other timestamps or another granularity.
    #[error("Can't compute timeseries with different granularity")]
    DifferentRows,
    /// The operands have different numbers of series, and neither has one.
    #[error("Can't compute {left} timeseries with {right}")]
    DifferentColumns {
        /// Series on the left.
        left: usize,
        /// Series on the right.
        right: usize,
    },
}

impl Matrix {
    /// Puts `series` side by side and fills the gaps.
    pub fn align(granularity: Grouping, series: &[Points], fill: Fill) -> Self {
        let timestamps_ns = union(series);
        let missing = fill.missing();
        let mut columns: Vec<Vec<f64>> =
            series.iter().map(|points| scatter(&timestamps_ns, points, missing)).collect();
        for column in &mut columns {
            fill.carry(column);
        }
        Self { granularity, timestamps_ns, columns }
    }

    /// Some of the columns, in the order given. Indices that do not exist are left out.
    pub fn select(&self, columns: &[usize]) -> Self {
        let columns = columns.iter().filter_map(|at| self.columns.get(*at).cloned()).collect();
        Self { granularity: self.granularity, timestamps_ns: self.timestamps_ns.clone(), columns }
    }

    /// All columns of several matrices as one, for operations that take several nodes.
    ///
    /// # Errors
    /// Rows that differ.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Result<Option<Self>, OperationError> {
        let mut parts = parts.into_iter();
        let Some(mut whole) = parts.next() else { return Ok(None) };
        for part in parts {
            whole.same_rows(&part)?;
            whole.columns.extend(part.columns);
        }
        Ok(Some(whole))
    }

    /// Regroups every series by itself, NaN included: it poisons what a method lets it poison.
    #[must_use]
    pub fn resample(self, grouping: Grouping, method: AggregationMethod) -> Self {
        let mut timestamps_ns = self.timestamps_ns;
        let mut groups = Vec::new();
        let mut columns = Vec::with_capacity(self.columns.len());
        for values in self.columns {
            let column = Points { timestamps_ns, values };
            let resampled = resample(&column, grouping, method);
            timestamps_ns = column.timestamps_ns;
            groups = resampled.timestamps_ns;
            columns.push(resampled.values);
        }
        Self { granularity: grouping, timestamps_ns: groups, columns }
    }

    /// Each value less the one before; the first row is gone.
    #[must_use]
    pub fn rate_of_change(mut self) -> Self {
        drop_first(&mut self.timestamps_ns);
        for column in &mut self.columns {
            *column = column.windows(2).map(|pair| pair[1] - pair[0]).collect();
        }
        self
    }

    /// Each value less the one before, divided by the seconds between them; the first row is NaN.
    #[must_use]
    pub fn rate_of_change_per_second(mut self) -> Self {
        let rows = &self.timestamps_ns;
        for column in &mut self.columns {
            let rates = rows.windows(2).zip(column.windows(2)).map(|(times, values)| {
                (values[1] - values[0]) / (times[1].wrapping_sub(times[0]).cast_unsigned() as f64 / 1e9)
            });
            let first = column.first().map(|_| f64::NAN);
            *column = first.into_iter().chain(rates).collect();
        }
        self
    }

    /// The points of one column; without NaN and infinities where `drop_gaps`. Empty where there is no such column.
    pub fn points(&self, column: usize, drop_gaps: bool) -> impl Iterator<Item = (i64, f64)> + '_ {
        let values = self.columns.get(column).map(Vec::as_slice).unwrap_or_default();
        let points = self.timestamps_ns.iter().copied().zip(values.iter().copied());
        points.filter(move |(_, value)| !drop_gaps || value.is_finite())
    }

    fn same_rows(&self, other: &Self) -> Result<(), OperationError> {
        let same = self.granularity == other.granularity && self.timestamps_ns == other.timestamps_ns;
        if same { Ok(()) } else { Err(OperationError::DifferentRows) }
    }
}

fn drop_first(timestamps_ns: &mut Vec<i64>) {
    if !timestamps_ns.is_empty() {
        timestamps_ns.remove(0);
    }
}

/// The sorted timestamps of all series, each once. Cheap where one series has nearly all of them.
fn union(series: &[Points]) -> Vec<i64> {
    let Some(longest) = series.iter().max_by_key(|points| points.len()) else { return Vec::new() };
    let mut all = longest.timestamps_ns.clone();
    for points in series {
        let mut known = longest.timestamps_ns.iter().peekable();
        all.extend(points.timestamps_ns.iter().filter(|at| {
            while known.next_if(|other| other < at).is_some() {}
            known.peek() != Some(at)
        }));
    }
    if all.len() > longest.len() {
        // A stable sort merges runs that are sorted already.
        all.sort();
        all.dedup();
    }
    all
}

/// The values of `points` at `rows`, which hold all its timestamps; `missing` elsewhere.
fn scatter(rows: &[i64], points: &Points, missing: f64) -> Vec<f64> {
    if rows.len() == points.len() {
        return points.values.clone();
    }
    let mut next = points.iter().peekable();
    rows.iter().map(|row| next.next_if(|(at, _)| at == row).map_or(missing, |(_, value)| value)).collect()
}

#[cfg(test)]
mod tests;
