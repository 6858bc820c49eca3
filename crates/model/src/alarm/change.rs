//! What happened to an alarm, for its history and for those who are told.

use serde_json::Value;
use uuid::Uuid;

use super::{AlarmId, AlarmState, Severity};
use crate::Timestamp;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlarmChangeKind {
    /// It was made.
    Creation,
    /// Its definition was changed.
    RuleChange,
    /// Its state was changed, by evaluation or by hand.
    StateTransition,
    /// It was deleted; told, not stored.
    Deletion,
}

impl AlarmChangeKind {
    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creation => "creation",
            Self::RuleChange => "rule change",
            Self::StateTransition => "state transition",
            Self::Deletion => "deletion",
        }
    }

    /// The kind that is spelled so.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Creation, Self::RuleChange, Self::StateTransition, Self::Deletion]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A record of an alarm's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmChange {
    /// Its own name.
    pub event_id: Uuid,
    /// Whose history it belongs to.
    pub alarm_id: AlarmId,
    /// What happened.
    pub kind: AlarmChangeKind,
    /// What of the alarm is different now: JSON text as Python writes it.
    pub detail: String,
    /// Who did it.
    pub user_id: Option<String>,
    /// The project of who did it.
    pub project_id: Option<String>,
    /// The project that may read it.
    pub on_behalf_of: Option<String>,
    /// When; whole microseconds.
    pub timestamp: Timestamp,
    /// How much it matters.
    pub severity: Option<Severity>,
}

/// What those who watch an alarm are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Which alarm.
    pub alarm_id: AlarmId,
    /// Its name.
    pub alarm_name: String,
    /// How much it matters.
    pub severity: Severity,
    /// Where it stood before.
    pub previous: AlarmState,
    /// Where it stands.
    pub current: AlarmState,
    /// Why, for people.
    pub reason: String,
    /// Why, for machines; an object.
    pub reason_data: Value,
}
