//! Values inside bodies that many nouns share: checks that convert them, and what reads the converted form back.

use nephometer_model::time::{self, TimeInput};
use nephometer_model::{Metric, ResourceId, Timespan, Timestamp, parse_python_uuid, resource_id_from};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::schema::Schema;

/// Longest name that anything can have, in characters.
const MAX_NAME_CHARS: usize = 255;

/// The name of something that is addressed by it.
pub(super) fn name_text() -> Schema {
    Schema::Length { of: Box::new(Schema::Str), min: 1, max: MAX_NAME_CHARS }
}

/// Text that is stored but addresses nothing; it may be empty.
pub(super) fn short_text() -> Schema {
    Schema::Length { of: Box::new(Schema::Str), min: 0, max: MAX_NAME_CHARS }
}

/// A span of time, positive: seconds as a number or text, or words. Converted to whole nanoseconds.
pub(super) fn timespan() -> Schema {
    Schema::custom(|value| {
        let span = match &value {
            Value::Null => Err(time::TimespanError::Null),
            Value::Bool(flag) => time::timespan_from_seconds(f64::from(u8::from(*flag))),
            Value::Number(number) => time::timespan_from_seconds(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => time::parse_timespan(text),
            _ => Err(time::TimespanError::Unparsable),
        };
        span.map(|span| json!(span.ns())).map_err(|error| error.to_string())
    })
}

/// Reads what [`timespan`] has converted.
pub(super) fn read_timespan(value: Option<&Value>) -> Option<Timespan> {
    value.and_then(Value::as_i64).map(Timespan::from_ns)
}

/// A point in time in any of upstream's forms; `refusal` is said of anything else. Converted to nanoseconds since the
/// epoch.
pub(super) fn timestamp(now: Timestamp, refusal: &'static str) -> Schema {
    Schema::custom(move |value| {
        let input = match &value {
            Value::Bool(flag) => TimeInput::Number(f64::from(u8::from(*flag))),
            Value::Number(number) => TimeInput::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => TimeInput::Text(text),
            _ => return Err(refusal.to_owned()),
        };
        let read = time::parse_timestamps(&[input], now);
        read.map(|times| json!(times[0].ns())).map_err(|_| refusal.to_owned())
    })
}

/// Reads what [`timestamp`] has converted; the outer nothing means absent, the inner one null.
pub(super) fn read_timestamp(value: Option<&Value>) -> Option<Option<Timestamp>> {
    value.map(|value| value.as_i64().map(Timestamp::from_ns))
}

/// An id of a resource: a UUID, or any text that names one for `creator`. Converted to `[original, uuid]`.
pub(super) fn resource_id(creator: Option<&str>) -> Schema {
    let creator = creator.map(str::to_owned);
    Schema::custom(move |value| {
        let Value::String(original) = value else { return Err("expected str".to_owned()) };
        let id = resource_id_from(&original, creator.as_deref()).map_err(|error| error.to_string())?;
        Ok(json!([original, id.to_string()]))
    })
}

/// Reads what [`resource_id`] has converted.
pub(super) fn read_resource_id(value: Option<&Value>) -> Option<(String, ResourceId)> {
    let original = value?.get(0)?.as_str()?.to_owned();
    Some((original, ResourceId(read_uuid(value?.get(1)?)?)))
}

/// A UUID in any form that Python's parser takes. Converted to its canonical text.
pub(super) fn uuid(message: &'static str) -> Schema {
    Schema::custom(move |value| {
        let parsed = value.as_str().and_then(parse_python_uuid);
        parsed.map(|id| json!(id.to_string())).ok_or_else(|| message.to_owned())
    })
}

/// A UUID in canonical text.
pub(super) fn read_uuid(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| Uuid::parse_str(text).ok())
}

/// A string of a checked body.
pub(super) fn read_text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// `created_by_user_id` and `created_by_project_id`: null where nobody is known to have made it.
pub(super) fn created_by(creator: Option<&str>) -> (Value, Value) {
    match nephometer_metric::split_creator(creator) {
        Some((user, project)) => (json!(user), json!(project)),
        None => (Value::Null, Value::Null),
    }
}

/// The keys that every form of a metric has.
pub(super) fn metric_common(metric: &Metric) -> serde_json::Map<String, Value> {
    let (user, project) = created_by(metric.creator.as_deref());
    let mut map = serde_json::Map::new();
    map.insert("id".to_owned(), json!(metric.id));
    map.insert("creator".to_owned(), json!(metric.creator));
    map.insert("name".to_owned(), json!(metric.name));
    map.insert("unit".to_owned(), json!(metric.unit));
    map.insert("created_by_user_id".to_owned(), user);
    map.insert("created_by_project_id".to_owned(), project);
    map
}
