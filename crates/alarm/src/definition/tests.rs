//! Definitions as clients send them: what is completed, what is refused, and in which words.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::json;

use super::*;

fn parse(body: &Value) -> Result<Draft, String> {
    Draft::parse(body, Judgement { max_actions: Some(2), is_admin: false }).map_err(|error| error.to_string())
}

/// A sound definition with some fields replaced.
fn with(changes: &Value) -> Value {
    let mut body = json!({
        "name": "hot", "type": "gnocchi_resources_threshold",
        "gnocchi_resources_threshold_rule": rule(&json!({})),
    });
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn rule(changes: &Value) -> Value {
    let mut rule = json!({"metric": "cpu", "resource_id": "r", "resource_type": "instance", "threshold": 80,
                          "aggregation_method": "mean"});
    for (key, value) in changes.as_object().unwrap() {
        rule[key] = value.clone();
    }
    rule
}

fn refused(body: &Value) -> String {
    parse(body).expect_err(&body.to_string())
}

#[test]
fn defaults_are_filled_in() {
    let draft = parse(&with(&json!({}))).unwrap();
    assert_eq!(draft.description, "gnocchi_resources_threshold alarm rule");
    assert_eq!((draft.enabled, draft.repeat_actions), (Some(true), false));
    assert_eq!((draft.state, draft.severity), (AlarmState::InsufficientData, Severity::Low));
    assert_eq!(draft.ok_actions, Some(Vec::new()));
    assert_eq!((draft.project_id, draft.user_id), (None, None));
    let stored = r#"{"granularity":60,"comparison_operator":"eq","threshold":80.0,"aggregation_method":"mean","evaluation_periods":1,"metric":"cpu","resource_id":"r","resource_type":"instance"}"#;
    assert_eq!(draft.rule.to_value().to_string(), stored);
}

#[test]
fn whole_documents_may_be_sent_back() {
    let body = with(&json!({"alarm_id": null, "timestamp": "2026-01-01T00:00:00", "state_timestamp": null,
        "state_reason": "x", "evaluate_timestamp": "2026-01-01T00:00:00", "ok_actions": null, "enabled": null,
        "time_constraints": null, "project_id": null, "user_id": "u", "description": ""}));
    let draft = parse(&body).unwrap();
    assert_eq!((draft.enabled, &draft.ok_actions), (None, &None));
    assert_eq!((draft.project_id, draft.user_id), (Some(None), Some(Some("u".to_owned()))));
    assert_eq!(draft.description, "gnocchi_resources_threshold alarm rule");
}

#[test]
fn numbers_and_truths_are_read_as_python_reads_them() {
    let body = with(&json!({"enabled": "f", "repeat_actions": 1, "gnocchi_resources_threshold_rule":
        rule(&json!({"threshold": "12.5", "evaluation_periods": "3", "granularity": 1.5}))}));
    let draft = parse(&body).unwrap();
    let AlarmRule::Resource(rule) = draft.rule else { panic!() };
    assert_eq!((rule.threshold.threshold, rule.threshold.evaluation_periods), (12.5, 3));
    assert_eq!(
        (rule.threshold.granularity_seconds, draft.enabled, draft.repeat_actions),
        (1, Some(false), true)
    );
}

#[test]
fn bodies_are_refused_in_upstreams_words() {
    let field = |field: &str, value: &str, reason: &str| {
        format!("Invalid input for field/attribute {field}. Value: '{value}'. {reason}")
    };
    let in_rule = |changes: &Value| with(&json!({"gnocchi_resources_threshold_rule": rule(changes)}));
    let cases = [
        (json!([]), field("data", "[]", "Wrong type. Expected '<class 'dict'>', got '<class 'list'>'")),
        (with(&json!({"name": null})), field("name", "None", "Mandatory field missing.")),
        (
            with(&json!({"name": 5})),
            field("name", "5", "Wrong type. Expected '<class 'str'>', got '<class 'int'>'"),
        ),
        (
            with(&json!({"enabled": "True"})),
            field("enabled", "True", "Value not an unambiguous boolean: True"),
        ),
        (
            with(&json!({"severity": "high"})),
            field("severity", "high", "Value should be one of: critical, low, moderate"),
        ),
        (
            with(&json!({"state": null})),
            field("state", "None", "Value should be one of: alarm, insufficient data, ok"),
        ),
        (with(&json!({"bogus": 1})), "Unknown attribute for argument data: bogus".to_owned()),
        (with(&json!({"b": 1, "a": 2})), "Unknown attributes for argument data: a, b".to_owned()),
        (with(&json!({"ok_actions": "x"})), field("ok_actions", "x", "Value not a valid list: x")),
        (in_rule(&json!({"resource_id": null})), field("resource_id", "None", "Mandatory field missing.")),
        (
            in_rule(&json!({"evaluation_periods": 0})),
            field("evaluation_periods", "0", "Value should be greater or equal to 1"),
        ),
        (
            in_rule(&json!({"evaluation_periods": 101})),
            field("evaluation_periods", "101", "Value should be lower or equal to 100"),
        ),
        (
            in_rule(&json!({"threshold": "abc"})),
            field("threshold", "abc", "could not convert string to float: 'abc'"),
        ),
        (
            in_rule(&json!({"x": 1})),
            "Unknown attribute for argument data.gnocchi_resources_threshold_rule: x".to_owned(),
        ),
        (
            in_rule(&json!({"evaluation_periods": 3, "datapoints_to_alarm": 4})),
            field("datapoints_to_alarm", "4", "Value should be lower or equal to 3"),
        ),
        (
            with(&json!({"gnocchi_resources_threshold_rule": null})),
            "gnocchi_resources_threshold_rule must be set for gnocchi_resources_threshold type alarm"
                .to_owned(),
        ),
        (
            with(&json!({"event_rule": {}})),
            "event_rule and gnocchi_resources_threshold_rule cannot be set at the same time".to_owned(),
        ),
    ];
    for (body, text) in cases {
        assert_eq!(refused(&body), text);
    }
}

#[test]
fn actions_are_judged_and_kept_once() {
    let actions = |list: &Value| with(&json!({"alarm_actions": list}));
    let draft = parse(&actions(&json!(["http://a", "HTTPS://b", "http://a"]))).unwrap();
    assert_eq!(draft.alarm_actions.unwrap(), ["http://a", "HTTPS://b"]);
    let cases = [
        (json!(["http://a", "http://b", "http://c"]), "alarm_actions count exceeds maximum value 2"),
        (json!(["gopher://a"]), "Unsupported action gopher://a"),
        (json!([""]), "Unsupported action "),
        (json!(["http://[::1"]), "Unable to parse action http://[::1"),
        (json!(["log://"]), "You are not authorized to create action: log://"),
        (json!(["trust+http://t@host/"]), "trust URL cannot contain a trust ID."),
    ];
    for (list, text) in cases {
        assert_eq!(refused(&actions(&list)), text);
    }
}

#[test]
fn actions_are_shown_as_python_would_put_them_together() {
    let cases = [
        ("log://", "log:"),
        ("zaqar://?topic=x", "zaqar:?topic=x"),
        ("HTTP://Host/p?q#f", "http://Host/p?q#f"),
        ("trust+zaqar://t:delete@?queue_name=q", "trust+zaqar:?queue_name=q"),
        ("trust+https://t:delete@host/p@q", "trust+https://host/p@q"),
        ("http://user@host/", "http://user@host/"),
    ];
    for (stored, expected) in cases {
        assert_eq!(shown(stored), expected);
    }
    assert_eq!(without_trust("trust+http://t:delete@host/x"), "trust+http://host/x");
    assert_eq!(without_trust("http://u@host/x"), "http://u@host/x");
}

#[test]
fn time_constraints_are_judged() {
    let constraint = |changes: &Value| {
        let mut one = json!({"name": "n", "start": "0 11 * * *", "duration": "300"});
        for (key, value) in changes.as_object().unwrap() {
            one[key] = value.clone();
        }
        one
    };
    let body = |list: &Value| with(&json!({"time_constraints": list}));
    let draft = parse(&body(&json!([constraint(&json!({}))]))).unwrap();
    assert_eq!(
        draft.time_constraints[0].description,
        "Time constraint at 0 11 * * * lasting for 300 seconds"
    );
    let twice = json!([constraint(&json!({})), constraint(&json!({}))]);
    assert_eq!(refused(&body(&twice)), "Time constraint names must be unique for a given alarm.");
    let zone = json!([constraint(&json!({"timezone": "Mars/Olympus"}))]);
    assert_eq!(refused(&body(&zone)), "Timezone Mars/Olympus is not valid");
    let cron = refused(&body(&json!([constraint(&json!({"start": "99 * * * *"}))])));
    assert!(cron.starts_with("Invalid input for field/attribute start. Value: '99 * * * *'. "), "{cron}");
    let duration = refused(&body(&json!([constraint(&json!({"duration": -1}))])));
    assert!(duration.ends_with("Value should be greater or equal to 0"), "{duration}");
}

fn event(rule: &Value) -> Value {
    json!({"name": "e", "type": "event", "event_rule": rule})
}

#[test]
fn event_rules_are_judged_in_order() {
    let draft = parse(&event(&json!({"event_type": null}))).unwrap();
    assert_eq!(draft.rule.to_value(), json!({"event_type": "*", "query": []}));
    assert_eq!(draft.description, "Alarm when * event occurred.");
    let one = |item: &Value| event(&json!({"query": [item]}));
    let sound = json!({"field": "traits.size", "op": "gt", "type": "integer", "value": "5"});
    assert_eq!(parse(&one(&sound)).unwrap().rule.to_value()["query"], json!([sound]));
    let text = refused(&one(&json!({"field": "a b", "type": "integer", "value": "x"})));
    assert_eq!(text, "Unable to convert the value x to the expected data type integer.");
    let text = refused(&one(&json!({"field": "a b", "type": "", "value": "x"})));
    assert!(text.starts_with("Query value or traits invalid: "), "{text}");
    let text = refused(&one(&json!({"field": "a", "op": "like", "type": "", "value": "x"})));
    assert!(text.starts_with("Query value or traits invalid: "), "{text}");
    let text = refused(&one(&json!({"field": "a", "type": "foo", "value": "x"})));
    assert!(text.starts_with("The data type foo is not supported."), "{text}");
    assert_eq!(
        refused(&one(&json!({"field": "a", "value": 5}))),
        "Invalid input for field/attribute value. Value: '5'. Wrong type. Expected '<class 'str'>', got '<class 'int'>'"
    );
}

fn composite(rule: &Value) -> Value {
    json!({"name": "c", "type": "composite", "composite_rule": rule})
}

#[test]
fn composite_rules_are_judged_all_through() {
    let leaf = |changes: &Value| {
        let mut leaf = rule(&json!({"type": "gnocchi_resources_threshold"}));
        for (key, value) in changes.as_object().unwrap() {
            leaf[key] = value.clone();
        }
        leaf
    };
    let sound = composite(&json!({"or": [leaf(&json!({})), {"and": [leaf(&json!({"threshold": "7"}))]}]}));
    let stored = parse(&sound).unwrap().rule.to_value();
    assert_eq!(stored["or"][0]["granularity"], 60);
    assert_eq!(stored["or"][1]["and"][0]["threshold"], 7.0);
    assert!(parse(&composite(&leaf(&json!({})))).is_ok());
    let begins = [
        (json!({"and": []}), "Invalid input composite rule: {'and': []}, it should be a dict"),
        (json!("x"), "Invalid input composite rule: 'x', "),
        (json!({"xor": [leaf(&json!({}))]}), "Threshold rules should be combined with \"and\" or \"or\""),
        (json!({"or": [{"a": 1, "b": 2}]}), "type must be set in every rule"),
        (
            leaf(&json!({"type": "event"})),
            "Unsupported sub-rule type :event in composite rule, should be one of: ['prometheus', ",
        ),
        (leaf(&json!({"x": 1})), "Unknown attribute for argument data.composite_rule: x"),
        (
            leaf(&json!({"threshold": false})),
            "Invalid input for field/attribute threshold. Value: 'False'. Wrong type. Expected '<class 'float'>', got '<class 'bool'>'",
        ),
    ];
    for (rule, begin) in begins {
        let text = refused(&composite(&rule));
        assert!(text.starts_with(begin), "{text}");
    }
}

#[test]
fn retired_rules_are_taken() {
    let body = json!({"name": "t", "type": "threshold", "threshold_rule":
        {"meter_name": "cpu_util", "threshold": 70, "comparison_operator": "gt",
         "query": [{"field": "resource_id", "op": "eq", "value": "r"}]}});
    let draft = parse(&body).unwrap();
    assert_eq!(draft.description, "Alarm when cpu_util is gt a avg of 70.0 over 60 seconds");
    let body = json!({"name": "t", "type": "combination", "combination_rule": {"alarm_ids": ["a", "a"]}});
    assert_eq!(refused(&body), "Alarm combination rule should contain at least two different alarm ids.");
    let body = json!({"name": "t", "type": "combination", "combination_rule": {"alarm_ids": ["a", "b"], "operator": "or"}});
    assert_eq!(parse(&body).unwrap().description, "Combined state of alarms a or b");
}

#[test]
fn states_are_bare_words() {
    assert_eq!(parse_state(&json!("insufficient data")), Ok(AlarmState::InsufficientData));
    for body in [json!("Ok"), json!({"state": "ok"}), json!(1), json!(null)] {
        assert_eq!(parse_state(&body).unwrap_err().to_string(), "state invalid");
    }
}
