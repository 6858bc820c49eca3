//! Values while an expression is evaluated. What came from JSON is looked at where it is, not copied.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Map, Number, Value as Json};

use super::ast::Lambda;
use super::attributes::Attributes;
use super::builtins::Builtin;
use super::error::EvalError;
use super::eval::Locals;
use super::modules::{Found, Module};

/// A text: of the expression, of what it is given, or made by it.
#[derive(Debug, Clone)]
pub enum Str<'a> {
    /// Somebody else's.
    Borrowed(&'a str),
    /// Made on the way.
    Made(Rc<str>),
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

/// A value.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `True` and `False`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    Str(Str<'a>),
    /// A list.
    List(Rc<Items<'a>>),
    /// A tuple.
    Tuple(Rc<Items<'a>>),
    /// What Python would make on demand.
    Iterator(Rc<Items<'a>>),
    /// A map.
    Dict(Rc<Dict<'a>>),
    /// A list of JSON.
    JsonList(&'a [Json]),
    /// A map of JSON.
    JsonMap(&'a Map<String, Json>),
    /// A map whose entries are reached as attributes; those that are missing are empty namespaces (transformers).
    Namespace(Option<Attributes<'a>>),
    /// What is no data: functions, types, methods, modules, matches of regular expressions.
    Other(Opaque<'a>),
}

/// A list's or tuple's elements.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    items: Vec<Value<'a>>,
    depth: u32,
}

impl<'a> Deref for Items<'a> {
    type Target = [Value<'a>];

    fn deref(&self) -> &[Value<'a>] {
        &self.items
    }
}

impl<'a> From<Vec<Value<'a>>> for Items<'a> {
    fn from(items: Vec<Value<'a>>) -> Self {
        let depth = items.iter().map(Value::depth).max().unwrap_or_default() + 1;
        Self { items, depth }
    }
}

/// What is no data.
#[derive(Debug, Clone)]
pub struct Opaque<'a>(pub(super) Rc<Thing<'a>>);

/// What is no data, and what it holds.
#[derive(Debug)]
pub(super) enum Thing<'a> {
    Builtin(Builtin),
    /// A method with what it belongs to.
    Method(Value<'a>, Str<'a>),
    Module(Module),
    Function(Module, Str<'a>),
    /// A function of the expression, and the names that it saw where it was made.
    Lambda(&'a Lambda, Locals<'a>),
    Match(Found<'a>),
}

impl<'a> Value<'a> {
    /// A value of JSON.
    pub fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::from_number(number),
            Json::String(text) => Self::Str(Str::Borrowed(text)),
            Json::Array(items) => Self::JsonList(items),
            Json::Object(map) => Self::JsonMap(map),
        }
    }

    /// A value of JSON as attributes see it: maps are namespaces.
    pub fn attribute_of(map: Option<Attributes<'a>>, name: &str) -> Self {
        match map.and_then(|map| map.get(name)) {
            Some(Json::Object(inner)) => Self::Namespace(Some(Attributes::Map(inner))),
            Some(value) => Self::from_json(value),
            None => Self::Namespace(None),
        }
    }

    fn from_number(number: &Number) -> Self {
        if let Some(whole) = number.as_i64() {
            Self::Int(i128::from(whole))
        } else if let Some(whole) = number.as_u64() {
            Self::Int(i128::from(whole))
        } else {
            Self::Float(number.as_f64().unwrap_or_default())
        }
    }

    /// A text.
    pub fn text(text: &'a str) -> Self {
        Self::Str(Str::Borrowed(text))
    }

    pub(super) fn made(text: impl Into<Rc<str>>) -> Self {
        Self::Str(Str::Made(text.into()))
    }

    pub(super) fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(Rc::new(items.into()))
    }

    pub(super) fn tuple(items: Vec<Value<'a>>) -> Self {
        Self::Tuple(Rc::new(items.into()))
    }

    pub(super) fn iterator(items: Vec<Value<'a>>) -> Self {
        Self::Iterator(Rc::new(items.into()))
    }

    pub(super) fn dict(dict: Dict<'a>) -> Self {
        Self::Dict(Rc::new(dict))
    }

    pub(super) fn other(thing: Thing<'a>) -> Self {
        Self::Other(Opaque(Rc::new(thing)))
    }

    /// How deep values lie in each other. What goes through values goes as deep.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Iterator(items) => items.depth,
            Self::Dict(dict) => dict.depth + 1,
            Self::Other(Opaque(thing)) => match &**thing {
                Thing::Method(value, _) => value.depth() + 1,
                Thing::Lambda(_, locals) => locals.depth() + 1,
                _ => 0,
            },
            _ => 0,
        }
    }

    /// The name of its type in Python's texts.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) | Self::JsonList(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Iterator(_) => "generator",
            Self::Dict(_) | Self::JsonMap(_) => "dict",
            Self::Namespace(_) => "Namespace",
            Self::Other(Opaque(thing)) => match &**thing {
                Thing::Builtin(_) | Thing::Method(..) => "builtin_function_or_method",
                Thing::Module(_) => "module",
                Thing::Function(..) | Thing::Lambda(..) => "function",
                Thing::Match(_) => "re.Match",
            },
        }
    }

    /// Whether a condition takes it for true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.is_empty(),
            Self::Dict(dict) => !dict.is_empty(),
            Self::JsonList(items) => !items.is_empty(),
            Self::JsonMap(map) => !map.is_empty(),
            Self::Namespace(map) => map.is_some_and(|map| !map.is_empty()),
            _ => true,
        }
    }

    /// As a whole number, where it is one; truth values are.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    /// As a float, where it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            other => other.as_int().map(|value| value as f64),
        }
    }

    /// As JSON. Keys of maps become texts as `json.dumps` makes them; what JSON has no word for is an error.
    pub fn to_json(&self) -> Result<Json, EvalError> {
        Ok(match self {
            Self::None => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => int_to_json(*value)?,
            Self::Float(value) => Json::Number(Number::from_f64(*value).ok_or_else(|| {
                EvalError::of_value(format!(
                    "{} has no form in JSON",
                    nephometer_model::python::float(*value)
                ))
            })?),
            Self::Str(text) => Json::String(text.to_string()),
            Self::List(items) | Self::Tuple(items) | Self::Iterator(items) => {
                Json::Array(items.iter().map(Value::to_json).collect::<Result<_, _>>()?)
            }
            Self::JsonList(items) => Json::Array(items.to_vec()),
            Self::JsonMap(map) => Json::Object((*map).clone()),
            Self::Namespace(Some(map)) => map.to_json(),
            Self::Namespace(None) => Json::Object(Map::new()),
            Self::Dict(dict) => {
                let entries =
                    dict.entries().iter().map(|(key, value)| Ok((json_key(key)?, value.to_json()?)));
                Json::Object(entries.collect::<Result<_, EvalError>>()?)
            }
            other => {
                return Err(EvalError::of_type(format!("a {} is no value of data", other.type_name())));
            }
        })
    }

    /// The elements of a list, a tuple or what is made on demand.
    pub(super) fn sequence(&self) -> Option<Cow<'_, [Value<'a>]>> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Iterator(items) => Some(Cow::Borrowed(items)),
            Self::JsonList(items) => Some(items.iter().map(Self::from_json).collect()),
            _ => None,
        }
    }

    /// A map, where it is one.
    pub(super) fn as_dict(&self) -> Result<Option<Rc<Dict<'a>>>, EvalError> {
        match self {
            Self::Dict(dict) => Ok(Some(Rc::clone(dict))),
            Self::JsonMap(map) => {
                let mut dict = Dict::default();
                for (key, value) in *map {
                    dict.insert(Self::text(key), Self::from_json(value))?;
                }
                Ok(Some(Rc::new(dict)))
            }
            _ => Ok(None),
        }
    }

    /// Its text, where it is one.
    pub(super) fn as_text(&self) -> Option<&Str<'a>> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

fn int_to_json(value: i128) -> Result<Json, EvalError> {
    if let Ok(value) = i64::try_from(value) {
        return Ok(Json::from(value));
    }
    u64::try_from(value)
        .map(Json::from)
        .map_err(|_| EvalError::of_value(format!("the whole number {value} is beyond 64 bits")))
}

/// The text that a key becomes in JSON.
pub(super) fn json_key(key: &Value<'_>) -> Result<String, EvalError> {
    match key {
        Value::Str(text) => Ok(text.to_string()),
        Value::None => Ok("null".to_owned()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Int(value) => Ok(value.to_string()),
        Value::Float(value) => Ok(nephometer_model::python::float(*value)),
        other => Err(EvalError::of_type(format!(
            "keys must be str, int, float, bool or None, not {}",
            other.type_name()
        ))),
    }
}

/// What keys are compared by: numbers that are equal are one key, whatever their kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    None,
    Int(i128),
    Bits(u64),
    Text(Rc<str>),
    Tuple(Vec<Key>),
}

impl Key {
    pub(super) fn of(value: &Value<'_>) -> Result<Self, EvalError> {
        Ok(match value {
            Value::None => Self::None,
            Value::Bool(_) | Value::Int(_) => Self::Int(value.as_int().unwrap_or_default()),
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 1e38 => Self::Int(*float as i128),
            Value::Float(float) => Self::Bits(float.to_bits()),
            Value::Str(Str::Made(text)) => Self::Text(Rc::clone(text)),
            Value::Str(Str::Borrowed(text)) => Self::Text((*text).into()),
            Value::Tuple(items) => Self::Tuple(items.iter().map(Self::of).collect::<Result<_, _>>()?),
            other => return Err(EvalError::of_type(format!("unhashable type: '{}'", other.type_name()))),
        })
    }
}

/// A map made by an expression, in the order of making.
#[derive(Debug, Clone, Default)]
pub struct Dict<'a> {
    entries: Vec<(Value<'a>, Value<'a>)>,
    places: HashMap<Key, usize>,
    depth: u32,
}

impl<'a> Dict<'a> {
    /// Puts `value` under `key`; a key that is there keeps its place.
    pub(super) fn insert(&mut self, key: Value<'a>, value: Value<'a>) -> Result<(), EvalError> {
        self.depth = self.depth.max(value.depth()).max(key.depth());
        let entries = &mut self.entries;
        match self.places.entry(Key::of(&key)?) {
            std::collections::hash_map::Entry::Occupied(place) => entries[*place.get()].1 = value,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(entries.len());
                entries.push((key, value));
            }
        }
        Ok(())
    }

    /// What is under `key`.
    pub(super) fn get(&self, key: &Value<'a>) -> Result<Option<&Value<'a>>, EvalError> {
        Ok(self.places.get(&Key::of(key)?).map(|place| &self.entries[*place].1))
    }

    /// Keys and values in the order of making.
    pub fn entries(&self) -> &[(Value<'a>, Value<'a>)] {
        &self.entries
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
