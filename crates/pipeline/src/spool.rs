//! A queue of samples on disk, bounded in bytes: what a publisher's target cannot take now waits here, in order, and is
//! still there after a crash.
//!
//! The queue is a directory of numbered segments (`spool/segment`), appended to and removed when what they hold has been
//! taken. `cursor` says from where on it has not. It is written without a sync: after a crash some samples may be given
//! out again, under the ids that they had. Nothing here is shared or asynchronous; whoever uses it sees to that.

mod record;
mod refused;
mod segment;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nephometer_model::{Sample, Timestamp};
use rustix::fs::FlockOperation;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use record::{decode as decode_samples, encode as encode_samples};
pub use refused::RefusedFile;
pub use settings::SpoolSettings;

/// Most samples of one record: what is given out again after a crash, and damaged by a damaged byte, is a record.
const RECORD_SAMPLES: usize = 1000;
/// A spool is at least so many segments when it is full, so that disk is freed in small steps.
const SEGMENTS: u64 = 16;
/// Longest segment, in bytes.
const MAX_SEGMENT_BYTES: u64 = 64 << 20;
const CURSOR: &str = "cursor";
const LOCK: &str = "lock";

/// Why samples were not spooled. None of them is on disk, or it is there without anybody having been told.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is no room until the target has taken some.
    #[error("the spool is full: {spooled_bytes} of {max_bytes} bytes wait for the target")]
    Full {
        /// What it holds.
        spooled_bytes: u64,
        /// What it may hold.
        max_bytes: u64,
    },
    /// Another process has it.
    #[error("{0} is used by another process")]
    InUse(PathBuf),
    /// The disk does not do what it should.
    #[error("the spool {path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// A place in the queue: a segment, and bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    segment: u64,
    at: u64,
}

struct Segment {
    number: u64,
    /// Where its last record ends.
    len: u64,
    /// Samples in it that have not been taken.
    samples: u64,
    file: File,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolCounts {
    /// Bytes on disk.
    pub bytes: u64,
    /// Samples that have not been taken.
    pub samples: u64,
    /// When the oldest of them came here.
    pub oldest: Option<Timestamp>,
    /// Records that could not be read and were passed over, since the start.
    pub damaged_records: u64,
}

/// Samples from the front of the queue.
#[derive(Debug)]
pub struct Chunk {
    /// Them, in order.
    pub samples: Vec<Sample>,
    /// When the newest of them came here.
    pub spooled_at: Timestamp,
    /// Where the next begins.
    end: Position,
    /// How many of them, as headers count them, the segment of the end holds.
    taken_of_last: u64,
}

/// The queue.
pub struct Spool {
    directory: PathBuf,
    max_bytes: u64,
    segments: VecDeque<Segment>,
    /// Where the oldest sample that has not been taken is.
    front: Position,
    /// Whether the last segment may be appended to.
    appendable: bool,
    next_number: u64,
    oldest: Option<Timestamp>,
    damaged_records: u64,
    cursor: File,
    /// Holds the directory while this exists.
    _lock: File,
}

/// Makes an error say where it happened.
fn at(path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { path, source }
}

impl Spool {
    /// Opens the queue in `directory`, which is made if it is not there.
    pub fn open(directory: &Path, max_bytes: u64) -> Result<Self, SpoolError> {
        fs::create_dir_all(directory).map_err(at(directory))?;
        let open = |name: &str| {
            let path = directory.join(name);
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(at(&path))
        };
        let lock = open(LOCK)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| SpoolError::InUse(directory.to_owned()))?;
        let cursor = open(CURSOR)?;
        let front = read_cursor(&cursor).map_err(at(&directory.join(CURSOR)))?;
        let mut spool = Self {
            directory: directory.to_owned(),
            max_bytes,
            segments: VecDeque::new(),
            front: front.unwrap_or(Position { segment: 0, at: FILE_HEADER_BYTES }),
            appendable: false,
            next_number: front.map_or(1, |front| front.segment + 1),
            oldest: None,
            damaged_records: 0,
            cursor,
            _lock: lock,
        };
        spool.load().map_err(at(directory))?;
        Ok(spool)
    }

    /// Finds the segments.
    fn load(&mut self) -> io::Result<()> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            numbers.extend(segment::number_of(&entry?.path()));
        }
        numbers.sort_unstable();
        let last = numbers.last().copied();
        self.next_number = last.map_or(self.next_number, |last| self.next_number.max(last + 1));
        for number in numbers {
            let path = segment::path(&self.directory, number);
            if number < self.front.segment {
                fs::remove_file(&path)?;
                continue;
            }
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let from = if number == self.front.segment { self.front.at } else { FILE_HEADER_BYTES };
            let (len, is_last) = (file.metadata()?.len(), Some(number) == last);
            let contents = segment::scan(&file, from, len, is_last)?;
            if is_last && contents.end < len {
                // What was being written when the process stopped.
                file.set_len(contents.end)?;
            }
            if contents.samples == 0 {
                fs::remove_file(&path)?;
                continue;
            }
            if self.segments.is_empty() {
                self.front = Position { segment: number, at: from };
                self.oldest = contents.oldest;
            }
            self.segments.push_back(Segment { number, len: contents.end, samples: contents.samples, file });
        }
        Ok(())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// What waits.
    pub fn counts(&self) -> SpoolCounts {
        SpoolCounts {
            bytes: self.bytes(),
            samples: self.segments.iter().map(|segment| segment.samples).sum(),
            oldest: self.oldest,
            damaged_records: self.damaged_records,
        }
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// Puts samples at the end. When this returns they are on disk.
    pub fn append(&mut self, samples: &[Sample], now: Timestamp) -> Result<(), SpoolError> {
        let mut bytes = Vec::new();
        for part in samples.chunks(RECORD_SAMPLES) {
            segment::write_record(&mut bytes, part, now).map_err(at(&self.directory))?;
        }
        let spooled_bytes = self.bytes();
        if spooled_bytes + bytes.len() as u64 > self.max_bytes {
            return Err(SpoolError::Full { spooled_bytes, max_bytes: self.max_bytes });
        }
        let segment_bytes = (self.max_bytes / SEGMENTS).min(MAX_SEGMENT_BYTES);
        let has_room = self.segments.back().is_some_and(|last| last.len < segment_bytes);
        if !(self.appendable && has_room) {
            self.begin_segment().map_err(at(&self.directory))?;
        }
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        let written = last.file.write_all_at(&bytes, last.len).and_then(|()| last.file.sync_data());
        if let Err(error) = written {
            // What the disk made of it is unknown: nothing is written behind it, and it does not count.
            self.appendable = false;
            let path = segment::path(&self.directory, last.number);
            if let Err(error) = last.file.set_len(last.len) {
                tracing::warn!(path = %path.display(), %error, "a record that was not written cannot be cut off");
            }
            self.drop_taken();
            return Err(at(&path)(error));
        }
        last.len += bytes.len() as u64;
        last.samples += samples.len() as u64;
        self.oldest = self.oldest.or(Some(now));
        Ok(())
    }

    /// Makes a new segment and enters it in the directory, so that a power failure does not lose it.
    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.next_number;
        let path = segment::path(&self.directory, number);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        self.next_number += 1;
        file.write_all_at(&segment::FILE_HEADER, 0)?;
        File::open(&self.directory)?.sync_all()?;
        if self.segments.is_empty() {
            self.front = Position { segment: number, at: FILE_HEADER_BYTES };
        }
        self.segments.push_back(Segment { number, len: FILE_HEADER_BYTES, samples: 0, file });
        self.appendable = true;
        Ok(())
    }

    /// Samples from the front, whole records, until there are `enough`; nothing where the queue is empty. They stay until
    /// [`Spool::advance`].
    pub fn front(&mut self, enough: usize) -> Result<Option<Chunk>, SpoolError> {
        let mut place = self.front;
        let mut chunk: Option<Chunk> = None;
        let mut at_segment = 0;
        while let Some(current) = self.segments.get(at_segment) {
            let path = || segment::path(&self.directory, current.number);
            place = if place.segment == current.number { place } else { begin(current) };
            let header = segment::header_at(&current.file, place.at, current.len)
                .map_err(|error| at(&path())(error))?;
            let Some(header) = header else {
                if place.at < current.len {
                    self.damaged_records += 1;
                    tracing::error!(path = %path().display(), at = place.at, "the rest of a spool's segment is damaged");
                }
                at_segment += 1;
                continue;
            };
            let samples = segment::samples_at(&current.file, place.at, &header);
            let samples = samples.map_err(|error| at(&path())(error))?;
            if samples.is_none() {
                self.damaged_records += 1;
                let lost = header.samples;
                tracing::error!(path = %path().display(), at = place.at, lost, "a record of a spool is damaged");
            }
            place.at += header.record_bytes();
            let chunk = chunk.get_or_insert(Chunk {
                samples: Vec::new(),
                spooled_at: header.spooled_at,
                end: place,
                taken_of_last: 0,
            });
            chunk.samples.extend(samples.unwrap_or_default());
            let before = if chunk.end.segment == place.segment { chunk.taken_of_last } else { 0 };
            chunk.taken_of_last = before + u64::from(header.samples);
            (chunk.spooled_at, chunk.end) = (header.spooled_at, place);
            if chunk.samples.len() >= enough {
                break;
            }
        }
        if chunk.is_none() {
            // Nothing that can be read is left.
            self.clear()?;
        }
        Ok(chunk)
    }

    /// Forgets a chunk from the front: its samples have been taken.
    pub fn advance(&mut self, chunk: &Chunk) -> Result<(), SpoolError> {
        self.move_front(chunk.end)?;
        if let Some(first) = self.segments.front_mut().filter(|first| first.number == chunk.end.segment) {
            first.samples = first.samples.saturating_sub(chunk.taken_of_last);
        }
        Ok(())
    }

    /// Forgets everything: none of it can be read.
    fn clear(&mut self) -> Result<(), SpoolError> {
        match self.segments.back() {
            Some(last) => self.move_front(Position { segment: last.number, at: last.len }),
            None => Ok(()),
        }
    }

    fn move_front(&mut self, to: Position) -> Result<(), SpoolError> {
        let path = self.directory.join(CURSOR);
        self.front = to;
        write_cursor(&self.cursor, to).map_err(at(&path))?;
        self.drop_taken();
        if let Some(first) = self.segments.front() {
            let from = if first.number == to.segment { to.at } else { FILE_HEADER_BYTES };
            let header = segment::header_at(&first.file, from, first.len).map_err(at(&path))?;
            self.oldest = header.map(|header| header.spooled_at);
        }
        Ok(())
    }

    /// Removes segments in front of the cursor, and all when nothing is left.
    fn drop_taken(&mut self) {
        while let Some(first) = self.segments.front() {
            let taken = match first.number.cmp(&self.front.segment) {
                std::cmp::Ordering::Less => true,
                std::cmp::Ordering::Equal => self.front.at >= first.len,
                std::cmp::Ordering::Greater => first.len == FILE_HEADER_BYTES,
            };
            if !taken {
                break;
            }
            let path = segment::path(&self.directory, first.number);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a segment that was delivered cannot be removed");
            }
            self.segments.pop_front();
        }
        if self.segments.is_empty() {
            (self.appendable, self.oldest) = (false, None);
        }
    }
}

/// Where the first record of a segment is.
fn begin(segment: &Segment) -> Position {
    Position { segment: segment.number, at: FILE_HEADER_BYTES }
}

const FILE_HEADER_BYTES: u64 = segment::FILE_HEADER.len() as u64;

/// The cursor's file: segment, place, and a check of both, because it is not synced and may be anything after a crash.
fn read_cursor(file: &File) -> io::Result<Option<Position>> {
    let mut bytes = [0; 24];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let long = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
    let position = Position { segment: long(0), at: long(8).max(FILE_HEADER_BYTES) };
    Ok((long(16) == xxh3_64(&bytes[..16])).then_some(position))
}

fn write_cursor(file: &File, position: Position) -> io::Result<()> {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&position.segment.to_le_bytes());
    bytes[8..16].copy_from_slice(&position.at.to_le_bytes());
    let check = xxh3_64(&bytes[..16]);
    bytes[16..].copy_from_slice(&check.to_le_bytes());
    file.write_all_at(&bytes, 0)
}
