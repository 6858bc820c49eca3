//! Appending to the log.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::EncodedRecord;
use crate::io::Storage;

/// The writing end of the log; one at a time.
pub struct WalWriter {
    storage: Arc<dyn Storage>,
}

impl WalWriter {
    /// Goes on after a replay that ended with `next_position`, in a fresh segment of folder `folder`. Segments are
    /// ended after `segment_bytes`. `salt` is any random number: it keeps what clients send from looking like a record.
    pub fn open(
        storage: Arc<dyn Storage>,
        folder: &str,
        next_position: u64,
        segment_bytes: u64,
        salt: u64,
    ) -> io::Result<Self> {
        let _ = (storage, folder, next_position, segment_bytes, salt);
        unimplemented!()
    }

    /// Appends `records` in one write and returns their positions; they are durable after [`Self::sync`]. After an
    /// error (a full disk) nothing of them is in the log, and more may be appended; if even that cannot be made so,
    /// every later call fails.
    pub fn append(&mut self, records: &[EncodedRecord]) -> io::Result<Range<u64>> {
        let _ = (&self.storage, records);
        unimplemented!()
    }

    /// Makes all that was appended durable. After an error nobody knows what is durable: every later call fails.
    pub fn sync(&mut self) -> io::Result<()> {
        unimplemented!()
    }

    /// The position that the next record will get.
    pub fn next_position(&self) -> u64 {
        unimplemented!()
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Removes segments all of whose records are below `position`; the segment being written is ended first where all
    /// of its records are. Returns how many bytes that freed.
    pub fn remove_below(&mut self, position: u64) -> io::Result<u64> {
        let _ = position;
        unimplemented!()
    }
}
