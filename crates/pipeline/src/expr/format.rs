//! Values as texts: `str`, `repr` and `json.dumps`.

use std::fmt::Write as _;

use nephometer_model::python;

use super::builtins::merge_sort;
use super::error::{EvalError, Fault};
use super::eval::{Machine, Result};
use super::value::{Opaque, Thing, Value, json_key};

/// `str(value)`.
pub(super) fn str<'a>(machine: &mut Machine<'_, 'a>, value: &Value<'a>) -> Result<String> {
    match value {
        Value::Str(text) => {
            machine.room(text.len())?;
            Ok(text.to_string())
        }
        other => repr(machine, other),
    }
}

/// `repr(value)`.
pub(super) fn repr<'a>(machine: &mut Machine<'_, 'a>, value: &Value<'a>) -> Result<String> {
    let mut out = String::new();
    write_repr(machine, value, &mut out)?;
    Ok(out)
}

/// What `repr` gives with everything but ASCII escaped.
pub(super) fn ascii(repr: &str) -> String {
    let mut out = String::new();
    for c in repr.chars() {
        match u32::from(c) {
            0..=0x7f => out.push(c),
            code @ 0x80..=0xff => out.push_str(&format!("\\x{code:02x}")),
            code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out
}

fn write_repr<'a>(machine: &mut Machine<'_, 'a>, value: &Value<'a>, out: &mut String) -> Result<()> {
    machine.work(1)?;
    let before = out.len();
    match value {
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(int) => {
            let _ = write!(out, "{int}");
        }
        Value::Float(float) => out.push_str(&python::float(*float)),
        Value::Str(text) => out.push_str(&python::repr_str(text)),
        Value::JsonMap(_) | Value::Dict(_) => return write_map(machine, value, out),
        Value::List(_) | Value::Tuple(_) | Value::JsonList(_) => return write_items(machine, value, out),
        Value::Other(Opaque(thing)) => match &**thing {
            Thing::Builtin(builtin) if builtin.is_type() => {
                let _ = write!(out, "<class '{}'>", builtin.name());
            }
            _ => return Err(no_text(value)),
        },
        Value::Iterator(_) | Value::Namespace(_) => return Err(no_text(value)),
    }
    machine.room(out.len() - before)
}

fn no_text(value: &Value<'_>) -> EvalError {
    EvalError::new(Fault::Unsupported, format!("the text of a {}", value.type_name()))
}

fn write_items<'a>(machine: &mut Machine<'_, 'a>, value: &Value<'a>, out: &mut String) -> Result<()> {
    let items = machine.items(value)?;
    let tuple = matches!(value, Value::Tuple(_));
    out.push(if tuple { '(' } else { '[' });
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        write_repr(machine, item, out)?;
    }
    if tuple && items.len() == 1 {
        out.push(',');
    }
    out.push(if tuple { ')' } else { ']' });
    machine.room(2 * items.len())
}

fn write_map<'a>(machine: &mut Machine<'_, 'a>, value: &Value<'a>, out: &mut String) -> Result<()> {
    let Some(dict) = value.as_dict()? else { return Ok(()) };
    out.push('{');
    for (at, (key, value)) in dict.entries().iter().enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        write_repr(machine, key, out)?;
        out.push_str(": ");
        write_repr(machine, value, out)?;
    }
    out.push('}');
    machine.room(4 * dict.entries().len())
}

/// How `json.dumps` is asked to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct DumpStyle {
    pub(super) sort_keys: bool,
    pub(super) ensure_ascii: bool,
    pub(super) indent: Option<usize>,
}

/// `json.dumps(value)`.
pub(super) fn dumps<'a>(
    machine: &mut Machine<'_, 'a>,
    value: &Value<'a>,
    style: DumpStyle,
) -> Result<String> {
    let mut out = String::new();
    write_json(machine, value, style, 0, &mut out)?;
    Ok(out)
}

fn write_json<'a>(
    machine: &mut Machine<'_, 'a>,
    value: &Value<'a>,
    style: DumpStyle,
    level: usize,
    out: &mut String,
) -> Result<()> {
    machine.work(1)?;
    let before = out.len();
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(int) => {
            let _ = write!(out, "{int}");
        }
        Value::Float(float) if float.is_nan() => out.push_str("NaN"),
        Value::Float(float) if float.is_infinite() => {
            out.push_str(if *float > 0.0 { "Infinity" } else { "-Infinity" });
        }
        Value::Float(float) => out.push_str(&python::float(*float)),
        Value::Str(text) => write_json_text(text, style, out),
        Value::Dict(_) | Value::JsonMap(_) => {
            let Some(dict) = value.as_dict()? else { return Ok(()) };
            let mut entries = dict.entries().to_vec();
            if style.sort_keys {
                entries = merge_sort(machine, entries)?;
            }
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                separate(at, style, level + 1, out);
                write_json_text(&json_key(key)?, style, out);
                out.push_str(": ");
                write_json(machine, value, style, level + 1, out)?;
            }
            end(entries.is_empty(), style, level, out);
            out.push('}');
        }
        Value::List(_) | Value::Tuple(_) | Value::JsonList(_) => {
            let items = machine.items(value)?;
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                separate(at, style, level + 1, out);
                write_json(machine, item, style, level + 1, out)?;
            }
            end(items.is_empty(), style, level, out);
            out.push(']');
        }
        other => {
            let text = format!("Object of type {} is not JSON serializable", other.type_name());
            return Err(EvalError::of_type(text));
        }
    }
    machine.room(out.len() - before)
}

fn separate(at: usize, style: DumpStyle, level: usize, out: &mut String) {
    match style.indent {
        None => out.push_str(if at == 0 { "" } else { ", " }),
        Some(width) => {
            out.push_str(if at == 0 { "\n" } else { ",\n" });
            out.push_str(&" ".repeat(width * level));
        }
    }
}

fn end(empty: bool, style: DumpStyle, level: usize, out: &mut String) {
    if let (Some(width), false) = (style.indent, empty) {
        out.push('\n');
        out.push_str(&" ".repeat(width * level));
    }
}

fn write_json_text(text: &str, style: DumpStyle, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || (style.ensure_ascii && c > '~') => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
