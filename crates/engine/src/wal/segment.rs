//! Segments as bytes: the header, and the frames around records.

use std::ops::Range;

use nephometer_series::codec::{ByteReader, CodecError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::EncodedRecord;

const SEGMENT_MAGIC: &[u8; 8] = b"NEPHLOG\0";
const FRAME_MAGIC: [u8; 4] = *b"\xf0REC";
/// The version written, and the only one read.
const VERSION: u16 = 1;
/// Length of one copy of the header in bytes.
const COPY_LEN: usize = 48;
/// Length of the header in bytes: it is written twice, since without it no record could be verified.
pub(super) const HEADER_LEN: usize = 2 * COPY_LEN;
/// Bytes of a frame before its payload.
pub(super) const FRAME_LEN: usize = 32;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Position of its first record.
    pub(super) first_position: u64,
    /// Where the log ended when the segment was begun: all records before this are in earlier segments or were
    /// covered by parts. What follows the last good record of an earlier segment was never acknowledged.
    pub(super) log_end: u64,
    /// Goes into all checksums of the segment, so that nothing a client sends can look like a record.
    pub(super) salt: u64,
}

/// What was found where the header should be.
pub(super) enum HeaderFound {
    Good(SegmentHeader),
    /// One of the copies is damaged: the one in this range of bytes.
    Half(SegmentHeader, Range<usize>),
    /// Written by another version of the program.
    Version(u16),
    None,
}

impl SegmentHeader {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(SEGMENT_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.first_position.to_le_bytes());
        out.extend_from_slice(&self.log_end.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
        out.extend_from_within(..);
        out
    }

    /// Reads the header of a segment from its first bytes.
    pub(super) fn parse(bytes: &[u8]) -> HeaderFound {
        let copy = |at: usize| bytes.get(at..at + COPY_LEN).map(parse_copy);
        match (copy(0), copy(COPY_LEN)) {
            (Some(Ok(Ok(one))), Some(Ok(Ok(other)))) if one == other => HeaderFound::Good(one),
            (Some(Ok(Ok(one))), _) => HeaderFound::Half(one, COPY_LEN..HEADER_LEN.min(bytes.len())),
            (_, Some(Ok(Ok(other)))) => HeaderFound::Half(other, 0..COPY_LEN),
            (Some(Ok(Err(version))), _) | (_, Some(Ok(Err(version)))) => HeaderFound::Version(version),
            _ => HeaderFound::None,
        }
    }
}

/// One copy of the header, or the unknown version that wrote it.
fn parse_copy(bytes: &[u8]) -> Result<Result<SegmentHeader, u16>, CodecError> {
    let mut reader = ByteReader::new(bytes);
    let magic = reader.array::<8>()?;
    let version = u16::from_le_bytes(reader.array()?);
    reader.slice(6)?;
    let mut number = || reader.array().map(u64::from_le_bytes);
    let header = SegmentHeader { first_position: number()?, log_end: number()?, salt: number()? };
    let checksum = number()?;
    if &magic != SEGMENT_MAGIC || checksum != xxh3_64(&bytes[..COPY_LEN - 8]) {
        return Err(CodecError::Invalid("checksum of the header"));
    }
    Ok(if version == VERSION { Ok(header) } else { Err(version) })
}

/// Appends `record` at `position` with its frame.
pub(super) fn put_frame(out: &mut Vec<u8>, record: &EncodedRecord, position: u64, salt: u64) {
    let start = out.len();
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&[record.kind, 0, 0, 0]);
    let check = frame_check(&out[start..], salt);
    out.extend_from_slice(&check.to_le_bytes());
    out.extend_from_slice(&xxh3_64_with_seed(&record.payload, salt ^ position).to_le_bytes());
    out.extend_from_slice(&record.payload);
}

fn frame_check(fields: &[u8], salt: u64) -> u32 {
    (xxh3_64_with_seed(fields, salt) >> 32) as u32
}

/// A verified record inside a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) position: u64,
    pub(super) kind: u8,
    pub(super) payload: Range<usize>,
}

/// The record at `offset`, if there is a good one.
pub(super) fn frame_at(bytes: &[u8], offset: usize, salt: u64) -> Option<Frame> {
    let head = bytes.get(offset..offset.checked_add(FRAME_LEN)?)?;
    if head[..4] != FRAME_MAGIC || head[20..24] != frame_check(&head[..20], salt).to_le_bytes() {
        return None;
    }
    let mut reader = ByteReader::new(&head[4..]);
    let len = u32::from_le_bytes(reader.array().ok()?) as usize;
    let position = u64::from_le_bytes(reader.array().ok()?);
    let kind = reader.byte().ok()?;
    let start = offset + FRAME_LEN;
    let payload = start..start.checked_add(len)?;
    let checksum = xxh3_64_with_seed(bytes.get(payload.clone())?, salt ^ position);
    (head[24..] == checksum.to_le_bytes()).then_some(Frame { position, kind, payload })
}

/// Where the next good record behind `offset` begins, with that record, if there is one.
pub(super) fn next_frame(bytes: &[u8], offset: usize, salt: u64) -> Option<(usize, Frame)> {
    let mut from = offset + 1;
    loop {
        let found = bytes.get(from..)?.windows(4).position(|window| window == FRAME_MAGIC)?;
        let at = from + found;
        if let Some(frame) = frame_at(bytes, at, salt) {
            return Some((at, frame));
        }
        from = at + 1;
    }
}
