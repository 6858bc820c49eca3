//! Samples of entries: ids, readings and metadata. Pure.

use std::sync::{Arc, LazyLock};

use nephometer_model::{Sample, Volume, python};
use nephometer_pipeline::expr::{EvalError, Expression, Fault, Names, Value};
use serde_json::{Map, Value as Json};

use super::attribute::Attribute;
use super::definition::{Definition, Reading};
use super::extra::equal;

/// A sample as far as its entry tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    /// The meter's name.
    pub(super) name: Arc<str>,
    pub(super) volume: Volume,
    pub(super) metadata: Map<String, Json>,
}

/// Gives an entry its ids where they are taken from other attributes.
pub(super) fn prepare(definition: &Definition, entry: &mut Json) -> Result<(), String> {
    for (key, attribute) in &definition.ids {
        let id = attribute.json(entry).map_err(|reason| format!("{key} {reason}"))?;
        fields(entry)?.insert((*key).to_owned(), id);
    }
    Ok(())
}

fn fields(entry: &mut Json) -> Result<&mut Map<String, Json>, String> {
    let name = Value::from_json(entry).type_name();
    entry.as_object_mut().ok_or_else(|| format!("an entry is a {name}, not a map"))
}

/// The samples of an entry, or what is wrong with each. The entry keeps the last one's `value`. What has been read but is
/// mapped to nothing is put into `unmapped`.
pub(super) fn drafts(
    definition: &Definition,
    entry: &mut Json,
    unmapped: &mut Option<String>,
) -> Vec<Result<Draft, String>> {
    match &definition.reading {
        Reading::Single(attribute) => {
            let read = single(definition, attribute, entry, unmapped);
            let draft = read.and_then(|volume| {
                volume
                    .map(|volume| draft(definition, Arc::clone(&definition.meter.name), volume, entry))
                    .transpose()
            });
            draft.transpose().into_iter().collect()
        }
        Reading::Multi { list, placeholder, name, value } => {
            let elements = match elements(list, entry) {
                Ok(elements) => elements,
                Err(reason) => return vec![Err(reason)],
            };
            let sample = |element: &Json| {
                let Some((name, volume)) = multi(definition, placeholder, name, value, element)? else {
                    return Ok(None);
                };
                draft(definition, name, volume, entry).map(Some)
            };
            elements.iter().map(sample).filter_map(Result::transpose).collect()
        }
    }
}

fn draft(definition: &Definition, name: Arc<str>, volume: Volume, entry: &mut Json) -> Result<Draft, String> {
    fields(entry)?.insert("value".to_owned(), volume.to_json());
    Ok(Draft { name, metadata: metadata(definition, entry)?, volume })
}

/// The reading of an entry; nothing where it is to be passed over.
fn single(
    definition: &Definition,
    attribute: &Attribute,
    entry: &Json,
    unmapped: &mut Option<String>,
) -> Result<Option<Volume>, String> {
    let failed = |error: &EvalError| format!("value_attribute {}", attribute.failed(error));
    let value = attribute.evaluate(entry).map_err(|error| failed(&error))?;
    if skips(definition, &value).map_err(|error| format!("skip_sample_values: {error}"))? {
        return Ok(None);
    }
    if definition.value_mapping.is_empty() {
        return volume(&value).map(Some).map_err(|error| failed(&error));
    }
    if matches!(value, Value::List(_) | Value::JsonList(_) | Value::Dict(_) | Value::JsonMap(_)) {
        return Err(format!("value_mapping: TypeError: unhashable type: '{}'", value.type_name()));
    }
    let value = value.to_json().map_err(|error| failed(&error))?;
    let found = definition.value_mapping.iter().rev().find(|(key, _)| equal(key, &value));
    let mapped = found.map_or_else(
        || {
            unmapped.get_or_insert_with(|| python::str(&value));
            &definition.default_value
        },
        |(_, mapped)| mapped,
    );
    Ok(Some(Volume::from(mapped.clone())))
}

/// The elements of an entry's list.
fn elements(list: &Attribute, entry: &Json) -> Result<Vec<Json>, String> {
    match list.json(entry).map_err(|reason| format!("value_attribute {reason}"))? {
        Json::Array(elements) => Ok(elements),
        other => Err(format!(
            "Multi metric pollster defined, but the value [{}] obtained with [{}] attribute is not a list of objects.",
            python::str(&other),
            list.text()
        )),
    }
}

/// Name and reading of an element; nothing where it is to be passed over.
fn multi(
    definition: &Definition,
    placeholder: &str,
    name: &Attribute,
    value: &Attribute,
    element: &Json,
) -> Result<Option<(Arc<str>, Volume)>, String> {
    let name = name.json(element).map_err(|reason| format!("name {reason}"))?;
    let Json::String(word) = &name else {
        return Err(format!("the name {} of an element is no text", python::repr(&name)));
    };
    let failed = |error: &EvalError| format!("value_attribute {}", value.failed(error));
    let read = value.evaluate(element).map_err(|error| failed(&error))?;
    let skipped =
        |value: &Value<'_>| skips(definition, value).map_err(|error| format!("skip_sample_values: {error}"));
    if skipped(&read)? || skipped(&Value::from_json(&name))? {
        return Ok(None);
    }
    let volume = volume(&read).map_err(|error| failed(&error))?;
    Ok(Some((definition.meter.name.replace(placeholder, word).into(), volume)))
}

/// Whether such values are passed over.
fn skips(definition: &Definition, value: &Value<'_>) -> Result<bool, EvalError> {
    static IN: LazyLock<Expression> =
        LazyLock::new(|| Expression::compile("value in skipped").expect("it is an expression"));
    let Some(skipped) = &definition.skip else { return Ok(false) };
    let names = Names(vec![("value", value.clone()), ("skipped", Value::from_json(skipped))]);
    IN.evaluate(&names).map(|found| found.is_true())
}

/// A value as a reading. Numbers stay of their kind, and what is no number stays what it is.
fn volume(value: &Value<'_>) -> Result<Volume, EvalError> {
    match value {
        Value::Float(number) => Ok(Volume::Float(*number)),
        Value::Other(_) => {
            let message = format!("a {} is no reading", value.type_name());
            Err(EvalError { fault: Fault::Type, message })
        }
        other => other.to_json().map(Volume::from),
    }
}

/// The metadata that definition and entry make.
fn metadata(definition: &Definition, entry: &Json) -> Result<Map<String, Json>, String> {
    let mut metadata = Map::new();
    for (key, attribute) in &definition.metadata {
        let value = attribute.json(entry).map_err(|reason| format!("metadata_fields {reason}"))?;
        metadata.insert(key.clone(), value);
    }
    if definition.metadata_mapping.is_empty() {
        return Ok(metadata);
    }
    for (key, _) in &definition.metadata {
        let Some((_, name)) = definition.metadata_mapping.iter().rev().find(|(from, _)| from == key) else {
            continue;
        };
        let Some(value) = metadata.get(key).cloned() else { continue };
        metadata.insert(name.clone(), value);
        if !definition.preserve_mapped_metadata {
            metadata.shift_remove(key);
        }
    }
    Ok(metadata)
}

/// The sample of a draft, with the ids of its entry.
pub(super) fn sample(definition: &Definition, draft: Draft, entry: &Json, id: String) -> Sample {
    let text = |key: &str| match entry.get(key) {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) => Some(Arc::from(text.as_str())),
        Some(other) => Some(python::str(other).into()),
    };
    let mut sample = Sample::new(&definition.meter, draft.volume, id);
    sample.name = draft.name;
    sample.user_id = text("user_id");
    sample.project_id = text("project_id");
    sample.resource_id = text("id");
    sample.metadata = draft.metadata.into();
    sample
}
