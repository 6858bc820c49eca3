//! Reading a part.

use std::ops::Range;
use std::sync::Arc;

use super::{Block, BlockEntry, PartError, PartHeader};
use crate::io::ReadAt;

/// A block that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block of {len} bytes at {offset}: {reason}")]
pub struct BlockError {
    /// Where the block begins in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// What is wrong.
    pub reason: String,
}

/// An open part: its header and index are in memory, blocks are read when asked for.
pub struct PartReader {
    file: Arc<dyn ReadAt>,
}

impl PartReader {
    /// Reads and verifies header, trailer and index.
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, PartError> {
        let _ = file;
        unimplemented!()
    }

    /// What the part says of itself.
    pub fn header(&self) -> &PartHeader {
        let _ = &self.file;
        unimplemented!()
    }

    /// The index: one entry for each block, in the order of the file, which is the order of keys (and of time
    /// within a key).
    pub fn index(&self) -> &[BlockEntry] {
        unimplemented!()
    }

    /// Which blocks may hold measures of `key` with timestamps in `range_ns`: to be filtered further by the times in
    /// their [`BlockEntry`] where they hold several series.
    pub fn blocks_of(&self, key: u64, range_ns: &Range<i64>) -> impl Iterator<Item = usize> {
        let _ = (key, range_ns);
        [].into_iter()
    }

    /// Reads block `index`, verifies its checksum and parses it.
    pub fn read_block(&self, index: usize) -> Result<Block, BlockError> {
        let _ = index;
        unimplemented!()
    }

    /// All blocks in order, for merging: each read and verified when its turn comes.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Block, BlockError>> + '_ {
        (0..self.index().len()).map(|index| self.read_block(index))
    }

    /// Appends the measures of `key` in `range_ns` (nanoseconds, end exclusive) of a raw part. Blocks that cannot be
    /// read are left out and told in `damaged`.
    pub fn read_series(
        &self,
        key: u64,
        range_ns: Range<i64>,
        timestamps_ns: &mut Vec<i64>,
        values: &mut Vec<f64>,
        damaged: &mut Vec<BlockError>,
    ) {
        let _ = (key, range_ns, timestamps_ns, values, damaged);
        unimplemented!()
    }
}
