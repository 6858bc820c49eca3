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
        title: "Nephometer alarm API",
        version: "2.0",
        about: "Aodh's REST API v2.",
        security_schemes: security_schemes(),
        schemas: openapi::schemas(include_str!("openapi_schemas.json")),
        webhooks: webhooks(),
        refusals_in_text: &[],
        spelled: |path| path,
    }
}

/// What actions are told.
fn webhooks() -> Value {
    let told = |name: &str, summary: &str, schema: &str| {
        let header = |name: &str, text: &str| json!({"name": name, "in": "header", "description": text, "schema": {"type": "string"}});
        json!({"post": {
            "operationId": name,
            "summary": summary,
            "parameters": [
                header("Idempotency-Key", "Names what is told: repetitions carry it, so that receivers can tell"),
                header("X-OpenStack-Request-Id", "The same behind req-"),
                header("X-Auth-Token", "Of the owner's trust, for trust+http and trust+https"),
            ],
            "requestBody": {"content": {"application/json": {"schema": openapi::reference(schema)}}},
            "responses": {
                "2XX": {"description": "It has arrived"},
                "408": {"description": "Again later, as with 425, 429 (and its Retry-After) and 5XX"},
                "4XX": {"description": "It is given up"},
            },
        }})
    };
    let alone = told("notification", "An alarm's state has changed, or is told again", "Notification");
    let together = "Several alarms of a project have changed, for an action that asks for groups";
    let together = told("groupedNotification", together, "GroupedNotifications");
    json!({ "notification": alone, "groupedNotification": together })
}

/// How callers are recognised, by the configuration's `alarm_api.auth_mode`.
fn security_schemes() -> Value {
    json!({
        "keystone": openapi::keystone_scheme(""),
        "noauth": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Project-Id",
            "description": "Identity as the client says it, with X-User-Id and X-Roles (auth_mode `noauth`).",
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
        openapi::checks::check::<AodhState>(&document());
    }
}
