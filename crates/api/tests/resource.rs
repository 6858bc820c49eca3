//! Resources beyond what upstream's own files check: what upstream cannot do, does by halves or answers with a crash.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use http::{Method, header};
use nephometer_testkit::app::{TestAnswer, TestApp};
use serde_json::{Value, json};

async fn app_with_type() -> TestApp {
    let app = TestApp::start().await.unwrap();
    let body = json!({"name": "inst", "attributes": {
        "host": {"type": "string"},
        "flavor": {"type": "string", "required": false},
        "size": {"type": "number", "required": false, "min": 1, "max": 9.5},
        "on": {"type": "bool", "required": false},
        "owner": {"type": "uuid", "required": false},
        "booted": {"type": "datetime", "required": false},
    }});
    app.post("/v1/resource_type", &body).await.expect(201);
    app
}

async fn patch(app: &TestApp, path: &str, body: &Value) -> TestAnswer {
    app.request(Method::PATCH, path).json(body).send().await
}

#[tokio::test]
async fn what_is_optional_can_be_cleared() {
    let app = app_with_type().await;
    let body = json!({"id": "vm 1", "host": "h", "flavor": "big", "size": 4, "on": true, "ended_at": "2027-01-01",
        "booted": "2026-01-01T10:00:00.5", "owner": "{75C44741CC604033804E2D3098C7D2E9}"});
    let made = app.post("/v1/resource/inst", &body).await.expect(201).json();
    assert_eq!(made["size"], json!(4.0));
    assert_eq!(made["booted"], "2026-01-01T10:00:00.500000+00:00");
    assert_eq!(made["owner"], "75c44741-cc60-4033-804e-2d3098c7d2e9");
    let cleared =
        json!({"flavor": null, "size": null, "on": null, "owner": null, "booted": null, "ended_at": null});
    let after = patch(&app, "/v1/resource/inst/vm%201", &cleared).await.expect(200).json();
    for key in ["flavor", "size", "on", "owner", "booted", "ended_at"] {
        assert_eq!(after[key], Value::Null, "{key}");
    }
    let refused = patch(&app, "/v1/resource/inst/vm%201", &json!({"host": null})).await.expect(400).json();
    assert_eq!(refused["description"]["reason"], "expected str for dictionary value @ data['host']");
    let history = app.get("/v1/resource/inst/vm%201/history").await.expect(200).json();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[0]["flavor"], "big");
}

#[tokio::test]
async fn values_that_break_the_type_are_named() {
    let app = app_with_type().await;
    for (key, value, reason) in [
        ("size", json!(true), "expected Real for dictionary value @ data['size']"),
        ("size", json!("4"), "expected Real for dictionary value @ data['size']"),
        ("size", json!(10), "value must be at most 9.5 for dictionary value @ data['size']"),
        ("size", json!(0), "value must be at least 1 for dictionary value @ data['size']"),
        ("on", json!(1), "expected bool for dictionary value @ data['on']"),
        ("owner", json!("x"), "badly formed hexadecimal UUID string for dictionary value @ data['owner']"),
        ("booted", json!("x"), "Unable to convert timestamps for dictionary value @ data['booted']"),
        ("nope", json!(1), "extra keys not allowed @ data['nope']"),
        ("started_at", json!(null), "not a valid value for dictionary value @ data['started_at']"),
        ("metrics", json!({"a": 5}), "not a valid value for dictionary value @ data['metrics']['a']"),
        ("id", json!(5), "expected str for dictionary value @ data['id']"),
    ] {
        let mut body = json!({"id": "x", "host": "h"});
        body[key] = value;
        let answer = app.post("/v1/resource/inst", &body).await.expect(400).json();
        assert_eq!(answer["description"]["reason"], reason);
    }
}

#[tokio::test]
async fn bulk_deletes_are_whole() {
    let app = app_with_type().await;
    let policy = json!({"name": "p", "definition": [{"granularity": 60, "points": 10}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    for (id, host) in [("a", "h1"), ("b", "h1"), ("c", "h2")] {
        let metrics = json!({"cpu": {"archive_policy_name": "p"}});
        let body = json!({"id": id, "host": host, "metrics": metrics});
        app.post("/v1/resource/inst", &body).await.expect(201);
    }
    for empty in [json!({}), json!(null)] {
        let request = app.request(Method::DELETE, "/v1/resource/inst");
        let request = if empty.is_null() { request } else { request.json(&empty) };
        assert!(request.send().await.expect(400).text().contains("caution: the query can not be empty"));
    }
    let delete = app.request(Method::DELETE, "/v1/resource/inst").json(&json!({"=": {"host": "h1"}}));
    assert_eq!(delete.send().await.expect(200).json(), json!({"deleted": 2}));
    assert_eq!(app.get("/v1/resource/generic").await.json().as_array().unwrap().len(), 1);
    assert_eq!(app.get("/v1/metric").await.json().as_array().unwrap().len(), 1);
    app.post("/v1/resource/inst", &json!({"id": "a", "host": "h1"})).await.expect(201);
}

#[tokio::test]
async fn new_metrics_come_first_in_the_answer() {
    let app = app_with_type().await;
    let policy = json!({"name": "p", "definition": [{"granularity": 60, "points": 10}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    let metric = json!({"archive_policy_name": "p", "unit": "%"});
    let body = json!({"id": "a", "host": "h", "metrics": {"a": metric, "b": metric}});
    app.post("/v1/resource/inst", &body).await.expect(201);
    let path = "/v1/resource/inst/a/metric";
    let all = app.post(path, &json!({"z": metric})).await.expect(200).json();
    let names: Vec<_> =
        all.as_array().unwrap().iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["z", "a", "b"]);
    app.post(path, &json!({"z": metric})).await.expect(409);
    app.post(path, &json!({"q": {"archive_policy_name": "none"}})).await.expect(400);
    app.post(path, &json!({"q": {}})).await.expect(400);
    let long = json!({"q": {"archive_policy_name": "p", "unit": "x".repeat(32)}});
    app.post(path, &long).await.expect(400);
}

#[tokio::test]
async fn two_writers_who_looked_at_the_same_revision_do_not_both_win() {
    let app = app_with_type().await;
    let made = app.post("/v1/resource/inst", &json!({"id": "a", "host": "h"})).await.expect(201);
    let etag = made.header(&header::ETAG).to_owned();
    app.clock.advance_ns(1_000_000_000);
    let change = |host: &str| {
        let request = app.request(Method::PATCH, "/v1/resource/inst/a").header(header::IF_MATCH, &etag);
        request.json(&json!({"host": host})).send()
    };
    let changed = change("h1").await.expect(200);
    assert_ne!(changed.header(&header::ETAG), etag);
    change("h2").await.expect(412);
    let unchanged = patch(&app, "/v1/resource/inst/a", &json!({"host": "h1"})).await.expect(200);
    assert_eq!(unchanged.header(&header::ETAG), "");
    let nothing = patch(&app, "/v1/resource/inst/a", &json!({})).await.expect(200);
    assert_eq!(nothing.header(&header::ETAG), changed.header(&header::ETAG));
    let current = changed.header(&header::ETAG);
    let read = app.request(Method::GET, "/v1/resource/inst/a").header(header::IF_NONE_MATCH, current);
    assert!(read.send().await.expect(304).body.is_empty());
}

#[tokio::test]
async fn bad_query_strings_are_400_and_never_500() {
    let app = app_with_type().await;
    for path in [
        "/v1/metric?id=nope",
        "/v1/metric?name=a&name=b",
        "/v1/metric?status=gone",
        "/v1/metric?marker=nope",
        "/v1/metric?limit=0",
        "/v1/metric?limit=1&limit=2",
        "/v1/metric?sort=name:up",
        "/v1/metric?sort=nope",
        "/v1/resource/inst?marker=nope",
        "/v1/resource/inst?history=true&marker=nope",
        "/v1/resource/inst?marker=75c44741-cc60-4033-804e-2d3098c7d2e9",
        "/v1/resource/inst?details=perhaps",
        "/v1/resource/inst?sort=nope:asc",
        "/v1/status?details=perhaps",
    ] {
        app.get(path).await.expect(400);
    }
    let body = json!({"name": "x", "resource_id": "nope", "archive_policy_name": "p"});
    app.post("/v1/metric", &body).await.expect(404);
    app.post("/v1/metric", &json!({"unit": "x".repeat(32)})).await.expect(400);
    app.post("/v1/resource_type", &json!({})).await.expect(400);
    let generic =
        json!([{"op": "add", "path": "/attributes/x", "value": {"type": "bool", "required": false}}]);
    let request = app.request(Method::PATCH, "/v1/resource_type/generic").json(&generic);
    request.header(header::CONTENT_TYPE, "application/json-patch+json").send().await.expect(400);
}
