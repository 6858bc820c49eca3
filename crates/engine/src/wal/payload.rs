//! Records as bytes. Most of it is done where requests come in, by many threads; only what builds on earlier records
//! of the segment is left to who appends.

use nephometer_drivers::WriteBatch;
use nephometer_model::SeriesKey;
use nephometer_series::codec::{
    ByteReader, CodecError, decimals_to_ints, int_to_decimal, ints_to_decimals, put_varint,
};
use xxhash_rust::xxh3::xxh3_64;

use super::Record;
use super::bits::{BitReader, BitWriter};
use super::context::{Context, RAW, SeriesState, of_ordered, ordered};
use super::number::Number;
use super::shape::{Run, get_shape, put_shape, runs};

const WRITE: u8 = 1;
const DELETE_SPAN: u8 = 2;
const DELETE_SERIES: u8 = 3;
/// A write whose first values build on nothing.
const WRITE_ALONE: u8 = 4;

/// From so many measures a run on, first values cost little without what the segment has said before, and a record that
/// stands alone survives the damage of others.
const ALONE_MEASURES: usize = 32;

/// A record of which all is encoded that does not build on the records before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    pub(super) kind: u8,
    /// The payload but for the first values of runs.
    fixed: Vec<u8>,
    heads: Vec<Head>,
}

/// The first value of a run, and the last one, as integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    key: u64,
    first: i64,
    last: i64,
    exponent: u8,
    /// Whether the first value is the only one, so that the exponent may be another one.
    only: bool,
}

impl EncodedRecord {
    /// The record of a request's measures. The lengths of the runs must add up to those of the columns; runs without
    /// measures are left out.
    pub fn write(batch: &WriteBatch) -> Self {
        let runs = runs(batch);
        let alone = batch.values.len() >= runs.len() * ALONE_MEASURES;
        let mut fixed = Vec::with_capacity(64 + batch.values.len() * 2);
        put_varint(&mut fixed, runs.len() as u64);
        put_varint(&mut fixed, batch.values.len() as u64);
        put_stream(&mut fixed, |bits| put_shape(bits, &runs));
        let mut heads = Vec::with_capacity(runs.len());
        put_stream(&mut fixed, |bits| {
            let mut ints = Vec::new();
            heads.extend(runs.iter().map(|run| put_run(bits, run, alone, &mut ints)));
        });
        Self { kind: if alone { WRITE_ALONE } else { WRITE }, fixed, heads }
    }

    /// The record of a deleted span; see [`Record::DeleteSpan`].
    pub fn delete_span(key: SeriesKey, start_ns: i64, stop_ns: i64) -> Self {
        let mut fixed = Vec::with_capacity(24);
        fixed.extend_from_slice(&key.0.to_le_bytes());
        fixed.extend_from_slice(&start_ns.to_le_bytes());
        fixed.extend_from_slice(&stop_ns.to_le_bytes());
        Self { kind: DELETE_SPAN, fixed, heads: Vec::new() }
    }

    /// The record of forgotten series.
    pub fn delete_series(keys: &[SeriesKey]) -> Self {
        let fixed = keys.iter().flat_map(|key| key.0.to_le_bytes()).collect();
        Self { kind: DELETE_SERIES, fixed, heads: Vec::new() }
    }

    /// Memory that the record takes until it is in the log, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        (self.fixed.capacity() + self.heads.capacity() * size_of::<Head>()) as u64
    }

    /// Appends the payload; `context` is what the segment has said before, and learns what the record says.
    pub(super) fn put(&self, mut out: Vec<u8>, context: &mut Context) -> Vec<u8> {
        if self.kind != WRITE {
            out.extend_from_slice(&self.fixed);
            for head in &self.heads {
                context.with(head.key, |state| *state = SeriesState::after(head.last, head.exponent));
            }
            return out;
        }
        let check_at = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.fixed);
        let mut bits = BitWriter::behind(out);
        let mut check = Check::with_capacity(self.heads.len());
        for head in &self.heads {
            context.with(head.key, |state| {
                state.put(&mut bits, head.first, head.exponent, head.only);
                check.add(state);
                if !head.only {
                    state.number.last = head.last;
                }
            });
        }
        let mut out = bits.finish();
        out[check_at..check_at + 4].copy_from_slice(&check.sum());
        out
    }
}

/// What first values were as they were written: the states that they build on may be others when they are read, if
/// damage has cost a record in between.
struct Check(Vec<[u8; 9]>);

impl Check {
    fn with_capacity(runs: usize) -> Self {
        Self(Vec::with_capacity(runs))
    }

    #[inline]
    fn add(&mut self, state: &SeriesState) {
        let [a, b, c, d, e, f, g, h] = state.number.last.to_le_bytes();
        self.0.push([a, b, c, d, e, f, g, h, state.exponent]);
    }

    fn sum(&self) -> [u8; 4] {
        ((xxh3_64(self.0.as_flattened()) >> 32) as u32).to_le_bytes()
    }
}

/// Appends the bits that `put` writes, with their length in bytes in front.
fn put_stream(out: &mut Vec<u8>, put: impl FnOnce(&mut BitWriter)) {
    let mut bits = BitWriter::default();
    put(&mut bits);
    let bytes = bits.finish();
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

/// Appends the values of a run behind its first one, and of a record that stands alone the first one too.
fn put_run(bits: &mut BitWriter, run: &Run<'_>, alone: bool, ints: &mut Vec<i64>) -> Head {
    ints.clear();
    let exponent = decimals_to_ints(run.values, ints).unwrap_or_else(|| {
        ints.extend(run.values.iter().map(|value| ordered(*value)));
        RAW
    });
    let (first, rest) = ints.split_first().map_or((0, [].as_slice()), |(first, rest)| (*first, rest));
    if alone {
        let mut state = SeriesState::FRESH;
        state.put(bits, first, exponent, false);
    }
    let mut number = Number::after(first);
    rest.iter().for_each(|int| number.put(bits, *int));
    Head { key: run.run.key.0, first, last: number.last, exponent, only: rest.is_empty() }
}

/// Undoes [`EncodedRecord`]; `context` is what the segment has said before, and learns what the record says.
pub(super) fn decode(kind: u8, payload: &[u8], context: &mut Context) -> Result<Record, CodecError> {
    let mut reader = ByteReader::new(payload);
    let record = match kind {
        WRITE => Record::Write(decode_write(&mut reader, context)?),
        WRITE_ALONE => Record::Write(decode_write_alone(&mut reader, context)?),
        DELETE_SPAN => Record::DeleteSpan {
            key: SeriesKey(u64::from_le_bytes(reader.array()?)),
            start_ns: i64::from_le_bytes(reader.array()?),
            stop_ns: i64::from_le_bytes(reader.array()?),
        },
        DELETE_SERIES => {
            let mut keys = Vec::with_capacity(payload.len() / 8);
            while !reader.is_empty() {
                keys.push(SeriesKey(u64::from_le_bytes(reader.array()?)));
            }
            Record::DeleteSeries(keys)
        }
        _ => return Err(CodecError::Invalid("unknown kind of record")),
    };
    if reader.is_empty() { Ok(record) } else { Err(CodecError::Invalid("bytes behind a record")) }
}

/// Reads the counts and the shape; the values are still to come, each in a bit at least.
fn decode_shape(reader: &mut ByteReader<'_>) -> Result<WriteBatch, CodecError> {
    let limit = reader.rest().len().saturating_mul(8);
    let runs = reader.count(limit)?;
    let measures = reader.count(limit)?;
    let mut bits = BitReader::new(get_stream(reader)?);
    let shape = match runs {
        0 if measures == 0 => WriteBatch::default(),
        1.. if runs <= measures => get_shape(&mut bits, runs, measures)?,
        _ => return Err(CodecError::Invalid("runs without measures")),
    };
    bits.end()?;
    Ok(shape)
}

fn get_stream<'a>(reader: &mut ByteReader<'a>) -> Result<&'a [u8], CodecError> {
    let bytes = reader.count(reader.rest().len())?;
    reader.slice(bytes)
}

fn decode_write(reader: &mut ByteReader<'_>, context: &mut Context) -> Result<WriteBatch, CodecError> {
    let sum: [u8; 4] = reader.array()?;
    let mut batch = decode_shape(reader)?;
    let mut rests = BitReader::new(get_stream(reader)?);
    let mut firsts = BitReader::new(reader.slice(reader.rest().len())?);
    let mut check = Check::with_capacity(batch.runs.len());
    let mut ints = Vec::new();
    for run in &batch.runs {
        context.with(run.key.0, |state| {
            let first = state.get(&mut firsts)?;
            check.add(state);
            let rest = run.len - 1;
            state.number.last =
                get_values(&mut rests, first, rest, state.exponent, &mut ints, &mut batch.values)?;
            Ok::<_, CodecError>(())
        })?;
    }
    rests.end()?;
    firsts.end()?;
    if check.sum() != sum {
        return Err(CodecError::Invalid("values build on other ones"));
    }
    Ok(batch)
}

fn decode_write_alone(reader: &mut ByteReader<'_>, context: &mut Context) -> Result<WriteBatch, CodecError> {
    let mut batch = decode_shape(reader)?;
    let mut bits = BitReader::new(get_stream(reader)?);
    let mut ints = Vec::new();
    for run in &batch.runs {
        let mut alone = SeriesState::FRESH;
        let first = alone.get(&mut bits)?;
        let (rest, exponent) = (run.len - 1, alone.exponent);
        let last = get_values(&mut bits, first, rest, exponent, &mut ints, &mut batch.values)?;
        context.with(run.key.0, |state| *state = SeriesState::after(last, exponent));
    }
    bits.end()?;
    Ok(batch)
}

/// Appends the values of a run, its first integer being known and `rest` ones still to come; returns the last integer.
#[inline]
fn get_values(
    bits: &mut BitReader<'_>,
    first: i64,
    rest: u32,
    exponent: u8,
    ints: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<i64, CodecError> {
    if rest == 0 {
        values.push(if exponent == RAW { of_ordered(first) } else { int_to_decimal(first, exponent) });
        return Ok(first);
    }
    let mut number = Number::after(first);
    ints.clear();
    ints.push(first);
    for _ in 0..rest {
        ints.push(number.get(bits)?);
    }
    match exponent {
        RAW => values.extend(ints.iter().map(|int| of_ordered(*int))),
        _ => ints_to_decimals(ints, exponent, values),
    }
    Ok(number.last)
}
