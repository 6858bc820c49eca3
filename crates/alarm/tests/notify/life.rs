//! Notifiers that die or are held up: what they had, others tell, under the same ids.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nephometer_alarm::notify::DispatcherSettings;
use nephometer_drivers::{AlarmStore, IndexError, Lease, LeaseStore};
use nephometer_index_sql::SqlIndex;
use uuid::Uuid;

use crate::receiver::{Receiver, Reply, Seen};
use crate::world::{World, local, quick, until};

/// Short enough to wait for.
fn short_lived() -> DispatcherSettings {
    DispatcherSettings { life: Duration::from_millis(600), concurrency_per_target: 1, ..quick() }
}

/// How often each message was sent.
fn times(seen: &[Seen]) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for one in seen {
        *times.entry(one.header("idempotency-key").unwrap().to_owned()).or_default() += 1;
    }
    times
}

/// Answers to all but the first request.
async fn silent_once() -> Receiver {
    Receiver::start(|number, _| if number == 0 { Reply::Silence } else { Reply::status(200) }).await
}

async fn tell_ten(world: &World, receiver: &Receiver) {
    let message = |number: u32| world.message(&format!("a-{number}"), &receiver.url("/"));
    world.tell((0..10).map(message).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_notifier_held_is_told_by_another() {
    let receiver = silent_once().await;
    let mut world = World::start(local(), short_lived());
    tell_ten(&world, &receiver).await;
    until(async || receiver.seen().len() == 1).await;
    world.kill();
    let begun = tokio::time::Instant::now();
    let other = world.other(Arc::clone(&world.index) as _, short_lived());
    let other = tokio::spawn(other.run(std::future::pending()));
    assert!(world.settle().await.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let mut often: Vec<_> = times(&receiver.seen()).into_values().collect();
    often.sort_unstable();
    assert_eq!(often, [1, 1, 1, 1, 1, 1, 1, 1, 1, 2], "what was on its way is repeated, and only that");
    other.abort();
}

/// Leases that do not hear a notifier for a while, as if it were stopped or cut off.
struct HardOfHearing {
    index: Arc<SqlIndex>,
    is_deaf: AtomicBool,
}

#[async_trait]
impl LeaseStore for HardOfHearing {
    async fn renew(
        &self,
        group: &str,
        member: Uuid,
        shares: u16,
        length: Duration,
    ) -> Result<Vec<Lease>, IndexError> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(IndexError::Unavailable("the test says so".to_owned()));
        }
        self.index.renew(group, member, shares, length).await
    }

    async fn leave(&self, group: &str, member: Uuid) -> Result<(), IndexError> {
        self.index.leave(group, member).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_held_up_doubles_nothing_that_it_had_not_begun() {
    let receiver = silent_once().await;
    let mut world = World::start(local(), quick());
    world.stop().await;
    let leases = Arc::new(HardOfHearing { index: Arc::clone(&world.index), is_deaf: AtomicBool::new(false) });
    let first = world.other(Arc::clone(&leases) as _, short_lived());
    let handle = first.handle();
    let first = tokio::spawn(first.run(std::future::pending()));
    tell_ten(&world, &receiver).await;
    until(async || receiver.seen().len() == 1).await;
    leases.is_deaf.store(true, Ordering::SeqCst);
    let second = world.other(Arc::clone(&world.index) as _, short_lived());
    let second = tokio::spawn(second.run(std::future::pending()));
    assert!(world.settle().await.is_empty());
    // The first attempt runs into its time-out; nine messages wait behind it that others have sent.
    until(async || handle.status().retried == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    leases.is_deaf.store(false, Ordering::SeqCst);
    until(async || handle.status().returned == 9).await;
    // It goes on.
    second.abort();
    tell_ten(&world, &receiver).await;
    assert!(world.settle().await.is_empty());
    let times = times(&receiver.seen());
    assert_eq!((times.len(), times.values().filter(|times| **times == 2).count()), (20, 1));
    assert_eq!(world.index.outbox().await.unwrap().dead, 0);
    first.abort();
}
