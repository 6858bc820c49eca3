//! Attribute values as they are stored: JSON for reading, typed columns for searching.
//!
//! In the JSON a text, a boolean and a number stand for themselves; what JSON has no form for is an array of a tag and
//! a value: `["u", "<uuid>"]`, `["t", <microseconds>]`, and `["n", "<number>"]` for numbers whose spelling a database
//! might change (exponents, negative zero).

use nephometer_drivers::IndexError;
use nephometer_model::{Attribute, AttributeKind, AttributeValue, Attributes, ResourceId, Timestamp};
use serde_json::{Map, Value as Json, json};

use crate::Failure;
use crate::session::Session;
use crate::types::StoredType;
use crate::value::{Batch, ColumnType, Value};

/// The column of the attribute tables that values of a kind are in.
pub(crate) fn search_column(kind: &AttributeKind) -> &'static str {
    match kind {
        AttributeKind::String { .. } | AttributeKind::Uuid => "text",
        AttributeKind::Number { .. } => "number",
        AttributeKind::Bool | AttributeKind::Datetime => "integer",
    }
}

/// The cells `text`, `number`, `integer` of a value.
pub(crate) fn cells(value: &AttributeValue) -> [Value; 3] {
    match value {
        AttributeValue::String(text) => [text.into(), Value::Null, Value::Null],
        AttributeValue::Uuid(id) => [id.to_string().into(), Value::Null, Value::Null],
        AttributeValue::Number(number) => [Value::Null, number.as_f64().into(), Value::Null],
        AttributeValue::Bool(value) => [Value::Null, Value::Null, i64::from(*value).into()],
        AttributeValue::Datetime(time) => [Value::Null, Value::Null, time.micros().into()],
    }
}

fn encode_value(value: &AttributeValue) -> Json {
    match value {
        AttributeValue::String(text) => Json::String(text.clone()),
        AttributeValue::Bool(value) => Json::Bool(*value),
        AttributeValue::Uuid(id) => json!(["u", id.to_string()]),
        AttributeValue::Datetime(time) => json!(["t", time.micros()]),
        AttributeValue::Number(number) => {
            let text = number.to_string();
            if text.contains(['e', 'E']) || text.starts_with("-0") {
                json!(["n", text])
            } else {
                Json::Number(number.clone())
            }
        }
    }
}

/// The JSON of `attributes`.
pub(crate) fn encode(attributes: &Attributes) -> String {
    let map: Map<String, Json> =
        attributes.iter().map(|(name, value)| (name.clone(), encode_value(value))).collect();
    Json::Object(map).to_string()
}

/// The attributes as they come back: times in whole microseconds.
pub(crate) fn as_stored(attributes: &Attributes) -> Attributes {
    let stored = |value: &AttributeValue| match value {
        AttributeValue::Datetime(time) => AttributeValue::Datetime(Timestamp::from_micros(time.micros())),
        other => other.clone(),
    };
    attributes.iter().map(|(name, value)| (name.clone(), stored(value))).collect()
}

fn decode_value(value: Json) -> Option<AttributeValue> {
    match value {
        Json::String(text) => Some(AttributeValue::String(text)),
        Json::Bool(value) => Some(AttributeValue::Bool(value)),
        Json::Number(number) => Some(AttributeValue::Number(number)),
        Json::Array(pair) => match pair.as_slice() {
            [Json::String(tag), Json::String(text)] if tag == "u" => {
                text.parse().ok().map(AttributeValue::Uuid)
            }
            [Json::String(tag), Json::Number(micros)] if tag == "t" => {
                micros.as_i64().map(|micros| AttributeValue::Datetime(Timestamp::from_micros(micros)))
            }
            [Json::String(tag), Json::String(text)] if tag == "n" => {
                serde_json::from_str(text).ok().map(AttributeValue::Number)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The attributes that `text` stands for.
pub(crate) fn decode(text: &str) -> Result<Attributes, Failure> {
    let corrupt = || Failure::Internal("the stored attributes of a resource cannot be read".to_owned());
    let map: Map<String, Json> = serde_json::from_str(text).map_err(|_| corrupt())?;
    map.into_iter()
        .map(|(name, value)| Some((name, decode_value(value)?)))
        .collect::<Option<_>>()
        .ok_or_else(corrupt)
}

/// Whether a value is of a kind; limits are the caller's matter.
fn fits(kind: &AttributeKind, value: &AttributeValue) -> bool {
    matches!(
        (kind, value),
        (AttributeKind::String { .. }, AttributeValue::String(_))
            | (AttributeKind::Number { .. }, AttributeValue::Number(_))
            | (AttributeKind::Uuid, AttributeValue::Uuid(_))
            | (AttributeKind::Bool, AttributeValue::Bool(_))
            | (AttributeKind::Datetime, AttributeValue::Datetime(_))
    )
}

/// The attribute of a type, if `value` can be its value.
pub(crate) fn checked<'a>(
    stored: &'a StoredType,
    name: &str,
    value: Option<&AttributeValue>,
) -> Result<&'a (i64, Attribute), IndexError> {
    let known = stored.attributes.get(name).ok_or_else(|| IndexError::NoSuchAttribute {
        resource_type: stored.name.clone(),
        attribute: name.to_owned(),
    })?;
    match value {
        Some(value) if !fits(&known.1.kind, value) => Err(IndexError::AttributeValueInvalid {
            resource_type: stored.name.clone(),
            attribute: name.to_owned(),
            value: encode_value(value).to_string(),
        }),
        _ => Ok(known),
    }
}

/// Whether two values are the same; numbers by value, times in microseconds.
pub(crate) fn same(one: &AttributeValue, other: &AttributeValue) -> bool {
    match (one, other) {
        (AttributeValue::Number(one), AttributeValue::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (AttributeValue::Datetime(one), AttributeValue::Datetime(other)) => one.micros() == other.micros(),
        _ => one == other,
    }
}

const ROWS: [(&str, ColumnType); 6] = [
    ("resource_pk", ColumnType::Int),
    ("attribute_pk", ColumnType::Int),
    ("text", ColumnType::Text),
    ("number", ColumnType::Real),
    ("integer", ColumnType::Int),
    ("id", ColumnType::Uuid),
];

/// The condition that a row `{alias}` of an attribute table has no value.
pub(crate) fn without_value(alias: &str) -> String {
    format!("{alias}.text IS NULL AND {alias}.number IS NULL AND {alias}.integer IS NULL")
}

/// Adds what searches see of the attributes of the resource `owner` with this id: a row for each attribute of its type.
pub(crate) async fn add_search_rows(
    session: &mut dyn Session,
    stored: &StoredType,
    owner: i64,
    id: ResourceId,
    attributes: &Attributes,
) -> Result<(), Failure> {
    let mut batch = Batch::new(&ROWS);
    for (name, value) in attributes {
        checked(stored, name, Some(value))?;
    }
    for (name, (pk, _)) in &stored.attributes {
        let [text, number, integer] =
            attributes.get(name).map_or([Value::Null, Value::Null, Value::Null], cells);
        batch.push(vec![owner.into(), (*pk).into(), text, number, integer, id.0.into()]);
    }
    if batch.rows.is_empty() { Ok(()) } else { session.insert("resource_attribute", &batch).await }
}

#[cfg(test)]
mod tests {
    use nephometer_model::Timestamp;

    use super::*;

    #[test]
    fn values_survive_storage() {
        let number = |text: &str| AttributeValue::Number(serde_json::from_str(text).unwrap());
        let attributes: Attributes = [
            ("text", AttributeValue::String("[\"u\"]".to_owned())),
            ("integer", number("18446744073709551615")),
            ("real", number("1.0")),
            ("exponent", number("1e300")),
            ("negative-zero", number("-0.0")),
            ("id", AttributeValue::Uuid(uuid::Uuid::from_u128(7))),
            ("yes", AttributeValue::Bool(true)),
            ("when", AttributeValue::Datetime(Timestamp::from_micros(-1_234_567))),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        assert_eq!(decode(&encode(&attributes)).unwrap(), attributes);
    }
}
