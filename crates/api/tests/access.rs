//! Who may do what under Keystone-style identities, with upstream's default rules: the matrix that was observed there.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use nephometer_drivers::{AuthError, Authenticator};
use nephometer_model::Identity;
use nephometer_testkit::app::{TestAnswer, TestApp};
use serde_json::{Value, json};

/// Identities as a proxy in front would pass them: `user:project:role` in one header.
struct Forwarded;

const WHO: HeaderName = HeaderName::from_static("x-who");

#[async_trait::async_trait]
impl Authenticator for Forwarded {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let who = headers.get(WHO).and_then(|value| value.to_str().ok());
        let who = who.ok_or(AuthError::Unauthenticated { challenge: None })?;
        let [user, project, role] = who.split(':').collect::<Vec<_>>()[..] else {
            return Err(AuthError::Unauthenticated { challenge: None });
        };
        Ok(Identity {
            creator: Some(format!("{user}:{project}")),
            user: Some(format!("{user}:{project}")),
            user_id: Some(user.to_owned()),
            project_id: Some(project.to_owned()),
            roles: vec![role.to_owned()],
            filters_rows: true,
            ..Identity::default()
        })
    }
}

const CREATOR: &str = "ua:pa:member";
const COLLEAGUE: &str = "uc:pa:member";
const OWNER: &str = "ub:pb:member";
const STRANGER: &str = "ux:px:member";
const ADMIN: &str = "root:ops:admin";
const SERVICE: &str = "ceilometer:services:service";

async fn ask(app: &TestApp, who: &str, method: Method, path: &str, body: Option<&Value>) -> TestAnswer {
    let request = app.request(method, path).header(WHO, who);
    match body {
        Some(body) => request.json(body).send().await,
        None => request.send().await,
    }
}

/// A resource of project pb with a metric, made by user ua of project pa; returns both ids.
async fn populated() -> (TestApp, String, String) {
    let app = TestApp::builder().authenticator(Arc::new(Forwarded)).start().await.unwrap();
    let policy = json!({"name": "p", "definition": [{"granularity": 60, "points": 10}]});
    ask(&app, ADMIN, Method::POST, "/v1/archive_policy", Some(&policy)).await.expect(201);
    let body = json!({"id": "vm", "project_id": "pb", "metrics": {"cpu": {"archive_policy_name": "p"}}});
    let made = ask(&app, CREATOR, Method::POST, "/v1/resource/generic", Some(&body)).await.expect(201).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (app, text(&made["id"]), text(&made["metrics"]["cpu"]))
}

#[tokio::test]
async fn the_observed_matrix() {
    let (app, resource, metric) = populated().await;
    let resource = format!("/v1/resource/generic/{resource}");
    let (one, measures) = (format!("/v1/metric/{metric}"), format!("/v1/metric/{metric}/measures"));
    let point = json!([{"timestamp": "2026-01-01", "value": 1}]);
    let change = json!({"user_id": "somebody"});
    for (who, read, patch, read_metric, post) in [
        (COLLEAGUE, 200, 200, 200, 202),
        (OWNER, 200, 403, 200, 403),
        (STRANGER, 404, 403, 403, 403),
        (ADMIN, 200, 200, 200, 202),
        (SERVICE, 404, 200, 200, 202),
    ] {
        let status = |answer: TestAnswer| answer.status.as_u16();
        assert_eq!(status(ask(&app, who, Method::GET, &resource, None).await), read, "{who} reads");
        let history = format!("{resource}/history");
        assert_eq!(status(ask(&app, who, Method::GET, &history, None).await), read, "{who} reads history");
        let answer = ask(&app, who, Method::PATCH, &resource, Some(&change)).await;
        assert_eq!(status(answer), patch, "{who} changes");
        assert_eq!(status(ask(&app, who, Method::GET, &one, None).await), read_metric, "{who} reads metric");
        assert_eq!(status(ask(&app, who, Method::GET, &measures, None).await), read_metric, "{who} measures");
        let answer = ask(&app, who, Method::POST, &measures, Some(&point)).await;
        assert_eq!(status(answer), post, "{who} writes");
    }
    for (who, expected) in [(OWNER, 403), (STRANGER, 403), (SERVICE, 403), (COLLEAGUE, 204)] {
        ask(&app, who, Method::DELETE, &resource, None).await.expect(expected);
    }
}

#[tokio::test]
async fn lists_show_only_what_the_caller_may_see() {
    let (app, _, _) = populated().await;
    let count = |answer: TestAnswer| answer.expect(200).json().as_array().unwrap().len();
    for (who, listed, searched) in
        [(CREATOR, 1, 1), (COLLEAGUE, 1, 1), (OWNER, 1, 1), (STRANGER, 0, 0), (ADMIN, 1, 1), (SERVICE, 0, 1)]
    {
        let list = ask(&app, who, Method::GET, "/v1/resource/generic", None).await;
        assert_eq!(count(list), listed, "{who} lists");
        let search = ask(&app, who, Method::POST, "/v1/search/resource/generic", None).await;
        assert_eq!(count(search), searched, "{who} searches");
        let metrics = ask(&app, who, Method::GET, "/v1/metric", None).await;
        assert_eq!(count(metrics), listed, "{who} lists metrics");
    }
    let all = json!({"like": {"original_resource_id": "%"}});
    for (who, deleted) in [(STRANGER, 0), (OWNER, 0), (CREATOR, 1)] {
        let answer = ask(&app, who, Method::DELETE, "/v1/resource/generic", Some(&all)).await.expect(200);
        assert_eq!(answer.json()["deleted"], deleted, "{who}");
    }
}

#[tokio::test]
async fn metrics_without_a_resource_are_listed_for_those_who_made_them() {
    let (app, _, _) = populated().await;
    let lone = json!({"archive_policy_name": "p"});
    ask(&app, CREATOR, Method::POST, "/v1/metric", Some(&lone)).await.expect(201);
    let count = |answer: TestAnswer| answer.expect(200).json().as_array().unwrap().len();
    for (who, expected) in [(CREATOR, 2), (COLLEAGUE, 2), (OWNER, 1), (STRANGER, 0), (ADMIN, 2)] {
        assert_eq!(count(ask(&app, who, Method::GET, "/v1/metric", None).await), expected, "{who}");
    }
}

#[tokio::test]
async fn a_page_begins_after_a_row_that_the_caller_sees() {
    let (app, resource, metric) = populated().await;
    for (path, marker) in [
        ("/v1/resource/generic?sort=user_id&marker=", resource.clone()),
        ("/v1/resource/generic?history=true&sort=user_id&marker=", format!("{resource}@-1")),
        ("/v1/metric?sort=name&marker=", metric),
    ] {
        let path = format!("{path}{marker}");
        for (who, expected) in [(CREATOR, 200), (OWNER, 200), (ADMIN, 200), (STRANGER, 400), (SERVICE, 400)] {
            ask(&app, who, Method::GET, &path, None).await.expect(expected);
        }
        let refused = ask(&app, STRANGER, Method::GET, &path, None).await.json();
        assert_eq!(refused["description"], format!("Invalid pagination: `Invalid marker: `{marker}''"));
    }
    let body = json!({"id": "other", "project_id": "px"});
    let other =
        ask(&app, STRANGER, Method::POST, "/v1/resource/generic", Some(&body)).await.expect(201).json();
    let own = format!("/v1/resource/generic/{}/history?sort=user_id&marker=", other["id"].as_str().unwrap());
    ask(&app, STRANGER, Method::GET, &format!("{own}{resource}@-1"), None).await.expect(400);
    let own_id = other["id"].as_str().unwrap();
    ask(&app, STRANGER, Method::GET, &format!("{own}{own_id}@-1"), None).await.expect(200);
}

#[tokio::test]
async fn batches_make_metrics_of_resources_that_the_caller_may_change_or_owns() {
    let (app, resource, _) = populated().await;
    let path = "/v1/batch/resources/metrics/measures?create_metrics=true";
    let point = json!([{"timestamp": "2026-01-01", "value": 1}]);
    for (who, expected) in [(STRANGER, 403), (OWNER, 202), (COLLEAGUE, 202), (SERVICE, 202), (ADMIN, 202)] {
        let name = format!("made by {}", who.split(':').next().unwrap());
        let body = json!({&resource: {name: {"archive_policy_name": "p", "measures": point}}});
        ask(&app, who, Method::POST, path, Some(&body)).await.expect(expected);
    }
    let shown = ask(&app, ADMIN, Method::GET, &format!("/v1/resource/generic/{resource}"), None).await;
    assert_eq!(shown.json()["metrics"].as_object().unwrap().len(), 5);
}
