//! What alarms read of the metric service, by the contract they read through.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::{Arc, Mutex};

use nephometer_drivers::{
    MetricRead, MetricReadError, MetricReader as _, MetricSubject, SeriesRun, WriteFeed as _, WriteObserver,
};
use nephometer_model::{SeriesKey, Timespan};
use nephometer_testkit::app::{START, TestApp};
use serde_json::{Value, json};

const MINUTE: Timespan = Timespan::from_seconds(60);

/// A minute's policy, and two resources of different projects with a metric each.
async fn app() -> TestApp {
    let app = TestApp::start().await.unwrap();
    let policy = json!({"name": "minutes", "aggregation_methods": ["mean", "max", "rate:mean"],
                        "definition": [{"granularity": 60, "points": 1440}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    for (id, project, values) in [("vm-a", "p1", [1.0, 2.0, 3.0]), ("vm-b", "p2", [10.0, 20.0, 30.0])] {
        let metrics = json!({"cpu": {"archive_policy_name": "minutes"}});
        let body = json!({"id": id, "project_id": project, "metrics": metrics});
        app.post("/v1/resource/generic", &body).await.expect(201);
        let measure = |(minute, value): (usize, &f64)| json!({"timestamp": format!("2026-01-01T00:0{minute}:10"), "value": value});
        let measures: Vec<Value> = values.iter().enumerate().map(measure).collect();
        app.post("/v1/batch/resources/metrics/measures", &json!({(id): {"cpu": measures}})).await.expect(202);
    }
    app
}

fn read(subject: MetricSubject, method: &str) -> MetricRead {
    MetricRead {
        subject,
        method: method.to_owned(),
        granularity: MINUTE,
        start: START,
        stop: nephometer_model::Timestamp::from_ns(START.ns() + 3_600_000_000_000),
        project_id: None,
    }
}

fn of(resource: &str, metric: &str) -> MetricSubject {
    MetricSubject::OfResource { resource_id: resource.to_owned(), metric: metric.to_owned() }
}

fn found(metric: &str, search: Value) -> MetricSubject {
    MetricSubject::OfResources { metric: metric.to_owned(), resource_type: "generic".to_owned(), search }
}

async fn values(app: &TestApp, reads: Vec<MetricRead>) -> Vec<Result<Vec<f64>, MetricReadError>> {
    let answers = app.service.read(reads).await;
    answers
        .into_iter()
        .map(|answer| answer.map(|points| points.into_iter().map(|point| point.1).collect()))
        .collect()
}

#[tokio::test]
async fn many_readings_are_answered_in_their_order() {
    let app = app().await;
    let all = json!({"like": {"original_resource_id": "vm-%"}});
    let reads = vec![
        read(of("vm-b", "cpu"), "mean"),
        read(found("cpu", all.clone()), "mean"),
        read(of("vm-a", "cpu"), "rate:mean"),
        read(of("vm-a", "disk"), "mean"),
        read(of("vm-z", "cpu"), "mean"),
        read(of("vm-a", "cpu"), "median"),
        read(found("disk", all), "mean"),
        read(found("cpu", json!({"sounds": 1})), "mean"),
    ];
    let answers = values(&app, reads).await;
    assert_eq!(answers[0], Ok(vec![10.0, 20.0, 30.0]));
    assert_eq!(answers[1], Ok(vec![5.5, 11.0, 16.5]));
    assert_eq!(answers[2], Ok(vec![1.0, 1.0]));
    assert_eq!(answers[3], Err(MetricReadError::NoSuchMetric));
    assert_eq!(answers[4], Err(MetricReadError::NoSuchResource));
    assert_eq!(answers[5], Err(MetricReadError::NoSuchAggregate));
    assert_eq!(answers[6], Err(MetricReadError::NoSuchMetric));
    assert!(matches!(answers[7], Err(MetricReadError::Refused { status: 400, .. })));
}

#[tokio::test]
async fn metrics_are_aggregated_without_overlap() {
    let app = app().await;
    let mut ids = Vec::new();
    for vm in ["vm-a", "vm-b"] {
        let metric = app.get(&format!("/v1/resource/generic/{vm}/metric/cpu")).await.expect(200).json();
        ids.push(metric["id"].as_str().unwrap().to_owned());
    }
    let late = json!([{"timestamp": "2026-01-01T00:07:00", "value": 7}]);
    app.post(&format!("/v1/metric/{}/measures", ids[0]), &late).await.expect(202);
    let reads =
        vec![read(MetricSubject::Metrics(ids), "max"), read(MetricSubject::Metrics(vec![uuid()]), "max")];
    let answers = values(&app, reads).await;
    assert_eq!(answers[0], Ok(vec![10.0, 20.0, 30.0, 7.0]));
    assert_eq!(answers[1], Err(MetricReadError::NoSuchMetric));
}

fn uuid() -> String {
    "00000000-0000-4000-8000-000000000000".to_owned()
}

#[tokio::test]
async fn a_project_reads_its_own_only() {
    let app = app().await;
    let scoped = |subject| MetricRead { project_id: Some("p1".to_owned()), ..read(subject, "mean") };
    let all = json!({"like": {"original_resource_id": "vm-%"}});
    let answers =
        values(&app, vec![scoped(of("vm-a", "cpu")), scoped(of("vm-b", "cpu")), scoped(found("cpu", all))])
            .await;
    assert_eq!(answers[0], Ok(vec![1.0, 2.0, 3.0]));
    assert_eq!(answers[1], Err(MetricReadError::NoSuchResource));
    assert_eq!(answers[2], Ok(vec![1.0, 2.0, 3.0]));
}

#[derive(Default)]
struct Heard(Mutex<Vec<SeriesKey>>);

impl WriteObserver for Heard {
    fn written(&self, runs: &[SeriesRun]) {
        self.0.lock().unwrap().extend(runs.iter().map(|run| run.key));
    }
}

#[tokio::test]
async fn writes_are_told_by_the_series_that_readings_depend_on() {
    let app = app().await;
    let heard = Arc::new(Heard::default());
    let observer: Arc<dyn WriteObserver> = heard.clone();
    app.service.observe(Arc::downgrade(&observer));
    let series =
        app.service.series(&[read(of("vm-a", "cpu"), "mean"), read(of("vm-a", "disk"), "mean")]).await;
    let [Some(cpu), None] = &series[..] else { panic!("{series:?}") };
    let body = json!({"vm-a": {"cpu": [{"timestamp": "2026-01-01T00:09:00", "value": 1}]}});
    app.post("/v1/batch/resources/metrics/measures", &body).await.expect(202);
    assert_eq!(&*heard.0.lock().unwrap(), cpu);
    app.post("/v1/batch/resources/metrics/measures", &json!({"vm-z": {"cpu": []}})).await;
    assert_eq!(heard.0.lock().unwrap().len(), 1);
}
