//! A part catalog that outlives the engines of a test, and may fail before or after it did what it was asked.

use std::collections::BTreeMap;

use nephometer_drivers::{CatalogChange, CatalogError, CatalogState, LateCount, PartCatalog};
use nephometer_model::SeriesKey;
use parking_lot::Mutex;

/// How a transaction fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing is done.
    Before,
    /// It is done, but the answer is lost.
    After,
}

#[derive(Default)]
struct Content {
    state: CatalogState,
    late: BTreeMap<(SeriesKey, i64, i64), LateCount>,
    failures: Vec<Failure>,
}

#[derive(Default)]
pub(crate) struct TestCatalog {
    content: Mutex<Content>,
}

impl TestCatalog {
    /// The next transaction fails.
    pub(crate) fn fail_next(&self, failure: Failure) {
        self.content.lock().failures.push(failure);
    }

    pub(crate) fn fail_no_more(&self) {
        self.content.lock().failures.clear();
    }

    pub(crate) fn state(&self) -> CatalogState {
        self.content.lock().state.clone()
    }

    /// As the index does when a metric is deleted.
    pub(crate) fn add_dead(&self, key: u64) {
        self.content.lock().state.dead_series.push(SeriesKey(key));
    }
}

impl Content {
    fn apply(&mut self, change: &CatalogChange) {
        let state = &mut self.state;
        state.parts.retain(|row| !change.remove_parts.contains(&row.id));
        for row in &change.add_parts {
            assert!(state.parts.iter().all(|known| known.id != row.id), "a part is added once");
        }
        state.parts.extend(change.add_parts.iter().cloned());
        if let Some(position) = change.log_position {
            assert!(position > state.log_position, "the log position only advances");
            state.log_position = position;
        }
        state.tombstones.extend_from_slice(&change.add_tombstones);
        state.tombstones.retain(|tombstone| !change.remove_tombstones.contains(tombstone));
        state.dead_series.retain(|key| !change.forget_series.contains(key));
        state.quarantined.extend(change.quarantine.iter().cloned());
        for count in &change.late {
            let key = (count.key, count.start.ns(), count.width.ns());
            self.late.entry(key).and_modify(|known| known.measures += count.measures).or_insert(*count);
        }
    }
}

impl PartCatalog for TestCatalog {
    fn load(&self) -> Result<CatalogState, CatalogError> {
        Ok(self.content.lock().state.clone())
    }

    fn commit(&self, change: &CatalogChange) -> Result<(), CatalogError> {
        let mut content = self.content.lock();
        match content.failures.pop() {
            None => content.apply(change),
            Some(Failure::Before) => return Err(CatalogError("refused".to_owned())),
            Some(Failure::After) => {
                content.apply(change);
                return Err(CatalogError("answer lost".to_owned()));
            }
        }
        Ok(())
    }

    fn late(&self, key: SeriesKey) -> Result<Vec<LateCount>, CatalogError> {
        Ok(self.content.lock().late.values().filter(|count| count.key == key).copied().collect())
    }

    fn late_total(&self) -> Result<u64, CatalogError> {
        Ok(self.content.lock().late.values().map(|count| count.measures).sum())
    }
}
