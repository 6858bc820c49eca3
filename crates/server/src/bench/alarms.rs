//! Alarms: very many, each on a metric of its own that is fed once a minute; or fewer, each over many metrics. What counts
//! is the server's CPU time, and how long after their measures alarms are decided.

use anyhow::{Context, Result, bail};
use nephometer_model::Clock as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::BenchArgs;
use super::load::Group;
use super::report::Outcome;
use super::runner::{Runner, Shape, Shares, merged};
use super::tally::{Request, Tally};
use super::target::{Target, difference};
use crate::client::Connection;
use crate::telemetry::Snapshot;

/// How long measures are fed, unless told otherwise.
const SECONDS: f64 = 180.0;
/// Each metric has a measure so often.
const PERIOD_SECONDS: u32 = 60;
/// Projects that the alarms belong to.
const PROJECTS: usize = 100;
/// Wanted of the server.
const MAX_CORES: f64 = 1.0;
const MAX_LAG_MS: f64 = 5000.0;

/// How alarms were decided while measures were fed.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct AlarmUse {
    alarms: u64,
    /// CPU time of the server's processes over time.
    cores: f64,
    evaluations: u64,
    transitions: u64,
    failures: u64,
    /// From the acknowledgement of measures to the decision.
    lag_p50_ms: f64,
    lag_p99_ms: f64,
    lag_max_ms: f64,
}

impl AlarmUse {
    /// Lines for people.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let judged = |reached: bool| if reached { "reached" } else { "MISSED" };
        [
            format!("{} alarms, {} evaluations, {} failed", self.alarms, self.evaluations, self.failures),
            format!("{} changes of state", self.transitions),
            format!("cores: {:.3} (at most {MAX_CORES}): {}", self.cores, judged(self.cores <= MAX_CORES)),
            format!(
                "ms from measures to decision: p50 {:.1}, p99 {:.1}, max {:.1} (at most {MAX_LAG_MS}): {}",
                self.lag_p50_ms,
                self.lag_p99_ms,
                self.lag_max_ms,
                judged(self.lag_max_ms <= MAX_LAG_MS)
            ),
        ]
        .into_iter()
    }
}

/// Makes the metrics of `shape` and an alarm for every `metrics_each` of them, and feeds each metric once a minute.
pub(super) fn run(
    runner: &mut Runner<'_>,
    name: &str,
    shape: &Shape,
    metrics_each: usize,
) -> Result<Vec<Outcome>> {
    let seconds = runner.args.seconds.unwrap_or(SECONDS);
    let args = BenchArgs { seconds: Some(seconds), ..runner.args.clone() };
    let runner = &mut Runner { args: &args, target: &mut *runner.target, clock: runner.clock };
    let now_seconds = runner.clock.now().ns() / 1_000_000_000;
    let period = i64::from(PERIOD_SECONDS);
    // The first round is of the minute before: while alarms are made, its windows close.
    let begin_seconds = now_seconds - now_seconds.rem_euclid(period);
    let shape = &Shape { begin_seconds, step_seconds: PERIOD_SECONDS, ..*shape };
    let mut shares = runner.groups(shape)?;
    let created = create(runner, &format!("{name}.create"), &shares, metrics_each)?;
    let fed = feed(runner, name, &mut shares, shape)?;
    Ok(vec![created, fed])
}

/// Feeds the metrics and looks at the evaluator.
#[expect(clippy::cast_precision_loss, reason = "figures for reports")]
fn feed(runner: &Runner<'_>, name: &str, shares: &mut Shares, shape: &Shape) -> Result<Outcome> {
    let rate = shape.metrics as f64 / f64::from(PERIOD_SECONDS);
    let (before, usage) = (evaluator(runner.target)?, runner.target.usage());
    let mut outcome =
        runner.measured(name, "measures", || runner.write_paced(shares, shape, rate, |_, _| {}))?;
    let (after, cpu) =
        (evaluator(runner.target)?, difference(usage, runner.target.usage(), |u| u.cpu_seconds));
    outcome.set_memory(runner.target.usage());
    let [before, mut used] = [before, after];
    used.evaluations -= before.evaluations;
    used.transitions -= before.transitions;
    used.failures -= before.failures;
    used.cores = cpu.unwrap_or(f64::NAN) / outcome.seconds;
    outcome.set_alarms(used);
    Ok(outcome)
}

/// What the evaluator has done since the server's start.
fn evaluator(target: &Target) -> Result<AlarmUse> {
    let Snapshot { alarms, .. } = target.own_status()?;
    let figures = alarms.and_then(|alarms| alarms.evaluator).context("the server evaluates no alarms")?;
    Ok(AlarmUse {
        alarms: figures.alarms,
        cores: 0.0,
        evaluations: figures.evaluations,
        transitions: figures.transitions,
        failures: figures.failures,
        lag_p50_ms: figures.lag_p50_ms,
        lag_p99_ms: figures.lag_p99_ms,
        lag_max_ms: figures.lag_max_ms,
    })
}

/// Makes the alarms.
fn create(runner: &Runner<'_>, name: &str, shares: &Shares, metrics_each: usize) -> Result<Outcome> {
    let endpoint = runner.target.alarm_endpoint()?;
    let mut outcome = runner.measured(name, "alarms", || {
        let tallies = runner.in_parallel(shares.iter().enumerate(), |(worker, groups)| {
            let project = format!("project-{}", worker % PROJECTS);
            let mut connection = Connection::open(&endpoint.clone().for_caller(&project, "admin"))?;
            let mut tally = Tally::default();
            for body in groups.iter().flat_map(|group| definitions(group, metrics_each)) {
                let body = body.to_string();
                let request = Request { method: "POST", path: "/v2/alarms", body: body.as_bytes() };
                let answer = tally.timed(&runner.clock, &mut connection, request)?;
                if answer.status != 201 {
                    bail!("POST /v2/alarms: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
                }
                tally.items += 1;
            }
            Ok(tally)
        })?;
        Ok(merged(tallies))
    })?;
    outcome.set_memory(runner.target.usage());
    Ok(outcome)
}

/// Definitions of the alarms over a group's metrics. Thresholds lie where some kinds of series cross them now and then.
fn definitions(group: &Group, metrics_each: usize) -> Vec<Value> {
    let condition = json!({
        "comparison_operator": "gt", "threshold": 50, "aggregation_method": "mean", "granularity": PERIOD_SECONDS,
        "evaluation_periods": 1,
    });
    let with = |more: Value| {
        let mut rule = condition.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            rule[key] = value.clone();
        }
        rule
    };
    let names = group.names();
    if metrics_each == 1 {
        let one = |at: usize| {
            let rule = with(json!({
                "metric": names.name(at), "resource_id": names.resource(at), "resource_type": "generic",
            }));
            let kind = "gnocchi_resources_threshold";
            json!({"name": "bench", "type": kind, "gnocchi_resources_threshold_rule": rule})
        };
        return (0..group.len()).map(one).collect();
    }
    let ids: Vec<_> = group.ids().map(|id| id.to_string()).collect();
    let several = |ids: &[String]| {
        let kind = "gnocchi_aggregation_by_metrics_threshold";
        let rule = with(json!({"metrics": ids}));
        json!({"name": "bench", "type": kind, "gnocchi_aggregation_by_metrics_threshold_rule": rule})
    };
    ids.chunks(metrics_each).map(several).collect()
}
