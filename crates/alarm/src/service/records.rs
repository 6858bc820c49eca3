//! Records of an alarm's history, in upstream's words and order of keys.

use nephometer_model::{Alarm, AlarmChange, AlarmChangeKind, AlarmRule, TimeConstraint, Timestamp, python};
use serde_json::{Map, Value};

use super::{AlarmService, Caller, own_project, own_user};
use crate::definition::without_trust;

/// Keys that no record of a change tells.
const UNTOLD: [&str; 2] = ["timestamp", "state_timestamp"];

/// A point in time as alarms show it: without a zone.
pub fn naive(time: Timestamp) -> String {
    let text = time.isoformat();
    text.strip_suffix("+00:00").map(str::to_owned).unwrap_or(text)
}

fn actions(list: Option<&Vec<String>>) -> Value {
    match list {
        None => Value::Null,
        Some(list) => list.iter().map(|action| Value::from(without_trust(action))).collect(),
    }
}

/// Time constraints as stored and shown.
pub fn constraints(list: &[TimeConstraint]) -> Value {
    serde_json::to_value(list).unwrap_or_default()
}

/// An alarm's stored fields, in the order of upstream's model; what the record of its creation holds. Trusts are left out.
pub fn stored_detail(alarm: &Alarm) -> Map<String, Value> {
    let mut detail = Map::new();
    let mut put = |key: &str, value: Value| detail.insert(key.to_owned(), value);
    put("alarm_id", alarm.id.0.clone().into());
    put("type", alarm.rule.type_name().into());
    put("enabled", alarm.enabled.into());
    put("name", alarm.name.clone().into());
    put("description", alarm.description.clone().into());
    put("timestamp", naive(alarm.timestamp).into());
    put("user_id", alarm.user_id.clone().into());
    put("project_id", alarm.project_id.clone().into());
    put("state", alarm.state.as_str().into());
    put("state_timestamp", naive(alarm.state_timestamp).into());
    put("state_reason", alarm.state_reason.clone().into());
    put("ok_actions", actions(alarm.ok_actions.as_ref()));
    put("alarm_actions", actions(alarm.alarm_actions.as_ref()));
    put("insufficient_data_actions", actions(alarm.insufficient_data_actions.as_ref()));
    put("repeat_actions", alarm.repeat_actions.into());
    put("time_constraints", constraints(&alarm.time_constraints));
    put("severity", alarm.severity.as_str().into());
    put("rule", told_rule(&alarm.rule));
    detail
}

/// A rule without the project that its reading is confined to; upstream's own, of Prometheus rules, is told.
fn told_rule(rule: &AlarmRule) -> Value {
    fn untold(rule: &mut Value) {
        match rule {
            Value::Object(map) if map.contains_key("aggregation_method") => {
                map.remove("scope_to_project");
            }
            Value::Object(map) => map.values_mut().for_each(untold),
            Value::Array(rules) => rules.iter_mut().for_each(untold),
            _ => {}
        }
    }
    let mut value = rule.to_value();
    untold(&mut value);
    value
}

/// What of `new` is different from `old`; nothing where nothing is.
fn difference(old: &Alarm, new: &Alarm) -> Option<Map<String, Value>> {
    let old = stored_detail(old);
    let mut changed = stored_detail(new);
    changed.retain(|key, value| old.get(key) != Some(value) && !UNTOLD.contains(&key.as_str()));
    (!changed.is_empty()).then_some(changed)
}

impl AlarmService {
    /// A record of what the caller did to `alarm`; nothing where history is not recorded.
    fn record(
        &self,
        kind: AlarmChangeKind,
        alarm: &Alarm,
        detail: Map<String, Value>,
        caller: &Caller,
        at: Timestamp,
    ) -> Option<AlarmChange> {
        if !self.parts.settings.record_history {
            return None;
        }
        let severity = detail.get("severity").map(|_| alarm.severity);
        Some(AlarmChange {
            event_id: self.parts.ids.uuid(),
            alarm_id: alarm.id.clone(),
            kind,
            detail: python::dumps(&Value::Object(detail)),
            user_id: own_user(caller).map(str::to_owned),
            project_id: own_project(caller).map(str::to_owned),
            on_behalf_of: alarm.project_id.clone(),
            timestamp: at,
            severity,
        })
    }

    pub(super) fn creation(&self, alarm: &Alarm, caller: &Caller) -> Option<AlarmChange> {
        self.record(AlarmChangeKind::Creation, alarm, stored_detail(alarm), caller, alarm.timestamp)
    }

    /// Nothing where nothing is different.
    pub(super) fn rule_change(&self, old: &Alarm, new: &Alarm, caller: &Caller) -> Option<AlarmChange> {
        let detail = difference(old, new)?;
        self.record(AlarmChangeKind::RuleChange, new, detail, caller, new.timestamp)
    }

    pub(super) fn state_set(&self, alarm: &Alarm, caller: &Caller) -> Option<AlarmChange> {
        let detail = Map::from_iter([
            ("state".to_owned(), Value::from(alarm.state.as_str())),
            ("state_reason".to_owned(), Value::from(alarm.state_reason.clone())),
        ]);
        let at = alarm.state_timestamp;
        let change = self.record(AlarmChangeKind::StateTransition, alarm, detail, caller, at)?;
        Some(AlarmChange { severity: Some(alarm.severity), ..change })
    }
}
