//! What the polling agent has done, by pollster.

use std::fmt;

use nephometer_polling::{AgentHandle, PollsterTally};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;

use super::snapshot::put;

/// The figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PollingFigures {
    /// By interval.
    pub(crate) tasks: Vec<TaskFigures>,
    /// By source and pollster.
    pub(crate) pollsters: Vec<PollsterFigures>,
    /// Where work is divided: namespace, shares that this agent holds, all shares.
    pub(crate) shares: Vec<(String, u16, u16)>,
}

/// The cycles of an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskFigures {
    pub(crate) interval_seconds: u64,
    pub(crate) cycles: u64,
    pub(crate) left_out: u64,
    pub(crate) last_seconds: f64,
}

/// A pollster of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PollsterFigures {
    pub(crate) source: String,
    pub(crate) pollster: String,
    pub(crate) polls: u64,
    pub(crate) failures: u64,
    pub(crate) samples: u64,
    pub(crate) refused_samples: u64,
    pub(crate) resources: u64,
    pub(crate) blacklisted: u64,
    pub(crate) total_seconds: f64,
    pub(crate) last_seconds: f64,
    pub(crate) last_success: Option<String>,
    pub(crate) failure: Option<String>,
}

impl PollingFigures {
    /// Asks the agent.
    pub(crate) fn of(agent: &AgentHandle) -> Self {
        let status = agent.status();
        let tasks = status.tasks.iter().map(|(interval, tally)| TaskFigures {
            interval_seconds: interval.as_secs(),
            cycles: tally.cycles,
            left_out: tally.left_out,
            last_seconds: tally.last.as_secs_f64(),
        });
        let pollsters = status.pollsters.iter().map(|((source, pollster), tally)| {
            let PollsterTally { polls, failures, samples, refused_samples, resources, blacklisted, .. } =
                *tally;
            PollsterFigures {
                source: source.to_string(),
                pollster: pollster.to_string(),
                polls,
                failures,
                samples,
                refused_samples,
                resources,
                blacklisted,
                total_seconds: tally.total.as_secs_f64(),
                last_seconds: tally.last.as_secs_f64(),
                last_success: tally.last_success.map(|at| at.isoformat()),
                failure: tally.failure.clone(),
            }
        });
        let shares =
            agent.shares().into_iter().map(|(namespace, held, all)| (namespace.to_string(), held, all));
        Self { tasks: tasks.collect(), pollsters: pollsters.collect(), shares: shares.collect() }
    }

    /// In a line for people: what the last cycles came to, and the first of those that fail.
    pub(crate) fn summary(&self) -> String {
        let sum = |count: fn(&PollsterFigures) -> u64| self.pollsters.iter().map(count).sum::<u64>();
        let mut text = format!(
            "{} pollsters, {} samples in {} polls",
            self.pollsters.len(),
            sum(|pollster| pollster.samples),
            sum(|pollster| pollster.polls)
        );
        let left_out: u64 = self.tasks.iter().map(|task| task.left_out).sum();
        if left_out > 0 {
            text.push_str(&format!("; {left_out} cycles were left out"));
        }
        let mut failing = self.pollsters.iter().filter(|pollster| pollster.failure.is_some());
        if let Some(PollsterFigures { pollster, failure: Some(failure), .. }) = failing.next() {
            let more = failing.count();
            let others = if more > 0 { format!(" ({more} others fail too)") } else { String::new() };
            text.push_str(&format!("; {pollster}: {failure}{others}"));
        }
        text
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_counters(encoder)?;
        self.encode_tasks(encoder)?;
        let last = Family::<PollsterLabels, Gauge<f64, AtomicU64>>::default();
        let failing = Family::<PollsterLabels, Gauge>::default();
        let blacklisted = Family::<PollsterLabels, Gauge>::default();
        for pollster in &self.pollsters {
            let labels = PollsterLabels::of(pollster);
            last.get_or_create(&labels).set(pollster.last_seconds);
            failing.get_or_create(&labels).set(i64::from(pollster.failure.is_some()));
            let count = i64::try_from(pollster.blacklisted).unwrap_or(i64::MAX);
            blacklisted.get_or_create(&labels).set(count);
        }
        put(encoder, "polling_last_seconds", "Length of the last poll", &last)?;
        put(encoder, "polling_failing", "Whether the last poll could not read all", &failing)?;
        put(encoder, "polling_blacklisted", "Resources that are left alone for a while", &blacklisted)?;
        let shares = Family::<NamespaceLabels, Gauge>::default();
        for (namespace, held, _) in &self.shares {
            shares.get_or_create(&NamespaceLabels { namespace: namespace.clone() }).set((*held).into());
        }
        put(encoder, "polling_shares", "Shares of a namespace's work that this agent holds", &shares)
    }

    fn encode_counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, count) in [
            ("polling_polls", "Polls", (|figures| figures.polls) as fn(&PollsterFigures) -> u64),
            ("polling_failures", "Polls that could not read all", |figures| figures.failures),
            ("polling_samples", "Samples that were accepted", |figures| figures.samples),
            ("polling_refused_samples", "Samples that nobody took", |figures| figures.refused_samples),
        ] {
            let family = Family::<PollsterLabels, Counter>::default();
            for pollster in &self.pollsters {
                family.get_or_create(&PollsterLabels::of(pollster)).inc_by(count(pollster));
            }
            put(encoder, name, help, &family)?;
        }
        let seconds = Family::<PollsterLabels, Counter<f64, AtomicU64>>::default();
        for pollster in &self.pollsters {
            seconds.get_or_create(&PollsterLabels::of(pollster)).inc_by(pollster.total_seconds);
        }
        put(encoder, "polling_seconds", "Time that polls took", &seconds)
    }

    fn encode_tasks(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let cycles = Family::<TaskLabels, Counter>::default();
        let left_out = Family::<TaskLabels, Counter>::default();
        let last = Family::<TaskLabels, Gauge<f64, AtomicU64>>::default();
        for task in &self.tasks {
            let labels = TaskLabels { interval_seconds: task.interval_seconds };
            cycles.get_or_create(&labels).inc_by(task.cycles);
            left_out.get_or_create(&labels).inc_by(task.left_out);
            last.get_or_create(&labels).set(task.last_seconds);
        }
        put(encoder, "polling_cycles", "Cycles that have ended", &cycles)?;
        put(
            encoder,
            "polling_left_out_cycles",
            "Cycles left out because one before took too long",
            &left_out,
        )?;
        put(encoder, "polling_last_cycle_seconds", "Length of the last cycle", &last)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PollsterLabels {
    source: String,
    pollster: String,
}

impl PollsterLabels {
    fn of(figures: &PollsterFigures) -> Self {
        Self { source: figures.source.clone(), pollster: figures.pollster.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    interval_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabels {
    namespace: String,
}
