//! Rows of alarms and of history.

use nephometer_drivers::{AlarmStoreError, share_of};
use nephometer_model::{
    Alarm, AlarmChange, AlarmChangeKind, AlarmId, AlarmRule, AlarmState, Severity, Timestamp, python,
};
use uuid::Uuid;

use crate::Failure;
use crate::value::{Batch, ColumnType, Row, Value};

/// Names that indexes hold; upstream has 128 characters, an index of PostgreSQL has room for some more.
const MAX_ID_BYTES: usize = 1000;

const fn text(name: &'static str) -> (&'static str, ColumnType) {
    (name, ColumnType::Text)
}

const fn int(name: &'static str) -> (&'static str, ColumnType) {
    (name, ColumnType::Int)
}

/// What is stored of an alarm; values of [`alarm_values`].
pub(super) const ALARM_COLUMNS: [(&str, ColumnType); 22] = [
    text("alarm_id"),
    int("version"),
    int("share"),
    int("revision"),
    text("type"),
    int("enabled"),
    text("name"),
    text("description"),
    int("timestamp"),
    text("user_id"),
    text("project_id"),
    text("state"),
    int("state_timestamp"),
    text("state_reason"),
    text("ok_actions"),
    text("alarm_actions"),
    text("insufficient_data_actions"),
    int("repeat_actions"),
    text("rule"),
    text("time_constraints"),
    text("severity"),
    int("evaluate_timestamp"),
];

const CHANGE_COLUMNS: [(&str, ColumnType); 9] = [
    text("event_id"),
    text("alarm_id"),
    text("type"),
    text("severity"),
    text("detail"),
    text("user_id"),
    text("project_id"),
    text("on_behalf_of"),
    int("timestamp"),
];

/// Text as PostgreSQL can store it.
pub(super) fn stored(text: &str) -> Value {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

fn stored_opt(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| stored(text))
}

fn invalid(name: &str, why: &str) -> Failure {
    AlarmStoreError::Query(format!("Invalid value for {name}: {why}")).into()
}

/// Refuses what could not be found again as it is.
pub(super) fn check(alarm: &Alarm) -> Result<(), Failure> {
    let ids = [
        ("alarm_id", Some(&alarm.id.0)),
        ("user_id", alarm.user_id.as_ref()),
        ("project_id", alarm.project_id.as_ref()),
    ];
    for (name, id) in ids {
        if id.is_some_and(|id| id.len() > MAX_ID_BYTES) {
            return Err(invalid(name, "it is too long"));
        }
    }
    let texts = [("name", Some(&alarm.name)), ("description", Some(&alarm.description))];
    for (name, text) in ids.into_iter().chain(texts) {
        if text.is_some_and(|text| text.contains('\0')) {
            return Err(invalid(name, "it contains NUL"));
        }
    }
    Ok(())
}

/// Times as they are stored.
pub(super) fn rounded(mut alarm: Alarm) -> Alarm {
    for time in [&mut alarm.timestamp, &mut alarm.state_timestamp, &mut alarm.evaluate_timestamp] {
        *time = Timestamp::from_micros(time.micros());
    }
    alarm
}

/// The share of an alarm as a cell.
pub(super) fn share_value(id: &AlarmId) -> i64 {
    share_of(id).into()
}

/// What is stored of an alarm.
pub(super) fn alarm_values(alarm: &Alarm, version: i64, revision: i64) -> Vec<Value> {
    let json = |value: serde_json::Value| Value::from(python::dumps(&value));
    let actions =
        |actions: &Option<Vec<String>>| actions.clone().map_or(Value::Null, |actions| json(actions.into()));
    let constraints = serde_json::to_value(&alarm.time_constraints).unwrap_or_default();
    vec![
        (&alarm.id.0).into(),
        version.into(),
        share_value(&alarm.id).into(),
        revision.into(),
        stored(alarm.rule.type_name()),
        alarm.enabled.map(i64::from).into(),
        stored(&alarm.name),
        stored(&alarm.description),
        alarm.timestamp.micros().into(),
        stored_opt(alarm.user_id.as_ref()),
        stored_opt(alarm.project_id.as_ref()),
        alarm.state.as_str().into(),
        alarm.state_timestamp.micros().into(),
        stored(&alarm.state_reason),
        actions(&alarm.ok_actions),
        actions(&alarm.alarm_actions),
        actions(&alarm.insufficient_data_actions),
        i64::from(alarm.repeat_actions).into(),
        json(alarm.rule.to_value()),
        json(constraints),
        alarm.severity.as_str().into(),
        alarm.evaluate_timestamp.micros().into(),
    ]
}

fn unknown(what: &str, text: &str) -> Failure {
    Failure::Internal(format!("{what} {text:?} of an alarm is unknown"))
}

fn time(row: &mut Row) -> Result<Timestamp, Failure> {
    row.int().map(Timestamp::from_micros)
}

fn actions(row: &mut Row) -> Result<Option<Vec<String>>, Failure> {
    let text = row.opt_text()?;
    let parse = |text: String| serde_json::from_str(&text).map_err(|_| unknown("a list of actions", &text));
    text.map(parse).transpose()
}

/// An alarm whose row begins with the cells of [`super::columns::ALARMS`].
pub(super) fn read_alarm(mut row: Row) -> Result<Alarm, Failure> {
    let row = &mut row;
    let id = AlarmId(row.text()?);
    let type_name = row.text()?;
    let enabled = row.opt_int()?.map(|enabled| enabled != 0);
    let (name, description, timestamp) = (row.text()?, row.text()?, time(row)?);
    let (user_id, project_id) = (row.opt_text()?, row.opt_text()?);
    let state = row.text()?;
    let (state_timestamp, state_reason) = (time(row)?, row.text()?);
    let (ok_actions, alarm_actions, insufficient_data_actions) =
        (actions(row)?, actions(row)?, actions(row)?);
    let repeat_actions = row.int()? != 0;
    let rule = row.text()?;
    let rule = serde_json::from_str(&rule).unwrap_or_else(|_| rule.into());
    let constraints = row.text()?;
    let severity = row.text()?;
    Ok(Alarm {
        id,
        enabled,
        name,
        description,
        severity: Severity::parse(&severity).ok_or_else(|| unknown("the severity", &severity))?,
        user_id,
        project_id,
        timestamp,
        state: AlarmState::parse(&state).ok_or_else(|| unknown("the state", &state))?,
        state_reason,
        state_timestamp,
        evaluate_timestamp: time(row)?,
        ok_actions,
        alarm_actions,
        insufficient_data_actions,
        repeat_actions,
        time_constraints: serde_json::from_str(&constraints)
            .map_err(|_| unknown("a list of time constraints", &constraints))?,
        rule: AlarmRule::from_stored(&type_name, rule),
        version: row.int()?,
    })
}

/// Records of history to be added.
pub(super) fn change_batch<'a>(changes: impl IntoIterator<Item = &'a AlarmChange>) -> Batch {
    let mut batch = Batch::new(&CHANGE_COLUMNS);
    for change in changes {
        batch.push(vec![
            change.event_id.to_string().into(),
            (&change.alarm_id.0).into(),
            change.kind.as_str().into(),
            change.severity.map(|severity| severity.as_str()).into(),
            stored(&change.detail),
            stored_opt(change.user_id.as_ref()),
            stored_opt(change.project_id.as_ref()),
            stored_opt(change.on_behalf_of.as_ref()),
            change.timestamp.micros().into(),
        ]);
    }
    batch
}

/// A record whose row begins with the cells of [`super::columns::HISTORY`].
pub(super) fn read_change(mut row: Row) -> Result<AlarmChange, Failure> {
    let row = &mut row;
    let event_id = row.text()?;
    let alarm_id = AlarmId(row.text()?);
    let kind = row.text()?;
    let severity = row.opt_text()?;
    Ok(AlarmChange {
        event_id: Uuid::parse_str(&event_id).map_err(|_| unknown("the record", &event_id))?,
        alarm_id,
        kind: AlarmChangeKind::parse(&kind).ok_or_else(|| unknown("the change", &kind))?,
        severity: severity
            .map(|text| Severity::parse(&text).ok_or_else(|| unknown("the severity", &text)))
            .transpose()?,
        detail: row.text()?,
        user_id: row.opt_text()?,
        project_id: row.opt_text()?,
        on_behalf_of: row.opt_text()?,
        timestamp: time(row)?,
    })
}
