//! Runs of values in streams: like runs share one, a long run has its own.

mod decode;
mod encode;

pub(crate) use decode::Streams;
pub(crate) use encode::encode_runs;

/// Each run is one value, repeated.
const CONSTANT: u8 = 0;
/// Integers less the run's smallest.
const LEVELS: u8 = 1;
/// Differences of consecutive integers; the run's first is kept apart.
const STEPS: u8 = 2;
/// Floats as such.
const FLOATS: u8 = 3;

/// In place of a decimal exponent: the integer stands for the bits of a float, in an order that follows its value.
const BITS: i64 = 32;

/// The bits of `value` as an integer that is the larger the larger the value is.
#[inline]
fn ordered_bits(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Undoes [`ordered_bits`].
#[inline]
fn from_ordered_bits(int: i64) -> f64 {
    f64::from_bits((int ^ ((int >> 63).cast_unsigned() >> 1).cast_signed()).cast_unsigned())
}

#[cfg(test)]
mod tests;
