//! Very many metrics made by one request: in parts, so that others are not kept waiting, and as if at once.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::future::poll_fn;
use std::task::Poll;

use nephometer_testkit::app::TestApp;
use serde_json::{Map, Value, json};

const PATH: &str = "/v1/batch/resources/metrics/measures?create_metrics=true";
const RESOURCES: usize = 40;
/// Metrics of each resource.
const METRICS: usize = 250;
/// As many as one transaction makes.
const PART: u64 = 2000;

fn id(resource: usize) -> String {
    format!("00000000-0000-4000-8000-{resource:012}")
}

/// Measures of metrics that do not exist; the policy of the very last one is `last_policy`.
fn body(last_policy: &str) -> Value {
    let mut resources = Map::new();
    for resource in 0..RESOURCES {
        let metric = |number: usize| {
            let last = (resource, number) == (RESOURCES - 1, METRICS - 1);
            let policy = if last { last_policy } else { "low" };
            let measures = json!([{"timestamp": "2026-01-01T00:00:01", "value": number}]);
            (format!("m{number:03}"), json!({"archive_policy_name": policy, "measures": measures}))
        };
        resources.insert(id(resource), (0..METRICS).map(metric).collect());
    }
    resources.into()
}

async fn app() -> TestApp {
    let app = TestApp::start().await.unwrap();
    let policy = json!({"name": "low", "definition": [{"granularity": 60, "points": 100}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    for resource in 0..RESOURCES {
        app.post("/v1/resource/generic", &json!({"id": id(resource)})).await.expect(201);
    }
    app
}

async fn metrics(app: &TestApp) -> u64 {
    app.service.counts().await.unwrap().metrics
}

async fn measured(app: &TestApp, resource: usize, metric: usize) -> bool {
    let path = format!("/v1/resource/generic/{}/metric/m{metric:03}/measures", id(resource));
    !app.get(&path).await.expect(200).json().as_array().unwrap().is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_made_and_none_is() {
    let app = app().await;
    app.post(PATH, &body("none")).await.expect(400);
    assert_eq!(metrics(&app).await, 0);
    app.post(PATH, &body("low")).await.expect(202);
    assert_eq!(metrics(&app).await, (RESOURCES * METRICS) as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_broken_off_can_be_done_again() {
    let app = app().await;
    let body = body("low");
    let mut request = Box::pin(app.post(PATH, &body));
    // The caller goes away as soon as something is there.
    while metrics(&app).await == 0 {
        let is_done = poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_ready())).await;
        assert!(!is_done, "the answer came before the metrics");
    }
    drop(request);
    // This one waits its turn behind the part under way.
    app.post("/v1/metric", &json!({"archive_policy_name": "low"})).await.expect(201);
    let made = metrics(&app).await - 1;
    assert!(made.is_multiple_of(PART) && (PART..(RESOURCES * METRICS) as u64).contains(&made), "{made}");
    assert!(!measured(&app, 0, 0).await);
    app.post(PATH, &body).await.expect(202);
    assert_eq!(metrics(&app).await, 1 + (RESOURCES * METRICS) as u64);
    assert!(measured(&app, 0, 0).await && measured(&app, RESOURCES - 1, METRICS - 1).await);
}
