//! What all workloads share: groups of series on the server, workers that write them, waiting until they can be read.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nephometer_model::{Clock, IdSource, ResourceId, SystemClock};
use serde_json::Value;

use crate::client::{Answer, Connection};
use crate::process::process_use;

use super::args::{BenchArgs, Kind};
use super::load::{Bodies, Group, Origin};
use super::names::{Form, Names, name_of};
use super::progress::Progress;
use super::report::Outcome;
use super::schedule::Schedule;
use super::setup;
use super::tally::{Request, Tally};
use super::target::{Settled, Target, difference, seconds};
use super::values::Random;

/// What was written must be readable within this.
const READABLE_TIMEOUT_NS: u64 = 900_000_000_000;
/// How often readability is asked for.
const READABLE_POLL: Duration = Duration::from_millis(50);
/// Groups whose measures are counted after a load.
const VERIFIED_GROUPS: usize = 20;

/// One workload at work.
pub(super) struct Runner<'a> {
    pub(super) args: &'a BenchArgs,
    pub(super) target: &'a mut Target,
    pub(super) clock: SystemClock,
}

/// The shape of a load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) form: Form,
    pub(super) policy: &'static str,
    pub(super) metrics: usize,
    /// Metrics a request.
    pub(super) batch: usize,
    /// Metrics a resource; a whole request where metrics are named by id.
    pub(super) per_resource: usize,
    /// Measures of each metric in a request.
    pub(super) measures: u32,
    pub(super) step_seconds: u32,
    /// When the first measures are, in seconds since 1970.
    pub(super) begin_seconds: i64,
}

/// The groups of each worker.
pub(super) type Shares = Vec<Vec<Group>>;

impl Runner<'_> {
    /// The form that the server understands: what is asked for, or VictoriaMetrics' own.
    pub(super) fn form(&self, asked: Form) -> Form {
        if self.target.kind == Kind::VictoriaMetrics { Form::ImportLines } else { asked }
    }

    /// Writes `rounds` of a load as fast as the server takes it, after one that is not measured.
    pub(super) fn closed(&mut self, name: &str, shape: &Shape, rounds: usize) -> Result<Vec<Outcome>> {
        let shape = &Shape { form: self.form(shape.form), ..*shape };
        let mut shares = self.groups(shape)?;
        let bytes_before = self.target.data_bytes();
        self.warm_up(&mut shares, shape)?;
        let bodies = self.bodies(&mut shares, rounds, shape.measures)?;
        let mut outcome = self.measured_write(name, &mut shares, &bodies, shape)?;
        self.settle(&mut outcome, bytes_before, written(&shares))?;
        Ok(vec![outcome])
    }

    /// Writes a first round and waits until it can be read: from then on metrics and series exist.
    pub(super) fn warm_up(&self, shares: &mut Shares, shape: &Shape) -> Result<()> {
        let bodies = self.bodies(shares, 1, shape.measures)?;
        self.write(shares, &bodies, shape.measures)?;
        self.until_readable(shares, shape)?;
        Ok(())
    }

    /// Has the server settle, and adds to `outcome` what it holds and took for `measures` since it held `bytes_before`.
    pub(super) fn settle(
        &mut self,
        outcome: &mut Outcome,
        bytes_before: Option<u64>,
        measures: u64,
    ) -> Result<Settled> {
        outcome.set_memory(self.target.usage());
        let settled = self.target.settle()?;
        let grown = settled.data_bytes.zip(bytes_before).map(|(after, before)| after.saturating_sub(before));
        outcome.set_settled(&settled, grown, measures);
        Ok(settled)
    }

    /// Makes what the load needs on the server; a share of the groups for each worker.
    pub(super) fn groups(&self, shape: &Shape) -> Result<Shares> {
        let workers = self.args.workers;
        let groups = shape.metrics.div_ceil(shape.batch);
        let progress = Progress::new(self.clock, "metrics made", shape.metrics);
        self.in_parallel(0..workers, |worker| {
            let mut connection = self.target.connect()?;
            let indices = (worker..groups).step_by(workers);
            let make = |index| {
                let group = self.group(&mut connection, index, shape)?;
                progress.add(group.len());
                Ok(group)
            };
            indices.map(make).collect::<Result<_>>()
        })
    }

    pub(super) fn group(&self, connection: &mut Connection, index: usize, shape: &Shape) -> Result<Group> {
        let per_resource = match shape.form {
            Form::ByMetricId => shape.batch,
            _ => shape.per_resource.min(shape.batch),
        };
        let (mut resources, mut ids) = (Vec::new(), Vec::new());
        for begin in (0..shape.batch).step_by(per_resource) {
            let resource = ResourceId(self.clock.uuid());
            let count = per_resource.min(shape.batch - begin);
            match shape.form {
                Form::ByMetricId => {
                    let names: Vec<String> = (0..count).map(name_of).collect();
                    ids.extend(setup::resource(connection, resource, &names, shape.policy)?);
                }
                Form::ByResourceAndName => {
                    setup::resource(connection, resource, &[], shape.policy)?;
                }
                Form::ImportLines => {}
            }
            resources.push(resource);
        }
        let (form, policy, len) = (shape.form, shape.policy, shape.batch);
        let names = Names { form, policy, resources, per_resource, ids, len };
        let Shape { begin_seconds, step_seconds, .. } = *shape;
        Ok(Group::new(Arc::new(names), Origin { index, begin_seconds, step_seconds, seed: self.args.seed }))
    }

    /// Runs `work` for each item on a thread of its own.
    pub(super) fn in_parallel<I: Send, O: Send>(
        &self,
        items: impl IntoIterator<Item = I>,
        work: impl Fn(I) -> Result<O> + Sync,
    ) -> Result<Vec<O>> {
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect()
        })
    }

    /// Makes `rounds` bodies of each group, a worker's in order.
    pub(super) fn bodies(&self, shares: &mut Shares, rounds: usize, measures: u32) -> Result<Vec<Bodies>> {
        self.in_parallel(shares, |share| Ok(Bodies::of(share, rounds, measures)))
    }

    /// Writes all bodies of all workers as fast as the server takes them.
    pub(super) fn write(&self, shares: &mut Shares, bodies: &[Bodies], measures: u32) -> Result<Tally> {
        let tallies = self.in_parallel(shares.iter_mut().zip(bodies), |(share, bodies)| {
            let mut connection = self.target.connect()?;
            let mut tally = Tally::default();
            for (at, body) in bodies.iter().enumerate() {
                let of = at % share.len();
                let group = &share[of];
                let request = Request { method: "POST", path: group.names().form.path(), body };
                let answer = tally.timed(&self.clock, &mut connection, request)?;
                tally.items += group.acknowledge(&answer, measures);
            }
            Ok(tally)
        })?;
        Ok(merged(tallies))
    }

    /// Measures `work`, which says how many items it did by its tally.
    pub(super) fn measured(
        &self,
        name: &str,
        unit: &'static str,
        work: impl FnOnce() -> Result<Tally>,
    ) -> Result<Outcome> {
        let (server_before, client_before) = (self.target.usage(), own_cpu_seconds());
        let begin_ns = self.clock.monotonic_ns();
        let tally = work()?;
        let ns = self.clock.monotonic_ns() - begin_ns;
        let cpu = |before, after| difference(before, after, |usage| usage.cpu_seconds);
        let mut outcome = Outcome::new(name, self.target.kind, unit, tally, seconds(ns));
        let client = own_cpu_seconds().zip(client_before).map(|(after, before)| after - before);
        outcome.set_cpu(cpu(server_before, self.target.usage()), client);
        Ok(outcome)
    }

    /// Writes all bodies, waits until they can be read and checks that they can.
    pub(super) fn measured_write(
        &self,
        name: &str,
        shares: &mut Shares,
        bodies: &[Bodies],
        shape: &Shape,
    ) -> Result<Outcome> {
        let before = self.target.usage();
        let begin_ns = self.clock.monotonic_ns();
        let mut outcome = self.measured(name, "measures", || self.write(shares, bodies, shape.measures))?;
        outcome.unverified = self.until_readable(shares, shape)?;
        outcome.set_readable(seconds(self.clock.monotonic_ns() - begin_ns));
        outcome.set_server_cpu(difference(before, self.target.usage(), |usage| usage.cpu_seconds));
        Ok(outcome)
    }

    /// Waits until groups' last series show what was acknowledged; returns how many do not in the end.
    fn until_readable(&self, shares: &Shares, shape: &Shape) -> Result<u64> {
        let mut connection = self.target.connect()?;
        let end_ns = self.clock.monotonic_ns() + READABLE_TIMEOUT_NS;
        if self.target.kind == Kind::Gnocchi {
            while backlog(&mut connection)? > 0 && self.clock.monotonic_ns() < end_ns {
                std::thread::sleep(READABLE_POLL);
            }
        }
        let mut missing = 0;
        for share in shares {
            for group in share.iter().rev().take(VERIFIED_GROUPS.div_ceil(shares.len())) {
                let mut counted = self.count(&mut connection, group, shape)?;
                while counted != group.acknowledged()
                    && self.target.kind != Kind::Nephometer
                    && self.clock.monotonic_ns() < end_ns
                {
                    std::thread::sleep(READABLE_POLL);
                    counted = self.count(&mut connection, group, shape)?;
                }
                let expected = group.acknowledged();
                if counted != expected {
                    let series = group.names().path(group.len() - 1);
                    tracing::warn!(series, counted, expected, "does not read back");
                    missing += 1;
                }
            }
        }
        Ok(missing)
    }

    /// How many measures of a group's last series can be read.
    fn count(&self, connection: &mut Connection, group: &Group, shape: &Shape) -> Result<u64> {
        let last = group.len() - 1;
        if shape.form == Form::ImportLines {
            let selector = escaped(&group.names().selector(last));
            let answer =
                connection.request("GET", &format!("/api/v1/export?match[]={selector}&start=1"), b"")?;
            if answer.body.is_empty() {
                return Ok(0);
            }
            let values = answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let lengths = values.map(|line| {
                let line: Value = serde_json::from_slice(line)?;
                Ok(line["values"].as_array().map_or(0, |values| values.len() as u64))
            });
            return lengths.sum();
        }
        let step = setup::coarsest_step(shape.policy);
        let of = group.names().path(last);
        let path = format!("{of}/measures?aggregation=count&granularity={step}");
        let answer = connection.request("GET", &path, b"")?;
        if answer.status == 404 {
            return Ok(0);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
        Ok(rows(&answer.json()?)?.iter().filter_map(|row| row[2].as_f64()).sum::<f64>() as u64)
    }

    /// Sends one request over and over on one connection; the first answer must hold `expected` points, later ones
    /// must be as long.
    pub(super) fn repeated(
        &self,
        name: &str,
        request: Request<'_>,
        expected: u64,
        count: impl Fn(&Value) -> Result<u64>,
    ) -> Result<Outcome> {
        let mut connection = self.target.connect()?;
        let first = connection.request(request.method, request.path, request.body)?;
        let counted = count(&first.json()?)?;
        let mut outcome = self.measured(name, "points", || {
            let mut tally = Tally::default();
            let is_over = self.timer();
            while !is_over() {
                let answer = tally.timed(&self.clock, &mut connection, request)?;
                tally.items += counted;
                tally.failed += u64::from(answer.body.len() != first.body.len());
                connection.reuse(answer);
            }
            Ok(tally)
        })?;
        if counted != expected {
            tracing::warn!(name, counted, expected, "points of the first answer");
            outcome.unverified += 1;
        }
        Ok(outcome)
    }
}

impl Runner<'_> {
    /// Sends one request after the other, each with path and body of its own (a GET where that is empty), until
    /// `is_over`; `count` tells the items of an answer. With a time between two of them, latencies count from when a
    /// request should have been sent, so that one that had to wait for a slow one before it shows it.
    pub(super) fn varied(
        &self,
        every: Option<Duration>,
        make: impl Fn(&mut Random) -> (String, String),
        count: impl Fn(&Value) -> Result<u64>,
        is_over: impl Fn() -> bool,
    ) -> Result<Tally> {
        let mut connection = self.target.connect()?;
        let mut random = Random::new(self.args.seed);
        let mut tally = Tally::default();
        let mut schedule = Schedule::new(self.clock);
        while !is_over() {
            let (path, body) = make(&mut random);
            let method = if body.is_empty() { "GET" } else { "POST" };
            let request = Request { method, path: &path, body: body.as_bytes() };
            let begin_ns = schedule.next(every);
            let answer = tally.timed_from(begin_ns, &self.clock, &mut connection, request)?;
            schedule.answered();
            tally.items += count(&answer.json()?)?;
        }
        tally.latest_ns = schedule.latest_ns();
        Ok(tally)
    }

    /// What is over when the time for one measurement has passed, counted from now.
    pub(super) fn timer(&self) -> impl Fn() -> bool {
        let (clock, end_ns) = (self.clock, self.clock.monotonic_ns() + self.args.duration_ns());
        move || clock.monotonic_ns() >= end_ns
    }
}

impl Group {
    /// Notes an answer to its latest body; returns how many measures it acknowledged.
    pub(super) fn acknowledge(&self, answer: &Answer, measures: u32) -> u64 {
        if !(200..300).contains(&answer.status) {
            return 0;
        }
        self.note_acknowledged(u64::from(measures));
        u64::from(measures) * self.len() as u64
    }
}

/// All measures of these groups that were acknowledged.
pub(super) fn written(shares: &Shares) -> u64 {
    shares.iter().flatten().map(|group| group.acknowledged() * group.len() as u64).sum()
}

/// The sum of all workers'.
pub(super) fn merged(tallies: Vec<Tally>) -> Tally {
    tallies.into_iter().fold(Tally::default(), |mut sum, tally| {
        sum.merge(tally);
        sum
    })
}

/// CPU time of this process without the servers that it started.
fn own_cpu_seconds() -> Option<f64> {
    process_use(std::process::id()).map(|used| used.cpu_seconds)
}

/// Measures that Gnocchi has not processed yet.
fn backlog(connection: &mut Connection) -> Result<u64> {
    let status = connection.request("GET", "/v1/status?details=false", b"")?.json()?;
    status["storage"]["summary"]["measures"].as_u64().context("the status counts measures")
}

/// A list of `[timestamp, granularity, value]`.
pub(super) fn rows(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("expected a list of measures, found {value}"))
}

/// Text for a query of a URL.
pub(super) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
