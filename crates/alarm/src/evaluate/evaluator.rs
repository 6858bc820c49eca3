//! The evaluator's loop: holds shares, learns what is new, hands out what is due, takes note of what came of it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nephometer_drivers::{ALARM_SHARES, EVALUATORS, Fence, Lease, LeaseStore, WriteWatch};
use nephometer_model::{AlarmCounts, AlarmId, AlarmState, Clock};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::ask::Sources;
use super::batch::{Done, End, Job, Worker};
use super::book::{Book, Due};
use super::status::{Counters, EvaluatorStatus};
use super::{Recorder, Silences};

/// What an evaluator stands on.
pub struct EvaluatorParts {
    /// Those who know what alarms watch.
    pub sources: Sources,
    /// Divides alarms among evaluators.
    pub leases: Arc<dyn LeaseStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes records of verdicts.
    pub recorder: Recorder,
    /// Woken when there is something to deliver.
    pub deliveries: Arc<Notify>,
    /// This evaluator's name among others; never used before.
    pub member: Uuid,
}

/// How an evaluator works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatorSettings {
    /// Alarms are evaluated once in so many seconds, whatever is written; what repeats repeats by it.
    pub interval_seconds: u32,
    /// Windows reach back that much further; seconds.
    pub ingestion_lag_seconds: i64,
    /// Members of load balancers are left out so long after they were made; seconds.
    pub member_grace_seconds: i64,
    /// Whether evaluations are counted by alarm and state.
    pub counters: bool,
    /// How long shares are held without a sign of life; seconds.
    pub lease_seconds: u32,
    /// Alarms that are evaluated together.
    pub batch: usize,
    /// Batches at a time.
    pub batches: usize,
}

impl Default for EvaluatorSettings {
    fn default() -> Self {
        Self {
            interval_seconds: 60,
            ingestion_lag_seconds: 0,
            member_grace_seconds: 120,
            counters: false,
            lease_seconds: 6,
            batch: 1024,
            batches: 4,
        }
    }
}

/// How often others' changes are looked for; nanoseconds.
const NEWS_NS: u64 = 1_000_000_000;
/// How often counters are written; nanoseconds.
const COUNTS_NS: u64 = 5_000_000_000;
/// Shares that are loaded together.
const SHARES_AT_ONCE: usize = 8;

/// What the rest of the process has to do with an evaluator.
#[derive(Clone)]
pub struct EvaluatorHandle {
    watch: Arc<WriteWatch>,
    news: Arc<Notify>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

impl EvaluatorHandle {
    /// By which it hears of acknowledged measures.
    pub fn watch(&self) -> Arc<WriteWatch> {
        Arc::clone(&self.watch)
    }

    /// Woken, the evaluator looks at once for changed alarms.
    pub fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// What it has done.
    pub fn status(&self) -> EvaluatorStatus {
        let series = u64::try_from(self.watch.len()).unwrap_or(u64::MAX);
        self.counters.status(series, self.clock.monotonic_ns())
    }
}

/// A share that is held.
#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: i64,
    revision: i64,
    /// Whether its alarms are in memory.
    loaded: bool,
}

/// Evaluates the alarms of the shares that it holds.
pub struct Evaluator {
    worker: Arc<Worker>,
    leases: Arc<dyn LeaseStore>,
    clock: Arc<dyn Clock>,
    member: Uuid,
    watch: Arc<WriteWatch>,
    news: Arc<Notify>,
    counters: Arc<Counters>,
    book: Book,
    held: HashMap<u16, Held>,
    silences: Arc<Silences>,
    counts: HashMap<AlarmId, AlarmCounts>,
    renew_ns: u64,
    news_ns: u64,
    counts_ns: u64,
}

impl Evaluator {
    /// An evaluator that holds nothing yet.
    pub fn new(parts: EvaluatorParts, settings: EvaluatorSettings) -> Self {
        let EvaluatorParts { sources, leases, clock, recorder, deliveries, member } = parts;
        let watch = Arc::new(WriteWatch::new(Arc::clone(&clock)));
        let interval_ns = u64::from(settings.interval_seconds) * 1_000_000_000;
        let worker = Worker { sources, recorder, settings, clock: Arc::clone(&clock), deliveries };
        Self {
            worker: Arc::new(worker),
            leases,

            member,
            news: Arc::default(),
            counters: Arc::new(Counters::new(clock.monotonic_ns())),
            book: Book::new(Arc::clone(&watch), interval_ns),
            watch,
            held: HashMap::new(),
            silences: Arc::default(),
            counts: HashMap::new(),
            renew_ns: 0,
            news_ns: 0,
            counts_ns: 0,
            clock,
        }
    }

    /// What the rest of the process has to do with it.
    pub fn handle(&self) -> EvaluatorHandle {
        EvaluatorHandle {
            watch: Arc::clone(&self.watch),
            news: Arc::clone(&self.news),
            counters: Arc::clone(&self.counters),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Evaluates until `stop`; then what has begun is finished and the shares are given back.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut tasks: JoinSet<Vec<Done>> = JoinSet::new();
        tokio::pin!(stop);
        loop {
            self.maintain().await;
            while tasks.len() < self.worker.settings.batches {
                let Some(jobs) = self.batch() else { break };
                let (worker, silences) = (Arc::clone(&self.worker), Arc::clone(&self.silences));
                tasks.spawn(async move { worker.run(jobs, &silences).await });
            }
            let full = tasks.len() >= self.worker.settings.batches;
            let wait = self.wait(full);
            tokio::select! {
                () = &mut stop => break,
                Some(done) = tasks.join_next() => self.absorb_task(done).await,
                () = self.watch.heard(), if !full => {}
                () = self.news.notified() => self.news_ns = 0,
                () = tokio::time::sleep(wait) => {}
            }
        }
        while let Some(done) = tasks.join_next().await {
            self.absorb_task(done).await;
        }
        self.write_counts().await;
        if let Err(error) = self.leases.leave(EVALUATORS, self.member).await {
            tracing::warn!(%error, "shares of alarms end by themselves");
        }
    }

    async fn absorb_task(&mut self, done: Result<Vec<Done>, tokio::task::JoinError>) {
        match done {
            Ok(done) => self.absorb(done),
            Err(error) => {
                // The alarms of the batch are still taken for being evaluated: learn everything anew.
                tracing::error!(%error, "a batch of evaluations broke off");
                let shares: Vec<u16> = self.held.keys().copied().collect();
                shares.into_iter().for_each(|share| self.drop_share(share));
                self.renew().await;
            }
        }
    }

    /// How long nothing is to be done.
    fn wait(&self, full: bool) -> Duration {
        let due_ns = if full { None } else { self.book.next_ns() };
        let times = [Some(self.renew_ns), Some(self.news_ns), Some(self.counts_ns), due_ns];
        let next_ns = times.into_iter().flatten().min().unwrap_or(0);
        Duration::from_nanos(next_ns.saturating_sub(self.clock.monotonic_ns()))
    }

    /// Everything that is due, until nothing is.
    #[cfg(test)]
    pub(super) async fn settle(&mut self) {
        loop {
            self.maintain().await;
            let Some(jobs) = self.batch() else { return };
            let done = self.run_batch(jobs).await;
            self.absorb(done);
        }
    }

    /// Evaluates a batch in this task.
    #[cfg(test)]
    pub(super) async fn run_batch(&self, jobs: Vec<Job>) -> Vec<Done> {
        self.worker.run(jobs, &self.silences).await
    }

    /// What is to be evaluated now.
    pub(super) fn batch(&mut self) -> Option<Vec<Job>> {
        self.book.written(&self.watch.drain());
        let due = self.book.due(self.clock.monotonic_ns(), self.worker.settings.batch);
        let jobs: Vec<Job> = due.into_iter().filter_map(|due| self.job(due)).collect();
        (!jobs.is_empty()).then_some(jobs)
    }

    fn job(&self, due: Due) -> Option<Job> {
        let Due { slot, generation, alarm, windows, by_time, since_ns, away_ns, wants_series, asks_only } =
            due;
        let share = nephometer_drivers::share_of(&alarm.id);
        let epoch = self.held.get(&share)?.epoch;
        let fence = Fence { group: EVALUATORS.to_owned(), lease: Lease { share, epoch } };
        let repeat = by_time && alarm.repeat_actions;
        Some(Job {
            slot,
            generation,
            alarm,
            windows,
            fence,
            repeat,
            since_ns,
            away_ns,
            wants_series,
            asks_only,
        })
    }

    /// Takes note of what came of a batch.
    pub(super) fn absorb(&mut self, done: Vec<Done>) {
        let now_ns = self.clock.monotonic_ns();
        let add = |counter: &std::sync::atomic::AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        for one in done {
            if !one.asked_only {
                add(&self.counters.evaluations);
            }
            if let Some(since_ns) = one.since_ns
                && !matches!(one.end, End::Away)
            {
                add(&self.counters.started_by_measures);
                self.counters.decided(since_ns, now_ns);
            }
            match &one.end {
                End::Now { decide_anew: false, .. } => add(&self.counters.transitions),
                End::Now { .. } | End::Fenced | End::Gone => add(&self.counters.outdated),
                End::Failed { .. } | End::Away => add(&self.counters.failures),
                End::Same => 0,
            };
            if let (true, Some(state)) = (self.worker.settings.counters, one.counted) {
                self.count(&one, state);
            }
            if let Some(share) = self.book.done(one, now_ns) {
                self.drop_share(share);
                self.renew_ns = 0;
            }
        }
        self.counters.alarms.store(self.book.len() as u64, Ordering::Relaxed);
    }

    fn count(&mut self, done: &Done, state: AlarmState) {
        let Some(alarm) = self.book.alarm(done.slot, done.generation) else { return };
        let counts = self.counts.entry(alarm.id.clone()).or_insert_with(|| AlarmCounts {
            alarm_id: alarm.id.clone(),
            project_id: alarm.project_id.clone().unwrap_or_default(),
            insufficient_data: 0,
            ok: 0,
            alarm: 0,
        });
        match state {
            AlarmState::InsufficientData => counts.insufficient_data += 1,
            AlarmState::Ok => counts.ok += 1,
            AlarmState::Alarm => counts.alarm += 1,
        }
    }

    /// Renews shares, learns news, writes counters: each when its time has come.
    pub(super) async fn maintain(&mut self) {
        let now_ns = self.clock.monotonic_ns();
        if now_ns >= self.renew_ns {
            self.renew().await;
        }
        if now_ns >= self.news_ns {
            self.learn().await;
        }
        if now_ns >= self.counts_ns {
            self.counts_ns = now_ns + COUNTS_NS;
            self.write_counts().await;
        }
        self.counters.shares.store(self.held.len() as u64, Ordering::Relaxed);
        self.counters.alarms.store(self.book.len() as u64, Ordering::Relaxed);
    }

    async fn renew(&mut self) {
        let length = Duration::from_secs(u64::from(self.worker.settings.lease_seconds));
        let third_ns = u64::try_from(length.as_nanos() / 3).unwrap_or(u64::MAX);
        self.renew_ns = self.clock.monotonic_ns().saturating_add(third_ns);
        let leases = match self.leases.renew(EVALUATORS, self.member, ALARM_SHARES, length).await {
            Ok(leases) => leases,
            Err(error) => {
                // What is still held is not known; what is not held any more, the store refuses.
                tracing::warn!(%error, "shares of alarms could not be renewed");
                return;
            }
        };
        let lost: Vec<u16> = self
            .held
            .iter()
            .filter(|(share, held)| {
                !leases.iter().any(|lease| lease.share == **share && lease.epoch == held.epoch)
            })
            .map(|(share, _)| *share)
            .collect();
        lost.into_iter().for_each(|share| self.drop_share(share));
        for Lease { share, epoch } in leases {
            self.held.entry(share).or_insert_with(|| {
                self.news_ns = 0;
                Held { epoch, revision: 0, loaded: false }
            });
        }
    }

    fn drop_share(&mut self, share: u16) {
        if self.held.remove(&share).is_some() {
            self.book.remove_share(share);
        }
    }

    /// Learns which alarms are new, changed or gone, and what silences there are.
    async fn learn(&mut self) {
        self.news_ns = self.clock.monotonic_ns().saturating_add(NEWS_NS);
        let since = |loaded: bool| -> Vec<(u16, i64)> {
            let held = self.held.iter().filter(|(_, held)| held.loaded == loaded);
            held.map(|(share, held)| (*share, held.revision)).collect()
        };
        let (fresh, known) = (since(false), since(true));
        let chunks = fresh.chunks(SHARES_AT_ONCE).chain(known.chunks(usize::from(ALARM_SHARES)));
        for chunk in chunks {
            match self.worker.sources.store.news(chunk).await {
                Ok(news) => {
                    news.deleted.iter().for_each(|id| self.book.remove(id));
                    news.changed.into_iter().for_each(|alarm| self.book.put(Arc::new(alarm)));
                    // A share in which there never was an alarm has no revision.
                    let revisions: HashMap<u16, i64> = news.revisions.into_iter().collect();
                    for (share, seen) in chunk {
                        if let Some(held) = self.held.get_mut(share) {
                            held.revision = revisions.get(share).copied().unwrap_or(*seen);
                            held.loaded = true;
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "changes of alarms are not known yet"),
            }
            if self.clock.monotonic_ns() >= self.renew_ns {
                // There is much to learn: shares that are held must not end meanwhile.
                self.news_ns = 0;
                return;
            }
        }
        match self.worker.sources.store.silences(None, self.clock.now()).await {
            Ok(rows) => self.silences = Arc::new(Silences::new(rows)),
            Err(error) => tracing::warn!(%error, "silences are not known"),
        }
    }

    async fn write_counts(&mut self) {
        if self.counts.is_empty() {
            return;
        }
        let counts: Vec<AlarmCounts> = self.counts.values().cloned().collect();
        match self.worker.sources.store.count(counts).await {
            Ok(()) => self.counts.clear(),
            Err(error) => tracing::warn!(%error, "counters of evaluations are written later"),
        }
    }
}
