//! Messages that were given up: `/v2/deliveries`. An addition to upstream.

use http::{Method, StatusCode};
use nephometer_alarm::definition;
use nephometer_alarm::service::naive;
use nephometer_drivers::Delivery;
use serde_json::{Value, json};

use super::call::Call;
use super::{Answer, Route};
use crate::http::answer::json_answer;
use crate::http::route::handler;

/// The parameter that says how many are shown.
const LIMIT: &str = "limit";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Method::GET,
            "/v2/deliveries",
            "List messages that were given up, newest first",
            handler!(list),
        )
        .rule("context_is_admin")
        .query(&[LIMIT])
        .gives("DeadDelivery[]"),
        Route::new(
            Method::POST,
            "/v2/deliveries/retry",
            "Have messages that were given up sent again",
            handler!(retry),
        )
        .rule("context_is_admin")
        .takes("Retry")
        .gives("Retried"),
    ]
}

async fn list(call: Call) -> Answer {
    call.only(&[LIMIT])?;
    let dead = call.service().dead_deliveries(&call.caller(), call.query.first(LIMIT)).await?;
    Ok(json_answer(StatusCode::OK, &dead.iter().map(shown).collect()))
}

async fn retry(call: Call) -> Answer {
    let retried = call.service().retry_deliveries(&call.caller(), &call.json("body")?).await?;
    Ok(json_answer(StatusCode::OK, &json!({ "retried": retried })))
}

/// A message without the trust or the password by which it reaches its target.
fn shown(delivery: &Delivery) -> Value {
    let message = &delivery.message;
    json!({
        "delivery_id": message.id,
        "alarm_id": message.alarm_id.0,
        "project_id": message.project_id,
        "action": definition::bare(&message.action),
        "created_at": naive(delivery.created_at),
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
        "notification": serde_json::from_str(&message.payload).unwrap_or(Value::Null),
    })
}
