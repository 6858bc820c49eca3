//! The OpenAPI document of the API, made from the list of routes.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::call::Call;
use super::{Answer, AodhState, Route, routes as all_routes};
use crate::http::answer::json_answer;
use crate::http::openapi::{self, Document};
use crate::http::route::handler;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v2/openapi.json", "This document", handler!(show)).public().gives("Object"),
    ]
}

async fn show(call: Call) -> Answer {
    let described = document().describe::<AodhState>(&call.base.url(""), &all_routes());
    Ok(json_answer(StatusCode::OK, &described))
}

fn document() -> Document {
    Document {
        info: json!({
            "title": "Nephometer alarm API",
            "version": "2.0",
            "description": "Aodh's REST API v2. Paths may end in a slash; empty segments are ignored.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        }),
        security_schemes: security_schemes(),
        schemas: schemas(),
        refusals_in_text: &[],
        spelled: |path| path,
    }
}

/// How callers are recognised, by the configuration's `alarm_api.auth_mode`.
fn security_schemes() -> Value {
    json!({
        "keystone": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Auth-Token",
            "description": "A Keystone token (auth_mode `keystone`). 401 tells Keystone's address in WWW-Authenticate.",
        },
        "noauth": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Project-Id",
            "description": "Identity as the client says it, with X-User-Id and X-Roles (auth_mode `noauth`).",
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
        openapi::checks::check::<AodhState>(&document());
    }
}
