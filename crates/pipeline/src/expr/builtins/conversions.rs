//! Types as functions: what they make of values of other types.

use nephometer_model::time::parse_float;

use super::{Arguments, Builtin};
use crate::expr::error::{EvalError, Fault};
use crate::expr::eval::{Machine, Result};
use crate::expr::value::{Dict, Value};
use crate::expr::{format, format_spec, index, number};

pub(super) fn to_int<'a>(arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let Some(value) = arguments.optional() else { return Ok(Value::Int(0)) };
    let base = arguments.either("base");
    if let Some(base) = &base {
        let base = base.as_int().filter(|base| *base == 0 || (2..=36).contains(base));
        let base = base.ok_or_else(|| EvalError::of_value("int() base must be >= 2 and <= 36, or 0"))?;
        let text = value
            .as_text()
            .ok_or_else(|| EvalError::of_type("int() can't convert non-string with explicit base"))?;
        return parse_int(text, u32::try_from(base).unwrap_or_default());
    }
    whole_number(&value)
}

/// `int(value)`.
pub(in crate::expr) fn whole_number<'a>(value: &Value<'a>) -> Result<Value<'a>> {
    match value {
        Value::Float(float) => number::truncate(*float).map(Value::Int),
        Value::Str(text) => parse_int(text, 10),
        other => other.as_int().map(Value::Int).ok_or_else(|| {
            EvalError::of_type(format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{}'",
                other.type_name()
            ))
        }),
    }
}

/// Characters that Python takes for space.
pub(in crate::expr) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn parse_int<'a>(text: &str, base: u32) -> Result<Value<'a>> {
    let invalid = || {
        let shown = nephometer_model::python::repr_str(text);
        EvalError::of_value(format!("invalid literal for int() with base {base}: {shown}"))
    };
    let trimmed = text.trim_matches(is_space);
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let by_prefix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(known, _)| prefix == *known);
    let (digits, base) = match by_prefix {
        Some((_, found)) if base == 0 || base == found => (&digits[2..], found),
        _ if base == 0 && digits.starts_with('0') && !digits.trim_matches(['0', '_']).is_empty() => {
            return Err(invalid());
        }
        _ => (digits, if base == 0 { 10 } else { base }),
    };
    let digits = if by_prefix.is_some() { digits.strip_prefix('_').unwrap_or(digits) } else { digits };
    let wrong =
        digits.is_empty() || digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let digits = digits.replace('_', "");
    if wrong || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(invalid());
    }
    match i128::from_str_radix(&digits, base) {
        Ok(value) => Ok(Value::Int(if negative { -value } else { value })),
        Err(_) => Err(EvalError::new(Fault::Limit, "whole numbers are limited to 128 bits")),
    }
}

pub(super) fn to_float<'a>(arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let Some(value) = arguments.optional() else { return Ok(Value::Float(0.0)) };
    if let Value::Str(text) = &value {
        return parse_float(text.trim_matches(is_space)).map(Value::Float).ok_or_else(|| {
            let shown = nephometer_model::python::repr_str(text);
            EvalError::of_value(format!("could not convert string to float: {shown}"))
        });
    }
    value.as_f64().map(Value::Float).ok_or_else(|| {
        EvalError::of_type(format!(
            "float() argument must be a string or a real number, not '{}'",
            value.type_name()
        ))
    })
}

pub(super) fn to_text<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let value = match arguments.optional() {
        Some(value) => value,
        None if builtin == Builtin::Str => Value::text(""),
        None => arguments.next()?,
    };
    let whole = |value: &Value<'a>| {
        value.as_int().ok_or_else(|| {
            EvalError::of_type(format!("'{}' object cannot be interpreted as an integer", value.type_name()))
        })
    };
    let text = match builtin {
        Builtin::Str => format::str(machine, &value)?,
        Builtin::Repr => format::repr(machine, &value)?,
        Builtin::Ascii => format::ascii(&format::repr(machine, &value)?),
        Builtin::Format => {
            let spec = arguments.optional().unwrap_or_else(|| Value::text(""));
            format_spec::format(machine, &value, index::wanted_text(&spec, "format() argument 2")?)?
        }
        Builtin::Chr => {
            let c = u32::try_from(whole(&value)?).ok().and_then(char::from_u32);
            c.ok_or_else(|| EvalError::of_value("chr() arg not in range(0x110000)"))?.to_string()
        }
        Builtin::Hex => format_spec::format(machine, &Value::Int(whole(&value)?), "#x")?,
        Builtin::Oct => format_spec::format(machine, &Value::Int(whole(&value)?), "#o")?,
        _ => format_spec::format(machine, &Value::Int(whole(&value)?), "#b")?,
    };
    machine.text(text)
}

pub(super) fn to_container<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let value = arguments.optional();
    if builtin != Builtin::Dict {
        let items = match &value {
            Some(value) => machine.items(value)?.into_owned(),
            None => Vec::new(),
        };
        return if builtin == Builtin::List { machine.list(items) } else { Ok(Value::tuple(items)) };
    }
    let mut dict = Dict::default();
    if let Some(value) = value {
        match value.as_dict()? {
            Some(given) => dict = (*given).clone(),
            None => {
                for pair in machine.items(&value)?.iter() {
                    let pair = machine.items(pair)?;
                    let [key, value] = &*pair else {
                        return Err(EvalError::of_value(format!(
                            "dictionary update sequence element has length {}; 2 is required",
                            pair.len()
                        )));
                    };
                    dict.insert(key.clone(), value.clone())?;
                }
            }
        }
    }
    for (name, value) in arguments.all_named() {
        dict.insert(Value::text(name), value)?;
    }
    machine.room(dict.entries().len())?;
    Ok(Value::dict(dict))
}
