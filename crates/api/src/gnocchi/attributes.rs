//! Attributes of resource types on the wire: their descriptions, and values that keep to them.

use nephometer_metric::kind_name;
use nephometer_model::{Attribute, AttributeKind, AttributeValue, Timestamp};
use serde_json::{Map, Value, json};

use super::values::{read_text, read_uuid, timestamp, uuid};
use crate::schema::{Key, Schema};

/// Longest string that any attribute holds.
const MAX_STRING_CHARS: i64 = 256;

/// What the description of an attribute must look like. In a change it may carry `options` with a `fill`.
pub(super) fn description(in_change: bool) -> Schema {
    let variant = |kind: &'static str, limits: Vec<Key>| {
        let mut keys = vec![
            Key::required("type", Schema::Literal(kind)),
            Key::with_default("required", json!(true), Schema::Bool),
        ];
        if in_change {
            let options = Schema::Object(vec![Key::optional("fill", Schema::Anything)]);
            keys.push(Key::with_default("options", json!({}), options));
        }
        keys.extend(limits);
        Schema::Object(keys)
    };
    let limit = || Schema::Any(vec![Schema::Null, Schema::Real { min: None, max: None }]);
    let length = |min| Schema::Int { min: Some(min), max: Some(MAX_STRING_CHARS) };
    Schema::Any(vec![
        variant("bool", Vec::new()),
        variant("datetime", Vec::new()),
        variant(
            "number",
            vec![
                Key::with_default("min", Value::Null, limit()),
                Key::with_default("max", Value::Null, limit()),
            ],
        ),
        variant(
            "string",
            vec![
                Key::with_default("min_length", json!(0), length(0)),
                Key::with_default("max_length", json!(MAX_STRING_CHARS), length(1)),
            ],
        ),
        variant("uuid", Vec::new()),
    ])
}

/// Reads what [`description`] has checked.
pub(super) fn read_description(checked: &Value) -> Attribute {
    let length = |key: &str| {
        let length = match &checked[key] {
            Value::Bool(flag) => Some(u64::from(*flag)),
            other => other.as_u64(),
        };
        length.and_then(|length| u32::try_from(length).ok()).unwrap_or_default()
    };
    let limit = |key: &str| match &checked[key] {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        other => other.as_f64(),
    };
    let kind = match checked["type"].as_str().unwrap_or_default() {
        "bool" => AttributeKind::Bool,
        "datetime" => AttributeKind::Datetime,
        "number" => AttributeKind::Number { min: limit("min"), max: limit("max") },
        "uuid" => AttributeKind::Uuid,
        _ => AttributeKind::String { min_length: length("min_length"), max_length: length("max_length") },
    };
    Attribute { kind, required: checked["required"].as_bool().unwrap_or(true) }
}

/// A limit as clients gave it: whole numbers without a fraction.
fn limit_value(limit: Option<f64>) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of integers")]
    match limit {
        Some(limit) if limit.fract() == 0.0 && limit.abs() < 1e15 => json!(limit as i64),
        other => json!(other),
    }
}

/// An attribute's description as clients see it.
pub(super) fn description_body(attribute: &Attribute) -> Value {
    let mut body = json!({"type": kind_name(attribute.kind), "required": attribute.required});
    match attribute.kind {
        AttributeKind::String { min_length, max_length } => {
            body["max_length"] = json!(max_length);
            body["min_length"] = json!(min_length);
        }
        AttributeKind::Number { min, max } => {
            body["min"] = limit_value(min);
            body["max"] = limit_value(max);
        }
        AttributeKind::Uuid | AttributeKind::Bool | AttributeKind::Datetime => {}
    }
    body
}

/// What a value of an attribute must look like.
pub(super) fn value(kind: AttributeKind, now: Timestamp) -> Schema {
    match kind {
        AttributeKind::String { min_length, max_length } => Schema::Length {
            of: Box::new(Schema::Str),
            min: usize::try_from(min_length).unwrap_or(usize::MAX),
            max: usize::try_from(max_length).unwrap_or(usize::MAX),
        },
        AttributeKind::Number { min, max } => Schema::custom_place(move |value| {
            // Python takes booleans for numbers, its databases do not.
            if value.is_boolean() {
                return Err(nephometer_metric::InvalidInput::new("expected Real"));
            }
            Schema::Real { min, max }.check(value)
        }),
        AttributeKind::Uuid => uuid("badly formed hexadecimal UUID string"),
        AttributeKind::Bool => Schema::Bool,
        AttributeKind::Datetime => timestamp(now, "Unable to convert timestamps"),
    }
}

/// Reads what [`value`] has checked; nothing for null.
pub(super) fn read_value(kind: AttributeKind, checked: &Value) -> Option<AttributeValue> {
    match kind {
        AttributeKind::String { .. } => read_text(Some(checked)).map(AttributeValue::String),
        AttributeKind::Number { .. } => match checked {
            Value::Number(number) => Some(AttributeValue::Number(number.clone())),
            _ => None,
        },
        AttributeKind::Uuid => read_uuid(checked).map(AttributeValue::Uuid),
        AttributeKind::Bool => checked.as_bool().map(AttributeValue::Bool),
        AttributeKind::Datetime => {
            let time = checked.as_i64().map(Timestamp::from_ns);
            time.map(|time| AttributeValue::Datetime(Timestamp::from_micros(time.micros())))
        }
    }
}

/// A value as clients see it.
pub(super) fn value_body(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::String(text) => json!(text),
        // Whole numbers too have a fraction, as upstream's columns of floats give them.
        AttributeValue::Number(number) => json!(number.as_f64()),
        AttributeValue::Uuid(id) => json!(id),
        AttributeValue::Bool(flag) => json!(flag),
        AttributeValue::Datetime(time) => json!(time.isoformat()),
    }
}

/// Descriptions by name, as clients see them.
pub(super) fn descriptions_body<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a Attribute)>,
) -> Value {
    let bodies = attributes.into_iter().map(|(name, attribute)| (name.clone(), description_body(attribute)));
    Value::Object(bodies.collect::<Map<_, _>>())
}
