//! Resource types: `/v1/resource_type`.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use nephometer_metric::AttributeSpec;
use nephometer_model::{Attribute, ResourceType, Timestamp};
use serde_json::{Value, json};

use super::archive_policy::set_location;
use super::attributes::{self, descriptions_body, read_description, read_value};
use super::call::Call;
use super::decode;
use super::error::ApiError;
use super::json_patch;
use super::render::{empty, json_answer};
use super::route::{Answer, Route, handler};
use super::values::{name_text, read_text};
use crate::schema::{Key, Schema};

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v1/resource_type", "/v1/resource_type/{name}");
    vec![
        Route::new(Method::GET, all, "List resource types", handler!(list))
            .rule("list resource type")
            .gives("ResourceType[]"),
        Route::new(Method::POST, all, "Create a resource type", handler!(create))
            .rule("create resource type")
            .takes("NewResourceType")
            .gives("ResourceType")
            .statuses(&[201, 400, 409, 415]),
        Route::new(Method::GET, one, "Show a resource type", handler!(show))
            .rule("get resource type")
            .gives("ResourceType")
            .statuses(&[200, 404]),
        Route::new(Method::PATCH, one, "Change the attributes of a resource type", handler!(change))
            .rule("update resource type")
            .consumes(decode::JSON_PATCH)
            .takes("ResourceTypeChange")
            .gives("ResourceType")
            .statuses(&[200, 400, 404, 415]),
        Route::new(Method::DELETE, one, "Delete a resource type that nothing uses", handler!(delete))
            .rule("delete resource type")
            .statuses(&[204, 400, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    let types = call.service().resource_types(&call.access()).await?;
    Ok(json_answer(StatusCode::OK, &types.iter().map(body).collect::<Vec<_>>().into()))
}

async fn create(call: Call) -> Answer {
    let checked = call.checked(&type_schema(false))?;
    let name = read_text(checked.get("name")).unwrap_or_default();
    let described = checked["attributes"].as_object().into_iter().flatten();
    let attributes: BTreeMap<String, Attribute> =
        described.map(|(name, described)| (name.clone(), read_description(described))).collect();
    let created = call.service().create_resource_type(&call.access(), &name, attributes).await?;
    let mut response = json_answer(StatusCode::CREATED, &body(&created));
    set_location(&call, &mut response, &format!("/v1/resource_type/{name}"));
    Ok(response)
}

async fn show(call: Call) -> Answer {
    let found = call.service().resource_type(&call.access(), call.param("name")).await?;
    Ok(json_answer(StatusCode::OK, &body(&found)))
}

async fn change(call: Call) -> Answer {
    let current = call.service().resource_type_for_update(&call.access(), call.param("name")).await?;
    decode::require_media_type(&call.headers, decode::JSON_PATCH)?;
    let operations = operations_schema().check(decode::decode(&call.body)?)?;
    let next = patched(&current, &operations, call.service().clock().now())?;
    let changed = call.service().change_resource_type(&call.access(), &current, next).await?;
    Ok(json_answer(StatusCode::OK, &body(&changed)))
}

async fn delete(call: Call) -> Answer {
    call.service().delete_resource_type(&call.access(), call.param("name")).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn type_schema(in_change: bool) -> Schema {
    let attributes = Schema::MapOf(Box::new(attributes::description(in_change)));
    Schema::Object(vec![
        Key::required("name", name_text()),
        Key::with_default("attributes", json!({}), attributes),
    ])
}

fn operations_schema() -> Schema {
    let path = Schema::custom(|value| match value.as_str() {
        Some(path) if path.starts_with("/attributes") => Ok(value),
        _ => Err("not a valid value".to_owned()),
    });
    Schema::List(Box::new(Schema::Object(vec![
        Key::required("op", Schema::Any(vec![Schema::Literal("add"), Schema::Literal("remove")])),
        Key::required("path", path),
        Key::optional("value", Schema::Dict),
    ])))
}

/// The attributes that `operations` make of those of `current`.
fn patched(
    current: &ResourceType,
    operations: &Value,
    now: Timestamp,
) -> Result<BTreeMap<String, AttributeSpec>, ApiError> {
    let mut document = json!({"name": current.name, "attributes": descriptions_body(&current.attributes)});
    let operations = operations.as_array().map(Vec::as_slice).unwrap_or_default();
    json_patch::apply(&mut document, operations).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let invalid = |error: &dyn std::fmt::Display| ApiError::bad_request(format!("Invalid input: {error}"));
    let checked = type_schema(true).check(document).map_err(|error| invalid(&error))?;
    let mut next = BTreeMap::new();
    for (name, described) in checked["attributes"].as_object().into_iter().flatten() {
        let attribute = read_description(described);
        let fill = match described["options"].get("fill") {
            None | Some(Value::Null) => None,
            Some(fill) => {
                let fill = attributes::value(attribute.kind, now).check(fill.clone()).map_err(|error| {
                    invalid(&format_args!("Option 'fill' of resource attribute {name} is invalid: {error}"))
                })?;
                read_value(attribute.kind, &fill)
            }
        };
        next.insert(name.clone(), AttributeSpec { attribute, fill });
    }
    Ok(next)
}

fn body(resource_type: &ResourceType) -> Value {
    json!({
        "name": resource_type.name,
        "attributes": descriptions_body(&resource_type.attributes),
        "state": resource_type.state,
    })
}
