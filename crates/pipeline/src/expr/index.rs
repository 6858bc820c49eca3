//! Elements and parts of texts, lists and maps.

use std::borrow::Cow;

use super::compare;
use super::error::{EvalError, Fault};
use super::eval::{Machine, Result};
use super::format;
use super::value::{Str, Value};

/// `value[index]`.
pub(super) fn item<'a>(
    machine: &mut Machine<'_, 'a>,
    value: &Value<'a>,
    index: &Value<'a>,
) -> Result<Value<'a>> {
    match value {
        Value::JsonMap(map) => {
            let found = index.as_text().and_then(|key| map.get(&**key));
            return found.map(Value::from_json).map_or_else(|| missing(machine, index), Ok);
        }
        Value::Namespace(map) => {
            return match index.as_text() {
                Some(key) => Ok(Value::attribute_of(*map, key)),
                None => Ok(Value::Namespace(None)),
            };
        }
        Value::Dict(dict) => {
            return dict.get(index)?.cloned().map_or_else(|| missing(machine, index), Ok);
        }
        Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::JsonList(_) => {}
        Value::Other(super::value::Opaque(thing)) => {
            if let super::value::Thing::Match(found) = &**thing {
                return found.group(index);
            }
            return Err(not_subscriptable(value));
        }
        _ => return Err(not_subscriptable(value)),
    }
    let name = if value.as_text().is_some() { "string" } else { value.type_name() };
    let Some(at) = index.as_int() else {
        let kind = if name == "string" { "" } else { " or slices" };
        let text = format!("{name} indices must be integers{kind}, not '{}'", index.type_name());
        return Err(EvalError::of_type(text));
    };
    let out_of_range = || EvalError::new(Fault::Index, format!("{name} index out of range"));
    if let Value::Str(text) = value {
        machine.work(text.len() / 16)?;
        let c = place(at, text.chars().count()).and_then(|at| text.chars().nth(at));
        return c.map(|c| Value::made(c.to_string())).ok_or_else(out_of_range);
    }
    if let Value::JsonList(items) = value {
        return place(at, items.len()).map(|at| Value::from_json(&items[at])).ok_or_else(out_of_range);
    }
    let items = value.sequence().unwrap_or(Cow::Borrowed(&[]));
    place(at, items.len()).map(|at| items[at].clone()).ok_or_else(out_of_range)
}

fn not_subscriptable(value: &Value<'_>) -> EvalError {
    EvalError::of_type(format!("'{}' object is not subscriptable", value.type_name()))
}

fn missing<'a>(machine: &mut Machine<'_, 'a>, key: &Value<'a>) -> Result<Value<'a>> {
    super::value::Key::of(key)?;
    Err(EvalError::new(Fault::Key, format::repr(machine, key)?))
}

/// Where index `at` of `length` elements is.
fn place(at: i128, length: usize) -> Option<usize> {
    let at = if at < 0 { at + length as i128 } else { at };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// `value[start:stop:step]`.
pub(super) fn slice<'a>(
    machine: &mut Machine<'_, 'a>,
    value: &Value<'a>,
    bounds: [Option<i128>; 3],
) -> Result<Value<'a>> {
    if let Value::Str(text) = value {
        let chars: Vec<char> = text.chars().collect();
        let places = places(machine, chars.len(), bounds)?;
        return machine.text(places.into_iter().map(|at| chars[at]).collect::<String>());
    }
    let items = match value {
        Value::List(_) | Value::Tuple(_) | Value::JsonList(_) => value.sequence(),
        Value::Dict(_) | Value::JsonMap(_) => {
            return Err(EvalError::of_type("unhashable type: 'slice'"));
        }
        _ => None,
    };
    let Some(items) = items else { return Err(not_subscriptable(value)) };
    let places = places(machine, items.len(), bounds)?;
    let part = places.into_iter().map(|at| items[at].clone()).collect();
    Ok(if matches!(value, Value::Tuple(_)) { Value::tuple(part) } else { Value::list(part) })
}

/// The places that a slice of `length` elements takes, in its order.
fn places(
    machine: &mut Machine<'_, '_>,
    length: usize,
    [start, stop, step]: [Option<i128>; 3],
) -> Result<Vec<usize>> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(EvalError::of_value("slice step cannot be zero"));
    }
    let length = length as i128;
    let (least, most) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let bound = |at: Option<i128>, otherwise: i128| match at {
        None => otherwise,
        Some(at) if at < 0 => at.saturating_add(length).max(least),
        Some(at) => at.min(most),
    };
    let (start, stop) = if step < 0 {
        (bound(start, length - 1), bound(stop, -1))
    } else {
        (bound(start, 0), bound(stop, length))
    };
    let mut places = Vec::new();
    let mut at = start;
    while if step < 0 { at > stop } else { at < stop } {
        places.push(usize::try_from(at).unwrap_or_default());
        at = at.saturating_add(step);
    }
    machine.work(places.len())?;
    machine.room(places.len())?;
    Ok(places)
}

/// `element in container`.
pub(super) fn contains<'a>(
    machine: &mut Machine<'_, 'a>,
    container: &Value<'a>,
    element: &Value<'a>,
) -> Result<bool> {
    match (container, element) {
        (Value::Str(text), Value::Str(part)) => {
            machine.work(text.len() / 16)?;
            return Ok(text.contains(&**part));
        }
        (Value::Str(_), other) => {
            return Err(EvalError::of_type(format!(
                "'in <string>' requires string as left operand, not {}",
                other.type_name()
            )));
        }
        (Value::JsonMap(map), Value::Str(key)) => return Ok(map.contains_key(&**key)),
        (Value::JsonMap(_), other) => {
            super::value::Key::of(other)?;
            return Ok(false);
        }
        (Value::Dict(dict), key) => return Ok(dict.get(key)?.is_some()),
        _ => {}
    }
    let Some(items) = container.sequence() else {
        let text = format!("argument of type '{}' is not iterable", container.type_name());
        return Err(EvalError::of_type(text));
    };
    machine.work(items.len())?;
    for item in items.iter() {
        if compare::equal(item, element)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `len(value)`.
pub(super) fn length(value: &Value<'_>) -> Result<usize> {
    Ok(match value {
        Value::Str(text) => text.chars().count(),
        Value::List(items) | Value::Tuple(items) => items.len(),
        Value::JsonList(items) => items.len(),
        Value::JsonMap(map) => map.len(),
        Value::Dict(dict) => dict.entries().len(),
        other => {
            return Err(EvalError::of_type(format!("object of type '{}' has no len()", other.type_name())));
        }
    })
}

/// A text of the value, or an error that names what wanted one.
pub(super) fn wanted_text<'v, 'a>(value: &'v Value<'a>, what: &str) -> Result<&'v Str<'a>> {
    value
        .as_text()
        .ok_or_else(|| EvalError::of_type(format!("{what} must be str, not {}", value.type_name())))
}
