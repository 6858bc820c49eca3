//! Versions, capabilities, media types, and the form of refusals.

use http::{HeaderName, Method, header};
use nephometer_testkit::alarm_app::AlarmApp;
use serde_json::json;

use crate::support::*;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

#[tokio::test]
async fn refusals_are_json() {
    let app = AlarmApp::start().await.unwrap();
    let body = json!({"name": "foobar", "type": "gnocchi_resources_threshold"});
    let refused = app.post(NOBODY, "/v2/alarms", &body).await.expect(400);
    assert_eq!(refused.header(&header::CONTENT_TYPE), "application/json");
    assert_eq!(
        fault(&refused),
        "gnocchi_resources_threshold_rule must be set for gnocchi_resources_threshold type alarm"
    );
}

#[tokio::test]
async fn who_would_take_anything_is_refused_in_json() {
    let app = AlarmApp::start().await.unwrap();
    let body = json!({"name": "foobar", "type": "gnocchi_resources_threshold"});
    let request = app.request(NOBODY, Method::POST, "/v2/alarms").json(&body);
    let refused = request.header(header::ACCEPT, "application/xml,*/*").send().await.expect(400);
    assert_eq!(refused.header(&header::CONTENT_TYPE), "application/json");
    fault(&refused);
    let request = app.request(OWNER, Method::GET, "/v2/alarms");
    fault(&request.header(header::ACCEPT, "application/xml").send().await.expect(406));
}

#[tokio::test]
async fn an_alarm_that_is_not_there_is_said_not_to_be() {
    let app = AlarmApp::start().await.unwrap();
    let refused = app.get(OWNER, "/v2/alarms/alarm-id-3").await.expect(404);
    assert_eq!(fault(&refused), "Alarm alarm-id-3 not found");
}

#[tokio::test]
async fn refusals_of_the_router_have_the_form_of_all_others() {
    let app = AlarmApp::start().await.unwrap();
    for path in ["/v2", "/v2/", "/v1", "/v2/nothing", "/nothing"] {
        fault(&app.get(OWNER, path).await.expect(404));
    }
    for (method, path) in [
        (Method::PUT, "/v2/alarms"),
        (Method::PATCH, "/v2/alarms/a"),
        (Method::HEAD, "/v2/alarms"),
        (Method::GET, "/v2/quotas/a"),
    ] {
        let refused = app.request(OWNER, method.clone(), path).send().await;
        assert_eq!(refused.status, 405, "{method} {path}");
        if method != Method::HEAD {
            fault(&refused);
        }
    }
}

#[tokio::test]
async fn bodies_are_json_objects() {
    let app = AlarmApp::start().await.unwrap();
    let send = |kind: &'static str, body: &'static str| {
        let request = app.request(OWNER, Method::POST, "/v2/alarms");
        request.header(header::CONTENT_TYPE, kind).body(body).send()
    };
    let refused = send("text/plain", "{}").await.expect(415);
    assert_eq!(fault(&refused), "Unknown mimetype: text/plain");
    let refused = send("application/json", "{").await.expect(400);
    assert_eq!(fault(&refused), "Request is not in valid JSON format");
    let refused = send("application/json", "").await.expect(400);
    assert_eq!(fault(&refused), "Missing argument: \"data\"");
    let refused = send("application/x-www-form-urlencoded", "a=1&b=2").await.expect(400);
    assert_eq!(fault(&refused), "Unknown argument: \"a, b\"");
    for container in ["[]", "\"text\"", "1", "null"] {
        fault(&send("application/json", container).await.expect(400));
    }
}

#[tokio::test]
async fn versions_and_capabilities_are_told() {
    let app = AlarmApp::start().await.unwrap();
    let versions = app.get(NOBODY, "/").await.expect(200).json();
    assert_eq!(versions["versions"]["values"][0]["links"][0]["href"], "http://localhost/v2");
    let capabilities = app.get(OWNER, "/v2/capabilities").await.expect(200).json();
    assert_eq!(capabilities["api"]["alarms:query:complex"], true);
    assert_eq!(capabilities["alarm_storage"], json!({"storage:production_ready": true}));
    app.get(NOBODY, "/healthcheck").await.expect(200);
}

#[tokio::test]
async fn requests_are_named_afresh() {
    let app = AlarmApp::start().await.unwrap();
    let given = "req-00000000-0000-4000-8000-000000000001";
    let ask = || app.request(OWNER, Method::GET, "/v2/alarms").header(REQUEST_ID, given).send();
    let names = [ask().await, ask().await].map(|answer| answer.header(&REQUEST_ID).to_owned());
    assert!(names.iter().all(|name| name.starts_with("req-") && name.len() == given.len()), "{names:?}");
    assert!(names[0] != names[1] && !names.contains(&given.to_owned()), "{names:?}");
}
