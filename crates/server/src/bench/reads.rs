//! Long and wide reads: a year by the minute, ten years by the hour from rollups, a thousand metrics' last hour.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::load::{Group, START_SECONDS, iso};
use super::names::Form;
use super::report::Outcome;
use super::runner::{Runner, Shape, rows, written};
use super::setup::{HOURS_POLICY, MINUTES_POLICY, YEAR_POLICY};
use super::tally::Request;

/// Minutes of a year, and tens of minutes of ten years.
const YEAR_MINUTES: usize = 525_600;
const TEN_YEARS_HOURS: usize = 87_600;
/// Metrics that are read at once, and how long they were written.
const WIDE_METRICS: usize = 1000;
const WIDE_MINUTES: usize = 1440;

/// Writes everything, has it settle, and reads.
pub(super) fn run(runner: &mut Runner<'_>) -> Result<Vec<Outcome>> {
    let bytes_before = runner.target.data_bytes();
    let year = write(runner, (YEAR_POLICY, 60), 1, YEAR_MINUTES)?;
    let hours = write(runner, (HOURS_POLICY, 600), 1, YEAR_MINUTES)?;
    let mut wide = write(runner, (MINUTES_POLICY, 60), WIDE_METRICS, WIDE_MINUTES)?;
    let shares = vec![vec![year.0, hours.0, wide.0]];
    runner.settle(&mut wide.1, bytes_before, written(&shares))?;
    let [year, hours, wide_group] = &shares[0][..] else { unreachable!("three groups") };
    let mut outcomes = vec![wide.1];
    outcomes.push(long(runner, "reads.year", year, 60, YEAR_MINUTES)?);
    outcomes.push(long(runner, "reads.ten-years", hours, 3600, TEN_YEARS_HOURS)?);
    outcomes.extend(last_hour(runner, wide_group)?);
    Ok(outcomes)
}

/// Writes one group of metrics, about 50,000 measures a request.
fn write(
    runner: &Runner<'_>,
    (policy, step_seconds): (&'static str, u32),
    metrics: usize,
    measures: usize,
) -> Result<(Group, Outcome)> {
    let a_request = (50_000 / metrics).clamp(1, measures).next_power_of_two() / 2;
    let measures_a_request = (1..=a_request).rev().find(|n| measures.is_multiple_of(*n)).unwrap_or(1);
    let shape = Shape {
        form: Form::ByMetricId,
        policy,
        metrics,
        batch: metrics,
        per_resource: metrics,
        measures: u32::try_from(measures_a_request)?,
        step_seconds,
        begin_seconds: START_SECONDS,
    };
    let mut shares = vec![vec![runner.group(&mut runner.target.connect()?, 0, &shape)?]];
    let bodies = runner.bodies(&mut shares, measures / measures_a_request, shape.measures)?;
    let outcome = runner.measured_write("reads.write", &mut shares, &bodies, &shape)?;
    let group = shares.pop().and_then(|mut share| share.pop()).context("there is a group")?;
    Ok((group, outcome))
}

fn long(runner: &Runner<'_>, name: &str, group: &Group, step: u32, points: usize) -> Result<Outcome> {
    let id = group.ids().next().context("a group has metrics")?;
    let path = format!("/v1/metric/{id}/measures?aggregation=mean&granularity={step}");
    let request = Request { method: "GET", path: &path, body: b"" };
    runner.repeated(name, request, points as u64, |answer| Ok(rows(answer)?.len() as u64))
}

/// In our own batch read, and in the request that any Gnocchi answers.
fn last_hour(runner: &Runner<'_>, group: &Group) -> Result<[Outcome; 2]> {
    let ids: Vec<String> = group.ids().map(|id| id.to_string()).collect();
    let start = iso(group.next_seconds() - 3600);
    let expected = ids.len() as u64 * 60;
    let body = json!({"metrics": ids, "aggregation": "mean", "granularity": 60, "start": start}).to_string();
    let path = "/v1/batch/metrics/measures/read";
    let request = Request { method: "POST", path, body: body.as_bytes() };
    let batch = runner.repeated("reads.hour-batch", request, expected, |answer| {
        let series = answer.as_object().context("an object by metric")?;
        series.values().map(|series| Ok(rows(series)?.len() as u64)).sum()
    })?;
    let references = ids.iter().map(|id| json!([id, "mean"]));
    let operations: Vec<Value> = std::iter::once(json!("metric")).chain(references).collect();
    let body = json!({"operations": operations}).to_string();
    let path = format!("/v1/aggregates?granularity=60&start={start}");
    let request = Request { method: "POST", path: &path, body: body.as_bytes() };
    let aggregates = runner.repeated("reads.hour-aggregates", request, expected, |answer| {
        ids.iter().map(|id| Ok(rows(&answer["measures"][id]["mean"])?.len() as u64)).sum()
    })?;
    Ok([batch, aggregates])
}
