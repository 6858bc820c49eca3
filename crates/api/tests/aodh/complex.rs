//! Searches over HTTP: which rows, in which order, how many; and who may see them.

use nephometer_model::{Alarm, AlarmChange, AlarmChangeKind, AlarmId, AlarmState, Severity, Timestamp};
use nephometer_testkit::alarm_app::{AlarmApp, Who};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::*;

const ALARMS: &str = "/v2/query/alarms";
const HISTORY: &str = "/v2/query/alarms/history";
const ROOT: Who<'_> = Who { user: "", project: "project-id1", roles: "admin" };
const MEMBER: Who<'_> = Who { roles: "Member", ..ROOT };
const STATES: [AlarmState; 3] = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData];
/// 2013-02-02T00:00:00Z.
const LATER: Timestamp = Timestamp::from_ns(1_359_763_200_000_000_000);

/// Twelve alarms: of three states, two days and two projects, and of all severities.
async fn twelve() -> AlarmApp {
    let app = AlarmApp::start().await.unwrap();
    for (at, state) in STATES.into_iter().enumerate() {
        for date in [LONG_AGO, LATER] {
            for owner in [1, 2] {
                let id = format!("{}-{}-{owner}", state.as_str(), date.ns());
                let alarm = Alarm {
                    state,
                    state_timestamp: date,
                    timestamp: date,
                    user_id: Some(format!("user-id{owner}")),
                    project_id: Some(format!("project-id{owner}")),
                    severity: Severity::ALL[at],
                    ..stored(&id)
                };
                store(&app, alarm).await;
            }
        }
    }
    app
}

/// Two alarms with four records each, two for each of two projects.
async fn records() -> AlarmApp {
    let app = AlarmApp::start().await.unwrap();
    let mut event = 0;
    for owner in [1, 2] {
        let id = format!("alarm-id{owner}");
        store(&app, stored(&id)).await;
        for kind in [AlarmChangeKind::Creation, AlarmChangeKind::StateTransition] {
            for timestamp in [LONG_AGO, LATER] {
                event += 1;
                let change = AlarmChange {
                    event_id: Uuid::from_u128(event),
                    alarm_id: AlarmId(id.clone()),
                    kind,
                    detail: String::new(),
                    user_id: Some(format!("user-id{owner}")),
                    project_id: Some(format!("project-id{owner}")),
                    on_behalf_of: Some(format!("project-id{owner}")),
                    timestamp,
                    severity: None,
                };
                let alarm = found(&app, &json!(id)).await;
                app.store().update(alarm, change.into()).await.unwrap();
            }
        }
    }
    app
}

async fn ask(app: &AlarmApp, who: Who<'_>, path: &str, body: &Value) -> Vec<Value> {
    app.post(who, path, body).await.expect(200).json().as_array().unwrap().clone()
}

async fn refused(app: &AlarmApp, who: Who<'_>, path: &str, body: &Value, status: u16) -> String {
    fault(&app.post(who, path, body).await.expect(status))
}

/// A body with a filter.
fn filter(expression: &Value) -> Value {
    json!({"filter": expression.to_string()})
}

#[tokio::test]
async fn no_filter_finds_all_alarms() {
    let app = twelve().await;
    assert_eq!(ask(&app, ROOT, ALARMS, &json!({})).await.len(), 12);
}

#[tokio::test]
async fn alarms_are_found_by_time() {
    let app = twelve().await;
    let found = ask(&app, ROOT, ALARMS, &filter(&json!({">": {"timestamp": "2013-01-01T00:00:00"}}))).await;
    assert_eq!(each(&found, "timestamp"), ["2013-02-02T00:00:00"; 6]);
}

#[tokio::test]
async fn alarms_are_found_by_the_time_of_their_state() {
    let app = twelve().await;
    let since = json!({">": {"state_timestamp": "2013-01-01T00:00:00"}});
    let found = ask(&app, ROOT, ALARMS, &filter(&since)).await;
    assert_eq!(each(&found, "state_timestamp"), ["2013-02-02T00:00:00"; 6]);
}

#[tokio::test]
async fn members_find_alarms_of_their_project() {
    let app = twelve().await;
    let found = ask(&app, MEMBER, ALARMS, &json!({})).await;
    assert_eq!(each(&found, "project_id"), ["project-id1"; 6]);
}

#[tokio::test]
async fn members_do_not_name_another_project_in_searches() {
    let app = twelve().await;
    for expression in [
        json!({"=": {"project_id": "project-id2"}}),
        json!({"!=": {"project": "project-id2"}}),
        json!({"not": {"and": [{"=": {"name": "x"}}, {"<": {"project_id": "project-id2"}}]}}),
    ] {
        let text = refused(&app, MEMBER, ALARMS, &filter(&expression), 401).await;
        assert_eq!(text, "Not Authorized to access project project-id2");
    }
    let several = filter(&json!({"in": {"project_id": ["project-id1", "project-id2"]}}));
    let text = refused(&app, MEMBER, ALARMS, &several, 401).await;
    assert_eq!(text, "Not Authorized to access project ['project-id1', 'project-id2']");
}

#[tokio::test]
async fn members_may_name_their_project_in_searches() {
    let app = twelve().await;
    let found = ask(&app, MEMBER, ALARMS, &filter(&json!({"=": {"project_id": "project-id1"}}))).await;
    assert_eq!(each(&found, "project_id"), ["project-id1"; 6]);
}

#[tokio::test]
async fn administrators_find_alarms_of_every_project() {
    let app = twelve().await;
    let found = ask(&app, ROOT, ALARMS, &json!({})).await;
    let of = |project: &str| found.iter().filter(|alarm| alarm["project_id"] == project).count();
    assert_eq!((of("project-id1"), of("project-id2")), (6, 6));
}

#[tokio::test]
async fn administrators_name_any_project_in_searches() {
    let app = twelve().await;
    let found = ask(&app, ROOT, ALARMS, &filter(&json!({"=": {"project_id": "project-id2"}}))).await;
    assert_eq!(each(&found, "project_id"), ["project-id2"; 6]);
}

#[tokio::test]
async fn project_is_another_name_of_the_column() {
    let app = twelve().await;
    let found = ask(&app, ROOT, ALARMS, &filter(&json!({"=": {"project": "project-id2"}}))).await;
    assert_eq!(each(&found, "project_id"), ["project-id2"; 6]);
}

#[tokio::test]
async fn user_is_another_name_of_the_column_to_sort_by() {
    let app = twelve().await;
    let body =
        with(&filter(&json!({"=": {"state": "alarm"}})), &json!({"orderby": "[{\"user\": \"DESC\"}]"}));
    let found = ask(&app, ROOT, ALARMS, &body).await;
    assert_eq!(each(&found, "user_id"), ["user-id2", "user-id2", "user-id1", "user-id1"]);
}

#[tokio::test]
async fn alarms_are_filtered_sorted_and_cut() {
    let app = twelve().await;
    let rest = json!({"orderby": "[{\"state_timestamp\": \"DESC\"}]", "limit": 3});
    let found = ask(&app, ROOT, ALARMS, &with(&filter(&json!({"=": {"state": "alarm"}})), &rest)).await;
    assert_eq!(
        each(&found, "state_timestamp"),
        ["2013-02-02T00:00:00", "2013-02-02T00:00:00", "2013-01-01T00:00:00"]
    );
    assert_eq!(each(&found, "state"), ["alarm"; 3]);
}

#[tokio::test]
async fn searches_sort_severities_by_what_they_mean() {
    let app = twelve().await;
    let ascending = ask(&app, ROOT, ALARMS, &json!({"orderby": "[{\"severity\": \"ASC\"}]"})).await;
    let mut expected = [["low"; 4], ["moderate"; 4], ["critical"; 4]].concat();
    assert_eq!(each(&ascending, "severity"), expected);
    let descending = ask(&app, ROOT, ALARMS, &json!({"orderby": "[{\"severity\": \"DESC\"}]"})).await;
    expected.reverse();
    assert_eq!(each(&descending, "severity"), expected);
}

#[tokio::test]
async fn a_search_of_alarms_finds_one_at_least() {
    let app = twelve().await;
    let text = refused(&app, ROOT, ALARMS, &json!({"limit": 0}), 400).await;
    assert!(text.contains("Limit should be positive"), "{text}");
    refused(&app, ROOT, ALARMS, &json!({"limit": -1}), 400).await;
    assert_eq!(ask(&app, ROOT, ALARMS, &json!({"limit": "2"})).await.len(), 2);
}

#[tokio::test]
async fn no_filter_finds_all_records() {
    let app = records().await;
    assert_eq!(ask(&app, ROOT, HISTORY, &json!({})).await.len(), 8);
}

#[tokio::test]
async fn records_are_found_by_time() {
    let app = records().await;
    let found = ask(&app, ROOT, HISTORY, &filter(&json!({">": {"timestamp": "2013-01-01T00:00:00"}}))).await;
    assert_eq!(each(&found, "timestamp"), ["2013-02-02T00:00:00"; 4]);
}

#[tokio::test]
async fn members_find_records_on_behalf_of_their_project() {
    let app = records().await;
    let found = ask(&app, MEMBER, HISTORY, &json!({})).await;
    assert_eq!(each(&found, "on_behalf_of"), ["project-id1"; 4]);
}

#[tokio::test]
async fn members_do_not_name_another_project_in_searches_of_records() {
    let app = records().await;
    let body = filter(&json!({"=": {"on_behalf_of": "project-id2"}}));
    let text = refused(&app, MEMBER, HISTORY, &body, 401).await;
    assert_eq!(text, "Not Authorized to access project project-id2");
    let by_whom = filter(&json!({"=": {"project_id": "project-id2"}}));
    assert!(ask(&app, MEMBER, HISTORY, &by_whom).await.is_empty(), "who did it says not whose it is");
}

#[tokio::test]
async fn members_may_name_their_project_in_searches_of_records() {
    let app = records().await;
    let found = ask(&app, MEMBER, HISTORY, &filter(&json!({"=": {"on_behalf_of": "project-id1"}}))).await;
    assert_eq!(each(&found, "on_behalf_of"), ["project-id1"; 4]);
}

#[tokio::test]
async fn administrators_find_records_of_every_project() {
    let app = records().await;
    let found = ask(&app, ROOT, HISTORY, &json!({})).await;
    let of = |project: &str| found.iter().filter(|record| record["on_behalf_of"] == project).count();
    assert_eq!((of("project-id1"), of("project-id2")), (4, 4));
}

#[tokio::test]
async fn records_of_a_project_are_sorted_by_user() {
    let app = records().await;
    let rest = json!({"orderby": "[{\"user\": \"DESC\"}]", "limit": 3});
    let body = with(&filter(&json!({"=": {"project": "project-id1"}})), &rest);
    let found = ask(&app, ROOT, HISTORY, &body).await;
    assert_eq!(each(&found, "user_id"), ["user-id1"; 3]);
    assert_eq!(each(&found, "project_id"), ["project-id1"; 3]);
}

#[tokio::test]
async fn records_are_filtered_sorted_and_cut() {
    let app = records().await;
    let rest = json!({"orderby": "[{\"timestamp\": \"DESC\"}]", "limit": 3});
    let found = ask(&app, ROOT, HISTORY, &with(&filter(&json!({"=": {"type": "creation"}})), &rest)).await;
    assert_eq!(
        each(&found, "timestamp"),
        ["2013-02-02T00:00:00", "2013-02-02T00:00:00", "2013-01-01T00:00:00"]
    );
    assert_eq!(each(&found, "type"), ["creation"; 3]);
}

#[tokio::test]
async fn a_search_of_records_finds_one_at_least() {
    let app = records().await;
    let text = refused(&app, ROOT, HISTORY, &json!({"limit": 0}), 400).await;
    assert!(text.contains("Limit should be positive"), "{text}");
}

#[tokio::test]
async fn times_are_read_in_utc() {
    let app = twelve().await;
    let exactly = |text: &str| filter(&json!({"=": {"timestamp": text}}));
    for text in ["2013-01-01T00:00:00Z", "2013-01-01T00:00:00", "2013-01-01"] {
        assert_eq!(ask(&app, ROOT, ALARMS, &exactly(text)).await.len(), 6, "{text}");
    }
}

#[tokio::test]
async fn what_is_no_time_is_refused() {
    let app = twelve().await;
    let body = filter(&json!({"=": {"timestamp": "not a valid isotime string"}}));
    let text = refused(&app, ROOT, ALARMS, &body, 400).await;
    assert_eq!(text, "Failed to parse the timestamp value not a valid isotime string");
}

#[tokio::test]
async fn times_are_read_wherever_they_stand() {
    let app = twelve().await;
    let [first, second] = ["2013-01-01T00:00:00Z", "2013-02-02T00:00:00Z"];
    let none = json!({"and": [{"=": {"timestamp": first}}, {"=": {"timestamp": second}}]});
    assert_eq!(ask(&app, ROOT, ALARMS, &filter(&none)).await.len(), 0);
    let of_first = json!({"and": [{"=": {"project_id": "project-id1"}}, {"=": {"timestamp": second}}]});
    let unbalanced = json!({"or": [{"=": {"timestamp": first}}, of_first]});
    assert_eq!(ask(&app, ROOT, ALARMS, &filter(&unbalanced)).await.len(), 9);
}

#[tokio::test]
async fn operators_are_spelled_in_any_case() {
    let app = twelve().await;
    let one = json!({"AND": [{"=": {"project_id": "project-id1"}}, {"=": {"state": "ok"}}]});
    assert_eq!(ask(&app, ROOT, ALARMS, &filter(&one)).await.len(), 2);
    let or = json!({"Or": [one, {"anD": [{"=": {"state": "alarm"}}, {"nOT": {"=": {"state": "ok"}}}]}]});
    assert_eq!(ask(&app, ROOT, ALARMS, &filter(&or)).await.len(), 6);
}

#[tokio::test]
async fn fields_must_be_known() {
    let app = twelve().await;
    let own = json!({"=": {"project_id": "project-id1"}});
    let other = json!({"=": {"non_existing_field": 42}});
    for (path, expression) in [
        (ALARMS, json!({"=": {"project_id11": 42}})),
        (ALARMS, json!({"=": {"enabbled": true}})),
        (HISTORY, json!({"=": {"tpe": "rule change"}})),
        (ALARMS, json!({"and": [other, own]})),
        (ALARMS, json!({"and": [own, other]})),
        (HISTORY, json!({"and": [other, own]})),
        (ALARMS, json!({"or": [other, {"and": [own, own]}]})),
        (ALARMS, json!({"or": [own, {"and": [own, other]}]})),
    ] {
        let text = refused(&app, ROOT, path, &filter(&expression), 400).await;
        assert!(text.starts_with("Filter expression not valid: "), "{text}");
    }
}

#[tokio::test]
async fn directions_are_spelled_in_any_case() {
    let app = twelve().await;
    for orderby in ["[]", r#"[{"project_id": "DESC"}]"#, r#"[{"project_id": "ASC"}, {"user_id": "Desc"}]"#] {
        assert_eq!(ask(&app, ROOT, ALARMS, &json!({"orderby": orderby})).await.len(), 12, "{orderby}");
    }
}

#[tokio::test]
async fn orders_must_be_sound() {
    let app = twelve().await;
    for orderby in [
        r#"[{"project_id": ""}]"#,
        r#"[{"project_id": "asc"}, {"user_id": ""}]"#,
        r#"[{"project_id": "not a valid order"}]"#,
        r#"[{"project_id": "not a valid order"}, {"user_id": "ASC"}]"#,
        r#"[{"": "ASC"}]"#,
        r#"[{"project_id": "asc"}, {"": "desc"}]"#,
        r#"[{"project_id11": "ASC"}]"#,
        r#"[{"project_id": "asc"}, {"user_id11": "ASC"}]"#,
        r#"[{"metadata.display_name": "asc"}]"#,
        r#"{"project_id": "asc"}"#,
    ] {
        let text = refused(&app, ROOT, ALARMS, &json!({"orderby": orderby}), 400).await;
        assert!(text.starts_with("Order-by expression not valid: "), "{orderby}: {text}");
    }
}
