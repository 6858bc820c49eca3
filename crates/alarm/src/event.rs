//! Event alarms: which alarms an event fires. Upstream's comparisons, with its defects mended: conditions on booleans,
//! times and fields that are no traits can hold, and time constraints count.

mod listener;
#[cfg(test)]
mod listener_tests;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use nephometer_model::{
    Alarm, AlarmId, AlarmRule, AlarmState, EventRule, Timestamp, glob_match, json, python,
};
use serde_json::{Map, Value, json as value};

use crate::decide::Verdict;
use crate::time::Windows;
use values::{Condition, EventValue};

pub(crate) use values::convertible;

pub(crate) use listener::after;
pub use listener::{EventListener, EventOutcome, ListenerParts};

/// Why something is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It has no `event_type`.
    #[error("the event has no event_type")]
    NoType,
    /// It has no `message_id`.
    #[error("the event has no message_id")]
    NoId,
}

/// Something that happened once.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// As it came.
    body: Value,
    id: String,
    event_type: String,
    project: String,
    traits: HashMap<String, EventValue>,
}

/// The events of a message: a list of them, or one.
pub fn events_of(payload: Value) -> Vec<Value> {
    match payload {
        Value::Array(events) => events,
        one => vec![one],
    }
}

impl Event {
    /// Understands an event: an object with `message_id`, `event_type` and `traits`, a list of name, type and value.
    ///
    /// # Errors
    /// What of it is missing or empty.
    pub fn read(body: Value) -> Result<Self, EventError> {
        let text =
            |key: &str| body.get(key).map(python::str).filter(|text| !text.is_empty() && text != "None");
        let event_type = text("event_type").ok_or(EventError::NoType)?;
        let id = text("message_id").ok_or(EventError::NoId)?;
        let mut traits = HashMap::new();
        let mut project = String::new();
        for one in body["traits"].as_array().into_iter().flatten() {
            let (Some(name), kind, value) = (one[0].as_str(), &one[1], &one[2]) else { continue };
            if matches!(name, "tenant_id" | "project_id") {
                project = python::str(value);
            }
            traits.insert(name.to_owned(), EventValue::of_trait(kind, value));
        }
        Ok(Self { id, event_type, project, traits, body })
    }

    /// The project that it belongs to; empty for none.
    pub fn project(&self) -> &str {
        &self.project
    }
}

/// An event alarm, understood.
#[derive(Debug, Clone)]
pub struct EventAlarm {
    alarm: Arc<Alarm>,
    event_type: String,
    /// Nothing where a condition can never hold.
    conditions: Option<Vec<Condition>>,
    /// Nothing where a constraint cannot be understood.
    windows: Option<Windows>,
}

impl EventAlarm {
    /// Understands an alarm; nothing where it is no event alarm, or is not evaluated.
    pub fn new(alarm: Arc<Alarm>) -> Option<Self> {
        let AlarmRule::Event(rule) = &alarm.rule else { return None };
        if !alarm.is_enabled() {
            return None;
        }
        Some(Self {
            event_type: rule.event_type.clone(),
            conditions: rule.query.iter().map(Condition::new).collect(),
            windows: Windows::of_stored(&alarm.time_constraints),
            alarm,
        })
    }

    /// The alarm.
    pub const fn alarm(&self) -> &Arc<Alarm> {
        &self.alarm
    }

    /// What the event means for the alarm at `now`; nothing where it does not fire.
    pub fn decide(&self, event: &Event, now: Timestamp) -> Option<Verdict> {
        let fired = self.alarm.state == AlarmState::Alarm && !self.alarm.repeat_actions;
        let fires = !fired
            && self.alarm.project_id.as_deref() == Some(event.project())
            && glob_match(&self.event_type, &event.event_type)
            && self.conditions.as_ref()?.iter().all(|condition| condition.holds(event))
            && self.windows.as_ref()?.hold(now);
        fires.then(|| self.verdict(event))
    }

    fn verdict(&self, event: &Event) -> Verdict {
        let query = match &self.alarm.rule {
            AlarmRule::Event(rule) => query_text(rule),
            _ => String::new(),
        };
        Verdict {
            state: AlarmState::Alarm,
            reason: format!(
                "Event <id={},event_type={}> hits the query <query={query}>.",
                event.id, event.event_type
            ),
            reason_data: value!({"type": "event", "event": event.body}),
        }
    }
}

/// The conditions as Python writes them with sorted keys.
fn query_text(rule: &EventRule) -> String {
    let mut out = Vec::new();
    json::write_list(&mut out, &rule.query, |out, condition| {
        let sorted = [
            ("field", condition.field.as_str()),
            ("op", condition.op.as_str()),
            ("type", condition.kind.as_str()),
            ("value", condition.value.as_str()),
        ];
        let map: Map<String, Value> =
            sorted.into_iter().map(|(key, text)| (key.to_owned(), Value::from(text))).collect();
        json::write_value(out, &Value::Object(map));
    });
    String::from_utf8(out).unwrap_or_default()
}

/// All event alarms, by project.
#[derive(Debug, Clone, Default)]
pub struct EventAlarms {
    by_project: HashMap<String, HashMap<AlarmId, EventAlarm>>,
    project_of: HashMap<AlarmId, String>,
}

impl EventAlarms {
    /// Takes an alarm as it is now, whatever it was before.
    pub fn put(&mut self, alarm: Arc<Alarm>) {
        self.remove(&alarm.id);
        let Some(project) = alarm.project_id.clone() else { return };
        if let Some(watched) = EventAlarm::new(alarm) {
            let id = watched.alarm.id.clone();
            self.project_of.insert(id.clone(), project.clone());
            self.by_project.entry(project).or_default().insert(id, watched);
        }
    }

    /// Forgets an alarm.
    pub fn remove(&mut self, id: &AlarmId) {
        if let Some(project) = self.project_of.remove(id)
            && let Some(alarms) = self.by_project.get_mut(&project)
        {
            alarms.remove(id);
            if alarms.is_empty() {
                self.by_project.remove(&project);
            }
        }
    }

    /// The alarm of that id.
    pub fn get(&self, id: &AlarmId) -> Option<&EventAlarm> {
        self.by_project.get(self.project_of.get(id)?)?.get(id)
    }

    /// The alarms that an event fires at `now`, and what it means for them.
    pub fn fired(&self, event: &Event, now: Timestamp) -> Vec<(Arc<Alarm>, Verdict)> {
        let alarms = self.by_project.get(event.project()).into_iter().flat_map(HashMap::values);
        let mut fired: Vec<_> = alarms
            .filter_map(|watched| Some((Arc::clone(&watched.alarm), watched.decide(event, now)?)))
            .collect();
        fired.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        fired
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.project_of.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.project_of.is_empty()
    }
}
