//! What an agent has done: counters and times of each pollster, for operators.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nephometer_model::Timestamp;
use parking_lot::Mutex;

/// A source's name and a pollster's.
pub type PollsterKey = (Arc<str>, Arc<str>);

/// One pollster of one source since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PollsterTally {
    /// How often it was asked.
    pub polls: u64,
    /// How often it could not read all that it was asked for.
    pub failures: u64,
    /// Samples that were accepted.
    pub samples: u64,
    /// Samples that nobody took.
    pub refused_samples: u64,
    /// How long all its polls took together.
    pub total: Duration,
    /// How long the last one took.
    pub last: Duration,
    /// Resources that the last one was asked for.
    pub resources: u64,
    /// Resources that are left alone because it said that it cannot read them.
    pub blacklisted: u64,
    /// When it last read all that it was asked for.
    pub last_success: Option<Timestamp>,
    /// Why it did not the last time; nothing where it did.
    pub failure: Option<String>,
}

/// One interval since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskTally {
    /// Cycles that have ended.
    pub cycles: u64,
    /// Cycles that were left out because the one before took too long.
    pub left_out: u64,
    /// How long the last one took.
    pub last: Duration,
}

/// What a poll came to.
pub(crate) struct PollEnd {
    pub(crate) resources: u64,
    pub(crate) samples: u64,
    pub(crate) refused_samples: u64,
    pub(crate) blacklisted: u64,
    pub(crate) took: Duration,
    pub(crate) at: Timestamp,
    pub(crate) failure: Option<String>,
}

/// All counters of an agent.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    pollsters: Mutex<BTreeMap<PollsterKey, PollsterTally>>,
    /// What the plan has, once there is one: a cycle of an earlier plan may end after it.
    planned: Mutex<Option<HashSet<PollsterKey>>>,
    tasks: Mutex<BTreeMap<Duration, TaskTally>>,
}

impl Tallies {
    /// Counts a poll. Whether its failure is news: it is not what the last poll failed with.
    pub(crate) fn poll(&self, key: &PollsterKey, end: PollEnd) -> bool {
        if self.planned.lock().as_ref().is_some_and(|planned| !planned.contains(key)) {
            return false;
        }
        let mut pollsters = self.pollsters.lock();
        let tally = pollsters.entry(key.clone()).or_default();
        tally.polls += 1;
        tally.samples += end.samples;
        tally.refused_samples += end.refused_samples;
        tally.total += end.took;
        tally.last = end.took;
        tally.resources = end.resources;
        tally.blacklisted = end.blacklisted;
        let is_news = end.failure.is_some() && end.failure != tally.failure;
        match &end.failure {
            Some(_) => tally.failures += 1,
            None => tally.last_success = Some(end.at),
        }
        tally.failure = end.failure;
        is_news
    }

    /// Counts a cycle that has ended.
    pub(crate) fn cycle(&self, interval: Duration, took: Duration) {
        let mut tasks = self.tasks.lock();
        let tally = tasks.entry(interval).or_default();
        tally.cycles += 1;
        tally.last = took;
    }

    /// Counts cycles that were left out.
    pub(crate) fn left_out(&self, interval: Duration, count: u64) {
        self.tasks.lock().entry(interval).or_default().left_out += count;
    }

    /// Forgets what a new plan has no more.
    pub(crate) fn retain(&self, intervals: &HashSet<Duration>, keys: &HashSet<PollsterKey>) {
        *self.planned.lock() = Some(keys.clone());
        self.pollsters.lock().retain(|key, _| keys.contains(key));
        self.tasks.lock().retain(|interval, _| intervals.contains(interval));
    }

    /// All of them.
    pub(crate) fn status(&self) -> AgentStatus {
        let (pollsters, tasks) = (self.pollsters.lock().clone(), self.tasks.lock().clone());
        AgentStatus { pollsters, tasks }
    }
}

/// What an agent has done since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentStatus {
    /// By source and pollster.
    pub pollsters: BTreeMap<PollsterKey, PollsterTally>,
    /// By interval.
    pub tasks: BTreeMap<Duration, TaskTally>,
}
