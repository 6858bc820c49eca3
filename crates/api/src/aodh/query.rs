//! Complex queries: `/v2/query/alarms` and `/v2/query/alarms/history`.

use http::{Method, StatusCode};

use super::call::Call;
use super::shown;
use super::{Answer, Route};
use crate::http::answer::json_answer;
use crate::http::route::handler;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v2/query/alarms", "Search alarms", handler!(alarms))
            .rule("telemetry:query_alarm")
            .takes("ComplexQuery")
            .gives("Alarm[]"),
        Route::new(
            Method::POST,
            "/v2/query/alarms/history",
            "Search what happened to alarms",
            handler!(history),
        )
        .rule("telemetry:query_alarm_history")
        .takes("ComplexQuery")
        .gives("AlarmChange[]"),
    ]
}

async fn alarms(call: Call) -> Answer {
    let alarms = call.service().query(&call.caller(), &call.json("body")?).await?;
    Ok(json_answer(StatusCode::OK, &alarms.iter().map(shown::alarm).collect()))
}

async fn history(call: Call) -> Answer {
    let changes = call.service().query_history(&call.caller(), &call.json("body")?).await?;
    Ok(json_answer(StatusCode::OK, &changes.iter().map(shown::change).collect()))
}
