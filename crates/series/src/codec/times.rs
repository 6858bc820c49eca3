//! Timestamps of the series of a block: a table of distinct columns, since series that are measured together share
//! theirs.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use super::ints::{bit_length, get_ints, put_ints};
use super::{ByteReader, CodecError, Effort, MAX_BLOCK_VALUES, put_varint};

/// Nanoseconds of the units in which timestamps are counted, by code.
const UNITS_NS: [i64; 4] = [1, 1_000, 1_000_000, 1_000_000_000];

/// `first + i * step`, nothing else.
const REGULAR: i64 = 0;
/// Each difference is `step` plus a residual.
const STEPS: i64 = 1;
/// Each timestamp is `first + i * step` plus a residual.
const GRID: i64 = 2;

/// Columns of timestamps while a block is made.
#[derive(Debug, Default)]
pub(crate) struct TimesEncoder<'a> {
    columns: Vec<&'a [i64]>,
    known: HashMap<(usize, i64, i64), usize>,
    used: Vec<i64>,
}

impl<'a> TimesEncoder<'a> {
    /// Notes that the next series has `timestamps` (not empty).
    pub(crate) fn push(&mut self, timestamps: &'a [i64]) {
        let index = self.find(timestamps).unwrap_or_else(|| {
            let index = self.columns.len();
            self.columns.push(timestamps);
            self.known.insert(Self::key(timestamps), index);
            index
        });
        self.used.push(index as i64);
    }

    fn key(timestamps: &[i64]) -> (usize, i64, i64) {
        (timestamps.len(), timestamps[0], timestamps[timestamps.len() - 1])
    }

    fn find(&self, timestamps: &[i64]) -> Option<usize> {
        let last = self.used.last().map(|index| *index as usize);
        let candidate = last.filter(|index| self.columns[*index].len() == timestamps.len());
        if candidate.is_some_and(|index| self.columns[index] == timestamps) {
            return candidate;
        }
        self.known.get(&Self::key(timestamps)).copied().filter(|index| self.columns[*index] == timestamps)
    }

    /// Appends the table.
    pub(crate) fn finish(&self, effort: Effort, out: &mut Vec<u8>) {
        put_varint(out, self.columns.len() as u64);
        put_ints(out, &differences(&self.used), effort);
        let mut residuals = Vec::new();
        let shapes: Vec<_> = self.columns.iter().map(|column| Shape::of(column, &mut residuals)).collect();
        let columns: [&dyn Fn(&Shape) -> i64; 4] =
            [&|s| s.count, &|s| s.form * 4 + s.unit, &|s| s.first, &|s| s.step];
        for (at, field) in columns.into_iter().enumerate() {
            let values: Vec<_> = shapes.iter().map(field).collect();
            put_ints(out, if at == 2 { differences(&values) } else { values }.as_slice(), effort);
        }
        let mut blob = Vec::new();
        put_ints(&mut blob, &residuals, effort);
        put_varint(out, blob.len() as u64);
        out.extend_from_slice(&blob);
    }
}

/// Each value less the one before; the first less 0.
fn differences(values: &[i64]) -> Vec<i64> {
    let before = std::iter::once(&0).chain(values);
    values.iter().zip(before).map(|(value, before)| value.wrapping_sub(*before)).collect()
}

/// Undoes [`differences`].
fn sums(mut values: Vec<i64>) -> Vec<i64> {
    let mut sum = 0_i64;
    for value in &mut values {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
    values
}

/// One column of the table.
#[derive(Debug, Clone, Copy)]
struct Shape {
    count: i64,
    form: i64,
    unit: i64,
    /// In units.
    first: i64,
    /// In units.
    step: i64,
    /// Where its residuals begin among all; it has `count - 1` of them unless it is regular.
    residuals: usize,
}

impl Shape {
    /// The shape of `timestamps`; appends its residuals.
    fn of(timestamps: &[i64], residuals: &mut Vec<i64>) -> Self {
        let step_ns = timestamps.get(1).map_or(0, |second| second.wrapping_sub(timestamps[0]));
        // A difference that overflows looks negative.
        let regular = (step_ns > 0 || timestamps.len() == 1)
            && timestamps.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step_ns);
        let looked_at = if regular { &timestamps[..timestamps.len().min(2)] } else { timestamps };
        let unit = common_unit(looked_at);
        let unit_ns = UNITS_NS[unit];
        let mut shape = Self {
            count: timestamps.len() as i64,
            form: REGULAR,
            unit: unit as i64,
            first: timestamps[0] / unit_ns,
            step: 0,
            residuals: residuals.len(),
        };
        if regular {
            shape.step = looked_at.get(1).map_or(0, |second| (second / unit_ns).wrapping_sub(shape.first));
        } else {
            let scaled: Vec<_> = timestamps.iter().map(|t| t / unit_ns).collect();
            shape.irregular(&scaled, residuals);
        }
        shape
    }

    fn irregular(&mut self, scaled: &[i64], residuals: &mut Vec<i64>) {
        let mut steps: Vec<_> = scaled.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        let middle = steps.len() / 2;
        let usual = *steps.clone().select_nth_unstable(middle).1;
        let span = scaled[scaled.len() - 1].wrapping_sub(self.first);
        let even = span / (scaled.len() as i64 - 1);
        steps.iter_mut().for_each(|step| *step = step.wrapping_sub(usual));
        let grid = scaled[1..].iter().zip(1_i64..).map(|(t, i)| {
            let expected = self.first.wrapping_add(even.wrapping_mul(i));
            t.wrapping_sub(expected)
        });
        let cost = |residual: i64| u64::from(bit_length(residual.unsigned_abs()));
        let steps_bits: u64 = steps.iter().map(|step| cost(*step)).sum();
        if grid.clone().map(cost).sum::<u64>() < steps_bits {
            (self.form, self.step) = (GRID, even);
            residuals.extend(grid);
        } else {
            (self.form, self.step) = (STEPS, usual);
            residuals.extend(steps);
        }
    }

    /// Timestamp `index` of a regular column, in nanoseconds.
    fn regular_ns(&self, index: i64) -> i64 {
        self.first.wrapping_add(self.step.wrapping_mul(index)).wrapping_mul(UNITS_NS[self.unit as usize])
    }

    /// The first index of a regular column whose timestamp is not below `bound_ns`.
    fn regular_index(&self, bound_ns: i64) -> usize {
        let (first, bound) = (i128::from(self.regular_ns(0)), i128::from(bound_ns));
        let step = i128::from(self.step) * i128::from(UNITS_NS[self.unit as usize]);
        if bound <= first {
            return 0;
        }
        if step <= 0 {
            return self.count as usize;
        }
        usize::try_from((bound - first + step - 1) / step).unwrap_or(usize::MAX).min(self.count as usize)
    }
}

/// Code of the largest unit that all `timestamps` are whole multiples of.
fn common_unit(timestamps: &[i64]) -> usize {
    let mut unit = UNITS_NS.len() - 1;
    for timestamp in timestamps {
        while timestamp % UNITS_NS[unit] != 0 {
            unit -= 1;
        }
        if unit == 0 {
            break;
        }
    }
    unit
}

/// The table of a block that is read.
#[derive(Debug)]
pub(crate) struct Times {
    /// For each series its column.
    used: Vec<u32>,
    shapes: Vec<Shape>,
    residual_len: usize,
    residual_bytes: Range<usize>,
    residuals: OnceLock<Result<Vec<i64>, CodecError>>,
}

impl Times {
    /// Parses the table of a block of `series` series; `whole` is the block that `reader` reads.
    pub(crate) fn parse(
        reader: &mut ByteReader<'_>,
        whole: &[u8],
        series: usize,
    ) -> Result<Self, CodecError> {
        let invalid = CodecError::Invalid("wrong table of timestamps");
        let len = reader.count(series)?;
        let used: Option<Vec<_>> = sums(get_ints(reader, series)?)
            .into_iter()
            .map(|index| u32::try_from(index).ok().filter(|index| (*index as usize) < len))
            .collect();
        let used = used.ok_or(invalid.clone())?;
        let counts = get_ints(reader, len)?;
        let codes = get_ints(reader, len)?;
        let firsts = sums(get_ints(reader, len)?);
        let steps = get_ints(reader, len)?;
        let mut residual_len = 0;
        let mut shapes = Vec::with_capacity(len);
        for (((count, code), first), step) in counts.into_iter().zip(codes).zip(firsts).zip(steps) {
            if !(1..=MAX_BLOCK_VALUES as i64).contains(&count) || !(0..12).contains(&code) {
                return Err(invalid);
            }
            let (form, unit) = (code / 4, code % 4);
            shapes.push(Shape { count, form, unit, first, step, residuals: residual_len });
            residual_len += if form == REGULAR { 0 } else { count as usize - 1 };
            if residual_len > MAX_BLOCK_VALUES {
                return Err(invalid);
            }
        }
        let bytes = reader.count(whole.len())?;
        let start = whole.len() - reader.rest().len();
        reader.slice(bytes)?;
        let residual_bytes = start..start + bytes;
        Ok(Self { used, shapes, residual_len, residual_bytes, residuals: OnceLock::new() })
    }

    /// How many timestamps the series at `index` has.
    pub(crate) fn count(&self, index: usize) -> usize {
        self.shape(index).count as usize
    }

    /// First timestamp of the series at `index`, in nanoseconds.
    pub(crate) fn first_ns(&self, index: usize) -> i64 {
        self.shape(index).regular_ns(0)
    }

    fn shape(&self, index: usize) -> &Shape {
        &self.shapes[self.used[index] as usize]
    }

    /// Appends the timestamps of the series at `index` that are in `range_ns`; returns which they are.
    pub(crate) fn decode(
        &self,
        whole: &[u8],
        index: usize,
        range_ns: &Range<i64>,
        out: &mut Vec<i64>,
    ) -> Result<Range<usize>, CodecError> {
        let shape = self.shape(index);
        if shape.form == REGULAR {
            let start = shape.regular_index(range_ns.start);
            let stop = shape.regular_index(range_ns.end).max(start);
            out.extend((start as i64..stop as i64).map(|i| shape.regular_ns(i)));
            return Ok(start..stop);
        }
        let from = out.len();
        self.decode_irregular(whole, shape, out)?;
        let decoded = &out[from..];
        let start = decoded.partition_point(|t| *t < range_ns.start);
        let stop = start + decoded[start..].partition_point(|t| *t < range_ns.end);
        out.truncate(from + stop);
        out.drain(from..from + start);
        Ok(start..stop)
    }

    /// The newest timestamp of the series at `index` in `range_ns`, if it has one there.
    pub(crate) fn newest(
        &self,
        whole: &[u8],
        index: usize,
        range_ns: &Range<i64>,
    ) -> Result<Option<i64>, CodecError> {
        let shape = self.shape(index);
        if shape.form == REGULAR {
            let end = shape.regular_index(range_ns.end);
            let newest = end.checked_sub(1).map(|last| shape.regular_ns(last as i64));
            return Ok(newest.filter(|newest| *newest >= range_ns.start));
        }
        let mut timestamps = Vec::with_capacity(shape.count as usize);
        self.decode(whole, index, range_ns, &mut timestamps)?;
        Ok(timestamps.last().copied())
    }

    /// Appends all timestamps of the series at `index`.
    pub(crate) fn decode_all(
        &self,
        whole: &[u8],
        index: usize,
        out: &mut Vec<i64>,
    ) -> Result<(), CodecError> {
        let shape = self.shape(index);
        if shape.form == REGULAR {
            out.extend((0..shape.count).map(|i| shape.regular_ns(i)));
            return Ok(());
        }
        self.decode_irregular(whole, shape, out)
    }

    fn decode_irregular(&self, whole: &[u8], shape: &Shape, out: &mut Vec<i64>) -> Result<(), CodecError> {
        let residuals = self.residuals.get_or_init(|| {
            get_ints(&mut ByteReader::new(&whole[self.residual_bytes.clone()]), self.residual_len)
        });
        let residuals = residuals.as_ref().map_err(Clone::clone)?;
        let own = &residuals[shape.residuals..shape.residuals + shape.count as usize - 1];
        let unit_ns = UNITS_NS[shape.unit as usize];
        out.push(shape.regular_ns(0));
        let mut expected = shape.first;
        out.extend(own.iter().map(|residual| {
            expected = expected.wrapping_add(shape.step);
            let timestamp = expected.wrapping_add(*residual);
            if shape.form == STEPS {
                expected = timestamp;
            }
            timestamp.wrapping_mul(unit_ns)
        }));
        Ok(())
    }

    /// Bytes that the table may come to hold in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.used.len() * 4 + self.shapes.len() * size_of::<Shape>() + self.residual_len * 8
    }
}

#[cfg(test)]
mod tests;
