//! Measures as bytes, in order of arrival: each as its difference from the one before, most in one to three bytes.
//!
//! A measure whose distance in time is that of the one before, and whose value is an integer over the same power of ten,
//! is one varint: the zigzag difference of the integers, doubled. Any other begins with an odd byte that says what
//! follows of time and value. Timestamps and values come back bit for bit.

use nephometer_series::Points;
use nephometer_series::codec::{
    ByteReader, CodecError, MAX_EXPONENT, decimal_to_int, int_to_decimal, put_varint, put_zigzag,
};

/// In place of an exponent: the integer is the bits of the value, which is no short decimal.
const BITS: u8 = u8::MAX;

/// Bits 1-2 of an odd byte: the distance in time is that of the measure before,
const TIME_REGULAR: u8 = 0;
/// or differs from it by so many nanoseconds (zigzag),
const TIME_NS: u8 = 1;
/// or seconds.
const TIME_SECONDS: u8 = 2;

/// Bits 3-4 of an odd byte: the difference of integers follows (zigzag),
const VALUE_DIFFERENCE: u8 = 0;
/// or the eight bytes of the value,
const VALUE_BITS: u8 = 1;
/// or an exponent and the integer (zigzag).
const VALUE_DECIMAL: u8 = 2;

const SECOND_NS: i64 = 1_000_000_000;

/// Decimals of larger exponents are decimals of exponent 9 too, as long as they are below this.
const SHORT_DECIMAL_LIMIT: f64 = (1_u64 << 50) as f64 / 1e9;

/// What the next measure is coded against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) last_ns: i64,
    /// How far the last measure is from the one before it; 0 of the first.
    pub(super) step_ns: i64,
    /// The last value: an integer over 10 to the power of the exponent, or bits.
    pub(super) int: i64,
    pub(super) exponent: u8,
}

impl State {
    /// Appends a measure to `out`; `first` tells that there is none before it.
    #[inline]
    pub(super) fn push(&mut self, first: bool, at_ns: i64, value: f64, out: &mut Vec<u8>) {
        let step_ns = at_ns.wrapping_sub(self.last_ns);
        match self.int_of(value) {
            Some(int) if step_ns == self.step_ns => {
                let difference = int.wrapping_sub(self.int);
                put_varint(out, ((difference << 1) ^ (difference >> 63)).cast_unsigned() << 1);
                self.int = int;
            }
            int => self.push_odd(step_ns, value, int, out),
        }
        self.last_ns = at_ns;
        self.step_ns = if first { 0 } else { step_ns };
    }

    /// The integer of `value` under the exponent of the last one.
    #[inline]
    fn int_of(&self, value: f64) -> Option<i64> {
        if self.exponent == BITS {
            return Some(value.to_bits().cast_signed()).filter(|bits| *bits == self.int);
        }
        decimal_to_int(value, self.exponent)
    }

    #[cold]
    fn push_odd(&mut self, step_ns: i64, value: f64, int: Option<i64>, out: &mut Vec<u8>) {
        let change_ns = step_ns.wrapping_sub(self.step_ns);
        let time = match change_ns {
            0 => TIME_REGULAR,
            _ if change_ns % SECOND_NS == 0 => TIME_SECONDS,
            _ => TIME_NS,
        };
        let (form, exponent, int) = match int {
            Some(int) => (VALUE_DIFFERENCE, self.exponent, int),
            None => match decimal_of(value) {
                Some((exponent, int)) => (VALUE_DECIMAL, exponent, int),
                None => (VALUE_BITS, BITS, value.to_bits().cast_signed()),
            },
        };
        out.push(1 | time << 1 | form << 3);
        match time {
            TIME_REGULAR => {}
            TIME_SECONDS => put_zigzag(out, change_ns / SECOND_NS),
            _ => put_zigzag(out, change_ns),
        }
        match form {
            VALUE_DIFFERENCE => put_zigzag(out, int.wrapping_sub(self.int)),
            VALUE_BITS => out.extend_from_slice(&int.to_le_bytes()),
            _ => {
                out.push(exponent);
                put_zigzag(out, int);
            }
        }
        (self.exponent, self.int) = (exponent, int);
    }

    /// Takes the next measure of `reader`; `first` as in [`Self::push`].
    #[inline]
    fn take(&mut self, first: bool, reader: &mut ByteReader<'_>) -> Result<(i64, f64), CodecError> {
        let mut step_ns = self.step_ns;
        if reader.rest().first().is_some_and(|byte| byte & 1 == 1) {
            step_ns = step_ns.wrapping_add(self.take_odd(reader)?);
        } else {
            let zigzag = reader.varint()? >> 1;
            let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
            self.int = self.int.wrapping_add(difference);
        }
        self.last_ns = self.last_ns.wrapping_add(step_ns);
        self.step_ns = if first { 0 } else { step_ns };
        let value = match self.exponent {
            BITS => f64::from_bits(self.int.cast_unsigned()),
            exponent => int_to_decimal(self.int, exponent),
        };
        Ok((self.last_ns, value))
    }

    /// Takes an odd byte and what follows it; returns by how much the distance in time changes.
    fn take_odd(&mut self, reader: &mut ByteReader<'_>) -> Result<i64, CodecError> {
        let odd = reader.byte()?;
        let change_ns = match odd >> 1 & 3 {
            TIME_REGULAR => 0,
            TIME_SECONDS => reader.zigzag()?.wrapping_mul(SECOND_NS),
            _ => reader.zigzag()?,
        };
        match odd >> 3 {
            VALUE_DIFFERENCE => self.int = self.int.wrapping_add(reader.zigzag()?),
            VALUE_BITS => (self.exponent, self.int) = (BITS, i64::from_le_bytes(reader.array()?)),
            _ => (self.exponent, self.int) = (reader.byte()?.min(MAX_EXPONENT), reader.zigzag()?),
        }
        Ok(change_ns)
    }
}

/// The smallest exponent under which `value` is an integer, and that.
fn decimal_of(value: f64) -> Option<(u8, i64)> {
    if value.abs() < SHORT_DECIMAL_LIMIT && decimal_to_int(value, MAX_EXPONENT).is_none() {
        return None;
    }
    (0..=MAX_EXPONENT).find_map(|exponent| decimal_to_int(value, exponent).map(|int| (exponent, int)))
}

/// Appends the measures that [`State::push`] has coded, from the first on.
pub(super) fn decode(bytes: &[u8], points: &mut Points) {
    let mut reader = ByteReader::new(bytes);
    let mut state = State::default();
    let mut first = true;
    while !reader.is_empty() {
        let (at_ns, value) = state.take(first, &mut reader).expect("the bytes are what was coded");
        points.timestamps_ns.push(at_ns);
        points.values.push(value);
        first = false;
    }
}

/// The timestamp that was coded first; `bytes` hold that measure at least.
pub(super) fn first_ns(bytes: &[u8]) -> i64 {
    let mut reader = ByteReader::new(bytes);
    State::default().take(true, &mut reader).expect("the bytes are what was coded").0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-50..50_i64).prop_map(|int| int as f64),
            (-5000..5000_i64).prop_map(|int| int as f64 / 100.0),
            (-5000..5000_i64, 0..10_u8).prop_map(|(int, exponent)| int_to_decimal(int, exponent)),
            any::<i64>().prop_map(|int| int as f64),
            any::<u64>().prop_map(f64::from_bits),
            prop::sample::select(vec![f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 1.0 / 3.0]),
        ]
    }

    fn step() -> impl Strategy<Value = i64> {
        prop_oneof![4 => Just(60 * SECOND_NS), 1 => -100..100_i64, 1 => any::<i64>()]
    }

    fn round_trip(measures: &[(i64, f64)]) -> usize {
        let (mut state, mut bytes) = (State::default(), Vec::new());
        for (at, (at_ns, value)) in measures.iter().enumerate() {
            state.push(at == 0, *at_ns, *value, &mut bytes);
        }
        let mut points = Points::default();
        decode(&bytes, &mut points);
        let bits = |(at_ns, value): (i64, f64)| (at_ns, value.to_bits());
        assert_eq!(
            points.iter().map(bits).collect::<Vec<_>>(),
            measures.iter().map(|measure| bits(*measure)).collect::<Vec<_>>()
        );
        if let Some((at_ns, _)) = measures.first() {
            assert_eq!(first_ns(&bytes), *at_ns);
        }
        bytes.len()
    }

    proptest! {
        #[test]
        fn measures_come_back(start: i64, steps in prop::collection::vec((step(), value()), 0..40)) {
            let mut at_ns = start;
            let measures: Vec<(i64, f64)> = steps
                .into_iter()
                .map(|(step, value)| {
                    at_ns = at_ns.wrapping_add(step);
                    (at_ns, value)
                })
                .collect();
            round_trip(&measures);
        }
    }

    #[test]
    fn usual_measures_are_small() {
        let size = |value: fn(i64) -> f64| {
            let measures: Vec<_> =
                (0..20).map(|at| ((1_795_000_000 + at * 60) * SECOND_NS, value(at))).collect();
            round_trip(&measures)
        };
        assert!(size(|_| 42.0) <= 28);
        assert!(size(|at| (2048 + at % 9) as f64) <= 29);
        assert!(size(|at| (at * 7919 % 10_000) as f64 / 100.0) <= 75);
        assert!(size(|at| 1.0 / (at + 3) as f64) <= 192);
    }
}
