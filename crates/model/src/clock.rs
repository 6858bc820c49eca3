//! Time and fresh ids as parameters, so that one seed replays a run.

use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use crate::Timestamp;

/// Where "now" comes from.
pub trait Clock: Send + Sync + 'static {
    /// The current time, UTC.
    fn now(&self) -> Timestamp;
    /// The current time in whole microseconds, as the index keeps times.
    fn now_micros(&self) -> Timestamp {
        Timestamp::from_ns(self.now().ns().div_euclid(1000) * 1000)
    }
    /// Nanoseconds of a clock that never goes back, for measuring durations; its zero means nothing, and is the same for all
    /// processes of a machine until that starts anew.
    fn monotonic_ns(&self) -> u64;
}

/// Where fresh random ids come from.
pub trait IdSource: Send + Sync + 'static {
    /// A fresh version-4 UUID.
    fn uuid(&self) -> Uuid;
}

/// The machine's own clock and random source.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    /// Since then time passes `times` as fast as the machine's.
    from_ns: i64,
    times: u32,
}

impl SystemClock {
    /// The clock as it is.
    pub fn new() -> Self {
        Self { from_ns: 0, times: 1 }
    }

    /// A clock that has gone `times` as fast as the machine's since `from`, to rehearse in minutes what takes months. Its
    /// monotonic side goes as ever.
    pub fn hastened(from: Timestamp, times: u32) -> Self {
        Self { from_ns: from.ns(), times }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the ambient clock is read")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now_ns = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        let passed_ns = now_ns.saturating_sub(self.from_ns).saturating_mul(i64::from(self.times));
        Timestamp::from_ns(self.from_ns.saturating_add(passed_ns))
    }

    fn monotonic_ns(&self) -> u64 {
        // Not the standard library's: that has no number to give, only differences within a process.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
    }
}

impl IdSource for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where random ids are made")]
    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }
}

/// A clock that moves only when told, and ids counted up from a seed: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock {
    now_ns: AtomicI64,
    next_id: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now_ns: AtomicI64::new(now.ns()), next_id: AtomicI64::new(1) }
    }

    /// Moves the clock forward by `span_ns` nanoseconds.
    pub fn advance_ns(&self, span_ns: i64) {
        self.now_ns.fetch_add(span_ns, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ns(self.now_ns.load(Ordering::SeqCst))
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.now_ns.load(Ordering::SeqCst)).unwrap_or(0)
    }
}

impl IdSource for ManualClock {
    fn uuid(&self) -> Uuid {
        let n = self.next_id.fetch_add(1, Ordering::SeqCst);
        uuid::Builder::from_random_bytes(u128::from(n.unsigned_abs()).to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hastened_clock_begins_where_the_others_are() {
        let plain = SystemClock::new();
        let from = plain.now();
        let fast = SystemClock::hastened(from, 1_000_000);
        std::thread::sleep(std::time::Duration::from_millis(2));
        let passed_ns = fast.now().ns() - from.ns();
        assert!((2_000_000_000_000..2_000_000_000_000_000).contains(&passed_ns), "{passed_ns}");
        assert!(plain.now().ns() - from.ns() < 1_000_000_000_000);
    }
}
