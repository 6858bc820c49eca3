//! The workloads: bulk writes in both forms, reads of a long series, panels of many.

use anyhow::{Context, Result, bail};
use nephometer_model::{Clock, IdSource, SystemClock};
use serde_json::{Value, json};

use crate::cli::BenchArgs;
use crate::client::Connection;
use crate::process::process_use;

use super::load::{BatchForm, Group, Tally};
use super::report::Outcome;
use super::setup::{self, BULK_POLICY, NAME_PREFIX, POINTS_POLICY};
use super::target::Target;

/// Points of the series that is read.
const READ_POINTS: u32 = 10_000;
/// Metrics of a panel, and the points of each: a day of minutes.
const PANEL_METRICS: usize = 50;
const PANEL_POINTS: u32 = 1440;
/// Groups whose measures are counted after a bulk load.
const VERIFIED_GROUPS: usize = 20;

/// What is done to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    BulkIds,
    BulkNames,
    Reads,
    Panels,
    PanelsBatch,
}

impl Workload {
    pub(super) const ALL: [Self; 5] =
        [Self::BulkIds, Self::BulkNames, Self::Reads, Self::Panels, Self::PanelsBatch];

    /// The name on the command line and in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BulkIds => "bulk-ids",
            Self::BulkNames => "bulk-names",
            Self::Reads => "reads",
            Self::Panels => "panels",
            Self::PanelsBatch => "panels-batch",
        }
    }

    /// Runs it for as long as `args` say.
    pub(super) fn run(self, args: &BenchArgs, target: &Target) -> Result<Outcome> {
        let bench = Bench { workload: self, args, target, clock: SystemClock::new() };
        setup::policies(&mut bench.connect()?)?;
        match self {
            Self::BulkIds => bench.bulk(BatchForm::ByMetricId),
            Self::BulkNames => bench.bulk(BatchForm::ByResourceAndName),
            Self::Reads => bench.reads(),
            Self::Panels | Self::PanelsBatch => bench.panels(),
        }
    }
}

struct Bench<'a> {
    workload: Workload,
    args: &'a BenchArgs,
    target: &'a Target,
    clock: SystemClock,
}

impl Bench<'_> {
    fn connect(&self) -> Result<Connection> {
        Connection::open(&self.target.endpoint)
    }

    /// Measures `work`, which says how many items it did by its tally.
    fn measured(&self, unit: &'static str, work: impl FnOnce() -> Result<Tally>) -> Result<Outcome> {
        let own = std::process::id();
        let (server_before, client_before) = (self.target.process(), process_use(own));
        let begin = self.clock.monotonic_ns();
        let tally = work()?;
        let nanoseconds = self.clock.monotonic_ns() - begin;
        let cpu = |before: Option<crate::process::ProcessUse>, after: Option<crate::process::ProcessUse>| {
            Some(after?.cpu_seconds - before?.cpu_seconds)
        };
        let server_cpu = cpu(server_before, self.target.process());
        let client_cpu = cpu(client_before, process_use(own));
        Ok(Outcome::new(self.workload.name(), unit, tally, nanoseconds, (server_cpu, client_cpu)))
    }

    /// A group of metrics on the server, its first metric being number `index * names` of the run.
    fn group(&self, index: u64, metrics: usize, make: Option<&str>) -> Result<Group> {
        let mut connection = self.connect()?;
        let names: Vec<String> = (0..metrics).map(|i| format!("{NAME_PREFIX}{i:03}")).collect();
        let id = self.clock.uuid().to_string();
        let made = if make.is_some() { names.as_slice() } else { &[] };
        let (resource, ids) = setup::resource(&mut connection, &id, made, make.unwrap_or_default())?;
        Ok(Group::new(index, resource, names, ids, self.args.seed))
    }

    fn bulk(&self, form: BatchForm) -> Result<Outcome> {
        let per_group = self.args.batch_metrics;
        let make = (form == BatchForm::ByMetricId).then_some(BULK_POLICY);
        let mut shares: Vec<Vec<Group>> = (0..self.args.workers).map(|_| Vec::new()).collect();
        let groups = self.args.metrics.div_ceil(per_group).max(self.args.workers);
        for index in 0..groups {
            shares[index % self.args.workers].push(self.group(index as u64, per_group, make)?);
        }
        let mut outcome = self.measured("measures", || {
            let mut tally = Tally::default();
            std::thread::scope(|scope| {
                let threads: Vec<_> = shares
                    .iter_mut()
                    .map(|share| scope.spawn(move || self.write_share(form, share)))
                    .collect();
                for thread in threads {
                    tally.merge(thread.join().expect("a worker does not panic")?);
                }
                Ok(tally)
            })
        })?;
        outcome.unverified = self.count_missing(shares.iter().flatten())?;
        Ok(outcome)
    }

    /// One worker's part of a bulk load: its groups in turn until the time is over.
    fn write_share(&self, form: BatchForm, share: &mut [Group]) -> Result<Tally> {
        let mut connection = self.connect()?;
        let mut tally = Tally::default();
        let mut body = Vec::new();
        let end = self.clock.monotonic_ns() + self.args.duration_ns();
        let BenchArgs { measures, step_seconds, batch_metrics, .. } = *self.args;
        for at in (0..share.len()).cycle() {
            if self.clock.monotonic_ns() >= end {
                break;
            }
            let group = &mut share[at];
            group.write_batch(form, measures, step_seconds, &mut body);
            let answer = tally.timed(&self.clock, &mut connection, ("POST", form.path()), &body)?;
            if answer.status == 202 {
                group.acknowledged += u64::from(measures);
                tally.items += u64::from(measures) * batch_metrics as u64;
            }
        }
        Ok(tally)
    }

    /// Reads back the counts of some metrics; returns how many do not hold exactly what was acknowledged.
    fn count_missing<'g>(&self, groups: impl Iterator<Item = &'g Group>) -> Result<u64> {
        let mut connection = self.connect()?;
        let mut wrong = 0;
        for group in groups.take(VERIFIED_GROUPS) {
            let name = group.names.last().context("a group has metrics")?;
            let path = format!(
                "/v1/resource/generic/{}/metric/{name}/measures?aggregation=count&granularity=3600",
                group.resource
            );
            let answer = connection.request("GET", &path, b"")?;
            let counted: f64 = match answer.status {
                404 => 0.0,
                _ => rows(&answer.json()?)?.iter().filter_map(|row| row[2].as_f64()).sum(),
            };
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            let expected = group.acknowledged as f64;
            if (counted - expected).abs() > 0.5 {
                tracing::warn!(resource = group.resource, counted, expected, "does not read back");
                wrong += 1;
            }
        }
        Ok(wrong)
    }

    fn reads(&self) -> Result<Outcome> {
        let mut group = self.group(0, 1, Some(POINTS_POLICY))?;
        let mut connection = self.connect()?;
        let mut body = Vec::new();
        group.write_list(READ_POINTS, 1, &mut body);
        let path = format!("/v1/metric/{}/measures", group.ids[0]);
        let posted = connection.request("POST", &path, &body)?;
        if posted.status != 202 {
            bail!("POST {path}: {} {}", posted.status, String::from_utf8_lossy(&posted.body));
        }
        let path = format!("{path}?aggregation=mean&granularity=1");
        self.repeat("GET", &path, b"", u64::from(READ_POINTS), |answer| Ok(rows(answer)?.len() as u64))
    }

    fn panels(&self) -> Result<Outcome> {
        let mut group = self.group(0, PANEL_METRICS, Some(BULK_POLICY))?;
        let mut connection = self.connect()?;
        let mut body = Vec::new();
        let form = BatchForm::ByMetricId;
        group.write_batch(form, PANEL_POINTS, 60, &mut body);
        let posted = connection.request("POST", form.path(), &body)?;
        if posted.status != 202 {
            bail!("POST {}: {} {}", form.path(), posted.status, String::from_utf8_lossy(&posted.body));
        }
        let expected = u64::from(PANEL_POINTS) * PANEL_METRICS as u64;
        if self.workload == Workload::PanelsBatch {
            let body = json!({"metrics": group.ids, "aggregation": "mean", "granularity": 60}).to_string();
            return self.repeat(
                "POST",
                "/v1/batch/metrics/measures/read",
                body.as_bytes(),
                expected,
                |answer| {
                    let series = answer.as_object().context("an object by metric")?;
                    series.values().map(|series| Ok(rows(series)?.len() as u64)).sum()
                },
            );
        }
        let references: Vec<Value> = group.ids.iter().map(|id| json!([id, "mean"])).collect();
        let operations: Vec<Value> = std::iter::once(json!("metric")).chain(references).collect();
        let body = json!({"operations": operations}).to_string();
        self.repeat("POST", "/v1/aggregates?granularity=60", body.as_bytes(), expected, |answer| {
            let ids = group.ids.iter();
            ids.map(|id| Ok(rows(&answer["measures"][id]["mean"])?.len() as u64)).sum()
        })
    }

    /// Sends one request over and over on one connection; the first answer must hold `expected` points, later ones
    /// must be as long.
    fn repeat(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        expected: u64,
        count: impl Fn(&Value) -> Result<u64>,
    ) -> Result<Outcome> {
        let mut connection = self.connect()?;
        let first = connection.request(method, path, body)?;
        let counted = count(&first.json()?)?;
        let mut outcome = self.measured("points", || {
            let mut tally = Tally::default();
            let end = self.clock.monotonic_ns() + self.args.duration_ns();
            while self.clock.monotonic_ns() < end {
                let answer = tally.timed(&self.clock, &mut connection, (method, path), body)?;
                tally.items += counted;
                tally.failed += u64::from(answer.body.len() != first.body.len());
            }
            Ok(tally)
        })?;
        if counted != expected {
            tracing::warn!(counted, expected, "points of the first answer");
            outcome.unverified += 1;
        }
        Ok(outcome)
    }
}

/// A list of `[timestamp, granularity, value]`.
fn rows(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("expected a list of measures, found {value}"))
}
