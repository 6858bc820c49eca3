//! A column of 64-bit integers (or of floats) as bytes, in whichever of a few forms is small.
//!
//! The number of values is not stored: the reader knows it from elsewhere. Differences wrap, so that any integers
//! go in.

use pco::data_types::Number;
use pco::errors::PcoError;
use pco::metadata::{DeltaEncoding, Mode};
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

use super::{ByteReader, CodecError, Effort, put_varint, put_zigzag};

/// All values are equal: the value as a zigzag varint.
const CONSTANT: u8 = 0;
/// Each value as a zigzag varint.
const VARINTS: u8 = 1;
/// Smallest value as a zigzag varint, width in bits, then each value less the smallest in so many bits.
const PACKED: u8 = 2;
/// Length as a varint, then a pco chunk of one page, with pco's header.
const PCO: u8 = 3;

/// Below so many values pco's tables cost more than they save.
const PCO_MIN_VALUES: usize = 96;

/// Appends `values` as a column; nothing for an empty one.
pub fn put_ints(out: &mut Vec<u8>, values: &[i64], effort: Effort) {
    let Some((first, rest)) = values.split_first() else { return };
    if rest.iter().all(|value| value == first) {
        out.push(CONSTANT);
        put_zigzag(out, *first);
        return;
    }
    let (min, max) = values.iter().fold((*first, *first), |(min, max), v| (min.min(*v), max.max(*v)));
    let width = bit_length(max.wrapping_sub(min).cast_unsigned());
    let packed_bytes = (values.len() * width as usize).div_ceil(8);
    if values.len() >= PCO_MIN_VALUES && width > 0 {
        let config = config(effort).with_mode_spec(ModeSpec::Classic).with_delta_spec(DeltaSpec::NoOp);
        let chunk = compress(values, config);
        if chunk.len() < packed_bytes {
            out.push(PCO);
            put_varint(out, chunk.len() as u64);
            out.extend_from_slice(&chunk);
            return;
        }
    } else if values.iter().map(|value| varint_bytes(*value)).sum::<usize>() <= packed_bytes {
        out.push(VARINTS);
        for value in values {
            put_zigzag(out, *value);
        }
        return;
    }
    out.push(PACKED);
    put_zigzag(out, min);
    out.push(width as u8);
    pack(out, values, min, width);
}

/// Reads a column of `len` values, as [`put_ints`] wrote it.
pub fn get_ints(reader: &mut ByteReader<'_>, len: usize) -> Result<Vec<i64>, CodecError> {
    if len == 0 {
        return Ok(Vec::new());
    }
    match reader.byte()? {
        CONSTANT => Ok(vec![reader.zigzag()?; len]),
        VARINTS => {
            if reader.rest().len() < len {
                return Err(CodecError::Truncated);
            }
            (0..len).map(|_| reader.zigzag()).collect()
        }
        PACKED => {
            let min = reader.zigzag()?;
            let width = u32::from(reader.byte()?);
            if width > 64 {
                return Err(CodecError::Invalid("width beyond 64 bits"));
            }
            let bytes = reader.slice((len * width as usize).div_ceil(8))?;
            Ok(unpack(bytes, len, min, width))
        }
        PCO => {
            let chunk_bytes = reader.count(usize::MAX)?;
            decompress(reader.slice(chunk_bytes)?, len)
        }
        _ => Err(CodecError::Invalid("unknown form of a column")),
    }
}

/// Appends `values` as a pco chunk with a mode found by trying and, with `deltas`, differences first.
pub(crate) fn put_floats(out: &mut Vec<u8>, values: &[f64], deltas: bool, effort: Effort) {
    let delta = if deltas { DeltaSpec::TryConsecutive(1) } else { DeltaSpec::NoOp };
    let chunk = compress(values, config(effort).with_delta_spec(delta));
    put_varint(out, chunk.len() as u64);
    out.extend_from_slice(&chunk);
}

/// Reads what [`put_floats`] wrote of `len` values.
pub(crate) fn get_floats(reader: &mut ByteReader<'_>, len: usize) -> Result<Vec<f64>, CodecError> {
    let chunk_bytes = reader.count(usize::MAX)?;
    decompress(reader.slice(chunk_bytes)?, len)
}

/// Bits that `value` needs; 0 for 0.
#[inline]
pub(crate) const fn bit_length(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

fn varint_bytes(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    (bit_length(zigzag).max(1) as usize).div_ceil(7)
}

fn pack(out: &mut Vec<u8>, values: &[i64], min: i64, width: u32) {
    let (mut buffer, mut filled) = (0_u128, 0_u32);
    for value in values {
        buffer |= u128::from(value.wrapping_sub(min).cast_unsigned()) << filled;
        filled += width;
        while filled >= 8 {
            out.push(buffer as u8);
            buffer >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(buffer as u8);
    }
}

fn unpack(bytes: &[u8], len: usize, min: i64, width: u32) -> Vec<i64> {
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let (mut buffer, mut filled) = (0_u128, 0_u32);
    let mut bytes = bytes.iter();
    let mut next = || {
        while filled < width {
            // The slice has all the bits: its length was computed from them.
            buffer |= u128::from(bytes.next().copied().unwrap_or_default()) << filled;
            filled += 8;
        }
        let value = buffer as u64 & mask;
        buffer >>= width;
        filled -= width;
        min.wrapping_add(value.cast_signed())
    };
    (0..len).map(|_| next()).collect()
}

fn config(effort: Effort) -> ChunkConfig {
    ChunkConfig::default().with_compression_level(match effort {
        Effort::Flush => 4,
        Effort::Merge => 8,
    })
}

fn compress<T: Number>(values: &[T], config: ChunkConfig) -> Vec<u8> {
    let config = config.with_paging_spec(PagingSpec::Exact(vec![values.len()]));
    let chunk = || -> Result<Vec<u8>, PcoError> {
        let file = FileCompressor::default();
        let mut compressor = file.chunk_compressor(values, &config)?;
        let mut chunk = Vec::with_capacity(16 + compressor.meta_size_hint() + compressor.page_size_hint(0));
        file.write_header(&mut chunk)?;
        compressor.write_meta(&mut chunk)?;
        compressor.write_page(0, &mut chunk)?;
        Ok(chunk)
    };
    chunk().expect("pco refuses only empty or huge chunks and wrong settings, none of which come here")
}

/// Decodes a chunk of `len` values. Modes that we never write are refused before they can ask for much memory.
fn decompress<T: Number + Default>(chunk: &[u8], len: usize) -> Result<Vec<T>, CodecError> {
    let wrong = |error: PcoError| CodecError::Stream(error.to_string());
    let (file, rest) = FileDecompressor::new(chunk).map_err(wrong)?;
    // The low four bits of a chunk are its mode; 0 to 3 have no dictionary.
    if rest.first().is_none_or(|first| first & 0x0f > 3) {
        return Err(CodecError::Invalid("unexpected mode of a stream"));
    }
    let (mut decompressor, rest) = file.chunk_decompressor::<T, _>(rest).map_err(wrong)?;
    let meta = decompressor.meta();
    let expected = matches!(meta.delta_encoding, DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. });
    if !expected || matches!(meta.mode, Mode::Dict(_)) {
        return Err(CodecError::Invalid("unexpected encoding of a stream"));
    }
    let mut values = vec![T::default(); len];
    let mut page = decompressor.page_decompressor(rest, len).map_err(wrong)?;
    let progress = page.read(&mut values).map_err(wrong)?;
    if progress.finished && page.into_src().is_empty() {
        Ok(values)
    } else {
        Err(CodecError::Invalid("a stream has another number of values"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[i64], effort: Effort) {
        let mut out = Vec::new();
        put_ints(&mut out, values, effort);
        let mut reader = ByteReader::new(&out);
        assert_eq!(get_ints(&mut reader, values.len()).as_deref(), Ok(values));
        assert!(reader.is_empty());
    }

    fn column() -> impl Strategy<Value = Vec<i64>> {
        let like = |range: std::ops::Range<i64>| prop::collection::vec(range, 0..600);
        prop_oneof![
            like(-3..3),
            like(0..1000),
            like(i64::MIN..i64::MAX),
            prop::collection::vec(prop_oneof![Just(0), Just(0), Just(0), any::<i64>()], 0..300),
        ]
    }

    proptest! {
        #[test]
        fn integers_round_trip(values in column()) {
            round_trip(&values, Effort::Flush);
            round_trip(&values, Effort::Merge);
        }

        #[test]
        fn floats_round_trip(bits in prop::collection::vec(any::<u64>(), 1..500), deltas: bool) {
            let values: Vec<_> = bits.iter().map(|bits| f64::from_bits(*bits)).collect();
            let mut out = Vec::new();
            put_floats(&mut out, &values, deltas, Effort::Merge);
            let back = get_floats(&mut ByteReader::new(&out), values.len()).unwrap();
            prop_assert_eq!(back.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), bits);
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, form in 0_u8..5, len in 0_usize..5000) {
            bytes.insert(0, form);
            let _ = get_ints(&mut ByteReader::new(&bytes), len);
            let _ = get_floats(&mut ByteReader::new(&bytes), len);
        }

        #[test]
        fn damaged_chunks_never_panic(values in column(), at: usize, bits in 1_u8.., len in 0_usize..5000) {
            let mut out = Vec::new();
            put_ints(&mut out, &values, Effort::Flush);
            if !out.is_empty() {
                let at = at % out.len();
                out[at] ^= bits;
            }
            let _ = get_ints(&mut ByteReader::new(&out), len);
        }
    }

    #[test]
    fn small_columns_are_small() {
        let size = |values: &[i64]| {
            let mut out = Vec::new();
            put_ints(&mut out, values, Effort::Merge);
            out.len()
        };
        assert_eq!(size(&[]), 0);
        assert_eq!(size(&[7; 1000]), 2);
        assert_eq!(size(&[0, 1, 0, 1, 1, 0, 0, 1, 1]), 5);
        assert!(size(&[1, -1, 2, 500]) <= 6);
    }
}
