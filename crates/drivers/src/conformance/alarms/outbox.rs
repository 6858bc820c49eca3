//! Messages and their deliveries. Time passes when `wait` is called.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::fixtures::{after, alarm, make, message, remove, transition};
use crate::conformance::NOW;
use crate::conformance::leases::Wait;
use crate::{
    AlarmLimits, AlarmStore, AlarmStoreError, BUS_ACTION, ChangeRecord, DeliveryEnd, DeliveryGroup,
    LeaseStore, NOTIFIERS, NewDelivery, OutboxCounts, Transition,
};

/// Calls the macro `$callback` with the names of all behaviours that messages show, each an async function over `&dyn AlarmStore`,
/// the `&dyn LeaseStore` that says who lives, and a function that lets time pass.
#[macro_export]
macro_rules! for_each_outbox_behaviour {
    ($callback:ident) => {
        $callback! {
            transitions_write_state_history_and_messages
            transitions_of_what_has_changed_are_stale
            transitions_keep_what_they_do_not_name
            messages_are_taken_oldest_first
            messages_to_one_target_keep_their_order
            messages_are_free_again_in_the_end
            messages_of_the_dead_are_free
            messages_of_who_was_away_are_still_its
            messages_are_tried_again_or_given_up
            messages_that_are_known_are_skipped
            messages_go_with_their_alarm
            messages_to_the_bus_outlive_their_alarm
            messages_of_a_group_go_together
            messages_of_a_group_keep_the_order_of_their_alarm
            messages_of_a_group_are_tried_again_together
            messages_wake_who_delivers
        }
    };
}

const MINUTE: Duration = Duration::from_secs(60);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(500);

fn member(number: u128) -> Uuid {
    Uuid::from_u128(number << 64)
}

/// Members live for ten minutes.
async fn live(leases: &dyn LeaseStore, members: &[u128]) {
    live_for(leases, MINUTE * 10, members).await;
}

async fn live_for(leases: &dyn LeaseStore, length: Duration, members: &[u128]) {
    for number in members {
        assert_eq!(leases.renew(NOTIFIERS, member(*number), 0, length).await.unwrap(), []);
    }
}

async fn take_as(store: &dyn AlarmStore, number: u128, length: Duration) -> Vec<u128> {
    let taken = store.take_deliveries(member(number), length, 9).await.unwrap();
    taken.into_iter().map(|delivery| delivery.message.id.as_u128()).collect()
}

async fn take(store: &dyn AlarmStore, limit: u32) -> Vec<u128> {
    let taken = store.take_deliveries(member(1), MINUTE, limit).await.unwrap();
    taken.into_iter().map(|delivery| delivery.message.id.as_u128()).collect()
}

async fn end_as(store: &dyn AlarmStore, by: u128, number: u128, end: DeliveryEnd) {
    store.end_deliveries(member(by), vec![(Uuid::from_u128(number), end)]).await.unwrap();
}

async fn end(store: &dyn AlarmStore, number: u128, end: DeliveryEnd) {
    end_as(store, 1, number, end).await;
}

/// Messages that are due are taken once, those that wait longest first.
pub async fn messages_are_taken_oldest_first(store: &dyn AlarmStore, leases: &dyn LeaseStore, _: Wait<'_>) {
    live(leases, &[1, 2]).await;
    let due = |number: u128, seconds| NewDelivery {
        not_before: after(seconds),
        group: Some(DeliveryGroup { key: "{}".to_owned(), wait: Duration::ZERO }),
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
pub async fn messages_to_one_target_keep_their_order(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    live(leases, &[1, 2]).await;
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
pub async fn messages_are_free_again_in_the_end(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    live(leases, &[1, 2]).await;
    store.add_deliveries(vec![message(1, 1, "a")]).await.unwrap();
    assert_eq!(take_as(store, 1, Duration::ZERO).await, [1]);
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

/// What a dead member has is taken up at once, what a living one has is not; the dead take nothing. Of what was taken from a
/// dead member it says nothing more.
pub async fn messages_of_the_dead_are_free(store: &dyn AlarmStore, leases: &dyn LeaseStore, wait: Wait<'_>) {
    store.add_deliveries(vec![message(1, 1, "a")]).await.unwrap();
    assert_eq!(take_as(store, 1, MINUTE).await, [], "nobody knows the member");
    live_for(leases, SHORT, &[1]).await;
    live(leases, &[2, 3]).await;
    assert_eq!(take_as(store, 1, MINUTE).await, [1]);
    store.add_deliveries(vec![message(2, 2, "a"), message(3, 1, "a")]).await.unwrap();
    assert_eq!(take_as(store, 2, MINUTE).await, [2]);
    assert_eq!(take_as(store, 3, MINUTE).await, []);
    wait(SHORT * 2);
    store.add_deliveries(vec![message(4, 4, "a")]).await.unwrap();
    assert_eq!(take_as(store, 1, MINUTE).await, [], "it is dead");
    assert_eq!(take_as(store, 3, MINUTE).await, [1, 4], "what was held is oldest");
    // The first is back, and has sent what it had.
    live(leases, &[1]).await;
    end(store, 1, DeliveryEnd::Delivered).await;
    assert_eq!(take_as(store, 1, MINUTE).await, []);
    for number in [1, 4] {
        end_as(store, 3, number, DeliveryEnd::Delivered).await;
    }
    assert_eq!(take_as(store, 1, MINUTE).await, [3]);
    // Who leaves is as dead as can be.
    leases.leave(NOTIFIERS, member(1)).await.unwrap();
    assert_eq!(take_as(store, 3, MINUTE).await, [3]);
    end_as(store, 3, 3, DeliveryEnd::Delivered).await;
    end_as(store, 2, 2, DeliveryEnd::Delivered).await;
    assert_eq!(store.outbox().await.unwrap(), OutboxCounts::default());
}

/// Who was dead for a while, but was not missed, ends what it has.
pub async fn messages_of_who_was_away_are_still_its(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    wait: Wait<'_>,
) {
    live_for(leases, SHORT, &[1]).await;
    store.add_deliveries(vec![message(1, 1, "a"), message(2, 2, "a"), message(3, 3, "a")]).await.unwrap();
    assert_eq!(take(store, 9).await, [1, 2, 3]);
    wait(SHORT * 2);
    end(store, 1, DeliveryEnd::Delivered).await;
    live(leases, &[1, 2]).await;
    assert_eq!(take_as(store, 2, MINUTE).await, []);
    end(store, 2, DeliveryEnd::Returned { at: after(-1) }).await;
    assert_eq!(take_as(store, 2, MINUTE).await, [2]);
    end(store, 3, DeliveryEnd::Delivered).await;
    assert_eq!(store.outbox().await.unwrap().waiting, 1);
}

/// A delivery that fails is tried again, or becomes a dead letter, which somebody may have delivered after all.
pub async fn messages_are_tried_again_or_given_up(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    live(leases, &[1, 2]).await;
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
pub async fn messages_that_are_known_are_skipped(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    live(leases, &[1, 2]).await;
    store.add_deliveries(vec![message(1, 1, "a"), message(1, 2, "b")]).await.unwrap();
    store.add_deliveries(vec![message(2, 2, "a"), message(1, 1, "a")]).await.unwrap();
    assert_eq!(store.outbox().await.unwrap().waiting, 2);
    assert_eq!(take(store, 9).await, [1, 2]);
}

/// Who deletes an alarm is told no more of it.
pub async fn messages_go_with_their_alarm(store: &dyn AlarmStore, leases: &dyn LeaseStore, _: Wait<'_>) {
    live(leases, &[1, 2]).await;
    let made = make(store, alarm(1)).await;
    let first = NewDelivery { not_before: after(-9), ..message(1, 1, "a") };
    let deliveries = vec![first, message(2, 1, "b"), message(3, 1, "b")];
    store.apply(vec![Transition { deliveries, ..transition(&made) }]).await.unwrap();
    store.add_deliveries(vec![message(4, 2, "a")]).await.unwrap();
    assert_eq!(take(store, 1).await, [1]);
    remove(store, 1).await;
    end(store, 1, DeliveryEnd::Retry { at: after(0), error: "busy".to_owned() }).await;
    assert_eq!(take(store, 9).await, [4]);
    assert_eq!(store.outbox().await.unwrap().waiting, 1);
}

/// What is told on the bus is told in the end, that the alarm was deleted included.
pub async fn messages_to_the_bus_outlive_their_alarm(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    live(leases, &[1]).await;
    let told = |number| message(number, 1, BUS_ACTION);
    let record = ChangeRecord { change: None, deliveries: vec![told(1)] };
    let made = store.create(alarm(1), record.clone(), AlarmLimits::default()).await.unwrap();
    let again = store.create(alarm(1), record.clone(), AlarmLimits::default()).await;
    assert_eq!(again, Err(AlarmStoreError::Changed));
    let record = ChangeRecord { deliveries: vec![told(2), message(9, 1, "a")], ..record };
    let updated = store.update(made.clone(), record.clone()).await.unwrap();
    assert_eq!(store.update(made.clone(), record).await, Err(AlarmStoreError::Changed));
    assert_eq!(store.delete(&made.id, made.version, vec![told(3)]).await, Err(AlarmStoreError::Changed));
    store.delete(&made.id, updated.version, vec![told(3)]).await.unwrap();
    for number in 1..=3 {
        assert_eq!(take(store, 9).await, [number]);
        end(store, number, DeliveryEnd::Delivered).await;
    }
    assert_eq!(store.outbox().await.unwrap(), OutboxCounts::default());
}

/// A message of the group `key` that waits ten seconds for others, from so many seconds after now on.
fn grouped(number: u128, alarm: u128, key: &str, seconds: i64) -> NewDelivery {
    let group = DeliveryGroup { key: key.to_owned(), wait: Duration::from_secs(10) };
    NewDelivery { not_before: after(seconds), group: Some(group), ..message(number, alarm, "a") }
}

/// Messages of a group wait for each other, and go when the first has waited long enough; those of other groups, actions and
/// projects go by themselves, as do those that may not be sent yet.
pub async fn messages_of_a_group_go_together(store: &dyn AlarmStore, leases: &dyn LeaseStore, _: Wait<'_>) {
    live(leases, &[1]).await;
    let first = grouped(1, 1, "g", -9);
    store.add_deliveries(vec![first.clone(), grouped(2, 2, "g", -1)]).await.unwrap();
    assert_eq!(take(store, 9).await, [], "the first has not waited for long enough");
    let others = vec![
        grouped(3, 3, "h", -1),
        NewDelivery { action: "b".to_owned(), ..grouped(4, 4, "g", -1) },
        NewDelivery { project_id: Some("q".to_owned()), ..grouped(5, 5, "g", -1) },
        grouped(6, 6, "g", 5),
        grouped(7, 7, "g", -1),
        grouped(8, 8, "g", -10),
    ];
    store.add_deliveries(others).await.unwrap();
    let taken = store.take_deliveries(member(1), MINUTE, 9).await.unwrap();
    let numbers: Vec<_> = taken.iter().map(|delivery| delivery.message.id.as_u128()).collect();
    assert_eq!(numbers, [1, 2, 7, 8]);
    assert_eq!(taken[0].message, first);
    assert_eq!(take(store, 9).await, []);
    for number in [1, 2, 7, 8] {
        end(store, number, DeliveryEnd::Delivered).await;
    }
    // A group that is larger than what is asked for comes in pieces.
    let many = (11..=15).map(|number| grouped(number, number, "g", -20)).collect();
    store.add_deliveries(many).await.unwrap();
    let (mut pieces, rest) = (take(store, 3).await, take(store, 3).await);
    assert_eq!((pieces.len(), rest.len()), (3, 2));
    pieces.extend(rest);
    pieces.sort_unstable();
    assert_eq!(pieces, [11, 12, 13, 14, 15]);
    assert_eq!(store.outbox().await.unwrap().waiting, 4 + 5);
}

/// Several messages of one alarm go in one group as long as none of another group, or that must wait, is between them.
pub async fn messages_of_a_group_keep_the_order_of_their_alarm(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    live(leases, &[1]).await;
    let messages = vec![
        grouped(1, 1, "g", -10),
        grouped(2, 1, "g", -9),
        grouped(3, 1, "h", -9),
        grouped(4, 1, "g", -9),
        grouped(5, 2, "g", 5),
        grouped(6, 2, "g", -9),
        grouped(7, 3, "g", -5),
    ];
    store.add_deliveries(messages).await.unwrap();
    assert_eq!(take(store, 9).await, [1, 2, 7]);
    let delivered = [1, 2, 7].map(|number| (Uuid::from_u128(number), DeliveryEnd::Delivered));
    store.end_deliveries(member(1), delivered.to_vec()).await.unwrap();
    assert_eq!(store.outbox().await.unwrap().waiting, 4);
}

/// What of a group was tried is tried again when it is due, and not because another message came.
pub async fn messages_of_a_group_are_tried_again_together(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    live(leases, &[1]).await;
    let all = |numbers: &[u128], end: &DeliveryEnd| -> Vec<_> {
        numbers.iter().map(|number| (Uuid::from_u128(*number), end.clone())).collect()
    };
    let messages = vec![grouped(1, 1, "g", -20), grouped(2, 1, "g", -20), grouped(3, 2, "g", -20)];
    store.add_deliveries(messages).await.unwrap();
    assert_eq!(take(store, 9).await, [1, 2, 3]);
    let later = DeliveryEnd::Retry { at: after(5), error: "busy".to_owned() };
    store.end_deliveries(member(1), all(&[1, 2, 3], &later)).await.unwrap();
    store.add_deliveries(vec![grouped(4, 4, "g", -20), grouped(5, 2, "g", -20)]).await.unwrap();
    assert_eq!(take(store, 9).await, [4]);
    end(store, 4, DeliveryEnd::Retry { at: after(0), error: "busy".to_owned() }).await;
    assert_eq!(take(store, 9).await, [4]);
    // What is given up of them holds up nobody; the others go on when they are due.
    end(store, 4, DeliveryEnd::Delivered).await;
    store.add_deliveries(vec![grouped(6, 6, "g", -20), grouped(7, 6, "g", -20)]).await.unwrap();
    assert_eq!(take(store, 9).await, [6, 7]);
    let mut ends = all(&[6], &DeliveryEnd::Dead { error: "no".to_owned() });
    ends.extend(all(&[7], &later));
    store.end_deliveries(member(1), ends).await.unwrap();
    assert_eq!(take(store, 9).await, []);
    assert_eq!(store.revive_deliveries(None).await.unwrap(), 1);
    assert_eq!(take(store, 9).await, [6, 7]);
}

/// Where the database tells of messages, it does so whatever puts them there; a test that waits for ever has failed.
pub async fn messages_wake_who_delivers(store: &dyn AlarmStore, leases: &dyn LeaseStore, _: Wait<'_>) {
    let wake = Arc::new(Notify::new());
    if !store.hear_of_deliveries(&wake) {
        return;
    }
    wake.notified().await;
    store.add_deliveries(vec![message(1, 1, "a")]).await.unwrap();
    wake.notified().await;
    let made = make(store, alarm(1)).await;
    let deliveries = vec![message(2, 1, "b")];
    store.apply(vec![Transition { deliveries, ..transition(&made) }]).await.unwrap();
    wake.notified().await;
    live(leases, &[1]).await;
    assert_eq!(take(store, 9).await, [1, 2]);
    end(store, 1, DeliveryEnd::Dead { error: "no".to_owned() }).await;
    assert_eq!(store.revive_deliveries(None).await.unwrap(), 1);
    wake.notified().await;
    assert_eq!(take(store, 9).await, [1]);
}
