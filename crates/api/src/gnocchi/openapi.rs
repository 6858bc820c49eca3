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
        info: json!({
            "title": "Nephometer metric API",
            "version": "1.0",
            "description": "Gnocchi's REST API v1. Paths may end in a slash; empty segments are ignored.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        }),
        security_schemes: security_schemes(),
        schemas: schemas(),
        refusals_in_text: &["text/plain", "text/html"],
        spelled: |path| if path == "/v1" { "/v1/" } else { path },
    }
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

/// The schemas that routes name.
fn schemas() -> Value {
    serde_json::from_str(include_str!("openapi_schemas.json"))
        .expect("a file of this crate, read by its tests")
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
