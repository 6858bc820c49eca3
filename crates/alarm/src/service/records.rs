//! Records of an alarm's history, in upstream's words and order of keys.

use nephometer_drivers::{ChangeRecord, NewDelivery};
use nephometer_model::{Alarm, AlarmChange, AlarmChangeKind, AlarmRule, TimeConstraint, Timestamp, python};
use serde_json::{Map, Value};

use super::{AlarmService, Caller, own_project, own_user};
use crate::announce::{Author, announcement};
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
    /// What the caller did to `alarm`.
    fn change(
        &self,
        kind: AlarmChangeKind,
        alarm: &Alarm,
        detail: Map<String, Value>,
        caller: &Caller,
        at: Timestamp,
    ) -> AlarmChange {
        let severity = detail.get("severity").map(|_| alarm.severity);
        AlarmChange {
            event_id: self.parts.ids.uuid(),
            alarm_id: alarm.id.clone(),
            kind,
            detail: python::dumps(&Value::Object(detail)),
            user_id: own_user(caller).map(str::to_owned),
            project_id: own_project(caller).map(str::to_owned),
            on_behalf_of: alarm.project_id.clone(),
            timestamp: at,
            severity,
        }
    }

    /// What is kept and told of a change; nothing where history is not recorded.
    fn recorded(&self, change: AlarmChange) -> ChangeRecord {
        if !self.parts.settings.record_history {
            return ChangeRecord::default();
        }
        ChangeRecord { deliveries: self.announced(&change), change: Some(change) }
    }

    /// The message that tells of a change, where changes are told.
    fn announced(&self, change: &AlarmChange) -> Vec<NewDelivery> {
        self.parts.settings.announce.then(|| announcement(change, Author::Api)).into_iter().collect()
    }

    pub(super) fn creation(&self, alarm: &Alarm, caller: &Caller) -> ChangeRecord {
        let (kind, at) = (AlarmChangeKind::Creation, alarm.timestamp);
        self.recorded(self.change(kind, alarm, stored_detail(alarm), caller, at))
    }

    /// Nothing where nothing is different.
    pub(super) fn rule_change(&self, old: &Alarm, new: &Alarm, caller: &Caller) -> ChangeRecord {
        let Some(detail) = difference(old, new) else { return ChangeRecord::default() };
        self.recorded(self.change(AlarmChangeKind::RuleChange, new, detail, caller, new.timestamp))
    }

    /// Told even where history is not recorded, in which a deletion is never.
    pub(super) fn deletion(&self, alarm: &Alarm, caller: &Caller) -> Vec<NewDelivery> {
        let detail = Map::from_iter([("state".to_owned(), Value::from(alarm.state.as_str()))]);
        let (kind, now) = (AlarmChangeKind::Deletion, self.parts.clock.now_micros());
        self.announced(&self.change(kind, alarm, detail, caller, now))
    }

    pub(super) fn state_set(&self, alarm: &Alarm, caller: &Caller) -> ChangeRecord {
        let detail = Map::from_iter([
            ("state".to_owned(), Value::from(alarm.state.as_str())),
            ("state_reason".to_owned(), Value::from(alarm.state_reason.clone())),
        ]);
        let (kind, at) = (AlarmChangeKind::StateTransition, alarm.state_timestamp);
        let change = self.change(kind, alarm, detail, caller, at);
        self.recorded(AlarmChange { severity: Some(alarm.severity), ..change })
    }
}
