//! What follows from a verdict: the state, its record in history, and messages to those who are to be told.

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::{DeliveryGroup, Fence, NewDelivery, Transition};
use nephometer_model::{
    Alarm, AlarmChange, AlarmChangeKind, AlarmState, IdSource, Notification, Timestamp, python,
};
use serde_json::json;

use super::Silences;
use crate::announce::{Author, announcement};
use crate::decide::Verdict;
use crate::definition::Grouping;

/// How verdicts are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Whether history is written.
    pub history: bool,
    /// Who history says it was: the service's user.
    pub user_id: Option<String>,
    /// The service's project.
    pub project_id: Option<String>,
    /// Whether changes of state are told on the message bus, where history is written.
    pub announce: bool,
    /// How long messages of a group wait for each other where their action does not say.
    pub group_window: Duration,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            history: true,
            user_id: None,
            project_id: None,
            announce: false,
            group_window: Duration::from_secs(30),
        }
    }
}

/// Makes transitions of verdicts.
#[derive(Clone)]
pub struct Recorder {
    ids: Arc<dyn IdSource>,
    recording: Recording,
}

/// When, and by whose right, a verdict is recorded.
pub struct Occasion<'a> {
    /// When it was made.
    pub at: Timestamp,
    /// Shows that the share of the alarm is held, where one needs it.
    pub fence: Option<Fence>,
    /// Write state and history even if the state stays.
    pub always: bool,
    /// What holds messages back.
    pub silences: &'a Silences,
}

/// The message about a change, as receivers get it: upstream's keys in upstream's order.
pub fn payload(message: &Notification) -> String {
    python::dumps(&json!({
        "alarm_name": message.alarm_name,
        "alarm_id": message.alarm_id.0,
        "severity": message.severity.as_str(),
        "previous": message.previous.as_str(),
        "current": message.current.as_str(),
        "reason": message.reason,
        "reason_data": message.reason_data,
    }))
}

impl Recorder {
    /// A recorder that takes ids from `ids`.
    pub fn new(ids: Arc<dyn IdSource>, recording: Recording) -> Self {
        Self { ids, recording }
    }

    /// What is to be written; nothing where the state stays and nobody is to be told.
    pub fn transition(&self, alarm: &Alarm, verdict: &Verdict, occasion: Occasion<'_>) -> Option<Transition> {
        let written = verdict.state != alarm.state || occasion.always;
        let mut deliveries = self.deliveries(alarm, verdict, &occasion);
        if !written && deliveries.is_empty() {
            return None;
        }
        let at = occasion.at;
        let change = (written && self.recording.history).then(|| self.change(alarm, verdict, at));
        if self.recording.announce {
            deliveries.extend(change.as_ref().map(|change| announcement(change, Author::Evaluator)));
        }
        Some(Transition {
            alarm_id: alarm.id.clone(),
            version: alarm.version,
            fence: occasion.fence,
            state: written.then(|| (verdict.state, verdict.reason.clone())),
            at,
            change,
            deliveries,
        })
    }

    fn change(&self, alarm: &Alarm, verdict: &Verdict, at: Timestamp) -> AlarmChange {
        let detail = json!({"state": verdict.state.as_str(), "transition_reason": verdict.reason});
        AlarmChange {
            event_id: self.ids.uuid(),
            alarm_id: alarm.id.clone(),
            kind: AlarmChangeKind::StateTransition,
            detail: python::dumps(&detail),
            user_id: self.recording.user_id.clone(),
            project_id: self.recording.project_id.clone(),
            on_behalf_of: alarm.project_id.clone(),
            timestamp: at,
            severity: Some(alarm.severity),
        }
    }

    fn deliveries(&self, alarm: &Alarm, verdict: &Verdict, occasion: &Occasion<'_>) -> Vec<NewDelivery> {
        let actions = alarm.actions(verdict.state);
        if actions.is_empty() {
            return Vec::new();
        }
        let payload = payload(&Notification {
            alarm_id: alarm.id.clone(),
            alarm_name: alarm.name.clone(),
            severity: alarm.severity,
            previous: alarm.state,
            current: verdict.state,
            reason: verdict.reason.clone(),
            reason_data: verdict.reason_data.clone(),
        });
        let not_before = occasion.silences.until(alarm, occasion.at).unwrap_or(occasion.at);
        actions
            .iter()
            .map(|action| NewDelivery {
                id: self.ids.uuid(),
                alarm_id: alarm.id.clone(),
                project_id: alarm.project_id.clone(),
                action: action.clone(),
                payload: payload.clone(),
                not_before,
                group: self.group(action, alarm, verdict.state),
            })
            .collect()
    }

    /// With what a message about `alarm`, which is in `state` now, may go together.
    fn group(&self, action: &str, alarm: &Alarm, state: AlarmState) -> Option<DeliveryGroup> {
        // What is stored was judged when it was set.
        let grouping = Grouping::of(action).ok().flatten()?;
        let wait = grouping.window.unwrap_or(self.recording.group_window);
        Some(DeliveryGroup { key: grouping.key(alarm, state), wait })
    }
}
