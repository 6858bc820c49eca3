//! Blocks of raw measures.

use std::ops::Range;

use super::ints::{get_ints, put_ints};
use super::runs::{Streams, encode_runs};
use super::times::{Times, TimesEncoder};
use super::{ByteReader, CodecError, Effort, MAX_BLOCK_VALUES, put_varint};

/// First byte of a block of raw measures.
const RAW_BLOCK: u8 = 1;

/// Measures of one series, to be encoded.
#[derive(Debug, Clone, Copy)]
pub struct SeriesColumns<'a> {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// Nanoseconds since the epoch, strictly ascending.
    pub timestamps_ns: &'a [i64],
    /// One value for each timestamp.
    pub values: &'a [f64],
}

/// A series inside a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEntry {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// How many measures the block holds of it.
    pub count: usize,
    /// Its first timestamp inside, in nanoseconds.
    pub first_ns: i64,
}

/// Appends a block of `series` to `out`. Keys must ascend strictly, each series must have measures with strictly
/// ascending timestamps, and all together no more than [`MAX_BLOCK_VALUES`]; [`CodecError::Input`] otherwise.
pub fn encode_raw_block(
    series: &[SeriesColumns<'_>],
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    check(series)?;
    out.push(RAW_BLOCK);
    put_varint(out, series.len() as u64);
    put_varint(out, series[0].key);
    let steps: Vec<_> = series.windows(2).map(|pair| (pair[1].key - pair[0].key).cast_signed()).collect();
    put_ints(out, &steps, effort);
    let policies: Vec<_> = series.iter().map(|one| i64::from(one.policy)).collect();
    put_ints(out, &policies, effort);
    let mut times = TimesEncoder::default();
    series.iter().for_each(|one| times.push(one.timestamps_ns));
    times.finish(effort, out);
    let runs: Vec<_> = series.iter().map(|one| one.values).collect();
    encode_runs(&runs, effort, out);
    Ok(())
}

fn check(series: &[SeriesColumns<'_>]) -> Result<(), CodecError> {
    if series.is_empty() {
        return Err(CodecError::Input("a block without series"));
    }
    if series.windows(2).any(|pair| pair[0].key >= pair[1].key) {
        return Err(CodecError::Input("keys do not ascend"));
    }
    let mut total = 0;
    for one in series {
        if one.timestamps_ns.is_empty() || one.timestamps_ns.len() != one.values.len() {
            return Err(CodecError::Input("columns are empty or differ in length"));
        }
        if one.timestamps_ns.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(CodecError::Input("timestamps do not ascend"));
        }
        total += one.values.len();
    }
    if total > MAX_BLOCK_VALUES { Err(CodecError::Input("too many values for one block")) } else { Ok(()) }
}

/// A block whose directory has been parsed; streams are decoded when first asked for, and kept.
#[derive(Debug)]
pub struct RawBlock {
    bytes: Vec<u8>,
    entries: Vec<RawEntry>,
    times: Times,
    streams: Streams,
}

impl RawBlock {
    /// Parses the directory of a block.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, CodecError> {
        let mut reader = ByteReader::new(&bytes);
        if reader.byte()? != RAW_BLOCK {
            return Err(CodecError::Invalid("no block of raw measures"));
        }
        let len = reader.count(MAX_BLOCK_VALUES)?;
        let mut key = reader.varint()?;
        let steps = get_ints(&mut reader, len.checked_sub(1).ok_or(CodecError::Invalid("empty block"))?)?;
        let policies = get_ints(&mut reader, len)?;
        let times = Times::parse(&mut reader, &bytes, len)?;
        let mut entries = Vec::with_capacity(len);
        for (index, policy) in policies.into_iter().enumerate() {
            if index > 0 {
                let step = steps[index - 1].cast_unsigned();
                let next = key.checked_add(step).filter(|next| *next > key);
                key = next.ok_or(CodecError::Invalid("keys do not ascend"))?;
            }
            let policy = u32::try_from(policy).map_err(|_| CodecError::Invalid("wrong policy"))?;
            entries.push(RawEntry {
                key,
                policy,
                count: times.count(index),
                first_ns: times.first_ns(index),
            });
        }
        let streams = Streams::parse(&mut reader, &bytes, entries.iter().map(|entry| entry.count))?;
        if !reader.is_empty() {
            return Err(CodecError::Invalid("bytes behind the block"));
        }
        Ok(Self { bytes, entries, times, streams })
    }

    /// The series inside, by ascending key.
    pub fn entries(&self) -> &[RawEntry] {
        &self.entries
    }

    /// Where in [`Self::entries`] the series `key` is.
    pub fn find(&self, key: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&key, |entry| entry.key).ok()
    }

    /// Appends the measures of entry `index` whose timestamps are in `range_ns` (nanoseconds, end exclusive). After
    /// an error the columns are as they were.
    pub fn decode(
        &self,
        index: usize,
        range_ns: Range<i64>,
        timestamps_ns: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), CodecError> {
        let before = timestamps_ns.len();
        let range = self.times.decode(&self.bytes, index, &range_ns, timestamps_ns)?;
        if range.is_empty() {
            return Ok(());
        }
        let decoded = self.streams.decode(&self.bytes, index, range, values);
        if decoded.is_err() {
            timestamps_ns.truncate(before);
        }
        decoded
    }

    /// The newest timestamp of entry `index` in `range_ns` (nanoseconds, end exclusive), if it has one there.
    pub fn newest(&self, index: usize, range_ns: &Range<i64>) -> Result<Option<i64>, CodecError> {
        self.times.newest(&self.bytes, index, range_ns)
    }

    /// Appends all timestamps of entry `index`, in nanoseconds.
    pub fn decode_times(&self, index: usize, timestamps_ns: &mut Vec<i64>) -> Result<(), CodecError> {
        self.times.decode_all(&self.bytes, index, timestamps_ns)
    }

    /// Bytes that the block may come to hold in memory, decoded streams included: for the bound of a cache.
    pub fn memory_bytes(&self) -> usize {
        let own = size_of::<Self>() + self.bytes.len() + self.entries.len() * size_of::<RawEntry>();
        own + self.times.memory_bytes() + self.streams.memory_bytes()
    }
}

#[cfg(test)]
mod tests;
