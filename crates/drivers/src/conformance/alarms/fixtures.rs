//! Alarms, records and messages to begin with.

use nephometer_model::{
    Alarm, AlarmChange, AlarmChangeKind, AlarmId, AlarmRule, AlarmState, EventRule, Operator, ResourceRule,
    Severity, Threshold, TimeConstraint, Timestamp,
};
use uuid::Uuid;

use crate::conformance::NOW;
use crate::{
    AlarmFilter, AlarmLimits, AlarmStore, AlarmValue, ChangeRecord, Direction, NewDelivery, Page, Sort,
    Transition,
};

pub(super) fn id(number: u128) -> AlarmId {
    AlarmId(Uuid::from_u128(number).to_string())
}

/// So many seconds after [`NOW`].
pub(super) fn after(seconds: i64) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + seconds * 1_000_000)
}

/// An alarm of the project `p` and the user `u`.
pub(in crate::conformance) fn alarm(number: u128) -> Alarm {
    let now = after(i64::try_from(number).unwrap());
    Alarm {
        id: id(number),
        version: 1,
        enabled: Some(true),
        name: format!("alarm {number}"),
        description: "an alarm".to_owned(),
        severity: Severity::Low,
        user_id: Some("u".to_owned()),
        project_id: Some("p".to_owned()),
        timestamp: now,
        state: AlarmState::InsufficientData,
        state_reason: "Not evaluated yet".to_owned(),
        state_timestamp: now,
        evaluate_timestamp: now,
        ok_actions: Some(Vec::new()),
        alarm_actions: Some(vec!["http://there/".to_owned()]),
        insufficient_data_actions: Some(Vec::new()),
        repeat_actions: false,
        time_constraints: Vec::new(),
        rule: AlarmRule::Event(EventRule { event_type: "*".to_owned(), query: Vec::new() }),
    }
}

/// An alarm in which nothing is as usual.
pub(super) fn unusual() -> Alarm {
    Alarm {
        id: AlarmId("not a UUID".to_owned()),
        enabled: None,
        name: "größer als \"20 %\" 😀".to_owned(),
        description: String::new(),
        severity: Severity::Critical,
        user_id: None,
        project_id: None,
        timestamp: Timestamp::from_micros(-1),
        state: AlarmState::Alarm,
        ok_actions: None,
        alarm_actions: Some(vec!["log:".to_owned(), "trust+http://id:delete@there/ü".to_owned()]),
        insufficient_data_actions: None,
        repeat_actions: true,
        time_constraints: vec![TimeConstraint {
            name: "nights".to_owned(),
            description: "when nobody looks".to_owned(),
            start: "0 23 * * *".to_owned(),
            duration_seconds: 21_600,
            timezone: "Europe/Ljubljana".to_owned(),
        }],
        rule: AlarmRule::Resource(ResourceRule {
            threshold: Threshold {
                granularity_seconds: 300,
                comparison_operator: Operator::Gt,
                threshold: 0.1 + 0.2,
                aggregation_method: "rate:mean".to_owned(),
                evaluation_periods: 3,
                datapoints_to_alarm: Some(2),
                treat_missing_data: None,
                scope_to_project: None,
            },
            metric: "cpu".to_owned(),
            resource_id: "r".to_owned(),
            resource_type: "instance".to_owned(),
        }),
        ..alarm(0)
    }
}

/// A record of an alarm.
pub(super) fn change(alarm: &Alarm, number: u128) -> AlarmChange {
    AlarmChange {
        event_id: Uuid::from_u128(number),
        alarm_id: alarm.id.clone(),
        kind: AlarmChangeKind::Creation,
        detail: format!("{{\"number\": {number}}}"),
        user_id: Some("u".to_owned()),
        project_id: Some("p".to_owned()),
        on_behalf_of: alarm.project_id.clone(),
        timestamp: after(i64::try_from(number).unwrap()),
        severity: Some(alarm.severity),
    }
}

/// A message about an alarm.
pub(super) fn message(number: u128, alarm: u128, action: &str) -> NewDelivery {
    NewDelivery {
        id: Uuid::from_u128(number),
        alarm_id: id(alarm),
        project_id: Some("p".to_owned()),
        action: action.to_owned(),
        payload: "{}".to_owned(),
        not_before: after(-1),
        group: None,
    }
}

/// Nobody's decision that an alarm, as it is, is in the state `alarm` now.
pub(super) fn transition(alarm: &Alarm) -> Transition {
    Transition {
        alarm_id: alarm.id.clone(),
        version: alarm.version,
        fence: None,
        state: Some((AlarmState::Alarm, "too much".to_owned())),
        at: after(100),
        change: None,
        deliveries: Vec::new(),
    }
}

/// Makes an alarm without history and bounds.
pub(in crate::conformance) async fn make(store: &dyn AlarmStore, alarm: Alarm) -> Alarm {
    store.create(alarm, ChangeRecord::default(), AlarmLimits::default()).await.unwrap()
}

/// Deletes an alarm as it is.
pub(super) async fn remove(store: &dyn AlarmStore, number: u128) {
    let seen = store.alarm(&id(number)).await.unwrap();
    store.delete(&seen.id, seen.version, Vec::new()).await.unwrap();
}

pub(super) fn text(text: &str) -> AlarmValue {
    AlarmValue::Text(text.to_owned())
}

pub(super) fn compare(operator: Operator, column: &str, value: AlarmValue) -> AlarmFilter {
    AlarmFilter::Compare(operator, column.to_owned(), value)
}

pub(super) fn sorted(keys: &[(&str, Direction)]) -> Page {
    let sort = |(key, direction): &(&str, Direction)| Sort {
        key: (*key).to_owned(),
        direction: *direction,
        nulls: None,
    };
    Page { sorts: keys.iter().map(sort).collect(), ..Page::default() }
}

/// Names of the alarms that match, by name.
pub(super) async fn names(store: &dyn AlarmStore, filter: &AlarmFilter) -> Vec<String> {
    let page = sorted(&[("name", Direction::Ascending)]);
    let found = store.alarms(filter, &page).await.unwrap();
    found.into_iter().map(|alarm| alarm.name).collect()
}
