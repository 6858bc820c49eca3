//! What an evaluator has done: counts, and how long after their measures alarms were decided.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Buckets of the lag: a quarter of a power of two each, from a microsecond on.
const BUCKETS: usize = 128;
/// How long lags are remembered at least; nanoseconds.
const WINDOW_NS: u64 = 60_000_000_000;

/// How long after their measures were acknowledged alarms were decided, over the last one to two minutes; milliseconds,
/// exact to a fifth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lag {
    /// How many decisions.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// Of a hundred, ninety-nine took no longer.
    pub p99_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

/// What an evaluator is and has done.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EvaluatorStatus {
    /// Shares that it holds.
    pub shares: u64,
    /// Alarms that it evaluates.
    pub alarms: u64,
    /// Series whose measures start evaluations.
    pub series: u64,
    /// Evaluations since the start.
    pub evaluations: u64,
    /// Of these, started by measures.
    pub started_by_measures: u64,
    /// Evaluations that went wrong.
    pub failures: u64,
    /// Changes of state that were written.
    pub transitions: u64,
    /// Decisions that were not written because alarm or share had changed meanwhile.
    pub outdated: u64,
    /// See [`Lag`].
    pub lag: Lag,
}

struct Lags {
    counts: [[u64; BUCKETS]; 2],
    max_ns: [u64; 2],
    since_ns: u64,
}

impl Lags {
    /// Forgets what is too old at `now_ns`.
    fn turn(&mut self, now_ns: u64) {
        let windows = now_ns.saturating_sub(self.since_ns) / WINDOW_NS;
        if windows == 0 {
            return;
        }
        let last = if windows == 1 { (self.counts[0], self.max_ns[0]) } else { ([0; BUCKETS], 0) };
        (self.counts[1], self.max_ns[1]) = last;
        (self.counts[0], self.max_ns[0]) = ([0; BUCKETS], 0);
        self.since_ns += windows * WINDOW_NS;
    }
}

/// The bucket of a lag.
fn bucket(lag_ns: u64) -> usize {
    let micros = (lag_ns / 1000).max(1);
    let power = 63 - micros.leading_zeros();
    let quarter = if power >= 2 { (micros >> (power - 2)) & 3 } else { 0 };
    (power as usize * 4 + usize::try_from(quarter).unwrap_or(0)).min(BUCKETS - 1)
}

/// The upper end of a bucket in milliseconds.
fn upper_ms(bucket: usize) -> f64 {
    let (power, quarter) = (bucket / 4, bucket % 4);
    2_f64.powi(i32::try_from(power).unwrap_or(0)) * (1.25 + 0.25 * quarter as f64) / 1000.0
}

/// Counts as they grow.
pub(super) struct Counters {
    pub(super) shares: AtomicU64,
    pub(super) alarms: AtomicU64,
    pub(super) evaluations: AtomicU64,
    pub(super) started_by_measures: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) transitions: AtomicU64,
    pub(super) outdated: AtomicU64,
    lags: Mutex<Lags>,
}

impl Counters {
    pub(super) fn new(now_ns: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            shares: zero(),
            alarms: zero(),
            evaluations: zero(),
            started_by_measures: zero(),
            failures: zero(),
            transitions: zero(),
            outdated: zero(),
            lags: Mutex::new(Lags { counts: [[0; BUCKETS]; 2], max_ns: [0; 2], since_ns: now_ns }),
        }
    }

    /// Takes a decision at `now_ns` on measures of `since_ns` into account.
    pub(super) fn decided(&self, since_ns: u64, now_ns: u64) {
        let lag_ns = now_ns.saturating_sub(since_ns);
        let mut lags = self.lags.lock();
        lags.turn(now_ns);
        lags.counts[0][bucket(lag_ns)] += 1;
        lags.max_ns[0] = lags.max_ns[0].max(lag_ns);
    }

    fn lag(&self, now_ns: u64) -> Lag {
        let mut lags = self.lags.lock();
        lags.turn(now_ns);
        let counts: Vec<u64> = (0..BUCKETS).map(|at| lags.counts[0][at] + lags.counts[1][at]).collect();
        let max_ns = lags.max_ns[0].max(lags.max_ns[1]);
        drop(lags);
        let count: u64 = counts.iter().sum();
        let max_ms = max_ns as f64 / 1e6;
        let quantile = |hundredths: u64| {
            let wanted = (count * hundredths).div_ceil(100);
            let mut seen = 0;
            let found = counts.iter().position(|in_bucket| {
                seen += in_bucket;
                seen >= wanted && wanted > 0
            });
            found.map_or(0.0, upper_ms).min(max_ms)
        };
        Lag { count, p50_ms: quantile(50), p99_ms: quantile(99), max_ms }
    }

    /// All of it.
    pub(super) fn status(&self, series: u64, now_ns: u64) -> EvaluatorStatus {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EvaluatorStatus {
            shares: value(&self.shares),
            alarms: value(&self.alarms),
            series,
            evaluations: value(&self.evaluations),
            started_by_measures: value(&self.started_by_measures),
            failures: value(&self.failures),
            transitions: value(&self.transitions),
            outdated: value(&self.outdated),
            lag: self.lag(now_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_exact_to_a_quarter_and_forgotten() {
        let counters = Counters::new(0);
        assert_eq!(counters.lag(0), Lag::default());
        for lag_ms in 1..=100_u64 {
            counters.decided(0, lag_ms * 1_000_000);
        }
        let lag = counters.lag(100_000_000);
        assert_eq!((lag.count, lag.max_ms), (100, 100.0));
        assert!((50.0..=62.5).contains(&lag.p50_ms) && (99.0..=100.0).contains(&lag.p99_ms), "{lag:?}");
        assert_eq!(counters.lag(WINDOW_NS).count, 100);
        assert_eq!(counters.lag(2 * WINDOW_NS), Lag::default());
        counters.decided(0, 5 * WINDOW_NS);
        assert_eq!(counters.lag(9 * WINDOW_NS), Lag::default());
    }

    #[test]
    fn every_lag_lies_in_its_bucket() {
        for lag_ns in [0, 999, 1_000, 1_999, 2_000, 5_500, 1_000_000, 123_456_789, u64::MAX] {
            let bucket = bucket(lag_ns);
            assert!(bucket == BUCKETS - 1 || (lag_ns as f64) / 1e6 < upper_ms(bucket) * 2.0, "{lag_ns}");
        }
    }
}
