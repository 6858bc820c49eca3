//! Callers, definitions and stored alarms that tests begin with.

use nephometer_drivers::{AlarmLimits, ChangeRecord};
use nephometer_model::{Alarm, AlarmId, AlarmRule, AlarmState, Severity, TimeConstraint, Timestamp};
use nephometer_testkit::alarm_app::{AlarmApp, Who};
use nephometer_testkit::app::TestAnswer;
use serde_json::{Value, json};

/// The type of most alarms here.
pub(crate) const TYPE: &str = "gnocchi_aggregation_by_metrics_threshold";
/// The key of their rule.
pub(crate) const RULE: &str = "gnocchi_aggregation_by_metrics_threshold_rule";
/// Metrics that they look at.
pub(crate) const METRICS: [&str; 2] =
    ["41869681-5776-46d6-91ed-cccc43b6e4e3", "a1fb80f4-c242-4f57-87c6-68f47521059e"];
/// 2013-01-01T00:00:00Z.
pub(crate) const LONG_AGO: Timestamp = Timestamp::from_ns(1_356_998_400_000_000_000);
/// A second.
pub(crate) const SECOND_NS: i64 = 1_000_000_000;

/// Whose alarms are there.
pub(crate) const OWNER: Who<'_> = Who { user: "the-user", project: "the-project", roles: "" };
/// The same with the role of administrators.
pub(crate) const ADMIN: Who<'_> = Who { roles: "admin", ..OWNER };
/// Somebody of another project.
pub(crate) const STRANGER: Who<'_> = Who { user: "a-stranger", project: "another-project", roles: "member" };
/// Somebody who says nothing of himself.
pub(crate) const NOBODY: Who<'_> = Who { user: "", project: "", roles: "" };

/// `value` with some fields replaced.
pub(crate) fn with(value: &Value, changes: &Value) -> Value {
    let mut value = value.clone();
    for (key, change) in changes.as_object().unwrap() {
        value[key] = change.clone();
    }
    value
}

/// A rule over [`METRICS`], whole.
pub(crate) fn rule() -> Value {
    json!({"metrics": METRICS, "comparison_operator": "le", "aggregation_method": "count", "threshold": 50.0,
           "evaluation_periods": 3, "granularity": 180})
}

/// A definition with such a rule.
pub(crate) fn definition(name: &str) -> Value {
    json!({"name": name, "type": TYPE, (RULE): rule()})
}

/// A definition that says everything that a client decides.
pub(crate) fn full_definition(name: &str) -> Value {
    let more = json!({"enabled": false, "state": "ok", "severity": "low", "ok_actions": ["http://something/ok"],
        "alarm_actions": ["http://something/alarm"], "insufficient_data_actions": ["http://something/no"],
        "repeat_actions": true});
    with(&definition(name), &more)
}

/// A definition with another rule.
pub(crate) fn of_type(kind: &str, rule: &Value) -> Value {
    json!({"name": "an alarm", "type": kind, (format!("{kind}_rule")): rule})
}

/// An alarm of the owner as it is stored.
pub(crate) fn stored(id: &str) -> Alarm {
    let rule = with(
        &rule(),
        &json!({"comparison_operator": "gt", "threshold": 2.0, "aggregation_method": "mean",
                                     "evaluation_periods": 60, "granularity": 1}),
    );
    Alarm {
        id: AlarmId(id.to_owned()),
        version: 0,
        enabled: Some(true),
        name: format!("name {id}"),
        description: id.to_owned(),
        severity: Severity::Critical,
        user_id: Some(OWNER.user.to_owned()),
        project_id: Some(OWNER.project.to_owned()),
        timestamp: LONG_AGO,
        state: AlarmState::InsufficientData,
        state_reason: "Not evaluated".to_owned(),
        state_timestamp: LONG_AGO,
        evaluate_timestamp: LONG_AGO,
        ok_actions: Some(Vec::new()),
        alarm_actions: Some(Vec::new()),
        insufficient_data_actions: Some(Vec::new()),
        repeat_actions: false,
        time_constraints: Vec::new(),
        rule: AlarmRule::from_stored(TYPE, rule),
    }
}

/// Puts an alarm there without history.
pub(crate) async fn store(app: &AlarmApp, alarm: Alarm) {
    app.store().create(alarm, ChangeRecord::default(), AlarmLimits::default()).await.unwrap();
}

/// The usual application with the alarms `a` (critical, with a time constraint), `b` (critical) and `c` (moderate).
pub(crate) async fn seeded() -> AlarmApp {
    let app = AlarmApp::start().await.unwrap();
    let eleven = TimeConstraint {
        name: "testcons".to_owned(),
        description: "Time constraint at 0 11 * * * lasting for 300 seconds".to_owned(),
        start: "0 11 * * *".to_owned(),
        duration_seconds: 300,
        timezone: String::new(),
    };
    store(&app, Alarm { repeat_actions: true, time_constraints: vec![eleven], ..stored("a") }).await;
    store(&app, stored("b")).await;
    store(&app, Alarm { severity: Severity::Moderate, ..stored("c") }).await;
    app
}

/// Makes an alarm; the answer.
pub(crate) async fn create(app: &AlarmApp, who: Who<'_>, body: &Value) -> Value {
    app.post(who, "/v2/alarms", body).await.expect(201).json()
}

/// Why an alarm is not made.
pub(crate) async fn refusal(app: &AlarmApp, who: Who<'_>, body: &Value, status: u16) -> String {
    fault(&app.post(who, "/v2/alarms", body).await.expect(status))
}

/// Reads an alarm, changes some fields and sends it all back, as clients do.
pub(crate) async fn update(app: &AlarmApp, who: Who<'_>, id: &str, changes: &Value) -> Value {
    app.clock.advance_ns(SECOND_NS);
    let path = format!("/v2/alarms/{id}");
    let alarm = app.get(who, &path).await.expect(200).json();
    app.put(who, &path, &with(&alarm, changes)).await.expect(200).json()
}

/// The history of an alarm.
pub(crate) async fn history(app: &AlarmApp, who: Who<'_>, id: &str) -> Vec<Value> {
    list(app, who, &format!("/v2/alarms/{id}/history")).await
}

/// What a list holds.
pub(crate) async fn list(app: &AlarmApp, who: Who<'_>, path: &str) -> Vec<Value> {
    app.get(who, path).await.expect(200).json().as_array().unwrap().clone()
}

/// One field of each, in order.
pub(crate) fn each<'a>(list: &'a [Value], field: &str) -> Vec<&'a str> {
    list.iter().map(|one| one[field].as_str().unwrap_or("null")).collect()
}

/// An alarm as it is stored.
pub(crate) async fn found(app: &AlarmApp, id: &Value) -> Alarm {
    app.store().alarm(&AlarmId(id.as_str().unwrap().to_owned())).await.unwrap()
}

/// The text of a refusal, whose form clients rely on.
pub(crate) fn fault(answer: &TestAnswer) -> String {
    let body = answer.json();
    let error = &body["error_message"];
    let code = if answer.status.is_server_error() { "Server" } else { "Client" };
    assert_eq!((&error["faultcode"], &error["debuginfo"]), (&json!(code), &Value::Null), "{body}");
    error["faultstring"].as_str().unwrap().to_owned()
}
