//! When a task's cycles begin: spread over the interval by a stable identity, so that a cloud's agents do not ask all at
//! once, and the same after a restart.

use std::time::Duration;

use nephometer_model::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

/// The first cycle begins within this after a start, so that somebody who has just started an agent sees something.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// The beginnings of cycles, as spans since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    interval: Duration,
    first: Duration,
    second: Duration,
}

impl Schedule {
    /// Cycles every `interval`, for a start at `now`. They begin `identity`'s part of `jitter` (an interval at most) after
    /// multiples of the interval since the epoch; the first comes soon, and the second half an interval to one and a half
    /// later. Without jitter the first begins at once, and all others are counted from it, as upstream has it.
    pub fn new(interval: Duration, jitter: Duration, identity: &str, now: Timestamp) -> Self {
        let jitter = jitter.min(interval);
        if jitter.is_zero() {
            return Self { interval, first: Duration::ZERO, second: interval };
        }
        let part = part_of(identity);
        let first = jitter.min(FIRST_WITHIN).mul_f64(part);
        let (interval_ns, phase_ns) = (nanos(interval), nanos(jitter.mul_f64(part)));
        let aligned_ns = (phase_ns - i128::from(now.ns())).rem_euclid(interval_ns);
        let earliest_ns = nanos(first) + interval_ns / 2;
        let missed = (earliest_ns - aligned_ns).max(0);
        let slots = (missed + interval_ns - 1) / interval_ns;
        Self { interval, first, second: span(aligned_ns + slots * interval_ns) }
    }

    /// When the first begins.
    pub fn first(&self) -> Duration {
        self.first
    }

    /// When the next one after that of `due` begins, if it is `now`, and how many are left out because it is too late
    /// for them.
    pub fn next(&self, due: Duration, now: Duration) -> (Duration, u64) {
        let following = if due < self.second { self.second } else { due + self.interval };
        if following >= now {
            return (following, 0);
        }
        let (late_ns, interval_ns) = (nanos(now - following), nanos(self.interval));
        let left_out = (late_ns + interval_ns - 1) / interval_ns;
        (following + span(left_out * interval_ns), u64::try_from(left_out).unwrap_or(u64::MAX))
    }
}

/// The place of `identity` between 0 and 1.
fn part_of(identity: &str) -> f64 {
    (xxh3_64(identity.as_bytes()) >> 11) as f64 / (1_u64 << 53) as f64
}

fn nanos(span: Duration) -> i128 {
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

fn span(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: Timestamp = Timestamp::from_ns(0);

    #[test]
    fn without_jitter_it_is_as_upstream_has_it() {
        let schedule = Schedule::new(Duration::from_secs(60), Duration::ZERO, "host", EPOCH);
        assert_eq!(schedule.first(), Duration::ZERO);
        let seconds = |due, now| {
            let (next, left_out) = schedule.next(Duration::from_secs(due), Duration::from_secs(now));
            (next.as_secs(), left_out)
        };
        assert_eq!((seconds(0, 5), seconds(60, 119), seconds(60, 120)), ((60, 0), (120, 0), (120, 0)));
        assert_eq!((seconds(60, 121), seconds(0, 185)), ((180, 1), (240, 3)));
    }

    #[test]
    fn agents_are_spread_evenly() {
        let interval = Duration::from_secs(300);
        let mut slots = [0_u32; 10];
        for host in 0..1000 {
            let schedule = Schedule::new(interval, Duration::MAX, &format!("compute-{host}"), EPOCH);
            slots[(schedule.second.as_secs() % 300 / 30) as usize] += 1;
        }
        assert!(slots.iter().all(|agents| (60..=140).contains(agents)), "{slots:?}");
    }

    proptest! {
        #[test]
        fn cycles_keep_their_phase_and_never_overlap(
            interval in 1_u64..4000,
            jitter in 0_u64..5000,
            identity in "[a-z]{0,8}",
            start_ns in 0_i64..4_000_000_000_000_000_000,
            took_ms in prop::collection::vec(0_u64..9_000_000, 1..20),
        ) {
            let (interval, jitter) = (Duration::from_secs(interval), Duration::from_secs(jitter));
            let make = |start_ns| Schedule::new(interval, jitter, &identity, Timestamp::from_ns(start_ns));
            let schedule = make(start_ns);
            prop_assert!(schedule.first() <= FIRST_WITHIN.min(jitter));
            let mut due = schedule.first();
            let mut phase = None;
            for took in took_ms {
                let end = due + Duration::from_millis(took);
                let (next, left_out) = schedule.next(due, end);
                prop_assert!(next >= end && next > due, "{next:?} begins before {end:?}");
                prop_assert!(next < end + interval * 2, "{next:?} is late after {end:?}");
                prop_assert!(next - due >= interval / 2 && (took > 0 || left_out == 0));
                let of = (i128::from(start_ns) + nanos(next)).rem_euclid(nanos(interval));
                prop_assert!(phase.is_none_or(|phase| phase == of));
                phase = Some(of);
                due = next;
            }
            // After a restart the phase is the same.
            if !jitter.is_zero() {
                let again = make(start_ns + 12_345_678_901);
                let of = (i128::from(start_ns) + 12_345_678_901 + nanos(again.second)).rem_euclid(nanos(interval));
                prop_assert_eq!(phase, Some(of));
            }
        }
    }
}
