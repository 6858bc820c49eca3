//! An open loop: requests have times at which they are sent, however long the answers take.

use std::time::Duration;

use anyhow::Result;
use nephometer_model::Clock;

use super::load::Group;
use super::runner::{Runner, Shape, Shares, merged};
use super::tally::{Request, Tally};

impl Runner<'_> {
    /// Writes `rate` measures a second for as long as a measurement takes; latencies count from when a request should
    /// have been sent. `each` is told the latency and the measures of every request.
    pub(super) fn write_paced(
        &self,
        shares: &mut Shares,
        shape: &Shape,
        rate: f64,
        each: impl Fn(u64, u64) + Sync,
    ) -> Result<Tally> {
        let begin_ns = self.clock.monotonic_ns();
        let tallies = self.in_parallel(shares.iter_mut().enumerate(), |(worker, share)| {
            self.write_share_paced(share, shape, begin_ns, (worker, rate), &each)
        })?;
        Ok(merged(tallies))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "nanoseconds of a run"
    )]
    fn write_share_paced(
        &self,
        share: &mut [Group],
        shape: &Shape,
        begin_ns: u64,
        (worker, rate): (usize, f64),
        each: &impl Fn(u64, u64),
    ) -> Result<Tally> {
        let mut connection = self.target.connect()?;
        let mut tally = Tally::default();
        let mut body = Vec::new();
        let request_ns = shape.batch as f64 * f64::from(shape.measures) * 1e9 / rate;
        let mut nth = worker;
        for at in (0..share.len()).cycle() {
            let due_ns = (nth as f64 * request_ns) as u64;
            if due_ns >= self.args.duration_ns() {
                break;
            }
            let due_ns = begin_ns + due_ns;
            let group = &mut share[at];
            body.clear();
            group.write_body(shape.measures, &mut body);
            let now_ns = self.clock.monotonic_ns();
            std::thread::sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns)));
            tally.latest_ns = tally.latest_ns.max(self.clock.monotonic_ns().saturating_sub(due_ns));
            let request = Request { method: "POST", path: group.names().form.path(), body: &body };
            let answer = tally.timed_from(due_ns, &self.clock, &mut connection, request)?;
            let items = group.acknowledge(&answer, shape.measures);
            tally.items += items;
            each(tally.latencies_ns.last().copied().unwrap_or(0), items);
            nth += self.args.workers;
        }
        Ok(tally)
    }
}
