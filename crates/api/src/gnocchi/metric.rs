//! Metrics: `/v1/metric`.

use http::{Method, StatusCode};
use nephometer_drivers::MetricQuery;
use nephometer_metric::{InvalidInput, MetricWithResource, NewMetricSpec};
use nephometer_model::{Metric, MetricId, parse_python_uuid};
use serde_json::{Map, Value, json};

use super::archive_policy::{self, set_location};
use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::render::{empty, json_answer, json_bytes};
use super::resource_form::{nested_body, new_metric};
use super::route::{Answer, Route, handler};
use super::values::{metric_common, read_resource_id, read_text};
use crate::json as encoder;

/// Upstream's order of the list.
const DEFAULT_SORTS: [&str; 1] = ["id:asc"];

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v1/metric", "/v1/metric/{id}");
    vec![
        Route::new(Method::GET, all, "List metrics", handler!(list))
            .rule("list metric")
            .gives("Metric[]")
            .query(&[
                "id",
                "name",
                "unit",
                "archive_policy_name",
                "creator",
                "user_id",
                "project_id",
                "status",
                "limit",
                "marker",
                "sort",
            ])
            .statuses(&[200, 400]),
        Route::new(Method::POST, all, "Create a metric", handler!(create))
            .rule("create metric")
            .takes("NewMetric")
            .gives("Metric")
            .statuses(&[201, 400, 404, 415]),
        Route::new(Method::GET, one, "Show a metric", handler!(show))
            .rule("get metric")
            .gives("Metric")
            .statuses(&[200, 404]),
        Route::new(Method::DELETE, one, "Delete a metric with its measures", handler!(delete))
            .rule("delete metric")
            .statuses(&[204, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    let filters = Filters::of(&call)?;
    let paging = Paging::of(&call, &DEFAULT_SORTS)?;
    let metrics = match filters.only_deleted {
        true => Vec::new(),
        false => {
            let query = MetricQuery { page: paging.page.clone(), ..filters.query };
            call.service().list_metrics(&call.access(), query).await?
        }
    };
    let mut out = Vec::with_capacity(metrics.len() * 512);
    encoder::write_list(&mut out, &metrics, |out, metric| encoder::write_value(out, &list_body(metric)));
    let mut response = json_bytes(StatusCode::OK, out);
    paging.link(&call, &mut response, metrics.len(), || {
        metrics.last().map(|last| last.id.to_string()).unwrap_or_default()
    });
    Ok(response)
}

async fn create(call: Call) -> Answer {
    let checked = call.checked(&new_metric(call.access().creator()))?;
    let spec = NewMetricSpec {
        resource: read_resource_id(checked.get("resource_id")),
        name: read_text(checked.get("name")),
        unit: read_text(checked.get("unit")),
        policy_name: read_text(checked.get("archive_policy_name")),
    };
    let metric = call.service().create_metric(&call.access(), spec).await?;
    let mut body = metric_common(&metric);
    body.insert("archive_policy_name".to_owned(), json!(metric.policy.name));
    body.insert("resource_id".to_owned(), json!(metric.resource_id));
    let mut response = json_answer(StatusCode::CREATED, &Value::Object(body));
    set_location(&call, &mut response, &format!("/v1/metric/{}", metric.id));
    Ok(response)
}

async fn show(call: Call) -> Answer {
    let found = call.service().find_metric(call.param("id")).await?;
    call.service().require_metric(&call.access(), "get metric", &found)?;
    Ok(json_answer(StatusCode::OK, &whole_body(&found)))
}

async fn delete(call: Call) -> Answer {
    let found = call.service().find_metric(call.param("id")).await?;
    call.service().delete_metric(&call.access(), &found).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// A metric in a list.
pub(super) fn list_body(metric: &Metric) -> Value {
    let mut body = metric_common(metric);
    body.insert("archive_policy".to_owned(), archive_policy::body(&metric.policy));
    body.insert("resource_id".to_owned(), json!(metric.resource_id));
    Value::Object(body)
}

/// A metric by itself, with its resource.
pub(super) fn whole_body(found: &MetricWithResource) -> Value {
    let mut body = metric_common(&found.metric);
    body.insert("archive_policy".to_owned(), archive_policy::body(&found.metric.policy));
    let resource = found.resource.as_ref().map(|resource| Value::Object(nested_body(resource)));
    body.insert("resource".to_owned(), resource.unwrap_or(Value::Null));
    Value::Object(body)
}

/// What the query string asks of the metrics listed.
struct Filters {
    query: MetricQuery,
    /// Deleted metrics are asked for, and those are never listed.
    only_deleted: bool,
}

impl Filters {
    fn of(call: &Call) -> Result<Self, ApiError> {
        let refused = |message: &str, key: &str| {
            let invalid = InvalidInput::new(message).under(key);
            ApiError::bad_request(format!("Invalid input: {invalid}"))
        };
        let mut given: Map<String, Value> = Map::new();
        let keys =
            ["id", "name", "unit", "archive_policy_name", "creator", "user_id", "project_id", "status"];
        for key in keys {
            match call.query.single(key) {
                Ok(None) => {}
                Ok(Some(text)) => {
                    given.insert(key.to_owned(), json!(text));
                }
                Err(_) => return Err(refused("expected str", key)),
            }
        }
        let text = |key: &str| read_text(given.get(key));
        let id = match text("id") {
            None => None,
            Some(text) => match parse_python_uuid(&text) {
                Some(id) => Some(vec![MetricId(id)]),
                None => return Err(refused("badly formed hexadecimal UUID string", "id")),
            },
        };
        let only_deleted = match text("status").as_deref() {
            None | Some("active") => false,
            Some("delete") => true,
            Some(_) => return Err(refused("not a valid value", "status")),
        };
        let creator = match (text("user_id"), text("project_id")) {
            (None, None) => text("creator"),
            (user, project) => Some(format!("{}:{}", user.unwrap_or_default(), project.unwrap_or_default())),
        };
        let query = MetricQuery {
            ids: id,
            names: text("name").map(|name| vec![name]),
            unit: text("unit"),
            policy_name: text("archive_policy_name"),
            creator,
            ..MetricQuery::default()
        };
        Ok(Self { query, only_deleted })
    }
}
