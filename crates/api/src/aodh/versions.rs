//! What the service is and can: `/`, `/healthcheck`, `/v2/capabilities`.

use http::{Method, StatusCode};
use serde_json::json;

use super::call::Call;
use super::{Answer, Route};
use crate::http::answer::{empty, healthy, json_answer};
use crate::http::route::{Produces, handler};

pub(super) fn routes() -> Vec<Route> {
    let check = "/healthcheck";
    vec![
        Route::new(Method::GET, "/", "Versions of the API", handler!(versions)).public().gives("Versions"),
        Route::new(Method::GET, check, "Whether the service answers", handler!(healthcheck))
            .public()
            .produces(Produces::Any),
        Route::new(Method::POST, check, "Whether the service answers", handler!(healthcheck))
            .public()
            .produces(Produces::Any),
        Route::new(Method::HEAD, check, "Whether the service answers", handler!(alive))
            .public()
            .produces(Produces::Any)
            .statuses(&[204]),
        Route::new(Method::GET, "/v2/capabilities", "What the service can", handler!(capabilities))
            .gives("Capabilities"),
    ]
}

async fn versions(call: Call) -> Answer {
    let media_type = |kind: &str| {
        json!({
            "base": format!("application/{kind}"),
            "type": format!("application/vnd.openstack.telemetry-v2+{kind}"),
        })
    };
    let body = json!({"versions": {"values": [{
        "id": "v2",
        "links": [
            {"href": call.base.url("/v2"), "rel": "self"},
            {"href": "https://docs.openstack.org/", "rel": "describedby", "type": "text/html"},
        ],
        "media-types": [media_type("json"), media_type("xml")],
        "status": "stable",
        "updated": "2013-02-13T00:00:00Z",
    }]}});
    Ok(json_answer(StatusCode::OK, &body))
}

async fn healthcheck(call: Call) -> Answer {
    Ok(healthy(&call.accept))
}

async fn alive(_call: Call) -> Answer {
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn capabilities(_call: Call) -> Answer {
    let body = json!({
        "api": {
            "alarms:history:query:complex": true,
            "alarms:history:query:simple": true,
            "alarms:query:complex": true,
            "alarms:query:simple": true,
        },
        "alarm_storage": {"storage:production_ready": true},
    });
    Ok(json_answer(StatusCode::OK, &body))
}
