//! Appending to the log.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::context::Context;
use super::segment::{SegmentHeader, put_frame};
use super::{EncodedRecord, first_position_of, segment_path};
use crate::io::{FileWriter, Storage};

/// Capacity of the buffer for appends that is kept between them, in bytes.
const KEPT_BUFFER: usize = 4 << 20;

/// A segment goes on for so many bytes for each series that it holds measures of: the first ones of a series take about
/// six bytes more in it than those that follow.
const SERIES_BYTES: u64 = 48;

/// The writing end of the log; one at a time.
pub struct WalWriter {
    storage: Arc<dyn Storage>,
    folder: String,
    segment_bytes: u64,
    salt: u64,
    /// First positions and lengths of the segments that are no longer written, in order.
    ended: Vec<(u64, u64)>,
    file: Box<dyn FileWriter>,
    first_position: u64,
    len: u64,
    next_position: u64,
    /// What the segment has said.
    context: Context,
    /// Whether the context knows of records that are not in the segment.
    ahead: bool,
    unsynced: bool,
    /// Why nothing may be written any more.
    broken: Option<String>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for WalWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("WalWriter");
        shown
            .field("next_position", &self.next_position)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
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
        let mut first_position = next_position.max(1);
        let mut ended = Vec::new();
        let names = storage.list(folder)?;
        let mut known: Vec<_> = names.iter().filter_map(|name| first_position_of(name)).collect();
        known.sort_unstable();
        for known in known {
            ended.push((known, storage.open_read(&segment_path(folder, known))?.len()?));
            // A segment without a readable record may have this very name: it stays for who looks into it.
            first_position = first_position.max(known + 1);
        }
        let header = SegmentHeader { first_position, log_end: next_position, salt };
        let (file, len) = begin_segment(storage.as_ref(), folder, &header)?;
        Ok(Self {
            storage,
            folder: folder.to_owned(),
            segment_bytes,
            salt,
            ended,
            file,
            first_position,
            len,
            next_position: first_position,
            context: Context::default(),
            ahead: false,
            unsynced: false,
            broken: None,
            buffer: Vec::new(),
        })
    }

    /// Appends `records` in one write and returns their positions; they are durable after [`Self::sync`]. After an
    /// error (a full disk) nothing of them is in the log, and more may be appended; if even that cannot be made so,
    /// every later call fails.
    pub fn append(&mut self, records: &[EncodedRecord]) -> io::Result<Range<u64>> {
        self.check()?;
        if self.ahead || self.is_long() {
            self.rotate()?;
        }
        let positions = self.next_position..self.next_position + records.len() as u64;
        self.ahead = true;
        self.encode(records)?;
        self.unsynced = true;
        if let Err(error) = self.file.write_all(&self.buffer) {
            if let Err(cut) = self.file.truncate(self.len) {
                self.broken = Some(format!("a torn record could not be cut off: {cut}"));
            }
            return Err(error);
        }
        self.ahead = false;
        self.len += self.buffer.len() as u64;
        self.next_position = positions.end;
        Ok(positions)
    }

    fn is_long(&self) -> bool {
        self.len >= self.segment_bytes.max(self.context.series() * SERIES_BYTES)
    }

    /// Fills the buffer with the frames of `records`.
    fn encode(&mut self, records: &[EncodedRecord]) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(KEPT_BUFFER);
        for (record, position) in records.iter().zip(self.next_position..) {
            buffer = put_frame(buffer, record, position, self.salt, &mut self.context)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a record of more than 4 GiB"))?;
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Makes all that was appended durable. After an error nobody knows what is durable: every later call fails.
    pub fn sync(&mut self) -> io::Result<()> {
        self.check()?;
        if let Err(error) = self.file.sync() {
            self.broken = Some(format!("the log could not be synced: {error}"));
            return Err(error);
        }
        self.unsynced = false;
        Ok(())
    }

    /// The position that the next record will get.
    pub fn next_position(&self) -> u64 {
        self.next_position
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.len + self.ended.iter().map(|(_, len)| len).sum::<u64>()
    }

    /// Removes segments all of whose records are below `position`; the segment being written is ended for that where
    /// all of its records are (where it cannot be, on a full disk, it stays until the next call). Returns how many bytes
    /// that freed.
    pub fn remove_below(&mut self, position: u64) -> io::Result<u64> {
        self.check()?;
        let freed = self.remove_ended(position)?;
        let covered = self.next_position > self.first_position && self.next_position <= position;
        if covered && self.rotate().is_ok() {
            return Ok(freed + self.remove_ended(position)?);
        }
        Ok(freed)
    }

    fn remove_ended(&mut self, position: u64) -> io::Result<u64> {
        let mut freed = 0;
        while let Some((first, len)) = self.ended.first().copied() {
            let next = self.ended.get(1).map_or(self.first_position, |(next, _)| *next);
            if next > position {
                break;
            }
            self.storage.remove(&segment_path(&self.folder, first))?;
            self.ended.remove(0);
            freed += len;
        }
        Ok(freed)
    }

    /// Ends the segment and begins the next one; one without records goes on. After an error the old one is still being
    /// written.
    fn rotate(&mut self) -> io::Result<()> {
        if self.next_position > self.first_position {
            self.begin_next()?;
        }
        self.context.begin_segment();
        self.ahead = false;
        Ok(())
    }

    fn begin_next(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.sync()?;
        }
        let header = SegmentHeader {
            first_position: self.next_position,
            log_end: self.next_position,
            salt: self.salt,
        };
        let (file, len) = begin_segment(self.storage.as_ref(), &self.folder, &header)?;
        self.ended.push((self.first_position, self.len));
        (self.file, self.first_position, self.len) = (file, self.next_position, len);
        Ok(())
    }

    fn check(&self) -> io::Result<()> {
        self.broken.as_ref().map_or(Ok(()), |reason| Err(io::Error::other(reason.clone())))
    }
}

/// Creates a segment with its header and makes both durable. Leaves nothing behind after an error.
fn begin_segment(
    storage: &dyn Storage,
    folder: &str,
    header: &SegmentHeader,
) -> io::Result<(Box<dyn FileWriter>, u64)> {
    let path = segment_path(folder, header.first_position);
    let begin = || {
        let mut file = storage.create(&path)?;
        let bytes = header.bytes();
        file.write_all(&bytes)?;
        // From here on a longer segment whose header cannot be read is damaged, not torn.
        file.sync()?;
        storage.sync_dir(folder)?;
        Ok((file, bytes.len() as u64))
    };
    begin().inspect_err(|_: &io::Error| {
        // What cannot be removed is an empty segment, which the next replay passes over.
        let _ = storage.remove(&path);
    })
}
