//! Rules tried on past data: `/v2/alarms/preview`. An addition to upstream.

use http::{Method, StatusCode};

use super::call::Call;
use super::shown;
use super::{Answer, Route};
use crate::http::answer::json_answer;
use crate::http::route::handler;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v2/alarms/preview", "Try an alarm on past data", handler!(preview))
            .rule("telemetry:create_alarm")
            .takes("PreviewRequest")
            .gives("Preview")
            .statuses(&[200, 404]),
    ]
}

async fn preview(call: Call) -> Answer {
    let preview = call.service().preview(&call.caller(), &call.json("body")?).await?;
    Ok(json_answer(StatusCode::OK, &shown::preview(&preview)))
}
