//! Reading definitions, with upstream's words for what is wrong.

use std::collections::HashMap;

use nephometer_model::time::{parse_timespan, timespan_from_seconds};
use nephometer_model::{NewArchivePolicy, PolicyItemSpec, Timespan};
use serde_json::{Map, Value};

use super::attribute::AttributeSource;
use super::{MetricPlace, ResourceDefinition, ResourceDefinitions};

/// The policy of metrics for which nothing names another.
const DEFAULT_POLICY: &str = "ceilometer-low";

/// The file as a whole.
pub(super) fn definitions(text: &str) -> Result<ResourceDefinitions, String> {
    let file: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let file = file.as_object().ok_or("it is no map")?;
    let mut problems = Vec::new();
    let archive_policies = list(file, "archive_policies")?;
    let archive_policies = archive_policies.iter().filter_map(|given| {
        archive_policy(given).map_err(|problem| problems.push(format!("archive policy: {problem}"))).ok()
    });
    let archive_policies = archive_policies.collect();
    let mut read = ResourceDefinitions {
        archive_policies,
        default_policy: text_of(file, "archive_policy_default")?.unwrap_or_else(|| DEFAULT_POLICY.to_owned()),
        resources: Vec::new(),
        metrics: HashMap::new(),
        problems: Vec::new(),
    };
    for given in list(file, "resources")? {
        match resource(given) {
            Ok((definition, metrics)) => {
                let place = read.resources.len();
                for (name, archive_policy) in metrics {
                    read.metrics.insert(name, MetricPlace { resource: place, archive_policy });
                }
                read.resources.push(definition);
            }
            Err(problem) => {
                let name = given["resource_type"].as_str().unwrap_or("without type");
                problems.push(format!("resource {name}: {problem}"));
            }
        }
    }
    read.problems = problems;
    Ok(read)
}

fn list<'a>(file: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match file.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("{key} should be a list")),
    }
}

fn text_of(map: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("Required field {key} should be a string")),
    }
}

/// An archive policy in the form of Gnocchi's API.
fn archive_policy(given: &Value) -> Result<NewArchivePolicy, String> {
    let map = given.as_object().ok_or("it is no map")?;
    let name = text_of(map, "name")?.ok_or("Required field name not specified")?;
    let wrong = |what: String| format!("{name}: {what}");
    let methods = match map.get("aggregation_methods") {
        None | Some(Value::Null) => None,
        Some(Value::Array(methods)) => {
            let names = methods.iter().map(|method| method.as_str().map(str::to_owned));
            Some(
                names
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| wrong("aggregation_methods: not texts".into()))?,
            )
        }
        Some(_) => return Err(wrong("aggregation_methods should be a list".into())),
    };
    let back_window = match map.get("back_window") {
        None | Some(Value::Null) => 0,
        Some(window) => window.as_u64().ok_or_else(|| wrong(format!("back_window: {window}")))?,
    };
    let items = list(map, "definition").map_err(wrong)?;
    let definition = items.iter().map(policy_item).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    Ok(NewArchivePolicy { name: name.clone(), back_window, methods, definition })
}

fn policy_item(given: &Value) -> Result<PolicyItemSpec, String> {
    let span = |key: &str| -> Result<Option<Timespan>, String> {
        let span = match &given[key] {
            Value::Null => return Ok(None),
            Value::Number(seconds) => timespan_from_seconds(seconds.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => parse_timespan(text),
            other => return Err(format!("{key}: {other}")),
        };
        span.map(Some).map_err(|error| format!("{key}: {error}"))
    };
    let points = match &given["points"] {
        Value::Null => None,
        points => Some(points.as_u64().ok_or_else(|| format!("points: {points}"))?),
    };
    Ok(PolicyItemSpec { granularity: span("granularity")?, points, timespan: span("timespan")? })
}

/// Metrics with the policy that each names.
type Metrics = Vec<(String, Option<String>)>;

fn resource(given: &Value) -> Result<(ResourceDefinition, Metrics), String> {
    let map = given.as_object().ok_or("it is no map")?;
    let resource_type = text_of(map, "resource_type")?.ok_or("Required field resource_type not specified")?;
    let metrics = metrics(map.get("metrics"))?;
    check_events(map)?;
    let attributes = match map.get("attributes") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(attributes)) => {
            let read = attributes
                .iter()
                .map(|(name, source)| Ok((name.as_str().into(), AttributeSource::parse(name, source)?)));
            read.collect::<Result<_, String>>()?
        }
        Some(_) => return Err("Required field attributes should be a map".to_owned()),
    };
    let archive_policy = text_of(map, "archive_policy")?;
    Ok((ResourceDefinition { resource_type, archive_policy, attributes }, metrics))
}

fn metrics(given: Option<&Value>) -> Result<Metrics, String> {
    let text = |name: &Value| name.as_str().map(str::to_owned).ok_or_else(|| format!("metrics: {name}"));
    match given {
        None | Some(Value::Null) => Err("Required field metrics not specified".to_owned()),
        Some(Value::Array(names)) => names.iter().map(|name| Ok((text(name)?, None))).collect(),
        Some(Value::Object(named)) => {
            let read = named.iter().map(|(name, options)| match options {
                Value::Null => Ok((name.clone(), None)),
                Value::Object(options) => Ok((name.clone(), text_of(options, "archive_policy_name")?)),
                other => Err(format!("metrics: {name}: {other}")),
            });
            read.collect()
        }
        Some(_) => Err("Required field metrics should be a list or a map".to_owned()),
    }
}

/// Events make, change and end resources by the id that their attributes must have.
fn check_events(map: &Map<String, Value>) -> Result<(), String> {
    let has_events =
        ["event_create", "event_delete", "event_update"].iter().any(|key| map.contains_key(*key));
    let id = map.get("event_attributes").and_then(|attributes| attributes.get("id"));
    match id.and_then(Value::as_str) {
        None if has_events => Err("Required field id not specified in event_attributes".to_owned()),
        _ => Ok(()),
    }
}
