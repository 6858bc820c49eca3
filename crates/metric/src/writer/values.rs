//! Attributes of resources in JSON, as publishers have them, made to what the type says.

use std::collections::BTreeMap;

use nephometer_model::time::{TimeInput, parse_timestamps};
use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, ResourceType, Timestamp, parse_python_uuid, resource_id_from,
};
use serde_json::{Map, Value};

use crate::{InvalidInput, ResourcePatch, ResourceSpec};

/// Longest owner, in characters.
const MAX_OWNER_CHARS: usize = 255;

/// A resource to be made: all that the type requires must be there.
pub(super) fn new_resource(
    schema: &ResourceType,
    given: &Map<String, Value>,
    creator: Option<&str>,
    now: Timestamp,
) -> Result<ResourceSpec, InvalidInput> {
    let id = given.get("id").ok_or_else(|| InvalidInput::key("required key not provided", "id"))?;
    let original = id.as_str().ok_or_else(|| InvalidInput::new("expected str").under("id"))?;
    let id = resource_id_from(original, creator)
        .map_err(|error| InvalidInput::new(error.to_string()).under("id"))?;
    let mut required = schema.attributes.iter().filter(|(_, attribute)| attribute.required);
    if let Some((name, _)) = required.find(|(name, _)| !given.contains_key(*name)) {
        return Err(InvalidInput::key("required key not provided", name));
    }
    let rest = given.iter().filter(|(name, _)| *name != "id");
    let patch = read(schema, rest, now)?;
    let attributes = patch.attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(ResourceSpec {
        id,
        original_resource_id: original.to_owned(),
        type_name: schema.name.clone(),
        user_id: patch.user_id.flatten(),
        project_id: patch.project_id.flatten(),
        started_at: patch.started_at,
        ended_at: patch.ended_at.flatten(),
        attributes: attributes.collect(),
        metrics: BTreeMap::new(),
    })
}

/// What changes in a resource of a type.
pub(super) fn patch(
    schema: &ResourceType,
    given: &Map<String, Value>,
    now: Timestamp,
) -> Result<ResourcePatch, InvalidInput> {
    read(schema, given.iter(), now)
}

fn read<'a>(
    schema: &ResourceType,
    given: impl Iterator<Item = (&'a String, &'a Value)>,
    now: Timestamp,
) -> Result<ResourcePatch, InvalidInput> {
    let mut patch = ResourcePatch::default();
    for (name, value) in given {
        let wrong = |error: InvalidInput| error.under(name);
        match name.as_str() {
            "user_id" => patch.user_id = Some(owner(value).map_err(wrong)?),
            "project_id" => patch.project_id = Some(owner(value).map_err(wrong)?),
            "started_at" => patch.started_at = Some(time(value, now).map_err(wrong)?),
            "ended_at" if value.is_null() => patch.ended_at = Some(None),
            "ended_at" => patch.ended_at = Some(Some(time(value, now).map_err(wrong)?)),
            _ => {
                let attribute = schema.attributes.get(name);
                let attribute = attribute.ok_or_else(|| InvalidInput::key("extra keys not allowed", name))?;
                patch
                    .attributes
                    .insert(name.clone(), attribute_value(*attribute, value, now).map_err(wrong)?);
            }
        }
    }
    Ok(patch)
}

fn owner(value: &Value) -> Result<Option<String>, InvalidInput> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() <= MAX_OWNER_CHARS => Ok(Some(text.clone())),
        Value::String(_) => {
            Err(InvalidInput::new(format!("length of value must be at most {MAX_OWNER_CHARS}")))
        }
        _ => Err(InvalidInput::new("expected str")),
    }
}

fn time(value: &Value, now: Timestamp) -> Result<Timestamp, InvalidInput> {
    let input = match value {
        Value::Number(number) => TimeInput::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => TimeInput::Text(text),
        _ => return Err(InvalidInput::new("not a valid value")),
    };
    let read = parse_timestamps(&[input], now).map_err(|_| InvalidInput::new("not a valid value"))?;
    read.first().copied().ok_or_else(|| InvalidInput::new("not a valid value"))
}

/// The value as the attribute holds it; nothing for null.
fn attribute_value(
    attribute: Attribute,
    value: &Value,
    now: Timestamp,
) -> Result<Option<AttributeValue>, InvalidInput> {
    let expected = |what: &str| Err(InvalidInput::new(format!("expected {what}")));
    if value.is_null() {
        return if attribute.required { expected(crate::kind_name(attribute.kind)) } else { Ok(None) };
    }
    let read = match (attribute.kind, value) {
        (AttributeKind::String { min_length, max_length }, Value::String(text)) => {
            let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            if !(min_length..=max_length).contains(&length) || text.contains('\0') {
                let message = format!("length of value must be between {min_length} and {max_length}");
                return Err(InvalidInput::new(message));
            }
            AttributeValue::String(text.clone())
        }
        (AttributeKind::String { .. }, _) => return expected("str"),
        (AttributeKind::Number { min, max }, Value::Number(number)) => {
            let value = number.as_f64().unwrap_or(f64::NAN);
            if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
                return Err(InvalidInput::new(format!("{number} is out of range")));
            }
            AttributeValue::Number(number.clone())
        }
        (AttributeKind::Number { .. }, _) => return expected("Real"),
        (AttributeKind::Uuid, value) => match value.as_str().and_then(parse_python_uuid) {
            Some(id) => AttributeValue::Uuid(id),
            None => return Err(InvalidInput::new("badly formed hexadecimal UUID string")),
        },
        (AttributeKind::Bool, Value::Bool(flag)) => AttributeValue::Bool(*flag),
        (AttributeKind::Bool, _) => return expected("bool"),
        (AttributeKind::Datetime, value) => {
            let at = time(value, now).map_err(|_| InvalidInput::new("Unable to convert timestamps"))?;
            AttributeValue::Datetime(Timestamp::from_micros(at.micros()))
        }
    };
    Ok(Some(read))
}
