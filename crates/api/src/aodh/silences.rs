//! Silences: `/v2/silences`. An addition to upstream.

use http::{Method, StatusCode};
use nephometer_alarm::service::parse_truth;

use super::call::Call;
use super::error::ApiError;
use super::shown;
use super::{Answer, Route};
use crate::http::answer::{empty, json_answer};
use crate::http::route::handler;

/// The parameter that asks for the silences of all projects.
const ALL: &str = "all_projects";

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v2/silences", "/v2/silences/{silence_id}");
    vec![
        Route::new(Method::GET, all, "List silences that have not ended", handler!(list))
            .rule("telemetry:get_alarms")
            .query(&[ALL])
            .gives("Silence[]"),
        Route::new(Method::POST, all, "Hold messages about some alarms back for a time", handler!(create))
            .rule("telemetry:change_alarm")
            .takes("NewSilence")
            .gives("Silence")
            .statuses(&[201]),
        Route::new(Method::DELETE, one, "End a silence", handler!(end))
            .rule("telemetry:change_alarm")
            .statuses(&[204, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    call.only(&[ALL])?;
    let all = call.query.first(ALL).map(|text| parse_truth(ALL, text)).transpose()?.unwrap_or(false);
    let silences = call.service().silences(&call.caller(), all).await?;
    Ok(json_answer(StatusCode::OK, &silences.iter().map(shown::silence).collect()))
}

async fn create(call: Call) -> Answer {
    let silence = call.service().silence(&call.caller(), &call.json("body")?).await?;
    Ok(json_answer(StatusCode::CREATED, &shown::silence(&silence)))
}

async fn end(call: Call) -> Answer {
    call.only(&[])?;
    let id = call.param("silence_id");
    if call.service().end_silence(&call.caller(), id).await? {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    Err(ApiError::new(StatusCode::NOT_FOUND, format!("Silence {id} not found")))
}
