//! Blocks of rollups: aggregates of spans whose raw measures are gone.

use super::{CodecError, ColumnId, Effort};

/// Aggregates of one series at one granularity, to be encoded.
#[derive(Debug, Clone, Copy)]
pub struct RollupColumns<'a> {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// Width of a slot in nanoseconds.
    pub granularity_ns: i64,
    /// From here on the raw measures of the series were complete when these slots were made, in nanoseconds.
    pub raw_floor_ns: i64,
    /// Starts of the slots that have measures, strictly ascending, in nanoseconds.
    pub slots_ns: &'a [i64],
    /// One value for each slot, by column; NaN where a method gives no value. Columns that are equal bit for bit, and
    /// means that are sum divided by count, cost nothing.
    pub columns: &'a [(ColumnId, &'a [f64])],
}

/// A series at one granularity inside a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupEntry {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// Width of a slot in nanoseconds.
    pub granularity_ns: i64,
    /// See [`RollupColumns::raw_floor_ns`].
    pub raw_floor_ns: i64,
    /// How many slots the block holds of it.
    pub count: usize,
    /// Start of its first slot inside, in nanoseconds.
    pub first_ns: i64,
}

/// Appends a block of `series` to `out`. They must be sorted by (key, granularity), strictly; each must have slots;
/// all values together no more than [`super::MAX_BLOCK_VALUES`]; [`CodecError::Input`] otherwise.
pub fn encode_rollup_block(
    series: &[RollupColumns<'_>],
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let _ = (series, effort, out);
    unimplemented!()
}

/// A block whose directory has been parsed; streams are decoded when first asked for, and kept.
#[derive(Debug)]
pub struct RollupBlock {}

impl RollupBlock {
    /// Parses the directory of a block.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, CodecError> {
        let _ = bytes;
        unimplemented!()
    }

    /// What is inside, by ascending (key, granularity).
    pub fn entries(&self) -> &[RollupEntry] {
        unimplemented!()
    }

    /// Where in [`Self::entries`] the series `key` is: one entry for each granularity.
    pub fn find(&self, key: u64) -> std::ops::Range<usize> {
        let _ = key;
        unimplemented!()
    }

    /// Columns that entry `index` has.
    pub fn columns(&self, index: usize) -> &[ColumnId] {
        let _ = index;
        unimplemented!()
    }

    /// Appends the starts of all slots of entry `index`, in nanoseconds.
    pub fn decode_slots(&self, index: usize, slots_ns: &mut Vec<i64>) -> Result<(), CodecError> {
        let _ = (index, slots_ns);
        unimplemented!()
    }

    /// Appends the values of `column` for all slots of entry `index`; says whether the entry has that column.
    pub fn decode_column(
        &self,
        index: usize,
        column: ColumnId,
        values: &mut Vec<f64>,
    ) -> Result<bool, CodecError> {
        let _ = (index, column, values);
        unimplemented!()
    }

    /// Bytes that the block may come to hold in memory, decoded streams included: for the bound of a cache.
    pub fn memory_bytes(&self) -> usize {
        unimplemented!()
    }
}
