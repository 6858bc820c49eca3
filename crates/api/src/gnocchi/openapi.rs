//! The OpenAPI document of the API, made from the list of routes.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::GnocchiState;
use super::call::Call;
use super::render::json_answer;
use super::route::{Answer, Route, handler, routes as all_routes};
use crate::http::openapi::{self, Document};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v1/openapi.json", "This document", handler!(show)).public().gives("Object"),
    ]
}

async fn show(call: Call) -> Answer {
    let described = document().describe::<GnocchiState>(&call.base.url(""), &all_routes());
    Ok(json_answer(StatusCode::OK, &described))
}

fn document() -> Document {
    Document {
        title: "Nephometer metric API",
        version: "1.0",
        about: "Gnocchi's REST API v1.",
        security_schemes: security_schemes(),
        schemas: openapi::schemas(include_str!("openapi_schemas.json")),
        webhooks: json!({}),
        refusals_in_text: &["text/plain", "text/html"],
        spelled: |path| if path == "/v1" { "/v1/" } else { path },
    }
}

/// How callers are recognised, by the configuration's `metric_api.auth_mode`.
fn security_schemes() -> Value {
    json!({
        "keystone": openapi::keystone_scheme(
            "A service that passes a user's token on may add its own as X-Service-Token. "
        ),
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

/// All statuses that the document promises for a route, ascending.
pub fn statuses(route: &Route) -> Vec<u16> {
    openapi::statuses(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_and_the_routes_agree() {
        openapi::checks::check::<GnocchiState>(&document());
    }
}
