//! Forms of answers, with keys in upstream's order.

use nephometer_alarm::definition;
use nephometer_alarm::service::{Preview, constraints, naive};
use nephometer_drivers::Silence;
use nephometer_model::{Alarm, AlarmChange, AlarmCounts, AlarmRule, Quota};
use serde_json::{Map, Value, json};

/// Keys of a rule that answers show last, in this order; what else a rule has comes first.
const COMMON: [&str; 7] = [
    "comparison_operator",
    "threshold",
    "aggregation_method",
    "evaluation_periods",
    "granularity",
    "datapoints_to_alarm",
    "treat_missing_data",
];
/// A key of stored rules that is the server's own business.
const SCOPE: &str = "scope_to_project";

/// An alarm.
pub(super) fn alarm(alarm: &Alarm) -> Value {
    let mut shown = json!({
        "alarm_id": alarm.id.0,
        "name": alarm.name,
        "description": alarm.description,
        "enabled": alarm.enabled,
        "ok_actions": actions(alarm.ok_actions.as_deref()),
        "alarm_actions": actions(alarm.alarm_actions.as_deref()),
        "insufficient_data_actions": actions(alarm.insufficient_data_actions.as_deref()),
        "repeat_actions": alarm.repeat_actions,
        "type": alarm.rule.type_name(),
        "time_constraints": constraints(&alarm.time_constraints),
        "project_id": alarm.project_id,
        "user_id": alarm.user_id,
        "timestamp": naive(alarm.timestamp),
        "state": alarm.state.as_str(),
        "state_timestamp": naive(alarm.state_timestamp),
        "state_reason": alarm.state_reason,
        "severity": alarm.severity.as_str(),
        "evaluate_timestamp": naive(alarm.evaluate_timestamp),
    });
    shown[format!("{}_rule", alarm.rule.type_name())] = rule(&alarm.rule);
    shown
}

fn actions(list: Option<&[String]>) -> Value {
    list.map(|list| list.iter().map(|action| definition::shown(action)).collect()).unwrap_or_default()
}

fn rule(rule: &AlarmRule) -> Value {
    match rule {
        AlarmRule::Composite(_) => without_scope(rule.to_value()),
        AlarmRule::Event(event) => {
            let condition = |condition: &nephometer_model::EventCondition| {
                json!({
                    "field": condition.field,
                    "op": condition.op.as_str(),
                    "value": condition.value,
                    "type": condition.kind,
                })
            };
            let query: Vec<_> = event.query.iter().map(condition).collect();
            json!({"event_type": event.event_type, "query": query})
        }
        AlarmRule::Unknown { rule, .. } => rule.clone(),
        other => match without_scope(other.to_value()) {
            Value::Object(rule) => Value::Object(reordered(rule)),
            other => other,
        },
    }
}

/// What is special to a rule, then what is common to many.
fn reordered(rule: Map<String, Value>) -> Map<String, Value> {
    let (common, mut shown): (Map<_, _>, Map<_, _>) =
        rule.into_iter().partition(|(key, _)| COMMON.contains(&key.as_str()));
    let mut common = common;
    for key in COMMON {
        shown.extend(common.remove_entry(key));
    }
    shown
}

/// A rule, and the rules in it, without the project that they are confined to: a client may not send it back.
fn without_scope(rule: Value) -> Value {
    match rule {
        Value::Object(rule) => rule
            .into_iter()
            .filter(|(key, _)| key != SCOPE)
            .map(|(key, value)| match key.as_str() {
                "and" | "or" => (key, without_scope(value)),
                _ => (key, value),
            })
            .collect(),
        Value::Array(rules) => rules.into_iter().map(without_scope).collect(),
        other => other,
    }
}

/// A record of history. Its severity is stored and not shown, as upstream has it.
pub(super) fn change(change: &AlarmChange) -> Value {
    json!({
        "event_id": change.event_id,
        "alarm_id": change.alarm_id.0,
        "type": change.kind.as_str(),
        "detail": change.detail,
        "project_id": change.project_id,
        "user_id": change.user_id,
        "on_behalf_of": change.on_behalf_of,
        "timestamp": naive(change.timestamp),
    })
}

/// Quotas of a project; −1 is without limit.
pub(super) fn quotas(project: &str, quotas: &[Quota]) -> Value {
    let quota = |quota: &Quota| {
        let limit = quota.limit.map_or_else(|| json!(-1), |limit| json!(limit));
        json!({"resource": quota.resource, "limit": limit})
    };
    json!({"project_id": project, "quotas": quotas.iter().map(quota).collect::<Vec<_>>()})
}

/// Counters of an alarm.
pub(super) fn counts(counts: &AlarmCounts) -> Value {
    json!({
        "alarm_id": counts.alarm_id.0,
        "project_id": counts.project_id,
        "state_counters": {
            "insufficient data": counts.insufficient_data,
            "ok": counts.ok,
            "alarm": counts.alarm,
        },
    })
}

/// What a rule would have made of the past.
pub(super) fn preview(preview: &Preview) -> Value {
    let transitions = preview.transitions.iter().map(|transition| {
        json!({
            "timestamp": naive(transition.at),
            "previous": transition.previous.as_str(),
            "current": transition.state.as_str(),
            "reason": transition.reason,
            "reason_data": transition.reason_data,
        })
    });
    json!({
        "start": naive(preview.start),
        "stop": naive(preview.stop),
        "state": preview.state.as_str(),
        "transitions": transitions.collect::<Vec<_>>(),
        "warnings": preview.warnings,
    })
}

/// A silence.
pub(super) fn silence(silence: &Silence) -> Value {
    json!({
        "silence_id": silence.id,
        "project_id": silence.project_id,
        "user_id": silence.user_id,
        "filter": silence.filter,
        "comment": silence.comment,
        "starts_at": naive(silence.starts_at),
        "ends_at": naive(silence.ends_at),
    })
}
