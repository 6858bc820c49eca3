//! Writing a part front to back.

use std::io::Write;

use nephometer_series::codec::{Effort, RollupColumns, SeriesColumns};

use super::{PartError, PartHeader, PartSummary};

/// Writes a part. After an error the file is worthless and to be removed.
#[derive(Debug)]
pub struct PartWriter<W> {
    out: W,
}

impl<W: Write> PartWriter<W> {
    /// Begins a part in an empty file.
    pub fn new(out: W, header: &PartHeader) -> Result<Self, PartError> {
        let _ = (&out, header);
        unimplemented!()
    }

    /// Appends measures of a series; only to a raw part. Keys must not descend; of one key, the next call must begin
    /// after the last timestamp of the call before. Series longer than a block are cut.
    pub fn push_raw(&mut self, series: &SeriesColumns<'_>) -> Result<(), PartError> {
        let _ = (series, Effort::Flush);
        unimplemented!()
    }

    /// Appends aggregates of a series at one granularity; only to a rollup part. Sorted by (key, granularity), each
    /// pair once. Series longer than a block are cut.
    pub fn push_rollup(&mut self, series: &RollupColumns<'_>) -> Result<(), PartError> {
        let _ = series;
        unimplemented!()
    }

    /// Writes what is left, the index and the trailer; the caller makes the file durable.
    pub fn finish(self) -> Result<(W, PartSummary), PartError> {
        let _ = self.out;
        unimplemented!()
    }
}
