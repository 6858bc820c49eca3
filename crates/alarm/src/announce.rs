//! Changes of alarms, told on the cloud's message bus: what upstream's API and evaluator say there of an alarm that was made,
//! redefined, deleted, or changed its state.

use std::time::Duration;

use nephometer_drivers::{BUS_ACTION, BusMessage, DeliveryGroup, NewDelivery};
use nephometer_model::{AlarmChange, Timestamp, python};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Who has made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// A client, by the API.
    Api,
    /// An evaluator or a listener.
    Evaluator,
}

/// The priority of these notifications, as topics are called by it.
pub(crate) const PRIORITY: &str = "info";

/// `2026-01-02T03:04:05.678901`, as upstream's programs write times into notifications.
pub(crate) fn written(at: Timestamp) -> String {
    let text = at.isoformat();
    let text = text.trim_end_matches("+00:00");
    if text.contains('.') { text.to_owned() } else { format!("{text}.000000") }
}

/// The message that tells of a change. It is named after the change, so that the same one is told once however often.
pub(crate) fn announcement(change: &AlarmChange, author: Author) -> NewDelivery {
    // Upstream's API tells what is different as an object, its evaluator as text.
    let (publisher_id, detail) = match author {
        Author::Api => ("aodh.api", serde_json::from_str(&change.detail).unwrap_or_default()),
        Author::Evaluator => ("aodh.evaluator", Value::from(change.detail.as_str())),
    };
    let payload = json!({
        "event_id": change.event_id,
        "alarm_id": change.alarm_id.0,
        "type": change.kind.as_str(),
        "detail": detail,
        "user_id": change.user_id,
        "project_id": change.project_id,
        "on_behalf_of": change.on_behalf_of,
        "timestamp": written(change.timestamp),
        "severity": change.severity.map(|severity| severity.as_str()),
    });
    let event_type = format!("alarm.{}", change.kind.as_str().replace(' ', "_"));
    let told = json!({ "publisher_id": publisher_id, "event_type": event_type, "payload": payload });
    NewDelivery {
        id: change.event_id,
        alarm_id: change.alarm_id.clone(),
        // All go together, whosever they are.
        project_id: None,
        action: BUS_ACTION.to_owned(),
        payload: python::dumps(&told),
        not_before: change.timestamp,
        group: Some(DeliveryGroup { key: String::new(), wait: Duration::ZERO }),
    }
}

/// What an announcement says.
#[derive(Deserialize)]
struct Told {
    publisher_id: String,
    event_type: String,
    payload: Map<String, Value>,
}

/// The notification that an announcement asks for; the same at each attempt.
pub(crate) fn notification(message: &NewDelivery) -> Result<BusMessage, serde_json::Error> {
    let Told { publisher_id, event_type, payload } = serde_json::from_str(&message.payload)?;
    Ok(BusMessage {
        message_id: message.id.to_string(),
        unique_id: message.id.simple().to_string(),
        publisher_id,
        event_type,
        priority: PRIORITY.to_uppercase(),
        timestamp: written(message.not_before).replace('T', " "),
        payload: Value::Object(payload),
        ..BusMessage::default()
    })
}

#[cfg(test)]
mod tests {
    use nephometer_model::{AlarmChangeKind, AlarmId, Severity};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn changes_are_told_as_upstream_tells_them() {
        let change = AlarmChange {
            event_id: Uuid::from_u128(7),
            alarm_id: AlarmId("a".to_owned()),
            kind: AlarmChangeKind::RuleChange,
            detail: r#"{"name": "n"}"#.to_owned(),
            user_id: Some("u".to_owned()),
            project_id: Some("admins".to_owned()),
            on_behalf_of: Some("p".to_owned()),
            timestamp: Timestamp::from_micros(1_767_323_045_000_000),
            severity: None,
        };
        let message = announcement(&change, Author::Api);
        assert_eq!((message.id, message.action.as_str()), (change.event_id, "bus:"));
        let told = notification(&message).unwrap();
        assert_eq!((told.publisher_id.as_str(), told.event_type.as_str()), ("aodh.api", "alarm.rule_change"));
        assert_eq!((told.priority.as_str(), told.timestamp.as_str()), ("INFO", "2026-01-02 03:04:05.000000"));
        assert_eq!(told.message_id, change.event_id.to_string());
        assert_eq!(
            told.payload.to_string(),
            "{\"event_id\":\"00000000-0000-0000-0000-000000000007\",\"alarm_id\":\"a\",\"type\":\"rule change\",\
             \"detail\":{\"name\":\"n\"},\"user_id\":\"u\",\"project_id\":\"admins\",\"on_behalf_of\":\"p\",\
             \"timestamp\":\"2026-01-02T03:04:05.000000\",\"severity\":null}"
        );
        let kind = AlarmChangeKind::StateTransition;
        let change = AlarmChange { kind, severity: Some(Severity::Low), ..change };
        let told = notification(&announcement(&change, Author::Evaluator)).unwrap();
        assert_eq!(
            (told.publisher_id.as_str(), told.event_type.as_str()),
            ("aodh.evaluator", "alarm.state_transition")
        );
        assert_eq!(told.payload["detail"], json!(r#"{"name": "n"}"#));
        assert_eq!(told.payload["severity"], json!("low"));
    }
}
