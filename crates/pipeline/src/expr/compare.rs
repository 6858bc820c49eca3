//! Comparing values: whole numbers and floats exactly, lists element by element, texts by code points.

use std::cmp::Ordering;

use super::error::EvalError;
use super::value::{Opaque, Thing, Value};

/// How a whole number and a float relate, exactly; nothing for NaN.
fn int_and_float(int: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= 1.7e38 {
        return Some(Ordering::Less);
    }
    if float <= -1.7e38 {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    Some(
        int.cmp(&(whole as i128))
            .then_with(|| 0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)),
    )
}

fn numbers(left: &Value<'_>, right: &Value<'_>) -> Option<Option<Ordering>> {
    Some(match (left.as_int(), right.as_int(), left, right) {
        (Some(a), Some(b), ..) => Some(a.cmp(&b)),
        (Some(a), None, _, Value::Float(b)) => int_and_float(a, *b),
        (None, Some(b), Value::Float(a), _) => int_and_float(b, *a).map(Ordering::reverse),
        (_, _, Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        _ => return None,
    })
}

/// `left == right`.
pub(super) fn equal<'a>(left: &Value<'a>, right: &Value<'a>) -> Result<bool, EvalError> {
    if let Some(order) = numbers(left, right) {
        return Ok(order == Some(Ordering::Equal));
    }
    match (left, right) {
        (Value::None, Value::None) => Ok(true),
        (Value::Str(a), Value::Str(b)) => Ok(**a == **b),
        (Value::Namespace(a), Value::Namespace(b)) => Ok(a == b),
        (Value::Other(Opaque(a)), Value::Other(Opaque(b))) => Ok(match (&**a, &**b) {
            (Thing::Builtin(a), Thing::Builtin(b)) => a == b,
            _ => std::rc::Rc::ptr_eq(a, b),
        }),
        _ => containers_equal(left, right),
    }
}

fn containers_equal<'a>(left: &Value<'a>, right: &Value<'a>) -> Result<bool, EvalError> {
    if left.type_name() != right.type_name() {
        return Ok(false);
    }
    if let (Some(a), Some(b)) = (left.sequence(), right.sequence()) {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b.iter()) {
            if !equal(a, b)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let (Some(a), Some(b)) = (left.as_dict()?, right.as_dict()?) else { return Ok(false) };
    if a.entries().len() != b.entries().len() {
        return Ok(false);
    }
    for (key, value) in a.entries() {
        match b.get(key)? {
            Some(other) if equal(value, other)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// How `left` and `right` are ordered; nothing where NaN is in the way. `symbol` is named where they are not ordered at all.
pub(super) fn order<'a>(
    left: &Value<'a>,
    right: &Value<'a>,
    symbol: &str,
) -> Result<Option<Ordering>, EvalError> {
    if let Some(order) = numbers(left, right) {
        return Ok(order);
    }
    if let (Value::Str(a), Value::Str(b)) = (left, right) {
        return Ok(Some((**a).cmp(&**b)));
    }
    let same = left.type_name() == right.type_name();
    if let (true, Some(a), Some(b)) = (same, left.sequence(), right.sequence()) {
        for (a, b) in a.iter().zip(b.iter()) {
            if !equal(a, b)? {
                return order(a, b, symbol);
            }
        }
        return Ok(Some(a.len().cmp(&b.len())));
    }
    Err(EvalError::of_type(format!(
        "'{symbol}' not supported between instances of '{}' and '{}'",
        left.type_name(),
        right.type_name()
    )))
}

/// `left is right`, for the values of which there is one only, and whatever is equal and of one kind.
pub(super) fn same<'a>(left: &Value<'a>, right: &Value<'a>) -> Result<bool, EvalError> {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Bool(_), _) | (_, Value::Bool(_)) => Ok(false),
        _ => Ok(left.type_name() == right.type_name() && equal(left, right)?),
    }
}
