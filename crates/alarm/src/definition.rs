//! Definitions of alarms as clients send them: read, completed with defaults, and refused in upstream's words (Aodh's REST
//! API v2: fields, coercions and validation messages).

mod actions;
mod composite;
mod fields;
mod grouping;
mod rules;
#[cfg(test)]
mod tests;

use nephometer_model::{AlarmRule, AlarmState, AlarmType, Severity, TimeConstraint};
use serde_json::Value;

pub use actions::{ActionScheme, bare, is_trust, shown, without_trust};
pub(crate) use fields::{Fields, invalid, not_a_list};
pub use grouping::{GroupKey, Grouping, GroupingError};

use crate::time::{TimeConstraintError, Windows};

/// Why a definition is refused. `Display` is the text for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The definition is wrong: 400.
    #[error("{0}")]
    Invalid(String),
    /// The caller may not have this action: 401, as upstream answers.
    #[error("You are not authorized to create action: {0}")]
    ActionNotAllowed(String),
}

/// What definitions are judged by besides the language itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judgement {
    /// Most actions of each list; nothing for no limit.
    pub max_actions: Option<usize>,
    /// Whether the caller may have `log` and `test` actions.
    pub is_admin: bool,
}

/// An alarm as a client defines it. What a client may not set (its id, times, reason) is read over.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// For people; completed from the rule where the client gave none.
    pub description: String,
    /// Whether it is evaluated; a client's null stays nothing.
    pub enabled: Option<bool>,
    /// How much it matters.
    pub severity: Severity,
    /// The state that it begins with, or gets.
    pub state: AlarmState,
    /// Whom to tell of `ok`, each once; a client's null stays nothing.
    pub ok_actions: Option<Vec<String>>,
    /// Whom to tell of `alarm`.
    pub alarm_actions: Option<Vec<String>>,
    /// Whom to tell of `insufficient data`.
    pub insufficient_data_actions: Option<Vec<String>>,
    /// Whether to tell again at every evaluation.
    pub repeat_actions: bool,
    /// When it is evaluated.
    pub time_constraints: Vec<TimeConstraint>,
    /// The owner's project, where the client gave one (or null).
    pub project_id: Option<Option<String>>,
    /// The owner, where the client gave one (or null).
    pub user_id: Option<Option<String>>,
    /// What is watched; not yet narrowed to what the owner may see.
    pub rule: AlarmRule,
}

/// The name under which messages speak of the body.
const BODY: &str = "data";
/// What a client may send back and does not decide.
const READ_ONLY: [&str; 5] =
    ["alarm_id", "timestamp", "state_timestamp", "state_reason", "evaluate_timestamp"];

impl Draft {
    /// Reads the body of a POST or PUT.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn parse(body: &Value, judgement: Judgement) -> Result<Self, DefinitionError> {
        let mut fields = Fields::of(body, BODY)?;
        READ_ONLY.iter().for_each(|name| fields.ignore(name));
        let name = fields.text("name")?;
        let description = fields.optional_text("description")?;
        let enabled = fields.bool("enabled")?.unwrap_or(Some(true));
        let kind = fields.word("type", AlarmType::ALL, AlarmType::as_str)?.ok_or_else(|| missing("type"))?;
        let severity = fields.word("severity", Severity::ALL, Severity::as_str)?.unwrap_or(Severity::Low);
        let state = fields.word("state", AlarmState::ALL, AlarmState::as_str)?;
        let repeat_actions = fields.bool("repeat_actions")?.flatten().unwrap_or(false);
        let project_id = fields.given_text("project_id")?;
        let user_id = fields.given_text("user_id")?;
        let time_constraints = time_constraints(fields.take("time_constraints"))?;
        let mut lists = [None, None, None];
        for (list, key) in lists.iter_mut().zip(actions::LISTS) {
            *list = fields.texts(key)?.unwrap_or(Some(Vec::new()));
        }
        let rule = rules::rule(&mut fields, kind)?;
        fields.finish()?;
        check_constraints(&time_constraints)?;
        for (list, key) in lists.iter_mut().zip(actions::LISTS) {
            actions::check(key, list, judgement)?;
        }
        let description =
            description.filter(|text| !text.is_empty()).unwrap_or_else(|| rules::description(&rule));
        let [ok_actions, alarm_actions, insufficient_data_actions] = lists;
        Ok(Self {
            name,
            description,
            enabled,
            severity,
            state: state.unwrap_or(AlarmState::InsufficientData),
            ok_actions,
            alarm_actions,
            insufficient_data_actions,
            repeat_actions,
            time_constraints,
            project_id,
            user_id,
            rule,
        })
    }
}

/// The new state that the body of `PUT …/state` asks for.
///
/// # Errors
/// The text for any body that is not a state's name.
pub fn parse_state(body: &Value) -> Result<AlarmState, DefinitionError> {
    let state = body.as_str().and_then(AlarmState::parse);
    state.ok_or_else(|| DefinitionError::Invalid("state invalid".to_owned()))
}

/// The refusal of what lacks a field.
pub(crate) fn missing(field: &str) -> DefinitionError {
    invalid(field, "None", "Mandatory field missing.")
}

/// Reads time constraints; null is none.
fn time_constraints(value: Option<&Value>) -> Result<Vec<TimeConstraint>, DefinitionError> {
    const PATH: &str = "data.time_constraints";
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(not_a_list("time_constraints", other)),
    };
    list.iter()
        .map(|item| {
            let mut fields = Fields::of(item, PATH)?;
            let name = fields.text("name")?;
            let start = fields.text("start")?;
            let duration_seconds =
                fields.integer("duration", 0, i64::MAX)?.ok_or_else(|| missing("duration"))?;
            let timezone = fields.optional_text("timezone")?.unwrap_or_default();
            let description = fields.optional_text("description")?.filter(|text| !text.is_empty());
            fields.finish()?;
            let description = description.unwrap_or_else(|| {
                format!("Time constraint at {start} lasting for {duration_seconds} seconds")
            });
            Ok(TimeConstraint { name, description, start, duration_seconds, timezone })
        })
        .collect()
}

fn check_constraints(constraints: &[TimeConstraint]) -> Result<(), DefinitionError> {
    let mut names: Vec<_> = constraints.iter().map(|constraint| &constraint.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != constraints.len() {
        let text = "Time constraint names must be unique for a given alarm.";
        return Err(DefinitionError::Invalid(text.to_owned()));
    }
    constraints.iter().try_for_each(|constraint| {
        Windows::new(std::slice::from_ref(constraint)).map(drop).map_err(|error| match error {
            TimeConstraintError::Cron(cron) => invalid("start", &constraint.start, &cron.to_string()),
            zone @ TimeConstraintError::Zone(_) => DefinitionError::Invalid(zone.to_string()),
        })
    })
}
