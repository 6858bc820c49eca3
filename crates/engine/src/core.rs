//! What the engine's threads share.
//!
//! Locks, outermost first: `merging`, `publish` (one catalog transaction and its effect on the sacks at a time), then a sack. No
//! sack's lock is held while files or the catalog are written, nor while the log is synced.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use nephometer_drivers::{CatalogChange, CatalogState, LateCount, PartCatalog, StoreError};
use nephometer_model::{ArchivePolicy, Clock, IdSource};
use parking_lot::{Mutex, RwLock};

use crate::io::Storage;
use crate::parts::Shelf;
use crate::retention::reach_ns;
use crate::sack::Sack;
use crate::settings::Settings;

/// Counts since start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) measures_written: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) merges: AtomicU64,
    /// All late measures, those before this start included.
    pub(crate) late_measures: AtomicU64,
    /// Memory of active and frozen heads, in bytes.
    pub(crate) active_bytes: AtomicU64,
    pub(crate) frozen_bytes: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    /// Bytes of the log that went because parts cover them.
    pub(crate) log_freed_bytes: AtomicU64,
    /// Bytes of parts that flushes and merges have written.
    pub(crate) flush_bytes: AtomicU64,
    pub(crate) merge_bytes: AtomicU64,
    /// Everything in the log before this position is in parts.
    pub(crate) covered_position: AtomicU64,
    /// When the oldest request came that is not in parts, on the monotonic clock; 0 where there is none.
    pub(crate) waiting_since_ns: AtomicU64,
}

/// A catalog transaction failed.
#[derive(Debug)]
pub(crate) struct CommitError {
    /// Whether nothing of it was done; otherwise nobody knows.
    pub(crate) certain: bool,
    reason: String,
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        Self::Io(error.reason)
    }
}

/// Whether the catalog shows the effect of `change`.
fn is_done(change: &CatalogChange, state: &CatalogState) -> bool {
    let added = change.add_parts.first();
    let moved = change.log_position.is_some_and(|position| state.log_position >= position);
    moved || added.is_some_and(|row| state.parts.iter().any(|known| known.id == row.id))
}

/// What the engine's threads share.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) catalog: Arc<dyn PartCatalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) sacks: Vec<Mutex<Sack>>,
    /// Held from a catalog transaction to the end of its effect on the sacks.
    pub(crate) publish: Mutex<()>,
    /// Held while merging: one job at a time.
    pub(crate) merging: Mutex<()>,
    pub(crate) counters: Counters,
    /// Background work is to end soon.
    pub(crate) stopping: AtomicBool,
    policies: RwLock<HashMap<u32, Arc<ArchivePolicy>>>,
    /// The least that any policy reaches back, in nanoseconds: what is not older needs no look at its policy.
    shortest_reach_ns: AtomicI64,
}

/// The parts that a core is made of.
pub(crate) struct Foundations {
    pub(crate) settings: Settings,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) catalog: Arc<dyn PartCatalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl Core {
    pub(crate) fn new(foundations: Foundations, shelf: Arc<Shelf>, sacks: Vec<Sack>) -> Self {
        let Foundations { settings, storage, catalog, clock, ids } = foundations;
        Self {
            settings,
            storage,
            catalog,
            clock,
            ids,
            shelf,
            sacks: sacks.into_iter().map(Mutex::new).collect(),
            publish: Mutex::new(()),
            merging: Mutex::new(()),
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
            policies: RwLock::new(HashMap::new()),
            shortest_reach_ns: AtomicI64::new(i64::MAX),
        }
    }

    pub(crate) fn set_policies(&self, policies: &[Arc<ArchivePolicy>]) {
        let mut known = self.policies.write();
        known.extend(policies.iter().map(|policy| (policy.key.0, Arc::clone(policy))));
        let shortest = known.values().filter_map(|policy| reach_ns(policy)).min();
        self.shortest_reach_ns.store(shortest.unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// No measure that is this much older than the newest of its series, or less, is beyond what its policy shows.
    pub(crate) fn shortest_reach_ns(&self) -> i64 {
        self.shortest_reach_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn policy(&self, key: u32) -> Option<Arc<ArchivePolicy>> {
        self.policies.read().get(&key).cloned()
    }

    pub(crate) fn policies(&self) -> Vec<Arc<ArchivePolicy>> {
        self.policies.read().values().cloned().collect()
    }

    /// The number of the sack that holds `key`.
    pub(crate) fn sack_number(&self, key: u64) -> usize {
        usize::try_from(key % self.sacks.len() as u64).unwrap_or(0)
    }

    /// The sack that holds `key`.
    pub(crate) fn sack_of(&self, key: u64) -> &Mutex<Sack> {
        &self.sacks[self.sack_number(key)]
    }

    /// Measures after this are far in the future: retention does not count from them.
    pub(crate) fn present_ns(&self) -> i64 {
        self.clock.now().ns().saturating_add(self.settings.future_horizon_ns())
    }

    /// The time now, in nanoseconds since the epoch.
    pub(crate) fn now_ns(&self) -> i64 {
        self.clock.now().ns()
    }

    /// Writes `change` to the catalog, with the damage found since. The caller holds `publish`. An error of the catalog
    /// may come after the transaction was done: then the catalog is asked what it knows.
    pub(crate) fn commit(&self, mut change: CatalogChange) -> Result<(), CommitError> {
        change.quarantine = self.shelf.damage.take_untold();
        let Err(error) = self.catalog.commit(&change) else { return Ok(()) };
        let known = self.catalog.load();
        if known.as_ref().is_ok_and(|state| is_done(&change, state)) {
            return Ok(());
        }
        self.shelf.damage.keep_untold(std::mem::take(&mut change.quarantine));
        Err(CommitError { certain: known.is_ok(), reason: error.to_string() })
    }

    /// An error where background work is to end.
    pub(crate) fn go_on(&self) -> Result<(), StoreError> {
        match self.stopping.load(Ordering::Relaxed) {
            true => Err(StoreError::Closed("it is stopping".to_owned())),
            false => Ok(()),
        }
    }

    /// Notes that something waits to be written to parts from now on, if nothing did before.
    pub(crate) fn first_waits(&self) {
        let now = self.clock.monotonic_ns().max(1);
        let _ = self.counters.waiting_since_ns.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Adds to the count of late measures.
    pub(crate) fn count_late(&self, counts: &[LateCount]) {
        let sum = counts.iter().map(|count| count.measures).sum();
        self.counters.late_measures.fetch_add(sum, Ordering::Relaxed);
    }

    /// Memory of measures that are not in parts yet, in bytes.
    pub(crate) fn head_bytes(&self) -> u64 {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        load(&self.counters.active_bytes) + load(&self.counters.frozen_bytes)
    }
}
