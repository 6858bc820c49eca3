//! What is remembered of alarms.

use nephometer_alarm::service::AlarmSettings;
use nephometer_testkit::alarm_app::Who;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn history_is_recorded_where_the_operator_wants_it() {
    let app = seeded().await;
    assert!(history(&app, OWNER, "a").await.is_empty());
    let silent = app.again(AlarmSettings { record_history: false, ..AlarmSettings::default() }, "").unwrap();
    update(&silent, OWNER, "a", &json!({"name": "renamed"})).await;
    assert!(history(&app, OWNER, "a").await.is_empty());
    update(&app, OWNER, "a", &json!({"name": "foobar"})).await;
    assert_eq!(history(&app, OWNER, "a").await.len(), 1);
}

#[tokio::test]
async fn a_changed_rule_is_recorded_whole() {
    let app = seeded().await;
    let alarm = app.get(OWNER, "/v2/alarms/a").await.expect(200).json();
    assert_eq!(alarm[RULE]["aggregation_method"], "mean");
    let rule = with(&alarm[RULE], &json!({"aggregation_method": "min"}));
    let updated = update(&app, OWNER, "a", &json!({(RULE): rule})).await;
    assert_eq!(updated[RULE]["aggregation_method"], "min");
    let history = history(&app, OWNER, "a").await;
    assert_eq!(history.len(), 1);
    let detail = detail(&history[0]);
    assert_eq!(detail["rule"]["aggregation_method"], "min");
    assert_eq!(detail.as_object().unwrap().len(), 1);
    assert_eq!(detail["rule"].as_object().unwrap().len(), rule.as_object().unwrap().len());
}

#[tokio::test]
async fn owners_see_what_administrators_did() {
    let app = nephometer_testkit::alarm_app::AlarmApp::start().await.unwrap();
    let member = Who { roles: "member", ..OWNER };
    let admin = Who { user: "root", project: "root-project", roles: "admin" };
    let definition = with(&definition("new_alarm"), &json!({"state": "ok"}));
    let alarm = create(&app, member, &definition).await;
    let id = alarm["alarm_id"].as_str().unwrap();
    update(&app, admin, id, &json!({"state": "alarm"})).await;
    for who in [member, admin] {
        let history = history(&app, who, id).await;
        assert_eq!(each(&history, "type"), ["rule change", "creation"]);
        assert_eq!(each(&history, "on_behalf_of"), [OWNER.project; 2]);
        assert_eq!(each(&history, "user_id"), [admin.user, member.user]);
        assert_eq!(each(&history, "project_id"), [admin.project, member.project]);
        assert_eq!(each(&history, "alarm_id"), [id; 2]);
        let changed = "{\"state\": \"alarm\", \"state_reason\": \"Manually set via API\"}";
        assert_eq!(history[0]["detail"], changed);
        let made = detail(&history[1]);
        assert_eq!((&made["rule"], &made["state"]), (&definition[RULE], &json!("ok")));
        let confined =
            format!("/v2/alarms/{id}/history?q.field=on_behalf_of&q.op=eq&q.value={}", OWNER.project);
        app.get(who, &confined).await.expect(400);
    }
}

#[tokio::test]
async fn history_goes_with_its_alarm() {
    let app = seeded().await;
    update(&app, OWNER, "a", &json!({"name": "renamed"})).await;
    assert_eq!(history(&app, OWNER, "a").await.len(), 1);
    app.delete(OWNER, "/v2/alarms/a").await.expect(204);
    app.get(OWNER, "/v2/alarms/a/history").await.expect(404);
}

#[tokio::test]
async fn the_newest_comes_first() {
    let app = seeded().await;
    for number in 0..10 {
        update(&app, OWNER, "a", &json!({"name": number.to_string()})).await;
    }
    let history = history(&app, OWNER, "a").await;
    let details: Vec<_> = (0..10).rev().map(|number| format!("{{\"name\": \"{number}\"}}")).collect();
    assert_eq!(each(&history, "detail"), details);
    assert_eq!(each(&history, "type"), ["rule change"; 10]);
    assert_eq!(each(&history, "alarm_id"), ["a"; 10]);
}

#[tokio::test]
async fn history_is_searched_by_time() {
    let app = seeded().await;
    update(&app, OWNER, "a", &json!({"name": "renamed"})).await;
    let after = "2026-01-01T00:00:01.5";
    let path = |op: &str| format!("/v2/alarms/a/history?q.field=timestamp&q.op={op}&q.value={after}");
    assert!(list(&app, OWNER, &path("gt")).await.is_empty());
    let found = list(&app, OWNER, &path("le")).await;
    assert_renamed(&found, "renamed");
    let widened = format!("{}&q.field=search_offset&q.op=eq&q.value=1", path("gt"));
    assert_eq!(list(&app, OWNER, &widened).await.len(), 1);
    let refused = app.get(OWNER, &path("eq")).await.expect(400);
    assert!(fault(&refused).contains("unimplemented operator for timestamp"));
}

#[tokio::test]
async fn history_is_searched_by_type() {
    let app = seeded().await;
    update(&app, OWNER, "a", &json!({"name": "renamed2"})).await;
    app.put(OWNER, "/v2/alarms/a/state", &json!("ok")).await.expect(200);
    let path = "/v2/alarms/a/history?q.field=type&q.op=eq&q.value=";
    assert_renamed(&list(&app, OWNER, &format!("{path}rule%20change")).await, "renamed2");
    assert_eq!(list(&app, OWNER, &format!("{path}state%20transition")).await.len(), 1);
    assert!(list(&app, OWNER, &format!("{path}other")).await.is_empty());
}

#[tokio::test]
async fn history_is_not_searched_by_alarm() {
    unrecognised("alarm_id", "a").await;
}

#[tokio::test]
async fn history_is_not_searched_by_what_it_has_not() {
    unrecognised("abcd", "abcd").await;
}

async fn unrecognised(field: &str, value: &str) {
    let app = seeded().await;
    let path = format!("/v2/alarms/a/history?q.op=eq&q.value={value}&q.field={field}");
    let text = format!(
        "Unknown argument: \"{field}\": unrecognized field in query: [<Query '{field}' eq '{value}' Unset>], \
         valid keys: ['project', 'search_offset', 'severity', 'timestamp', 'type', 'user']"
    );
    assert_eq!(fault(&app.get(OWNER, &path).await.expect(400)), text);
}

#[tokio::test]
async fn history_is_searched_by_severity() {
    let app = seeded().await;
    update(&app, OWNER, "a", &json!({"severity": "low"})).await;
    let found = list(&app, OWNER, "/v2/alarms/a/history?q.field=severity&q.op=eq&q.value=low").await;
    assert_eq!(each(&found, "detail"), ["{\"severity\": \"low\"}"]);
    assert!(found[0].get("severity").is_none());
}

#[tokio::test]
async fn history_is_sorted_as_asked() {
    let app = seeded().await;
    for number in 0..10 {
        update(&app, OWNER, "a", &json!({"name": number.to_string()})).await;
    }
    let path = "/v2/alarms/a/history?sort=event_id:desc&sort=timestamp:desc";
    let ids = each(&list(&app, OWNER, path).await, "event_id").join(" ");
    let mut sorted: Vec<_> = ids.split(' ').collect();
    sorted.sort_unstable();
    sorted.reverse();
    assert_eq!((sorted.join(" "), sorted.len()), (ids.clone(), 10));
}

fn detail(record: &Value) -> Value {
    serde_json::from_str(record["detail"].as_str().unwrap()).unwrap()
}

fn assert_renamed(found: &[Value], name: &str) {
    assert_eq!(each(found, "detail"), [format!("{{\"name\": \"{name}\"}}")]);
    assert_eq!(each(found, "type"), ["rule change"]);
    assert_eq!(each(found, "user_id"), [OWNER.user]);
    assert_eq!(each(found, "project_id"), [OWNER.project]);
    assert_eq!(each(found, "on_behalf_of"), [OWNER.project]);
}
