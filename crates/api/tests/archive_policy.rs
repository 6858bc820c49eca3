//! Archive policies beyond what upstream's own files check: mixed methods, whole numbers, changes that reach back.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use http::{Method, header};
use nephometer_testkit::app::TestApp;
use serde_json::{Value, json};

async fn patch(app: &TestApp, path: &str, body: &Value) -> nephometer_testkit::app::TestAnswer {
    app.request(Method::PATCH, path).json(body).send().await
}

fn names(policy: &Value) -> Vec<&str> {
    policy["aggregation_methods"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn signs_and_names_may_be_mixed() {
    let app = TestApp::start().await.unwrap();
    let body = json!({
        "name": "mixed", "aggregation_methods": ["mean", "+95pct", "-max"],
        "definition": [{"granularity": "1 minute", "points": "10"}],
    });
    let policy = app.post("/v1/archive_policy", &body).await.expect(201).json();
    assert_eq!(names(&policy), ["mean", "95pct"]);
    let body =
        json!({"name": "all", "aggregation_methods": ["*"], "definition": [{"granularity": 1, "points": 1}]});
    let policy = app.post("/v1/archive_policy", &body).await.expect(201).json();
    assert_eq!(names(&policy).len(), 216);
}

#[tokio::test]
async fn definitions_that_upstream_can_make_but_not_read_can_be_read() {
    let app = TestApp::start().await.unwrap();
    let definition = json!([{"granularity": 0.1, "points": 3}, {"timespan": "1 hour", "points": 7}]);
    let made =
        app.post("/v1/archive_policy", &json!({"name": "odd", "definition": definition})).await.expect(201);
    let read = app.get("/v1/archive_policy/odd").await.expect(200);
    assert_eq!(read.body, made.body);
    assert_eq!(read.json()["definition"][0]["granularity"], "0:00:00.100000");
    assert_eq!(read.json()["definition"][1]["granularity"], "0:08:34.285714");
    assert_eq!(app.get("/v1/archive_policy").await.expect(200).json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn names_in_any_script_and_with_slashes_are_reachable() {
    let app = TestApp::start().await.unwrap();
    let definition = json!([{"granularity": 60, "points": 10}]);
    let name = "✔ a/b".to_owned() + &"é".repeat(249);
    let made =
        app.post("/v1/archive_policy", &json!({"name": name, "definition": definition})).await.expect(201);
    let location = made.header(&header::LOCATION).to_owned();
    assert!(location.starts_with("http://localhost/v1/archive_policy/%E2%9C%94%20a/b%C3%A9"), "{location}");
    let path = "/v1/archive_policy/%E2%9C%94%20a%2Fb".to_owned() + &"%C3%A9".repeat(249);
    assert_eq!(app.get(&path).await.expect(200).json()["name"], name);
    app.delete(&path).await.expect(204);
    for bad in [String::new(), "é".repeat(256)] {
        app.post("/v1/archive_policy", &json!({"name": bad, "definition": definition})).await.expect(400);
    }
}

#[tokio::test]
async fn changes_reach_back_over_what_is_stored() {
    let app = TestApp::start().await.unwrap();
    let body = json!({"name": "p", "aggregation_methods": ["mean"], "definition": [{"granularity": 60, "points": 100}]});
    app.post("/v1/archive_policy", &body).await.expect(201);
    let metric = app.post("/v1/metric", &json!({"archive_policy_name": "p"})).await.expect(201).json();
    let measures = format!("/v1/metric/{}/measures", metric["id"].as_str().unwrap());
    let points = json!([
        {"timestamp": "2026-01-01T00:00:00", "value": 1}, {"timestamp": "2026-01-01T00:00:30", "value": 5},
    ]);
    app.post(&measures, &points).await.expect(202);
    app.get(&format!("{measures}?aggregation=max")).await.expect(404);

    let path = "/v1/archive_policy/p";
    patch(&app, path, &json!({"aggregation_methods": ["mean", "max"]})).await.expect(200);
    let maxima = app.get(&format!("{measures}?aggregation=max")).await.expect(200).json();
    assert_eq!(maxima, json!([["2026-01-01T00:00:00+00:00", 60.0, 5.0]]));

    let finer =
        json!({"definition": [{"granularity": 60, "points": 100}, {"granularity": 30, "points": 100}]});
    let refused = patch(&app, path, &finer).await.expect(400).json();
    assert_eq!(
        refused["description"],
        "Archive policy p does not support change: Cannot add or drop granularities"
    );
    patch(&app, &format!("{path}?redefine=true"), &finer).await.expect(200);
    let fine = app.get(&format!("{measures}?granularity=30")).await.expect(200).json();
    assert_eq!(
        fine,
        json!([["2026-01-01T00:00:00+00:00", 30.0, 1.0], ["2026-01-01T00:00:30+00:00", 30.0, 5.0]])
    );

    let missing = patch(&app, path, &json!({"back_window": 1})).await.expect(400).json();
    assert_eq!(missing["description"]["reason"], "required key not provided @ data['definition']");
    let moved = json!({"definition": [{"granularity": 61, "points": 1}, {"granularity": 30, "points": 1}]});
    let refused = patch(&app, path, &moved).await.expect(400).json();
    assert_eq!(
        refused["description"],
        "Archive policy p does not support change: 60.0 granularity interval was changed"
    );
    app.delete(path).await.expect(400);
}
