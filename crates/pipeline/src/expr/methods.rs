//! Attributes and methods of values.

use super::builtins::Arguments;
use super::error::{EvalError, Fault};
use super::eval::{Machine, Result};
use super::modules::{self, Module};
use super::value::{Opaque, Str, Thing, Value};
use super::{compare, string_methods};

/// Methods of lists and tuples that change nothing.
const LIST: [&str; 2] = ["count", "index"];
const DICT: [&str; 5] = ["copy", "get", "items", "keys", "values"];
const MATCH: [&str; 6] = ["end", "group", "groupdict", "groups", "span", "start"];
/// Methods that would change what they belong to.
const CHANGING: [&str; 12] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
    "add",
];

/// `value.name`.
pub(super) fn attribute<'a>(value: Value<'a>, name: &'a str) -> Result<Value<'a>> {
    let known = match &value {
        Value::Namespace(map) => return Ok(Value::attribute_of(*map, name)),
        Value::Str(_) => string_methods::NAMES.contains(&name),
        Value::List(_) | Value::JsonList(_) | Value::Tuple(_) => LIST.contains(&name),
        Value::Dict(_) | Value::JsonMap(_) => DICT.contains(&name),
        Value::Float(_) => name == "is_integer",
        Value::Int(_) | Value::Bool(_) => name == "bit_length",
        Value::Other(Opaque(thing)) => match &**thing {
            Thing::Module(module) => return module_attribute(*module, name),
            Thing::Match(_) => MATCH.contains(&name),
            _ => false,
        },
        _ => false,
    };
    if known {
        return Ok(Value::other(Thing::Method(value, Str::Borrowed(name))));
    }
    if CHANGING.contains(&name) && !matches!(value, Value::Str(_)) {
        return Err(EvalError::unsupported(format!("`{name}`: expressions change nothing")));
    }
    Err(EvalError::new(Fault::Attribute, format!("'{}' object has no attribute '{name}'", value.type_name())))
}

fn module_attribute<'a>(module: Module, name: &'a str) -> Result<Value<'a>> {
    if let Some(flag) = modules::constant(module, name) {
        return Ok(flag);
    }
    if modules::has(module, name) {
        return Ok(Value::other(Thing::Function(module, Str::Borrowed(name))));
    }
    Err(EvalError::unsupported(format!("`{}.{name}`", module.name())))
}

pub(super) fn call<'a>(
    machine: &mut Machine<'_, 'a>,
    value: &Value<'a>,
    name: &str,
    plain: Vec<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
) -> Result<Value<'a>> {
    if let Value::Str(text) = value {
        return string_methods::call(machine, text, name, plain, named);
    }
    let mut arguments = Arguments::new("method", plain, named);
    let result = match (value, name) {
        (Value::Float(float), _) => Value::Bool(float.is_finite() && float.fract() == 0.0),
        (Value::Int(_) | Value::Bool(_), _) => {
            let int = value.as_int().unwrap_or_default();
            Value::Int(i128::from(128 - int.unsigned_abs().leading_zeros()))
        }
        (Value::Other(Opaque(thing)), _) => match &**thing {
            Thing::Match(found) => found.call(machine, name, &mut arguments)?,
            _ => return Err(EvalError::new(Fault::Attribute, name)),
        },
        (Value::Dict(_) | Value::JsonMap(_), _) => dict(machine, value, name, &mut arguments)?,
        _ => list(machine, value, name, &mut arguments)?,
    };
    arguments.end()?;
    Ok(result)
}

fn dict<'a>(
    machine: &mut Machine<'_, 'a>,
    value: &Value<'a>,
    name: &str,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    if name == "get" {
        let key = arguments.next()?;
        let default = arguments.optional().unwrap_or(Value::None);
        return match super::index::item(machine, value, &key) {
            Err(error) if error.fault == Fault::Key => Ok(default),
            other => other,
        };
    }
    let Some(dict) = value.as_dict()? else { return Err(EvalError::new(Fault::Attribute, name)) };
    machine.room(dict.entries().len())?;
    machine.work(dict.entries().len())?;
    let entries = dict.entries().iter();
    // Views are lists here: they can be gone through and counted, which is what views are for.
    Ok(match name {
        "keys" => Value::list(entries.map(|(key, _)| key.clone()).collect()),
        "values" => Value::list(entries.map(|(_, value)| value.clone()).collect()),
        "items" => {
            let pairs = entries.map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()]));
            Value::list(pairs.collect())
        }
        _ => value.clone(),
    })
}

fn list<'a>(
    machine: &mut Machine<'_, 'a>,
    value: &Value<'a>,
    name: &str,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let wanted = arguments.next()?;
    let items = machine.items(value)?;
    machine.work(items.len())?;
    let mut count = 0;
    for (at, item) in items.iter().enumerate() {
        if compare::equal(item, &wanted)? {
            if name == "index" {
                return Ok(Value::Int(at as i128));
            }
            count += 1;
        }
    }
    if name == "index" {
        return Err(EvalError::of_value(format!("the value is not in {}", value.type_name())));
    }
    Ok(Value::Int(count))
}
