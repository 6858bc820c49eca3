//! Messages on the bus, turned into deliveries and back.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{
    AlarmStore, BusMessage, Delivery, DeliveryFailure, Destination, MessageHandler, MessageSink, NotSent,
};
use nephometer_model::{AlarmChange, AlarmChangeKind, AlarmId, Clock, ManualClock, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{BusNotifier, ChangeNotifier, deliveries_of};
use crate::announce::{Author, announcement};
use crate::evaluate::{Recorder, Recording};
use crate::event::{EventListener, ListenerParts};
use crate::notify::{Address, Notifier, Parcel};
use crate::world::World;

fn update(payload: Value) -> BusMessage {
    BusMessage {
        message_id: "m1".to_owned(),
        unique_id: "u1".to_owned(),
        publisher_id: "alarming.evaluator".to_owned(),
        event_type: "alarm.update".to_owned(),
        priority: "SAMPLE".to_owned(),
        payload,
        ..BusMessage::default()
    }
}

fn payload(actions: &[&str]) -> Value {
    json!({"actions": actions, "alarm_id": "a1", "alarm_name": "n", "severity": "low", "previous": "ok",
        "current": "alarm", "reason": "r", "reason_data": {"x": 1.5}})
}

#[test]
fn an_evaluators_message_asks_for_each_action_once() {
    let now = Timestamp::from_micros(5);
    let wanted = deliveries_of(&update(payload(&["log://", "http://one/", "log://"])), now);
    assert_eq!(
        wanted.iter().map(|one| one.action.as_str()).collect::<Vec<_>>(),
        ["log://", "http://one/", "log://"]
    );
    assert_eq!(
        wanted[0].payload,
        "{\"alarm_name\": \"n\", \"alarm_id\": \"a1\", \"severity\": \"low\", \"previous\": \"ok\", \"current\": \
         \"alarm\", \"reason\": \"r\", \"reason_data\": {\"x\": 1.5}}"
    );
    // Sent again, even by another sending, it is the same; another message is not.
    let again =
        BusMessage { unique_id: "u2".to_owned(), ..update(payload(&["log://", "http://one/", "log://"])) };
    assert_eq!(deliveries_of(&again, now), wanted);
    let other = BusMessage { message_id: "m2".to_owned(), ..again };
    let ids = |of: &[nephometer_drivers::NewDelivery]| of.iter().map(|one| one.id).collect::<Vec<_>>();
    let (ours, theirs) = (ids(&wanted), ids(&deliveries_of(&other, now)));
    assert!(ours.iter().all(|id| !theirs.contains(id)) && ours[0] != ours[2]);
}

#[test]
fn messages_without_alarm_or_action_are_left_out() {
    for wrong in
        [payload(&[]), json!({"actions": ["log://"]}), json!({"alarm_id": "a"}), json!(5), json!(null)]
    {
        assert_eq!(deliveries_of(&update(wrong), Timestamp::default()), []);
    }
}

#[derive(Default)]
struct Sink {
    sent: Mutex<Vec<(Destination, BusMessage)>>,
    is_down: bool,
}

#[async_trait]
impl MessageSink for Sink {
    async fn send(&self, destination: &Destination, messages: &[BusMessage]) -> Result<(), NotSent> {
        if self.is_down {
            return Err(NotSent("away".to_owned()));
        }
        self.sent.lock().extend(messages.iter().map(|message| (destination.clone(), message.clone())));
        Ok(())
    }
}

fn notifier(sink: &Arc<Sink>) -> BusNotifier {
    let [exchange, topic, priority] = ["aodh", "alarming", "sample"].map(str::to_owned);
    BusNotifier {
        sink: Arc::clone(sink) as Arc<dyn MessageSink>,
        destination: Destination { exchange, topic, priority },
        clock: Arc::new(ManualClock::at(Timestamp::from_micros(1_767_323_045_000_000))),
    }
}

#[tokio::test]
async fn what_upstreams_notifier_gets_is_what_its_evaluator_sends() {
    let message = deliveries_of(&update(payload(&["http://one/"])), Timestamp::default()).remove(0);
    let delivery = Delivery { message, created_at: Timestamp::default(), attempts: 0, last_error: None };
    let (id, parcel) = (delivery.message.id, Parcel::one(delivery));
    let address = Address::parse("http://one/").unwrap();
    let sink = Arc::new(Sink::default());
    notifier(&sink).deliver(&address, &parcel).await.unwrap();
    let (place, sent) = sink.sent.lock().remove(0);
    assert_eq!(
        (place.exchange.as_str(), place.topic.as_str(), place.priority.as_str()),
        ("aodh", "alarming", "sample")
    );
    assert_eq!(sent.payload, payload(&["http://one/"]));
    assert_eq!((sent.event_type.as_str(), sent.priority.as_str()), ("alarm.update", "SAMPLE"));
    assert_eq!((sent.message_id, sent.timestamp.as_str()), (id.to_string(), "2026-01-02 03:04:05.000000"));
    let down = Arc::new(Sink { is_down: true, ..Sink::default() });
    let failed = notifier(&down).deliver(&address, &parcel).await.unwrap_err();
    assert!(matches!(failed, DeliveryFailure::Later { .. }));
}

#[tokio::test]
async fn changes_are_told_together_and_everywhere() {
    let change = |number| AlarmChange {
        event_id: Uuid::from_u128(number),
        alarm_id: AlarmId(number.to_string()),
        kind: AlarmChangeKind::Creation,
        detail: "{}".to_owned(),
        user_id: None,
        project_id: None,
        on_behalf_of: None,
        timestamp: Timestamp::default(),
        severity: None,
    };
    let taken = |number| Delivery {
        message: announcement(&change(number), Author::Api),
        created_at: Timestamp::default(),
        attempts: 0,
        last_error: None,
    };
    let parcels = Parcel::pack((1..=3).map(taken).collect());
    assert_eq!(parcels.len(), 1);
    let address = Address::parse(&parcels[0].first().message.action).unwrap();
    let destination = |topic: &str| Destination {
        exchange: "aodh".to_owned(),
        topic: topic.to_owned(),
        priority: "info".to_owned(),
    };
    let tell = async |sink: &Arc<Sink>| {
        let sink = Arc::clone(sink) as Arc<dyn MessageSink>;
        let destinations = ["notifications", "audit"].map(destination).to_vec();
        ChangeNotifier { sink, destinations }.deliver(&address, &parcels[0]).await
    };
    let sink = Arc::new(Sink::default());
    tell(&sink).await.unwrap();
    let sent: Vec<_> = sink
        .sent
        .lock()
        .iter()
        .map(|(place, message)| (place.topic.clone(), message.payload["alarm_id"].clone()))
        .collect();
    let of = |topic: &str| ["1", "2", "3"].map(|id| (topic.to_owned(), json!(id)));
    assert_eq!(sent, [of("notifications"), of("audit")].concat());
    let down = Arc::new(Sink { is_down: true, ..Sink::default() });
    assert!(matches!(tell(&down).await, Err(DeliveryFailure::Later { .. })));
}

#[tokio::test]
async fn events_are_not_acknowledged_while_the_store_is_away() {
    let world = World::new();
    let listener = Arc::new(EventListener::new(ListenerParts {
        store: Arc::clone(&world) as Arc<dyn AlarmStore>,
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        recorder: Recorder::new(Arc::clone(&world.clock) as _, Recording::default()),
        deliveries: Arc::default(),
    }));
    let rule = nephometer_model::EventRule { event_type: "*".to_owned(), query: Vec::new() };
    world.put(crate::world::alarm("a", nephometer_model::AlarmRule::Event(rule)));
    let inbox = super::EventInbox(listener);
    let event = json!({"message_id": "e", "event_type": "t", "traits": [["project_id", 1, "p"]]});
    let messages = [update(json!([event]))];
    world.state.lock().fail_apply = Some(false);
    inbox.handle(&messages).await.unwrap_err();
    world.state.lock().fail_apply = None;
    inbox.handle(&messages).await.unwrap();
    assert_eq!(world.history_of("a").len(), 1);
}
