//! Resources that end, come back and go by themselves, seen through the API.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use nephometer_metric::{Expirer, ExpiryOutcome, ExpirySettings};
use nephometer_model::Clock as _;
use nephometer_testkit::app::TestApp;
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

async fn app() -> TestApp {
    let app = TestApp::start().await.unwrap();
    let policy = json!({"name": "fine", "definition": [{"granularity": 60}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    let rule = json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "fine"});
    app.post("/v1/archive_policy_rule", &rule).await.expect(201);
    app
}

async fn expirer(
    app: &TestApp,
    inactive_after: Option<Duration>,
    cleanup_after: Option<Duration>,
) -> Expirer {
    let settings = ExpirySettings { inactive_after, cleanup_after };
    Expirer::start(Arc::clone(&app.service), settings).await.unwrap()
}

fn pass(app: &TestApp, time: Duration) {
    app.clock.advance_ns(i64::try_from(time.as_nanos()).unwrap());
}

/// Makes a resource; gives the ids of its metrics.
async fn resource(app: &TestApp, id: &str, names: &[&str]) -> Vec<String> {
    let metrics: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    let body = json!({"id": id, "metrics": metrics});
    let made = app.post("/v1/resource/generic", &body).await.expect(201).json();
    names.iter().map(|name| made["metrics"][name].as_str().unwrap().to_owned()).collect()
}

/// A measure of `name`, so many seconds from now, in the form that names resources.
async fn measure(app: &TestApp, id: &str, name: &str, seconds: i64) {
    let timestamp = app.clock.now().ns() / 1_000_000_000 + seconds;
    let batch = json!({id: {name: [{"timestamp": timestamp, "value": 1}]}});
    app.post("/v1/batch/resources/metrics/measures", &batch).await.expect(202);
}

async fn ended_at(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/v1/resource/generic/{id}")).await.expect(200).json()["ended_at"].clone()
}

async fn revisions(app: &TestApp, id: &str) -> usize {
    let history = app.get(&format!("/v1/resource/generic/{id}/history")).await.expect(200).json();
    history.as_array().unwrap().len()
}

async fn set_end(app: &TestApp, id: &str, end: Value) {
    let path = format!("/v1/resource/generic/{id}");
    app.request(Method::PATCH, &path).json(&json!({"ended_at": end})).send().await.expect(200);
}

fn ended(ended: u64) -> ExpiryOutcome {
    ExpiryOutcome { ended, ..ExpiryOutcome::default() }
}

#[tokio::test]
async fn what_nobody_measures_ends_and_what_is_measured_again_is_restored() {
    let app = app().await;
    let mut expirer = expirer(&app, Some(DAY), None).await;
    let ids = resource(&app, "silent", &["cpu", "memory"]).await;
    resource(&app, "half", &["cpu", "memory", "disk"]).await;
    resource(&app, "never measured", &["cpu"]).await;
    resource(&app, "bare", &[]).await;
    measure(&app, "silent", "cpu", 0).await;
    measure(&app, "half", "cpu", 0).await;
    pass(&app, DAY - HOUR);
    measure(&app, "half", "disk", 0).await;
    assert_eq!(expirer.run().await.unwrap(), ended(0));
    pass(&app, 2 * HOUR);
    resource(&app, "young", &["cpu"]).await;
    assert_eq!(expirer.run().await.unwrap(), ended(2));
    assert_eq!(ended_at(&app, "silent").await, "2026-01-02T01:00:00+00:00");
    assert_ne!(ended_at(&app, "never%20measured").await, Value::Null);
    for id in ["half", "bare", "young"] {
        assert_eq!(ended_at(&app, id).await, Value::Null, "{id}");
    }
    assert_eq!(revisions(&app, "silent").await, 2);
    assert_eq!(expirer.run().await.unwrap(), ended(0));

    // A late measure is stored and changes nothing else.
    measure(&app, "silent", "memory", -10).await;
    assert_eq!(revisions(&app, "silent").await, 2);
    let now = app.clock.now().ns() / 1_000_000_000;
    let path = format!("/v1/metric/{}/measures", ids[1]);
    app.post(&path, &json!([{"timestamp": now - 5, "value": 1}, {"timestamp": now, "value": 1}]))
        .await
        .expect(202);
    assert_eq!((ended_at(&app, "silent").await, revisions(&app, "silent").await), (Value::Null, 3));
    measure(&app, "never measured", "cpu", 1).await;
    assert_eq!(ended_at(&app, "never%20measured").await, Value::Null);
    assert_eq!(expirer.run().await.unwrap(), ended(0));

    pass(&app, DAY + HOUR);
    assert_eq!(expirer.run().await.unwrap(), ended(4));
    let batch = json!({ids[0].clone(): [{"timestamp": now, "value": 1}], ids[1].clone(): [
        {"timestamp": now + 2 * 86_400, "value": 2}]});
    app.post("/v1/batch/metrics/measures", &batch).await.expect(202);
    assert_eq!((ended_at(&app, "silent").await, revisions(&app, "silent").await), (Value::Null, 5));
}

#[tokio::test]
async fn ends_that_clients_set_count_too() {
    let app = app().await;
    resource(&app, "before", &["cpu"]).await;
    resource(&app, "after", &["cpu"]).await;
    measure(&app, "before", "cpu", 100).await;
    set_end(&app, "before", json!("2026-01-01T00:00:10")).await;
    measure(&app, "before", "cpu", 101).await;
    assert_ne!(ended_at(&app, "before").await, Value::Null, "nobody asked for it");

    let mut expirer = expirer(&app, Some(DAY), None).await;
    assert_eq!(expirer.run().await.unwrap(), ExpiryOutcome::default());
    assert_ne!(ended_at(&app, "before").await, Value::Null, "nothing came since");
    measure(&app, "before", "cpu", 9).await;
    assert_ne!(ended_at(&app, "before").await, Value::Null);
    measure(&app, "before", "cpu", 10).await;
    assert_eq!(ended_at(&app, "before").await, Value::Null);

    measure(&app, "after", "cpu", 0).await;
    set_end(&app, "after", json!("2026-01-01T00:01:00")).await;
    measure(&app, "after", "cpu", 59).await;
    assert_ne!(ended_at(&app, "after").await, Value::Null);
    set_end(&app, "after", Value::Null).await;
    measure(&app, "after", "cpu", 61).await;
    assert_eq!((ended_at(&app, "after").await, revisions(&app, "after").await), (Value::Null, 3));
    let ended = json!({"id": "born ended", "started_at": "2026-01-01", "ended_at": "2026-01-01", "metrics": {"cpu": {}}});
    app.post("/v1/resource/generic", &ended).await.expect(201);
    measure(&app, "born ended", "cpu", 0).await;
    assert_eq!(ended_at(&app, "born%20ended").await, Value::Null);
    app.delete("/v1/resource/generic/after").await.expect(204);
    resource(&app, "after", &["cpu"]).await;
    measure(&app, "after", "cpu", 61).await;
    assert_eq!(revisions(&app, "after").await, 1);
}

#[tokio::test]
async fn a_start_finds_measures_that_came_while_a_resource_was_ended() {
    let app = app().await;
    for id in ["raced", "quiet"] {
        resource(&app, id, &["cpu"]).await;
    }
    pass(&app, HOUR);
    for id in ["raced", "quiet"] {
        // As an expirer ends it: now.
        set_end(&app, id, json!("2026-01-01T01:00:00")).await;
    }
    measure(&app, "raced", "cpu", 0).await;
    let mut expirer = expirer(&app, Some(DAY), None).await;
    assert_eq!(expirer.run().await.unwrap(), ExpiryOutcome { restored: 1, ..ExpiryOutcome::default() });
    assert_eq!(expirer.run().await.unwrap(), ExpiryOutcome::default());
    assert_eq!(ended_at(&app, "raced").await, Value::Null);
    assert_ne!(ended_at(&app, "quiet").await, Value::Null);
}

#[tokio::test]
async fn nothing_ends_soon_after_a_start() {
    let app = app().await;
    resource(&app, "vm", &["cpu"]).await;
    pass(&app, 30 * DAY);
    let mut expirer = expirer(&app, Some(DAY), None).await;
    pass(&app, HOUR / 2);
    assert_eq!(expirer.run().await.unwrap(), ended(0));
    pass(&app, HOUR / 2);
    assert_eq!(expirer.run().await.unwrap(), ended(1));
}

#[tokio::test]
async fn what_ended_long_ago_goes_with_all_it_has() {
    let app = app().await;
    let ids = resource(&app, "old", &["cpu"]).await;
    measure(&app, "old", "cpu", 0).await;
    resource(&app, "open", &["cpu"]).await;
    for number in 0..450 {
        let body =
            json!({"id": format!("gone {number}"), "started_at": "2025-01-01", "ended_at": "2025-06-01"});
        app.post("/v1/resource/generic", &body).await.expect(201);
    }
    set_end(&app, "old", json!("2026-01-01T00:00:01")).await;
    let mut expirer = expirer(&app, None, Some(DAY)).await;
    assert_eq!(expirer.run().await.unwrap(), ExpiryOutcome { deleted: 450, ..ExpiryOutcome::default() });
    pass(&app, DAY + Duration::from_secs(1));
    assert_eq!(expirer.run().await.unwrap(), ExpiryOutcome::default());
    pass(&app, Duration::from_secs(1));
    assert_eq!(expirer.run().await.unwrap(), ExpiryOutcome { deleted: 1, ..ExpiryOutcome::default() });
    app.get("/v1/resource/generic/old").await.expect(404);
    app.get(&format!("/v1/metric/{}/measures", ids[0])).await.expect(404);
    let left = app.get("/v1/resource/generic").await.expect(200).json();
    assert_eq!(left.as_array().unwrap().len(), 1);
}
