//! The agent: runs the cycles of a plan when they are due, and takes a new plan while it runs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nephometer_model::{Clock, IdSource, Sample};
use nephometer_pipeline::SampleSink;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::blacklist::Blacklist;
use crate::plan::TaskPlan;
use crate::round::Round;
use crate::tally::Tallies;
use crate::{
    AgentStatus, BlacklistSettings, DiscoveryGroup, Division, Exporter, Heartbeat, IdentityNames, Plan,
    PollOutcome, PollsterKey, Schedule,
};

/// A cycle that runs while the agent stops may end within this; what it has read and nobody has taken is read again by
/// whoever polls next.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// What an agent stands on.
pub struct AgentParts {
    /// Where samples go.
    pub sink: Arc<dyn SampleSink>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of samples.
    pub ids: Arc<dyn IdSource>,
    /// Where work is divided.
    pub division: Division,
    /// Where the last samples are shown.
    pub exporter: Option<Arc<Exporter>>,
    /// Where names of projects and users are added.
    pub names: Option<IdentityNames>,
    /// Where pollsters' ends are told.
    pub heartbeat: Option<Heartbeat>,
}

/// How an agent works.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSettings {
    /// Who it is, the same after a restart: its host and namespaces. By it cycles are spread.
    pub identity: String,
    /// Over which part of an interval cycles of different agents are spread; longer ones mean all of it, and nothing means
    /// that all begin when they start.
    pub jitter: Duration,
    /// How many pollsters of a source run side by side; 0 for all.
    pub pollsters_at_once: usize,
    /// So many samples are handed on together.
    pub batch_size: usize,
    /// How long resources that cannot be read are left alone.
    pub blacklist: BlacklistSettings,
    /// What samples say they come from.
    pub sample_source: Arc<str>,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            identity: String::new(),
            jitter: Duration::MAX,
            pollsters_at_once: 4,
            batch_size: 50,
            blacklist: BlacklistSettings::default(),
            sample_source: Sample::DEFAULT_SOURCE.into(),
        }
    }
}

/// What tasks share.
pub(crate) struct Shared {
    pub(crate) parts: AgentParts,
    pub(crate) settings: AgentSettings,
    pub(crate) tallies: Tallies,
    pub(crate) blacklists: Mutex<HashMap<PollsterKey, Blacklist>>,
}

/// Polls.
pub struct Agent {
    shared: Arc<Shared>,
    plans: watch::Receiver<Arc<Plan>>,
}

/// Gives a running agent a new plan, and looks at it.
#[derive(Clone)]
pub struct AgentHandle {
    shared: Arc<Shared>,
    plans: Arc<watch::Sender<Arc<Plan>>>,
}

impl AgentHandle {
    /// Follow `plan` from now on. Cycles that run end as they were planned, and intervals that stay keep their phase.
    pub fn follow(&self, plan: Plan) {
        self.plans.send_replace(Arc::new(plan));
    }

    /// What it has done.
    pub fn status(&self) -> AgentStatus {
        self.shared.tallies.status()
    }

    /// How many shares of each namespace's work it holds, of how many; empty where nothing is divided.
    pub fn shares(&self) -> Vec<(Arc<str>, u16, u16)> {
        self.shared.parts.division.shares()
    }
}

impl Agent {
    /// An agent for `plan`.
    pub fn new(parts: AgentParts, settings: AgentSettings, plan: Plan) -> (Self, AgentHandle) {
        let (sender, plans) = watch::channel(Arc::new(plan));
        let (tallies, blacklists) = (Tallies::default(), Mutex::default());
        let shared = Arc::new(Shared { parts, settings, tallies, blacklists });
        let handle = AgentHandle { shared: Arc::clone(&shared), plans: Arc::new(sender) };
        (Self { shared, plans }, handle)
    }

    /// Runs one cycle of each task now.
    pub async fn once(&self) -> Vec<PollOutcome> {
        let plan = Arc::clone(&self.plans.borrow());
        let division = &self.shared.parts.division;
        division.join(&divided(&plan));
        division.renew().await;
        let mut outcomes = Vec::new();
        for (interval, task) in &plan.tasks {
            outcomes.extend(Round::new(&self.shared, *interval, task).run().await);
        }
        division.leave().await;
        outcomes
    }

    /// Polls until `stop`.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut tasks = BTreeMap::new();
        let division = &self.shared.parts.division;
        let working = async {
            loop {
                let plan = Arc::clone(&self.plans.borrow_and_update());
                division.join(&divided(&plan));
                division.renew().await;
                self.shared.apply(&plan, &mut tasks);
                // An agent whose handle is gone follows its last plan.
                if self.plans.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        tokio::select! {
            () = stop => {}
            () = working => {}
            () = division.keep() => {}
        }
        let ends = tasks.into_values().map(Running::end);
        futures::future::join_all(ends).await;
        division.leave().await;
    }
}

/// Namespaces of which there is work that agents divide among them.
fn divided(plan: &Plan) -> HashSet<Arc<str>> {
    let sources = plan.tasks.values().flat_map(|task| &task.sources);
    let work = sources.flat_map(|source| source.pollsters.iter().map(move |reader| (source, reader)));
    let is_divided = work.filter(|(source, reader)| {
        let found = source.discovery.iter().chain(&reader.default_discovery);
        let mut groups = found.map(|found_by| found_by.discovery.group());
        !source.resources.is_empty() || groups.any(|group| group == DiscoveryGroup::Global)
    });
    is_divided.map(|(_, reader)| Arc::clone(&reader.namespace)).collect()
}

/// A task that runs, and the slot that it takes its work from.
struct Running {
    plan: watch::Sender<Arc<TaskPlan>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Lets a cycle end, within limits.
    async fn end(self) {
        let Self { plan, mut task } = self;
        drop(plan);
        if tokio::time::timeout(STOP_PATIENCE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl Shared {
    /// Starts, changes and ends tasks, so that they are those of `plan`.
    fn apply(self: &Arc<Self>, plan: &Plan, tasks: &mut BTreeMap<Duration, Running>) {
        for source in &plan.idle {
            tracing::debug!(%source, "nothing that it names can be polled here");
        }
        for warning in &plan.warnings {
            tracing::warn!("polling.yaml: {warning}");
        }
        let intervals: HashSet<Duration> = plan.tasks.keys().copied().collect();
        let keys = plan.tasks.values().flat_map(|task| &task.sources).flat_map(|source| {
            source
                .pollsters
                .iter()
                .map(|reader| (Arc::clone(&source.name), Arc::from(reader.pollster.name())))
        });
        let keys: HashSet<PollsterKey> = keys.collect();
        self.tallies.retain(&intervals, &keys);
        self.blacklists.lock().retain(|key, _| keys.contains(key));
        if let Some(exporter) = &self.parts.exporter {
            exporter.retain(&keys);
        }
        // Who loses the sender of its slot ends after its cycle.
        tasks.retain(|interval, _| intervals.contains(interval));
        for (interval, task) in &plan.tasks {
            match tasks.get(interval) {
                Some(running) => drop(running.plan.send_replace(Arc::clone(task))),
                None => drop(tasks.insert(*interval, self.start(*interval, task))),
            }
        }
    }

    fn start(self: &Arc<Self>, interval: Duration, task: &Arc<TaskPlan>) -> Running {
        let identity = format!("{} {}", self.settings.identity, interval.as_secs());
        let schedule = Schedule::new(interval, self.settings.jitter, &identity, self.parts.clock.now());
        let (plan, slot) = watch::channel(Arc::clone(task));
        let shared = Arc::clone(self);
        Running { plan, task: tokio::spawn(async move { shared.repeat(interval, schedule, slot).await }) }
    }

    /// Runs cycles when they are due, one after another, until nobody has work for this interval any more.
    async fn repeat(&self, interval: Duration, schedule: Schedule, mut slot: watch::Receiver<Arc<TaskPlan>>) {
        let start = Instant::now();
        let mut due = schedule.first();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(start + due) => {}
                () = abandoned(&mut slot) => return,
            }
            let task = Arc::clone(&slot.borrow());
            let begin = Instant::now();
            self.watched(interval, Round::new(self, interval, &task).run()).await;
            self.tallies.cycle(interval, begin.elapsed());
            let (next, left_out) = schedule.next(due, start.elapsed());
            if left_out > 0 {
                self.tallies.left_out(interval, left_out);
                tracing::warn!(
                    interval_seconds = interval.as_secs(),
                    took_seconds = begin.elapsed().as_secs_f64(),
                    "a cycle took longer than its interval; {left_out} cycles are left out"
                );
            }
            due = next;
        }
    }

    /// Waits for a cycle, and says so while it takes longer than its interval.
    async fn watched(&self, interval: Duration, cycle: impl Future<Output = Vec<PollOutcome>>) {
        tokio::pin!(cycle);
        let begin = Instant::now();
        while tokio::time::timeout(interval, &mut cycle).await.is_err() {
            let (interval_seconds, seconds) = (interval.as_secs(), begin.elapsed().as_secs());
            tracing::warn!(
                interval_seconds,
                "a cycle still runs after {seconds} s; the next ones wait for it"
            );
        }
    }
}

/// Ready when the sender of the slot is gone.
async fn abandoned(slot: &mut watch::Receiver<Arc<TaskPlan>>) {
    while slot.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests;
