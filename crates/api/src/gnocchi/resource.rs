//! Resources: `/v1/resource`, their revisions, and bulk deletion.

use std::collections::BTreeMap;

use axum::response::Response;
use http::{Method, StatusCode};
use nephometer_metric::ResourceList;
use nephometer_metric::query::{parse_filter, parse_filter_text};
use nephometer_model::{Filter, Resource, ResourceId, ResourceType, resource_id_from};
use serde_json::{Map, Value, json};

use super::archive_policy::set_location;
use super::call::Call;
use super::conditional::{Validators, guards_change};
use super::error::ApiError;
use super::paging::Paging;
use super::render::{empty, json_answer, json_bytes};
use super::resource_form::{self, body, check_metric_names, read_new, read_patch};
use super::resource_rows::RowForm;
use super::route::{Answer, Route, handler};
use crate::http::query::encode_path;
use crate::json as encoder;

/// Upstream's order of lists of resources.
const DEFAULT_SORTS: [&str; 2] = ["revision_start:asc", "started_at:asc"];
/// Query parameters of lists.
pub(super) const LIST_QUERY: &[&str] = &["details", "history", "attrs", "limit", "marker", "sort"];

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v1/resource/{type}", "/v1/resource/{type}/{id}");
    let history = "/v1/resource/{type}/{id}/history";
    vec![
        Route::new(Method::GET, "/v1/resource", "List resource types with their URLs", handler!(types))
            .gives("Object"),
        Route::new(Method::GET, all, "List resources", handler!(list))
            .rule("list resource")
            .gives("Resource[]")
            .query(LIST_QUERY)
            .statuses(&[200, 400, 404]),
        Route::new(Method::POST, all, "Create a resource", handler!(create))
            .rule("create resource")
            .takes("NewResource")
            .gives("Resource")
            .statuses(&[201, 400, 404, 409, 415]),
        Route::new(Method::DELETE, all, "Delete resources that match a filter", handler!(delete_many))
            .rule("delete resources")
            .takes("Filter")
            .gives("Deleted")
            .query(&["filter"])
            .statuses(&[200, 400, 404, 415]),
        Route::new(Method::GET, one, "Show a resource", handler!(show))
            .rule("get resource")
            .gives("Resource")
            .statuses(&[200, 304, 404, 412]),
        Route::new(Method::PATCH, one, "Change a resource", handler!(change))
            .rule("update resource")
            .takes("ResourceChange")
            .gives("Resource")
            .statuses(&[200, 400, 404, 409, 412, 415]),
        Route::new(Method::DELETE, one, "Delete a resource with its metrics", handler!(delete))
            .rule("delete resource")
            .statuses(&[204, 404, 412]),
        Route::new(Method::GET, history, "List the revisions of a resource", handler!(revisions))
            .rule("get resource")
            .gives("Resource[]")
            .query(&["details", "limit", "marker", "sort"])
            .statuses(&[200, 400, 404]),
    ]
}

async fn types(call: Call) -> Answer {
    let types = call.service().resource_types(&call.access()).await?;
    let urls = types.iter().map(|resource_type| {
        let url = call.base.url(&encode_path(&format!("/v1/resource/{}", resource_type.name)));
        (resource_type.name.clone(), Value::String(url))
    });
    Ok(json_answer(StatusCode::OK, &Value::Object(urls.collect())))
}

async fn list(call: Call) -> Answer {
    call.service().schema_of(call.param("type")).await?;
    list_matching(&call, "list resource", Filter::All).await
}

async fn create(call: Call) -> Answer {
    let resource_type = call.service().schema_of(call.param("type")).await?;
    let now = call.service().clock().now();
    let schema = resource_form::schema(&resource_type, call.access().creator(), now, true);
    let given = call.json()?;
    check_metric_names(given.get("metrics"))?;
    let checked = schema.check(given)?;
    let spec = read_new(&resource_type, &checked).ok_or_else(|| ApiError::bad_request("id is missing"))?;
    let created = call.service().create_resource(&call.access(), spec).await?;
    let mut response = json_answer(StatusCode::CREATED, &Value::Object(body(&created, Some(&resource_type))));
    set_location(&call, &mut response, &format!("/v1/resource/{}/{}", resource_type.name, created.id));
    Validators::of(&created).set(&mut response);
    Ok(response)
}

async fn delete_many(call: Call) -> Answer {
    call.service().schema_of(call.param("type")).await?;
    let filter = filter_of(&call)?;
    let deleted = call.service().delete_resources(&call.access(), call.param("type"), filter).await?;
    Ok(json_answer(StatusCode::OK, &json!({"deleted": deleted})))
}

async fn show(call: Call) -> Answer {
    let id = resource_id(&call)?;
    let found = call.service().resource(&call.access(), call.param("type"), id).await?;
    if let Some(not_modified) = Validators::of(&found).check(&call.headers, true)? {
        return Ok(not_modified);
    }
    one(&call, &found, true).await
}

async fn change(call: Call) -> Answer {
    let (id, type_name) = (resource_id(&call)?, call.param("type"));
    let current = call.service().resource_for_update(&call.access(), type_name, id).await?;
    Validators::of(&current).check(&call.headers, false)?;
    let resource_type = call.service().schema_of(type_name).await?;
    let now = call.service().clock().now();
    let given = call.json()?;
    check_metric_names(given.get("metrics"))?;
    let checked = resource_form::schema(&resource_type, call.access().creator(), now, false).check(given)?;
    if checked.as_object().is_none_or(Map::is_empty) {
        return one(&call, &current, true).await;
    }
    let patch = read_patch(&resource_type, &checked);
    let with_metrics = patch.metrics.is_some();
    let guarded = guards_change(&call.headers);
    let changed = call.service().change_resource(&call.access(), type_name, &current, patch, guarded).await?;
    one(&call, &changed, with_metrics || changed.revision_start != current.revision_start).await
}

async fn delete(call: Call) -> Answer {
    let (id, type_name) = (resource_id(&call)?, call.param("type"));
    let current = call.service().resource_for_delete(&call.access(), type_name, id).await?;
    Validators::of(&current).check(&call.headers, false)?;
    call.service().delete_resource(type_name, &current).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn revisions(call: Call) -> Answer {
    let id = resource_id(&call)?;
    let details = call.flag("details", false)?;
    let paging = Paging::of(&call, &DEFAULT_SORTS)?;
    let type_name = call.param("type");
    let page = paging.page.clone();
    let rows = call.service().resource_history(&call.access(), type_name, id, details, page).await?;
    let mut response = many(&call, &rows, details, &[]).await?;
    paging.link(&call, &mut response, rows.len(), || marker(rows.last(), true));
    Ok(response)
}

/// The id in the path; 404 where it can be none.
pub(super) fn resource_id(call: &Call) -> Result<ResourceId, ApiError> {
    let text = call.param("id");
    resource_id_from(text, call.access().creator())
        .map_err(|_| ApiError::not_found(format!("Resource {text} does not exist")))
}

/// The condition in the body, or else in the query string; everything where neither says.
pub(super) fn filter_of(call: &Call) -> Result<Filter, ApiError> {
    let creator = call.access().creator();
    if !call.body.is_empty() {
        let filter = parse_filter(&call.json()?, creator).map_err(ApiError::from)?;
        return Ok(filter);
    }
    match call.query.single("filter")? {
        Some(text) if !text.is_empty() => Ok(parse_filter_text(text, creator)?),
        _ => Ok(Filter::All),
    }
}

/// A page of resources that match, as the query string wants it.
pub(super) async fn list_matching(call: &Call, rule: &str, filter: Filter) -> Answer {
    let (details, history) = (call.flag("details", false)?, call.flag("history", false)?);
    let paging = Paging::of(call, &DEFAULT_SORTS)?;
    let list = ResourceList {
        type_name: call.param("type").to_owned(),
        filter,
        history,
        details,
        page: paging.page.clone(),
    };
    let rows = call.service().list_resources(&call.access(), rule, list).await?;
    let attrs: Vec<&str> = call.query.all("attrs").filter(|name| !name.is_empty()).collect();
    let mut response = many(call, &rows, details, &attrs).await?;
    paging.link(call, &mut response, rows.len(), || marker(rows.last(), history));
    Ok(response)
}

fn marker(last: Option<&Resource>, history: bool) -> String {
    match last {
        Some(last) if history => format!("{}@{}", last.id, last.revision.0),
        Some(last) => last.id.to_string(),
        None => String::new(),
    }
}

/// One resource as the type in the path shows it.
async fn one(call: &Call, resource: &Resource, with_validators: bool) -> Answer {
    let resource_type = call.service().schema_of(call.param("type")).await?;
    let mut response = json_answer(StatusCode::OK, &Value::Object(body(resource, Some(&resource_type))));
    if with_validators {
        Validators::of(resource).set(&mut response);
    }
    Ok(response)
}

/// Rows of a list. Attributes are shown where the path names a type or `details` are wanted; `attrs` keeps only some
/// keys.
async fn many(call: &Call, rows: &[Resource], details: bool, attrs: &[&str]) -> Result<Response, ApiError> {
    let type_name = call.param("type");
    let types: BTreeMap<String, ResourceType> = match rows.is_empty() || (type_name == "generic" && !details)
    {
        true => Default::default(),
        false => call.service().types_of(rows).await?,
    };
    let plain = RowForm::of(None, attrs);
    let forms: BTreeMap<&str, RowForm<'_>> =
        types.iter().map(|(name, known)| (name.as_str(), RowForm::of(Some(known), attrs))).collect();
    let mut out = Vec::with_capacity(rows.len() * 1024);
    encoder::write_list(&mut out, rows, |out, row| {
        forms.get(row.type_name.as_str()).unwrap_or(&plain).write(out, row);
    });
    Ok(json_bytes(StatusCode::OK, out))
}
