//! What is made of an answer: data by the first handler that understands it, and entries of the data.

use serde_json::{Map, Value};

use super::definition::Definition;
use super::xml;

/// Longest part of an answer that an error repeats, in characters.
const MAX_WORDS: usize = 200;

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handler {
    Json,
    Xml,
    Text,
}

impl Handler {
    /// All of them by the names that definitions use.
    pub(super) const KNOWN: [(&str, Self); 3] =
        [("json", Self::Json), ("xml", Self::Xml), ("text", Self::Text)];

    /// What upstream calls it in its messages.
    fn class(self) -> &'static str {
        match self {
            Self::Json => "JsonResponseHandler",
            Self::Xml => "XMLResponseHandler",
            Self::Text => "PlainTextResponseHandler",
        }
    }

    fn read(self, answer: &[u8]) -> Result<Value, String> {
        match self {
            Self::Json => serde_json::from_slice(answer).map_err(|error| error.to_string()),
            Self::Xml => xml::parse(&String::from_utf8_lossy(answer)),
            Self::Text => {
                let out = Value::String(String::from_utf8_lossy(answer).into_owned());
                Ok(Value::Array(vec![Value::Object(Map::from_iter([("out".to_owned(), out)]))]))
            }
        }
    }
}

/// The data of an answer.
pub(super) fn read(handlers: &[Handler], answer: &[u8]) -> Result<Value, String> {
    let mut reasons = Vec::new();
    for handler in handlers {
        match handler.read(answer) {
            Ok(data) => return Ok(data),
            Err(reason) => reasons.push(format!("{}: {reason}", handler.class())),
        }
    }
    let words: String = String::from_utf8_lossy(answer).chars().take(MAX_WORDS).collect();
    let used: Vec<_> = handlers.iter().map(|handler| handler.class()).collect();
    Err(format!(
        "No remaining handlers to handle the response [{words}], used handlers [{}]. [{}]",
        used.join(", "),
        reasons.join("; ")
    ))
}

/// Reads whatever comes as an answer, to show that nothing comes of it but data and errors.
pub fn read_any_answer(answer: &[u8]) {
    for (_, handler) in Handler::KNOWN {
        drop(handler.read(answer));
    }
}

/// Whether there is anything in the data; an error where it can hold no entries at all.
pub(super) fn is_empty(data: &Value) -> Result<bool, String> {
    match data {
        Value::Array(items) => Ok(items.is_empty()),
        Value::Object(map) => Ok(map.is_empty()),
        _ => Err("its answer is neither a list nor a map".to_owned()),
    }
}

/// Where the next page is, if it says so.
pub(super) fn next_page(definition: &Definition, data: &Value) -> Result<Option<String>, String> {
    let Some(attribute) = &definition.next_page else { return Ok(None) };
    match attribute.evaluate(data) {
        // What is not there is the end.
        Err(error) if error.fault == nephometer_pipeline::expr::Fault::Key => Ok(None),
        Err(error) => Err(format!("next_sample_url_attribute {}", attribute.failed(&error))),
        Ok(value) if !value.is_true() => Ok(None),
        Ok(value) => match value.to_json() {
            Ok(Value::String(text)) => Ok(Some(text)),
            _ => Err(format!(
                "next_sample_url_attribute [{}] comes to a {}, not to a str",
                attribute.text(),
                value.type_name()
            )),
        },
    }
}

/// The entries of the data: a list as it is, else what the definition's key leads to, else what comes first. One object is
/// one entry.
pub(super) fn entries(definition: &Definition, mut data: Value) -> Result<Vec<Value>, String> {
    let found = match (&mut data, &definition.entries) {
        (Value::Array(items), _) => return Ok(std::mem::take(items)),
        (data, Some(attribute)) => {
            attribute.take(data).map_err(|reason| format!("response_entries_key {reason}"))?
        }
        (Value::Object(map), None) => map.values_mut().next().map(Value::take).unwrap_or_default(),
        _ => Value::Null,
    };
    Ok(match found {
        Value::Array(items) => items,
        one => vec![one],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn handlers_are_tried_in_order() {
        use Handler::{Json, Text, Xml};
        assert_eq!(read(&[Json, Xml], b"{\"a\": [1]}"), Ok(json!({"a": [1]})));
        assert_eq!(read(&[Json, Xml], b"<a><b>1</b></a>"), Ok(json!({"a": {"b": "1"}})));
        assert_eq!(read(&[Xml, Json], b"[1]"), Ok(json!([1])));
        assert_eq!(read(&[Json, Text], b"up 3 days"), Ok(json!([{"out": "up 3 days"}])));
        let error = read(&[Json, Xml], b"up").unwrap_err();
        let start = "No remaining handlers to handle the response [up], used handlers [JsonResponseHandler, \
                     XMLResponseHandler].";
        assert!(error.starts_with(start), "{error}");
        assert!(read(&[], b"[]").is_err());
    }
}
