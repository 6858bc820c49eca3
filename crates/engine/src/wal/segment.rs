//! Segments as bytes: the header, and the frames around records.

use std::ops::Range;

use nephometer_series::codec::{ByteReader, CodecError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::EncodedRecord;
use super::context::Context;

const SEGMENT_MAGIC: &[u8; 8] = b"NEPHLOG\0";
const FRAME_MAGIC: [u8; 4] = *b"\xf0REC";
/// The version written.
const VERSION: u16 = 3;
/// The version before, which is read too: records follow one another without gaps, each a group of its own.
const PACKED_VERSION: u16 = 2;
/// Length of one copy of the header in bytes.
const COPY_LEN: usize = 48;
/// Length of the header in bytes: it is written twice, since without it no record could be verified.
pub(super) const HEADER_LEN: usize = 2 * COPY_LEN;
/// Bytes of a frame before its payload.
pub(super) const FRAME_LEN: usize = 32;
/// The last place in a group that a frame can tell.
const MAX_PLACE: usize = 0xff_ffff;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Position of its first record.
    pub(super) first_position: u64,
    /// Where the log ended when the segment was begun: all records before this are in earlier segments or were
    /// covered by parts. What follows the last good record of an earlier segment was never acknowledged.
    pub(super) log_end: u64,
    /// Goes into all checksums of the segment, so that neither what a client sends nor what the file held before can
    /// look like a record.
    pub(super) salt: u64,
    /// Groups of records begin at multiples of so many bytes.
    pub(super) block_bytes: u16,
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
    /// The header, and what fills its blocks up.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(SEGMENT_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.block_bytes.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.first_position.to_le_bytes());
        out.extend_from_slice(&self.log_end.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
        out.extend_from_within(..);
        out.resize(self.block_end(HEADER_LEN), 0);
        out
    }

    /// Where the block ends that `offset` is in; `offset` itself where none does.
    pub(super) fn block_end(&self, offset: usize) -> usize {
        offset.next_multiple_of(self.block_bytes.into())
    }

    /// Where the first record begins.
    pub(super) fn begin(&self) -> u64 {
        self.block_end(HEADER_LEN) as u64
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
    let block_bytes = u16::from_le_bytes(reader.array()?);
    reader.slice(4)?;
    let mut number = || reader.array().map(u64::from_le_bytes);
    let (first_position, log_end, salt, checksum) = (number()?, number()?, number()?, number()?);
    if &magic != SEGMENT_MAGIC || checksum != xxh3_64(&bytes[..COPY_LEN - 8]) {
        return Err(CodecError::Invalid("checksum of the header"));
    }
    let block_bytes = match version {
        VERSION if block_bytes > 0 => block_bytes,
        PACKED_VERSION => 1,
        _ => return Ok(Err(version)),
    };
    Ok(Ok(SegmentHeader { first_position, log_end, salt, block_bytes }))
}

/// Where a record stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: u64,
    /// How many records of its group are before it.
    pub(super) in_group: usize,
}

/// Appends `record` at `place` with its frame; see [`EncodedRecord::put`]. Nothing where it is too long for one.
pub(super) fn put_frame(
    out: Vec<u8>,
    record: &EncodedRecord,
    place: Place,
    salt: u64,
    context: &mut Context,
) -> Option<Vec<u8>> {
    let Place { position, in_group } = place;
    let start = out.len();
    let mut out = out;
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&[0; FRAME_LEN - FRAME_MAGIC.len()]);
    let mut out = record.put(out, context);
    let (frame, payload) = out[start..].split_at_mut(FRAME_LEN);
    frame[4..8].copy_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
    frame[8..16].copy_from_slice(&position.to_le_bytes());
    frame[16] = record.kind;
    frame[17..20].copy_from_slice(&in_group.min(MAX_PLACE).to_le_bytes()[..3]);
    let check = frame_check(&frame[..20], salt);
    frame[20..24].copy_from_slice(&check.to_le_bytes());
    frame[24..].copy_from_slice(&xxh3_64_with_seed(payload, salt ^ position).to_le_bytes());
    Some(out)
}

fn frame_check(fields: &[u8], salt: u64) -> u32 {
    (xxh3_64_with_seed(fields, salt) >> 32) as u32
}

/// What the fields in front of a payload say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) position: u64,
    pub(super) kind: u8,
    in_group: u64,
    /// Length of the payload in bytes.
    pub(super) payload_len: usize,
    checksum: u64,
}

impl Frame {
    /// Reads the fields from the first bytes of a frame; nothing where they are damaged.
    pub(super) fn parse(head: &[u8; FRAME_LEN], salt: u64) -> Option<Self> {
        if head[..4] != FRAME_MAGIC || head[20..24] != frame_check(&head[..20], salt).to_le_bytes() {
            return None;
        }
        let mut reader = ByteReader::new(&head[4..]);
        let payload_len = u32::from_le_bytes(reader.array().ok()?) as usize;
        let position = u64::from_le_bytes(reader.array().ok()?);
        let [kind, low, middle, high, _, _, _, _] = reader.array().ok()?;
        let in_group = u32::from_le_bytes([low, middle, high, 0]).into();
        let checksum = u64::from_le_bytes(reader.array().ok()?);
        Some(Self { position, kind, in_group, payload_len, checksum })
    }

    /// Position of the first record of its group.
    pub(super) fn group_position(&self) -> u64 {
        self.position.saturating_sub(self.in_group)
    }

    /// Whether `payload` is as it was written.
    pub(super) fn vouches_for(&self, payload: &[u8], salt: u64) -> bool {
        xxh3_64_with_seed(payload, salt ^ self.position) == self.checksum
    }
}

/// Where in `bytes` a frame may begin.
pub(super) fn find_magic(bytes: &[u8]) -> Option<usize> {
    bytes.windows(FRAME_MAGIC.len()).position(|window| window == FRAME_MAGIC)
}
