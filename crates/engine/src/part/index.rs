//! The index at the end of a part.

/// Where a block is and what it spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Smallest key inside.
    pub min_key: u64,
    /// Largest key inside.
    pub max_key: u64,
    /// Oldest timestamp inside, in nanoseconds.
    pub min_ns: i64,
    /// Newest timestamp inside, in nanoseconds.
    pub max_ns: i64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes, frame included.
    pub len: u32,
    /// Measures, or slots of rollups, inside.
    pub points: u32,
}
