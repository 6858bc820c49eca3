//! Arithmetic with Python's meaning: whole numbers stay whole, floats follow IEEE, and what mixes them is a float.

use super::ast::Binary;
use super::error::{EvalError, Fault};
use super::value::Value;

type Result<T> = std::result::Result<T, EvalError>;

fn too_large() -> EvalError {
    EvalError::new(Fault::Limit, "whole numbers are limited to 128 bits")
}

fn by_zero(message: &str) -> EvalError {
    EvalError::new(Fault::ZeroDivision, message)
}

/// Two numbers of one kind.
enum Pair {
    Ints(i128, i128),
    Floats(f64, f64),
}

/// `left operator right` where both are numbers; nothing where one is none.
pub(super) fn arithmetic<'a>(
    operator: Binary,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Option<Result<Value<'a>>> {
    let pair = match (left.as_int(), right.as_int()) {
        (Some(a), Some(b)) => Pair::Ints(a, b),
        _ => Pair::Floats(left.as_f64()?, right.as_f64()?),
    };
    match pair {
        Pair::Ints(a, b) => Some(match (operator, left, right) {
            (Binary::BitAnd, Value::Bool(a), Value::Bool(b)) => Ok(Value::Bool(a & b)),
            (Binary::BitOr, Value::Bool(a), Value::Bool(b)) => Ok(Value::Bool(a | b)),
            (Binary::BitXor, Value::Bool(a), Value::Bool(b)) => Ok(Value::Bool(a ^ b)),
            _ => ints(operator, a, b),
        }),
        Pair::Floats(a, b) => floats(operator, a, b),
    }
}

fn ints<'a>(operator: Binary, a: i128, b: i128) -> Result<Value<'a>> {
    let whole = |value: Option<i128>| value.map(Value::Int).ok_or_else(too_large);
    match operator {
        Binary::Add => whole(a.checked_add(b)),
        Binary::Subtract => whole(a.checked_sub(b)),
        Binary::Multiply => whole(a.checked_mul(b)),
        Binary::Divide if b == 0 => Err(by_zero("division by zero")),
        Binary::Divide => Ok(Value::Float(divide(a, b))),
        Binary::FloorDivide | Binary::Modulo if b == 0 => Err(by_zero("integer division or modulo by zero")),
        Binary::FloorDivide => whole(floor_divide(a, b)),
        Binary::Modulo => Ok(Value::Int(modulo(a, b))),
        Binary::Power if b >= 0 => whole(power(a, b)),
        Binary::Power => floats(operator, a as f64, b as f64).unwrap_or_else(|| Err(too_large())),
        Binary::BitAnd => Ok(Value::Int(a & b)),
        Binary::BitOr => Ok(Value::Int(a | b)),
        Binary::BitXor => Ok(Value::Int(a ^ b)),
        Binary::ShiftLeft | Binary::ShiftRight if b < 0 => Err(EvalError::of_value("negative shift count")),
        Binary::ShiftLeft if a == 0 => Ok(Value::Int(0)),
        Binary::ShiftLeft => {
            let shifted = u32::try_from(b).ok().filter(|bits| *bits < 127).map(|bits| (bits, a << bits));
            whole(shifted.filter(|(bits, shifted)| shifted >> bits == a).map(|(_, shifted)| shifted))
        }
        Binary::ShiftRight => Ok(Value::Int(a >> b.min(127))),
    }
}

fn power(base: i128, exponent: i128) -> Option<i128> {
    match base {
        0 | 1 => Some(if exponent == 0 { 1 } else { base }),
        -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

pub(super) fn floor_divide(a: i128, b: i128) -> Option<i128> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

pub(super) fn modulo(a: i128, b: i128) -> i128 {
    // The least number divided by −1 leaves nothing, and overflows on the way.
    let rest = a.checked_rem(b).unwrap_or_default();
    if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
}

/// The float next to `a / b`, as if it were divided first and rounded once.
pub(super) fn divide(a: i128, b: i128) -> f64 {
    const EXACT: u128 = 1 << 53;
    let (numerator, denominator) = (a.unsigned_abs(), b.unsigned_abs());
    let sign = if (a < 0) == (b < 0) { 1.0 } else { -1.0 };
    if numerator <= EXACT && denominator <= EXACT {
        return sign * (numerator as f64 / denominator as f64);
    }
    // A quotient of 64 bits or more, its last bit set where something is left: that rounds as the exact one would.
    let mut quotient = numerator / denominator;
    let mut rest = numerator % denominator;
    let mut scale = 0;
    while quotient < 1 << 64 && rest != 0 && scale < 300 {
        let carry = rest >> 127 == 1;
        rest <<= 1;
        quotient <<= 1;
        if carry || rest >= denominator {
            rest = rest.wrapping_sub(denominator);
            quotient |= 1;
        }
        scale += 1;
    }
    let sticky = u128::from(rest != 0);
    sign * (quotient | sticky) as f64 * 2_f64.powi(-scale)
}

fn floats<'a>(operator: Binary, a: f64, b: f64) -> Option<Result<Value<'a>>> {
    Some(match operator {
        Binary::Add => Ok(Value::Float(a + b)),
        Binary::Subtract => Ok(Value::Float(a - b)),
        Binary::Multiply => Ok(Value::Float(a * b)),
        Binary::Divide if b == 0.0 => Err(by_zero("float division by zero")),
        Binary::Divide => Ok(Value::Float(a / b)),
        Binary::FloorDivide | Binary::Modulo if b == 0.0 => Err(by_zero("float floor division by zero")),
        Binary::FloorDivide => Ok(Value::Float(floor_and_rest(a, b).0)),
        Binary::Modulo => Ok(Value::Float(floor_and_rest(a, b).1)),
        Binary::Power => float_power(a, b).map(Value::Float),
        _ => return None,
    })
}

/// `a // b` and `a % b`; the rest has the sign of `b`.
pub(super) fn floor_and_rest(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(a / b), rest);
    }
    let floor = quotient.floor();
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }, rest)
}

fn float_power(a: f64, b: f64) -> Result<f64> {
    if a == 0.0 && b < 0.0 {
        return Err(by_zero("0.0 cannot be raised to a negative power"));
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
        return Err(EvalError::unsupported("complex numbers"));
    }
    let power = a.powf(b);
    if power.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(EvalError::new(Fault::Overflow, "(34, 'Numerical result out of range')"));
    }
    Ok(power)
}

/// `int(value)` of a float.
pub(super) fn truncate(value: f64) -> Result<i128> {
    if value.is_nan() {
        return Err(EvalError::of_value("cannot convert float NaN to integer"));
    }
    if value.is_infinite() {
        return Err(EvalError::new(Fault::Overflow, "cannot convert float infinity to integer"));
    }
    if value.abs() >= 1.7e38 { Err(too_large()) } else { Ok(value as i128) }
}

/// `round(value)`: the even one of two whole numbers that are as near.
pub(super) fn round_to_int(value: f64) -> Result<i128> {
    truncate(value.round_ties_even())
}

/// `round(value, digits)` of a float.
pub(super) fn round_float(value: f64, digits: i128) -> f64 {
    if !value.is_finite() || digits > 323 {
        return value;
    }
    if let Ok(digits) = usize::try_from(digits) {
        return format!("{value:.digits$}").parse().unwrap_or(value);
    }
    if digits < -308 {
        return 0.0_f64.copysign(value);
    }
    // The exact decimal text, rounded by hand to the even one.
    let text = format!("{:.0}", value.abs().trunc());
    let cut = usize::try_from(-digits).unwrap_or(usize::MAX);
    let exact_rest = value.fract() == 0.0;
    let (kept, dropped) = text.split_at(text.len().saturating_sub(cut));
    let half = format!("5{}", "0".repeat(cut - 1));
    let dropped = format!("{dropped:0>cut$}");
    let up = match dropped.as_str().cmp(half.as_str()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => {
            !exact_rest || kept.bytes().last().is_some_and(|digit| (digit - b'0') % 2 == 1)
        }
    };
    let kept: f64 = format!("{kept:0>1}e{cut}").parse().unwrap_or(0.0);
    let step: f64 = format!("1e{cut}").parse().unwrap_or(0.0);
    (if up { kept + step } else { kept }).copysign(value)
}

/// `round(value, digits)` of a whole number.
pub(super) fn round_int(value: i128, digits: i128) -> Result<i128> {
    if digits >= 0 {
        return Ok(value);
    }
    let Some(step) = u32::try_from(-digits).ok().and_then(|digits| 10_i128.checked_pow(digits)) else {
        return Ok(0);
    };
    let rest = modulo(value, step);
    let down = value - rest;
    let up = match (rest * 2).cmp(&step) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => (down / step) % 2 != 0,
    };
    if up { down.checked_add(step).ok_or_else(too_large) } else { Ok(down) }
}
