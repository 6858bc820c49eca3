//! Messages and their deliveries.

use std::time::Duration;

use uuid::Uuid;

use super::fixtures::{after, alarm, id, make, message, transition};
use crate::conformance::NOW;
use crate::{AlarmStore, DeliveryEnd, NewDelivery, OutboxCounts, Transition};

const MINUTE: Duration = Duration::from_secs(60);

fn member(number: u128) -> Uuid {
    Uuid::from_u128(number << 64)
}

async fn take_for(store: &dyn AlarmStore, length: Duration, limit: u32) -> Vec<u128> {
    let taken = store.take_deliveries(member(1), length, limit).await.unwrap();
    taken.into_iter().map(|delivery| delivery.message.id.as_u128()).collect()
}

async fn take(store: &dyn AlarmStore, limit: u32) -> Vec<u128> {
    take_for(store, MINUTE, limit).await
}

async fn end(store: &dyn AlarmStore, number: u128, end: DeliveryEnd) {
    store.end_deliveries(member(1), vec![(Uuid::from_u128(number), end)]).await.unwrap();
}

/// Messages that are due are taken once, those that wait longest first.
pub async fn messages_are_taken_oldest_first(store: &dyn AlarmStore) {
    let due = |number: u128, seconds| NewDelivery {
        not_before: after(seconds),
        group: Some("g".to_owned()),
        ..message(number, number, "a")
    };
    let messages = vec![due(1, -1), due(2, -3), due(3, -2), due(4, 10), due(5, 0)];
    store.add_deliveries(messages.clone()).await.unwrap();
    let counts = OutboxCounts { waiting: 5, oldest: Some(NOW), dead: 0 };
    assert_eq!(store.outbox().await.unwrap(), counts);
    let first = store.take_deliveries(member(1), MINUTE, 1).await.unwrap();
    assert_eq!(first[0].message, messages[1]);
    assert_eq!((first[0].created_at, first[0].attempts, &first[0].last_error), (NOW, 0, &None));
    assert_eq!(take(store, 2).await, [3, 1]);
    assert_eq!(take(store, 9).await, [5]);
    assert_eq!(take(store, 9).await, []);
    end(store, 2, DeliveryEnd::Delivered).await;
    assert_eq!(store.outbox().await.unwrap().waiting, 4);
}

/// Of the messages of one alarm to one target each waits for those before it.
pub async fn messages_to_one_target_keep_their_order(store: &dyn AlarmStore) {
    let messages = vec![message(1, 1, "a"), message(2, 1, "a"), message(3, 1, "b"), message(4, 2, "a")];
    store.add_deliveries(messages).await.unwrap();
    assert_eq!(take(store, 9).await, [1, 3, 4]);
    assert_eq!(take(store, 9).await, []);
    end(store, 1, DeliveryEnd::Retry { at: after(5), error: "not now".to_owned() }).await;
    assert_eq!(take(store, 9).await, []);
    end(store, 3, DeliveryEnd::Delivered).await;
    assert_eq!(take(store, 9).await, []);
    store.add_deliveries(vec![message(5, 3, "a"), message(6, 3, "a"), message(7, 3, "a")]).await.unwrap();
    for number in 5..=7 {
        assert_eq!(take(store, 9).await, [number]);
        end(store, number, DeliveryEnd::Delivered).await;
    }
}

/// Whoever took a message has it for a time; then others may, and what he says does not count any more.
pub async fn messages_are_free_again_in_the_end(store: &dyn AlarmStore) {
    store.add_deliveries(vec![message(1, 1, "a")]).await.unwrap();
    assert_eq!(take_for(store, Duration::ZERO, 1).await, [1]);
    let others = store.take_deliveries(member(2), MINUTE, 1).await.unwrap();
    assert_eq!(others.len(), 1);
    end(store, 1, DeliveryEnd::Delivered).await;
    end(store, 1, DeliveryEnd::Dead { error: "no".to_owned() }).await;
    assert_eq!(store.outbox().await.unwrap(), OutboxCounts { waiting: 1, oldest: Some(NOW), dead: 0 });
    let ends =
        vec![(Uuid::from_u128(1), DeliveryEnd::Delivered), (Uuid::from_u128(2), DeliveryEnd::Delivered)];
    store.end_deliveries(member(2), ends).await.unwrap();
    assert_eq!(store.outbox().await.unwrap(), OutboxCounts::default());
}

/// A delivery that fails is tried again, or becomes a dead letter, which somebody may have delivered after all.
pub async fn messages_are_tried_again_or_given_up(store: &dyn AlarmStore) {
    store.add_deliveries(vec![message(1, 1, "a"), message(2, 1, "a"), message(3, 2, "a")]).await.unwrap();
    assert_eq!(take(store, 9).await, [1, 3]);
    end(store, 1, DeliveryEnd::Retry { at: after(0), error: "busy\0".to_owned() }).await;
    let again = store.take_deliveries(member(1), MINUTE, 9).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].attempts, again[0].last_error.as_deref()), (1, Some("busy\u{fffd}")));
    end(store, 1, DeliveryEnd::Returned { at: after(0) }).await;
    assert_eq!(take(store, 9).await, [1]);
    end(store, 3, DeliveryEnd::Returned { at: after(0) }).await;
    let untried = store.take_deliveries(member(1), MINUTE, 9).await.unwrap();
    assert_eq!((untried[0].message.id.as_u128(), untried[0].attempts, &untried[0].last_error), (3, 0, &None));
    for number in [1, 3] {
        end(store, number, DeliveryEnd::Dead { error: format!("no {number}") }).await;
    }
    assert_eq!(store.outbox().await.unwrap(), OutboxCounts { waiting: 1, oldest: Some(NOW), dead: 2 });
    // What was given up holds nobody up.
    assert_eq!(take(store, 9).await, [2]);
    let dead = store.dead_deliveries(9).await.unwrap();
    let seen: Vec<_> = dead.iter().map(|dead| (dead.message.id.as_u128(), dead.attempts)).collect();
    assert_eq!(seen, [(3, 1), (1, 2)]);
    assert_eq!(dead[0].last_error.as_deref(), Some("no 3"));
    assert_eq!(store.dead_deliveries(1).await.unwrap().len(), 1);
    assert_eq!(store.revive_deliveries(Some(vec![Uuid::from_u128(3), Uuid::from_u128(2)])).await.unwrap(), 1);
    assert_eq!(take(store, 9).await, [3]);
    end(store, 3, DeliveryEnd::Dead { error: "no".to_owned() }).await;
    assert_eq!(store.expire_deliveries(after(0)).await.unwrap(), 0);
    assert_eq!(store.revive_deliveries(None).await.unwrap(), 2);
    // One message at a time is on its way to a target.
    assert_eq!(take(store, 9).await, [3]);
    end(store, 2, DeliveryEnd::Delivered).await;
    assert_eq!(take(store, 9).await, [1]);
    end(store, 3, DeliveryEnd::Dead { error: "no".to_owned() }).await;
    assert_eq!(store.expire_deliveries(after(1)).await.unwrap(), 1);
    assert_eq!(store.outbox().await.unwrap(), OutboxCounts { waiting: 1, oldest: Some(NOW), dead: 0 });
}

/// A message comes in once.
pub async fn messages_that_are_known_are_skipped(store: &dyn AlarmStore) {
    store.add_deliveries(vec![message(1, 1, "a"), message(1, 2, "b")]).await.unwrap();
    store.add_deliveries(vec![message(2, 2, "a"), message(1, 1, "a")]).await.unwrap();
    assert_eq!(store.outbox().await.unwrap().waiting, 2);
    assert_eq!(take(store, 9).await, [1, 2]);
}

/// Who deletes an alarm is told no more of it.
pub async fn messages_go_with_their_alarm(store: &dyn AlarmStore) {
    let made = make(store, alarm(1)).await;
    let first = NewDelivery { not_before: after(-9), ..message(1, 1, "a") };
    let deliveries = vec![first, message(2, 1, "b"), message(3, 1, "b")];
    store.apply(vec![Transition { deliveries, ..transition(&made) }]).await.unwrap();
    store.add_deliveries(vec![message(4, 2, "a")]).await.unwrap();
    assert_eq!(take(store, 1).await, [1]);
    store.delete(&id(1)).await.unwrap();
    end(store, 1, DeliveryEnd::Retry { at: after(0), error: "busy".to_owned() }).await;
    assert_eq!(take(store, 9).await, [4]);
    assert_eq!(store.outbox().await.unwrap().waiting, 1);
}
