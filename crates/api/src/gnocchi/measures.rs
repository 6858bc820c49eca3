//! Measures of one metric: `…/measures` below a metric's path.

use axum::response::Response;
use http::{Method, StatusCode};
use nephometer_metric::ingest::read_measures;
use nephometer_metric::{MeasureError, MetricAddress, offload};

use super::arguments::{measures_query, timestamp};
use super::call::Call;
use super::decode::{JSON, require_media_type};
use super::document::Document;
use super::error::ApiError;
use super::render::empty;
use super::resource::resource_id;
use super::route::{Answer, Route, handler};

const READ: &[&str] = &["start", "stop", "aggregation", "granularity", "resample", "refresh"];

pub(super) fn routes() -> Vec<Route> {
    let paths = ["/v1/metric/{id}/measures", "/v1/resource/{type}/{id}/metric/{name}/measures"];
    paths.into_iter().flat_map(routes_at).collect()
}

fn routes_at(path: &'static str) -> [Route; 3] {
    [
        Route::new(Method::GET, path, "Read aggregates", handler!(list))
            .rule("get measures")
            .gives("Aggregates")
            .query(READ)
            .statuses(&[200, 400, 404]),
        Route::new(Method::POST, path, "Write measures", handler!(post))
            .rule("post measures")
            .takes("Measures")
            .statuses(&[202, 400, 404, 415]),
        Route::new(Method::DELETE, path, "Delete the measures of a span", handler!(delete))
            .rule("delete metric")
            .query(&["start", "stop"])
            .statuses(&[204, 400, 404]),
    ]
}

/// The metric that the path names.
pub(super) fn address(call: &Call) -> Result<MetricAddress, ApiError> {
    let id = call.param("id");
    if call.param("type").is_empty() {
        return Ok(MetricAddress::Id(id.to_owned()));
    }
    let resource = resource_id(call)?;
    let (type_name, name) = (call.param("type").to_owned(), call.param("name").to_owned());
    Ok(MetricAddress::Named { type_name, resource, name })
}

/// Runs `read` over the body.
pub(super) fn reading<T>(call: &Call, read: impl FnOnce() -> T) -> T {
    offload(call.body.len(), read)
}

/// The answer to what was stored.
pub(super) fn accepted() -> Response {
    empty(StatusCode::ACCEPTED)
}

async fn list(call: Call) -> Answer {
    let found = call.service().allowed_metric(&call.access(), "get measures", &address(&call)?).await?;
    let series = call.service().read_measures(&found.metric, &measures_query(&call)?).await?;
    Ok(Document::of(series).answer())
}

async fn post(call: Call) -> Answer {
    let target = call.service().writable_metric(&call.access(), &address(&call)?).await?;
    require_media_type(&call.headers, JSON)?;
    let now = call.service().clock().now();
    let measures = reading(&call, || read_measures(&call.body, now)).map_err(MeasureError::from)?;
    let charge = call.charge(measures.len())?;
    call.service().write_measures(target, measures).await?;
    charge.keep();
    Ok(accepted())
}

async fn delete(call: Call) -> Answer {
    let found = call.service().allowed_metric(&call.access(), "delete metric", &address(&call)?).await?;
    let (start, stop) = (timestamp(&call, "start")?, timestamp(&call, "stop")?);
    call.service().delete_measures(&found.metric, start, stop).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
