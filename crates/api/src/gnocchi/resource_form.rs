//! Resources on the wire: what a client may send for one of a type, and what it gets.

use std::collections::BTreeMap;

use nephometer_metric::{MetricError, MetricSpec, ResourcePatch, ResourceSpec};
use nephometer_model::{AttributeValue, Attributes, MetricId, Resource, ResourceType, Timestamp};
use serde_json::{Map, Value, json};

use super::attributes::{self, read_value, value_body};
use super::values::{
    created_by, read_resource_id, read_text, read_timestamp, read_uuid, resource_id, short_text, timestamp,
    uuid,
};
use crate::schema::{Key, Schema};

/// Longest unit of a metric, in characters.
const MAX_UNIT_CHARS: usize = 31;

/// What a client may send for a resource of a type: all of it for a new one, parts of it for a change.
pub(super) fn schema(
    resource_type: &ResourceType,
    creator: Option<&str>,
    now: Timestamp,
    new: bool,
) -> Schema {
    let mut keys = vec![
        Key::optional("started_at", timestamp(now, "not a valid value")),
        Key::optional("ended_at", timestamp(now, "not a valid value").or_null()),
        Key::optional("user_id", Schema::Any(vec![Schema::Null, short_text()])),
        Key::optional("project_id", Schema::Any(vec![Schema::Null, short_text()])),
        Key::optional("metrics", metrics(creator)),
    ];
    for (name, attribute) in &resource_type.attributes {
        let value = attributes::value(attribute.kind, now);
        keys.push(match (attribute.required, new) {
            (true, true) => Key::required(name.as_str(), value),
            (true, false) => Key::optional(name.as_str(), value),
            (false, _) => Key::optional(name.as_str(), value.or_null()),
        });
    }
    if new {
        keys.push(Key::required("id", resource_id(creator)));
    }
    Schema::Object(keys)
}

/// The description of a metric to be made.
pub(super) fn new_metric(creator: Option<&str>) -> Schema {
    let unit = Schema::Length { of: Box::new(Schema::Str), min: 0, max: MAX_UNIT_CHARS };
    Schema::Object(vec![
        Key::optional("archive_policy_name", Schema::Str),
        Key::optional("resource_id", resource_id(creator)),
        Key::optional("name", short_text()),
        Key::optional("unit", unit),
    ])
}

/// Metrics by name: ids of ones that exist, or descriptions of new ones.
pub(super) fn metrics(creator: Option<&str>) -> Schema {
    let by_name = Schema::MapOf(Box::new(Schema::Any(vec![uuid("not a valid value"), new_metric(creator)])));
    Schema::custom_place(move |value| {
        let checked = by_name.check(value)?;
        let names = checked.as_object().into_iter().flat_map(Map::keys);
        for name in names {
            short_text().check(json!(name)).map_err(|error| error.under(name))?;
        }
        Ok(checked)
    })
}

/// Refuses bodies that describe a metric whose name has a slash, before anything else that is wrong with them, as
/// upstream does.
pub(super) fn check_metric_names(metrics: Option<&Value>) -> Result<(), MetricError> {
    let mut entries = metrics.and_then(Value::as_object).into_iter().flatten();
    match entries.any(|(name, described)| name.contains('/') && described.is_object()) {
        true => Err(MetricError::SlashInMetricName),
        false => Ok(()),
    }
}

/// Reads what [`metrics`] has checked.
pub(super) fn read_metrics(checked: &Value) -> BTreeMap<String, MetricSpec> {
    let entries = checked.as_object().into_iter().flatten();
    let read = entries.map(|(name, value)| {
        let spec = match read_uuid(value) {
            Some(id) => MetricSpec::Existing(MetricId(id)),
            None => MetricSpec::New {
                policy_name: read_text(value.get("archive_policy_name")),
                unit: read_text(value.get("unit")),
            },
        };
        (name.clone(), spec)
    });
    read.collect()
}

fn read_attributes<'a>(
    resource_type: &'a ResourceType,
    checked: &'a Value,
) -> impl Iterator<Item = (String, Option<AttributeValue>)> + 'a {
    resource_type.attributes.iter().filter_map(|(name, attribute)| {
        let value = checked.get(name)?;
        Some((name.clone(), read_value(attribute.kind, value)))
    })
}

/// Reads a new resource that keeps to [`schema`].
pub(super) fn read_new(resource_type: &ResourceType, checked: &Value) -> Option<ResourceSpec> {
    let (original_resource_id, id) = read_resource_id(checked.get("id"))?;
    let attributes: Attributes =
        read_attributes(resource_type, checked).filter_map(|(name, value)| Some((name, value?))).collect();
    Some(ResourceSpec {
        id,
        original_resource_id,
        type_name: resource_type.name.clone(),
        user_id: read_text(checked.get("user_id")),
        project_id: read_text(checked.get("project_id")),
        started_at: read_timestamp(checked.get("started_at")).flatten(),
        ended_at: read_timestamp(checked.get("ended_at")).flatten(),
        attributes,
        metrics: checked.get("metrics").map(read_metrics).unwrap_or_default(),
    })
}

/// Reads a change that keeps to [`schema`].
pub(super) fn read_patch(resource_type: &ResourceType, checked: &Value) -> ResourcePatch {
    let text = |key: &str| checked.get(key).map(|value| read_text(Some(value)));
    ResourcePatch {
        user_id: text("user_id"),
        project_id: text("project_id"),
        started_at: read_timestamp(checked.get("started_at")).flatten(),
        ended_at: read_timestamp(checked.get("ended_at")),
        attributes: read_attributes(resource_type, checked).collect(),
        metrics: checked.get("metrics").map(read_metrics),
    }
}

/// A resource as clients see it, without its metrics: the form inside other things.
pub(super) fn nested_body(resource: &Resource) -> Map<String, Value> {
    let (user, project) = created_by(resource.creator.as_deref());
    let body = json!({
        "id": resource.id,
        "creator": resource.creator,
        "started_at": resource.started_at.isoformat(),
        "revision_start": resource.revision_start.isoformat(),
        "ended_at": resource.ended_at.map(Timestamp::isoformat),
        "user_id": resource.user_id,
        "project_id": resource.project_id,
        "original_resource_id": resource.original_resource_id,
        "type": resource.type_name,
        "revision_end": resource.revision_end.map(Timestamp::isoformat),
        "created_by_user_id": user,
        "created_by_project_id": project,
    });
    match body {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A resource as clients see it; with the attributes of `resource_type` where they are to be shown.
pub(super) fn body(resource: &Resource, resource_type: Option<&ResourceType>) -> Map<String, Value> {
    let mut body = nested_body(resource);
    let metrics = resource.metrics.iter().map(|(name, id)| (name.clone(), json!(id)));
    body.insert("metrics".to_owned(), Value::Object(metrics.collect()));
    for name in resource_type.iter().flat_map(|resource_type| resource_type.attributes.keys()) {
        let value = resource.attributes.get(name).map_or(Value::Null, value_body);
        body.insert(name.clone(), value);
    }
    body
}
