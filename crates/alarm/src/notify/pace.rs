//! When an attempt that failed is repeated.

use std::time::Duration;

use nephometer_drivers::{Delivery, DeliveryEnd, DeliveryFailure};
use nephometer_model::{Clock, Timestamp};
use uuid::Uuid;

use super::Parcel;

/// How long a target may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// How attempts are repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pace {
    /// Longest pause after the first attempt; each further one is twice as long.
    pub(super) first_pause: Duration,
    /// Longest pause.
    pub(super) longest_pause: Duration,
    /// Attempts before a message is given up.
    pub(super) max_attempts: u32,
    /// Age at which a message is given up.
    pub(super) give_up_after: Duration,
}

/// A share of `whole`, from nothing to all of it, by the id and number of the attempt: those that failed together do not
/// come back together, and one seed replays a run.
pub(super) fn share(whole: Duration, id: Uuid, attempt: u32) -> Duration {
    let (high, low) = id.as_u64_pair();
    let mut bits = high ^ low ^ u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    whole.mul_f64(((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64)
}

/// `span` after `time`.
pub(super) fn after(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_ns(time.ns().saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
}

impl Pace {
    /// Whether a message waits for too long.
    fn is_old(&self, delivery: &Delivery, now: Timestamp) -> bool {
        let since = delivery.created_at.max(delivery.message.not_before);
        after(since, self.give_up_after) <= now
    }

    /// What becomes of the messages of a parcel whose attempt ended so. Those that are tried again are so together. Where
    /// there is a `longest` pause, it is that at most and no number of attempts is too many.
    pub(super) fn end(
        &self,
        parcel: &Parcel,
        outcome: Result<(), DeliveryFailure>,
        longest: Option<Duration>,
        clock: &dyn Clock,
    ) -> Vec<DeliveryEnd> {
        let all = |end: DeliveryEnd| vec![end; parcel.size()];
        let (reason, wish) = match outcome {
            Ok(()) => return all(DeliveryEnd::Delivered),
            Err(DeliveryFailure::Final(error)) => return all(DeliveryEnd::Dead { error }),
            Err(DeliveryFailure::Later { reason, retry_after }) => (reason, retry_after.unwrap_or_default()),
        };
        let (now, first) = (clock.now(), parcel.first());
        let growing = self.first_pause.saturating_mul(1_u32 << first.attempts.min(20));
        let growing = growing.min(longest.unwrap_or(Duration::MAX).min(self.longest_pause));
        let pause = share(growing, first.message.id, first.attempts.saturating_add(1));
        let at = after(now, pause.max(wish.min(LONGEST_WISH)));
        let end = |delivery: &Delivery| {
            let attempts = delivery.attempts.saturating_add(1);
            if (longest.is_none() && attempts >= self.max_attempts) || self.is_old(delivery, now) {
                return DeliveryEnd::Dead { error: format!("given up after {attempts} attempts: {reason}") };
            }
            DeliveryEnd::Retry { at, error: reason.clone() }
        };
        parcel.deliveries().iter().map(end).collect()
    }

    /// What becomes of a message that was not tried, and may be `pause` later.
    pub(super) fn untried(&self, delivery: &Delivery, pause: Duration, clock: &dyn Clock) -> DeliveryEnd {
        let now = clock.now();
        if self.is_old(delivery, now) {
            let reason = delivery.last_error.as_deref().unwrap_or("its target has had no time for it");
            return DeliveryEnd::Dead { error: format!("given up, too old: {reason}") };
        }
        DeliveryEnd::Returned { at: after(now, pause) }
    }
}

#[cfg(test)]
mod tests {
    use nephometer_drivers::NewDelivery;
    use nephometer_model::{AlarmId, ManualClock};

    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn delivery(id: u128, attempts: u32) -> Delivery {
        let message = NewDelivery {
            id: Uuid::from_u128(id),
            alarm_id: AlarmId("a".to_owned()),
            project_id: None,
            action: "http://h".to_owned(),
            payload: String::new(),
            not_before: Timestamp::default(),
            group: None,
        };
        Delivery { message, created_at: Timestamp::default(), attempts, last_error: None }
    }

    fn pace() -> Pace {
        Pace {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            max_attempts: 30,
            give_up_after: Duration::from_secs(1000),
        }
    }

    fn pause_seconds(delivery: &Delivery, failure: DeliveryFailure) -> f64 {
        let clock = ManualClock::at(Timestamp::default());
        match pace().end(&Parcel::one(delivery.clone()), Err(failure), None, &clock).remove(0) {
            DeliveryEnd::Retry { at, .. } => at.ns() as f64 / SECOND_NS as f64,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pauses_grow_and_differ() {
        for attempts in 0..29_u32 {
            let longest = f64::from(1_u32 << attempts.min(6)).min(60.0);
            let pauses: Vec<_> = (0..200)
                .map(|id| pause_seconds(&delivery(id, attempts), DeliveryFailure::later("no")))
                .collect();
            assert!(pauses.iter().all(|pause| (0.0..=longest).contains(pause)), "{attempts}: {pauses:?}");
            let mean = pauses.iter().sum::<f64>() / 200.0;
            assert!((longest * 0.4..longest * 0.6).contains(&mean), "{attempts}: {mean}");
        }
    }

    #[test]
    fn wishes_are_heard_within_reason() {
        let wish = |seconds| DeliveryFailure::Later {
            reason: "busy".to_owned(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert!((pause_seconds(&delivery(1, 0), wish(120)) - 120.0).abs() < 1e-6);
        assert!((pause_seconds(&delivery(1, 0), wish(1_000_000)) - 3600.0).abs() < 1e-6);
    }

    #[test]
    fn some_day_it_is_enough() {
        let clock = ManualClock::at(Timestamp::default());
        let ended = |delivery: &Delivery, failure, longest| {
            pace().end(&Parcel::one(delivery.clone()), Err(failure), longest, &clock).remove(0)
        };
        let failed = |delivery: &Delivery| ended(delivery, DeliveryFailure::later("no"), None);
        let dead = DeliveryEnd::Dead { error: "given up after 30 attempts: no".to_owned() };
        assert_eq!(failed(&delivery(1, 29)), dead);
        assert!(matches!(failed(&delivery(1, 28)), DeliveryEnd::Retry { .. }));
        let short = Duration::from_secs(2);
        let DeliveryEnd::Retry { at, .. } =
            ended(&delivery(1, 1000), DeliveryFailure::later("no"), Some(short))
        else {
            panic!("it was given up")
        };
        assert!(at <= after(Timestamp::default(), short));
        clock.advance_ns(1000 * SECOND_NS);
        assert_eq!(
            failed(&delivery(1, 0)),
            DeliveryEnd::Dead { error: "given up after 1 attempts: no".to_owned() }
        );
        let untried = pace().untried(&delivery(1, 0), Duration::ZERO, &clock);
        assert!(matches!(untried, DeliveryEnd::Dead { .. }));
        let mut held_back = delivery(1, 0);
        held_back.message.not_before = Timestamp::from_ns(500 * SECOND_NS);
        assert!(matches!(failed(&held_back), DeliveryEnd::Retry { .. }), "age counts from when it was due");
        let no = DeliveryFailure::Final("no such thing".to_owned());
        assert!(matches!(ended(&held_back, no, None), DeliveryEnd::Dead { .. }));
    }

    #[test]
    fn what_goes_together_is_tried_again_together() {
        let grouped = |id, attempts| {
            let mut delivery = delivery(id, attempts);
            let (key, wait) = ("{}".to_owned(), Duration::ZERO);
            delivery.message.group = Some(nephometer_drivers::DeliveryGroup { key, wait });
            delivery
        };
        let parcels = Parcel::pack(vec![grouped(1, 3), grouped(2, 29), grouped(3, 0)]);
        let clock = ManualClock::at(Timestamp::default());
        let ends = pace().end(&parcels[0], Err(DeliveryFailure::later("no")), None, &clock);
        assert!(matches!(ends[0], DeliveryEnd::Retry { .. }));
        assert!(matches!(ends[1], DeliveryEnd::Dead { .. }));
        assert_eq!(ends[2], ends[0]);
    }
}
