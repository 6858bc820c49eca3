//! Samples as messages (spec ceilometer 1.4): what goes over RabbitMQ, UDP and TCP, and what comes from there.

use std::sync::Arc;

use nephometer_model::{Metadata, MeterType, Sample, Volume, python};
use serde_json::{Map, Value};

use crate::signature::{SIGNATURE_KEY, Signer};

/// `sample` as a signed message, its keys in upstream's order. Only the publisher `tcp` names itself (`publisher_id`).
pub fn to_message(sample: &Sample, publisher_id: Option<&str>, signer: &Signer) -> Map<String, Value> {
    let text = |text: &Option<Arc<str>>| text.as_deref().map_or(Value::Null, Value::from);
    let fields = [
        ("source", Value::from(&*sample.source)),
        ("counter_name", Value::from(&*sample.name)),
        ("counter_type", Value::from(sample.meter_type.as_str())),
        ("counter_unit", Value::from(&*sample.unit)),
        ("counter_volume", sample.volume.to_json()),
        ("user_id", text(&sample.user_id)),
        ("user_name", text(&sample.user_name)),
        ("project_id", text(&sample.project_id)),
        ("project_name", text(&sample.project_name)),
        ("resource_id", text(&sample.resource_id)),
        ("timestamp", text(&sample.timestamp)),
        ("resource_metadata", sample.metadata.to_json()),
        ("message_id", Value::from(&*sample.id)),
        ("monotonic_time", sample.monotonic_time_seconds.map_or(Value::Null, Value::from)),
    ];
    let mut message: Map<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(publisher) = publisher_id {
        message.insert("publisher_id".to_owned(), publisher.into());
    }
    let signature = signer.sign(&message);
    message.insert(SIGNATURE_KEY.to_owned(), signature.into());
    message
}

/// What a message lacks or has wrong, so that it is no sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No object.
    #[error("a sample is an object, not {0}")]
    NoObject(String),
    /// A field that every sample has.
    #[error("the sample has no {0}")]
    Missing(&'static str),
    /// A field that is there with the wrong kind of value.
    #[error("{field} of a sample must be {expected}, not {value}")]
    Wrong {
        /// Its key.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was, as JSON, cut to a readable length.
        value: String,
    },
    /// It is not signed with our secret.
    #[error("the signature of sample {message_id} of {resource_id} is not right")]
    Signature {
        /// Which message, as it says itself.
        message_id: String,
        /// Of which resource, as it says itself.
        resource_id: String,
    },
}

/// The sample that `message` tells of, its signature judged by `signer`. Names of user and project, metadata, monotonic
/// time and source may be absent; ids that are numbers become texts.
pub fn from_message(message: &Value, signer: &Signer) -> Result<Sample, MessageError> {
    let Value::Object(map) = message else { return Err(MessageError::NoObject(shown(message))) };
    if !signer.verify(map) {
        let text = |key| map.get(key).map_or_else(String::new, python::str);
        return Err(MessageError::Signature {
            message_id: text("message_id"),
            resource_id: text("resource_id"),
        });
    }
    let fields = Fields(map);
    let volume = map.get("counter_volume").ok_or(MessageError::Missing("counter_volume"))?;
    let kind = fields.required("counter_type")?;
    Ok(Sample {
        name: fields.required("counter_name")?,
        meter_type: kind.parse::<MeterType>().map_err(|_| MessageError::Wrong {
            field: "counter_type",
            expected: "gauge, delta or cumulative",
            value: shown(&map["counter_type"]),
        })?,
        unit: fields.text("counter_unit")?.ok_or(MessageError::Missing("counter_unit"))?,
        volume: Volume::from(volume.clone()),
        user_id: fields.text("user_id")?,
        user_name: fields.text("user_name")?,
        project_id: fields.text("project_id")?,
        project_name: fields.text("project_name")?,
        resource_id: fields.text("resource_id")?,
        timestamp: fields.text("timestamp")?,
        metadata: fields.metadata()?,
        source: fields
            .text("source")?
            .filter(|source| !source.is_empty())
            .unwrap_or_else(|| Sample::DEFAULT_SOURCE.into()),
        id: fields.required("message_id")?,
        monotonic_time_seconds: fields.number("monotonic_time")?,
    })
}

/// A message's fields by kind.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn required(&self, field: &'static str) -> Result<Arc<str>, MessageError> {
        self.text(field)?.filter(|text| !text.is_empty()).ok_or(MessageError::Missing(field))
    }

    /// A text, or a number as text; nothing for null.
    fn text(&self, field: &'static str) -> Result<Option<Arc<str>>, MessageError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str().into())),
            Some(number @ Value::Number(_)) => Ok(Some(python::str(number).into())),
            Some(other) => Err(wrong(field, "text", other)),
        }
    }

    fn metadata(&self) -> Result<Metadata, MessageError> {
        match self.0.get("resource_metadata") {
            Some(Value::Object(map)) => Ok(map.clone().into()),
            None | Some(Value::Null) => Ok(Metadata::default()),
            Some(other) => Err(wrong("resource_metadata", "an object", other)),
        }
    }

    fn number(&self, field: &'static str) -> Result<Option<f64>, MessageError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(other) => Err(wrong(field, "a number", other)),
        }
    }
}

fn wrong(field: &'static str, expected: &'static str, value: &Value) -> MessageError {
    MessageError::Wrong { field, expected, value: shown(value) }
}

/// `value` as JSON, at most 100 characters of it.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use nephometer_model::{Meter, Secret};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn signer() -> Signer {
        Signer::new(&Secret::new("secret"))
    }

    #[test]
    fn keys_stand_in_upstreams_order() {
        let sample = Sample::new(&Meter::new("cpu", MeterType::Cumulative, "ns"), 5_i64, "i");
        let message = to_message(&sample, Some("host"), &signer());
        let keys: Vec<_> = message.keys().map(String::as_str).collect();
        assert_eq!(keys[..5], ["source", "counter_name", "counter_type", "counter_unit", "counter_volume"]);
        assert_eq!(keys[12..], ["message_id", "monotonic_time", "publisher_id", "message_signature"]);
        assert!(signer().verify(&message));
    }

    #[test]
    fn what_is_no_sample_is_named() {
        let sample = Sample::new(&Meter::new("cpu", MeterType::Cumulative, "ns"), 5_i64, "i");
        let unsigned = Signer::new(&Secret::new(""));
        let message = to_message(&sample, None, &unsigned);
        let with = |key: &str, value: Value| {
            let mut message = message.clone();
            message.insert(key.to_owned(), value);
            from_message(&Value::Object(message), &unsigned)
        };
        for (key, value, text) in [
            ("counter_name", json!(null), "the sample has no counter_name"),
            ("message_id", json!(""), "the sample has no message_id"),
            (
                "counter_type",
                json!("rate"),
                "counter_type of a sample must be gauge, delta or cumulative, not \"rate\"",
            ),
            ("resource_metadata", json!([1]), "resource_metadata of a sample must be an object, not [1]"),
            ("user_id", json!({}), "user_id of a sample must be text, not {}"),
            ("monotonic_time", json!("x"), "monotonic_time of a sample must be a number, not \"x\""),
        ] {
            assert_eq!(with(key, value).unwrap_err().to_string(), text);
        }
        assert_eq!(with("resource_id", json!(7)).unwrap().resource_id.as_deref(), Some("7"));
        assert_eq!(with("counter_unit", json!("")).unwrap().unit.as_ref(), "");
        assert_eq!(with("source", json!("")).unwrap().source.as_ref(), "openstack");
        let refused = from_message(&Value::Object(message.clone()), &signer()).unwrap_err();
        assert_eq!(refused.to_string(), "the signature of sample i of None is not right");
        assert_eq!(
            from_message(&json!(3), &signer()).unwrap_err().to_string(),
            "a sample is an object, not 3"
        );
    }

    /// Values as metadata have them, a few levels deep.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("JSON has no word for it", |float| float.is_finite())
                .prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_sample_comes_out_of_its_message(
            metadata in prop::collection::btree_map(".{0,6}", values(), 0..5),
            volume in prop_oneof![any::<i64>().prop_map(Value::from), values()],
            ids in prop::collection::vec(prop::option::of("[a-z]{1,5}"), 5),
            monotonic in prop::option::of(-1e9..1e9_f64),
        ) {
            let mut sample = Sample::new(&Meter::new("m", MeterType::Delta, "B"), 0_i64, "id");
            sample.volume = Volume::from(volume);
            sample.metadata = metadata.into_iter().collect::<Map<_, _>>().into();
            let [user, user_name, project, project_name, resource] = &ids[..] else { unreachable!() };
            sample.user_id = user.as_deref().map(Arc::from);
            sample.user_name = user_name.as_deref().map(Arc::from);
            sample.project_id = project.as_deref().map(Arc::from);
            sample.project_name = project_name.as_deref().map(Arc::from);
            sample.resource_id = resource.as_deref().map(Arc::from);
            sample.monotonic_time_seconds = monotonic;
            let sent = Value::Object(to_message(&sample, None, &signer())).to_string();
            let received: Value = serde_json::from_str(&sent).unwrap();
            prop_assert_eq!(from_message(&received, &signer()), Ok(sample));
        }
    }
}
