//! Decisions of evaluators.

use std::time::Duration;

use nephometer_model::{Alarm, AlarmChange, AlarmChangeKind, AlarmState};
use uuid::Uuid;

use super::fixtures::{after, alarm, change, id, make, message, remove, transition};
use crate::conformance::leases::Wait;
use crate::{
    ALARM_SHARES, AlarmFilter, AlarmStore, Applied, ChangeRecord, LeaseStore, NOTIFIERS, Page, Transition,
};

async fn taken(store: &dyn AlarmStore, leases: &dyn LeaseStore) -> Vec<Uuid> {
    let (member, minute) = (Uuid::from_u128(1), Duration::from_secs(60));
    leases.renew(NOTIFIERS, member, 0, minute).await.unwrap();
    let taken = store.take_deliveries(member, minute, 100).await.unwrap();
    taken.into_iter().map(|delivery| delivery.message.id).collect()
}

/// State, history and messages are written together.
pub async fn transitions_write_state_history_and_messages(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    let made = make(store, alarm(1)).await;
    let record = AlarmChange { kind: AlarmChangeKind::StateTransition, ..change(&made, 1) };
    let deliveries = vec![message(1, 1, "a"), message(2, 1, "b")];
    let decided = Transition { change: Some(record.clone()), deliveries, ..transition(&made) };
    let outcome = store.apply(vec![decided]).await.unwrap();
    let [Applied::Done(version)] = outcome[..] else { panic!("{outcome:?}") };
    assert!(version > made.version);
    let expected = Alarm {
        version,
        state: AlarmState::Alarm,
        state_reason: "too much".to_owned(),
        state_timestamp: after(100),
        evaluate_timestamp: after(100),
        ..made
    };
    assert_eq!(store.alarm(&id(1)).await.unwrap(), expected);
    assert_eq!(store.history(&AlarmFilter::All, &Page::default()).await.unwrap(), [record]);
    assert_eq!(taken(store, leases).await, [1, 2].map(Uuid::from_u128));
    assert!(store.apply(Vec::new()).await.unwrap().is_empty());
}

/// A decision on what has changed meanwhile, or is gone, leaves nothing behind; others beside it are done.
pub async fn transitions_of_what_has_changed_are_stale(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    let seen = make(store, alarm(1)).await;
    let gone = make(store, alarm(2)).await;
    let other = make(store, alarm(3)).await;
    store.update(seen.clone(), ChangeRecord::default()).await.unwrap();
    remove(store, 2).await;
    let decide = |alarm: &Alarm, number| Transition {
        change: Some(change(alarm, number)),
        deliveries: vec![message(number, number, "a")],
        ..transition(alarm)
    };
    let outcome = store.apply(vec![decide(&seen, 1), decide(&gone, 2), decide(&other, 3)]).await.unwrap();
    assert_eq!(outcome, [Applied::Stale, Applied::Stale, Applied::Done(other.version + 1)]);
    assert_eq!(store.alarm(&seen.id).await.unwrap().state, AlarmState::InsufficientData);
    assert_eq!(store.history(&AlarmFilter::All, &Page::default()).await.unwrap(), [change(&other, 3)]);
    assert_eq!(taken(store, leases).await, [Uuid::from_u128(3)]);
}

/// A state that is confirmed keeps its time; where only messages are wanted state and reason stay.
pub async fn transitions_keep_what_they_do_not_name(
    store: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    _: Wait<'_>,
) {
    let made = make(store, alarm(1)).await;
    let state = Some((AlarmState::InsufficientData, "still nothing".to_owned()));
    let confirmed = Transition { state, ..transition(&made) };
    let Applied::Done(version) = store.apply(vec![confirmed]).await.unwrap()[0] else { panic!() };
    let seen = store.alarm(&made.id).await.unwrap();
    assert_eq!((seen.state_timestamp, seen.evaluate_timestamp), (made.state_timestamp, after(100)));
    assert_eq!((seen.state_reason.as_str(), seen.version), ("still nothing", version));
    let deliveries = vec![message(1, 1, "a")];
    let repeated = Transition { state: None, at: after(160), deliveries, ..transition(&seen) };
    let Applied::Done(version) = store.apply(vec![repeated]).await.unwrap()[0] else { panic!() };
    let expected = Alarm { version, evaluate_timestamp: after(160), ..seen };
    assert_eq!(store.alarm(&made.id).await.unwrap(), expected);
    assert_eq!(taken(store, leases).await, [Uuid::from_u128(1)]);
}

/// Several decisions on one alarm in one call are made one after the other.
pub async fn transitions_of_one_alarm_follow_each_other(store: &dyn AlarmStore) {
    let made = make(store, alarm(1)).await;
    let state = |state, version, number| Transition {
        state: Some((state, "so".to_owned())),
        version,
        change: Some(change(&made, number)),
        at: after(i64::try_from(number).unwrap()),
        ..transition(&made)
    };
    let first = state(AlarmState::Alarm, made.version, 1);
    let second = state(AlarmState::Ok, made.version + 1, 2);
    let late = state(AlarmState::Alarm, made.version, 3);
    let outcome = store.apply(vec![first, second, late]).await.unwrap();
    let version = made.version + 2;
    assert_eq!(outcome, [Applied::Done(made.version + 1), Applied::Done(version), Applied::Stale]);
    let seen = store.alarm(&made.id).await.unwrap();
    assert_eq!((seen.state, seen.version, seen.state_timestamp), (AlarmState::Ok, version, after(2)));
    assert_eq!(store.history(&AlarmFilter::All, &Page::default()).await.unwrap().len(), 2);
}

/// What somebody without a share changes, evaluators hear of.
pub async fn transitions_are_news_without_a_fence_only(store: &dyn AlarmStore) {
    let made = make(store, alarm(1)).await;
    let since: Vec<_> = (0..ALARM_SHARES).map(|share| (share, 0)).collect();
    let first = store.news(&since).await.unwrap();
    assert_eq!(first.changed, std::slice::from_ref(&made));
    store.apply(vec![transition(&made)]).await.unwrap();
    let second = store.news(&first.revisions).await.unwrap();
    assert_eq!(second.changed, [store.alarm(&made.id).await.unwrap()]);
    assert_eq!(second.changed[0].state, AlarmState::Alarm);
    assert!(store.news(&second.revisions).await.unwrap().changed.is_empty());
}
