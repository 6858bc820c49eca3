//! How much of their time series must share.

use super::Matrix;

/// The series share too little.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum OverlapError {
    /// No timestamp has a value in every series.
    #[error("No overlap")]
    Nothing,
    /// Too few timestamps have.
    #[error("Less than {needed_percent:.6}% of datapoints overlap in this timespan ({percent:.2}%)")]
    TooLittle {
        /// What was asked for.
        needed_percent: f64,
        /// What there is.
        percent: f64,
    },
}

impl Matrix {
    /// Cuts the rows to those between the first and the last that have a value in every series - only at the sides
    /// where the request named no bound - and demands that `needed_percent` of them have one.
    ///
    /// # Errors
    /// Too little overlap. With `needed_percent` of zero never.
    pub fn require_overlap(
        &mut self,
        needed_percent: f64,
        start_given: bool,
        stop_given: bool,
    ) -> Result<(), OverlapError> {
        let complete: Vec<usize> = (0..self.timestamps_ns.len())
            .filter(|row| self.columns.iter().all(|column| !column[*row].is_nan()))
            .collect();
        if let Some((first, last)) = complete.first().zip(complete.last()) {
            let begin = if start_given { 0 } else { *first };
            let end = if stop_given { self.timestamps_ns.len() } else { last + 1 };
            self.keep_rows(begin, end);
        } else if needed_percent > 0.0 {
            return Err(OverlapError::Nothing);
        }
        if self.timestamps_ns.is_empty() {
            return Ok(());
        }
        let percent = complete.len() as f64 * 100.0 / self.timestamps_ns.len() as f64;
        if percent < needed_percent {
            return Err(OverlapError::TooLittle { needed_percent, percent });
        }
        Ok(())
    }

    fn keep_rows(&mut self, begin: usize, end: usize) {
        let keep = |len: usize| begin.min(len)..end.min(len);
        self.timestamps_ns = self.timestamps_ns[keep(self.timestamps_ns.len())].to_vec();
        for column in &mut self.columns {
            *column = column[keep(column.len())].to_vec();
        }
    }
}
