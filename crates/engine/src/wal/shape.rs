//! The part of a record that says whose measures they are, how many, and of when.

use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_model::{PolicyKey, SeriesKey};
use nephometer_series::codec::CodecError;

use super::bits::{BitReader, BitWriter};
use super::number::{Number, get_column, put_column};

/// Nanoseconds of the units in which a record counts time, by code.
const UNITS_NS: [i64; 4] = [1, 1_000, 1_000_000, 1_000_000_000];
/// Bits of the code of a unit.
const UNIT_BITS: u32 = 2;

/// A run of a batch with its measures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) run: SeriesRun,
    pub(super) timestamps_ns: &'a [i64],
    pub(super) values: &'a [f64],
}

/// The runs of `batch` that are not empty. The lengths of the runs must add up to those of the columns.
pub(super) fn runs(batch: &WriteBatch) -> Vec<Run<'_>> {
    let mut begin = 0;
    let measures = |run: &SeriesRun| {
        let range = begin..begin + run.len as usize;
        begin = range.end;
        let (timestamps_ns, values) = (&batch.timestamps_ns[range.clone()], &batch.values[range]);
        Run { run: *run, timestamps_ns, values }
    };
    batch.runs.iter().map(measures).filter(|run| run.run.len > 0).collect()
}

/// Appends the shape of `runs`: unit of time, then columns of keys (each less the one before), policies, lengths and
/// whether timestamps are those of the run before, then the timestamps that are not.
pub(super) fn put_shape(bits: &mut BitWriter, runs: &[Run<'_>]) {
    let keys = runs.iter().map(|run| run.run.key.0);
    let before = std::iter::once(0).chain(keys.clone());
    let Some(first) = keys.clone().next() else { return };
    bits.put(first, u64::BITS);
    put_column(bits, keys.zip(before).skip(1).map(|(key, before)| key.wrapping_sub(before).cast_signed()));
    put_column(bits, runs.iter().map(|run| run.run.policy.0.into()));
    put_column(bits, runs.iter().map(|run| run.run.len.into()));
    let repeats: Vec<bool> =
        runs.windows(2).map(|pair| is_same(pair[0].timestamps_ns, pair[1].timestamps_ns)).collect();
    put_column(bits, repeats.iter().map(|repeats| (*repeats).into()));
    let other = || {
        let repeats = std::iter::once(false).chain(repeats.iter().copied());
        runs.iter().zip(repeats).filter(|(_, repeats)| !repeats).map(|(run, _)| run.timestamps_ns)
    };
    let unit = common_unit(other().flatten());
    bits.put(unit as u64, UNIT_BITS);
    put_times(bits, other(), UNITS_NS[unit]);
}

/// Whether two runs have the same timestamps; most have one or differ in the first.
#[inline]
fn is_same(one: &[i64], other: &[i64]) -> bool {
    match (one, other) {
        ([one], [other]) => one == other,
        _ => one.first() == other.first() && one == other,
    }
}

/// Code of the largest unit that all `timestamps` are whole multiples of.
fn common_unit<'a>(timestamps: impl Iterator<Item = &'a i64>) -> usize {
    let mut unit = UNITS_NS.len() - 1;
    for timestamp in timestamps {
        while timestamp % UNITS_NS[unit] != 0 {
            unit -= 1;
        }
    }
    unit
}

/// The first timestamp of each run as one sequence, the steps inside all runs as another.
fn put_times<'a>(bits: &mut BitWriter, runs: impl Iterator<Item = &'a [i64]>, unit_ns: i64) {
    let (mut firsts, mut steps) = (Number::FRESH, Number::FRESH);
    for timestamps_ns in runs {
        let mut last = 0_i64;
        for (at, timestamp_ns) in timestamps_ns.iter().enumerate() {
            let timestamp = timestamp_ns / unit_ns;
            match at {
                0 => firsts.put(bits, timestamp),
                _ => steps.put(bits, timestamp.wrapping_sub(last)),
            }
            last = timestamp;
        }
    }
}

/// Reads the shape of `runs` runs with `measures` measures, of each at least one: runs and timestamps, no values yet.
pub(super) fn get_shape(
    bits: &mut BitReader<'_>,
    runs: usize,
    measures: usize,
) -> Result<WriteBatch, CodecError> {
    let mut key = SeriesKey(bits.take(u64::BITS));
    let mut shape = WriteBatch {
        runs: vec![SeriesRun { key, policy: PolicyKey(0), len: 0 }; runs],
        timestamps_ns: Vec::with_capacity(measures),
        values: Vec::with_capacity(measures),
    };
    get_column(bits, runs - 1, |at, step| {
        key = SeriesKey(key.0.wrapping_add(step.cast_unsigned()));
        shape.runs[at + 1].key = key;
        Ok(())
    })?;
    let small = |value| u32::try_from(value).map_err(|_| CodecError::Invalid("number too large"));
    get_column(bits, runs, |at, policy| {
        shape.runs[at].policy = PolicyKey(small(policy)?);
        Ok(())
    })?;
    let mut left = measures;
    get_column(bits, runs, |at, len| {
        let run_len = usize::try_from(len).ok().filter(|len| (1..=left).contains(len));
        left -= run_len.ok_or(CodecError::Invalid("runs beyond the columns"))?;
        shape.runs[at].len = small(len)?;
        Ok(())
    })?;
    if left > 0 {
        return Err(CodecError::Invalid("runs short of the columns"));
    }
    let mut repeats = vec![false; runs];
    get_column(bits, runs - 1, |at, repeat| {
        repeats[at + 1] = repeat == 1;
        Ok(())
    })?;
    get_times(bits, &repeats, &mut shape)?;
    Ok(shape)
}

fn get_times(bits: &mut BitReader<'_>, repeats: &[bool], shape: &mut WriteBatch) -> Result<(), CodecError> {
    let unit_ns = UNITS_NS[bits.take(UNIT_BITS) as usize];
    let (mut firsts, mut steps) = (Number::FRESH, Number::FRESH);
    let mut before = 0;
    for (run, repeats) in shape.runs.iter().zip(repeats) {
        let begin = shape.timestamps_ns.len();
        if *repeats {
            if run.len as usize != begin - before {
                return Err(CodecError::Invalid("timestamps of a run of another length"));
            }
            shape.timestamps_ns.extend_from_within(before..);
        } else {
            let mut timestamp = firsts.get(bits)?;
            shape.timestamps_ns.push(timestamp.wrapping_mul(unit_ns));
            for _ in 1..run.len {
                timestamp = timestamp.wrapping_add(steps.get(bits)?);
                shape.timestamps_ns.push(timestamp.wrapping_mul(unit_ns));
            }
        }
        before = begin;
    }
    Ok(())
}
