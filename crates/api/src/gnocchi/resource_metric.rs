//! Metrics of a resource: `/v1/resource/{type}/{id}/metric`, and each by its name.

use http::{Method, StatusCode};
use nephometer_metric::MetricWithResource;
use serde_json::Value;

use super::call::Call;
use super::error::ApiError;
use super::metric::{list_body, whole_body};
use super::render::{empty, json_answer};
use super::resource::resource_id;
use super::resource_form::{check_metric_names, metrics, read_metrics};
use super::route::{Answer, Route, handler};

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v1/resource/{type}/{id}/metric", "/v1/resource/{type}/{id}/metric/{name}");
    vec![
        Route::new(Method::GET, all, "List the metrics of a resource", handler!(list))
            .rule("get resource")
            .gives("Metric[]")
            .statuses(&[200, 404]),
        Route::new(Method::POST, all, "Add metrics to a resource", handler!(append))
            .rule("update resource")
            .takes("NewMetrics")
            .gives("Metric[]")
            .statuses(&[200, 400, 404, 409, 415]),
        Route::new(Method::GET, one, "Show a resource's metric", handler!(show))
            .rule("get metric")
            .gives("Metric")
            .statuses(&[200, 404]),
        Route::new(Method::DELETE, one, "Delete a resource's metric", handler!(delete))
            .rule("delete metric")
            .statuses(&[204, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    let id = resource_id(&call)?;
    call.service().resource(&call.access(), call.param("type"), id).await?;
    let metrics = call.service().metrics_of_resource(id).await?;
    Ok(json_answer(StatusCode::OK, &metrics.iter().map(list_body).collect::<Vec<Value>>().into()))
}

async fn append(call: Call) -> Answer {
    let (id, type_name) = (resource_id(&call)?, call.param("type"));
    let current = call.service().resource_for_update(&call.access(), type_name, id).await?;
    let given = call.json()?;
    check_metric_names(Some(&given))?;
    let checked = metrics(call.access().creator()).check(given)?;
    let specs = read_metrics(&checked);
    let all = call.service().append_metrics(&call.access(), type_name, &current, specs).await?;
    Ok(json_answer(StatusCode::OK, &all.iter().map(list_body).collect::<Vec<Value>>().into()))
}

async fn show(call: Call) -> Answer {
    let found = find(&call).await?;
    call.service().require_metric(&call.access(), "get metric", &found)?;
    Ok(json_answer(StatusCode::OK, &whole_body(&found)))
}

async fn delete(call: Call) -> Answer {
    let found = find(&call).await?;
    call.service().delete_metric(&call.access(), &found).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The metric that the path names.
pub(super) async fn find(call: &Call) -> Result<MetricWithResource, ApiError> {
    let id = resource_id(call)?;
    Ok(call.service().find_named_metric(call.param("type"), id, call.param("name")).await?)
}
