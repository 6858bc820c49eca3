//! Measures that came too late to count: `…/late` below a metric's path.

use http::{Method, StatusCode};
use nephometer_drivers::LateSpan;
use serde_json::{Value, json};

use super::call::Call;
use super::measures::address;
use super::render::json_answer;
use super::route::{Answer, Route, handler};

pub(super) fn routes() -> Vec<Route> {
    let paths = ["/v1/metric/{id}/late", "/v1/resource/{type}/{id}/metric/{name}/late"];
    let route = |path| {
        Route::new(Method::GET, path, "Count measures that came too late to count, by span", handler!(list))
            .rule("get measures")
            .gives("LateSpan[]")
            .statuses(&[200, 404])
    };
    paths.into_iter().map(route).collect()
}

async fn list(call: Call) -> Answer {
    let late = call.service().late_measures(&call.access(), &address(&call)?).await?;
    Ok(json_answer(StatusCode::OK, &late.iter().map(body).collect::<Vec<_>>().into()))
}

fn body(span: &LateSpan) -> Value {
    json!({
        "start": span.start.isoformat(),
        "granularity": span.width.seconds(),
        "measures": span.measures,
    })
}
