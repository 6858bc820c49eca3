//! The state of processing: `/v1/status`.

use http::{Method, StatusCode};
use serde_json::json;

use super::call::Call;
use super::render::json_answer;
use super::route::{Answer, Route, handler};

/// The name under which upstream would list a worker.
const PROCESSOR: &str = "nephometer.0";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Method::GET,
            "/v1/status",
            "How much waits to be processed: never anything",
            handler!(show),
        )
        .rule("get status")
        .gives("Status")
        .query(&["details"])
        .statuses(&[200, 400]),
    ]
}

/// Measures can be read as soon as they are acknowledged, so the backlog that upstream shows here is always empty.
async fn show(call: Call) -> Answer {
    let status = call.service().status(&call.access())?;
    let mut storage = json!({"summary": {"metrics": 0, "measures": 0}});
    if call.flag("details", true)? {
        storage["measures_to_process"] = json!({});
    }
    let body = json!({
        "storage": storage,
        "metricd": {
            "processors": [PROCESSOR],
            "statistics": {PROCESSOR: {"processed measures": status.measures_written}},
        },
    });
    Ok(json_answer(StatusCode::OK, &body))
}
