//! How far something has come that may take minutes, told now and then.

use std::sync::atomic::{AtomicU64, Ordering};

use nephometer_model::{Clock, SystemClock};

use super::target::seconds;

/// Between two lines.
const EVERY_NS: u64 = 10_000_000_000;

/// Counts what many threads have done of something.
pub(super) struct Progress {
    clock: SystemClock,
    what: &'static str,
    total: usize,
    begin_ns: u64,
    next_ns: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// Nothing of `total` is done.
    pub(super) fn new(clock: SystemClock, what: &'static str, total: usize) -> Self {
        let begin_ns = clock.monotonic_ns();
        Self {
            clock,
            what,
            total,
            begin_ns,
            next_ns: AtomicU64::new(begin_ns + EVERY_NS),
            done: AtomicU64::new(0),
        }
    }

    /// Notes that `more` are done, and tells where it is time.
    pub(super) fn add(&self, more: usize) {
        let done = self.done.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
        let (now_ns, next_ns) = (self.clock.monotonic_ns(), self.next_ns.load(Ordering::Relaxed));
        let is_ours = now_ns >= next_ns
            && self
                .next_ns
                .compare_exchange(next_ns, now_ns + EVERY_NS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_ours {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = done as f64 / seconds(now_ns - self.begin_ns);
            eprintln!("{done} of {} {}, {rate:.0} a second", self.total, self.what);
        }
    }
}
