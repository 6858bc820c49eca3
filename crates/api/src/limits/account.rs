//! What one identity has taken: requests in flight, and measures by a bucket that fills with time.
//!
//! The bucket is one number: the moment until which what was taken has been used up at the steady rate (the generic cell
//! rate algorithm). The bucket is full when that moment is past, and empty when it lies the whole burst ahead. In any span
//! of time no more is taken and kept than the burst and what the rate gives in the span; a property test holds it to that.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Allowance, Party, Rate};

impl Rate {
    /// How long it takes to earn `measures`, in nanoseconds; never too short.
    fn span_ns(&self, measures: u64) -> u64 {
        measures.saturating_mul(1_000_000_000).div_ceil(self.per_second.get())
    }
}

/// One identity's account.
#[derive(Debug)]
pub(super) struct Account {
    party: Party,
    allowance: Allowance,
    in_flight: AtomicU32,
    /// On the monotonic clock.
    spent_until_ns: AtomicU64,
}

impl Account {
    /// An account of which nothing is taken.
    pub(super) fn new(party: Party, allowance: Allowance) -> Self {
        Self { party, allowance, in_flight: AtomicU32::new(0), spent_until_ns: AtomicU64::new(0) }
    }

    /// The same; nothing where nothing is limited.
    pub(super) fn limited(party: Party, allowance: Allowance) -> Option<Arc<Self>> {
        (!allowance.is_unlimited()).then(|| Arc::new(Self::new(party, allowance)))
    }

    /// Whose account it is.
    pub(super) fn party(&self) -> &Party {
        &self.party
    }

    /// The limit on measures.
    pub(super) fn measures(&self) -> Option<Rate> {
        self.allowance.measures
    }

    /// Takes a place among the requests in flight, to be given up by `leave`; errors with the limit.
    pub(super) fn enter(&self) -> Result<(), NonZeroU32> {
        let Some(max) = self.allowance.requests_in_flight else {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let more = |in_flight: u32| (in_flight < max.get()).then(|| in_flight + 1);
        let entered = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.map(|_| ()).map_err(|_| max)
    }

    /// Gives a place up.
    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes `measures`, which are no more than the burst of `rate`, and tells what that costs in nanoseconds of the rate;
    /// errors with the nanoseconds after which they would fit.
    pub(super) fn take(&self, rate: Rate, measures: u64, now_ns: u64) -> Result<u64, u64> {
        let cost_ns = rate.span_ns(measures);
        let furthest_ns = now_ns.saturating_add(rate.span_ns(rate.burst.get()));
        let after = |spent_until_ns: u64| spent_until_ns.max(now_ns).saturating_add(cost_ns);
        let taken = self.spent_until_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until_ns| {
            Some(after(until_ns)).filter(|after_ns| *after_ns <= furthest_ns)
        });
        taken.map(|_| cost_ns).map_err(|until_ns| after(until_ns) - furthest_ns)
    }

    /// Gives back what was taken `passed_ns` ago, but for what the rate has given since: else the same measures could be
    /// had twice.
    pub(super) fn give_back(&self, cost_ns: u64, passed_ns: u64) {
        let still_ns = cost_ns.saturating_sub(passed_ns);
        let less = |until_ns: u64| Some(until_ns.saturating_sub(still_ns));
        let _ = self.spent_until_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Whether forgetting the account changes nothing, if nobody holds it: the bucket is full.
    pub(super) fn is_full(&self, now_ns: u64) -> bool {
        self.spent_until_ns.load(Ordering::Relaxed) <= now_ns
    }
}
