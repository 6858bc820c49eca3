//! Events against alarms, as upstream's evaluator has it and as it was meant.

use nephometer_model::{EventCondition, Operator, Severity, TimeConstraint};
use serde_json::json;

use super::*;

fn event(traits: &Value) -> Event {
    Event::read(body(traits)).unwrap()
}

fn body(traits: &Value) -> Value {
    json!({"message_id": "m1", "event_type": "compute.instance.update", "generated": "2026-01-02T00:00:00",
           "traits": traits, "payload": {"depth": {"level": 5}, "flag": true}})
}

fn condition(field: &str, op: Operator, kind: &str, value: &str) -> EventCondition {
    EventCondition { field: field.to_owned(), op, kind: kind.to_owned(), value: value.to_owned() }
}

pub(super) fn alarm(event_type: &str, query: Vec<EventCondition>) -> Alarm {
    Alarm {
        id: AlarmId("a1".to_owned()),
        version: 1,
        enabled: Some(true),
        name: "event".to_owned(),
        description: String::new(),
        severity: Severity::Low,
        user_id: None,
        project_id: Some("p".to_owned()),
        timestamp: Timestamp::default(),
        state: AlarmState::InsufficientData,
        state_reason: "Not evaluated yet".to_owned(),
        state_timestamp: Timestamp::default(),
        evaluate_timestamp: Timestamp::default(),
        ok_actions: None,
        alarm_actions: Some(vec!["log://".to_owned()]),
        insufficient_data_actions: None,
        repeat_actions: false,
        time_constraints: Vec::new(),
        rule: AlarmRule::Event(EventRule { event_type: event_type.to_owned(), query }),
    }
}

fn fires(alarm: Alarm, event: &Event) -> bool {
    EventAlarm::new(Arc::new(alarm)).is_some_and(|alarm| alarm.decide(event, Timestamp::default()).is_some())
}

const PROJECT: &[&str] = &["project_id"];

fn traits(more: &Value) -> Value {
    let mut all: Vec<Value> = PROJECT.iter().map(|name| json!([name, 1, "p"])).collect();
    all.extend(more.as_array().unwrap().iter().cloned());
    Value::Array(all)
}

#[test]
fn events_without_type_or_id_are_none() {
    for (event, error) in [
        (json!({"message_id": "m"}), EventError::NoType),
        (json!({"message_id": "m", "event_type": ""}), EventError::NoType),
        (json!({"event_type": "t"}), EventError::NoId),
        (json!({"event_type": "t", "message_id": null}), EventError::NoId),
        (json!("text"), EventError::NoType),
        (json!(null), EventError::NoType),
    ] {
        assert_eq!(Event::read(event), Err(error));
    }
    assert_eq!(events_of(json!({"a": 1})).len(), 1);
    assert_eq!(events_of(json!([1, 2])).len(), 2);
}

#[test]
fn the_project_is_the_later_of_two_traits() {
    for (list, project) in [
        (json!([["project_id", 1, "p"], ["tenant_id", 1, "t"]]), "t"),
        (json!([["tenant_id", 1, "t"], ["project_id", 1, "p"]]), "p"),
        (json!([]), ""),
    ] {
        assert_eq!(event(&list).project(), project);
    }
    let alarm = || alarm("*", Vec::new());
    assert!(fires(alarm(), &event(&traits(&json!([])))));
    assert!(!fires(alarm(), &event(&json!([["project_id", 1, "other"]]))));
    assert!(!fires(alarm(), &event(&json!([]))));
    assert!(fires(Alarm { project_id: Some(String::new()), ..alarm() }, &event(&json!([]))));
    assert!(!fires(Alarm { project_id: None, ..alarm() }, &event(&json!([]))));
}

#[test]
fn types_are_globs_with_case() {
    let event = event(&traits(&json!([])));
    for (glob, expected) in [
        ("*", true),
        ("compute.instance.*", true),
        ("compute.instance.updat?", true),
        ("compute.[ai]nstance.update", true),
        ("Compute.*", false),
        ("compute.instance", false),
    ] {
        assert_eq!(fires(alarm(glob, Vec::new()), &event), expected, "{glob}");
    }
}

#[test]
fn fired_once_unless_it_repeats_and_disabled_never() {
    let event = event(&traits(&json!([])));
    let in_alarm =
        |repeat_actions| Alarm { state: AlarmState::Alarm, repeat_actions, ..alarm("*", Vec::new()) };
    assert!(!fires(in_alarm(false), &event));
    assert!(fires(in_alarm(true), &event));
    assert!(!fires(Alarm { enabled: Some(false), ..alarm("*", Vec::new()) }, &event));
    assert!(!fires(Alarm { enabled: None, ..alarm("*", Vec::new()) }, &event));
}

#[test]
fn conditions_compare_by_kind() {
    let list = traits(&json!([
        ["n", 2, 5],
        ["n2", "integer", "7"],
        ["f", 3, "1.5"],
        ["t", 4, "2026-01-02T00:00:00+01:00"],
        ["s", 1, "five"],
        ["yes", 1, "True"],
        ["digits", 1, "5"],
        ["none", 0, "x"]
    ]));
    let event = event(&list);
    use Operator::{Eq, Ge, Gt, Le, Lt, Ne};
    for (field, op, kind, value, expected) in [
        ("traits.n", Eq, "integer", "5", true),
        ("traits.n", Eq, "float", "5.0", true),
        ("traits.n", Gt, "float", "4.5", true),
        ("traits.n", Ge, "integer", "6", false),
        // Text never equals a number, and has no order with one.
        ("traits.n", Eq, "", "5", false),
        ("traits.n", Ne, "", "5", true),
        ("traits.n", Lt, "", "6", false),
        ("traits.n", Gt, "", "4", false),
        ("traits.n2", Eq, "integer", "7", true),
        ("traits.f", Le, "float", "1.5", true),
        ("traits.f", Lt, "integer", "2", true),
        ("traits.s", Eq, "", "five", true),
        ("traits.s", Eq, "string", "five", true),
        ("traits.s", Gt, "string", "fiva", true),
        ("traits.digits", Eq, "integer", "5", false),
        ("traits.none", Eq, "", "x", true),
        ("traits.t", Eq, "datetime", "2026-01-01T23:00:00", true),
        ("traits.t", Lt, "datetime", "2026-01-02", true),
        ("traits.yes", Eq, "boolean", "true", true),
        ("traits.yes", Eq, "boolean", "0", false),
        ("traits.yes", Ne, "boolean", "no", true),
        ("traits.s", Eq, "boolean", "true", false),
        // What is absent is unequal to everything and has no order.
        ("traits.absent", Eq, "", "", false),
        ("traits.absent", Ne, "", "x", true),
        ("traits.absent", Lt, "integer", "5", false),
        // Fields that are no traits.
        ("event_type", Eq, "", "compute.instance.update", true),
        ("message_id", Eq, "", "m1", true),
        ("generated", Gt, "datetime", "2026-01-01", true),
        ("payload.depth.level", Eq, "", "5", true),
        ("payload.depth.level", Gt, "integer", "4", true),
        ("payload.flag", Eq, "boolean", "true", true),
        ("payload.nothing", Eq, "", "5", false),
        ("payload.flag.deeper", Ne, "", "5", true),
        // A value that does not read as its type never holds.
        ("traits.n", Ne, "integer", "x", false),
    ] {
        let alarm = alarm("*", vec![condition(field, op, kind, value)]);
        assert_eq!(fires(alarm, &event), expected, "{field} {op} {kind}:{value}");
    }
}

#[test]
fn all_conditions_must_hold_and_one_that_cannot_spoils_no_other_alarm() {
    let event = event(&traits(&json!([["n", 2, 5]])));
    let five = || condition("traits.n", Operator::Eq, "integer", "5");
    let broken = || condition("traits.n", Operator::Eq, "datetime", "never");
    assert!(fires(alarm("*", vec![five(), five()]), &event));
    assert!(!fires(alarm("*", vec![five(), broken()]), &event));
    let mut alarms = EventAlarms::default();
    alarms.put(Arc::new(Alarm { id: AlarmId("broken".to_owned()), ..alarm("*", vec![broken()]) }));
    alarms.put(Arc::new(alarm("*", vec![five()])));
    assert_eq!(alarms.fired(&event, Timestamp::default()).len(), 1);
    assert_eq!((alarms.len(), alarms.is_empty()), (2, false));
    alarms.put(Arc::new(Alarm { project_id: Some("q".to_owned()), ..alarm("*", Vec::new()) }));
    assert!(alarms.fired(&event, Timestamp::default()).is_empty());
    alarms.remove(&AlarmId("a1".to_owned()));
    assert!(alarms.get(&AlarmId("a1".to_owned())).is_none());
}

#[test]
fn the_words_of_a_hit() {
    let event = event(&traits(&json!([["n", 2, 5]])));
    let alarm = alarm("compute.*", vec![condition("traits.n", Operator::Eq, "integer", "5")]);
    let watched = EventAlarm::new(Arc::new(alarm)).unwrap();
    let verdict = watched.decide(&event, Timestamp::default()).unwrap();
    assert_eq!(
        verdict.reason,
        "Event <id=m1,event_type=compute.instance.update> hits the query <query=[{\"field\": \"traits.n\", \"op\": \
         \"eq\", \"type\": \"integer\", \"value\": \"5\"}]>."
    );
    assert_eq!(verdict.state, AlarmState::Alarm);
    assert_eq!(verdict.reason_data, json!({"type": "event", "event": body(&traits(&json!([["n", 2, 5]])))}));
}

#[test]
fn time_constraints_count() {
    let event = event(&traits(&json!([])));
    let constraint = TimeConstraint {
        name: "noon".to_owned(),
        description: String::new(),
        start: "0 12 * * *".to_owned(),
        duration_seconds: 3600,
        timezone: String::new(),
    };
    let alarm = Alarm { time_constraints: vec![constraint], ..alarm("*", Vec::new()) };
    let watched = EventAlarm::new(Arc::new(alarm)).unwrap();
    let hour = |hour: i64| Timestamp::from_ns(hour * 3_600_000_000_000);
    assert!(watched.decide(&event, hour(11)).is_none());
    assert!(watched.decide(&event, hour(12)).is_some());
}
