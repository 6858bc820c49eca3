//! The record of damage: each damaged place is told once, in the log and in the catalog.

use std::collections::HashSet;
use std::sync::Arc;

use nephometer_drivers::Quarantined;
use nephometer_model::Clock;
use parking_lot::Mutex;

#[derive(Default)]
struct Found {
    places: HashSet<(String, u64)>,
    untold: Vec<Quarantined>,
}

/// Damaged places, known and new.
pub(crate) struct Damage {
    clock: Arc<dyn Clock>,
    found: Mutex<Found>,
}

impl Damage {
    /// Begins with what the catalog knows.
    pub(crate) fn new(clock: Arc<dyn Clock>, known: &[Quarantined]) -> Self {
        let places = known.iter().map(|place| (place.file.clone(), place.offset)).collect();
        Self { clock, found: Mutex::new(Found { places, untold: Vec::new() }) }
    }

    /// Notes damage at `offset` of `file`.
    pub(crate) fn report(&self, file: &str, offset: u64, bytes: u64, reason: &str) {
        let mut found = self.found.lock();
        if !found.places.insert((file.to_owned(), offset)) {
            return;
        }
        tracing::error!(file, offset, bytes, reason, "damaged block set aside");
        found.untold.push(Quarantined {
            file: file.to_owned(),
            offset,
            bytes,
            reason: reason.to_owned(),
            found_at: self.clock.now(),
        });
    }

    /// Damaged places, ever.
    pub(crate) fn count(&self) -> u64 {
        self.found.lock().places.len() as u64
    }

    /// Whether there is something that the catalog does not know yet.
    pub(crate) fn has_untold(&self) -> bool {
        !self.found.lock().untold.is_empty()
    }

    /// Hands out what the catalog does not know yet.
    pub(crate) fn take_untold(&self) -> Vec<Quarantined> {
        std::mem::take(&mut self.found.lock().untold)
    }

    /// Takes back what could not be told.
    pub(crate) fn keep_untold(&self, untold: Vec<Quarantined>) {
        self.found.lock().untold.extend(untold);
    }
}
