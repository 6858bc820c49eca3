//! A long run at a steady rate: what it costs a server to live with a cloud.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Result;
use nephometer_model::Clock;

use super::report::Outcome;
use super::runner::{Runner, Shape, written};
use super::target::{Target, seconds};
use super::usage::Usage;

/// Between two lines of a long run; a short run has [`LINES`] of them.
const LINE_SECONDS: f64 = 60.0;
const LINES: f64 = 5.0;

/// Writes every metric once, then at `--rate` for `--seconds`, with a line a minute on standard error.
pub(super) fn run(runner: &mut Runner<'_>, name: &str, shape: &Shape) -> Result<Vec<Outcome>> {
    let shape = &Shape { form: runner.form(shape.form), ..*shape };
    let mut shares = runner.groups(shape)?;
    let bytes_before = runner.target.data_bytes();
    runner.warm_up(&mut shares, shape)?;
    let before = runner.target.usage();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = runner.args.rate as f64;
    let mut outcome = std::thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let (clock, seconds) = (runner.clock, runner.args.duration_seconds());
        let target: &Target = runner.target;
        scope.spawn(move || {
            let every = Duration::from_secs_f64(LINE_SECONDS.min(seconds / LINES).max(0.1));
            let mut watch =
                Watch { begin_ns: clock.monotonic_ns(), last_ns: clock.monotonic_ns(), last: before };
            while is_done.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{}", watch.line(clock.monotonic_ns(), target));
            }
        });
        let outcome = runner.measured(name, "measures", || runner.write_paced(&mut shares, shape, rate));
        drop(done);
        outcome
    })?;
    let loaded = runner.target.usage();
    let settled = runner.settle(&mut outcome, bytes_before, written(&shares))?;
    outcome.write_amplification = amplification(before, loaded, &settled, bytes_before);
    Ok(vec![outcome])
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for reports")]
fn amplification(
    before: Option<Usage>,
    loaded: Option<Usage>,
    settled: &super::target::Settled,
    bytes_before: Option<u64>,
) -> Option<f64> {
    let bytes = loaded?.written_bytes - before?.written_bytes + settled.written_bytes?;
    let grown = settled.data_bytes?.checked_sub(bytes_before?).filter(|grown| *grown > 0)?;
    Some(bytes as f64 / grown as f64)
}

/// Looks at the server now and then.
struct Watch {
    begin_ns: u64,
    last_ns: u64,
    last: Option<Usage>,
}

impl Watch {
    /// What the server did since the line before.
    fn line(&mut self, now_ns: u64, target: &Target) -> String {
        const MIB: u64 = 1 << 20;
        let at = seconds(now_ns - self.begin_ns);
        let Some(now) = target.usage() else { return format!("{at:6.0} s: no process is known") };
        let since = self.last.unwrap_or(now);
        let share = (now.cpu_seconds - since.cpu_seconds) / seconds(now_ns - self.last_ns) * 100.0;
        let line = format!(
            "{at:6.0} s: {share:5.1} % of a core, {} MiB resident, {} MiB of measures, {} MiB written",
            now.resident_bytes / MIB,
            target.data_bytes().unwrap_or(0) / MIB,
            (now.written_bytes - since.written_bytes) / MIB,
        );
        (self.last_ns, self.last) = (now_ns, Some(now));
        line
    }
}
