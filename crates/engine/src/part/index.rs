//! The index at the end of a part, and the fixed pieces around: header and trailer.

use nephometer_drivers::{PartId, PartKind};
use nephometer_series::codec::{ByteReader, CodecError, Effort, get_ints, put_ints, put_varint};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::{PartError, PartHeader, PartSummary};

/// First bytes of a part.
const HEADER_MAGIC: &[u8; 8] = b"NEPHPART";
/// Last bytes of a part.
const TRAILER_MAGIC: &[u8; 8] = b"PARTNEPH";
/// The version written, and the only one read.
const VERSION: u16 = 1;
/// Length of the header in bytes.
pub(super) const HEADER_LEN: usize = 72;
/// Length of the trailer in bytes.
pub(super) const TRAILER_LEN: usize = 48;
/// Bytes behind a block's payload: its length and its checksum.
pub(super) const FRAME_LEN: usize = 12;

/// Where a block is and what it spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Smallest key inside.
    pub min_key: u64,
    /// Largest key inside.
    pub max_key: u64,
    /// Oldest timestamp inside, in nanoseconds.
    pub min_ns: i64,
    /// Newest timestamp (start of the newest slot) inside, in nanoseconds.
    pub max_ns: i64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes, frame included.
    pub len: u32,
    /// Measures, or slots of rollups, inside.
    pub points: u32,
}

/// The header as bytes.
pub(super) fn header_bytes(header: &PartHeader) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN);
    out.extend_from_slice(HEADER_MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.push(match header.kind {
        PartKind::Raw => 1,
        PartKind::Rollup => 2,
    });
    out.push(0);
    out.extend_from_slice(&header.sack.to_le_bytes());
    out.extend_from_slice(&header.level.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(header.id.0.as_bytes());
    out.extend_from_slice(&header.min_position.to_le_bytes());
    out.extend_from_slice(&header.max_position.to_le_bytes());
    out.extend_from_slice(&header.as_of_ns.to_le_bytes());
    out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
    out
}

/// Undoes [`header_bytes`].
pub(super) fn parse_header(bytes: &[u8]) -> Result<PartHeader, PartError> {
    let mut reader = ByteReader::new(bytes);
    if &reader.array::<8>()? != HEADER_MAGIC {
        return Err(PartError::Damaged("the file does not begin as a part"));
    }
    let version = u16::from_le_bytes(reader.array()?);
    let (fields, sum) = bytes.split_at(HEADER_LEN - 8);
    if xxh3_64(fields).to_le_bytes() != sum {
        return Err(PartError::Damaged("checksum of the header"));
    }
    if version != VERSION {
        return Err(PartError::Version(version));
    }
    let kind = match reader.array::<2>()? {
        [1, 0] => PartKind::Raw,
        [2, 0] => PartKind::Rollup,
        _ => return Err(PartError::Damaged("unknown kind of part")),
    };
    let sack = u32::from_le_bytes(reader.array()?);
    let level = u32::from_le_bytes(reader.array()?);
    reader.slice(4)?;
    Ok(PartHeader {
        id: PartId(Uuid::from_bytes(reader.array()?)),
        kind,
        sack,
        level,
        min_position: u64::from_le_bytes(reader.array()?),
        max_position: u64::from_le_bytes(reader.array()?),
        as_of_ns: i64::from_le_bytes(reader.array()?),
    })
}

/// The index as bytes: columns over the blocks.
pub(super) fn index_bytes(index: &[BlockEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, index.len() as u64);
    let min_keys: Vec<_> = index.iter().map(|block| block.min_key).collect();
    let before = std::iter::once(&0).chain(&min_keys);
    let steps: Vec<_> =
        min_keys.iter().zip(before).map(|(key, before)| key.wrapping_sub(*before).cast_signed()).collect();
    put_ints(&mut out, &steps, Effort::Merge);
    let columns: [fn(&BlockEntry) -> i64; 5] = [
        |block| (block.max_key - block.min_key).cast_signed(),
        |block| block.min_ns,
        |block| block.max_ns.wrapping_sub(block.min_ns),
        |block| i64::from(block.len),
        |block| i64::from(block.points),
    ];
    for column in columns {
        put_ints(&mut out, &index.iter().map(column).collect::<Vec<_>>(), Effort::Merge);
    }
    out
}

/// Undoes [`index_bytes`]; the blocks lie one behind the other from the header to `end`.
pub(super) fn parse_index(bytes: &[u8], end: u64) -> Result<Vec<BlockEntry>, PartError> {
    let mut reader = ByteReader::new(bytes);
    // A block takes more than a frame.
    let len = reader.count(usize::try_from(end).unwrap_or(usize::MAX) / FRAME_LEN)?;
    let [steps, spans, starts, lengths_ns, lens, points] = {
        let mut column = || get_ints(&mut reader, len);
        [column()?, column()?, column()?, column()?, column()?, column()?]
    };
    let mut index = Vec::with_capacity(len);
    let (mut key, mut offset) = (0_u64, HEADER_LEN as u64);
    let small = |value: i64| u32::try_from(value).map_err(|_| CodecError::Invalid("wrong index"));
    for at in 0..len {
        key = key.wrapping_add(steps[at].cast_unsigned());
        let block = BlockEntry {
            min_key: key,
            max_key: key.wrapping_add(spans[at].cast_unsigned()),
            min_ns: starts[at],
            max_ns: starts[at].wrapping_add(lengths_ns[at]),
            offset,
            len: small(lens[at])?,
            points: small(points[at])?,
        };
        offset += u64::from(block.len);
        index.push(block);
    }
    let whole =
        reader.is_empty() && offset == end && index.iter().all(|block| block.len as usize > FRAME_LEN);
    if whole { Ok(index) } else { Err(PartError::Damaged("the index does not fit the file")) }
}

/// Trailer: where the index is, and what the part holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trailer {
    pub(super) index_len: u32,
    pub(super) index_checksum: u64,
    pub(super) series: u64,
    pub(super) points: u64,
}

impl Trailer {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_LEN);
        out.extend_from_slice(&self.index_len.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.index_checksum.to_le_bytes());
        out.extend_from_slice(&self.series.to_le_bytes());
        out.extend_from_slice(&self.points.to_le_bytes());
        out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
        out.extend_from_slice(TRAILER_MAGIC);
        out
    }

    pub(super) fn parse(bytes: &[u8; TRAILER_LEN]) -> Result<Self, PartError> {
        let (fields, end) = bytes.split_at(TRAILER_LEN - 16);
        let (sum, magic) = end.split_at(8);
        if magic != TRAILER_MAGIC {
            return Err(PartError::Damaged("the file does not end as a part"));
        }
        if xxh3_64(fields).to_le_bytes() != sum {
            return Err(PartError::Damaged("checksum of the trailer"));
        }
        let mut reader = ByteReader::new(fields);
        let index_len = u32::from_le_bytes(reader.array()?);
        reader.slice(4)?;
        Ok(Self {
            index_len,
            index_checksum: u64::from_le_bytes(reader.array()?),
            series: u64::from_le_bytes(reader.array()?),
            points: u64::from_le_bytes(reader.array()?),
        })
    }
}

/// What a part with this index holds; `bytes` is the size of its file.
pub(super) fn summary(index: &[BlockEntry], trailer: &Trailer, bytes: u64) -> PartSummary {
    PartSummary {
        bytes,
        series: trailer.series,
        points: trailer.points,
        min_ns: index.iter().map(|block| block.min_ns).min().unwrap_or_default(),
        max_ns: index.iter().map(|block| block.max_ns).max().unwrap_or_default(),
    }
}
