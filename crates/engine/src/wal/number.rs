//! One integer after another, each as its difference to the one before in about as many bits as those before needed.

use nephometer_series::codec::CodecError;

use super::bits::{BitReader, BitWriter, mask};

/// What escapes begin with, in their lowest three bits: a width follows, or (where a series allows it) an exponent.
pub(super) const ESCAPE_WIDTH: u64 = 0b011;
pub(super) const ESCAPE_EXPONENT: u64 = 0b111;
/// Bits of the mark of an escape.
pub(super) const ESCAPE_BITS: u32 = 3;
/// Bits of a width.
const WIDTH_BITS: u32 = 6;

/// After so many differences the width is judged again.
const JUDGED: u8 = 8;
/// A narrower width has to save so many bits a difference to be worth its escape.
const WORTH: u8 = 2;
/// A width that is so many bits too wide for a single difference is that of an outlier before.
const OUTLIER: u8 = 16;

/// What is known of a sequence of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    /// The integer before.
    pub(super) last: i64,
    /// Bits of a difference; 0 before the first one that is not 0.
    width: u8,
    /// Whether the one before differed from the one before that.
    changed: bool,
    /// The most bits that differences needed since the width was last judged, and how many they are. Matters to the
    /// writer only.
    needed: u8,
    seen: u8,
}

impl Number {
    /// Of a sequence of which nothing is known: its first difference is an integer itself, and says nothing of those
    /// that come.
    pub(super) const FRESH: Self = Self { last: 0, width: 0, changed: true, needed: 0, seen: JUDGED };

    /// Of a sequence that goes on after `last`.
    pub(super) const fn after(last: i64) -> Self {
        Self { last, width: 0, changed: true, needed: 0, seen: 0 }
    }

    /// Whether nothing is known.
    pub(super) fn is_fresh(&self) -> bool {
        *self == Self::FRESH
    }

    /// Everything but `last`, in 32 bits.
    pub(super) fn state(&self) -> u32 {
        u32::from_le_bytes([self.width << 1 | u8::from(self.changed), self.needed, self.seen, 0])
    }

    /// Undoes [`Self::state`].
    pub(super) fn of_state(last: i64, state: u32) -> Self {
        let [low, needed, seen, _] = state.to_le_bytes();
        Self { last, width: low >> 1, changed: low & 1 == 1, needed, seen }
    }

    /// Appends `value`: by what happened last, one bit says that it is likely again, two that it is the other of the
    /// same integer and a difference of the usual width, three that the width changes.
    #[inline]
    pub(super) fn put(&mut self, bits: &mut BitWriter, value: i64) {
        let difference = value.wrapping_sub(self.last);
        if difference == 0 {
            bits.put(u64::from(self.changed), 1 + u32::from(self.changed));
            self.changed = false;
            return;
        }
        self.last = value;
        let code = ((difference << 1) ^ (difference >> 63)).cast_unsigned() - 1;
        let needed = (u64::BITS - code.leading_zeros()).max(1) as u8;
        if needed <= self.width && !self.narrows(needed) {
            let mark = 1 + u32::from(!self.changed);
            let width = u32::from(self.width);
            if mark + width <= 64 {
                bits.put(code << mark | u64::from(!self.changed), mark + width);
            } else {
                bits.put(u64::from(!self.changed), mark);
                bits.put(code, width);
            }
        } else {
            self.widen(bits, code, needed);
        }
        self.changed = true;
    }

    /// Notes a difference of the usual width; whether the width becomes what it or the last ones needed.
    fn narrows(&mut self, needed: u8) -> bool {
        if needed + OUTLIER <= self.width {
            self.needed = 0;
            return true;
        }
        self.needed = self.needed.max(needed);
        self.seen += 1;
        if self.seen < JUDGED {
            return false;
        }
        let narrows = self.needed + WORTH <= self.width;
        if !narrows {
            (self.needed, self.seen) = (0, 0);
        }
        narrows
    }

    #[cold]
    fn widen(&mut self, bits: &mut BitWriter, code: u64, needed: u8) {
        let width = self.needed.max(needed);
        bits.put(ESCAPE_WIDTH | u64::from(width - 1) << ESCAPE_BITS, ESCAPE_BITS + WIDTH_BITS);
        bits.put(code, width.into());
        // The width of a first integer is judged with the first difference.
        self.seen = if self.seen == JUDGED && self.width == 0 { JUDGED - 1 } else { 0 };
        (self.width, self.needed) = (width, 0);
    }

    /// The next integer.
    #[inline]
    pub(super) fn get(&mut self, bits: &mut BitReader<'_>) -> Result<i64, CodecError> {
        let word = bits.peek();
        let mark = if word & 1 == 0 { 1 } else { 2 };
        let code = match (word & 0b11 == 0b11, (mark == 1) == self.changed) {
            (false, true) if mark + u32::from(self.width) <= BitReader::PEEKED => {
                bits.skip(mark + u32::from(self.width));
                word >> mark & mask(self.width.into())
            }
            (false, true) => {
                bits.skip(mark);
                bits.take(self.width.into())
            }
            (false, false) => {
                bits.skip(mark);
                self.changed = false;
                return Ok(self.last);
            }
            (true, _) => self.escape(bits)?,
        };
        let zigzag = code.wrapping_add(1);
        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        self.last = self.last.wrapping_add(difference);
        self.changed = true;
        Ok(self.last)
    }

    #[cold]
    fn escape(&mut self, bits: &mut BitReader<'_>) -> Result<u64, CodecError> {
        if bits.take(ESCAPE_BITS) != ESCAPE_WIDTH {
            return Err(CodecError::Invalid("unknown escape"));
        }
        self.width = bits.take(WIDTH_BITS) as u8 + 1;
        Ok(bits.take(self.width.into()))
    }
}

/// Appends a column: a bit whether all are equal, then the one, or each after the other.
pub(super) fn put_column(bits: &mut BitWriter, mut values: impl Iterator<Item = i64> + Clone) {
    let Some(first) = values.clone().next() else { return };
    let equal = values.clone().all(|value| value == first);
    bits.put(equal.into(), 1);
    let mut number = Number::FRESH;
    if equal {
        number.put(bits, first);
    } else {
        values.by_ref().for_each(|value| number.put(bits, value));
    }
}

/// Gives the values of a column of `len` to `each`.
pub(super) fn get_column(
    bits: &mut BitReader<'_>,
    len: usize,
    mut each: impl FnMut(usize, i64) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    if len == 0 {
        return Ok(());
    }
    let equal = bits.take(1) == 1;
    let mut number = Number::FRESH;
    let first = number.get(bits)?;
    each(0, first)?;
    (1..len).try_for_each(|at| each(at, if equal { first } else { number.get(bits)? }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(values: &[i64]) -> Vec<u8> {
        let (mut bits, mut number) = (BitWriter::default(), Number::FRESH);
        for value in values {
            number = Number::of_state(number.last, number.state());
            number.put(&mut bits, *value);
        }
        bits.finish()
    }

    fn integers() -> impl Strategy<Value = Vec<i64>> {
        let integer = prop_oneof![
            any::<i64>(),
            (any::<i64>(), 0_u32..64).prop_map(|(wide, shift)| wide >> shift),
            -3_i64..3,
            Just(7),
            Just(i64::MIN),
        ];
        prop::collection::vec(integer, 0..300)
    }

    proptest! {
        #[test]
        fn integers_come_back(values in integers()) {
            let bytes = written(&values);
            let (mut bits, mut number) = (BitReader::new(&bytes), Number::FRESH);
            for value in &values {
                prop_assert_eq!(number.get(&mut bits), Ok(*value));
            }
            prop_assert_eq!(bits.end(), Ok(()));
        }

        #[test]
        fn columns_come_back(values in integers(), equal: bool) {
            let values: Vec<_> = if equal { values.iter().map(|_| values[0]).collect() } else { values };
            let mut bits = BitWriter::default();
            put_column(&mut bits, values.iter().copied());
            let bytes = bits.finish();
            let (mut bits, mut back) = (BitReader::new(&bytes), Vec::new());
            let read = get_column(&mut bits, values.len(), |at, value| {
                assert_eq!(at, back.len());
                back.push(value);
                Ok(())
            });
            prop_assert_eq!((read, back, bits.end()), (Ok(()), values, Ok(())));
        }

        #[test]
        fn arbitrary_bits_never_panic(bytes: Vec<u8>, len in 0_usize..1000) {
            let _ = get_column(&mut BitReader::new(&bytes), len, |_, _| Ok(()));
        }
    }

    #[test]
    fn widths_follow_what_is_needed() {
        let bits = |values: &[i64]| written(values).len() as i64 * 8;
        let start: Vec<_> = (0..50).map(|i| 65_000 + i % 2).collect();
        assert_eq!(bits(&start), 136);
        // One outlier costs itself and the way back, not those after it.
        let mut outlier = start.clone();
        outlier[20] = 1 << 40;
        assert!(bits(&outlier) < bits(&start) + 2 * 42 + 3 * 9);
        // A level at which smaller steps do is found before long.
        let quieter: Vec<_> = (0..50).map(|i| i % 2 * 5000).chain((0..50).map(|i| i % 2 * 20)).collect();
        assert!(bits(&quieter) < 26 + 50 * 15 + 16 * 15 + 34 * 8, "{}", bits(&quieter));
        assert!(bits(&vec![9; 800]) < 820);
    }
}
