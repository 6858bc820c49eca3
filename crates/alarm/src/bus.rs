//! Alarms on the cloud's message bus: events that come in, messages between upstream's programs and ours, in either
//! direction, and what changes of alarms there are. Knows no AMQP: what carries messages is a contract.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nephometer_drivers::{
    AlarmStore, BusMessage, Delivery, DeliveryFailure, Destination, MessageHandler, MessageSink, NewDelivery,
    NotHandled,
};
use nephometer_model::{AlarmId, Clock, Timestamp, python};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::announce::{self, written};
use crate::definition::ActionScheme;
use crate::event::{EventListener, events_of};
use crate::notify::{Address, Notifier, Notifiers, Parcel};

/// What upstream's evaluator calls itself and its messages.
const PUBLISHER: &str = "alarming.evaluator";
const EVENT_TYPE: &str = "alarm.update";
/// The priority of messages from evaluators to notifiers, and of events.
pub const PRIORITY: &str = "sample";
/// The priority of notifications about changes.
pub const CHANGE_PRIORITY: &str = announce::PRIORITY;
/// A message that the bus did not take is sent again after so long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Upstream's topics: of events for alarms, and of messages from evaluators to notifiers.
pub const EVENT_TOPIC: &str = "alarm.all";
/// See [`EVENT_TOPIC`].
pub const NOTIFIER_TOPIC: &str = "alarming";
/// The exchanges of events' senders that are heard unless told otherwise: Aodh's own, and that of Ceilometer's publisher.
pub const EXCHANGES: [&str; 2] = ["aodh", "ceilometer"];

/// The keys that receivers are told, in upstream's order.
const TOLD: [&str; 7] =
    ["alarm_name", "alarm_id", "severity", "previous", "current", "reason", "reason_data"];

/// Deliveries are named after messages by this.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e65_7068_6f6d_5465_8472_616c_6172_6d73);

/// Gives events to a listener; acknowledged after what follows from them was stored.
pub struct EventInbox(pub Arc<EventListener>);

#[async_trait]
impl MessageHandler for EventInbox {
    async fn handle(&self, messages: &[BusMessage]) -> Result<(), NotHandled> {
        let events = messages.iter().flat_map(|message| events_of(message.payload.clone())).collect();
        self.0.hear(events).await.map(drop).map_err(|error| NotHandled(error.to_string()))
    }
}

/// Puts messages of upstream's evaluator or listener into the outbox, from which they are delivered as our own are.
pub struct ActionInbox {
    /// Holds the outbox.
    pub store: Arc<dyn AlarmStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Wakes who delivers.
    pub deliveries: Arc<Notify>,
}

#[async_trait]
impl MessageHandler for ActionInbox {
    async fn handle(&self, messages: &[BusMessage]) -> Result<(), NotHandled> {
        let now = self.clock.now_micros();
        let wanted: Vec<_> = messages.iter().flat_map(|message| deliveries_of(message, now)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.store.add_deliveries(wanted).await.map_err(|error| NotHandled(error.to_string()))?;
        self.deliveries.notify_one();
        Ok(())
    }
}

/// What a message from an evaluator asks for: a delivery for each action. Their ids follow from the message's own, so that
/// one that comes twice adds nothing.
fn deliveries_of(message: &BusMessage, now: Timestamp) -> Vec<NewDelivery> {
    let payload = &message.payload;
    let actions: Vec<&str> =
        payload["actions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let alarm_id = payload["alarm_id"].as_str().unwrap_or_default();
    if actions.is_empty() || alarm_id.is_empty() {
        let id = &message.message_id;
        tracing::warn!(
            message = id,
            alarm = alarm_id,
            "a message for notifiers names no alarm or no action: left out"
        );
        return Vec::new();
    }
    let told: Map<String, Value> =
        TOLD.iter().map(|&key| (key.to_owned(), payload.get(key).cloned().unwrap_or_default())).collect();
    let told = python::dumps(&Value::Object(told));
    let name = [&message.message_id, &message.unique_id].into_iter().find(|id| !id.is_empty());
    let name = name.unwrap_or(&told);
    let delivery = |(at, action): (usize, &str)| NewDelivery {
        id: Uuid::new_v5(&NAMESPACE, format!("{name} {at} {action}").as_bytes()),
        alarm_id: AlarmId(alarm_id.to_owned()),
        project_id: None,
        action: action.to_owned(),
        payload: told.clone(),
        not_before: now,
        group: None,
    };
    actions.into_iter().enumerate().map(delivery).collect()
}

/// Leaves deliveries to upstream's notifier: any action is told by a message on the bus.
pub struct BusNotifier {
    /// The bus.
    pub sink: Arc<dyn MessageSink>,
    /// Where the notifier listens.
    pub destination: Destination,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl BusNotifier {
    /// Has it carry out actions of all schemes.
    pub fn for_all_schemes(self) -> Notifiers {
        let schemes = [
            ActionScheme::Http,
            ActionScheme::Https,
            ActionScheme::Log,
            ActionScheme::Test,
            ActionScheme::TrustHttp,
            ActionScheme::TrustHttps,
            ActionScheme::Zaqar,
            ActionScheme::TrustZaqar,
            ActionScheme::TrustHeat,
        ];
        Notifiers::default().with(&schemes, self)
    }
}

#[async_trait]
impl Notifier for BusNotifier {
    async fn deliver(&self, _: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        let now = self.clock.now_micros();
        let messages = parcel.deliveries().iter().map(|delivery| message_of(delivery, now));
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        let sent = self.sink.send(&self.destination, &messages).await;
        sent.map_err(|error| DeliveryFailure::later(error.to_string()))
    }

    fn longest_pause(&self) -> Option<Duration> {
        Some(LONGEST_PAUSE)
    }
}

/// Tells of changes of alarms on the bus.
pub struct ChangeNotifier {
    /// The bus.
    pub sink: Arc<dyn MessageSink>,
    /// Where they are told.
    pub destinations: Vec<Destination>,
}

impl ChangeNotifier {
    /// The scheme that it carries out.
    pub const SCHEMES: [ActionScheme; 1] = [ActionScheme::Bus];
}

#[async_trait]
impl Notifier for ChangeNotifier {
    async fn deliver(&self, _: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        let told = parcel.deliveries().iter().map(|delivery| announce::notification(&delivery.message));
        let told = told.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
        for destination in &self.destinations {
            let sent = self.sink.send(destination, &told).await;
            sent.map_err(|error| DeliveryFailure::later(error.to_string()))?;
        }
        Ok(())
    }

    fn longest_pause(&self) -> Option<Duration> {
        Some(LONGEST_PAUSE)
    }
}

fn unreadable(error: &serde_json::Error) -> DeliveryFailure {
    DeliveryFailure::Final(format!("the message cannot be read: {error}"))
}

/// The message that asks upstream's notifier for a delivery; the same at each attempt but for its time.
fn message_of(delivery: &Delivery, now: Timestamp) -> Result<BusMessage, DeliveryFailure> {
    let told: Map<String, Value> =
        serde_json::from_str(&delivery.message.payload).map_err(|error| unreadable(&error))?;
    let mut payload = Map::new();
    payload.insert("actions".to_owned(), vec![delivery.message.action.clone()].into());
    payload.extend(told);
    Ok(BusMessage {
        message_id: delivery.message.id.to_string(),
        unique_id: delivery.message.id.simple().to_string(),
        publisher_id: PUBLISHER.to_owned(),
        event_type: EVENT_TYPE.to_owned(),
        priority: PRIORITY.to_uppercase(),
        timestamp: written(now).replace('T', " "),
        payload: Value::Object(payload),
        ..BusMessage::default()
    })
}
