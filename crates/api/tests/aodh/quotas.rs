//! How many alarms there may be.

use nephometer_testkit::alarm_app::{AlarmApp, Who};
use serde_json::{Value, json};

use crate::support::*;

const OTHER: &str = "other-project";

async fn limited(project: Option<u64>, user: Option<u64>) -> AlarmApp {
    let builder = AlarmApp::builder().settings(|settings| {
        settings.project_quota = project;
        settings.user_quota = user;
    });
    builder.start().await.unwrap()
}

/// One alarm can be made and not another one.
async fn assert_one_only(app: &AlarmApp) {
    create(app, OWNER, &definition("alarm")).await;
    let text = refusal(app, OWNER, &definition("another"), 403).await;
    assert_eq!(text, "Alarm quota exceeded for user the-user on project the-project");
    assert_eq!(list(app, OWNER, "/v2/alarms").await.len(), 1);
}

#[tokio::test]
async fn projects_and_users_are_limited() {
    assert_one_only(&limited(Some(1), Some(1)).await).await;
}

#[tokio::test]
async fn projects_are_limited() {
    assert_one_only(&limited(Some(1), None).await).await;
}

#[tokio::test]
async fn users_are_limited() {
    assert_one_only(&limited(None, Some(1)).await).await;
}

#[tokio::test]
async fn the_users_limit_holds_where_the_projects_is_larger() {
    assert_one_only(&limited(Some(2), Some(1)).await).await;
}

#[tokio::test]
async fn the_projects_limit_holds_where_the_users_is_larger() {
    assert_one_only(&limited(Some(1), Some(2)).await).await;
}

#[tokio::test]
async fn a_users_alarms_are_counted_in_all_projects() {
    let app = limited(Some(1), Some(2)).await;
    let elsewhere = Who { project: "elsewhere", ..OWNER };
    for who in [OWNER, elsewhere] {
        let body = with(&definition("alarm"), &json!({"user_id": who.user, "project_id": who.project}));
        create(&app, who, &body).await;
        let path = format!("/v2/alarms?q.field=project_id&q.op=eq&q.value={}", who.project);
        assert_eq!(list(&app, who, &path).await.len(), 1);
    }
    assert_eq!(list(&app, Who { roles: "admin", ..elsewhere }, "/v2/alarms").await.len(), 1);
    let third = Who { project: "third", ..OWNER };
    refusal(&app, third, &definition("alarm"), 403).await;
}

#[tokio::test]
async fn a_projects_own_quota_holds() {
    let app = AlarmApp::start().await.unwrap();
    set(&app, OWNER.project, 1).await;
    assert_one_only(&app).await;
    set(&app, OWNER.project, -1).await;
    create(&app, OWNER, &definition("another")).await;
}

#[tokio::test]
async fn the_users_limit_holds_beside_a_projects_own_quota() {
    let app = limited(None, Some(1)).await;
    set(&app, OWNER.project, 2).await;
    assert_one_only(&app).await;
}

async fn set(app: &AlarmApp, project: &str, limit: i64) -> Value {
    let body = json!({"project_id": project, "quotas": [{"resource": "alarms", "limit": limit}]});
    app.post(ADMIN, "/v2/quotas", &body).await.expect(201).json()
}

async fn read(app: &AlarmApp, who: Who<'_>, query: &str) -> Value {
    app.get(who, &format!("/v2/quotas{query}")).await.expect(200).json()
}

fn quotas(project: &str, limit: i64) -> Value {
    json!({"project_id": project, "quotas": [{"resource": "alarms", "limit": limit}]})
}

#[tokio::test]
async fn callers_read_the_quotas_of_their_project() {
    let app = AlarmApp::start().await.unwrap();
    assert_eq!(read(&app, OWNER, "").await, quotas(OWNER.project, -1));
}

#[tokio::test]
async fn callers_may_name_their_project() {
    let app = limited(Some(7), None).await;
    assert_eq!(read(&app, OWNER, "?project_id=the-project").await, quotas(OWNER.project, 7));
}

#[tokio::test]
async fn callers_do_not_read_the_quotas_of_other_projects() {
    let app = AlarmApp::start().await.unwrap();
    let refused = app.get(OWNER, "/v2/quotas?project_id=other-project").await.expect(403);
    assert_eq!(fault(&refused), "RBAC Authorization Failed");
}

#[tokio::test]
async fn administrators_read_the_quotas_of_other_projects() {
    let app = AlarmApp::start().await.unwrap();
    assert_eq!(read(&app, ADMIN, "?project_id=other-project").await, quotas(OTHER, -1));
}

#[tokio::test]
async fn administrators_set_quotas() {
    let app = AlarmApp::start().await.unwrap();
    assert_eq!(set(&app, OTHER, 30).await, quotas(OTHER, 30));
    assert_eq!(set(&app, OTHER, 31).await, quotas(OTHER, 31));
}

#[tokio::test]
async fn others_do_not_set_quotas() {
    let app = AlarmApp::start().await.unwrap();
    app.post(OWNER, "/v2/quotas", &quotas(OTHER, 20)).await.expect(403);
    app.post(OWNER, "/v2/quotas", &quotas(OWNER.project, 20)).await.expect(403);
}

async fn refused(quota: Value) -> String {
    let app = AlarmApp::start().await.unwrap();
    let body = json!({"project_id": OWNER.project, "quotas": [quota]});
    fault(&app.post(ADMIN, "/v2/quotas", &body).await.expect(400))
}

#[tokio::test]
async fn a_quota_has_a_limit() {
    assert!(refused(json!({"resource": "alarms"})).await.contains("Mandatory field missing"));
    let of_nothing = refused(json!({"resource": "alarms", "limit": null})).await;
    assert!(of_nothing.contains("Mandatory field missing"));
}

#[tokio::test]
async fn a_quota_is_of_something() {
    assert!(refused(json!({"limit": 1})).await.contains("Mandatory field missing"));
}

#[tokio::test]
async fn a_limit_is_no_less_than_none() {
    let text = refused(json!({"resource": "alarms", "limit": -5})).await;
    assert!(text.contains("Value should be greater or equal to -1"), "{text}");
}

#[tokio::test]
async fn there_are_quotas_of_alarms_only() {
    let text = refused(json!({"resource": "other_resource", "limit": 1})).await;
    assert!(text.contains("Value should be one of"), "{text}");
}

#[tokio::test]
async fn administrators_delete_quotas() {
    let app = AlarmApp::start().await.unwrap();
    set(&app, OTHER, 30).await;
    let path = "?project_id=other-project";
    assert_eq!(read(&app, ADMIN, path).await, quotas(OTHER, 30));
    app.delete(ADMIN, "/v2/quotas/other-project").await.expect(204);
    assert_eq!(read(&app, ADMIN, path).await, quotas(OTHER, -1));
    app.delete(ADMIN, "/v2/quotas/other-project").await.expect(204);
    app.delete(ADMIN, "/v2/quotas?project_id=other-project").await.expect(204);
    let refused = app.delete(ADMIN, "/v2/quotas").await.expect(400);
    assert_eq!(fault(&refused), "Missing argument: \"project_id\"");
}

#[tokio::test]
async fn others_do_not_delete_quotas() {
    let app = AlarmApp::start().await.unwrap();
    app.delete(OWNER, "/v2/quotas/other-project").await.expect(403);
    app.delete(OWNER, "/v2/quotas/the-project").await.expect(403);
}
