//! Archive policies: `/v1/archive_policy`.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use nephometer_metric::{ArchivePolicyPatch, NewArchivePolicy, PolicyItemSpec};
use nephometer_model::{AggregationMethod, ArchivePolicy};
use serde_json::{Value, json};

use super::call::Call;
use super::render::{empty, json_answer};
use super::route::{Answer, Route, handler};
use super::values::{name_text, read_timespan, timespan};
use crate::http::query::encode_path;
use crate::schema::{Key, Schema};

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v1/archive_policy", "/v1/archive_policy/{name}");
    vec![
        Route::new(Method::GET, all, "List archive policies", handler!(list))
            .rule("list archive policy")
            .gives("ArchivePolicy[]"),
        Route::new(Method::POST, all, "Create an archive policy", handler!(create))
            .rule("create archive policy")
            .takes("NewArchivePolicy")
            .gives("ArchivePolicy")
            .statuses(&[201, 400, 409, 415]),
        Route::new(Method::GET, one, "Show an archive policy", handler!(show))
            .rule("get archive policy")
            .gives("ArchivePolicy")
            .statuses(&[200, 404]),
        Route::new(Method::PATCH, one, "Change an archive policy", handler!(change))
            .rule("update archive policy")
            .takes("ArchivePolicyChange")
            .gives("ArchivePolicy")
            .query(&["redefine"])
            .statuses(&[200, 400, 404, 415]),
        Route::new(Method::DELETE, one, "Delete an archive policy that nothing uses", handler!(delete))
            .rule("delete archive policy")
            .statuses(&[204, 400, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    let policies = call.service().archive_policies(&call.access()).await?;
    let bodies: Vec<_> = policies.iter().map(|policy| body(policy)).collect();
    Ok(json_answer(StatusCode::OK, &bodies.into()))
}

async fn create(call: Call) -> Answer {
    call.service().require_create_archive_policy(&call.access())?;
    let checked = call.checked(&Schema::Object(vec![
        Key::required("name", name_text()),
        Key::with_default("back_window", json!(0), Schema::CoerceInt { min: 0 }),
        Key::optional("aggregation_methods", methods()),
        Key::required("definition", definition()),
    ]))?;
    let new = NewArchivePolicy {
        name: checked["name"].as_str().unwrap_or_default().to_owned(),
        back_window: checked["back_window"].as_u64().unwrap_or_default(),
        methods: read_methods(&checked),
        definition: read_definition(&checked).unwrap_or_default(),
    };
    let policy = call.service().create_archive_policy(&call.access(), new).await?;
    let mut response = json_answer(StatusCode::CREATED, &body(&policy));
    set_location(&call, &mut response, &format!("/v1/archive_policy/{}", policy.name));
    Ok(response)
}

async fn show(call: Call) -> Answer {
    let policy = call.service().archive_policy(&call.access(), call.param("name")).await?;
    Ok(json_answer(StatusCode::OK, &body(&policy)))
}

async fn change(call: Call) -> Answer {
    let name = call.param("name");
    call.service().require_update_archive_policy(&call.access(), name).await?;
    let redefine = call.flag("redefine", false)?;
    let checked = call.checked(&change_schema(redefine))?;
    let patch = ArchivePolicyPatch {
        definition: read_definition(&checked),
        back_window: checked.get("back_window").and_then(Value::as_u64),
        methods: read_methods(&checked),
        redefine,
    };
    let policy = call.service().change_archive_policy(&call.access(), name, patch).await?;
    Ok(json_answer(StatusCode::OK, &body(&policy)))
}

async fn delete(call: Call) -> Answer {
    call.service().delete_archive_policy(&call.access(), call.param("name")).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Puts the absolute URL of `path` (not yet encoded) into `Location`.
pub(super) fn set_location(call: &Call, response: &mut axum::response::Response, path: &str) {
    if let Ok(location) = HeaderValue::from_str(&call.base.url(&encode_path(path))) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

/// Upstream wants the definition in every change. A body that asks for what upstream does not know may do without.
fn change_schema(redefine: bool) -> Schema {
    Schema::custom_place(move |value| {
        let beyond_upstream = redefine || value.get("aggregation_methods").is_some();
        let definition = match beyond_upstream {
            true => Key::optional("definition", definition()),
            false => Key::required("definition", definition()),
        };
        Schema::Object(vec![
            definition,
            Key::optional("back_window", Schema::CoerceInt { min: 0 }),
            Key::optional("aggregation_methods", methods()),
        ])
        .check(value)
    })
}

fn definition() -> Schema {
    let item = Schema::Object(vec![
        Key::optional("granularity", timespan()),
        Key::optional("points", Schema::CoerceInt { min: 1 }),
        Key::optional("timespan", timespan()),
    ]);
    Schema::Length { of: Box::new(Schema::List(Box::new(item))), min: 1, max: usize::MAX }
}

fn methods() -> Schema {
    let method = Schema::custom(|value| {
        let known = value.as_str().is_some_and(|name| {
            name == "*" || AggregationMethod::parse(name.strip_prefix(['+', '-']).unwrap_or(name)).is_some()
        });
        if known { Ok(value) } else { Err("not a valid value".to_owned()) }
    });
    Schema::List(Box::new(method))
}

fn read_methods(checked: &Value) -> Option<Vec<String>> {
    let names = checked.get("aggregation_methods")?.as_array()?;
    Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn read_definition(checked: &Value) -> Option<Vec<PolicyItemSpec>> {
    let items = checked.get("definition")?.as_array()?;
    let read = |item: &Value| PolicyItemSpec {
        granularity: read_timespan(item.get("granularity")),
        points: item.get("points").and_then(Value::as_u64),
        timespan: read_timespan(item.get("timespan")),
    };
    Some(items.iter().map(read).collect())
}

/// A policy as clients see it.
pub(super) fn body(policy: &ArchivePolicy) -> Value {
    let items = policy.definition.iter().map(|item| {
        json!({
            "timespan": item.timespan().map(|span| span.timedelta()),
            "granularity": item.granularity.timedelta(),
            "points": item.points,
        })
    });
    json!({
        "name": policy.name,
        "back_window": policy.back_window,
        "definition": items.collect::<Vec<_>>(),
        "aggregation_methods": policy.methods,
    })
}
