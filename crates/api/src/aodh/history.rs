//! What happened to an alarm: `/v2/alarms/{alarm_id}/history`.

use http::{Method, StatusCode};
use nephometer_alarm::query::Listed;

use super::alarms::LIST_QUERY;
use super::call::Call;
use super::shown;
use super::{Answer, Route};
use crate::http::answer::json_answer;
use crate::http::route::handler;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Method::GET,
            "/v2/alarms/{alarm_id}/history",
            "List what happened to an alarm",
            handler!(list),
        )
        .rule("telemetry:alarm_history")
        .query(LIST_QUERY)
        .gives("AlarmChange[]")
        .statuses(&[200, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    let arguments = call.list_arguments(Listed::History)?;
    let (items, page) = (&arguments.items, &arguments.page);
    let changes = call.service().history(&call.caller(), &call.alarm_id(), items, page).await?;
    Ok(json_answer(StatusCode::OK, &changes.iter().map(shown::change).collect()))
}
