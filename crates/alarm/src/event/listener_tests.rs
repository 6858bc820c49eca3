//! The listener's core in a world of its own.

use std::sync::Arc;

use nephometer_drivers::{AlarmStore, AlarmStoreError};
use nephometer_model::{Alarm, AlarmId, AlarmRule, AlarmState, Clock, EventRule, IdSource};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{EventListener, EventOutcome, ListenerParts};
use crate::evaluate::{Recorder, Recording};
use crate::world::{World, above_80, alarm};

fn listener(world: &Arc<World>) -> EventListener {
    EventListener::new(ListenerParts {
        store: Arc::clone(world) as Arc<dyn AlarmStore>,
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        recorder: Recorder::new(Arc::clone(&world.clock) as Arc<dyn IdSource>, Recording::default()),
        deliveries: Arc::new(Notify::new()),
    })
}

fn watches(id: &str, event_type: &str) -> Alarm {
    alarm(id, AlarmRule::Event(EventRule { event_type: event_type.to_owned(), query: Vec::new() }))
}

fn happened(id: &str, event_type: &str) -> Value {
    json!({"message_id": id, "event_type": event_type, "traits": [["project_id", 1, "p"]]})
}

#[tokio::test]
async fn an_alarm_fires_once_and_one_that_repeats_each_time() {
    let world = World::new();
    world.put(watches("once", "compute.*"));
    world.put(Alarm { repeat_actions: true, ..watches("again", "compute.*") });
    world.put(watches("other", "volume.*"));
    world.put(above_80("threshold", "m1", 1));
    let listener = listener(&world);
    let events = vec![happened("1", "compute.start"), json!({"nothing": 1}), happened("2", "compute.end")];
    let outcome = listener.hear(events).await.unwrap();
    assert_eq!(outcome, EventOutcome { events: 2, invalid: 1, fired: 3 });
    assert_eq!((world.history_of("once").len(), world.history_of("again").len()), (1, 2));
    assert_eq!((world.history_of("other").len(), listener.alarms().await), (0, 3));
    assert_eq!(world.alarm("again").state, AlarmState::Alarm);
    let state = world.state.lock();
    assert_eq!(state.deliveries.len(), 3);
    let last: Value = serde_json::from_str(&state.deliveries[2].payload).unwrap();
    assert_eq!(
        (&last["previous"], &last["reason_data"]["event"]["message_id"]),
        (&json!("alarm"), &json!("2"))
    );
    let reason = last["reason"].as_str().unwrap();
    assert_eq!(reason, "Event <id=2,event_type=compute.end> hits the query <query=[]>.");
}

#[tokio::test]
async fn two_listeners_fire_an_alarm_once() {
    let world = World::new();
    world.put(watches("a", "*"));
    let (one, two) = (listener(&world), listener(&world));
    assert_eq!(one.hear(Vec::new()).await.unwrap(), EventOutcome::default());
    assert_eq!(two.hear(vec![happened("1", "x")]).await.unwrap().fired, 1);
    // The first knows the alarm as it was before.
    assert_eq!(one.hear(vec![happened("2", "x")]).await.unwrap().fired, 0);
    assert_eq!(world.history_of("a"), ["alarm"]);
}

#[tokio::test]
async fn edits_between_decision_and_write_are_decided_anew() {
    let world = World::new();
    for id in ["edited", "narrowed", "deleted", "off"] {
        world.put(watches(id, "*"));
    }
    let listener = listener(&world);
    world.state.lock().before_apply = Some(Box::new(|state| {
        state.put(Alarm { name: "new".to_owned(), ..watches("edited", "*") });
        state.put(watches("narrowed", "volume.*"));
        state.put(Alarm { enabled: Some(false), ..watches("off", "*") });
        state.delete(&AlarmId("deleted".to_owned()));
    }));
    assert_eq!(listener.hear(vec![happened("1", "x")]).await.unwrap().fired, 1);
    assert_eq!((world.alarm("edited").name.as_str(), world.history_of("edited").len()), ("new", 1));
    assert_eq!((world.history_of("narrowed").len(), world.history_of("off").len()), (0, 0));
    assert_eq!(listener.alarms().await, 2);
}

#[tokio::test]
async fn new_alarms_and_resets_matter_at_once() {
    let world = World::new();
    let listener = listener(&world);
    listener.hear(Vec::new()).await.unwrap();
    world.put(watches("a", "*"));
    world.advance(1);
    assert_eq!(listener.hear(vec![happened("1", "x")]).await.unwrap().fired, 1);
    world.put(watches("a", "*"));
    world.advance(1);
    assert_eq!(listener.hear(vec![happened("2", "x")]).await.unwrap().fired, 1);
    world.state.lock().delete(&AlarmId("a".to_owned()));
    world.advance(1);
    assert_eq!(listener.hear(vec![happened("3", "x")]).await.unwrap().fired, 0);
    assert_eq!(listener.alarms().await, 0);
}

#[tokio::test]
async fn events_may_be_given_again_when_the_store_failed() {
    for wrote in [false, true] {
        let world = World::new();
        world.put(watches("a", "*"));
        let listener = listener(&world);
        world.state.lock().fail_apply = Some(wrote);
        let failed = listener.hear(vec![happened("1", "x")]).await;
        assert!(matches!(failed, Err(AlarmStoreError::Unavailable(_))));
        let fired = listener.hear(vec![happened("1", "x")]).await.unwrap().fired;
        assert_eq!((fired, world.history_of("a").len()), (u64::from(!wrote), 1));
    }
}
