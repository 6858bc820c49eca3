//! What sending the same requests to upstream and to us has shown (conformance/twin), held here without upstream.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use http::{Method, header};
use nephometer_testkit::app::TestApp;
use serde_json::json;

async fn app_with_resource() -> TestApp {
    let app = TestApp::start().await.unwrap();
    let attributes =
        json!({"size": {"type": "number", "required": false}, "at": {"type": "datetime", "required": false}});
    app.post("/v1/resource_type", &json!({"name": "disk", "attributes": attributes})).await.expect(201);
    let policy = json!({"name": "p", "definition": [{"granularity": 60, "points": 10}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    let body = json!({"id": "11111111-1111-1111-1111-111111111111", "size": 4, "at": 1_388_534_400.25,
        "started_at": "2014-01-01T10:11:12.123456789Z", "metrics": {"m": {"archive_policy_name": "p"}}});
    app.post("/v1/resource/disk", &body).await.expect(201);
    app
}

const PATH: &str = "/v1/resource/disk/11111111-1111-1111-1111-111111111111";

#[tokio::test]
async fn resources_of_others_are_forbidden_to_named_users() {
    let app = app_with_resource().await;
    for rest in ["", "/history", "/metric"] {
        let path = format!("{PATH}{rest}");
        app.get(&path).await.expect(200);
        app.request(Method::GET, &path).user("foobar").send().await.expect(403);
    }
}

#[tokio::test]
async fn paths_of_metrics_name_types_that_exist() {
    let app = app_with_resource().await;
    let id = "11111111-1111-1111-1111-111111111111";
    app.get(&format!("{PATH}/metric/m")).await.expect(200);
    app.get(&format!("/v1/resource/generic/{id}/metric/m")).await.expect(200);
    let answer = app.get(&format!("/v1/resource/nope/{id}/metric/m")).await.expect(404);
    assert_eq!(answer.json()["description"], "Resource type nope does not exist");
}

#[tokio::test]
async fn numbers_have_a_fraction_and_times_the_nearest_microsecond() {
    let app = app_with_resource().await;
    let resource = app.get(PATH).await.expect(200);
    assert!(resource.text().contains("\"size\": 4.0"), "{}", resource.text());
    assert_eq!(resource.json()["at"], "2014-01-01T00:00:00.250000+00:00");
    assert_eq!(resource.json()["started_at"], "2014-01-01T10:11:12.123457+00:00");
    for query in [json!({"=": {"at": 1_388_534_400.25}}), json!({"=": {"at": "2014-01-01T00:00:00.25"}})] {
        let found = app.post("/v1/search/resource/disk", &query).await.expect(200).json();
        assert_eq!(found.as_array().unwrap().len(), 1, "{query}");
    }
    let body = json!({"id": "other", "at": "nope"});
    let refused = app.post("/v1/resource/disk", &body).await.expect(400).json();
    assert_eq!(
        refused["description"]["reason"],
        "Unable to convert timestamps for dictionary value @ data['at']"
    );
}

#[tokio::test]
async fn empty_markers_and_preconditions_are_none() {
    let app = app_with_resource().await;
    app.get("/v1/resource/disk?marker=").await.expect(200);
    app.get("/v1/metric?marker=").await.expect(200);
    app.request(Method::GET, PATH).header(header::IF_MATCH, "").send().await.expect(200);
}

#[tokio::test]
async fn a_key_to_sort_by_may_come_thousands_of_times() {
    let app = app_with_resource().await;
    let query = vec!["sort=id"; 5000].join("&");
    for path in ["/v1/metric", "/v1/resource/disk"] {
        app.get(&format!("{path}?{query}")).await.expect(200);
    }
}

#[tokio::test]
async fn what_is_no_accept_header_accepts_anything() {
    let app = app_with_resource().await;
    app.request(Method::GET, "/v1/archive_policy").header(header::ACCEPT, "garbage").send().await.expect(200);
}
