//! A notifier's life among others: what a dead one holds, others take up. Who was away for so long that he counts as dead
//! starts nothing until he has said that he lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nephometer_drivers::{LeaseStore, NOTIFIERS};
use nephometer_model::Clock;
use uuid::Uuid;

/// Whether others take a notifier for living; clones share it.
#[derive(Clone)]
pub(super) struct Life {
    clock: Arc<dyn Clock>,
    /// Until when he lives for certain, by the monotonic clock.
    until_ns: Arc<AtomicU64>,
}

impl Life {
    /// Whether nobody can take him for dead at the moment.
    pub(super) fn lasts(&self) -> bool {
        self.clock.monotonic_ns() < self.until_ns.load(Ordering::Relaxed)
    }
}

/// Says again and again that a notifier lives.
pub(super) struct Pulse {
    leases: Arc<dyn LeaseStore>,
    member: Uuid,
    length: Duration,
    next_ns: u64,
    life: Life,
}

impl Pulse {
    /// Nobody knows the member yet; it will live for `length` from each sign on.
    pub(super) fn new(
        leases: Arc<dyn LeaseStore>,
        clock: Arc<dyn Clock>,
        member: Uuid,
        length: Duration,
    ) -> Self {
        Self { leases, member, length, next_ns: 0, life: Life { clock, until_ns: Arc::default() } }
    }

    /// What attempts ask before they begin.
    pub(super) const fn life(&self) -> &Life {
        &self.life
    }

    /// Gives a sign of life where it is time for one; whether the member had counted as dead before it.
    pub(super) async fn beat(&mut self) -> bool {
        // Its life is counted from before the question, so that it ends here before it ends for others.
        let now_ns = self.life.clock.monotonic_ns();
        if now_ns < self.next_ns {
            return false;
        }
        let after = |span: Duration| now_ns.saturating_add(super::nanos(span));
        self.next_ns = after(self.length / 3);
        match self.leases.renew(NOTIFIERS, self.member, 0, self.length).await {
            Ok(_) => self.life.until_ns.swap(after(self.length), Ordering::Relaxed) <= now_ns,
            Err(error) => {
                tracing::warn!(%error, "others are not told that this notifier lives");
                false
            }
        }
    }

    /// Says that the member stops.
    pub(super) async fn end(&self) {
        if let Err(error) = self.leases.leave(NOTIFIERS, self.member).await {
            tracing::warn!(%error, "others learn later that this notifier has stopped");
        }
    }
}
