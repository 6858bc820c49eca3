//! Blocks of rollups: aggregates of spans whose raw measures are gone.

mod columns;

use std::ops::Range;

use super::ints::{get_ints, put_ints};
use super::runs::{Streams, encode_runs};
use super::times::{Times, TimesEncoder};
use super::{ByteReader, CodecError, ColumnId, Effort, MAX_BLOCK_VALUES, put_varint};
use columns::{ColumnSets, ColumnSetsEncoder, Origin, origins};

/// First byte of a block of rollups.
const ROLLUP_BLOCK: u8 = 2;

/// Aggregates of one series at one granularity, to be encoded.
#[derive(Debug, Clone, Copy)]
pub struct RollupColumns<'a> {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// Width of a slot in nanoseconds.
    pub granularity_ns: i64,
    /// From here on the raw measures of the series were complete when these slots were made, in nanoseconds.
    pub raw_floor_ns: i64,
    /// Starts of the slots that have measures, strictly ascending, in nanoseconds.
    pub slots_ns: &'a [i64],
    /// One value for each slot, by column, each column once; NaN where a method gives no value. Columns that are equal
    /// bit for bit, and means that are sum divided by count, cost nothing.
    pub columns: &'a [(ColumnId, &'a [f64])],
}

/// A series at one granularity inside a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupEntry {
    /// Storage key of the series.
    pub key: u64,
    /// Storage key of its archive policy.
    pub policy: u32,
    /// Width of a slot in nanoseconds.
    pub granularity_ns: i64,
    /// See [`RollupColumns::raw_floor_ns`].
    pub raw_floor_ns: i64,
    /// How many slots the block holds of it.
    pub count: usize,
    /// Start of its first slot inside, in nanoseconds.
    pub first_ns: i64,
    /// Which list of columns it has, and where its origins begin.
    set: u32,
    origins: u32,
}

/// Appends a block of `series` to `out`. They must be sorted by (key, granularity), strictly; each must have slots;
/// all values together no more than [`MAX_BLOCK_VALUES`]; [`CodecError::Input`] otherwise.
pub fn encode_rollup_block(
    series: &[RollupColumns<'_>],
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    check(series)?;
    out.push(ROLLUP_BLOCK);
    put_varint(out, series.len() as u64);
    put_varint(out, series[0].key);
    let steps: Vec<_> = series.windows(2).map(|pair| (pair[1].key - pair[0].key).cast_signed()).collect();
    put_ints(out, &steps, effort);
    let fields: [fn(&RollupColumns<'_>) -> i64; 3] =
        [|one| i64::from(one.policy), |one| one.granularity_ns, |one| one.raw_floor_ns];
    for field in fields {
        put_ints(out, &series.iter().map(field).collect::<Vec<_>>(), effort);
    }
    let mut times = TimesEncoder::default();
    series.iter().for_each(|one| times.push(one.slots_ns));
    times.finish(effort, out);
    let mut sets = ColumnSetsEncoder::default();
    let mut codes = Vec::new();
    let mut runs = Vec::new();
    for one in series {
        sets.push(one.columns);
        for (origin, (_, values)) in origins(one.columns).into_iter().zip(one.columns) {
            codes.push(origin.code());
            if origin == Origin::Stored {
                runs.push(*values);
            }
        }
    }
    sets.finish(effort, out);
    put_ints(out, &codes, effort);
    encode_runs(&runs, effort, out);
    Ok(())
}

fn check(series: &[RollupColumns<'_>]) -> Result<(), CodecError> {
    if series.is_empty() {
        return Err(CodecError::Input("a block without series"));
    }
    let order = |one: &RollupColumns<'_>| (one.key, one.granularity_ns);
    if series.windows(2).any(|pair| order(&pair[0]) >= order(&pair[1])) {
        return Err(CodecError::Input("series do not ascend"));
    }
    let mut total = 0;
    for one in series {
        if one.slots_ns.is_empty() || one.columns.iter().any(|(_, values)| values.len() != one.slots_ns.len())
        {
            return Err(CodecError::Input("columns are empty or differ in length"));
        }
        if one.slots_ns.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(CodecError::Input("slots do not ascend"));
        }
        total += one.slots_ns.len() * one.columns.len().max(1);
    }
    if total > MAX_BLOCK_VALUES { Err(CodecError::Input("too many values for one block")) } else { Ok(()) }
}

/// A block whose directory has been parsed; streams are decoded when first asked for, and kept.
#[derive(Debug)]
pub struct RollupBlock {
    bytes: Vec<u8>,
    entries: Vec<RollupEntry>,
    sets: ColumnSets,
    /// For all entries and their columns.
    origins: Vec<Origin>,
    /// For all entries and their columns: how many stored columns come before.
    runs: Vec<u32>,
    times: Times,
    streams: Streams,
}

impl RollupBlock {
    /// Parses the directory of a block.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, CodecError> {
        let mut reader = ByteReader::new(&bytes);
        if reader.byte()? != ROLLUP_BLOCK {
            return Err(CodecError::Invalid("no block of rollups"));
        }
        let len = reader.count(MAX_BLOCK_VALUES)?;
        let mut entries = parse_entries(&mut reader, len)?;
        let times = Times::parse(&mut reader, &bytes, len)?;
        let sets = ColumnSets::parse(&mut reader, len)?;
        let mut total = 0;
        for (index, entry) in entries.iter_mut().enumerate() {
            (entry.count, entry.first_ns) = (times.count(index), times.first_ns(index));
            (entry.set, entry.origins) = (sets.of(index), total as u32);
            total += sets.columns(entry.set).len();
            if total > MAX_BLOCK_VALUES {
                return Err(CodecError::Invalid("too many columns"));
            }
        }
        let origins: Option<Vec<_>> =
            get_ints(&mut reader, total)?.into_iter().map(Origin::from_code).collect();
        let origins = origins.ok_or(CodecError::Invalid("unknown origin of a column"))?;
        let mut runs = Vec::with_capacity(total);
        let mut lens = Vec::new();
        for entry in &entries {
            for origin in &origins[entry.origins as usize..][..sets.columns(entry.set).len()] {
                runs.push(lens.len() as u32);
                if *origin == Origin::Stored {
                    lens.push(entry.count);
                }
            }
        }
        let streams = Streams::parse(&mut reader, &bytes, lens.into_iter())?;
        if !reader.is_empty() {
            return Err(CodecError::Invalid("bytes behind the block"));
        }
        Ok(Self { bytes, entries, sets, origins, runs, times, streams })
    }

    /// What is inside, by ascending (key, granularity).
    pub fn entries(&self) -> &[RollupEntry] {
        &self.entries
    }

    /// Where in [`Self::entries`] the series `key` is: one entry for each granularity.
    pub fn find(&self, key: u64) -> Range<usize> {
        let start = self.entries.partition_point(|entry| entry.key < key);
        start..start + self.entries[start..].partition_point(|entry| entry.key == key)
    }

    /// Columns that entry `index` has.
    pub fn columns(&self, index: usize) -> &[ColumnId] {
        self.sets.columns(self.entries[index].set)
    }

    /// Appends the starts of all slots of entry `index`, in nanoseconds.
    pub fn decode_slots(&self, index: usize, slots_ns: &mut Vec<i64>) -> Result<(), CodecError> {
        self.times.decode_all(&self.bytes, index, slots_ns)
    }

    /// Appends the values of `column` for all slots of entry `index`; says whether the entry has that column.
    pub fn decode_column(
        &self,
        index: usize,
        column: ColumnId,
        values: &mut Vec<f64>,
    ) -> Result<bool, CodecError> {
        let Some(at) = self.columns(index).iter().position(|known| *known == column) else {
            return Ok(false);
        };
        if self.origin(index, at) != Origin::Ratio {
            self.decode_stored(index, at, values)?;
            return Ok(true);
        }
        let (sum, count) = columns::terms(column).ok_or(CodecError::Invalid("a quotient that is no mean"))?;
        let term = |wanted: ColumnId| -> Result<Vec<f64>, CodecError> {
            let at = self.columns(index).iter().position(|known| *known == wanted);
            let mut out = Vec::with_capacity(self.entries[index].count);
            self.decode_stored(index, at.ok_or(CodecError::Invalid("a mean without its terms"))?, &mut out)?;
            Ok(out)
        };
        let (sums, counts) = (term(sum)?, term(count)?);
        values.extend(sums.iter().zip(&counts).map(|(sum, count)| sum / count));
        Ok(true)
    }

    fn origin(&self, index: usize, at: usize) -> Origin {
        self.origins[self.entries[index].origins as usize + at]
    }

    /// Column `at` of entry `index`, which is stored or equal to one that is.
    fn decode_stored(&self, index: usize, at: usize, values: &mut Vec<f64>) -> Result<(), CodecError> {
        let at = match self.origin(index, at) {
            Origin::Same(other) if other < at => other,
            _ => at,
        };
        if self.origin(index, at) != Origin::Stored {
            return Err(CodecError::Invalid("a column without values"));
        }
        let entry = &self.entries[index];
        let run = self.runs[entry.origins as usize + at] as usize;
        self.streams.decode(&self.bytes, run, 0..entry.count, values)
    }

    /// Bytes that the block may come to hold in memory, decoded streams included: for the bound of a cache.
    pub fn memory_bytes(&self) -> usize {
        let own = size_of::<Self>() + self.bytes.len() + self.entries.len() * size_of::<RollupEntry>();
        let columns = self.runs.len() * (size_of::<Origin>() + 4);
        own + columns + self.times.memory_bytes() + self.streams.memory_bytes()
    }
}

/// The columns of the directory that say which entries there are.
fn parse_entries(reader: &mut ByteReader<'_>, len: usize) -> Result<Vec<RollupEntry>, CodecError> {
    let mut key = reader.varint()?;
    let steps = get_ints(reader, len.checked_sub(1).ok_or(CodecError::Invalid("empty block"))?)?;
    let policies = get_ints(reader, len)?;
    let granularities = get_ints(reader, len)?;
    let floors = get_ints(reader, len)?;
    let mut entries: Vec<RollupEntry> = Vec::with_capacity(len);
    for (index, policy) in policies.into_iter().enumerate() {
        let step = index.checked_sub(1).map_or(0, |before| steps[before].cast_unsigned());
        key = key.checked_add(step).ok_or(CodecError::Invalid("keys do not ascend"))?;
        let granularity_ns = granularities[index];
        if entries.last().is_some_and(|last| (last.key, last.granularity_ns) >= (key, granularity_ns)) {
            return Err(CodecError::Invalid("series do not ascend"));
        }
        entries.push(RollupEntry {
            key,
            policy: u32::try_from(policy).map_err(|_| CodecError::Invalid("wrong policy"))?,
            granularity_ns,
            raw_floor_ns: floors[index],
            count: 0,
            first_ns: 0,
            set: 0,
            origins: 0,
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
