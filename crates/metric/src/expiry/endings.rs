//! Which resources have ended, in memory, so that measures that restore them are noticed without asking the index for
//! every write.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use nephometer_model::{Metric, ResourceId, SeriesKey, Timestamp};
use parking_lot::RwLock;

use crate::cache::CachedMetric;

/// Resources are shared out among so many locks.
const LOCKS: usize = 32;

/// The resources that have ended, at some 30 bytes each. Empty and idle unless [`Endings::watch`] was called.
#[derive(Default)]
pub(crate) struct Endings {
    watching: AtomicBool,
    known: RwLock<Known>,
    /// Held while the end of a resource is changed in the index and then here, so that both see the same order.
    changes: [tokio::sync::Mutex<()>; LOCKS],
}

#[derive(Default)]
struct Known {
    ends: HashMap<ResourceId, Timestamp>,
    /// Whose the series are that somebody was about to write to.
    owners: HashMap<SeriesKey, ResourceId>,
}

impl Endings {
    /// From now on ends are to be remembered.
    pub(crate) fn watch(&self) {
        self.watching.store(true, Ordering::Release);
    }

    pub(crate) fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Acquire)
    }

    /// To be held while the end of a resource changes.
    pub(crate) async fn change(&self, id: ResourceId) -> tokio::sync::MutexGuard<'_, ()> {
        let number = usize::try_from(id.0.as_u128() % LOCKS as u128).unwrap_or_default();
        self.changes[number].lock().await
    }

    /// Remembers when these resources ended.
    pub(crate) fn insert(&self, ends: impl IntoIterator<Item = (ResourceId, Timestamp)>) {
        self.known.write().ends.extend(ends);
    }

    /// Forgets resources that are open again or gone.
    pub(crate) fn remove(&self, ids: impl IntoIterator<Item = ResourceId>) {
        let mut known = self.known.write();
        let mut removed = false;
        for id in ids {
            removed |= known.ends.remove(&id).is_some();
        }
        if removed {
            let Known { ends, owners } = &mut *known;
            owners.retain(|_, owner| ends.contains_key(owner));
        }
    }

    /// Whether the resource of a metric has ended; then what is written to the metric is looked at.
    pub(crate) fn meets(&self, metric: &Metric) -> bool {
        let Some(id) = metric.resource_id else { return false };
        if !self.is_watching() || !self.known.read().ends.contains_key(&id) {
            return false;
        }
        self.known.write().owners.insert(metric.key, id);
        true
    }

    /// The resources that these measures restore, each with its newest measure: those that ended no later. Runs of
    /// open resources cost one comparison each.
    pub(crate) fn restored_by(
        &self,
        runs: &[(CachedMetric, u32)],
        timestamps_ns: &[i64],
    ) -> BTreeMap<ResourceId, Timestamp> {
        let mut newest: BTreeMap<ResourceId, Timestamp> = BTreeMap::new();
        if !runs.iter().any(|(metric, _)| metric.is_of_ended()) {
            return newest;
        }
        let known = self.known.read();
        let mut rest = timestamps_ns;
        for (metric, len) in runs {
            let (mine, others) = rest.split_at((*len as usize).min(rest.len()));
            rest = others;
            let owner = if metric.is_of_ended() { known.owners.get(&metric.key) } else { None };
            if let (Some(owner), Some(last)) = (owner, mine.iter().max()) {
                let last = Timestamp::from_ns(*last);
                newest.entry(*owner).and_modify(|seen| *seen = last.max(*seen)).or_insert(last);
            }
        }
        newest.retain(|id, newest| known.ends.get(id).is_some_and(|end| end <= newest));
        newest
    }
}
