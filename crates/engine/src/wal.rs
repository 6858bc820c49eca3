//! The write-ahead log: segments `wal-<first position>.log` of checksummed records.
//!
//! Each record has a position, counted up by one from 1 over the whole log. Records that are appended together are a
//! group, which begins in a block of its own: what was acknowledged is never written again. After a crash the log ends
//! with the last good record (a torn group was never acknowledged); damage before a good record costs the records that
//! it hit, is reported, and everything behind it is replayed. A record is written as what is new against the records
//! before it in its segment; those that build on a lost one are lost with it. `FORMAT.md` describes each byte.

mod bits;
mod context;
mod number;
mod payload;
mod reader;
mod scan;
mod segment;
mod shape;
mod spares;
mod writer;

use nephometer_drivers::WriteBatch;
use nephometer_model::SeriesKey;

pub use payload::EncodedRecord;
pub use reader::{LogDamage, Replayed, replay};
pub use writer::{AppendError, WalWriter};

/// What the log remembers.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Measures of one request.
    Write(WriteBatch),
    /// Measures of `key` in `[start_ns, stop_ns)` are deleted.
    DeleteSpan {
        /// Whose measures.
        key: SeriesKey,
        /// First timestamp deleted, in nanoseconds.
        start_ns: i64,
        /// End of the span, exclusive.
        stop_ns: i64,
    },
    /// The index has forgotten these series.
    DeleteSeries(Vec<SeriesKey>),
}

/// Path of the segment whose first record has `position`.
fn segment_path(folder: &str, position: u64) -> String {
    format!("{folder}/wal-{position:020}.log")
}

/// Path of the file of that segment when it is not one any more, or not yet.
fn spare_path(folder: &str, position: u64) -> String {
    format!("{folder}/spare-{position:020}.log")
}

/// Position of the first record of the segment called `name`; nothing for other files.
fn first_position_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    let canonical = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if canonical { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
