//! Who sees and makes which alarms, and what becomes of them.

use nephometer_alarm::service::AlarmSettings;
use nephometer_testkit::alarm_app::{AlarmApp, Who};
use serde_json::json;

use crate::support::*;

const MINE: &str = "/v2/alarms?q.field=project_id&q.op=eq&q.value=the-project";
const THEIRS: &str = "/v2/alarms?q.field=project_id&q.op=eq&q.value=other-project";
const ALL: &str = "/v2/alarms?q.field=all_projects&q.op=eq&q.value=true";

#[tokio::test]
async fn administrators_list_the_alarms_of_all_projects() {
    let app = seeded().await;
    let elsewhere = Who { project: "elsewhere", ..ADMIN };
    assert_eq!(list(&app, elsewhere, ALL).await.len(), 3);
    assert_eq!(list(&app, elsewhere, "/v2/alarms").await.len(), 0);
    assert_eq!(list(&app, elsewhere, MINE).await.len(), 3);
    let narrowed = format!("{ALL}&q.field=project_id&q.op=eq&q.value=other-project");
    assert_eq!(list(&app, elsewhere, &narrowed).await.len(), 0);
}

#[tokio::test]
async fn others_do_not_list_the_alarms_of_all_projects() {
    let app = seeded().await;
    let refused = app.get(STRANGER, ALL).await.expect(403);
    assert_eq!(fault(&refused), "RBAC Authorization Failed");
    let not_all = ALL.replace("true", "false");
    assert_eq!(list(&app, STRANGER, &not_all).await.len(), 0);
    assert_eq!(list(&app, OWNER, &not_all).await.len(), 3);
}

#[tokio::test]
async fn a_project_may_be_named_that_is_the_callers() {
    let app = seeded().await;
    assert_eq!(list(&app, OWNER, MINE).await.len(), 3);
}

#[tokio::test]
async fn another_project_may_not_be_named() {
    let app = seeded().await;
    let refused = app.get(OWNER, THEIRS).await.expect(401);
    assert_eq!(fault(&refused), "Not Authorized to access project other-project");
}

#[tokio::test]
async fn lists_are_refused_where_the_policy_says_so() {
    let app = seeded().await.again(AlarmSettings::default(), POLICY).unwrap();
    let refused = app.get(OWNER, "/v2/alarms").await.expect(403);
    assert_eq!(fault(&refused), "RBAC Authorization Failed");
    assert_eq!(list(&app, ADMIN, "/v2/alarms").await.len(), 3);
}

#[tokio::test]
async fn nobody_makes_an_alarm_under_the_older_rules() {
    let app = AlarmApp::start().await.unwrap();
    let in_text = json!({"evaluation_periods": "3", "granularity": "180", "threshold": 50});
    let body = with(&full_definition("added"), &json!({(RULE): with(&rule(), &in_text)}));
    let answer = app.post(NOBODY, "/v2/alarms", &body).await.expect(201);
    let made = answer.json();
    for (key, value) in full_definition("added").as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}");
    }
    let place = format!("http://localhost/v2/alarms/{}", made["alarm_id"].as_str().unwrap());
    assert_eq!(answer.header(&http::header::LOCATION), place);
    let alarm = found(&app, &made["alarm_id"]).await;
    assert_eq!((alarm.enabled, alarm.project_id), (Some(false), None));
    assert_eq!(alarm.rule.to_value()["granularity"], 180);
}

#[tokio::test]
async fn an_alarm_is_not_made_for_another_user() {
    not_on_behalf_of(&json!({"user_id": "not-mine"}), "user").await;
}

#[tokio::test]
async fn an_alarm_is_not_made_for_another_project() {
    not_on_behalf_of(&json!({"project_id": "not-mine"}), "project").await;
}

#[tokio::test]
async fn of_another_user_and_project_the_user_is_refused() {
    not_on_behalf_of(&json!({"user_id": "not-mine", "project_id": "nor-this"}), "user").await;
}

async fn not_on_behalf_of(owner: &serde_json::Value, aspect: &str) {
    let app = AlarmApp::start().await.unwrap();
    let who = Who { roles: "demo", ..OWNER };
    let text = refusal(&app, who, &with(&definition("added"), owner), 401).await;
    assert_eq!(text, format!("Not Authorized to access {aspect} not-mine"));
    assert!(list(&app, ADMIN, ALL).await.is_empty());
}

#[tokio::test]
async fn an_alarm_may_be_said_to_be_the_callers() {
    let app = AlarmApp::start().await.unwrap();
    let who = Who { roles: "demo", ..OWNER };
    for owner in [
        json!({"user_id": OWNER.user}),
        json!({"project_id": OWNER.project}),
        json!({"user_id": OWNER.user, "project_id": OWNER.project}),
    ] {
        let made = create(&app, who, &with(&definition("added"), &owner)).await;
        assert_eq!((&made["user_id"], &made["project_id"]), (&json!(OWNER.user), &json!(OWNER.project)));
    }
}

#[tokio::test]
async fn administrators_make_alarms_for_others() {
    let app = AlarmApp::start().await.unwrap();
    let for_others = json!({"user_id": "theirs", "project_id": "their-project"});
    let made = create(&app, ADMIN, &with(&definition("added"), &for_others)).await;
    assert_eq!((&made["user_id"], &made["project_id"]), (&json!("theirs"), &json!("their-project")));
    let made =
        create(&app, ADMIN, &with(&definition("added"), &json!({"project_id": "their-project"}))).await;
    assert_eq!((&made["user_id"], &made["project_id"]), (&json!(OWNER.user), &json!("their-project")));
}

#[tokio::test]
async fn the_rule_must_be_that_of_the_type() {
    let app = AlarmApp::start().await.unwrap();
    let body = with(&definition("added"), &json!({"type": "gnocchi_resources_threshold"}));
    assert_eq!(
        refusal(&app, OWNER, &body, 400).await,
        "gnocchi_resources_threshold_rule must be set for gnocchi_resources_threshold type alarm"
    );
}

#[tokio::test]
async fn log_actions_are_for_administrators() {
    let app = AlarmApp::start().await.unwrap();
    let body = with(&definition("added"), &json!({"alarm_actions": ["log://"]}));
    let text = refusal(&app, OWNER, &body, 401).await;
    assert_eq!(text, "You are not authorized to create action: log://");
}

#[tokio::test]
async fn test_actions_are_for_administrators() {
    let app = AlarmApp::start().await.unwrap();
    let body = with(&definition("added"), &json!({"alarm_actions": ["test://"]}));
    let text = refusal(&app, OWNER, &body, 401).await;
    assert_eq!(text, "You are not authorized to create action: test://");
}

#[tokio::test]
async fn administrators_have_log_and_test_actions() {
    let app = AlarmApp::start().await.unwrap();
    let body = with(&definition("added"), &json!({"alarm_actions": ["test://", "log://"]}));
    let made = create(&app, ADMIN, &body).await;
    assert_eq!(made["alarm_actions"], json!(["test:", "log:"]), "as answers of upstream show them");
    let kept = found(&app, &made["alarm_id"]).await.alarm_actions.unwrap();
    assert_eq!(kept, ["test://", "log://"]);
}

#[tokio::test]
async fn actions_are_counted_each_once() {
    let app = AlarmApp::builder().settings(|settings| settings.max_actions = Some(2)).start().await.unwrap();
    let actions = |list: serde_json::Value| with(&definition("added"), &json!({"ok_actions": list}));
    let twice = json!(["http://one", "http://two", "http://one"]);
    let made = create(&app, OWNER, &actions(twice)).await;
    assert_eq!(made["ok_actions"], json!(["http://one", "http://two"]));
    let text = refusal(&app, OWNER, &actions(json!(["http://one", "http://two", "http://three"])), 400).await;
    assert_eq!(text, "ok_actions count exceeds maximum value 2");
    let text = refusal(&app, OWNER, &actions(json!(["ftp://one"])), 400).await;
    assert_eq!(text, "Unsupported action ftp://one");
}

#[tokio::test]
async fn administrators_replace_alarms_and_their_owners() {
    let app = seeded().await;
    let named = list(&app, ADMIN, "/v2/alarms?q.field=name&q.value=name%20a").await;
    assert_eq!(each(&named, "alarm_id"), ["a"]);
    let owner = json!({"user_id": "myuserid", "project_id": "myprojectid", "severity": "critical"});
    let body = with(&full_definition("name_put"), &owner);
    let put = app.put(ADMIN, "/v2/alarms/a", &body).await.expect(200).json();
    let kept = app.get(ADMIN, "/v2/alarms/a").await.expect(200).json();
    assert_eq!(put, kept);
    for (key, value) in body.as_object().unwrap() {
        assert_eq!(&kept[key], value, "{key}");
    }
}

#[tokio::test]
async fn what_a_put_leaves_out_is_reset() {
    let app = seeded().await;
    app.put(OWNER, "/v2/alarms/a/state", &json!("alarm")).await.expect(200);
    let put = app.put(OWNER, "/v2/alarms/a", &definition("short")).await.expect(200).json();
    let reset = json!({"state": "insufficient data", "severity": "low", "time_constraints": [], "enabled": true,
        "repeat_actions": false, "description": format!("{TYPE} alarm rule"), "user_id": OWNER.user,
        "project_id": OWNER.project, "state_reason": "Manually set via API"});
    for (key, value) in reset.as_object().unwrap() {
        assert_eq!(&put[key], value, "{key}");
    }
    let theirs = json!({"user_id": "theirs", "project_id": "their-project"});
    let put = app.put(OWNER, "/v2/alarms/a", &with(&definition("short"), &theirs)).await.expect(200).json();
    assert_eq!(put["project_id"], OWNER.project, "a tenant's alarm stays the tenant's");
}

#[tokio::test]
async fn alarms_of_others_are_not_there() {
    let app = seeded().await;
    for answer in [
        app.get(STRANGER, "/v2/alarms/a").await,
        app.put(STRANGER, "/v2/alarms/a", &definition("mine")).await,
        app.delete(STRANGER, "/v2/alarms/a").await,
        app.get(STRANGER, "/v2/alarms/a/state").await,
        app.put(STRANGER, "/v2/alarms/a/state", &json!("ok")).await,
        app.get(STRANGER, "/v2/alarms/a/history").await,
    ] {
        assert_eq!(fault(&answer.expect(404)), "Alarm a not found");
    }
    app.delete(OWNER, "/v2/alarms/a").await.expect(204);
    app.get(OWNER, "/v2/alarms/a").await.expect(404);
}

#[tokio::test]
async fn states_are_bare_texts() {
    let app = seeded().await;
    assert_eq!(app.get(OWNER, "/v2/alarms/a/state").await.expect(200).text(), "\"insufficient data\"");
    let put = app.put(OWNER, "/v2/alarms/a/state", &json!("alarm")).await.expect(200);
    assert_eq!(put.text(), "\"alarm\"");
    let alarm = app.get(OWNER, "/v2/alarms/a").await.expect(200).json();
    assert_eq!((&alarm["state"], &alarm["state_reason"]), (&json!("alarm"), &json!("Manually set via API")));
    for wrong in [json!({"state": "ok"}), json!(1), json!(null), json!("fine")] {
        let refused = app.put(OWNER, "/v2/alarms/a/state", &wrong).await.expect(400);
        assert_eq!(fault(&refused), "state invalid");
    }
}

#[tokio::test]
async fn severities_sort_by_what_they_mean() {
    let app = seeded().await;
    let ascending = list(&app, OWNER, "/v2/alarms?sort=severity:asc").await;
    assert_eq!(each(&ascending, "severity"), ["moderate", "critical", "critical"]);
    let descending = list(&app, OWNER, "/v2/alarms?sort=severity:desc").await;
    assert_eq!(each(&descending, "severity"), ["critical", "critical", "moderate"]);
}

/// Upstream's own file for tests of refusals.
pub(crate) const POLICY: &str = "
context_is_admin: role:admin
segregation: rule:context_is_admin
admin_or_owner: rule:context_is_admin or project_id:%(project_id)s
default: rule:admin_or_owner
'telemetry:get_alarms': role:admin
'telemetry:get_metrics': role:admin
";
