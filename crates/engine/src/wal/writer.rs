//! Appending to the log.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::context::Context;
use super::segment::{Place, SegmentHeader, put_frame};
use super::spares::Spares;
use super::{EncodedRecord, first_position_of, segment_path};
use crate::io::{BlockWriter, Storage};

/// Capacity of the buffer for appends that is kept between them, in bytes.
const KEPT_BUFFER: usize = 4 << 20;

/// A segment goes on for so many bytes for each series that it holds measures of: the first ones of a series take about
/// six bytes more in it than those that follow.
const SERIES_BYTES: u64 = 48;

/// Why records are not in the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room for them, or they are too long. Nothing of them is in the log, and more may be appended.
    #[error("the log takes nothing at the moment: {0}")]
    Refused(#[from] io::Error),
    /// Nobody knows what of them is durable: every later call fails.
    #[error("the log can no longer be written: {0}")]
    Broken(String),
}

/// The writing end of the log; one at a time.
pub struct WalWriter {
    storage: Arc<dyn Storage>,
    folder: String,
    segment_bytes: u64,
    salt: u64,
    /// First positions and lengths of the segments that are no longer written, in order.
    ended: Vec<(u64, u64)>,
    spares: Spares,
    file: Box<dyn BlockWriter>,
    header: SegmentHeader,
    /// Where the next group begins in the segment.
    len: u64,
    next_position: u64,
    /// What the segment has said.
    context: Context,
    /// Whether the context knows of records that are not in the segment.
    ahead: bool,
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
        let mut spares = Spares::of(folder, &names);
        let header = header(first_position, next_position, salt);
        let (file, header) = spares.begin_segment(storage.as_ref(), folder, header)?;
        Ok(Self {
            storage,
            folder: folder.to_owned(),
            segment_bytes,
            salt,
            ended,
            spares,
            file,
            header,
            len: header.begin(),
            next_position: first_position,
            context: Context::default(),
            ahead: false,
            broken: None,
            buffer: Vec::new(),
        })
    }

    /// Appends `records` in one write, makes them durable, and returns their positions.
    pub fn append(&mut self, records: &[EncodedRecord]) -> Result<Range<u64>, AppendError> {
        self.check()?;
        if self.ahead || self.is_long() {
            self.rotate()?;
        }
        let positions = self.next_position..self.next_position + records.len() as u64;
        self.ahead = true;
        self.encode(records)?;
        if let Err(error) = self.file.write_blocks(self.len, &self.buffer) {
            return Err(self.refuse(error));
        }
        self.ahead = false;
        self.len += self.buffer.len() as u64;
        self.next_position = positions.end;
        Ok(positions)
    }

    /// Takes back what may have been written before `error`, where it tells that there was no room.
    fn refuse(&mut self, error: io::Error) -> AppendError {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let broken = if matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull) {
            match self.file.cut(self.len) {
                Ok(()) => return AppendError::Refused(error),
                Err(cut) => format!("torn records could not be cut off: {cut}"),
            }
        } else {
            error.to_string()
        };
        self.broken = Some(broken.clone());
        AppendError::Broken(broken)
    }

    fn is_long(&self) -> bool {
        self.len >= self.segment_bytes.max(self.context.series() * SERIES_BYTES)
    }

    /// Fills the buffer with the frames of `records` and the rest of their last block.
    fn encode(&mut self, records: &[EncodedRecord]) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.shrink_to(KEPT_BUFFER);
        for (in_group, record) in records.iter().enumerate() {
            let place = Place { position: self.next_position + in_group as u64, in_group };
            buffer = put_frame(buffer, record, place, self.header.salt, &mut self.context)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a record of more than 4 GiB"))?;
        }
        buffer.resize(self.header.block_end(buffer.len()), 0);
        self.buffer = buffer;
        Ok(())
    }

    /// The position that the next record will get.
    pub fn next_position(&self) -> u64 {
        self.next_position
    }

    /// Bytes of all segments, as far as they are written.
    pub fn bytes(&self) -> u64 {
        self.len + self.ended.iter().map(|(_, len)| len).sum::<u64>()
    }

    /// Removes segments all of whose records are below `position`; the segment being written is ended for that where
    /// all of its records are (where it cannot be, on a full disk, it stays until the next call). Returns how many bytes
    /// of log that were. With `keep_files` some of the files are kept to be written again, no more than the log had
    /// segments.
    pub fn remove_below(&mut self, position: u64, keep_files: bool) -> Result<u64, AppendError> {
        self.check()?;
        let most_files = if keep_files { self.ended.len() + 1 } else { 0 };
        let mut removed = self.remove_ended(position, most_files)?;
        let covered = self.next_position > self.header.first_position && self.next_position <= position;
        if covered && self.rotate().is_ok() {
            removed += self.remove_ended(position, most_files)?;
        }
        Ok(removed)
    }

    fn remove_ended(&mut self, position: u64, most_files: usize) -> io::Result<u64> {
        let mut removed = 0;
        while let Some((first, len)) = self.ended.first().copied() {
            let next = self.ended.get(1).map_or(self.header.first_position, |(next, _)| *next);
            if next > position {
                break;
            }
            self.spares.add(self.storage.as_ref(), &self.folder, first)?;
            self.ended.remove(0);
            removed += len;
        }
        self.spares.keep(self.storage.as_ref(), most_files)?;
        Ok(removed)
    }

    /// Ends the segment and begins the next one; one without records goes on. After an error the old one is still being
    /// written.
    fn rotate(&mut self) -> io::Result<()> {
        if self.next_position > self.header.first_position {
            let header = header(self.next_position, self.next_position, self.salt);
            let (file, header) = self.spares.begin_segment(self.storage.as_ref(), &self.folder, header)?;
            self.ended.push((self.header.first_position, self.len));
            (self.file, self.header, self.len) = (file, header, header.begin());
        }
        self.context.begin_segment();
        self.ahead = false;
        Ok(())
    }

    fn check(&self) -> Result<(), AppendError> {
        self.broken.as_ref().map_or(Ok(()), |reason| Err(AppendError::Broken(reason.clone())))
    }
}

/// The header of a segment, but for the length of its blocks. Each has a salt of its own: its file may hold records of
/// other ones.
fn header(first_position: u64, log_end: u64, salt: u64) -> SegmentHeader {
    let salt = xxh3_64_with_seed(&first_position.to_le_bytes(), salt);
    SegmentHeader { first_position, log_end, salt, block_bytes: 1 }
}
