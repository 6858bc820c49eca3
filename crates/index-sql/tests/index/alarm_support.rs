//! Alarms, and two programs at one database.

use std::sync::Arc;

use futures::future::join_all;
use nephometer_drivers::conformance::NOW;
use nephometer_drivers::{NewDelivery, Transition};
use nephometer_index_sql::{PostgresSettings, SqlIndex};
use nephometer_model::{
    Alarm, AlarmChange, AlarmChangeKind, AlarmId, AlarmRule, AlarmState, Severity, Timestamp,
};
use uuid::Uuid;

use crate::support;

/// So many microseconds after [`NOW`], a day at most.
pub(crate) fn moment(number: u128) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + i64::try_from(number % 86_400_000_000).unwrap())
}

/// An id like any other, the same for the same number.
pub(crate) fn scattered(number: u128) -> Uuid {
    Uuid::from_u128((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

pub(crate) fn id(number: u128) -> AlarmId {
    AlarmId(scattered(number).to_string())
}

/// An alarm as most are.
pub(crate) fn alarm(number: u128, project: &str, user: &str) -> Alarm {
    let rule = serde_json::json!({
        "granularity": 60, "comparison_operator": "gt", "threshold": 0.8, "aggregation_method": "mean",
        "evaluation_periods": 3, "metric": "cpu_util", "resource_id": scattered(number << 64).to_string(),
        "resource_type": "instance",
    });
    Alarm {
        id: id(number),
        version: 0,
        enabled: Some(true),
        name: format!("cpu of {number}"),
        description: "gnocchi_resources_threshold alarm rule".to_owned(),
        severity: Severity::Low,
        user_id: Some(user.to_owned()),
        project_id: Some(project.to_owned()),
        timestamp: moment(number),
        state: AlarmState::InsufficientData,
        state_reason: "Not evaluated yet".to_owned(),
        state_timestamp: moment(number),
        evaluate_timestamp: moment(number),
        ok_actions: Some(Vec::new()),
        alarm_actions: Some(vec!["https://receiver.example/alarm".to_owned()]),
        insufficient_data_actions: Some(Vec::new()),
        repeat_actions: false,
        time_constraints: Vec::new(),
        rule: AlarmRule::from_stored("gnocchi_resources_threshold", rule),
    }
}

/// A record of history.
pub(crate) fn change(alarm: &Alarm, number: u128, detail: String) -> AlarmChange {
    AlarmChange {
        event_id: scattered(number),
        alarm_id: alarm.id.clone(),
        kind: AlarmChangeKind::StateTransition,
        detail,
        user_id: None,
        project_id: None,
        on_behalf_of: alarm.project_id.clone(),
        timestamp: moment(number),
        severity: Some(alarm.severity),
    }
}

/// A decision with a record and a message.
pub(crate) fn transition(alarm: &Alarm, state: AlarmState, number: u128) -> Transition {
    let message = NewDelivery {
        id: scattered(number),
        alarm_id: alarm.id.clone(),
        project_id: alarm.project_id.clone(),
        action: "https://receiver.example/alarm".to_owned(),
        payload: format!("{{\"number\": {number}}}"),
        not_before: NOW,
        group: None,
    };
    Transition {
        alarm_id: alarm.id.clone(),
        version: alarm.version,
        fence: None,
        state: Some((state, "Transition to alarm due to 3 samples outside threshold".to_owned())),
        at: moment(number),
        change: Some(change(alarm, number, "{\"state\": \"alarm\"}".to_owned())),
        deliveries: vec![message],
    }
}

/// Two programs at one database of PostgreSQL.
pub(crate) async fn two_programs() -> [Arc<SqlIndex>; 2] {
    let url = support::fresh_postgres().await;
    let settings = PostgresSettings { connections: 8, ..PostgresSettings::at(url) };
    let connect =
        || async { Arc::new(SqlIndex::connect_postgres(&settings, support::clock()).await.unwrap()) };
    [connect().await, connect().await]
}

/// Runs `work` for 16 callers at once, who take turns at the programs.
pub(crate) async fn crowd<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    programs: &[Arc<SqlIndex>],
    work: impl Fn(Arc<SqlIndex>, u128) -> F,
) -> Vec<T> {
    let programs = programs.iter().cycle();
    let callers = programs.zip(0..16).map(|(index, caller)| tokio::spawn(work(Arc::clone(index), caller)));
    join_all(callers).await.into_iter().map(Result::unwrap).collect()
}
