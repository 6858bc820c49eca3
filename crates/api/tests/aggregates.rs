//! Aggregates beyond what upstream's own files check: what upstream cannot do, does by halves or answers with a crash.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use http::Method;
use nephometer_testkit::app::TestApp;
use serde_json::{Value, json};

const HOUR: &str = "2026-01-01T";

/// An application with a policy of 1 h buckets, a rule for every metric, and a type with a flavor.
async fn app() -> TestApp {
    let app = TestApp::start().await.unwrap();
    let policy = json!({"name": "hourly", "definition": [{"granularity": 3600}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    let rule = json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "hourly"});
    app.post("/v1/archive_policy_rule", &rule).await.expect(201);
    let kind = json!({"name": "inst", "attributes": {"flavor": {"type": "string", "required": false}}});
    app.post("/v1/resource_type", &kind).await.expect(201);
    app
}

fn hours(values: &[(u32, f64)]) -> Value {
    let measure =
        |(hour, value): &(u32, f64)| json!({"timestamp": format!("{HOUR}{hour:02}:00:00"), "value": value});
    values.iter().map(measure).collect::<Vec<_>>().into()
}

async fn resource(app: &TestApp, id: &str, flavor: &str, values: &[(u32, f64)]) {
    let body = json!({"id": id, "flavor": flavor, "metrics": {"cpu": {}}});
    app.post("/v1/resource/inst", &body).await.expect(201);
    let body = json!({(id): {"cpu": hours(values)}});
    app.post("/v1/batch/resources/metrics/measures", &body).await.expect(202);
}

async fn id_of(app: &TestApp, resource: &str) -> String {
    let found = app.get(&format!("/v1/resource/inst/{resource}/metric/cpu")).await.expect(200).json();
    found["id"].as_str().unwrap().to_owned()
}

/// Hours and values of a list of triples.
fn values(measures: &Value) -> Vec<(u32, f64)> {
    let triple =
        |triple: &Value| (triple[0].as_str().unwrap()[11..13].parse().unwrap(), triple[2].as_f64().unwrap());
    measures.as_array().unwrap().iter().map(triple).collect()
}

#[tokio::test]
async fn aggregate_takes_several_nodes_and_counts_are_floats() {
    let app = app().await;
    resource(&app, "a", "x", &[(1, 1.0), (2, 4.0)]).await;
    resource(&app, "b", "x", &[(2, 2.0)]).await;
    let (a, b) = (id_of(&app, "a").await, id_of(&app, "b").await);
    let nodes = [json!(["metric", a, "mean"]), json!(["metric", b.to_uppercase(), "mean"])];
    let ask = async |operations: Value| {
        let body = json!({"operations": operations});
        app.post("/v1/aggregates", &body).await.expect(200).json()["measures"]["aggregated"].clone()
    };
    assert_eq!(values(&ask(json!(["aggregate", "sum", nodes[0], nodes[1]])).await), [(1, 1.0), (2, 6.0)]);
    let count = app.post("/v1/aggregates", &json!({"operations": ["aggregate", "count", nodes[0]]})).await;
    assert!(count.expect(200).text().contains("3600.0, 1.0]"));
    let joined = format!("(aggregate count (metric {a} mean) (metric {b} mean))");
    assert_eq!(values(&ask(json!(joined)).await), [(1, 1.0), (2, 2.0)]);
}

#[tokio::test]
async fn bad_requests_are_400_and_never_500() {
    let app = app().await;
    resource(&app, "a", "x", &[(1, 1.0), (2, 4.0)]).await;
    let m = json!(["metric", id_of(&app, "a").await, "mean"]);
    for body in [
        json!({}),
        json!([]),
        json!({"operations": m, "resource_type": "inst"}),
        json!({"operations": m, "resource_type": "nope", "search": {}}),
        json!({"operations": m, "resource_type": 5, "search": {}}),
        json!({"operations": m, "resource_type": "inst", "search": 5}),
        json!({"operations": m, "resource_type": "inst", "search": "flavor"}),
        json!({"operations": m, "resource_type": "inst", "search": "nope = 1"}),
        json!({"operations": ["aggregate", "mean", 3]}),
        json!({"operations": ["aggregate", "mean", ["+", 1, 2]]}),
        json!({"operations": ["rolling", "mean", ["+", 1, 2], m]}),
        json!({"operations": ["aggregate", "mean", ["+", 1, m], ["+", 1, 2]]}),
        json!({"operations": ["resample", "rate:var", 60, m]}),
        json!({"operations": ["+", m, ["resample", "mean", 7200, m]]}),
        json!({"operations": ["rolling", "mean", 10, m]}),
        json!({"operations": ["metric", "x", "mean"]}),
        json!({"operations": "(metric"}),
    ] {
        app.post("/v1/aggregates", &body).await.expect(400);
    }
    for query in ["start=x", "fill=x", "needed_overlap=x", "granularity=x", "details=x", "start=1&start=2"] {
        app.post(&format!("/v1/aggregates?{query}"), &json!({"operations": m})).await.expect(400);
    }
    let id = id_of(&app, "a").await;
    for query in ["metric_id=x", "", "granularity=x"] {
        let path = format!("/v1/search/metric?{query}");
        app.post(&path, &json!({"=": 1})).await.expect(400);
    }
    let path = format!("/v1/search/metric?metric_id={id}");
    for predicate in [json!({"not": [{"=": 1}]}), json!({"=": "x"}), json!([])] {
        app.post(&path, &predicate).await.expect(400);
    }
    let found = app.post(&path, &json!({">": 1})).await.expect(200).json();
    assert_eq!(values(&found[&id]), [(2, 4.0)]);
}

#[tokio::test]
async fn older_aggregation_refuses_what_crashed_upstream() {
    let app = app().await;
    resource(&app, "a", "x", &[(1, 1.0), (2, 4.0)]).await;
    resource(&app, "b", "y", &[(1, 3.0), (2, 4.0)]).await;
    let (a, b) = (id_of(&app, "a").await, id_of(&app, "b").await);
    let both = format!("/v1/aggregation/metric?metric={a}&metric={b}&metric={a}");
    assert_eq!(values(&app.get(&both).await.expect(200).json()), [(1, 2.0), (2, 4.0)]);
    app.get(&format!("{both}&reaggregation=last")).await.expect(400);
    app.get(&format!("{both}&resample=60")).await.expect(400);
    let year = app.get(&format!("{both}&granularity=3600&resample=Y")).await.expect(200).json();
    assert_eq!(year, json!([["2026-01-01T00:00:00+00:00", "Y", 3.0]]));
    app.get("/v1/aggregation/metric?metric=x").await.expect(400);
    app.post("/v1/aggregation/metric", &json!({})).await.expect(400);
    app.post("/v1/aggregation/metric", &json!([5])).await.expect(400);
    assert_eq!(app.get("/v1/aggregation/metric").await.expect(200).json(), json!([]));
    let path = "/v1/aggregation/resource/inst/metric/cpu";
    let groups =
        app.post(&format!("{path}?groupby=flavor&groupby=flavor"), &json!({})).await.expect(200).json();
    assert_eq!(groups[1]["group"], json!({"flavor": "y"}));
    assert_eq!(values(&groups[1]["measures"]), [(1, 3.0), (2, 4.0)]);
    let text = app.post(&format!("{path}?groupby=nope"), &json!({})).await.expect(400).text();
    assert!(text.contains("Invalid groupby attribute"), "{text}");
}

/// Two resources that change their flavor at 08:30; each group gets the part of the hour that it had.
#[tokio::test]
async fn history_splits_hours_between_groups_and_loses_nobody() {
    let app = app().await;
    for (id, value) in [("a", 10.0), ("b", 100.0)] {
        resource(&app, id, "old", &[(7, value), (8, value), (9, value)]).await;
    }
    app.clock.advance_ns(8 * 3_600_000_000_000 + 1_800_000_000_000);
    for id in ["a", "b"] {
        let path = format!("/v1/resource/inst/{id}");
        app.request(Method::PATCH, &path).json(&json!({"flavor": "new"})).send().await.expect(200);
    }
    let body =
        json!({"operations": "(aggregate sum (metric c* mean))", "resource_type": "inst", "search": {}});
    let bounded = format!("&start={HOUR}07:00&stop={HOUR}10:00");
    for range in ["", bounded.as_str()] {
        let path = format!("/v1/aggregates?groupby=flavor&use_history=true&details=true{range}");
        let groups = app.post(&path, &body).await.expect(200).json();
        let of = |flavor: &str| {
            let groups = groups.as_array().unwrap();
            let group = groups.iter().find(|group| group["group"]["flavor"] == flavor).unwrap();
            assert_eq!(group["measures"]["references"].as_array().unwrap().len(), 2);
            values(&group["measures"]["measures"]["aggregated"])
        };
        assert_eq!(of("old"), [(7, 110.0), (8, 55.0)]);
        assert_eq!(of("new"), [(8, 55.0), (9, 110.0)]);
    }
    let each = json!({"operations": "(metric cpu mean)", "resource_type": "inst", "search": {}});
    app.post("/v1/aggregates?groupby=flavor&use_history=true", &each).await.expect(400);
    let none = json!({"operations": "(metric (x mean) (a mean))", "resource_type": "inst", "search": {}});
    let text = app.post("/v1/aggregates?groupby=flavor&use_history=true", &none).await.expect(404).text();
    assert!(text.contains("Metric ['a', 'x'] does not exist"), "{text}");
}
