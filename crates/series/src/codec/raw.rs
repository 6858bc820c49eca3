//! Blocks of raw measures.

use std::ops::Range;

use super::{CodecError, Effort};

/// Measures of one series, to be encoded.
#[derive(Debug, Clone, Copy)]
pub struct SeriesColumns<'a> {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// Nanoseconds since the epoch, strictly ascending.
    pub timestamps_ns: &'a [i64],
    /// One value for each timestamp.
    pub values: &'a [f64],
}

/// A series inside a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEntry {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// How many measures the block holds of it.
    pub count: usize,
    /// Its first timestamp inside, in nanoseconds.
    pub first_ns: i64,
}

/// Appends a block of `series` to `out`. Keys must ascend strictly, each series must have measures, and all together
/// no more than [`super::MAX_BLOCK_VALUES`]; [`CodecError::Input`] otherwise.
pub fn encode_raw_block(
    series: &[SeriesColumns<'_>],
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let _ = (series, effort, out);
    unimplemented!()
}

/// A block whose directory has been parsed; streams are decoded when first asked for, and kept.
#[derive(Debug)]
pub struct RawBlock {}

impl RawBlock {
    /// Parses the directory of a block.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, CodecError> {
        let _ = bytes;
        unimplemented!()
    }

    /// The series inside, by ascending key.
    pub fn entries(&self) -> &[RawEntry] {
        unimplemented!()
    }

    /// Where in [`Self::entries`] the series `key` is.
    pub fn find(&self, key: u64) -> Option<usize> {
        let _ = key;
        unimplemented!()
    }

    /// Appends the measures of entry `index` whose timestamps are in `range_ns` (nanoseconds, end exclusive).
    pub fn decode(
        &self,
        index: usize,
        range_ns: Range<i64>,
        timestamps_ns: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), CodecError> {
        let _ = (index, range_ns, timestamps_ns, values);
        unimplemented!()
    }

    /// Bytes that the block may come to hold in memory, decoded streams included: for the bound of a cache.
    pub fn memory_bytes(&self) -> usize {
        unimplemented!()
    }
}
