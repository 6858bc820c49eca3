//! Reading a part.

use std::ops::Range;
use std::sync::Arc;

use nephometer_drivers::PartKind;
use nephometer_series::codec::{RawBlock, RollupBlock};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::index::{FRAME_LEN, HEADER_LEN, TRAILER_LEN, Trailer, parse_header, parse_index, summary};
use super::{Block, BlockEntry, PartError, PartHeader, PartSummary};
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
    /// Whether reading failed for a reason that may pass (too many open files), so that the block may well be sound.
    pub transient: bool,
}

/// Whether an error of reading may pass: the file is there, long enough, and the medium not broken.
pub(crate) fn is_transient(error: &std::io::Error) -> bool {
    let broken = rustix::io::Errno::IO.raw_os_error();
    !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof)
        && error.raw_os_error() != Some(broken)
}

/// An open part: its header and index are in memory, blocks are read when asked for.
pub struct PartReader {
    file: Arc<dyn ReadAt>,
    header: PartHeader,
    index: Vec<BlockEntry>,
    summary: PartSummary,
}

impl std::fmt::Debug for PartReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartReader").field("header", &self.header).field("summary", &self.summary).finish()
    }
}

impl PartReader {
    /// Reads and verifies header, trailer and index.
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, PartError> {
        let len = file.len()?;
        let Some(behind_blocks) = len.checked_sub(TRAILER_LEN as u64).filter(|end| *end >= HEADER_LEN as u64)
        else {
            return Err(PartError::Damaged("the file is too short for a part"));
        };
        let mut header = [0; HEADER_LEN];
        file.read_exact_at(0, &mut header)?;
        let header = parse_header(&header)?;
        let mut trailer = [0; TRAILER_LEN];
        file.read_exact_at(behind_blocks, &mut trailer)?;
        let trailer = Trailer::parse(&trailer)?;
        let end = behind_blocks.checked_sub(trailer.index_len.into()).filter(|end| *end >= HEADER_LEN as u64);
        let end = end.ok_or(PartError::Damaged("the index does not fit the file"))?;
        let mut bytes = vec![0; trailer.index_len as usize];
        file.read_exact_at(end, &mut bytes)?;
        if xxh3_64(&bytes) != trailer.index_checksum {
            return Err(PartError::Damaged("checksum of the index"));
        }
        let index = parse_index(&bytes, end)?;
        let summary = summary(&index, &trailer, len);
        Ok(Self { file, header, index, summary })
    }

    /// What the part says of itself.
    pub fn header(&self) -> &PartHeader {
        &self.header
    }

    /// What the part holds.
    pub fn summary(&self) -> &PartSummary {
        &self.summary
    }

    /// The index: one entry for each block, in the order of the file, which is the order of keys (and of granularity
    /// and time within a key).
    pub fn index(&self) -> &[BlockEntry] {
        &self.index
    }

    /// Bytes that the open part takes in memory.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.index.capacity() * size_of::<BlockEntry>()
    }

    /// Numbers of the blocks, ascending, that span `key` and whose timestamps overlap `range_ns` (end exclusive).
    pub fn blocks_of(&self, key: u64, range_ns: &Range<i64>) -> impl Iterator<Item = usize> + use<'_> {
        let range_ns = range_ns.clone();
        let first = self.index.partition_point(|block| block.max_key < key);
        let last = first + self.index[first..].partition_point(|block| block.min_key <= key);
        (first..last).filter(move |at| {
            let block = &self.index[*at];
            block.min_ns < range_ns.end && block.max_ns >= range_ns.start
        })
    }

    /// Reads block `index`, verifies its checksum and parses it.
    pub fn read_block(&self, index: usize) -> Result<Block, BlockError> {
        let entry = self.index[index];
        let wrong = |reason: String| self.damage(index, reason);
        let mut bytes = vec![0; entry.len as usize];
        self.file.read_exact_at(entry.offset, &mut bytes).map_err(|error| BlockError {
            transient: is_transient(&error),
            ..wrong(format!("cannot be read: {error}"))
        })?;
        let payload_len = bytes.len() - FRAME_LEN;
        let (payload, frame) = bytes.split_at(payload_len);
        let checksum = xxh3_64_with_seed(payload, entry.offset);
        if frame[..4] != (payload_len as u32).to_le_bytes() || frame[4..] != checksum.to_le_bytes() {
            return Err(wrong("checksum of the block".to_owned()));
        }
        bytes.truncate(payload_len);
        let block = match self.header.kind {
            PartKind::Raw => RawBlock::parse(bytes).map(Block::Raw),
            PartKind::Rollup => RollupBlock::parse(bytes).map(Block::Rollup),
        };
        block.map_err(|error| wrong(error.to_string()))
    }

    /// All blocks in order, for merging: each read and verified when its turn comes.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Block, BlockError>> + '_ {
        (0..self.index.len()).map(|index| self.read_block(index))
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
        for at in self.blocks_of(key, &range_ns) {
            let read = self.read_block(at).and_then(|block| {
                let Block::Raw(block) = block else { return Ok(()) };
                let Some(entry) = block.find(key) else { return Ok(()) };
                block
                    .decode(entry, range_ns.clone(), timestamps_ns, values)
                    .map_err(|error| self.damage(at, error.to_string()))
            });
            damaged.extend(read.err());
        }
    }

    /// The error that says that block `index` cannot be used, for who decodes blocks itself.
    pub fn damage(&self, index: usize, reason: String) -> BlockError {
        let entry = self.index[index];
        BlockError { offset: entry.offset, len: entry.len.into(), reason, transient: false }
    }
}
