//! Alarms: what is watched, in which state it is, who is told. Names and stored forms are Aodh's.

mod change;
mod rule;
mod words;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

pub use change::{AlarmChange, AlarmChangeKind, Notification};
pub use rule::{
    AlarmRule, CombinationRule, CompositeRule, EventCondition, EventRule, LoadBalancerRule, MetersRule,
    MetricsRule, PrometheusRule, ResourceRule, ResourcesRule, SubRule, Threshold,
};
pub use words::{AlarmState, AlarmType, MissingData, Operator, Severity};

/// What names an alarm: a UUID's text where we made it, any text where a database was taken over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlarmId(pub String);

impl std::fmt::Display for AlarmId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Times at which an alarm is evaluated: a window of `duration_seconds` opens whenever `start` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeConstraint {
    /// Unique within the alarm.
    pub name: String,
    /// For people.
    pub description: String,
    /// Cron text.
    pub start: String,
    /// Length of the window in seconds.
    #[serde(rename = "duration")]
    pub duration_seconds: i64,
    /// IANA zone; empty for UTC.
    pub timezone: String,
}

/// An alarm: definition, owner and state. Times are whole microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Its name for machines.
    pub id: AlarmId,
    /// Rises with every change of the row, of definition or state; what a conditional write compares.
    pub version: i64,
    /// Whether it is evaluated; nothing (a client's null) means no.
    pub enabled: Option<bool>,
    /// Its name for people; need not be unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// How much it matters.
    pub severity: Severity,
    /// Owner.
    pub user_id: Option<String>,
    /// Owner's project.
    pub project_id: Option<String>,
    /// When the definition changed last.
    pub timestamp: Timestamp,
    /// Where it stands.
    pub state: AlarmState,
    /// Why it stands there.
    pub state_reason: String,
    /// When the state changed last.
    pub state_timestamp: Timestamp,
    /// When it was evaluated last, or made.
    pub evaluate_timestamp: Timestamp,
    /// Whom to tell of `ok`; as stored, trust ids included. Nothing is a client's null.
    pub ok_actions: Option<Vec<String>>,
    /// Whom to tell of `alarm`.
    pub alarm_actions: Option<Vec<String>>,
    /// Whom to tell of `insufficient data`.
    pub insufficient_data_actions: Option<Vec<String>>,
    /// Tell again at every evaluation while the state stays.
    pub repeat_actions: bool,
    /// When it is evaluated; empty for always.
    pub time_constraints: Vec<TimeConstraint>,
    /// What is watched.
    pub rule: AlarmRule,
}

impl Alarm {
    /// Whom to tell when the alarm is in `state`.
    pub fn actions(&self, state: AlarmState) -> &[String] {
        let actions = match state {
            AlarmState::Ok => &self.ok_actions,
            AlarmState::Alarm => &self.alarm_actions,
            AlarmState::InsufficientData => &self.insufficient_data_actions,
        };
        actions.as_deref().unwrap_or_default()
    }

    /// Whether an evaluator looks at it.
    pub fn is_enabled(&self) -> bool {
        self.enabled == Some(true)
    }
}

/// How many things of a kind a project may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Whose.
    pub project_id: String,
    /// Of what; upstream knows `alarms` only.
    pub resource: String,
    /// How many; nothing means without limit (−1 on the wire).
    pub limit: Option<u64>,
}

/// How often evaluations of an alarm ended in each state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmCounts {
    /// Which alarm.
    pub alarm_id: AlarmId,
    /// Its project.
    pub project_id: String,
    /// Evaluations that found insufficient data.
    pub insufficient_data: u64,
    /// Evaluations that found everything well.
    pub ok: u64,
    /// Evaluations that found the alarm's condition.
    pub alarm: u64,
}
