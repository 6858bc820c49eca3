//! The OpenAPI document of the API, made from the list of routes.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::render::json_answer;
use super::route::{Answer, Route, handler, routes as all_routes};

/// Statuses that the machinery around handlers can give on any route.
const EVERYWHERE: [u16; 6] = [400, 406, 408, 413, 500, 503];
/// Statuses of routes that need an identity.
const IDENTIFIED: [u16; 3] = [401, 403, 429];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/openapi.json", "This document", handler!(show)).public().gives("Object"),
    ]
}

async fn show(call: Call) -> Answer {
    let server = call.base.url("");
    Ok(json_answer(StatusCode::OK, &document(&server)))
}

fn document(server: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in all_routes() {
        let path = if route.path == "/v1" { "/v1/" } else { route.path };
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[route.method.as_str().to_ascii_lowercase()] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nephometer metric API",
            "version": "1.0",
            "description": "Gnocchi's REST API v1. Paths may end in a slash; empty segments are ignored.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes(),
            "schemas": schemas(),
        },
    })
}

/// How callers are recognised, by the configuration's `metric_api.auth_mode`.
fn security_schemes() -> Value {
    json!({
        "keystone": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Auth-Token",
            "description": "A Keystone token (auth_mode `keystone`). A service that passes a user's token on may add its own as \
                            X-Service-Token. 401 tells Keystone's address in WWW-Authenticate.",
        },
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "A user's name; the password is not checked (auth_mode `basic`).",
        },
        "remote_user": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Remote-User",
            "description": "A user's name as a front end that has authenticated the user sets it (auth_mode `remoteuser`); the \
                            operator may have chosen another header.",
        },
    })
}

/// Any of the schemes: which one counts, the server's operator decides.
fn any_scheme() -> Value {
    json!([{"keystone": []}, {"basic": []}, {"remote_user": []}])
}

/// The schemas that routes name.
fn schemas() -> Value {
    serde_json::from_str(include_str!("openapi_schemas.json"))
        .expect("a file of this crate, read by its tests")
}

/// A reference to a schema, or to a list of such.
fn reference(name: &str) -> Value {
    match name.strip_suffix("[]") {
        Some(item) => json!({"type": "array", "items": reference(item)}),
        None => json!({"$ref": format!("#/components/schemas/{name}")}),
    }
}

/// All statuses that the document promises for a route, ascending.
pub fn statuses(route: &Route) -> Vec<u16> {
    let mut all = route.statuses.to_vec();
    all.extend(EVERYWHERE);
    if route.needs_identity {
        all.extend(IDENTIFIED);
    }
    if route.consumes.is_some() {
        all.push(415);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters(route),
        "responses": responses(route),
    });
    operation["security"] = if route.needs_identity { any_scheme() } else { json!([]) };
    if let Some(rule) = route.rule {
        operation["description"] = json!(format!("Guarded by the policy rule `{rule}`."));
    }
    if let Some(media_type) = route.consumes {
        operation["requestBody"] = json!({"content": {media_type: {"schema": reference(route.takes)}}});
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let path = route.path.replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{}{path}", route.method.as_str().to_ascii_lowercase())
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = in_path.map(|name| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
    });
    let in_query =
        route.query.iter().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
    in_path.chain(in_query).collect()
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for status in statuses(route) {
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let mut response = json!({"description": reason.unwrap_or("Answer")});
        if status >= 400 {
            response["content"] = json!({
                "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
                "text/plain": {"schema": {"type": "string"}},
                "text/html": {"schema": {"type": "string"}},
            });
            if matches!(status, 429 | 503) {
                response["headers"] = json!({"Retry-After": retry_after()});
            }
        } else if matches!(status, 200 | 201) {
            let offers = route.produces.offers().iter().map(|media_type| {
                let json = *media_type == "application/json";
                let schema = if json { reference(route.gives) } else { json!({"type": "string"}) };
                ((*media_type).to_owned(), json!({"schema": schema}))
            });
            response["content"] = Value::Object(offers.collect());
        }
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

fn retry_after() -> Value {
    json!({
        "description": "Seconds after which the request may be sent again",
        "schema": {"type": "integer", "minimum": 1},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_routes_name_exist_and_are_all_used() {
        let text = serde_json::to_string(&document("http://localhost")).unwrap();
        for name in schemas().as_object().unwrap().keys() {
            assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "nobody names {name}");
        }
        for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schemas().get(name).is_some(), "no schema {name}");
        }
    }

    #[test]
    fn every_route_and_status_is_in_the_document_and_no_other() {
        let document = document("http://localhost");
        let mut described = 0;
        for path in document["paths"].as_object().unwrap().values() {
            described += path.as_object().unwrap().len();
        }
        let routes = all_routes();
        assert_eq!(described, routes.len(), "two routes share verb and path");
        for route in &routes {
            let path = if route.path == "/v1" { "/v1/" } else { route.path };
            let operation = &document["paths"][path][route.method.as_str().to_ascii_lowercase()];
            for status in statuses(route) {
                assert!(operation["responses"][status.to_string()].is_object(), "{} {status}", route.path);
            }
        }
    }
}
