//! Measures that come in other systems' forms: InfluxDB's lines and Prometheus' remote write.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use http::Method;
use nephometer_testkit::app::{TestAnswer, TestApp};
use serde_json::json;

async fn app() -> TestApp {
    let app = TestApp::start().await.unwrap();
    let policy = json!({"name": "fine", "definition": [{"granularity": 1}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    app
}

async fn with_rule() -> TestApp {
    let app = app().await;
    let rule = json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "fine"});
    app.post("/v1/archive_policy_rule", &rule).await.expect(201);
    app.request(Method::POST, "/v1/influxdb/query?q=create+database+telegraf").send().await.expect(204);
    app
}

async fn write(app: &TestApp, database: &str, lines: &str) -> TestAnswer {
    let path = format!("/v1/influxdb/write?db={database}");
    app.request(Method::POST, &path).body(lines.to_owned()).send().await
}

#[tokio::test]
async fn lines_are_all_or_nothing() {
    let app = with_rule().await;
    write(&app, "telegraf", "").await.expect(204);
    write(&app, "telegraf", "m,host=a text=\"x\"").await.expect(204);
    let refused = write(&app, "telegraf", "m,host=a f=1 1\nm,host=b f=1 x").await.expect(400).json();
    assert_eq!(refused["description"]["reason"], "Unable to parse line 2");
    write(&app, "telegraf", "m,host=a/b f=1").await.expect(400);
    write(&app, "nope", "m,host=a f=1").await.expect(400);
    assert_eq!(app.get("/v1/resource/telegraf").await.expect(200).json(), json!([]));
    write(&app, "telegraf", "m,host=a f=1 1000000000\nm,host=b f=-2i,g=t 2000000000").await.expect(204);
    write(&app, "telegraf", "m,host=a f=5,g=7 3000000000").await.expect(204);
    let points = app.get("/v1/resource/telegraf/a/metric/m.f/measures").await.expect(200).json();
    assert_eq!(points.as_array().unwrap().len(), 2);
    let points = app.get("/v1/resource/telegraf/b/metric/m.f/measures").await.expect(200).json();
    assert_eq!(points, json!([["1970-01-01T00:00:02+00:00", 1.0, -2.0]]));
    let other = app.request(Method::POST, "/v1/influxdb/write?db=telegraf").user("else");
    other.body("m,host=zz f=1").send().await.expect(204);
    let others = app.request(Method::GET, "/v1/resource/telegraf/zz").user("else").send().await;
    assert_eq!(others.expect(200).json()["creator"], "else");
}

#[tokio::test]
async fn without_a_rule_nothing_is_made() {
    let app = app().await;
    app.request(Method::POST, "/v1/influxdb/query?q=create+database+telegraf").send().await.expect(204);
    write(&app, "telegraf", "m,host=a f=1 1").await.expect(400);
    assert_eq!(app.get("/v1/resource/telegraf").await.expect(200).json(), json!([]));
    let kind = json!({"name": "strict", "attributes": {"x": {"type": "string"}}});
    app.post("/v1/resource_type", &kind).await.expect(201);
    write(&app, "strict", "m,host=a f=1 1").await.expect(400);
}

#[tokio::test]
async fn remote_writes_that_are_none_are_refused() {
    let app = with_rule().await;
    let post = |body: Vec<u8>| {
        app.request(Method::POST, "/v1/prometheus/write")
            .header(http::header::ACCEPT, "*/*")
            .body(body)
            .send()
    };
    post(b"garbage".to_vec()).await.expect(400);
    post(Vec::new()).await.expect(400);
    // An empty message, compressed.
    post(vec![0]).await.expect(202);
    // Four gigabytes of nothing.
    post(vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0]).await.expect(413);
}
