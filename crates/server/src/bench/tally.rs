//! What a worker sees: how long requests took, how many were refused or failed.

use std::time::Duration;

use anyhow::{Result, bail};
use nephometer_model::{Clock, SystemClock};
use serde::Serialize;

use crate::client::{Answer, Connection};

/// So many refusals of one request in a row are too many.
const MAX_REFUSALS: u32 = 60;

/// What a worker saw.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) latencies_ns: Vec<u64>,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) items: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// How late the latest request was sent that had a time to be sent at.
    pub(super) latest_ns: u64,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
}

impl Tally {
    /// Adds another worker's.
    pub(super) fn merge(&mut self, other: Self) {
        self.latencies_ns.extend(other.latencies_ns);
        self.refused += other.refused;
        self.failed += other.failed;
        self.items += other.items;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.latest_ns = self.latest_ns.max(other.latest_ns);
    }

    /// Sends a request and measures it.
    pub(super) fn timed(
        &mut self,
        clock: &SystemClock,
        connection: &mut Connection,
        request: Request<'_>,
    ) -> Result<Answer> {
        self.timed_from(clock.monotonic_ns(), clock, connection, request)
    }

    /// Sends a request and measures it from `begin_ns` on, when it should have been sent; a 503 is tried again when the
    /// server says so, which counts.
    pub(super) fn timed_from(
        &mut self,
        begin_ns: u64,
        clock: &SystemClock,
        connection: &mut Connection,
        request: Request<'_>,
    ) -> Result<Answer> {
        let Request { method, path, body } = request;
        for _ in 0..MAX_REFUSALS {
            let answer = connection.request(method, path, body)?;
            if answer.status == 503 {
                self.refused += 1;
                std::thread::sleep(Duration::from_secs(answer.retry_after_seconds.unwrap_or(1)));
                continue;
            }
            self.latencies_ns.push(clock.monotonic_ns().saturating_sub(begin_ns));
            self.bytes_sent += body.len() as u64;
            self.bytes_received += answer.body.len() as u64;
            if !(200..300).contains(&answer.status) {
                self.failed += 1;
                tracing::warn!(status = answer.status, body = %String::from_utf8_lossy(&answer.body), "refused");
            }
            return Ok(answer);
        }
        bail!("{method} {path}: 503, {MAX_REFUSALS} times in a row")
    }
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Latency {
    /// Of nanoseconds, nearest rank.
    #[expect(clippy::cast_precision_loss, reason = "figures for reports")]
    pub(super) fn of(mut ns: Vec<u64>) -> Self {
        ns.sort_unstable();
        let Some(last) = ns.len().checked_sub(1) else { return Self::default() };
        let at = |per_cent: usize| ns[last * per_cent / 100] as f64 / 1e6;
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let Latency { p50, p90, p99, max } = Latency::of((1..=101).rev().map(|ms| ms * 1_000_000).collect());
        assert_eq!([p50, p90, p99, max].map(f64::round), [51.0, 91.0, 100.0, 101.0]);
        assert!(Latency::of(Vec::new()).max.abs() < 1e-9);
    }
}
