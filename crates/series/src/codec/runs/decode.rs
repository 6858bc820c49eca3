//! From streams back to runs of values.

use std::ops::Range;
use std::sync::OnceLock;

use super::super::decimal::{MAX_EXPONENT, POWERS};
use super::super::ints::{get_floats, get_ints};
use super::super::{ByteReader, CodecError, MAX_BLOCK_VALUES};
use super::{BITS, CONSTANT, FLOATS, LEVELS, STEPS, from_ordered_bits};

/// Where a run is.
#[derive(Debug, Clone, Copy)]
struct Place {
    stream: u32,
    /// Which run of its stream it is.
    ordinal: u32,
    /// How many values the runs before it in its stream have.
    before: u32,
    len: u32,
}

/// A stream that may have been decoded.
#[derive(Debug)]
struct Stream {
    bytes: Range<usize>,
    runs: usize,
    values: usize,
    decoded: OnceLock<Result<Decoded, CodecError>>,
}

#[derive(Debug)]
enum Decoded {
    Constants { exponents: Vec<i64>, bases: Vec<i64> },
    Levels(Numbers),
    Steps(Numbers),
    Floats(Vec<f64>),
}

#[derive(Debug)]
struct Numbers {
    exponents: Vec<i64>,
    bases: Vec<i64>,
    factors: Vec<i64>,
    numbers: Vec<i64>,
}

/// The streams of a block; each is decoded when a run of it is first asked for.
#[derive(Debug)]
pub(crate) struct Streams {
    places: Vec<Place>,
    streams: Vec<Stream>,
}

impl Streams {
    /// Parses the directory of runs of so many values each; `reader` is at its beginning and is left behind the last
    /// stream; `whole` is the block that it reads.
    pub(crate) fn parse(
        reader: &mut ByteReader<'_>,
        whole: &[u8],
        lens: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Self, CodecError> {
        let runs = lens.len();
        let count = reader.count(runs)?;
        let stream_of = get_ints(reader, runs)?;
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let bytes = reader.count(whole.len())?;
            streams.push(Stream { bytes: 0..bytes, runs: 0, values: 0, decoded: OnceLock::new() });
        }
        for stream in &mut streams {
            let start = whole.len() - reader.rest().len();
            reader.slice(stream.bytes.end)?;
            stream.bytes = start..start + stream.bytes.end;
        }
        let mut places = Vec::with_capacity(runs);
        let mut total = 0;
        for (index, len) in stream_of.into_iter().zip(lens) {
            let stream = usize::try_from(index).ok().and_then(|index| streams.get_mut(index));
            let stream = stream.ok_or(CodecError::Invalid("unknown stream"))?;
            total += len;
            if total > MAX_BLOCK_VALUES || len == 0 {
                return Err(CodecError::Invalid("wrong number of values"));
            }
            let (ordinal, before) = (stream.runs as u32, stream.values as u32);
            places.push(Place { stream: index as u32, ordinal, before, len: len as u32 });
            stream.runs += 1;
            stream.values += len;
        }
        Ok(Self { places, streams })
    }

    /// Appends the values of `run` whose numbers are in `range`, which must lie within the run.
    pub(crate) fn decode(
        &self,
        whole: &[u8],
        run: usize,
        range: Range<usize>,
        out: &mut Vec<f64>,
    ) -> Result<(), CodecError> {
        let place = self.places[run];
        let stream = &self.streams[place.stream as usize];
        let decoded = stream.decoded.get_or_init(|| stream.decode(&whole[stream.bytes.clone()]));
        let decoded = decoded.as_ref().map_err(Clone::clone)?;
        let (ordinal, before) = (place.ordinal as usize, place.before as usize);
        match decoded {
            Decoded::Constants { exponents, bases } => {
                let mut one = Vec::with_capacity(1);
                append(exponents[ordinal], std::iter::once(bases[ordinal]), &mut one);
                out.resize(out.len() + range.len(), one[0]);
            }
            Decoded::Floats(values) => out.extend_from_slice(&values[before..][range]),
            Decoded::Levels(stream) => stream.levels(ordinal, &stream.numbers[before..][range], out),
            Decoded::Steps(stream) => {
                // Each run before it has one difference fewer than values.
                let own = &stream.numbers[before - ordinal..][..place.len as usize - 1];
                stream.steps(ordinal, own, range, out);
            }
        }
        Ok(())
    }

    /// Bytes that the streams may come to hold in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let streams =
            self.streams.iter().map(|stream| size_of::<Stream>() + stream.runs * 24 + stream.values * 8);
        self.places.len() * size_of::<Place>() + streams.sum::<usize>()
    }
}

impl Stream {
    fn decode(&self, bytes: &[u8]) -> Result<Decoded, CodecError> {
        let mut reader = ByteReader::new(bytes);
        let kind = reader.byte()?;
        let decoded = match kind {
            FLOATS => Decoded::Floats(get_floats(&mut reader, self.values)?),
            CONSTANT => Decoded::Constants {
                exponents: self.exponents(&mut reader)?,
                bases: get_ints(&mut reader, self.runs)?,
            },
            LEVELS => Decoded::Levels(self.numbers(&mut reader, self.values)?),
            STEPS => Decoded::Steps(self.numbers(&mut reader, self.values - self.runs)?),
            _ => return Err(CodecError::Invalid("unknown kind of stream")),
        };
        if reader.is_empty() { Ok(decoded) } else { Err(CodecError::Invalid("bytes behind a stream")) }
    }

    fn numbers(&self, reader: &mut ByteReader<'_>, len: usize) -> Result<Numbers, CodecError> {
        Ok(Numbers {
            exponents: self.exponents(reader)?,
            bases: get_ints(reader, self.runs)?,
            factors: get_ints(reader, self.runs)?,
            numbers: get_ints(reader, len)?,
        })
    }

    fn exponents(&self, reader: &mut ByteReader<'_>) -> Result<Vec<i64>, CodecError> {
        let exponents = get_ints(reader, self.runs)?;
        let known = |exponent: &i64| (0..=i64::from(MAX_EXPONENT)).contains(exponent) || *exponent == BITS;
        if exponents.iter().all(known) { Ok(exponents) } else { Err(CodecError::Invalid("unknown exponent")) }
    }
}

impl Numbers {
    fn levels(&self, ordinal: usize, numbers: &[i64], out: &mut Vec<f64>) {
        let (base, factor) = (self.bases[ordinal], self.factors[ordinal]);
        let ints = numbers.iter().map(|number| base.wrapping_add(number.wrapping_mul(factor)));
        append(self.exponents[ordinal], ints, out);
    }

    fn steps(&self, ordinal: usize, numbers: &[i64], range: Range<usize>, out: &mut Vec<f64>) {
        if range.is_empty() {
            return;
        }
        let factor = self.factors[ordinal];
        let skipped = numbers[..range.start].iter().fold(0_i64, |sum, number| sum.wrapping_add(*number));
        let mut int = self.bases[ordinal].wrapping_add(skipped.wrapping_mul(factor));
        append(self.exponents[ordinal], std::iter::once(int), out);
        let rest = numbers[range.start..range.end - 1].iter().map(|number| {
            int = int.wrapping_add(number.wrapping_mul(factor));
            int
        });
        append(self.exponents[ordinal], rest, out);
    }
}

/// Appends the floats that `ints` stand for under `exponent`, which has been checked.
fn append(exponent: i64, ints: impl Iterator<Item = i64>, out: &mut Vec<f64>) {
    match exponent {
        BITS => out.extend(ints.map(from_ordered_bits)),
        0 => out.extend(ints.map(|int| int as f64)),
        _ => {
            let power = POWERS[exponent as usize];
            out.extend(ints.map(|int| int as f64 / power));
        }
    }
}
