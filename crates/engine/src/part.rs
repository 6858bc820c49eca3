//! Part files: immutable, many series in one file, sorted by key, in checksummed blocks with an index at the end.
//!
//! A damaged block costs only itself: everything else in the file stays readable. `FORMAT.md` describes each byte.

mod index;
mod pending;
mod reader;
mod writer;

use nephometer_drivers::{PartId, PartKind};
use nephometer_series::codec::{CodecError, RawBlock, RollupBlock};

pub use index::BlockEntry;
pub(crate) use reader::is_transient;
pub use reader::{BlockError, PartReader};
pub use writer::PartWriter;

/// What a part says of itself: enough to find its place again should the catalog be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartHeader {
    /// Identity, also the stem of the file's name.
    pub id: PartId,
    /// What it holds.
    pub kind: PartKind,
    /// Sack that its series belong to.
    pub sack: u32,
    /// How often its content has been merged: 0 for a flush. Merged parts are encoded with more effort.
    pub level: u32,
    /// Log position of the oldest write inside.
    pub min_position: u64,
    /// Log position after the newest write inside.
    pub max_position: u64,
    /// The time as of which retention was last applied to the content, in nanoseconds.
    pub as_of_ns: i64,
}

/// What a finished part turned out to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSummary {
    /// Size of the file.
    pub bytes: u64,
    /// Different series inside.
    pub series: u64,
    /// Measures, or slots of rollups, inside.
    pub points: u64,
    /// Oldest timestamp inside, in nanoseconds; 0 in an empty part.
    pub min_ns: i64,
    /// Newest timestamp (start of the newest slot) inside, in nanoseconds; 0 in an empty part.
    pub max_ns: i64,
}

/// A block, read and verified.
#[derive(Debug)]
pub enum Block {
    /// Raw measures.
    Raw(RawBlock),
    /// Aggregates.
    Rollup(RollupBlock),
}

/// Why a part could not be written or opened.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// Reading or writing failed.
    #[error("part file: {0}")]
    Io(#[from] std::io::Error),
    /// The columns given break a rule of the encoder.
    #[error("part file: {0}")]
    Codec(#[from] CodecError),
    /// The file is no part, is not whole, or its index is damaged.
    #[error("part file is damaged: {0}")]
    Damaged(&'static str),
    /// The file is of a version that this program does not know.
    #[error("part file has version {0}, which this program does not know")]
    Version(u16),
}

#[cfg(test)]
mod tests;
