//! Samples as expressions see them: attributes are names, and what is missing is empty.

use nephometer_model::{Sample, Volume};

use crate::expr::{Attributes, Scope, Value};

/// The attributes of a sample, by their names.
pub(super) struct SampleScope<'a>(pub(super) &'a Sample);

/// An attribute of `sample`.
pub(super) fn attribute<'a>(sample: &'a Sample, name: &str) -> Option<Value<'a>> {
    let text = |text: &'a Option<std::sync::Arc<str>>| text.as_deref().map_or(Value::None, Value::text);
    Some(match name {
        "name" => Value::text(&sample.name),
        "type" => Value::text(sample.meter_type.as_str()),
        "unit" => Value::text(&sample.unit),
        "volume" => match &sample.volume {
            Volume::Int(value) => Value::Int(i128::from(*value)),
            Volume::Float(value) => Value::Float(*value),
            Volume::Other(value) => Value::from_json(value),
        },
        "user_id" => text(&sample.user_id),
        "user_name" => text(&sample.user_name),
        "project_id" => text(&sample.project_id),
        "project_name" => text(&sample.project_name),
        "resource_id" => text(&sample.resource_id),
        "timestamp" => text(&sample.timestamp),
        "resource_metadata" => Value::Namespace(Some(Attributes::Metadata(&sample.metadata))),
        "source" => Value::text(&sample.source),
        "id" => Value::text(&sample.id),
        "monotonic_time" => sample.monotonic_time_seconds.map_or(Value::None, Value::Float),
        _ => return None,
    })
}

impl<'a> Scope<'a> for SampleScope<'a> {
    fn get(&self, name: &str) -> Option<Value<'a>> {
        attribute(self.0, name)
    }

    fn unknown(&self, _name: &str) -> Option<Value<'a>> {
        Some(Value::Namespace(None))
    }
}
