//! Retention at work: on a server whose time is hastened, months' worth of flushing, merging, rolling up and dropping
//! happen in seconds, with late measures, deletions, a kill and a restart between. Answers are compared with a plain
//! model all the way, and the disk has to return to a flat line.

mod check;
mod disk;
mod metric;
mod model;
mod policies;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nephometer_model::{Clock, SystemClock, Timestamp};

use crate::client::Connection;

use super::report::Outcome;
use super::runner::Runner;
use super::setup::make;
use super::tally::{Request, Tally};
use super::target::seconds;
use super::values::Random;
use check::Checker;
pub(super) use disk::DiskUse;
use disk::Sample;
use metric::Metric;
use policies::{MIN_RAW_SECONDS, POLICIES, longest_span_seconds};

/// Simulated hours of a run; nothing shows longer than a third of it.
const HOURS: u32 = 36;
/// How long a run takes, unless told otherwise.
const SECONDS: f64 = 30.0;
/// Simulated seconds between two requests.
const ROUND_SECONDS: i64 = 600;
const ROUNDS: i64 = HOURS as i64 * 3600 / ROUND_SECONDS;
/// Metrics, unless told otherwise.
const METRICS: usize = 60;
/// Random readings a round.
const READS: usize = 10;
/// A metric is deleted, and another one begins, every so many rounds.
const DELETE_ROUNDS: i64 = 6;

/// Time that goes so fast that [`HOURS`] pass in the run: where it begins, in seconds since 1970, and how fast it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Haste {
    from_seconds: i64,
    times: u32,
}

impl Haste {
    /// From now on.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, which is meant")]
    pub(super) fn of(seconds: Option<f64>) -> Self {
        let times = f64::from(HOURS) * 3600.0 / seconds.unwrap_or(SECONDS).max(1.0);
        let from_seconds = SystemClock::new().now().ns() / 1_000_000_000;
        Self { from_seconds, times: times.ceil() as u32 }
    }

    /// The argument of `serve`.
    pub(super) fn argument(self) -> String {
        format!("--hasten={},{}", self.from_seconds, self.times)
    }

    fn clock(self) -> SystemClock {
        SystemClock::hastened(Timestamp::from_ns(self.from_seconds * 1_000_000_000), self.times)
    }
}

/// Settings that make the engine write and merge small parts all the time.
pub(super) fn settings() -> Vec<String> {
    [
        "engine.sacks=2",
        "engine.partition_seconds=3600",
        &format!("engine.min_raw_seconds={MIN_RAW_SECONDS}"),
        "engine.garbage_seconds=600",
        "engine.flush_head_bytes=65536",
        "engine.flush_log_bytes=262144",
        "engine.flush_age_seconds=1",
        "engine.log_segment_bytes=65536",
        "engine.merge_fan_in=3",
    ]
    .map(|setting: &str| setting.to_owned())
    .to_vec()
}

/// The workload.
pub(super) fn run(runner: &mut Runner<'_>, haste: Haste) -> Result<Vec<Outcome>> {
    let data_dir =
        runner.target.data_dir().context("the workload `retention` starts its own server")?.to_owned();
    let mut world = World::create(runner, haste)?;
    let mut checker = Checker::default();
    let mut samples = Vec::new();
    let mut writes = Tally::default();
    let begin_ns = runner.clock.monotonic_ns();
    for round in 0..ROUNDS {
        world.round(round, &mut writes, &mut checker)?;
        samples.push(world.sample(&data_dir));
        world.interfere(round, runner, &mut checker)?;
    }
    let seconds = seconds(runner.clock.monotonic_ns() - begin_ns);
    let mut written = Outcome::new("retention", runner.target.kind, "measures", writes, seconds);
    // Bytes a measure would say nothing: most measures are gone.
    let settled = runner.settle(&mut written, None, 0)?;
    world.connection = runner.target.connect()?;
    checker.everything(&mut world.connection, &world.metrics)?;
    let warm_hours = hours(longest_span_seconds() + 2 * 3600);
    let mut disk = DiskUse::of(&samples, warm_hours);
    disk.settled_bytes = settled.data_bytes.unwrap_or(0);
    disk.shown_measures = world.metrics.iter().map(Metric::shown_measures).sum();
    written.unverified = checker.wrong;
    written.set_disk(disk);
    let reads = Outcome::new("retention.read", runner.target.kind, "points", checker.tally, seconds);
    Ok(vec![written, reads])
}

/// Metrics, and the time of the server that keeps them.
struct World {
    clock: SystemClock,
    begin_seconds: i64,
    random: Random,
    metrics: Vec<Metric>,
    connection: Connection,
    /// For latencies and ids.
    own_clock: SystemClock,
    seed: u64,
}

impl World {
    fn create(runner: &Runner<'_>, haste: Haste) -> Result<Self> {
        let mut connection = runner.target.connect()?;
        for policy in &POLICIES {
            make(&mut connection, "/v1/archive_policy", &policy.body())?;
        }
        let clock = haste.clock();
        // Whole rounds, so that runs with one seed differ in nothing but the time at which they begin.
        let begin_seconds = (clock.now().ns() / 1_000_000_000 / 86_400 + 1) * 86_400;
        let mut world = Self {
            clock,
            begin_seconds,
            random: Random::new(runner.args.seed),
            metrics: Vec::new(),
            connection,
            own_clock: runner.clock,
            seed: runner.args.seed,
        };
        for index in 0..runner.args.metrics.unwrap_or(METRICS) {
            let metric = world.new_metric(index, begin_seconds)?;
            world.metrics.push(metric);
        }
        Ok(world)
    }

    fn new_metric(&mut self, index: usize, begin_seconds: i64) -> Result<Metric> {
        let policy = &POLICIES[index % POLICIES.len()];
        Metric::create(&mut self.connection, policy, (index as u64, self.seed), begin_seconds)
    }

    /// Writes what is measured until the end of a round, deletes something, and reads here and there.
    fn round(&mut self, round: i64, writes: &mut Tally, checker: &mut Checker) -> Result<()> {
        let end_seconds = self.begin_seconds + (round + 1) * ROUND_SECONDS;
        self.wait_until(end_seconds);
        let mut body = Vec::new();
        for metric in &mut self.metrics {
            writes.items += metric.write_body(end_seconds, &mut self.random, &mut body);
        }
        body.push(b'}');
        let request = Request { method: "POST", path: "/v1/batch/metrics/measures", body: &body };
        let answer = writes.timed(&self.own_clock, &mut self.connection, request)?;
        if answer.status != 202 {
            bail!("a write of the round {round} was answered with {}", answer.status);
        }
        for metric in &mut self.metrics {
            metric.delete_sometimes(&mut self.connection, &mut self.random)?;
        }
        for _ in 0..READS {
            let at = below(&mut self.random, self.metrics.len());
            checker.anything(&mut self.connection, &self.metrics[at], &mut self.random)?;
        }
        Ok(())
    }

    /// Sleeps until the server's time is `seconds`.
    fn wait_until(&self, seconds: i64) {
        while self.clock.now().ns() < seconds * 1_000_000_000 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// After some rounds a metric goes, after others the server, or everything is checked.
    fn interfere(&mut self, round: i64, runner: &mut Runner<'_>, checker: &mut Checker) -> Result<()> {
        if round % DELETE_ROUNDS == DELETE_ROUNDS - 1 {
            let at = below(&mut self.random, self.metrics.len());
            let begin = self.metrics[at].next_seconds;
            checker.gone(&mut self.connection, &self.metrics[at])?;
            let index = at + self.metrics.len() * usize::try_from(round + 1)?;
            let index = index - index % POLICIES.len() + at % POLICIES.len();
            self.metrics[at] = self.new_metric(index, begin)?;
        }
        let is = |part: i64| round == ROUNDS * part / 8;
        if is(3) || is(5) {
            runner.target.restart(is(3))?;
            self.connection = runner.target.connect()?;
        }
        if is(1) || is(3) || is(5) || is(7) {
            checker.everything(&mut self.connection, &self.metrics)?;
        }
        Ok(())
    }

    fn sample(&self, data_dir: &Path) -> Sample {
        Sample::of(data_dir, hours(self.clock.now().ns() / 1_000_000_000 - self.begin_seconds))
    }
}

/// A random index.
fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "figures for reports")]
fn hours(seconds: i64) -> f64 {
    seconds as f64 / 3600.0
}
