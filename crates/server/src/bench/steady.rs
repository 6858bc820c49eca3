//! A long run at a steady rate: what it costs a server to live with a cloud. Every metric is written once, then all go on
//! at the rate, their times those of the machine's clock; random series are read and checked meanwhile. In the end the
//! server is stopped (or killed first) and started on what it has.

mod probe;
mod summary;
mod watch;

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use nephometer_model::Clock;

use super::args::Kind;
use super::load::Record;
use super::log::Log;
use super::report::Outcome;
use super::runner::{Runner, Shape, Shares, written};
use super::tally::Tally;
use super::target::{Target, seconds};
use probe::Probe;
pub(super) use summary::Summary;
use watch::{Seen, Watch};

/// Between two lines of a long run; a short run has [`LINES`] of them.
const LINE_SECONDS: f64 = 60.0;
const LINES: f64 = 5.0;
/// Series that are compared after each start.
const COMPARED: usize = 500;

/// Writes every metric once, then at `--rate` for `--seconds`, with a line a minute on standard error.
pub(super) fn run(runner: &mut Runner<'_>, name: &str, shape: &Shape) -> Result<Vec<Outcome>> {
    let now_seconds = runner.clock.now().ns() / 1_000_000_000;
    let step = i64::from(shape.step_seconds);
    let begin_seconds = now_seconds - now_seconds.rem_euclid(step) - step;
    let shape = &Shape { form: runner.form(shape.form), begin_seconds, ..*shape };
    let log = Log::open(runner.args.log.as_deref())?;
    log.line(&format!(
        "{name}: {} metrics, {} measures a second, for {} s",
        shape.metrics,
        runner.args.rate,
        runner.args.duration_seconds()
    ));
    let mut shares = runner.groups(shape)?;
    log.line(&format!("metrics are made: {}", made(runner)));
    let bytes_before = runner.target.data_bytes();
    runner.first_round(&mut shares, shape)?;
    log.line("every metric has been written once");
    let records: Vec<Record> = shares.iter().flatten().map(|group| group.record().clone()).collect();
    let (mut outcome, reads, mut summary) = load(runner, &mut shares, (name, shape), (&records, &log))?;
    let mut probe = Probe::new(&records, runner.args.seed ^ 1);
    if runner.args.kill {
        summary.note_killed(runner.target.usage());
        summary.start_after_kill_seconds = Some(runner.target.restart(true)?);
        outcome.unverified += compare(runner, &mut probe)?;
        log.line(&format!(
            "killed and started again: {:.2} s",
            summary.start_after_kill_seconds.unwrap_or(0.0)
        ));
    }
    summary.note_loaded(runner.target.usage());
    let settled = runner.settle(&mut outcome, bytes_before, written(&shares))?;
    outcome.unverified += compare(runner, &mut probe)?;
    summary.note_settled(&settled, outcome.disk_bytes_per_measure);
    for line in summary.lines() {
        log.line(&line);
    }
    outcome.write_amplification = summary.write_amplification;
    outcome.set_steady(summary);
    Ok(std::iter::once(outcome).chain(reads).collect())
}

fn made(runner: &Runner<'_>) -> String {
    const MIB: u64 = 1 << 20;
    let index = runner.target.index_bytes().map_or(0, |bytes| bytes / MIB);
    let usage = runner.target.usage().unwrap_or_default();
    format!(
        "{index} MiB of index, {:.1} s of CPU, {} MiB resident",
        usage.cpu_seconds,
        usage.resident_bytes / MIB
    )
}

/// Reads series that no one writes any more, and compares them; returns how many are wrong. Others than ours may not be
/// able to read what they have just taken.
fn compare(runner: &Runner<'_>, probe: &mut Probe<'_>) -> Result<u64> {
    if runner.target.kind != Kind::Nephometer {
        return Ok(0);
    }
    let mut connection = runner.target.connect()?;
    let mut tally = Tally::default();
    for _ in 0..COMPARED {
        probe.read(&runner.clock, runner.clock.monotonic_ns(), &mut connection, &mut tally)?;
    }
    Ok(std::mem::take(&mut probe.wrong) + tally.failed)
}

/// The load itself, with readings beside it and a line now and then.
fn load(
    runner: &Runner<'_>,
    shares: &mut Shares,
    (name, shape): (&str, &Shape),
    (records, log): (&[Record], &Log),
) -> Result<(Outcome, Option<Outcome>, Summary)> {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = runner.args.rate as f64;
    let seen = &Mutex::new(Seen::default());
    let target: &Target = runner.target;
    let begin_ns = runner.clock.monotonic_ns();
    let (done, is_done) = channel::<()>();
    let (outcome, wrong, watch) = std::thread::scope(|scope| {
        let watching = scope.spawn(move || watch_over((runner, rate), seen, log, &is_done));
        let reading = (target.kind == Kind::Nephometer)
            .then(|| scope.spawn(|| Probe::new(records, runner.args.seed).run(runner, seen)));
        let outcome = runner.measured(name, "measures", || {
            runner.write_paced(shares, shape, rate, |latency_ns, items| {
                Seen::note_write(seen, latency_ns, items)
            })
        });
        drop(done);
        let wrong = reading.map(|thread| thread.join().expect("the reader does not panic")).transpose();
        let watch = watching.join().expect("the watcher does not panic");
        anyhow::Ok((outcome?, wrong?, watch))
    })?;
    let ran_seconds = seconds(runner.clock.monotonic_ns() - begin_ns);
    let reads = wrong.map(|(tally, wrong)| {
        let mut reads = Outcome::new(&format!("{name}.read"), target.kind, "points", tally, ran_seconds);
        reads.unverified = wrong;
        reads
    });
    let summary = watch.summary(&outcome, rate);
    Ok((outcome, reads, summary))
}

/// Looks at the server until the load is over.
fn watch_over(
    (runner, rate): (&Runner<'_>, f64),
    seen: &Mutex<Seen>,
    log: &Log,
    is_done: &Receiver<()>,
) -> Watch {
    let every = Duration::from_secs_f64(LINE_SECONDS.min(runner.args.duration_seconds() / LINES).max(0.1));
    let mut watch = Watch::begin(runner.clock, runner.target);
    while is_done.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        log.line(&watch.line(runner.target, Seen::take(seen), rate));
    }
    log.line(&watch.line(runner.target, Seen::take(seen), rate));
    watch
}

impl Runner<'_> {
    /// Writes every series once, body by body.
    fn first_round(&self, shares: &mut Shares, shape: &Shape) -> Result<()> {
        let progress = super::progress::Progress::new(self.clock, "metrics written", shape.metrics);
        self.in_parallel(shares, |share| {
            let mut connection = self.target.connect()?;
            let mut body = Vec::new();
            for group in share {
                body.clear();
                group.write_body(shape.measures, &mut body);
                let path = group.names().form.path();
                let request = super::tally::Request { method: "POST", path, body: &body };
                let answer = Tally::default().timed(&self.clock, &mut connection, request)?;
                if group.acknowledge(&answer, shape.measures) == 0 {
                    anyhow::bail!("{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
                }
                progress.add(group.len());
            }
            Ok(())
        })
        .map(drop)
        .context("the first measure of each metric")
    }
}
