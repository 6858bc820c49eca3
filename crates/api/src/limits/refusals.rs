//! How often limits have refused, by limit; and whom most.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{LimitError, Party};

/// Parties of which refusals are counted; a further one takes the place of the one refused least.
const MAX_PARTIES: usize = 64;
/// How many of them are told.
const TOLD: usize = 10;

/// Refusals since the start, by limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefusalCounts {
    /// Too many requests in flight.
    pub requests_in_flight: u64,
    /// Too many measures a second.
    pub measures: u64,
    /// More measures in one request than may come at once.
    pub request_size: u64,
}

/// One party's refusals (the "space saving" sketch): whoever is refused often stays, whatever passes by.
struct Refused {
    party: Party,
    /// Ranks parties; includes what those had who were here before.
    weight: u64,
    /// What of it was theirs.
    inherited: u64,
}

/// The counts.
#[derive(Default)]
pub(super) struct Refusals {
    requests_in_flight: AtomicU64,
    measures: AtomicU64,
    request_size: AtomicU64,
    parties: Mutex<Vec<Refused>>,
}

impl Refusals {
    /// Counts a refusal and hands it back.
    pub(super) fn count(&self, error: LimitError) -> LimitError {
        let (counter, party) = match &error {
            LimitError::InFlight { party, .. } => (&self.requests_in_flight, party),
            LimitError::Measures { party, .. } => (&self.measures, party),
            LimitError::RequestSize { party, .. } => (&self.request_size, party),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.note(party);
        tracing::debug!(%party, %error, "refused by a limit");
        error
    }

    fn note(&self, party: &Party) {
        let mut parties = self.parties.lock();
        if let Some(known) = parties.iter_mut().find(|known| known.party == *party) {
            known.weight += 1;
            return;
        }
        let new = |inherited| Refused { party: party.clone(), weight: inherited + 1, inherited };
        if parties.len() < MAX_PARTIES {
            parties.push(new(0));
        } else if let Some(least) = parties.iter_mut().min_by_key(|known| known.weight) {
            *least = new(least.weight);
        }
    }

    /// The counts by limit.
    pub(super) fn counts(&self) -> RefusalCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RefusalCounts {
            requests_in_flight: of(&self.requests_in_flight),
            measures: of(&self.measures),
            request_size: of(&self.request_size),
        }
    }

    /// Who was refused most, most first, with how often at least.
    pub(super) fn most(&self) -> Vec<(Party, u64)> {
        let parties = self.parties.lock();
        let told = parties.iter().map(|known| (known.party.clone(), known.weight - known.inherited));
        let mut told: Vec<_> = told.collect();
        drop(parties);
        told.sort_by_key(|(_, refusals)| std::cmp::Reverse(*refusals));
        told.truncate(TOLD);
        told
    }
}
