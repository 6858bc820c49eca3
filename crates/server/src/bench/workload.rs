//! The workloads by name, and what each does.

use anyhow::Result;
use nephometer_model::SystemClock;

use super::args::{BenchArgs, Kind};
use super::load::START_SECONDS;
use super::names::Form;
use super::report::Outcome;
use super::retention::Haste;
use super::runner::{Runner, Shape};
use super::setup::{self, MINUTES_POLICY};
use super::target::Target;
use super::{alarms, index, latency, reads, retention, steady, user};

/// What is done to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    Bulk,
    BulkNames,
    Cycle,
    CycleNames,
    User,
    Reads,
    Latency,
    Steady,
    SteadyNames,
    Index,
    Retention,
    Alarms,
    AlarmsAggregated,
}

impl Workload {
    /// Those that run when none is named.
    pub(super) const USUAL: [Self; 6] =
        [Self::Bulk, Self::BulkNames, Self::Cycle, Self::CycleNames, Self::User, Self::Reads];
    /// All of them.
    pub(super) const ALL: [Self; 13] = [
        Self::Bulk,
        Self::BulkNames,
        Self::Cycle,
        Self::CycleNames,
        Self::User,
        Self::Reads,
        Self::Latency,
        Self::Steady,
        Self::SteadyNames,
        Self::Index,
        Self::Retention,
        Self::Alarms,
        Self::AlarmsAggregated,
    ];

    /// The name on the command line and in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::BulkNames => "bulk-names",
            Self::Cycle => "cycle",
            Self::CycleNames => "cycle-names",
            Self::User => "user",
            Self::Reads => "reads",
            Self::Latency => "latency",
            Self::Steady => "steady",
            Self::SteadyNames => "steady-names",
            Self::Index => "index",
            Self::Retention => "retention",
            Self::Alarms => "alarms",
            Self::AlarmsAggregated => "alarms-aggregated",
        }
    }

    /// Whether a server of this kind can be asked to do it, and is not asked the same by another workload.
    pub(super) fn suits(self, kind: Kind) -> bool {
        match kind {
            Kind::Nephometer => true,
            Kind::Gnocchi => {
                !matches!(self, Self::Reads | Self::Retention | Self::Alarms | Self::AlarmsAggregated)
            }
            Kind::VictoriaMetrics => matches!(self, Self::Bulk | Self::Cycle | Self::User | Self::Steady),
        }
    }

    /// Does it.
    pub(super) fn run(self, args: &BenchArgs, target: &mut Target, haste: Haste) -> Result<Vec<Outcome>> {
        if target.kind != Kind::VictoriaMetrics {
            setup::policies(&mut target.connect()?)?;
        }
        let mut runner = Runner { args, target, clock: SystemClock::new() };
        let (ids, names) = (Form::ByMetricId, Form::ByResourceAndName);
        match self {
            Self::Bulk => runner.closed(self.name(), &bulk(args, ids), args.rounds.unwrap_or(20)),
            Self::BulkNames => runner.closed(self.name(), &bulk(args, names), args.rounds.unwrap_or(20)),
            Self::Cycle => runner.closed(self.name(), &cycle(args, ids), args.rounds.unwrap_or(40)),
            Self::CycleNames => runner.closed(self.name(), &cycle(args, names), args.rounds.unwrap_or(40)),
            Self::User => user::run(&mut runner),
            Self::Reads => reads::run(&mut runner),
            Self::Latency => latency::run(&mut runner, &cycle(args, ids)),
            Self::Steady => steady::run(&mut runner, self.name(), &steady(args, ids)),
            Self::SteadyNames => steady::run(&mut runner, self.name(), &steady(args, names)),
            Self::Index => index::run(&mut runner),
            Self::Retention => retention::run(&mut runner, haste),
            Self::Alarms => alarms::run(&mut runner, self.name(), &cycle(args, ids), 1),
            Self::AlarmsAggregated => {
                alarms::run(&mut runner, self.name(), &aggregated(args), METRICS_OF_AN_ALARM)
            }
        }
    }
}

/// Many metrics × 60 measures.
fn bulk(args: &BenchArgs, form: Form) -> Shape {
    Shape {
        form,
        policy: MINUTES_POLICY,
        metrics: args.metrics.unwrap_or(10_000),
        batch: args.batch.unwrap_or(100),
        per_resource: args.per_resource.unwrap_or(20),
        measures: 60,
        step_seconds: 60,
        begin_seconds: START_SECONDS,
    }
}

/// The cycle of a cloud of 10,000 nodes.
fn steady(args: &BenchArgs, form: Form) -> Shape {
    Shape { metrics: args.metrics.unwrap_or(3_600_000), ..cycle(args, form) }
}

/// Metrics that an alarm aggregates.
const METRICS_OF_AN_ALARM: usize = 100;

/// Ten thousand alarms' metrics.
fn aggregated(args: &BenchArgs) -> Shape {
    Shape { metrics: args.metrics.unwrap_or(1_000_000), ..cycle(args, Form::ByMetricId) }
}

/// One measure a metric a round.
fn cycle(args: &BenchArgs, form: Form) -> Shape {
    Shape {
        metrics: args.metrics.unwrap_or(100_000),
        batch: args.batch.unwrap_or(1000),
        measures: 1,
        ..bulk(args, form)
    }
}
