//! Measures beyond what upstream's own files check: what upstream cannot do, does by halves or answers with a crash.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use http::Method;
use nephometer_testkit::app::{TestAnswer, TestApp};
use serde_json::{Value, json};

/// An application with a policy of 1 s and 60 s buckets and a rule that gives it to every metric.
async fn app() -> TestApp {
    prepared(TestApp::start().await.unwrap()).await
}

async fn prepared(app: TestApp) -> TestApp {
    let policy = json!({"name": "fine", "aggregation_methods": ["mean", "count", "rate:mean"],
        "definition": [{"granularity": 1}, {"granularity": 60}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    let rule = json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "fine"});
    app.post("/v1/archive_policy_rule", &rule).await.expect(201);
    app
}

async fn metric(app: &TestApp) -> String {
    let made = app.post("/v1/metric", &json!({"archive_policy_name": "fine"})).await.expect(201).json();
    made["id"].as_str().unwrap().to_owned()
}

async fn resource(app: &TestApp, id: &str, names: &[&str]) {
    let metrics: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    app.post("/v1/resource/generic", &json!({"id": id, "metrics": metrics})).await.expect(201);
}

fn points(answer: &TestAnswer) -> Vec<(String, f64, f64)> {
    let triple = |triple: &Value| {
        (
            triple[0].as_str().unwrap()[11..19].to_owned(),
            triple[1].as_f64().unwrap(),
            triple[2].as_f64().unwrap(),
        )
    };
    answer.json().as_array().unwrap().iter().map(triple).collect()
}

async fn read(app: &TestApp, path: &str) -> Vec<(String, f64, f64)> {
    points(&app.get(path).await.expect(200))
}

fn at(second: &str, value: f64) -> Value {
    json!({"timestamp": format!("2026-01-01T00:00:{second}"), "value": value})
}

#[tokio::test]
async fn spans_can_be_deleted() {
    let app = app().await;
    let path = format!("/v1/metric/{}/measures", metric(&app).await);
    app.post(&path, &json!([at("01", 1.0), at("02", 2.0), at("03", 3.0)])).await.expect(202);
    app.delete(&path).await.expect(400);
    app.delete(&format!("{path}?start=x")).await.expect(400);
    app.delete(&format!("{path}?start=2026-01-01T00:00:02&stop=2026-01-01T00:00:03")).await.expect(204);
    let left = read(&app, &format!("{path}?granularity=1")).await;
    assert_eq!(left, [("00:00:01".to_owned(), 1.0, 1.0), ("00:00:03".to_owned(), 1.0, 3.0)]);
    let other = app.request(Method::DELETE, &format!("{path}?stop=2030")).user("else").send().await;
    other.expect(403);
    app.delete(&format!("{path}?start=1970-01-01")).await.expect(204);
    assert!(read(&app, &path).await.is_empty());
}

#[tokio::test]
async fn several_metrics_are_read_at_once() {
    let app = app().await;
    let (a, b) = (metric(&app).await, metric(&app).await);
    let body = json!({(&a): [at("01", 1.0), at("59", 3.0)], (&b): [at("02", 5.0)]});
    app.post("/v1/batch/metrics/measures", &body).await.expect(202);
    let path = "/v1/batch/metrics/measures/read";
    let query = json!({"metrics": [a, b, a], "granularity": "1 minute", "start": "2026-01-01T00:00:30"});
    let answer = app.post(path, &query).await.expect(200).json();
    assert_eq!(answer[&a], json!([["2026-01-01T00:00:00+00:00", 60.0, 2.0]]));
    assert_eq!(answer[&b], json!([["2026-01-01T00:00:00+00:00", 60.0, 5.0]]));
    let all = app.post(path, &json!({"metrics": [a], "aggregation": "count"})).await.expect(200).json();
    assert_eq!(all[&a].as_array().unwrap().len(), 3);
    let resampled = json!({"metrics": [a], "granularity": 1, "resample": "Y"});
    let answer = app.post(path, &resampled).await.expect(200).json();
    assert_eq!(answer[&a], json!([["2026-01-01T00:00:00+00:00", "Y", 2.0]]));
    let unknown = "00000000-0000-0000-0000-00000000abcd";
    for (query, status) in [
        (json!({"metrics": [a, unknown]}), 400),
        (json!({"metrics": ["x"]}), 400),
        (json!({}), 400),
        (json!({"metrics": [a], "resample": "Y"}), 400),
        (json!({"metrics": [a], "resample": "x", "granularity": 1}), 400),
        (json!({"metrics": [a], "granularity": 5}), 404),
        (json!({"metrics": [a], "aggregation": "max"}), 404),
        (json!({"metrics": [a], "start": "x"}), 400),
        (json!({"metrics": []}), 200),
    ] {
        app.post(path, &query).await.expect(status);
    }
    let request = app.request(Method::POST, path).user("else").json(&json!({"metrics": [a]}));
    request.send().await.expect(403);
}

#[tokio::test]
async fn late_measures_are_listed() {
    let app = app().await;
    let id = metric(&app).await;
    let late = app.get(&format!("/v1/metric/{id}/late")).await.expect(200).json();
    assert_eq!(late, json!([]));
    app.get("/v1/metric/00000000-0000-0000-0000-00000000abcd/late").await.expect(404);
    app.get("/v1/metric/nope/late").await.expect(404);
}

#[tokio::test]
async fn resampling_gives_whole_groups() {
    let app = app().await;
    let path = format!("/v1/metric/{}/measures", metric(&app).await);
    app.post(&path, &json!([at("01", 1.0), at("02", 3.0), at("05", 5.0), at("07", 9.0)])).await.expect(202);
    let cut = "granularity=1&start=2026-01-01T00:00:02&stop=2026-01-01T00:00:06";
    let fives = read(&app, &format!("{path}?{cut}&resample=5")).await;
    assert_eq!(fives, [("00:00:00".to_owned(), 5.0, 2.0), ("00:00:05".to_owned(), 5.0, 7.0)]);
    let year = app.get(&format!("{path}?{cut}&resample=Y")).await.expect(200).json();
    assert_eq!(year, json!([["2026-01-01T00:00:00+00:00", "Y", 4.5]]));
    let rates = app.get(&format!("{path}?{cut}&resample=Q&aggregation=rate:mean")).await.expect(200).json();
    assert_eq!(rates, json!([["2026-01-01T00:00:00+00:00", "Q", 1.0]]));
    let text = app.get(&format!("{path}?resample=5")).await.expect(400).text();
    assert!(text.contains("A granularity must be specified to resample"), "{text}");
}

#[tokio::test]
async fn odd_bodies_are_answered_and_store_nothing() {
    let app = app().await;
    let path = format!("/v1/metric/{}/measures", metric(&app).await);
    for body in ["[]", "{}", "\"\""] {
        post_text(&app, &path, body).await.expect(202);
    }
    for body in [
        "",
        "[",
        "5",
        "[{\"value\": 1}]",
        "[{\"timestamp\": 1}]",
        "[{\"timestamp\": null, \"value\": 1}]",
        "[{\"timestamp\": \"NaT\", \"value\": 1}]",
        "[{\"timestamp\": 1e11, \"value\": 1}]",
        "[{\"timestamp\": 1420070400123456789, \"value\": 1}]",
        "[{\"timestamp\": \"1969-12-31\", \"value\": 1}]",
        "[{\"timestamp\": 1, \"value\": 1}, {\"timestamp\": 2, \"value\": \"x\"}]",
    ] {
        post_text(&app, &path, body).await.expect(400);
    }
    assert!(read(&app, &path).await.is_empty());
    post_text(&app, &path, "[{\"timestamp\": 1, \"value\": NaN}, {\"timestamp\": 2, \"value\": -Infinity}]")
        .await
        .expect(202);
    let text = app.get(&format!("{path}?granularity=1")).await.expect(200).text();
    assert_eq!(
        text,
        r#"[["1970-01-01T00:00:01+00:00", 1.0, NaN], ["1970-01-01T00:00:02+00:00", 1.0, -Infinity]]"#
    );
}

async fn post_text(app: &TestApp, path: &str, body: &str) -> TestAnswer {
    let request = app.request(Method::POST, path).header(http::header::CONTENT_TYPE, "application/json");
    request.body(body.to_owned()).send().await
}

#[tokio::test]
async fn the_smallest_wins_in_a_request_and_the_newest_across() {
    let app = app().await;
    let path = format!("/v1/metric/{}/measures", metric(&app).await);
    let seconds = format!("{path}?granularity=1");
    app.post(&path, &json!([at("01", 5.0), at("01", 1.0)])).await.expect(202);
    assert_eq!(read(&app, &seconds).await[0].2, 1.0);
    app.post(&path, &json!([at("01", 7.0)])).await.expect(202);
    assert_eq!(read(&app, &seconds).await[0].2, 7.0);
}

#[tokio::test]
async fn one_bad_entry_spoils_a_batch() {
    let app = app().await;
    let good = metric(&app).await;
    let unknown = "00000000-0000-0000-0000-00000000ABCD";
    let body = json!({(&good): [at("01", 1.0)], (unknown): [at("01", 1.0)]});
    let text = app.post("/v1/batch/metrics/measures", &body).await.expect(400).text();
    assert!(text.contains("Unknown metrics: 00000000-0000-0000-0000-00000000abcd"), "{text}");
    resource(&app, "r", &["a"]).await;
    let by_name = "/v1/batch/resources/metrics/measures";
    let body = json!({"r": {"a": [at("01", 1.0)], "b": [at("01", 1.0)]}});
    app.post(by_name, &body).await.expect(400);
    for bad in [
        json!({"r": {"a": [at("01", 1.0)], "new/name": [at("01", 1.0)]}}),
        json!({"r": {"a": [at("01", 1.0)], "new": {"measures": [], "unit": "x".repeat(32)}}}),
        json!({"r": {"a": [at("01", 1.0)], "new": {"measures": [], "archive_policy_name": "nope"}}}),
        json!({"r": {"a": [at("01", 1.0)], (&"n".repeat(256)): []}}),
        json!({"r": {"a": [at("01", 1.0)], "x": []}, "nowhere": {"y": []}}),
    ] {
        app.post(&format!("{by_name}?create_metrics=true"), &bad).await.expect(400);
    }
    let metrics = app.get("/v1/resource/generic/r/metric").await.expect(200).json();
    assert_eq!(metrics.as_array().unwrap().len(), 1, "nothing was made");
    assert!(read(&app, "/v1/resource/generic/r/metric/a/measures").await.is_empty());
    assert!(read(&app, &format!("/v1/metric/{good}/measures")).await.is_empty());
}

#[tokio::test]
async fn batches_make_metrics_for_long_unicode_ids() {
    let app = app().await;
    let id = "✔".repeat(289);
    resource(&app, &id, &[]).await;
    let body = json!({(&id): {"é✔": {"measures": [at("01", 1.0)], "archive_policy_name": "fine", "unit": "µ"},
        "same": [at("01", 2.0)]}});
    let path = "/v1/batch/resources/metrics/measures?create_metrics=True";
    app.post(path, &body).await.expect(202);
    app.post(path, &body).await.expect(202);
    app.post("/v1/batch/resources/metrics/measures", &body).await.expect(202);
    let all = app.get("/v1/metric").await.expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let path = format!("/v1/resource/generic/{}/metric/same/measures?granularity=1", "%E2%9C%94".repeat(289));
    assert_eq!(read(&app, &path).await.len(), 1);
    app.post("/v1/batch/resources/metrics/measures", &json!({("✔".repeat(290)): {}})).await.expect(400);
}

#[tokio::test]
async fn what_is_remembered_follows_the_index() {
    let app = app().await;
    resource(&app, "r", &["a"]).await;
    resource(&app, "s", &[]).await;
    let by_name = "/v1/batch/resources/metrics/measures";
    let body = json!({"r": {"a": [at("01", 1.0)]}});
    app.post(by_name, &body).await.expect(202);
    let found = app.get("/v1/resource/generic/r/metric/a").await.expect(200).json();
    let id = found["id"].as_str().unwrap().to_owned();
    let by_id = json!({(&id): [at("02", 2.0)]});
    app.post("/v1/batch/metrics/measures", &by_id).await.expect(202);
    // Moved to another resource: the old name is gone, the id stays.
    let moved = json!({"metrics": {"b": id}});
    app.request(Method::PATCH, "/v1/resource/generic/s").json(&moved).send().await.expect(200);
    app.post(by_name, &body).await.expect(400);
    app.post("/v1/batch/metrics/measures", &by_id).await.expect(202);
    app.post(by_name, &json!({"s": {"b": [at("03", 3.0)]}})).await.expect(202);
    // Detached, deleted with its resource, deleted by itself.
    let detached = json!({"metrics": {}});
    app.request(Method::PATCH, "/v1/resource/generic/s").json(&detached).send().await.expect(200);
    app.post(by_name, &json!({"s": {"b": [at("03", 3.0)]}})).await.expect(400);
    app.delete(&format!("/v1/metric/{id}")).await.expect(204);
    app.post("/v1/batch/metrics/measures", &by_id).await.expect(400);
    app.post(&format!("/v1/metric/{id}/measures"), &json!([at("01", 1.0)])).await.expect(404);
    let path = format!("{by_name}?create_metrics=true");
    app.post(&path, &body).await.expect(202);
    app.delete("/v1/resource/generic/r").await.expect(204);
    app.post(by_name, &body).await.expect(400);
}

#[tokio::test]
async fn writing_is_for_creators() {
    let app = app().await;
    let id = metric(&app).await;
    let body = json!([at("01", 1.0)]);
    let paths = [format!("/v1/metric/{id}/measures"), "/v1/batch/metrics/measures".to_owned()];
    for _ in 0..2 {
        // Refused whether the metric is remembered or not.
        for (path, body) in paths.iter().zip([body.clone(), json!({(&id): body})]) {
            app.request(Method::POST, path).user("else").json(&body).send().await.expect(403);
            app.post(path, &body).await.expect(202);
        }
    }
    resource(&app, "r", &["a"]).await;
    let named = app.request(Method::POST, "/v1/resource/generic/r/metric/a/measures").user("else");
    named.json(&body).send().await.expect(404);
}

/// A rule that looks at more than the creator is asked for each metric, remembered or not.
#[tokio::test]
async fn rules_may_look_at_names() {
    let rules = "\"post measures\": \"role:admin or 'open':%(name)s\"";
    let app = prepared(TestApp::builder().rules(rules).unwrap().start().await.unwrap()).await;
    resource(&app, "75c44741-cc60-4033-804e-2d3098c7d2e9", &["open", "closed"]).await;
    let base = "/v1/resource/generic/75c44741-cc60-4033-804e-2d3098c7d2e9";
    let body = |names: &[&str]| {
        let metrics: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!([at("01", 1.0)]))).collect();
        json!({"75c44741-cc60-4033-804e-2d3098c7d2e9": metrics})
    };
    let by_name = "/v1/batch/resources/metrics/measures";
    for _ in 0..2 {
        let as_else =
            |path: &str, body: &Value| app.request(Method::POST, path).user("else").json(body).send();
        as_else(by_name, &body(&["open"])).await.expect(202);
        as_else(by_name, &body(&["open", "closed"])).await.expect(403);
        as_else(&format!("{base}/metric/open/measures"), &json!([at("02", 1.0)])).await.expect(202);
        as_else(&format!("{base}/metric/closed/measures"), &json!([at("02", 1.0)])).await.expect(403);
        for (name, status) in [("open", 202), ("closed", 403)] {
            let found = app.get(&format!("{base}/metric/{name}")).await.expect(200).json();
            let body = json!({(found["id"].as_str().unwrap()): [at("03", 1.0)]});
            as_else("/v1/batch/metrics/measures", &body).await.expect(status);
        }
        app.post(by_name, &body(&["open", "closed"])).await.expect(202);
    }
}

#[tokio::test]
async fn a_million_metrics_in_one_request_are_more_than_a_body_may_hold() {
    let app = app().await;
    let known = metric(&app).await;
    let mut body = String::with_capacity(90_000_000);
    body.push('{');
    for number in 0..1_000_000 {
        body.push_str(&format!(
            r#""{number:08}-0000-4000-8000-000000000000":[{{"timestamp":1,"value":1}}],"#
        ));
    }
    body.push_str(&format!(r#""{known}":[{{"timestamp":1,"value":1}}]}}"#));
    let json = http::header::CONTENT_TYPE;
    let request = app.request(Method::POST, "/v1/batch/metrics/measures").header(json, "application/json");
    request.body(body).send().await.expect(413);
    let read = app.get(&format!("/v1/metric/{known}/measures")).await.expect(200);
    assert_eq!(points(&read), []);
}
