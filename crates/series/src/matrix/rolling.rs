//! Moving aggregation over a number of points.

use super::{CrossMethod, CrossReducer, Matrix, OperationError};
use crate::order::{key_of, value_of};

impl Matrix {
    /// Each series by itself: every `window` consecutive rows as one value at the last of them, NaN ignored. The first
    /// `window - 1` rows have none. A window of zero counts as one.
    ///
    /// # Errors
    /// A window longer than the series.
    pub fn rolling(mut self, method: CrossMethod, window: usize) -> Result<Self, OperationError> {
        let (window, length) = (window.max(1), self.timestamps_ns.len());
        if window > length {
            return Err(OperationError::WindowTooLong { window, length });
        }
        self.timestamps_ns.drain(..window - 1);
        for column in &mut self.columns {
            *column = match method.reducer {
                CrossReducer::Median => medians(column, window),
                reducer => column.windows(window).map(|cells| reducer.of(cells)).collect(),
            };
        }
        Ok(if method.rate { self.rate_of_change() } else { self })
    }
}

/// Keeps the numbers of the window sorted while it moves.
fn medians(column: &[f64], window: usize) -> Vec<f64> {
    let mut sorted: Vec<i64> = Vec::with_capacity(window);
    let mut results = Vec::with_capacity(column.len() + 1 - window);
    for (at, entering) in column.iter().enumerate() {
        if at >= window && !column[at - window].is_nan() {
            let leaving = key_of(column[at - window]);
            sorted.remove(sorted.partition_point(|key| *key < leaving));
        }
        if !entering.is_nan() {
            let key = key_of(*entering);
            sorted.insert(sorted.partition_point(|other| *other < key), key);
        }
        if at + 1 >= window {
            results.push(middle(&sorted));
        }
    }
    results
}

fn middle(sorted: &[i64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n => (value_of(sorted[(n - 1) / 2]) + value_of(sorted[n / 2])) / 2.0,
    }
}
