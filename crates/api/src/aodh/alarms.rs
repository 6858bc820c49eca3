//! Alarms: `/v2/alarms`.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use nephometer_alarm::query::Listed;

use super::call::Call;
use super::shown;
use super::{Answer, Route};
use crate::http::answer::{empty, json_answer};
use crate::http::query::encode_path;
use crate::http::route::handler;

/// Parameters of lists.
pub(super) const LIST_QUERY: &[&str] = &["q.field", "q.op", "q.type", "q.value", "sort", "limit", "marker"];

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v2/alarms", "/v2/alarms/{alarm_id}");
    vec![
        Route::new(Method::GET, all, "List alarms", handler!(list))
            .rule("telemetry:get_alarms")
            .query(LIST_QUERY)
            .gives("Alarm[]"),
        Route::new(Method::POST, all, "Create an alarm", handler!(create))
            .rule("telemetry:create_alarm")
            .takes("NewAlarm")
            .gives("Alarm")
            .statuses(&[201, 404]),
        Route::new(Method::GET, one, "Show an alarm", handler!(show))
            .rule("telemetry:get_alarm")
            .gives("Alarm")
            .statuses(&[200, 404]),
        Route::new(Method::PUT, one, "Replace the definition of an alarm", handler!(update))
            .rule("telemetry:change_alarm")
            .takes("NewAlarm")
            .gives("Alarm")
            .statuses(&[200, 404]),
        Route::new(Method::DELETE, one, "Delete an alarm with its history", handler!(delete))
            .rule("telemetry:delete_alarm")
            .statuses(&[204, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    let arguments = call.list_arguments(Listed::Alarms)?;
    let alarms = call.service().list(&call.caller(), &arguments.items, &arguments.page).await?;
    Ok(json_answer(StatusCode::OK, &alarms.iter().map(shown::alarm).collect()))
}

async fn create(call: Call) -> Answer {
    let alarm = call.service().create(&call.caller(), &call.json("data")?).await?;
    let mut response = json_answer(StatusCode::CREATED, &shown::alarm(&alarm));
    let place = call.base.url(&format!("/v2/alarms/{}", encode_path(&alarm.id.0)));
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

async fn show(call: Call) -> Answer {
    call.only(&[])?;
    let alarm = call.service().alarm(&call.caller(), &call.alarm_id()).await?;
    Ok(json_answer(StatusCode::OK, &shown::alarm(&alarm)))
}

async fn update(call: Call) -> Answer {
    let alarm = call.service().update(&call.caller(), &call.alarm_id(), &call.json("data")?).await?;
    Ok(json_answer(StatusCode::OK, &shown::alarm(&alarm)))
}

async fn delete(call: Call) -> Answer {
    call.only(&[])?;
    call.service().delete(&call.caller(), &call.alarm_id()).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
