//! What Gnocchi's answers mean.

use http::StatusCode;
use nephometer_drivers::{DataPoints, MetricReadError};
use nephometer_model::time::parse_timestamp;
use nephometer_model::{Timespan, Timestamp};
use serde_json::Value;

/// Data points of `[[time, granularity, value], ...]` that have the granularity; those without a value are left out.
pub(super) fn points(list: &Value, granularity: Timespan) -> Result<DataPoints, MetricReadError> {
    let odd = || MetricReadError::Unavailable("Gnocchi's answer holds no measures".to_owned());
    let mut points = DataPoints::new();
    for entry in list.as_array().ok_or_else(odd)? {
        let time = entry[0].as_str().and_then(|text| parse_timestamp(text, Timestamp::default()).ok());
        let (Some(time), Some(width)) = (time, entry[1].as_f64()) else { return Err(odd()) };
        if let Some(value) = entry[2].as_f64()
            && width.to_bits() == granularity.seconds().to_bits()
        {
            points.push((time, value));
        }
    }
    points.sort_by_key(|(time, _)| *time);
    Ok(points)
}

/// What Gnocchi says in the body of a refusal: as it is structured, and as a text.
pub(super) fn description(body: &[u8]) -> (Value, String) {
    let mut body: Value = serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()));
    let description = match &mut body {
        Value::Object(map) => map.remove("description").or_else(|| map.get("error")?.get("message").cloned()),
        _ => None,
    };
    let description = description.unwrap_or(body);
    let text = match &description {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (description, text)
}

/// Why Gnocchi refused, told apart by its words as Gnocchi's own client does it.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> MetricReadError {
    let (description, text) = description(body);
    if status != StatusCode::NOT_FOUND {
        return MetricReadError::Refused { status: status.as_u16(), text };
    }
    let says_absent = |what: &str| text.starts_with(what) && text.contains(" does not exist");
    if says_absent("Metric ") || description["cause"] == "Metrics not found" {
        MetricReadError::NoSuchMetric
    } else if says_absent("Resource ") && !says_absent("Resource type ") {
        MetricReadError::NoSuchResource
    } else {
        MetricReadError::NoSuchAggregate
    }
}

/// Whether a resource or metric belongs to `project` or was made by it.
pub(super) fn is_of(thing: &Value, project: &str) -> bool {
    let by_creator = |creator: &str| creator.rsplit_once(':').is_some_and(|(_, of)| of == project);
    ["project_id", "created_by_project_id"].iter().any(|key| thing[*key] == project)
        || thing["creator"].as_str().is_some_and(by_creator)
}
