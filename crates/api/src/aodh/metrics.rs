//! How often evaluations ended in which state: `/v2/metrics`.

use http::{Method, StatusCode};
use nephometer_alarm::service::parse_truth;
use serde_json::json;

use super::call::Call;
use super::shown;
use super::{Answer, Route};
use crate::http::answer::json_answer;
use crate::http::route::handler;

/// The parameter that asks for the alarms of all projects.
const ALL: &str = "all_projects";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/v2/metrics", "Count evaluations by alarm and outcome", handler!(show))
            .rule("telemetry:get_metrics")
            .query(&[ALL])
            .gives("Metrics"),
    ]
}

async fn show(call: Call) -> Answer {
    call.only(&[ALL])?;
    let all = call.query.first(ALL).map(|text| parse_truth(ALL, text)).transpose()?.unwrap_or(false);
    let counts = call.service().counters(&call.caller(), all).await?;
    let results: Vec<_> = counts.iter().map(shown::counts).collect();
    Ok(json_answer(StatusCode::OK, &json!({ "evaluation_results": results })))
}
