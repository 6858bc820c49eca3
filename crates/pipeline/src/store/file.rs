//! The journal's file: a header, then records, each with a check of its own.
//!
//! | Bytes | Header |
//! |---|---|
//! | 0..8 | `NPHPIPES` |
//! | 8..12 | version of the format, 1 |
//! | 12..16 | zero |
//!
//! | Bytes | Record |
//! |---|---|
//! | 0..4 | bytes of the content |
//! | 4..8 | zero |
//! | 8..16 | XXH3 of bytes 0..8 and the content |
//! | 16.. | the content |
//!
//! Numbers are little-endian. What is not whole at the end was being written when the process or the machine stopped, and is
//! cut off: nobody has been told that it was stored.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use xxhash_rust::xxh3::Xxh3;

use super::StoreError;
use super::coding::{Record, decode, encode};

const HEADER: [u8; 16] = *b"NPHPIPES\x01\0\0\0\0\0\0\0";
const RECORD_HEADER_BYTES: usize = 16;
/// Longest content of a record: more than any that is written.
const MAX_CONTENT_BYTES: u32 = 1 << 30;
/// A journal shorter than this is not written anew, in bytes.
const SHORT_BYTES: u64 = 16 << 20;
/// A journal is written anew when it is so many times as long as it was after that last time.
const GROWTH: u64 = 4;

/// Positions count bytes ever written, so that they grow when the file is written anew, too.
pub(super) struct Journal {
    directory: PathBuf,
    path: PathBuf,
    file: Arc<File>,
    /// Where the next record goes in the file.
    length: u64,
    /// Length after it was last written anew.
    base_length: u64,
    /// The position of the file's beginning.
    origin: u64,
    synced: u64,
    /// Why nothing can be written any more.
    failed: Option<String>,
    /// Holds the directory while this exists.
    _lock: File,
}

/// A file and how far it is to be synced.
pub(super) struct ToSync {
    file: Arc<File>,
    end: u64,
}

impl ToSync {
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn check(header: &[u8], content: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(header);
    hasher.update(content);
    hasher.digest()
}

impl Journal {
    /// Opens the journal in `directory` and gives its records to `apply`, in order.
    pub(super) fn open(directory: &Path, mut apply: impl FnMut(Record)) -> Result<Self, StoreError> {
        let path = directory.join("journal");
        let error = |reason: String| StoreError::Io { path: path.clone(), reason };
        let io = |source: io::Error| error(source.to_string());
        fs::create_dir_all(directory).map_err(io)?;
        let lock = directory.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(lock).map_err(io)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| error("another process has it".to_owned()))?;
        // What was being written anew when the process stopped counts for nothing.
        match fs::remove_file(directory.join("journal.new")) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(io(source)),
            _ => {}
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        let length = replay(&file, &path, &mut apply).map_err(io)?;
        if file.metadata().map_err(io)?.len() > length {
            file.set_len(length).map_err(io)?;
        }
        let mut journal = Self {
            directory: directory.to_owned(),
            path: path.clone(),
            file: Arc::new(file),
            length,
            base_length: length,
            origin: 0,
            synced: length,
            failed: None,
            _lock: lock,
        };
        if length == 0 {
            journal.file.write_all_at(&HEADER, 0).map_err(io)?;
            journal.length = HEADER.len() as u64;
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
        }
        Ok(journal)
    }

    fn error(&self, reason: &dyn std::fmt::Display) -> StoreError {
        StoreError::Io { path: self.path.clone(), reason: reason.to_string() }
    }

    /// Refuses where a write has failed before: what the disk has made of it is unknown.
    pub(super) fn usable(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(reason) => Err(self.error(&reason)),
            None => Ok(()),
        }
    }

    fn fail(&mut self, source: &io::Error) -> StoreError {
        self.failed = Some(source.to_string());
        tracing::error!(path = %self.path.display(), %source, "pipelines that remember take nothing until the program starts anew");
        self.error(&source)
    }

    /// Puts a record at the end, and returns the position behind it.
    pub(super) fn append(&mut self, record: &Record) -> Result<u64, StoreError> {
        self.usable()?;
        let bytes = frame(record).map_err(|source| self.error(&source))?;
        if let Err(source) = self.file.write_all_at(&bytes, self.length) {
            // A disk that is full may have room again; a record that is half there is cut off.
            if self.file.set_len(self.length).is_ok() {
                return Err(self.error(&source));
            }
            return Err(self.fail(&source));
        }
        self.length += bytes.len() as u64;
        Ok(self.origin + self.length)
    }

    /// What is to be synced so that `end` is on disk; nothing where it is.
    pub(super) fn to_sync(&self, end: u64) -> Result<Option<ToSync>, StoreError> {
        self.usable()?;
        let all = self.origin + self.length;
        Ok((self.synced < end).then(|| ToSync { file: Arc::clone(&self.file), end: all }))
    }

    /// Tells what became of it.
    pub(super) fn synced(&mut self, handle: &ToSync, result: io::Result<()>) -> Result<(), StoreError> {
        match result {
            Ok(()) => {
                self.synced = self.synced.max(handle.end);
                Ok(())
            }
            Err(source) => Err(self.fail(&source)),
        }
    }

    /// Whether it is time to write it anew.
    pub(super) fn is_long(&self) -> bool {
        self.length > SHORT_BYTES.max(self.base_length * GROWTH)
    }

    /// Puts a file with `records` alone in its place.
    pub(super) fn rewrite(&mut self, records: &[Record]) -> Result<(), StoreError> {
        match write_new(&self.directory, &self.path, records) {
            Ok((file, length)) => {
                let end = self.origin + self.length;
                self.file = Arc::new(file);
                self.origin = end.saturating_sub(length);
                (self.length, self.base_length, self.synced) = (length, length, end);
                Ok(())
            }
            Err(source) => Err(self.fail(&source)),
        }
    }
}

/// Writes a file with `records` and puts it in the place of `path`; returns it and its length.
fn write_new(directory: &Path, path: &Path, records: &[Record]) -> io::Result<(File, u64)> {
    let new = directory.join("journal.new");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new)?;
    file.write_all_at(&HEADER, 0)?;
    let mut length = HEADER.len() as u64;
    for record in records {
        let bytes = frame(record)?;
        file.write_all_at(&bytes, length)?;
        length += bytes.len() as u64;
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()?;
    Ok((file, length))
}

fn frame(record: &Record) -> io::Result<Vec<u8>> {
    let content = encode(record)?;
    let length = u32::try_from(content.len()).ok().filter(|length| *length <= MAX_CONTENT_BYTES);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a record is too long"))?;
    let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES + content.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let check = check(&bytes, &content);
    bytes.extend_from_slice(&check.to_le_bytes());
    bytes.extend_from_slice(&content);
    Ok(bytes)
}

/// Gives the records of `file` to `apply`; returns where the last whole one ends.
fn replay(file: &File, path: &Path, apply: &mut impl FnMut(Record)) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length < HEADER.len() as u64 {
        return Ok(0);
    }
    let mut reader = io::BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER.len()];
    reader.read_exact(&mut header)?;
    if header != HEADER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no journal of pipelines"));
    }
    let mut at = HEADER.len() as u64;
    while let Some((record, bytes)) = next_record(&mut reader, length - at)? {
        apply(record);
        at += bytes;
    }
    if at < length {
        let cut_off_bytes = length - at;
        tracing::warn!(path = %path.display(), at, cut_off_bytes, "the pipelines' journal ends in what is not whole");
    }
    Ok(at)
}

/// The next record and how long it is; nothing where none is whole.
fn next_record(reader: &mut impl io::Read, left: u64) -> io::Result<Option<(Record, u64)>> {
    if left < RECORD_HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut header = [0; RECORD_HEADER_BYTES];
    reader.read_exact(&mut header)?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let whole = u64::from(length) + RECORD_HEADER_BYTES as u64;
    if length > MAX_CONTENT_BYTES || header[4..8] != [0; 4] || whole > left {
        return Ok(None);
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    reader.read_exact(&mut content)?;
    if header[8..] != check(&header[..8], &content).to_le_bytes() {
        return Ok(None);
    }
    Ok(Some((decode(&content)?, whole)))
}
