//! Limits of what one identity may take, through the router: who is refused, how that looks, and that it stores nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroU64};

use axum::body::Body;
use axum::response::Response;
use futures::{FutureExt as _, stream};
use http::{HeaderName, Method, Request, StatusCode, header};
use nephometer_api::gnocchi::routes;
use nephometer_api::limits::{Allowance, LimitSettings, Party, Rate};
use nephometer_testkit::app::{TestAnswer, TestApp};
use nephometer_testkit::tokens::{trusting_authenticator, usual_token};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const SECOND_NS: i64 = 1_000_000_000;

fn usual(usual: Allowance) -> LimitSettings {
    LimitSettings { usual, ..LimitSettings::default() }
}

fn in_flight(max: u32) -> LimitSettings {
    usual(Allowance { requests_in_flight: NonZeroU32::new(max), measures: None })
}

fn measures(per_second: u64, burst: u64) -> LimitSettings {
    let rate = |n| NonZeroU64::new(n).unwrap();
    let measures = Some(Rate { per_second: rate(per_second), burst: rate(burst) });
    usual(Allowance { requests_in_flight: None, measures })
}

/// An application with a policy, a rule and a resource `vm` with a metric `cpu`, whose id is returned.
async fn app(limits: LimitSettings) -> (TestApp, String) {
    let app = TestApp::builder().limits(limits).start().await.unwrap();
    let policy = json!({"name": "p", "definition": [{"granularity": 1, "points": 100_000}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    let rule = json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "p"});
    app.post("/v1/archive_policy_rule", &rule).await.expect(201);
    let resource = json!({"id": "vm", "metrics": {"cpu": {"archive_policy_name": "p"}}});
    let made = app.post("/v1/resource/generic", &resource).await.expect(201).json();
    let metric = made["metrics"]["cpu"].as_str().unwrap().to_owned();
    (app, metric)
}

fn points(count: usize) -> Value {
    let point = |n: usize| json!({"timestamp": 1_767_225_600 + n, "value": n});
    (0..count).map(point).collect::<Vec<_>>().into()
}

fn basic(user: &str) -> String {
    use base64::Engine as _;
    format!("basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:")))
}

/// A request whose answer is not read.
async fn begin(app: &TestApp, method: Method, path: &str, body: Body) -> Response {
    let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, basic("admin"));
    let request = request.header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
    app.router.clone().oneshot(request).await.unwrap()
}

async fn stored(app: &TestApp, metric: &str) -> usize {
    let answer = app.get(&format!("/v1/metric/{metric}/measures?aggregation=count")).await.expect(200);
    answer.json().as_array().unwrap().len()
}

fn retry_after(answer: &TestAnswer) -> &str {
    answer.header(&header::RETRY_AFTER)
}

#[tokio::test]
async fn measures_beyond_the_rate_come_later_and_are_not_stored() {
    let (app, metric) = app(measures(10, 20)).await;
    let path = format!("/v1/metric/{metric}/measures");
    app.post(&path, &points(20)).await.expect(202);
    let refused = app.post(&path, &points(15)).await.expect(429);
    assert_eq!(retry_after(&refused), "2");
    let body = refused.json();
    assert_eq!((&body["code"], &body["title"]), (&json!(429), &json!("Too Many Requests")));
    assert_eq!(body["description"], "user admin may write 10 measures a second and 20 at once");
    let plain = app.request(Method::POST, &path).without(&header::ACCEPT).json(&points(15)).send().await;
    assert_eq!(
        plain.expect(429).text(),
        "429 Too Many Requests\n\nThe client has sent too many requests in a given amount of time\n\n \
         user admin may write 10 measures a second and 20 at once  "
    );
    assert_eq!(stored(&app, &metric).await, 20);
    app.request(Method::POST, &path).user("another").json(&points(15)).send().await.expect(403);
    app.clock.advance_ns(3 * SECOND_NS / 2);
    app.post(&path, &points(15)).await.expect(202);
    app.post(&path, &json!([])).await.expect(202);
}

#[tokio::test]
async fn a_request_that_can_never_fit_is_told_so() {
    let (app, metric) = app(measures(10, 20)).await;
    let refused = app.post(&format!("/v1/metric/{metric}/measures"), &points(21)).await.expect(413);
    assert_eq!(retry_after(&refused), "");
    assert_eq!(
        refused.json()["description"],
        "the request has 21 measures, and user admin may write at most 20 at once: send fewer in one request"
    );
    assert_eq!(stored(&app, &metric).await, 0);
}

/// A body with three measures for each route that writes measures.
fn sample(path: &str, metric: &str) -> (&'static str, Vec<u8>) {
    let json = |value: Value| ("application/json", value.to_string().into_bytes());
    let text = |text: &str| ("text/plain", text.as_bytes().to_vec());
    match path {
        "/v1/metric/{id}/measures" | "/v1/resource/{type}/{id}/metric/{name}/measures" => json(points(3)),
        "/v1/batch/metrics/measures" => json(json!({metric: points(3)})),
        "/v1/batch/resources/metrics/measures" => json(json!({"vm": {"cpu": points(1), "new": points(2)}})),
        "/v1/influxdb/write" => text("m,host=new a=1,b=2 1\nn,host=new a=1 1\n"),
        "/v1/prometheus/write" => ("application/x-protobuf", remote_write()),
        other => panic!("{other} writes measures: it needs a body here"),
    }
}

/// Three samples of the series `up`, as Prometheus writes them: a snappy block (one literal) of a protocol buffer.
fn remote_write() -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let label = field(0x0a, &[field(0x0a, b"__name__"), field(0x12, b"up")].concat());
    let sample = |ms: u8| field(0x12, &[&[0x09][..], &1.0_f64.to_le_bytes(), &[0x10, ms]].concat());
    let series = [label, sample(1), sample(2), sample(3)].concat();
    let message = field(0x0a, &series);
    let length = u8::try_from(message.len()).unwrap();
    assert!(length <= 60, "a literal whose length stands in its tag");
    [&[length, (length - 1) << 2], message.as_slice()].concat()
}

#[tokio::test]
async fn every_route_that_writes_measures_counts_them_before_it_stores_anything() {
    let (app, metric) = app(measures(1, 3)).await;
    let influx = json!({"name": "influxdb"});
    app.post("/v1/resource_type", &influx).await.expect(201);
    let writes = |route: &&nephometer_api::gnocchi::Route| route.rule == Some("post measures");
    let all = routes();
    assert_eq!(all.iter().filter(writes).count(), 6);
    for route in all.iter().filter(writes) {
        let path = route.path.replace("{type}", "generic").replace("{name}", "cpu");
        let path = match path.contains("/resource/") {
            true => path.replace("{id}", "vm"),
            false => path.replace("{id}", &metric),
        };
        let (content_type, body) = sample(route.path, &metric);
        let send = || {
            app.request(Method::POST, &format!("{path}?create_metrics=true"))
                .header(header::CONTENT_TYPE, content_type)
                .header(header::ACCEPT, "*/*")
                .body(body.clone())
                .send()
        };
        app.clock.advance_ns(3 * SECOND_NS);
        app.post(&format!("/v1/metric/{metric}/measures"), &points(1)).await.expect(202);
        let resources = || app.get("/v1/resource/generic");
        let (before, metrics) = (resources().await.json(), app.get("/v1/metric").await.json());
        let refused = send().await.expect(429);
        assert_eq!(retry_after(&refused), "1", "{path}");
        assert_eq!(resources().await.json(), before, "{path}");
        assert_eq!(app.get("/v1/metric").await.json(), metrics, "{path}");
        app.clock.advance_ns(SECOND_NS);
        let accepted = send().await;
        assert!(accepted.status.is_success(), "{path}: {}", accepted.text());
        assert_eq!(send().await.expect(429).header(&header::RETRY_AFTER), "3", "{path}");
    }
}

#[tokio::test]
async fn what_fails_costs_nothing() {
    let (app, metric) = app(measures(1, 3)).await;
    let batch = json!({metric.as_str(): points(1), "00000000-0000-0000-0000-000000000001": points(2)});
    for _ in 0..3 {
        app.post("/v1/batch/metrics/measures", &batch).await.expect(400);
    }
    app.post(&format!("/v1/metric/{metric}/measures"), &points(3)).await.expect(202);
}

#[tokio::test]
async fn a_request_is_in_flight_from_its_head_on_and_no_longer_when_its_client_is_gone() {
    let (app, metric) = app(in_flight(1)).await;
    let path = format!("/v1/metric/{metric}/measures");
    let endless = Body::from_stream(stream::pending::<Result<&'static [u8], std::io::Error>>());
    let mut slow = Box::pin(begin(&app, Method::POST, &path, endless));
    assert!(slow.as_mut().now_or_never().is_none());
    let refused = app.get("/v1/metric").await.expect(429);
    assert_eq!(retry_after(&refused), "1");
    assert_eq!(refused.json()["description"], "at most 1 requests at a time are served for user admin");
    app.request(Method::GET, "/v1/metric").user("foobar").send().await.expect(200);
    for public in ["/", "/v1/", "/healthcheck", "/v1/openapi.json"] {
        app.get(public).await.expect(200);
    }
    drop(slow);
    app.get("/v1/metric").await.expect(200);
    assert_eq!(app.limits.status().most_refused[0].0, Party::User("admin".into()));
}

#[tokio::test]
async fn a_long_answer_is_in_flight_until_it_is_sent() {
    let (app, metric) = app(in_flight(1)).await;
    let path = format!("/v1/metric/{metric}/measures");
    app.post(&path, &points(5000)).await.expect(202);
    let answer = begin(&app, Method::GET, &path, Body::empty()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    app.get(&path).await.expect(429);
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert!(bytes.ends_with(b"]"));
    let whole = app.get(&path).await.expect(200);
    assert_eq!(whole.body, bytes);
    drop(begin(&app, Method::GET, &path, Body::empty()).await);
    app.get(&path).await.expect(200);
    let short = begin(&app, Method::GET, &format!("/v1/metric/{metric}"), Body::empty()).await;
    app.get("/v1/metric").await.expect(200);
    drop(short);
}

#[tokio::test]
async fn all_tokens_of_a_project_share_its_limits() {
    let authenticator = std::sync::Arc::new(trusting_authenticator());
    let app = TestApp::builder().authenticator(authenticator).limits(measures(1, 3)).start().await.unwrap();
    let send = |token: char, path: &str, body: Value| {
        let request = app.request(Method::POST, path).without(&header::AUTHORIZATION);
        request.header(HeaderName::from_static("x-auth-token"), &usual_token(token)).json(&body).send()
    };
    let policy = json!({"name": "p", "definition": [{"granularity": 1, "points": 10}]});
    send('a', "/v1/archive_policy", policy).await.expect(201);
    let metric = send('a', "/v1/metric", json!({"archive_policy_name": "p"})).await.expect(201).json();
    let path = format!("/v1/metric/{}/measures", metric["id"].as_str().unwrap());
    send('a', &path, points(2)).await.expect(202);
    send('b', &path, points(2)).await.expect(429);
    let refused = app.limits.status().most_refused;
    assert!(matches!(&refused[..], [(Party::Project(_), 1)]), "{refused:?}");
}

#[tokio::test]
async fn users_may_have_limits_of_their_own() {
    let one = Allowance { requests_in_flight: NonZeroU32::new(1), measures: None };
    let limits =
        LimitSettings { users: HashMap::from([("foobar".to_owned(), one)]), ..usual(Allowance::default()) };
    let (app, metric) = app(limits).await;
    let path = format!("/v1/metric/{metric}/measures");
    app.post(&path, &points(5000)).await.expect(202);
    let ask = || app.request(Method::GET, "/v1/metric").user("foobar").send();
    ask().await.expect(200);
    let open: Vec<_> =
        futures::future::join_all((0..5).map(|_| begin(&app, Method::GET, &path, Body::empty()))).await;
    assert!(open.iter().all(|answer| answer.status() == StatusCode::OK));
    ask().await.expect(200);
}
