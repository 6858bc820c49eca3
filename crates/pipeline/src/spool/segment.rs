//! A file of a spool: a header, then records, each with a check of its own.
//!
//! | Bytes | Header |
//! |---|---|
//! | 0..8 | `NPHSPOOL` |
//! | 8..12 | version of the format, 1 |
//! | 12..16 | zero |
//!
//! | Bytes | Record |
//! |---|---|
//! | 0..4 | `REC1` |
//! | 4..8 | bytes of the samples |
//! | 8..12 | number of samples |
//! | 12..16 | zero |
//! | 16..24 | when they were spooled, nanoseconds since the epoch |
//! | 24..32 | XXH3 of bytes 0..24 and the samples |
//! | 32.. | the samples |
//!
//! Numbers are little-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nephometer_model::{Sample, Timestamp};
use xxhash_rust::xxh3::Xxh3;

use super::record;

/// What a segment begins with.
pub(super) const FILE_HEADER: [u8; 16] = *b"NPHSPOOL\x01\0\0\0\0\0\0\0";
const MAGIC: &[u8; 4] = b"REC1";
const RECORD_HEADER_BYTES: usize = 32;
/// Longest record: more than any that is written.
const MAX_RECORD_BYTES: u32 = 64 << 20;

/// Where the file of a segment is.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.spool"))
}

/// The number of the segment that a file is.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".spool")?.parse().ok()
}

/// A record as its header describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    payload_bytes: u32,
    pub(super) samples: u32,
    pub(super) spooled_at: Timestamp,
    check: u64,
}

impl RecordHeader {
    /// How far it is from the record's beginning to its end.
    pub(super) fn record_bytes(&self) -> u64 {
        u64::from(self.payload_bytes) + RECORD_HEADER_BYTES as u64
    }

    fn read(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (payload_bytes, samples) = (word(4)?, word(8)?);
        let fits = &bytes[..4] == MAGIC && payload_bytes <= MAX_RECORD_BYTES && word(12)? == 0;
        let spooled_at = Timestamp::from_ns(long(16)?.cast_signed());
        fits.then_some(Self { payload_bytes, samples, spooled_at, check: long(24)? })
    }
}

fn check(header: &[u8], payload: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.digest()
}

/// Appends samples to `out` as one record.
pub(super) fn write_record(out: &mut Vec<u8>, samples: &[Sample], now: Timestamp) -> io::Result<()> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a record is too long");
    let payload = record::encode(samples)?;
    let mut header = [0; RECORD_HEADER_BYTES];
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&u32::try_from(payload.len()).map_err(too_long)?.to_le_bytes());
    header[8..12].copy_from_slice(&u32::try_from(samples.len()).map_err(too_long)?.to_le_bytes());
    header[16..24].copy_from_slice(&now.ns().to_le_bytes());
    let check = check(&header[..24], &payload);
    header[24..].copy_from_slice(&check.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(&payload);
    Ok(())
}

/// The header of the record that begins at `at` and ends by `end`; nothing where there is none.
pub(super) fn header_at(file: &File, at: u64, end: u64) -> io::Result<Option<RecordHeader>> {
    if end.saturating_sub(at) < RECORD_HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = [0; RECORD_HEADER_BYTES];
    file.read_exact_at(&mut bytes, at)?;
    Ok(RecordHeader::read(&bytes).filter(|header| at + header.record_bytes() <= end))
}

/// The samples of a record; nothing where its check says that it is damaged.
pub(super) fn samples_at(file: &File, at: u64, header: &RecordHeader) -> io::Result<Option<Vec<Sample>>> {
    let payload = payload_at(file, at, header)?;
    Ok(payload.and_then(|payload| record::decode(&payload).ok()))
}

fn payload_at(file: &File, at: u64, header: &RecordHeader) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; usize::try_from(header.record_bytes()).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, at)?;
    let payload = bytes.split_off(RECORD_HEADER_BYTES);
    Ok((check(&bytes[..24], &payload) == header.check).then_some(payload))
}

/// What a segment holds from some place on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Where the last record ends.
    pub(super) end: u64,
    pub(super) samples: u64,
    /// When the first of them was spooled.
    pub(super) oldest: Option<Timestamp>,
}

/// Goes from record to record. With `whole`, records are read, and what is not whole at the end does not count: it was
/// being written when the process or the machine stopped, and nobody has been told that it was stored.
pub(super) fn scan(file: &File, from: u64, len: u64, whole: bool) -> io::Result<Contents> {
    let mut contents = Contents { end: from, ..Contents::default() };
    let mut so_far = contents;
    while let Some(header) = header_at(file, so_far.end, len)? {
        let at = so_far.end;
        so_far.end += header.record_bytes();
        so_far.samples += u64::from(header.samples);
        so_far.oldest = so_far.oldest.or(Some(header.spooled_at));
        if !whole || payload_at(file, at, &header)?.is_some() {
            contents = so_far;
        }
    }
    Ok(contents)
}
