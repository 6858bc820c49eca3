//! What happens around handlers, on every route: identities, verbs, negotiation, bodies, addresses.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, header};
use nephometer_api::gnocchi::{Produces, routes};
use nephometer_testkit::app::TestApp;
use serde_json::json;

/// A path of a route with something in place of its parameters.
fn sample(path: &str) -> String {
    let path = if path == "/v1" { "/v1/" } else { path };
    path.replace("{type}", "generic").replace("{id}", "0").replace("{name}", "x").replace("{method}", "mean")
}

#[tokio::test]
async fn routes_that_need_an_identity_refuse_strangers() {
    let app = TestApp::start().await.unwrap();
    for route in routes().iter().filter(|route| route.needs_identity) {
        let request = app.request(route.method.clone(), &sample(route.path)).without(&header::AUTHORIZATION);
        let request = request.header(header::ACCEPT, route.produces.offers()[0]);
        let answer = request.send().await;
        assert_eq!(answer.status, 401, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn other_verbs_are_refused_with_those_that_there_are() {
    let app = TestApp::start().await.unwrap();
    for route in routes() {
        let answer = app.request(Method::PUT, &sample(route.path)).send().await.expect(405);
        assert!(answer.header(&header::ALLOW).contains(route.method.as_str()), "{}", route.path);
        app.request(Method::HEAD, &sample(route.path)).send().await.expect(405);
        let options = app.request(Method::OPTIONS, &sample(route.path)).send().await.expect(200);
        assert!(options.body.is_empty());
    }
    let answer = app.request(Method::PUT, "/v1/archive_policy").send().await;
    assert_eq!(answer.header(&header::ALLOW), "GET, POST");
    app.request(Method::GET, "/v1/search/resource/nope").send().await.expect(404);
}

#[tokio::test]
async fn types_that_are_not_offered_are_not_acceptable() {
    let app = TestApp::start().await.unwrap();
    for route in routes().iter().filter(|route| route.produces != Produces::Any) {
        let answer = app
            .request(route.method.clone(), &sample(route.path))
            .header(header::ACCEPT, "application/xml")
            .send()
            .await
            .expect(406);
        assert!(answer.text().starts_with("406 Not Acceptable\n"), "{}", answer.text());
    }
}

#[tokio::test]
async fn paths_are_forgiving_about_slashes_and_nothing_else() {
    let app = TestApp::builder().settings(|settings| settings.front.path_prefix = "/gnocchi".to_owned());
    let app = app.start().await.unwrap();
    for path in ["/v1/metric", "/v1/metric/", "//v1//metric//", "/gnocchi/v1/metric"] {
        app.get(path).await.expect(200);
    }
    for path in ["/v1/metrics", "/v2", "/gnocchiv1/metric", "/v1/metric/%00", "/v1/metric/%FF"] {
        let answer = app.get(path).await.expect(404);
        assert_eq!(answer.json()["title"], "Not Found", "{path}");
    }
    app.get("/v1/metric?name=%00").await.expect(400);
    let answer = app.get("/gnocchi/v1").await.expect(302);
    assert_eq!(answer.header(&header::LOCATION), "http://localhost/gnocchi/v1/");
    assert_eq!(app.get("/v1/").await.expect(200).json()["links"].as_array().unwrap().len(), 13);
}

#[tokio::test]
async fn bodies_are_bounded_and_may_be_compressed() {
    let app =
        TestApp::builder().settings(|settings| settings.front.body.max_bytes = 10_000).start().await.unwrap();
    let policy = json!({"name": "a", "definition": [{"granularity": 60, "points": 10}]});
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let post = |bytes: Vec<u8>| {
        app.request(Method::POST, "/v1/archive_policy")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, "gzip")
            .body(bytes)
            .send()
    };
    post(gzip(policy.to_string().as_bytes())).await.expect(201);
    let answer = post(gzip(&vec![b' '; 1_000_000])).await.expect(413);
    assert_eq!(answer.json()["title"], "Request Entity Too Large");
    post(b"no gzip".to_vec()).await.expect(400);
    let huge = app.request(Method::POST, "/v1/archive_policy").json(&json!("x".repeat(20_000)));
    huge.send().await.expect(413);
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_ask() {
    let app = TestApp::start().await.unwrap();
    let ask = |path| app.request(Method::GET, path).header(header::ACCEPT_ENCODING, "gzip").send();
    let long = ask("/v1/capabilities").await.expect(200);
    assert_eq!(long.header(&header::CONTENT_ENCODING), "gzip");
    let short = ask("/").await.expect(200);
    assert_eq!(short.header(&header::CONTENT_ENCODING), "");
    assert_eq!(
        app.get("/v1/capabilities").await.json()["aggregation_methods"].as_array().unwrap().len(),
        216
    );
}

#[tokio::test]
async fn bodies_are_judged_in_upstreams_order() {
    let app = TestApp::start().await.unwrap();
    let send = |user: &str, content_type: &str, body: &'static str| {
        let request = app.request(Method::POST, "/v1/archive_policy").user(user);
        request.header(header::CONTENT_TYPE, content_type).body(body).send()
    };
    send("foobar", "text/plain", "").await.expect(403);
    send("admin", "text/plain", "{}").await.expect(415);
    let empty = send("admin", "application/json; charset=utf-8", " ").await.expect(400).json();
    let expected =
        json!({"cause": "Unable to decode body", "reason": "Expected object or value", "detail": []});
    assert_eq!(empty["description"], expected);
    let missing = send("admin", "application/json", "{}").await.expect(400).json();
    assert_eq!(missing["description"]["reason"], "required key not provided @ data['name']");
    let nul = send("admin", "application/json", r#"{"name": "a\u0000"}"#).await.expect(400).json();
    assert_eq!(nul["description"]["cause"], "Unable to decode body");
}
