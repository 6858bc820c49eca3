//! Replaying the log.

use std::io;

use super::Record;
use crate::io::Storage;

/// Bytes of the log that hold no readable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDamage {
    /// Path of the segment.
    pub file: String,
    /// Where the damage begins.
    pub offset: u64,
    /// How many bytes are set aside.
    pub bytes: u64,
    /// What is wrong.
    pub reason: String,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The position after the last record: where the writer goes on.
    pub next_position: u64,
    /// Records given to the caller.
    pub records: u64,
    /// Damage to report; a torn tail is none.
    pub damage: Vec<LogDamage>,
    /// Bytes after the last good record, which were never acknowledged.
    pub torn_bytes: u64,
}

/// Reads all segments in folder `folder` of `storage` and gives the records at or after `from_position` to `take`, in
/// order, each with its position.
pub fn replay(
    storage: &dyn Storage,
    folder: &str,
    from_position: u64,
    take: impl FnMut(u64, Record),
) -> io::Result<Replayed> {
    let _ = (storage, folder, from_position, take);
    unimplemented!()
}
