//! When the requests of an open loop are due.

use std::time::Duration;

use nephometer_model::{Clock, SystemClock};

/// Due times at equal distances, however long answers take: a request that waits for the answer before it counts from
/// when it should have been sent. What the generator itself is late by (it reads an answer, or another thread has its
/// processor) is no waiting for the server: it moves the due time, and the greatest such delay is reported.
#[derive(Debug)]
pub(super) struct Schedule {
    clock: SystemClock,
    due_ns: u64,
    /// When the latest answer was here.
    answered_ns: u64,
    latest_ns: u64,
}

impl Schedule {
    /// The first request is due now.
    pub(super) fn new(clock: SystemClock) -> Self {
        let now_ns = clock.monotonic_ns();
        Self { clock, due_ns: now_ns, answered_ns: now_ns, latest_ns: 0 }
    }

    /// Waits until the next request may be sent; when its latency begins, in ns of the monotonic clock. Without a time
    /// between two requests it is due at once.
    pub(super) fn next(&mut self, every: Option<Duration>) -> u64 {
        let now_ns = self.clock.monotonic_ns();
        let Some(every) = every else { return now_ns };
        std::thread::sleep(Duration::from_nanos(self.due_ns.saturating_sub(now_ns)));
        let own_ns = own_delay_ns(self.due_ns, self.answered_ns, self.clock.monotonic_ns());
        self.latest_ns = self.latest_ns.max(own_ns);
        let begin_ns = self.due_ns + own_ns;
        self.due_ns = begin_ns + u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
        begin_ns
    }

    /// The answer is here.
    pub(super) fn answered(&mut self) {
        self.answered_ns = self.clock.monotonic_ns();
    }

    /// How late the generator was at most by its own doing.
    pub(super) const fn latest_ns(&self) -> u64 {
        self.latest_ns
    }
}

/// What of the lateness of a request that is sent now was no waiting for the answer before it.
fn own_delay_ns(due_ns: u64, answered_ns: u64, now_ns: u64) -> u64 {
    now_ns.saturating_sub(due_ns.max(answered_ns))
}

#[cfg(test)]
mod tests {
    use super::own_delay_ns;

    #[test]
    fn only_waiting_for_an_answer_counts_as_the_servers() {
        assert_eq!(own_delay_ns(100, 90, 100), 0, "in time");
        assert_eq!(own_delay_ns(100, 90, 130), 30, "woken late");
        assert_eq!(own_delay_ns(100, 150, 150), 0, "the answer came after the next was due");
        assert_eq!(own_delay_ns(100, 150, 170), 20, "and was read for a while");
    }
}
