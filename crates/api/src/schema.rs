//! Declarative checks of request bodies that find the same first error, in the same words and at the same place, as
//! upstream's validator (voluptuous): entries of an object are checked in the order in which the client wrote them,
//! then keys that are missing are reported.
//!
//! Checking also converts: defaults are filled in, and a [`Schema::Custom`] may replace the value it accepts.

use std::sync::Arc;

use nephometer_metric::InvalidInput;
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// A check that only code can express; it may replace the value, or say what is wrong (a plain message, or a place
/// deeper inside).
pub type Check = Arc<dyn Fn(Value) -> Result<Value, InvalidInput> + Send + Sync>;

/// What a value must look like.
#[derive(Clone)]
pub enum Schema {
    /// Anything.
    Anything,
    /// A string.
    Str,
    /// A whole number, not out of the bounds; booleans count as 0 and 1, as in Python.
    Int {
        /// Smallest.
        min: Option<i64>,
        /// Largest.
        max: Option<i64>,
    },
    /// What Python's `int()` takes, not below `min`: numbers lose their fraction, strings are parsed.
    CoerceInt {
        /// Smallest.
        min: i64,
    },
    /// A number within bounds; booleans count as numbers.
    Real {
        /// Smallest.
        min: Option<f64>,
        /// Largest.
        max: Option<f64>,
    },
    /// True or false.
    Bool,
    /// An object, whatever is in it.
    Dict,
    /// No value.
    Null,
    /// Exactly this string.
    Literal(&'static str),
    /// A list whose elements are all like this.
    List(Box<Schema>),
    /// An object with these keys and no others.
    Object(Vec<Key>),
    /// An object whose values are all like this.
    MapOf(Box<Schema>),
    /// A value like this with a length (characters, elements, entries) within bounds.
    Length {
        /// The value; checked before its length.
        of: Box<Schema>,
        /// Shortest.
        min: usize,
        /// Longest.
        max: usize,
    },
    /// The first of these that fits; else the error that lies deepest, the first of equals.
    Any(Vec<Schema>),
    /// A check in code.
    Custom(Check),
}

/// One key of an object.
#[derive(Clone)]
pub struct Key {
    name: String,
    presence: Presence,
    schema: Schema,
}

#[derive(Clone)]
enum Presence {
    Required,
    Optional,
    Default(Value),
}

impl Key {
    /// A key that must be there.
    pub fn required(name: impl Into<String>, schema: Schema) -> Self {
        Self { name: name.into(), presence: Presence::Required, schema }
    }

    /// A key that may be there.
    pub fn optional(name: impl Into<String>, schema: Schema) -> Self {
        Self { name: name.into(), presence: Presence::Optional, schema }
    }

    /// A key that is there with `default` where the client does not give it.
    pub fn with_default(name: impl Into<String>, default: Value, schema: Schema) -> Self {
        Self { name: name.into(), presence: Presence::Default(default), schema }
    }
}

impl Schema {
    /// A check in code that fails with a plain message.
    pub fn custom(check: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(move |value| check(value).map_err(InvalidInput::new)))
    }

    /// A check in code that may fail at a place inside.
    pub fn custom_place(
        check: impl Fn(Value) -> Result<Value, InvalidInput> + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(Arc::new(check))
    }

    /// This, or null.
    #[must_use]
    pub fn or_null(self) -> Self {
        Self::Any(vec![self, Self::Null])
    }

    /// Checks `value` and returns it converted, or the first error.
    pub fn check(&self, value: Value) -> Result<Value, InvalidInput> {
        match self {
            Self::Anything => Ok(value),
            Self::Str => require(value.is_string(), value, "expected str"),
            Self::Int { min, max } => check_int(value, *min, *max),
            Self::CoerceInt { min } => coerce_int(&value, *min),
            Self::Real { min, max } => check_real(value, *min, *max),
            Self::Bool => require(value.is_boolean(), value, "expected bool"),
            Self::Dict => require(value.is_object(), value, "expected dict"),
            Self::Null => require(value.is_null(), value, "not a valid value"),
            Self::Literal(text) => require(value == *text, value, "not a valid value"),
            Self::List(element) => check_list(element, value),
            Self::Object(keys) => check_object(keys, value),
            Self::MapOf(schema) => check_map(schema, value),
            Self::Length { of, min, max } => check_length(of.check(value)?, *min, *max),
            Self::Any(alternatives) => check_any(alternatives, &value),
            Self::Custom(check) => check(value),
        }
    }
}

fn require(ok: bool, value: Value, message: &str) -> Result<Value, InvalidInput> {
    if ok { Ok(value) } else { Err(InvalidInput::new(message)) }
}

fn check_int(value: Value, min: Option<i64>, max: Option<i64>) -> Result<Value, InvalidInput> {
    let number = match &value {
        Value::Bool(flag) => i128::from(*flag),
        Value::Number(number) if !number.is_f64() => {
            number.as_i64().map(i128::from).or(number.as_u64().map(i128::from)).unwrap_or(0)
        }
        _ => return Err(InvalidInput::new("expected int")),
    };
    check_bounds(number, min.map(i128::from), max.map(i128::from))?;
    Ok(value)
}

fn check_bounds<T: Copy + PartialOrd + std::fmt::Display>(
    value: T,
    min: Option<T>,
    max: Option<T>,
) -> Result<(), InvalidInput> {
    match (min, max) {
        (Some(min), _) if value < min => Err(InvalidInput::new(format!("value must be at least {min}"))),
        (_, Some(max)) if value > max => Err(InvalidInput::new(format!("value must be at most {max}"))),
        _ => Ok(()),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Python's int() cuts the fraction; the bounds are checked"
)]
fn coerce_int(value: &Value, min: i64) -> Result<Value, InvalidInput> {
    let whole = match value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Some(whole),
            None => number.as_f64().filter(|float| float.abs() < 9.2e18).map(|float| float.trunc() as i64),
        },
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let whole = whole.ok_or_else(|| InvalidInput::new("expected int"))?;
    check_bounds(whole, Some(min), None)?;
    Ok(whole.into())
}

fn check_real(value: Value, min: Option<f64>, max: Option<f64>) -> Result<Value, InvalidInput> {
    let number = match &value {
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        _ => return Err(InvalidInput::new("expected Real")),
    };
    check_bounds(number, min, max)?;
    Ok(value)
}

fn check_length(value: Value, min: usize, max: usize) -> Result<Value, InvalidInput> {
    let length = match &value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => return Err(InvalidInput::new("invalid value or type")),
    };
    if length < min {
        return Err(InvalidInput::new(format!("length of value must be at least {min}")));
    }
    if length > max {
        return Err(InvalidInput::new(format!("length of value must be at most {max}")));
    }
    Ok(value)
}

/// Errors inside an element are reported at once; of errors at elements themselves the first.
fn check_list(element: &Schema, value: Value) -> Result<Value, InvalidInput> {
    let Value::Array(items) = value else { return Err(InvalidInput::new("expected a list")) };
    let mut first: Option<InvalidInput> = None;
    let mut checked = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match element.check(item) {
            Ok(item) => checked.push(item),
            Err(error) if !error.path.is_empty() => return Err(error.at(index)),
            Err(error) => {
                first.get_or_insert_with(|| error.at(index));
            }
        }
    }
    first.map_or(Ok(Value::Array(checked)), Err)
}

fn check_entry(schema: &Schema, key: &str, value: Value) -> Result<Value, InvalidInput> {
    schema.check(value).map_err(|error| error.under(key))
}

fn check_object(keys: &[Key], value: Value) -> Result<Value, InvalidInput> {
    let Value::Object(entries) = value else { return Err(InvalidInput::new("expected a dictionary")) };
    let mut checked = Map::with_capacity(keys.len());
    for (name, value) in entries {
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            return Err(InvalidInput::key("extra keys not allowed", &name));
        };
        let value = check_entry(&key.schema, &name, value)?;
        checked.insert(name, value);
    }
    for key in keys.iter().filter(|key| !checked.contains_key(&key.name)).collect::<Vec<_>>() {
        match &key.presence {
            Presence::Optional => {}
            Presence::Default(default) => {
                let value = check_entry(&key.schema, &key.name, default.clone())?;
                checked.insert(key.name.clone(), value);
            }
            Presence::Required => {
                return Err(InvalidInput::key("required key not provided", &key.name));
            }
        }
    }
    Ok(Value::Object(checked))
}

fn check_map(schema: &Schema, value: Value) -> Result<Value, InvalidInput> {
    let Value::Object(entries) = value else { return Err(InvalidInput::new("expected a dictionary")) };
    let checked = entries.into_iter().map(|(key, value)| {
        let value = check_entry(schema, &key, value)?;
        Ok((key, value))
    });
    Ok(Value::Object(checked.collect::<Result<_, InvalidInput>>()?))
}

fn check_any(alternatives: &[Schema], value: &Value) -> Result<Value, InvalidInput> {
    let mut deepest: Option<InvalidInput> = None;
    for alternative in alternatives {
        match alternative.check(value.clone()) {
            Ok(value) => return Ok(value),
            Err(error) if deepest.as_ref().is_none_or(|known| error.path.len() > known.path.len()) => {
                deepest = Some(error);
            }
            Err(_) => {}
        }
    }
    Err(deepest.unwrap_or_else(|| InvalidInput::new("no valid value found")))
}
