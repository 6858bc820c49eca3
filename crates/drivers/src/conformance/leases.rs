//! Behaviours of a [`LeaseStore`] and of fences. Time passes when `wait` is called.

use std::collections::BTreeMap;
use std::time::Duration;

use nephometer_model::AlarmState;
use uuid::Uuid;

use crate::conformance::NOW;
use crate::conformance::alarms::{alarm, make};
use crate::{ALARM_SHARES, AlarmStore, Applied, EVALUATORS, Fence, Lease, LeaseStore, Transition, share_of};

/// Calls the macro `$callback` with the names of all behaviours of [`conformance::leases`](crate::conformance::leases),
/// each an async function over `&dyn LeaseStore` and a function that lets time pass.
#[macro_export]
macro_rules! for_each_lease_behaviour {
    ($callback:ident) => {
        $callback! {
            leases_are_shared_out_fairly
            leases_are_taken_over_from_the_dead
            leases_that_nobody_took_are_kept
            leases_are_given_back
            leases_of_groups_are_apart
        }
    };
}

/// Lets time pass.
pub type Wait<'a> = &'a (dyn Fn(Duration) + Sync);

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(500);

fn member(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

async fn renew(store: &dyn LeaseStore, number: u128) -> BTreeMap<u16, i64> {
    renew_for(store, number, LONG).await
}

async fn renew_for(store: &dyn LeaseStore, number: u128, length: Duration) -> BTreeMap<u16, i64> {
    let leases = store.renew("g", member(number), 10, length).await.unwrap();
    leases.into_iter().map(|lease| (lease.share, lease.epoch)).collect()
}

fn shares(leases: &BTreeMap<u16, i64>) -> Vec<u16> {
    leases.keys().copied().collect()
}

/// Members have equal parts, and no share has two holders.
pub async fn leases_are_shared_out_fairly(store: &dyn LeaseStore, _: Wait<'_>) {
    let all = renew(store, 1).await;
    assert_eq!(shares(&all), (0..10).collect::<Vec<_>>());
    assert_eq!(renew(store, 1).await, all);
    assert!(renew(store, 2).await.is_empty());
    assert_eq!(renew(store, 1).await.len(), 5);
    let second = renew(store, 2).await;
    assert_eq!(second.len(), 5);
    assert!(second.iter().all(|(share, epoch)| *epoch > all[share]));
    renew(store, 3).await;
    let mut holders = BTreeMap::new();
    for number in [1, 2, 3, 1, 2, 3] {
        for share in renew(store, number).await.into_keys() {
            holders.insert(share, number);
        }
    }
    assert_eq!(holders.len(), 10);
    for number in 1..=3 {
        let held = holders.values().filter(|holder| **holder == number).count();
        assert!((2..=4).contains(&held), "{number} has {held}");
    }
}

/// Who does not renew loses what he has, and does not get it back by coming again.
pub async fn leases_are_taken_over_from_the_dead(store: &dyn LeaseStore, wait: Wait<'_>) {
    let first = renew_for(store, 1, SHORT).await;
    wait(SHORT * 2);
    let second = renew(store, 2).await;
    assert_eq!(shares(&second), shares(&first));
    assert!(second.iter().all(|(share, epoch)| *epoch > first[share]));
    assert!(renew(store, 1).await.is_empty());
    assert_eq!(renew(store, 2).await.len(), 5);
    let back = renew(store, 1).await;
    assert!(back.iter().all(|(share, epoch)| *epoch > second[share]));
}

/// Who is late, but was not missed, goes on.
pub async fn leases_that_nobody_took_are_kept(store: &dyn LeaseStore, wait: Wait<'_>) {
    let first = renew_for(store, 1, SHORT).await;
    wait(SHORT * 2);
    assert_eq!(renew(store, 1).await, first);
}

/// Who leaves makes room at once.
pub async fn leases_are_given_back(store: &dyn LeaseStore, _: Wait<'_>) {
    let first = renew(store, 1).await;
    store.leave("g", member(1)).await.unwrap();
    store.leave("g", member(1)).await.unwrap();
    let second = renew(store, 2).await;
    assert_eq!(second.len(), 10);
    assert!(second.iter().all(|(share, epoch)| *epoch > first[share]));
    store.leave("g", member(2)).await.unwrap();
    let again = renew(store, 2).await;
    assert!(again.iter().all(|(share, epoch)| *epoch > second[share]));
}

/// Groups know nothing of each other.
pub async fn leases_of_groups_are_apart(store: &dyn LeaseStore, _: Wait<'_>) {
    assert_eq!(renew(store, 1).await.len(), 10);
    assert_eq!(store.renew("other", member(2), 3, LONG).await.unwrap().len(), 3);
    store.leave("other", member(1)).await.unwrap();
    assert_eq!(renew(store, 1).await.len(), 10);
    assert_eq!(store.renew("none", member(1), 0, LONG).await.unwrap(), []);
}

/// Decisions count from who holds the alarm's share, and are no news then.
pub async fn fences_keep_former_holders_out(
    alarms: &dyn AlarmStore,
    leases: &dyn LeaseStore,
    wait: Wait<'_>,
) {
    let made = make(alarms, alarm(1)).await;
    let hold = async |number| {
        let held = leases.renew(EVALUATORS, member(number), ALARM_SHARES, SHORT).await.unwrap();
        let lease = held.into_iter().find(|lease| lease.share == share_of(&made.id));
        lease.map(|lease| Fence { group: EVALUATORS.to_owned(), lease })
    };
    let decide = async |fence: &Fence, state, version| {
        let transition = Transition {
            alarm_id: made.id.clone(),
            version,
            fence: Some(fence.clone()),
            state: Some((state, "so".to_owned())),
            at: NOW,
            change: None,
            deliveries: Vec::new(),
        };
        alarms.apply(vec![transition]).await.unwrap()[0]
    };
    let unknown = Fence { group: "none".to_owned(), lease: Lease { share: 0, epoch: 0 } };
    assert_eq!(decide(&unknown, AlarmState::Ok, made.version).await, Applied::Fenced);
    let first = hold(1).await.unwrap();
    let revisions = alarms.news(&[(share_of(&made.id), 0)]).await.unwrap().revisions;
    let Applied::Done(version) = decide(&first, AlarmState::Ok, made.version).await else { panic!() };
    assert_eq!(alarms.news(&revisions).await.unwrap().changed, []);
    wait(SHORT * 2);
    let Applied::Done(version) = decide(&first, AlarmState::Alarm, version).await else { panic!() };
    let second = hold(2).await.unwrap();
    assert_eq!(decide(&first, AlarmState::Ok, version).await, Applied::Fenced);
    assert_eq!(alarms.alarm(&made.id).await.unwrap().state, AlarmState::Alarm);
    assert_eq!(decide(&second, AlarmState::Ok, version).await, Applied::Done(version + 1));
}
