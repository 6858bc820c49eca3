//! Messages that go out as one because their action asks for it.

use std::time::Duration;

use nephometer_drivers::{AlarmStore, DeliveryGroup, NewDelivery};
use serde_json::{Value, json};

use crate::receiver::{Receiver, Reply};
use crate::world::{PAYLOAD, World, local, quick, until};

/// A message of a group that waits for others.
fn grouped(world: &World, alarm: &str, action: &str, severity: &str) -> NewDelivery {
    let key = format!("{{\"severity\": \"{severity}\"}}");
    let group = DeliveryGroup { key, wait: Duration::from_millis(300) };
    NewDelivery { group: Some(group), ..world.message(alarm, action) }
}

fn bodies(receiver: &Receiver) -> Vec<Value> {
    receiver.seen().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_group_are_one_request() {
    let receiver = Receiver::start(|_, _| Reply::status(200)).await;
    let world = World::start(local(), quick());
    let url = receiver.url("/g");
    let five: Vec<_> = (0..5).map(|n| grouped(&world, &format!("a-{n}"), &url, "low")).collect();
    let ids: Vec<_> = five.iter().map(|message| message.id.to_string()).collect();
    let begun = tokio::time::Instant::now();
    for message in five {
        world.tell(vec![message]).await;
    }
    world.tell(vec![grouped(&world, "b", &url, "critical"), world.message("c", &receiver.url("/one"))]).await;
    assert!(world.settle().await.is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let seen = receiver.seen();
    assert_eq!((seen.len(), seen[0].path.as_str(), seen[0].body.as_str()), (3, "/one", PAYLOAD));
    let bodies = bodies(&receiver);
    let low = bodies.iter().find(|body| body["group"] == json!({"severity": "low"})).unwrap();
    let told = low["notifications"].as_array().unwrap();
    assert_eq!(told.iter().map(|one| one["notification_id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    let mut first = told[0].clone();
    first.as_object_mut().unwrap().shift_remove("notification_id");
    assert_eq!(first, serde_json::from_str::<Value>(PAYLOAD).unwrap());
    let critical = bodies.iter().find(|body| body["group"] == json!({"severity": "critical"})).unwrap();
    assert_eq!(critical["notifications"].as_array().unwrap().len(), 1, "alone it looks like the others");
    assert_eq!(world.handle.status().delivered, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_repeated_as_it_was_and_given_up_one_by_one() {
    let receiver = Receiver::start(|number, _| Reply::status(if number == 0 { 503 } else { 404 })).await;
    let world = World::start(local(), quick());
    let url = receiver.url("/g");
    world.tell((0..3).map(|n| grouped(&world, &format!("a-{n}"), &url, "low")).collect()).await;
    let dead = world.settle().await;
    let seen = receiver.seen();
    assert_eq!((seen.len(), &seen[1].body), (2, &seen[0].body));
    assert_eq!(seen[1].header("idempotency-key"), seen[0].header("idempotency-key"));
    assert!(seen[0].header("idempotency-key").is_some());
    assert_eq!(dead.len(), 3);
    assert!(dead.iter().all(|one| one.attempts == 2 && one.last_error.as_deref().unwrap().contains("404")));
    // One of them goes again, as a group of its own.
    world.index.revive_deliveries(Some(vec![dead[1].message.id])).await.unwrap();
    until(async || receiver.seen().len() == 3).await;
    let told = bodies(&receiver)[2]["notifications"].clone();
    assert_eq!(told[0]["notification_id"], json!(dead[1].message.id));
    assert_eq!(told.as_array().unwrap().len(), 1);
}
