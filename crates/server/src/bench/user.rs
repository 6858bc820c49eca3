//! The workload of a user's report: 4 resources × 15 metrics, a measure a second for five and a half hours, five
//! aggregates at a second; then a whole series and a panel of 50 are read.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::args::Kind;
use super::load::START_SECONDS;
use super::names::Form;
use super::report::Outcome;
use super::runner::{Runner, Shape, Shares, escaped, rows, written};
use super::setup::SECONDS_POLICY;
use super::tally::Request;

/// Five and a half hours.
const SECONDS: usize = 19_800;
const MINUTES: usize = SECONDS / 60;
const RESOURCES: usize = 4;
const METRICS: usize = 15;
const PANEL_METRICS: usize = 50;

/// Writes a minute of a resource a request, then reads.
pub(super) fn run(runner: &mut Runner<'_>) -> Result<Vec<Outcome>> {
    let shape = Shape {
        form: runner.form(Form::ByMetricId),
        policy: SECONDS_POLICY,
        metrics: RESOURCES * METRICS,
        batch: METRICS,
        per_resource: METRICS,
        measures: 60,
        step_seconds: 1,
        begin_seconds: START_SECONDS,
    };
    let mut shares = runner.groups(&shape)?;
    let bytes_before = runner.target.data_bytes();
    runner.warm_up(&mut shares, &shape)?;
    let bodies = runner.bodies(&mut shares, MINUTES - 1, shape.measures)?;
    let mut outcome = runner.measured_write("user", &mut shares, &bodies, &shape)?;
    runner.settle(&mut outcome, bytes_before, written(&shares))?;
    let (read, panel) = match runner.target.kind {
        Kind::VictoriaMetrics => (victoria_read(runner, &shares)?, victoria_panel(runner, &shares)?),
        _ => (read(runner, &shares)?, panel(runner, &shares)?),
    };
    Ok(vec![outcome, read, panel])
}

fn read(runner: &Runner<'_>, shares: &Shares) -> Result<Outcome> {
    let id = shares[0][0].ids().next().context("a group has metrics")?;
    let path = format!("/v1/metric/{id}/measures?aggregation=mean&granularity=1");
    let request = Request { method: "GET", path: &path, body: b"" };
    runner.repeated("user.read", request, SECONDS as u64, |answer| Ok(rows(answer)?.len() as u64))
}

/// 50 metrics by the minute in one request that any Gnocchi answers.
fn panel(runner: &Runner<'_>, shares: &Shares) -> Result<Outcome> {
    let ids = shares.iter().flatten().flat_map(|group| group.ids()).take(PANEL_METRICS);
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    let references = ids.iter().map(|id| json!([id, "mean"]));
    let metrics: Vec<Value> = std::iter::once(json!("metric")).chain(references).collect();
    let body = json!({"operations": ["resample", "mean", 60, metrics]}).to_string();
    let request = Request { method: "POST", path: "/v1/aggregates?granularity=1", body: body.as_bytes() };
    runner.repeated("user.panel", request, (PANEL_METRICS * MINUTES) as u64, |answer| {
        ids.iter().map(|id| Ok(rows(&answer["measures"][id]["mean"])?.len() as u64)).sum()
    })
}

fn victoria_read(runner: &Runner<'_>, shares: &Shares) -> Result<Outcome> {
    let group = &shares[0][0];
    let selector = escaped(&group.names().selector(group.len() - 1));
    let path = format!("/api/v1/export?match[]={selector}&start=1");
    let request = Request { method: "GET", path: &path, body: b"" };
    let count = |answer: &Value| Ok(rows(&answer["values"])?.len() as u64);
    runner.repeated("user.read", request, SECONDS as u64, count)
}

/// The same 50 series, averaged by the minute.
fn victoria_panel(runner: &Runner<'_>, shares: &Shares) -> Result<Outcome> {
    let resources = shares.iter().flatten().map(|group| group.names().resource(0).0.to_string());
    let resources: Vec<String> = resources.collect();
    let (last, whole) = resources.split_last().context("there are resources")?;
    let mean = |selector: String| format!("(avg_over_time({selector}[60s]) keep_metric_names)");
    let whole = mean(format!("{{resource=~\"{}\"}}", whole.join("|")));
    let rest = mean(format!("{{resource=\"{last}\",__name__=~\"bench_00[0-4]\"}}"));
    let path = format!(
        "/api/v1/query_range?query={}&start={}&end={}&step=60&nocache=1",
        escaped(&format!("{whole} or {rest}")),
        START_SECONDS + 60,
        START_SECONDS + i64::try_from(SECONDS)?,
    );
    let request = Request { method: "GET", path: &path, body: b"" };
    runner.repeated("user.panel", request, (PANEL_METRICS * MINUTES) as u64, |answer| {
        let series = answer["data"]["result"].as_array().context("a list of series")?;
        series.iter().map(|series| Ok(rows(&series["values"])?.len() as u64)).sum()
    })
}
