//! What follows from a verdict: the state, its record in history, and messages to those who are to be told.

use std::sync::Arc;

use nephometer_drivers::{Fence, NewDelivery, Transition};
use nephometer_model::time::NS_PER_SECOND;
use nephometer_model::{
    Alarm, AlarmChange, AlarmChangeKind, AlarmState, IdSource, Notification, Timestamp, python,
};
use serde_json::json;

use super::Silences;
use crate::decide::Verdict;

/// By what messages to one target are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKey {
    /// The alarm's project.
    Project,
    /// The alarm's name.
    Name,
    /// The alarm's type.
    Type,
    /// The alarm's severity.
    Severity,
    /// The state that the alarm is in.
    State,
}

/// Messages to one target that agree in these keys wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// In what they agree.
    pub by: Vec<GroupKey>,
    /// How long the first of them waits; seconds.
    pub window_seconds: u32,
}

/// How verdicts are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Whether history is written.
    pub history: bool,
    /// Who history says it was: the service's user.
    pub user_id: Option<String>,
    /// The service's project.
    pub project_id: Option<String>,
    /// Whether messages are put together.
    pub grouping: Option<Grouping>,
}

impl Default for Recording {
    fn default() -> Self {
        Self { history: true, user_id: None, project_id: None, grouping: None }
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
        let deliveries = self.deliveries(alarm, verdict, &occasion);
        if !written && deliveries.is_empty() {
            return None;
        }
        let at = occasion.at;
        Some(Transition {
            alarm_id: alarm.id.clone(),
            version: alarm.version,
            fence: occasion.fence,
            state: written.then(|| (verdict.state, verdict.reason.clone())),
            at,
            change: (written && self.recording.history).then(|| self.change(alarm, verdict, at)),
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
        let grouping = self.recording.grouping.as_ref();
        let wait_ns = grouping.map_or(0, |grouping| i64::from(grouping.window_seconds) * NS_PER_SECOND);
        let waited = Timestamp::from_ns(occasion.at.ns().saturating_add(wait_ns));
        let not_before =
            occasion.silences.until(alarm, occasion.at).map_or(waited, |until| until.max(waited));
        let group = grouping.map(|grouping| group_of(grouping, alarm, verdict.state));
        actions
            .iter()
            .map(|action| NewDelivery {
                id: self.ids.uuid(),
                alarm_id: alarm.id.clone(),
                project_id: alarm.project_id.clone(),
                action: action.clone(),
                payload: payload.clone(),
                not_before,
                group: group.clone(),
            })
            .collect()
    }
}

/// Text that is equal for messages that agree in the keys of the grouping.
fn group_of(grouping: &Grouping, alarm: &Alarm, state: AlarmState) -> String {
    let value = |key: &GroupKey| match key {
        GroupKey::Project => alarm.project_id.as_deref().unwrap_or_default(),
        GroupKey::Name => alarm.name.as_str(),
        GroupKey::Type => alarm.rule.type_name(),
        GroupKey::Severity => alarm.severity.as_str(),
        GroupKey::State => state.as_str(),
    };
    let values: Vec<&str> = grouping.by.iter().map(value).collect();
    python::dumps(&values.into())
}
