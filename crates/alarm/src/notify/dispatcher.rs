//! The dispatcher's loop: takes what is due, starts attempts, writes down how they ended.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use nephometer_drivers::{AlarmStore, DeliveryEnd, DeliveryFailure, LeaseStore};
use nephometer_model::Clock;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

use super::address::target_of;
use super::lanes::{Lanes, Taken};
use super::life::{Life, Pulse};
use super::pace::Pace;
use super::{Address, Notifiers, Parcel, nanos};
use crate::definition::ActionScheme;

/// Messages that are taken at once.
const TAKEN_AT_ONCE: usize = 256;
/// Messages that are held at a time: taken, and not yet written down as ended.
const HELD: usize = 1024;
/// What is left of a lease when an attempt begins, beyond the longest attempt.
const MARGIN: Duration = Duration::from_secs(15);

/// What a dispatcher stands on.
pub struct DispatcherParts {
    /// Holds the outbox.
    pub store: Arc<dyn AlarmStore>,
    /// Knows which notifiers live.
    pub leases: Arc<dyn LeaseStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Those who tell.
    pub notifiers: Notifiers,
    /// Wakes the dispatcher when there is something to deliver.
    pub deliveries: Arc<Notify>,
    /// This dispatcher's name among others; never used before.
    pub member: Uuid,
}

/// How a dispatcher works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatcherSettings {
    /// Attempts at a time.
    pub concurrency: usize,
    /// Attempts at a time at one host or service.
    pub concurrency_per_target: usize,
    /// How often the outbox is looked at without having been woken.
    pub poll: Duration,
    /// Longest time that an attempt takes.
    pub attempt: Duration,
    /// Longest pause after the first attempt; each further one is twice as long.
    pub first_pause: Duration,
    /// Longest pause between attempts.
    pub longest_pause: Duration,
    /// Attempts before a message is given up.
    pub max_attempts: u32,
    /// Age at which a message is given up.
    pub give_up_after: Duration,
    /// How long attempts may go on after the dispatcher was told to stop.
    pub grace: Duration,
    /// How long it counts as living without a sign of life; then others take up what it holds.
    pub life: Duration,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self {
            concurrency: 64,
            concurrency_per_target: 4,
            poll: Duration::from_millis(500),
            attempt: Duration::from_secs(60),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(900),
            max_attempts: 100,
            give_up_after: Duration::from_secs(24 * 3600),
            grace: Duration::from_secs(5),
            life: Duration::from_secs(6),
        }
    }
}

/// What a dispatcher has done since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DispatcherStatus {
    /// Messages that reached their targets.
    pub delivered: u64,
    /// How often a message did not, and is sent again.
    pub retried: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Messages that were put back untried, because their target had no time for them.
    pub returned: u64,
}

#[derive(Default)]
struct Counters {
    delivered: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
    returned: AtomicU64,
}

/// What the rest of the process has to do with a dispatcher.
#[derive(Clone)]
pub struct DispatcherHandle {
    counters: Arc<Counters>,
}

impl DispatcherHandle {
    /// What it has done.
    pub fn status(&self) -> DispatcherStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DispatcherStatus {
            delivered: read(&self.counters.delivered),
            retried: read(&self.counters.retried),
            dead: read(&self.counters.dead),
            returned: read(&self.counters.returned),
        }
    }
}

/// An attempt that is over.
struct Done {
    lane: String,
    scheme: ActionScheme,
    parcel: Parcel,
    /// Nothing where it did not begin.
    outcome: Option<Result<(), DeliveryFailure>>,
    took: Duration,
}

/// Carries messages to their targets. Any number may work on one outbox.
pub struct Dispatcher {
    parts: DispatcherParts,
    settings: DispatcherSettings,
    pulse: Pulse,
    pace: Pace,
    lease: Duration,
    lanes: Lanes,
    /// Parcels whose attempt is under way, by their first message.
    running: HashMap<Uuid, Parcel>,
    /// How messages ended that the outbox does not know of yet.
    ends: Vec<(Uuid, DeliveryEnd)>,
    counters: Arc<Counters>,
}

impl Dispatcher {
    /// A dispatcher that holds nothing yet.
    pub fn new(parts: DispatcherParts, settings: DispatcherSettings) -> Self {
        let pace = Pace {
            first_pause: settings.first_pause,
            longest_pause: settings.longest_pause,
            max_attempts: settings.max_attempts,
            give_up_after: settings.give_up_after,
        };
        let lanes = Lanes::new(settings.concurrency_per_target.max(1));
        let lease = settings.attempt.saturating_mul(2) + MARGIN * 2;
        let (leases, clock) = (Arc::clone(&parts.leases), Arc::clone(&parts.clock));
        let pulse = Pulse::new(leases, clock, parts.member, settings.life);
        Self {
            parts,
            pulse,
            pace,
            lease,
            lanes,
            running: HashMap::new(),
            ends: Vec::new(),
            counters: Arc::default(),
            settings,
        }
    }

    /// What the rest of the process has to do with it.
    pub fn handle(&self) -> DispatcherHandle {
        DispatcherHandle { counters: Arc::clone(&self.counters) }
    }

    /// Delivers until `stop`; then attempts have a time of grace, and what is not delivered goes back.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let deliveries = Arc::clone(&self.parts.deliveries);
        let mut tasks: JoinSet<Done> = JoinSet::new();
        tokio::pin!(stop);
        let mut look = true;
        loop {
            self.live().await;
            let behind = self.write_ends().await;
            let full = (look || behind) && self.take().await;
            self.start(&mut tasks);
            look = false;
            tokio::select! {
                () = &mut stop => break,
                Some(done) = tasks.join_next() => self.absorb_all(done, &mut tasks),
                () = deliveries.notified() => look = true,
                () = tokio::time::sleep(self.settings.poll), if !full => look = true,
                () = tokio::task::yield_now(), if full => look = true,
            }
        }
        self.stop(tasks).await;
    }

    /// Gives a sign of life. What waits here while others may have taken it goes back, as far as they have not.
    async fn live(&mut self) {
        if self.pulse.beat().await {
            let waiting = self.lanes.clear();
            if !waiting.is_empty() {
                tracing::warn!(parcels = waiting.len(), "this notifier was away for too long to go on");
            }
            waiting.iter().for_each(|parcel| self.put_back(parcel, Duration::ZERO));
        }
    }

    /// Takes what is due; whether there may be more of it.
    async fn take(&mut self) -> bool {
        let running: usize = self.running.values().map(Parcel::size).sum();
        let held = running + self.lanes.waiting() + self.ends.len();
        let limit = HELD.saturating_sub(held).min(TAKEN_AT_ONCE);
        if limit == 0 || !self.pulse.life().lasts() {
            return false;
        }
        let until_ns = self.parts.clock.monotonic_ns().saturating_add(nanos(self.lease));
        let rows = u32::try_from(limit).unwrap_or(u32::MAX);
        match self.parts.store.take_deliveries(self.parts.member, self.lease, rows).await {
            Ok(taken) => {
                let full = taken.len() == limit;
                Parcel::pack(taken).into_iter().for_each(|parcel| self.admit(parcel, until_ns));
                full
            }
            Err(error) => {
                tracing::warn!(%error, "the outbox of notifications cannot be read");
                false
            }
        }
    }

    fn admit(&mut self, parcel: Parcel, until_ns: u64) {
        match Address::parse(&parcel.first().message.action) {
            Ok(address) => {
                if let Some((parcel, rest)) = self.lanes.push(Taken { parcel, address, until_ns }) {
                    self.put_back(&parcel, rest);
                }
            }
            Err(failure) => self.end(&parcel, Err(failure), None),
        }
    }

    fn start(&mut self, tasks: &mut JoinSet<Done>) {
        if !self.pulse.life().lasts() {
            return;
        }
        let room = self.settings.concurrency.max(1).saturating_sub(tasks.len());
        let needed_ns = nanos(self.settings.attempt + MARGIN);
        for (lane, taken) in self.lanes.start(room) {
            let Taken { parcel, address, until_ns } = taken;
            let clock = Arc::clone(&self.parts.clock);
            let begun_ns = clock.monotonic_ns();
            if begun_ns.saturating_add(needed_ns) > until_ns {
                // It has waited here for so long that somebody else may soon take it.
                self.put_back(&parcel, Duration::ZERO);
                self.make_room(&lane, None);
                continue;
            }
            self.running.insert(parcel.first().message.id, parcel.clone());
            let (notifiers, longest) = (self.parts.notifiers.clone(), self.settings.attempt);
            let life = self.pulse.life().clone();
            tasks.spawn(async move {
                let outcome = attempt(&notifiers, &address, &parcel, longest, &life).await;
                let took = Duration::from_nanos(clock.monotonic_ns().saturating_sub(begun_ns));
                Done { lane, scheme: address.scheme, parcel, outcome, took }
            });
        }
    }

    fn absorb_all(&mut self, first: Result<Done, JoinError>, tasks: &mut JoinSet<Done>) {
        self.absorb(first);
        while let Some(done) = tasks.try_join_next() {
            self.absorb(done);
        }
    }

    fn absorb(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done { lane, scheme, parcel, outcome, took }) => {
                self.running.remove(&parcel.first().message.id);
                let Some(outcome) = outcome else {
                    self.put_back(&parcel, Duration::ZERO);
                    return self.make_room(&lane, None);
                };
                let failed = matches!(outcome, Err(DeliveryFailure::Later { .. }));
                let longest_pause = self.parts.notifiers.longest_pause(scheme);
                self.end(&parcel, outcome, longest_pause);
                self.make_room(&lane, Some((failed, took)));
            }
            Err(error) => tracing::error!(%error, "an attempt to notify broke off"),
        }
    }

    fn make_room(&mut self, lane: &str, attempt: Option<(bool, Duration)>) {
        for (parcel, rest) in self.lanes.finish(lane, attempt) {
            self.put_back(&parcel, rest);
        }
    }

    /// Decides what becomes of messages that were tried.
    fn end(
        &mut self,
        parcel: &Parcel,
        outcome: Result<(), DeliveryFailure>,
        longest_pause: Option<Duration>,
    ) {
        let ends = self.pace.end(parcel, outcome, longest_pause, &*self.parts.clock);
        let target = target_of(&parcel.first().message.action);
        for (delivery, end) in parcel.deliveries().iter().zip(ends) {
            let alarm = &delivery.message.alarm_id;
            match &end {
                DeliveryEnd::Delivered => tracing::debug!(%alarm, target, "notified"),
                DeliveryEnd::Retry { at, error } => {
                    tracing::info!(%alarm, target, error, again_at = %at, "not notified yet");
                }
                DeliveryEnd::Dead { error } => {
                    tracing::warn!(%alarm, target, error, "a notification was given up");
                }
                DeliveryEnd::Returned { .. } => {}
            }
            self.note(delivery.message.id, end);
        }
    }

    fn put_back(&mut self, parcel: &Parcel, rest: Duration) {
        // From one to two times as long, so that they do not come back together.
        let pause = rest + super::pace::share(rest, parcel.first().message.id, parcel.first().attempts);
        for delivery in parcel.deliveries() {
            let end = self.pace.untried(delivery, pause, &*self.parts.clock);
            self.note(delivery.message.id, end);
        }
    }

    /// Counts how a message ended, and has it written down.
    fn note(&mut self, message: Uuid, end: DeliveryEnd) {
        let counter = match &end {
            DeliveryEnd::Delivered => &self.counters.delivered,
            DeliveryEnd::Retry { .. } => &self.counters.retried,
            DeliveryEnd::Dead { .. } => &self.counters.dead,
            DeliveryEnd::Returned { .. } => &self.counters.returned,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.ends.push((message, end));
    }

    /// Writes down how messages ended; whether others may be due that waited behind them.
    async fn write_ends(&mut self) -> bool {
        if self.ends.is_empty() {
            return false;
        }
        let behind =
            self.ends.iter().any(|(_, end)| matches!(end, DeliveryEnd::Delivered | DeliveryEnd::Dead { .. }));
        match self.parts.store.end_deliveries(self.parts.member, self.ends.clone()).await {
            Ok(()) => {
                self.ends.clear();
                behind
            }
            // They count as held, so that nothing is taken for long while nothing can be written.
            Err(error) => {
                tracing::warn!(%error, "the outbox of notifications cannot be written");
                tokio::time::sleep(self.settings.poll).await;
                false
            }
        }
    }

    async fn stop(mut self, mut tasks: JoinSet<Done>) {
        for parcel in self.lanes.clear() {
            self.put_back(&parcel, Duration::ZERO);
        }
        let grace = self.settings.grace;
        let finish = async {
            while let Some(done) = tasks.join_next().await {
                self.absorb(done);
            }
        };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::info!(attempts = tasks.len(), "attempts to notify are broken off, to be repeated");
            tasks.shutdown().await;
        }
        for parcel in std::mem::take(&mut self.running).into_values() {
            self.put_back(&parcel, Duration::ZERO);
        }
        self.write_ends().await;
        self.pulse.end().await;
    }
}

/// One attempt, which ends in time whatever the notifier does. Nothing where the process was held up before it could begin
/// until others may have made it.
async fn attempt(
    notifiers: &Notifiers,
    address: &Address,
    parcel: &Parcel,
    longest: Duration,
    life: &Life,
) -> Option<Result<(), DeliveryFailure>> {
    if !life.lasts() {
        return None;
    }
    let attempt = AssertUnwindSafe(notifiers.deliver(address, parcel)).catch_unwind();
    Some(match tokio::time::timeout(longest, Box::pin(attempt)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(DeliveryFailure::later("the notifier itself failed")),
        Err(_) => Err(DeliveryFailure::later(format!("no answer within {} s", longest.as_secs_f64()))),
    })
}
