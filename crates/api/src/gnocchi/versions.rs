//! What the service is and can: `/`, `/v1/`, `/v1/capabilities`, `/healthcheck`.

use http::{Method, StatusCode};
use nephometer_model::AggregationMethod;
use serde_json::json;

use super::call::Call;
use super::render::json_answer;
use super::route::{Answer, Produces, Route, handler};
use crate::http::answer::healthy;

/// The release of upstream whose behaviour this API follows; clients read it as the server's build.
pub(super) const COMPATIBLE_BUILD: &str = "4.7.1";

/// Collections that the root of the API links to, as upstream lists them.
const COLLECTIONS: [&str; 12] = [
    "aggregates",
    "aggregation",
    "archive_policy",
    "archive_policy_rule",
    "batch",
    "capabilities",
    "influxdb",
    "metric",
    "resource",
    "resource_type",
    "search",
    "status",
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/", "Versions of the API", handler!(versions)).public().gives("Versions"),
        Route::new(Method::GET, "/v1", "Collections of the API", handler!(root)).public().gives("Root"),
        Route::new(Method::GET, "/v1/capabilities", "Aggregation methods", handler!(capabilities))
            .gives("Capabilities"),
        Route::new(Method::GET, "/healthcheck", "Whether the service answers", handler!(healthcheck))
            .public()
            .produces(Produces::Any),
    ]
}

async fn versions(call: Call) -> Answer {
    let body = json!({
        "build": COMPATIBLE_BUILD,
        "versions": [{
            "status": "CURRENT",
            "links": [{"rel": "self", "href": call.base.url("/v1/")}],
            "id": "v1.0",
            "updated": "2015-03-19",
        }],
    });
    Ok(json_answer(StatusCode::OK, &body))
}

async fn root(call: Call) -> Answer {
    let own = json!({"rel": "self", "href": call.base.url("/v1")});
    let others =
        COLLECTIONS.iter().map(|name| json!({"rel": name, "href": call.base.url(&format!("/v1/{name}"))}));
    let links: Vec<_> = std::iter::once(own).chain(others).collect();
    Ok(json_answer(StatusCode::OK, &json!({"version": "1.0", "links": links})))
}

async fn capabilities(_call: Call) -> Answer {
    let methods: Vec<_> = AggregationMethod::all().map(|method| method.to_string()).collect();
    Ok(json_answer(StatusCode::OK, &json!({"aggregation_methods": methods})))
}

async fn healthcheck(call: Call) -> Answer {
    Ok(healthy(&call.accept))
}
