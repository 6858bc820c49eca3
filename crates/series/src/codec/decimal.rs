//! Floating-point numbers that are short decimals, as integers and back, bit for bit.
//!
//! Most measures are integers or have a few decimals: `value = integer / 10^exponent`, exactly as IEEE division
//! rounds it. Integers code far smaller than the bits of the quotient.

/// The largest decimal exponent tried.
pub const MAX_EXPONENT: u8 = 9;

/// 10 to the power of the exponents in use.
pub(crate) const POWERS: [f64; MAX_EXPONENT as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Integers of exponent 0 stay below this, so that sums of two of their differences fit.
const INTEGER_LIMIT: f64 = (1_u64 << 61) as f64;

/// Integers of other exponents stay where scaling finds them again in spite of its rounding.
const DECIMAL_LIMIT: f64 = (1_u64 << 51) as f64;

/// `int / 10^exponent`; the exponent may be at most [`MAX_EXPONENT`].
#[inline]
pub fn int_to_decimal(int: i64, exponent: u8) -> f64 {
    int as f64 / POWERS[usize::from(exponent)]
}

/// The integer that gives back `value` bit for bit as `int / 10^exponent`, if there is one; the exponent may be at most
/// [`MAX_EXPONENT`]. Integers are below 2^61, so that two of their differences can be added.
#[inline]
pub fn decimal_to_int(value: f64, exponent: u8) -> Option<i64> {
    to_int(value, usize::from(exponent))
}

/// Appends `int / 10^exponent` for all `ints`; the exponent may be at most [`MAX_EXPONENT`].
pub fn ints_to_decimals(ints: &[i64], exponent: u8, out: &mut Vec<f64>) {
    if exponent == 0 {
        out.extend(ints.iter().map(|int| *int as f64));
    } else {
        let power = POWERS[usize::from(exponent)];
        out.extend(ints.iter().map(|int| *int as f64 / power));
    }
}

/// The integer that gives back `value` bit for bit under `exponent`.
#[inline]
fn to_int(value: f64, exponent: usize) -> Option<i64> {
    let scaled = if exponent == 0 { value } else { (value * POWERS[exponent]).round_ties_even() };
    let limit = if exponent == 0 { INTEGER_LIMIT } else { DECIMAL_LIMIT };
    // The cast saturates and takes NaN for 0, which the comparison of bits then refuses.
    let int = scaled as i64;
    let back = if exponent == 0 { int as f64 } else { int as f64 / POWERS[exponent] };
    (back.to_bits() == value.to_bits() && scaled.abs() < limit).then_some(int)
}

/// Appends to `ints` the integers of `values` under the smallest exponent that fits all of them, and returns that
/// exponent; appends nothing and returns nothing where there is none (a value with a full mantissa, NaN, infinities,
/// negative zero).
pub fn decimals_to_ints(values: &[f64], ints: &mut Vec<i64>) -> Option<u8> {
    let start = ints.len();
    let mut exponent = 0;
    'longer: loop {
        ints.reserve(values.len());
        for value in values {
            if let Some(int) = to_int(*value, exponent) {
                ints.push(int);
                continue;
            }
            ints.truncate(start);
            let next = (exponent + 1..POWERS.len()).find(|wider| to_int(*value, *wider).is_some());
            exponent = next?;
            continue 'longer;
        }
        return u8::try_from(exponent).ok();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exponent_of(values: &[f64]) -> Option<u8> {
        let mut ints = Vec::new();
        let exponent = decimals_to_ints(values, &mut ints)?;
        let mut back = Vec::new();
        ints_to_decimals(&ints, exponent, &mut back);
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(values));
        Some(exponent)
    }

    #[test]
    fn finds_the_smallest_exponent() {
        assert_eq!(exponent_of(&[0.0, -3.0, 1e15, 9_007_199_254_740_994.0]), Some(0));
        assert_eq!(exponent_of(&[1.5, 99.99, 0.01]), Some(2));
        assert_eq!(exponent_of(&[0.000_000_001]), Some(9));
        assert_eq!(exponent_of(&[]), Some(0));
        for refused in [f64::NAN, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1.0 / 3.0, 1e300, f64::MIN_POSITIVE]
        {
            assert_eq!(exponent_of(&[1.0, refused]), None, "{refused}");
        }
    }

    proptest! {
        #[test]
        fn decimals_round_trip(ints in prop::collection::vec(-(1_i64 << 51)..1 << 51, 0..50), exponent in 0_u8..=9) {
            let values: Vec<_> = ints.iter().map(|int| int_to_decimal(*int, exponent)).collect();
            let found = exponent_of(&values);
            prop_assert!(found.is_some_and(|found| found <= exponent));
        }

        #[test]
        fn any_bits_round_trip_or_are_refused(bits: Vec<u64>) {
            let values: Vec<_> = bits.iter().map(|bits| f64::from_bits(*bits)).collect();
            exponent_of(&values);
        }
    }
}
