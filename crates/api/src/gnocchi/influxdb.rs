//! What InfluxDB's clients and agents use: `/v1/influxdb`.

use std::collections::BTreeMap;

use http::{HeaderValue, Method, StatusCode};
use nephometer_drivers::IndexError;
use nephometer_metric::influxdb::{read_create_database, read_lines};
use nephometer_metric::{MeasureError, MetricError, ResourceMeasures};
use serde_json::json;

use super::call::Call;
use super::error::ApiError;
use super::measures::reading;
use super::render::empty;
use super::route::{Answer, Produces, Route, handler};
use super::versions::COMPATIBLE_BUILD;

/// The header that names the tag whose value is the resource's id.
const RESOURCE_TAG_HEADER: &str = "x-gnocchi-influxdb-tag-resource-id";
/// The tag without that header.
const RESOURCE_TAG: &str = "host";
/// The resource type without `db`.
const DATABASE: &str = "influxdb";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/influxdb/ping", "Whether the service answers", handler!(ping))
            .produces(Produces::Html)
            .statuses(&[204]),
        Route::new(Method::POST, "/v1/influxdb/query", "Create a resource type", handler!(query))
            .rule("create resource type")
            .query(&["q"])
            .statuses(&[204, 501]),
        Route::new(Method::POST, "/v1/influxdb/write", "Write measures as lines", handler!(write))
            .rule("post measures")
            .consumes("text/plain")
            .query(&["db"])
            .statuses(&[204, 400, 409]),
    ]
}

async fn ping(_: Call) -> Answer {
    let mut response = empty(StatusCode::NO_CONTENT);
    if let Ok(version) = HeaderValue::from_str(&format!("Gnocchi {COMPATIBLE_BUILD}")) {
        response.headers_mut().insert("x-influxdb-version", version);
    }
    Ok(response)
}

async fn query(call: Call) -> Answer {
    let Some(text) = call.query.single("q")? else { return Ok(empty(StatusCode::NO_CONTENT)) };
    let name = read_create_database(text).ok_or_else(|| {
        let reason = "Query not implemented";
        let detail = json!({"cause": "Not implemented error", "detail": "q", "reason": reason});
        ApiError::new(StatusCode::NOT_IMPLEMENTED, detail)
    })?;
    match call.service().create_resource_type(&call.access(), &name, BTreeMap::new()).await {
        Ok(_) | Err(MetricError::Index(IndexError::ResourceTypeAlreadyExists(_))) => {
            Ok(empty(StatusCode::NO_CONTENT))
        }
        Err(error) => Err(error.into()),
    }
}

async fn write(call: Call) -> Answer {
    let type_name = call.query.single("db")?.unwrap_or(DATABASE);
    let tag = call.headers.get(RESOURCE_TAG_HEADER).and_then(|value| value.to_str().ok());
    let now = call.service().clock().now();
    let resources = reading(&call, || read_lines(&call.body, tag.unwrap_or(RESOURCE_TAG), now))?;
    if !resources.is_empty() {
        let charge = call.charge(resources.iter().map(ResourceMeasures::len).sum())?;
        let written = call.service().write_resources(&call.access(), type_name, resources).await;
        written.map_err(|error: MetricError| match error {
            MetricError::Measure(MeasureError::Invalid(invalid)) => ApiError::bad_request(
                json!({"cause": "Value error", "detail": "line", "reason": invalid.to_string()}),
            ),
            other => other.into(),
        })?;
        charge.keep();
    }
    Ok(empty(StatusCode::NO_CONTENT))
}
