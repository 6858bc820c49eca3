//! Bodies of messages: JSON in which, since version 2.0, the notification is JSON text once more.

use nephometer_drivers::BusMessage;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The version that is written, and whose later forms with the same first number are read.
const VERSION: &str = "2.0";
/// The context's keys stand among those of the message behind this prefix.
const CONTEXT: &str = "_context_";

/// Why a body is no notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// No JSON.
    #[error("the body is not JSON: {0}")]
    NoJson(String),
    /// An envelope of a later kind.
    #[error("the envelope has version {0}, only 2.x is understood")]
    Version(String),
    /// JSON, but no object with an event type.
    #[error("the body is no notification: it has no {0}")]
    Incomplete(&'static str),
}

/// An envelope, where the body is one.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "oslo.version")]
    version: String,
    #[serde(rename = "oslo.message")]
    message: String,
}

/// The notification in a body, in an envelope or, as before version 2.0, without.
///
/// # Errors
/// What is wrong with it. No later attempt will fare better.
pub fn read(body: &[u8]) -> Result<BusMessage, EnvelopeError> {
    let parse = |bytes: &[u8]| {
        serde_json::from_slice::<Map<String, Value>>(bytes)
            .map_err(|error| EnvelopeError::NoJson(error.to_string()))
    };
    let message = match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) if envelope.version.split('.').next() != VERSION.split('.').next() => {
            return Err(EnvelopeError::Version(envelope.version));
        }
        Ok(envelope) => parse(envelope.message.as_bytes())?,
        Err(_) => parse(body)?,
    };
    understood(message)
}

fn understood(mut message: Map<String, Value>) -> Result<BusMessage, EnvelopeError> {
    let mut text = |key: &str| match message.get_mut(key).map(Value::take) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let mut read = BusMessage {
        message_id: text("message_id"),
        unique_id: text("_unique_id"),
        publisher_id: text("publisher_id"),
        event_type: text("event_type"),
        priority: text("priority"),
        timestamp: text("timestamp"),
        ..BusMessage::default()
    };
    read.payload = message.get_mut("payload").map(Value::take).ok_or(EnvelopeError::Incomplete("payload"))?;
    if read.event_type.is_empty() {
        return Err(EnvelopeError::Incomplete("event_type"));
    }
    for (key, value) in message {
        if let Some(name) = key.strip_prefix(CONTEXT) {
            read.context.insert(name.to_owned(), value);
        }
    }
    Ok(read)
}

/// The body of a notification, with the keys in upstream's order.
pub fn write(message: &BusMessage) -> Vec<u8> {
    let mut inner = json!({
        "message_id": message.message_id,
        "publisher_id": message.publisher_id,
        "event_type": message.event_type,
        "priority": message.priority,
        "payload": message.payload,
        "timestamp": message.timestamp,
        "_unique_id": message.unique_id,
    });
    for (name, value) in &message.context {
        inner[format!("{CONTEXT}{name}")] = value.clone();
    }
    json!({"oslo.version": VERSION, "oslo.message": inner.to_string()}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_an_envelope_as_before() {
        let body = br#"{"event_type": "a.b", "payload": [1], "_context_project_id": "p", "_unique_id": "u", "x": 1}"#;
        let message = read(body).unwrap();
        assert_eq!((message.event_type.as_str(), message.unique_id.as_str()), ("a.b", "u"));
        assert_eq!((message.payload, message.message_id.as_str()), (json!([1]), ""));
        assert_eq!(Value::Object(message.context), json!({"project_id": "p"}));
    }

    #[test]
    fn what_is_no_notification() {
        for (body, error) in [
            (r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#, EnvelopeError::Version("3.0".to_owned())),
            (r#"{"payload": 1}"#, EnvelopeError::Incomplete("event_type")),
            (r#"{"event_type": 5, "payload": 1}"#, EnvelopeError::Incomplete("event_type")),
            (r#"{"event_type": "a"}"#, EnvelopeError::Incomplete("payload")),
        ] {
            assert_eq!(read(body.as_bytes()), Err(error), "{body}");
        }
        for body in ["", "[]", "5", "{", r#"{"oslo.version": "2.0", "oslo.message": "[]"}"#, "\u{0}"] {
            assert!(matches!(read(body.as_bytes()), Err(EnvelopeError::NoJson(_))), "{body}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id in ".*", kind in ".+", name in "[a-z]+", value in ".*", number in any::<i64>()) {
            let message = BusMessage {
                message_id: id.clone(),
                unique_id: id,
                event_type: kind,
                priority: "SAMPLE".to_owned(),
                context: [(name, Value::from(value.clone()))].into_iter().collect(),
                payload: json!([number, value, {"a": [null, 1.5]}]),
                ..BusMessage::default()
            };
            prop_assert_eq!(read(&write(&message)), Ok(message));
        }

        #[test]
        fn nothing_breaks_it(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
        }
    }
}
