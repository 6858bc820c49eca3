//! States of alarms: `/v2/alarms/{alarm_id}/state`, a bare JSON string each way.

use http::{Method, StatusCode};

use super::call::Call;
use super::{Answer, Route};
use crate::http::answer::json_answer;
use crate::http::route::handler;

pub(super) fn routes() -> Vec<Route> {
    let path = "/v2/alarms/{alarm_id}/state";
    vec![
        Route::new(Method::GET, path, "Show the state of an alarm", handler!(show))
            .rule("telemetry:get_alarm_state")
            .gives("State")
            .statuses(&[200, 404]),
        Route::new(Method::PUT, path, "Set the state of an alarm; nobody is told", handler!(set))
            .rule("telemetry:change_alarm_state")
            .takes("State")
            .gives("State")
            .statuses(&[200, 404]),
    ]
}

async fn show(call: Call) -> Answer {
    call.only(&[])?;
    let state = call.service().state(&call.caller(), &call.alarm_id()).await?;
    Ok(json_answer(StatusCode::OK, &state.as_str().into()))
}

async fn set(call: Call) -> Answer {
    let state = call.service().set_state(&call.caller(), &call.alarm_id(), &call.json("state")?).await?;
    Ok(json_answer(StatusCode::OK, &state.as_str().into()))
}
