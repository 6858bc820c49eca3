//! The plain reader of bodies: decodes all of it, then checks it in upstream's order.

use std::borrow::Cow;
use std::fmt;

use nephometer_model::Timestamp;
use nephometer_model::time::{TimeInput, parse_float, parse_timestamps};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{
    BodyError, Measures, MetricBatch, NamedRun, ResourceBatch, ResourceRuns, metric_id, resource_id,
};
use crate::InvalidInput;

/// JSON with every entry of an object, in order, repeated keys too.
#[derive(Debug)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("object or value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }

    #[expect(clippy::cast_precision_loss, reason = "all numbers are read as floats")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "all numbers are read as floats")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Tree::Object(object))
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

/// The last entry of `key`, as JSON readers that build maps keep it.
fn get<'a>(object: &'a [(String, Tree)], key: &str) -> Option<&'a Tree> {
    object.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// Decodes JSON, with the bare literals `NaN`, `Infinity` and `-Infinity`, which become text that reads the same.
pub(super) fn decode(text: &str) -> Result<Tree, BodyError> {
    if text.trim().is_empty() {
        return Err(BodyError::Undecodable("Expected object or value".to_owned()));
    }
    serde_json::from_str(text).or_else(|error| {
        quote_literals(text)
            .and_then(|quoted| serde_json::from_str(&quoted).ok())
            .ok_or_else(|| BodyError::Undecodable(error.to_string()))
    })
}

/// `text` with its bare literals quoted; nothing where it has none.
fn quote_literals(text: &str) -> Option<String> {
    let mut quoted = String::with_capacity(text.len() + 64);
    let (mut rest, mut in_string, mut found) = (text, false, false);
    while let Some(c) = rest.chars().next() {
        let literal = ["-Infinity", "Infinity", "NaN"].into_iter().find(|literal| rest.starts_with(literal));
        let taken = match literal {
            Some(literal) if !in_string => {
                found = true;
                quoted.extend(["\"", literal, "\""]);
                literal.len()
            }
            _ => {
                let escaped = in_string && c == '\\';
                in_string ^= c == '"';
                let taken: usize = rest.chars().take(1 + usize::from(escaped)).map(char::len_utf8).sum();
                quoted.push_str(&rest[..taken]);
                taken
            }
        };
        rest = &rest[taken..];
    }
    found.then_some(quoted)
}

/// A list of measures.
pub(super) fn measures(tree: &Tree, now: Timestamp) -> Result<Measures, InvalidInput> {
    let mut measures = Measures::default();
    append(tree, now, &mut measures)?;
    Ok(measures)
}

/// Appends a list of measures; answers how many. An empty object or text has no elements and is as good as an empty
/// list.
fn append(tree: &Tree, now: Timestamp, measures: &mut Measures) -> Result<u32, InvalidInput> {
    let format = || InvalidInput::new("unexpected measures format");
    let elements = match tree {
        Tree::List(elements) => elements.as_slice(),
        Tree::Object(entries) if entries.is_empty() => &[],
        Tree::Text(text) if text.is_empty() => &[],
        _ => return Err(format()),
    };
    let objects = elements
        .iter()
        .map(|element| match element {
            Tree::Object(object) => Ok(object.as_slice()),
            _ => Err(format()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let times = objects
        .iter()
        .map(|object| match get(object, "timestamp") {
            Some(Tree::Number(seconds)) => Ok(TimeInput::Number(*seconds)),
            Some(Tree::Bool(truth)) => Ok(TimeInput::Number(f64::from(u8::from(*truth)))),
            Some(Tree::Text(text)) => Ok(TimeInput::Text(text)),
            _ => Err(format()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let timestamps = parse_timestamps(&times, now)
        .map_err(|error| InvalidInput::new(format!("unexpected timestamp '{error}'")))?;
    let values = objects
        .iter()
        .map(|object| match get(object, "value") {
            Some(Tree::Number(value)) => Some(*value),
            Some(Tree::Bool(truth)) => Some(f64::from(u8::from(*truth))),
            Some(Tree::Text(text)) => parse_float(text),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| InvalidInput::new("unexpected measures value"))?;
    measures.timestamps_ns.extend(timestamps.into_iter().map(Timestamp::ns));
    measures.values.extend(values);
    u32::try_from(elements.len()).map_err(|_| format())
}

const NUL: &str = "NUL characters are not supported";

/// `text`, if databases store it.
fn storable(text: &str) -> Result<&str, InvalidInput> {
    if text.contains('\0') { Err(InvalidInput::key(NUL, text)) } else { Ok(text) }
}

fn entries(tree: &Tree) -> Result<&[(String, Tree)], InvalidInput> {
    match tree {
        Tree::Object(entries) => Ok(entries),
        _ => Err(InvalidInput::new("expected a dictionary")),
    }
}

pub(super) fn metric_batch(tree: &Tree, now: Timestamp) -> Result<MetricBatch, InvalidInput> {
    let mut batch = MetricBatch::default();
    for (key, list) in entries(tree)? {
        let id = metric_id(key).ok_or_else(|| InvalidInput::key("not a valid value", key))?;
        let len = append(list, now, &mut batch.measures).map_err(|error| error.under(key))?;
        batch.runs.push((id, len));
    }
    Ok(batch)
}

pub(super) fn resource_batch(
    tree: &Tree,
    creator: Option<&str>,
    now: Timestamp,
) -> Result<ResourceBatch<'static>, InvalidInput> {
    let mut batch = ResourceBatch::default();
    for (key, metrics) in entries(tree)? {
        let id = storable(key).and_then(|key| resource_id(key, creator))?;
        let runs = entries(metrics)
            .and_then(|metrics| {
                let read = |(name, value): &(String, Tree)| {
                    named_run(name, value, now, &mut batch.measures).map_err(|error| error.under(name))
                };
                metrics.iter().map(read).collect::<Result<Vec<_>, _>>()
            })
            .map_err(|error| error.under(key))?;
        batch.resources.push(ResourceRuns { original_id: Cow::Owned(key.clone()), id, runs });
    }
    Ok(batch)
}

/// A list of measures, or an object with one: the error is of the reading that came further.
fn named_run(
    name: &str,
    value: &Tree,
    now: Timestamp,
    measures: &mut Measures,
) -> Result<NamedRun<'static>, InvalidInput> {
    let name = storable(name)?;
    let mut run = NamedRun { name: Cow::Owned(name.to_owned()), policy_name: None, unit: None, len: 0 };
    let object = match value {
        Tree::Object(object) if !object.is_empty() => object,
        _ => {
            run.len = append(value, now, measures)?;
            return Ok(run);
        }
    };
    for (key, value) in object {
        match (key.as_str(), value) {
            ("measures", _) => {}
            ("archive_policy_name" | "unit", Tree::Text(text)) if text.contains('\0') => {
                return Err(InvalidInput::new(NUL).under(key));
            }
            ("archive_policy_name", Tree::Text(text)) => run.policy_name = Some(Cow::Owned(text.clone())),
            ("unit", Tree::Text(text)) => run.unit = Some(Cow::Owned(text.clone())),
            ("archive_policy_name" | "unit", _) => return Err(InvalidInput::new("expected str").under(key)),
            _ => return Err(InvalidInput::key("extra keys not allowed", key)),
        }
    }
    let list =
        get(object, "measures").ok_or_else(|| InvalidInput::key("required key not provided", "measures"))?;
    run.len = append(list, now, measures).map_err(|error| error.under("measures"))?;
    Ok(run)
}
