//! Latency: writes at half of the largest rate, reads alone and under full write load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use super::report::Outcome;
use super::runner::{Runner, Shape, Shares, rows};
use super::values::Random;

/// Rounds that find the largest rate, unless told otherwise.
const ROUNDS: usize = 20;
/// Reads are sent so often, however long their answers take.
const BETWEEN_READS: Duration = Duration::from_millis(5);

/// Finds the largest rate, then measures.
pub(super) fn run(runner: &mut Runner<'_>, shape: &Shape) -> Result<Vec<Outcome>> {
    let mut shares = runner.groups(shape)?;
    let rounds = runner.args.rounds.unwrap_or(ROUNDS);
    let bodies = runner.bodies(&mut shares, rounds, shape.measures)?;
    let largest = runner.measured_write("latency.max", &mut shares, &bodies, shape)?;
    drop(bodies);
    let rate = largest.items_per_second / 2.0;
    let half = runner.measured("latency.half-rate", "measures", || {
        runner.write_paced(&mut shares, shape, rate, |_, _| {})
    })?;
    let ids: Vec<String> =
        shares.iter().flatten().flat_map(|group| group.ids()).map(|id| id.to_string()).collect();
    let alone = runner.measured("latency.read-alone", "points", || {
        let is_over = runner.timer();
        runner.varied(
            Some(BETWEEN_READS),
            |random| one_metric(&ids, random),
            |answer| Ok(rows(answer)?.len() as u64),
            is_over,
        )
    })?;
    let loaded = under_load(runner, &mut shares, shape, &ids, largest.items_per_second)?;
    Ok([largest, half, alone].into_iter().chain(loaded).collect())
}

/// A whole series of any metric.
fn one_metric(ids: &[String], random: &mut Random) -> (String, String) {
    let at = usize::try_from(random.below(ids.len() as u64)).unwrap_or(0);
    (format!("/v1/metric/{}/measures?aggregation=mean&granularity=60", ids[at]), String::new())
}

/// Reads while everything is written that the server takes.
fn under_load(
    runner: &Runner<'_>,
    shares: &mut Shares,
    shape: &Shape,
    ids: &[String],
    rate: f64,
) -> Result<[Outcome; 2]> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number"
    )]
    let rounds = (rate * runner.args.duration_seconds() / shape.metrics as f64).ceil() as usize;
    let bodies = runner.bodies(shares, rounds.max(1), shape.measures)?;
    let is_written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            runner.measured("latency.read-loaded", "points", || {
                let count = |answer: &_| Ok(rows(answer)?.len() as u64);
                let is_over = || is_written.load(Ordering::Relaxed);
                runner.varied(Some(BETWEEN_READS), |random| one_metric(ids, random), count, is_over)
            })
        });
        let writes = runner
            .measured("latency.write-loaded", "measures", || runner.write(shares, &bodies, shape.measures));
        is_written.store(true, Ordering::Relaxed);
        let reads = reader.join().expect("a reader does not panic")?;
        Ok([reads, writes?])
    })
}
