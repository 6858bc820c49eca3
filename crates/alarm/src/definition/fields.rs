//! Fields of a JSON object, read with the coercions of upstream's framework and refused with its messages.

use nephometer_model::python;
use serde_json::{Map, Value};

use super::{DefinitionError, missing};

/// The fields of an object that have not been read yet.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// What messages call the object.
    path: String,
    read: Vec<&'a str>,
}

/// A field's value that cannot be.
pub(crate) fn invalid(field: &str, value: &str, reason: &str) -> DefinitionError {
    let text = format!("Invalid input for field/attribute {field}. Value: '{value}'. {reason}");
    DefinitionError::Invalid(text)
}

/// The Python class that a JSON value is read as.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<class 'NoneType'>",
        Value::Bool(_) => "<class 'bool'>",
        Value::Number(number) if number.is_f64() => "<class 'float'>",
        Value::Number(_) => "<class 'int'>",
        Value::String(_) => "<class 'str'>",
        Value::Array(_) => "<class 'list'>",
        Value::Object(_) => "<class 'dict'>",
    }
}

pub(super) fn wrong_type(field: &str, value: &Value, expected: &str) -> DefinitionError {
    let reason = format!("Wrong type. Expected '<class '{expected}'>', got '{}'", python_type(value));
    invalid(field, &python::str(value), &reason)
}

pub(crate) fn not_a_list(field: &str, value: &Value) -> DefinitionError {
    let shown = python::str(value);
    invalid(field, &shown, &format!("Value not a valid list: {shown}"))
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which messages call `path`.
    pub(crate) fn of(value: &'a Value, path: &str) -> Result<Self, DefinitionError> {
        let Value::Object(object) = value else {
            let field = path.rsplit('.').next().unwrap_or(path);
            return Err(wrong_type(field, value, "dict"));
        };
        Ok(Self { object, path: path.to_owned(), read: Vec::with_capacity(object.len()) })
    }

    /// What messages call the object.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The value of a field, which counts as read.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.push(name);
        self.object.get(name)
    }

    /// A field that may have any value.
    pub(super) fn ignore(&mut self, name: &'static str) {
        self.read.push(name);
    }

    /// Refuses fields that nobody has read.
    pub(crate) fn finish(self) -> Result<(), DefinitionError> {
        let mut unknown: Vec<&str> =
            self.object.keys().map(String::as_str).filter(|name| !self.read.contains(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        let plural = if unknown.len() > 1 { "s" } else { "" };
        let text = format!("Unknown attribute{plural} for argument {}: {}", self.path, unknown.join(", "));
        Err(DefinitionError::Invalid(text))
    }

    /// A text, if the field is there; null is nothing inside.
    pub(crate) fn given_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Option<String>>, DefinitionError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::String(text)) => Ok(Some(Some(text.clone()))),
            Some(other) => Err(wrong_type(name, other, "str")),
        }
    }

    /// A text that need not be there; null is none.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, DefinitionError> {
        Ok(self.given_text(name)?.flatten())
    }

    /// A text that must be there.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, DefinitionError> {
        self.optional_text(name)?.ok_or_else(|| missing(name))
    }

    /// A list of texts, if the field is there; null is nothing inside.
    pub(super) fn texts(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Option<Vec<String>>>, DefinitionError> {
        let list = match self.take(name) {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(None)),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(not_a_list(name, other)),
        };
        let text = |item: &Value| match item {
            Value::String(text) => Ok(text.clone()),
            other => Err(wrong_type(name, other, "str")),
        };
        list.iter().map(text).collect::<Result<_, _>>().map(|texts| Some(Some(texts)))
    }

    /// True or false, if the field is there; null is nothing inside.
    pub(super) fn bool(&mut self, name: &'static str) -> Result<Option<Option<bool>>, DefinitionError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let truth = match value {
            Value::Null => return Ok(Some(None)),
            Value::Bool(truth) => Some(*truth),
            Value::Number(number) if !number.is_f64() => Some(number.as_i64() != Some(0)),
            Value::String(text) => match text.as_str() {
                "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
                "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        let shown = || python::str(value);
        let refuse = || invalid(name, &shown(), &format!("Value not an unambiguous boolean: {}", shown()));
        truth.map(|truth| Some(Some(truth))).ok_or_else(refuse)
    }

    /// One of some words, if the field is there.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[T],
        spelled: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, DefinitionError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = all.iter().copied().find(|word| value.as_str() == Some(spelled(*word)));
        found.map(Some).ok_or_else(|| {
            let mut words: Vec<_> = all.iter().map(|word| spelled(*word)).collect();
            words.sort_unstable();
            let reason = format!("Value should be one of: {}", words.join(", "));
            invalid(name, &python::str(value), &reason)
        })
    }

    /// A whole number within bounds (both inclusive), as Python's `int` reads it; null counts as absent.
    pub(crate) fn integer(
        &mut self,
        name: &'static str,
        min: i64,
        max: i64,
    ) -> Result<Option<i64>, DefinitionError> {
        let value = match self.take(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let shown = python::str(value);
        let number = whole(value).ok_or_else(|| {
            let reason = format!("invalid literal for int() with base 10: {}", python::repr(value));
            invalid(name, &shown, &reason)
        })?;
        if number < min {
            return Err(invalid(name, &shown, &format!("Value should be greater or equal to {min}")));
        }
        if number > max {
            return Err(invalid(name, &shown, &format!("Value should be lower or equal to {max}")));
        }
        Ok(Some(number))
    }

    /// A number that must be there, as Python's `float` reads it.
    pub(super) fn number(&mut self, name: &'static str) -> Result<f64, DefinitionError> {
        let value = match self.take(name) {
            None | Some(Value::Null) => return Err(missing(name)),
            Some(value) => value,
        };
        let number = match value {
            Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Value::Number(number) => number.as_f64(),
            Value::String(text) => nephometer_model::time::parse_float(text),
            _ => None,
        };
        number.ok_or_else(|| {
            let reason = format!("could not convert string to float: {}", python::repr(value));
            invalid(name, &python::str(value), &reason)
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked against the range before")]
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().filter(|float| float.abs() < 9e18).map(|float| float.trunc() as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
