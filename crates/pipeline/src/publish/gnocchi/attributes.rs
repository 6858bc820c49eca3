//! What is known of resources' attributes, so that only what has changed is written.

use std::sync::Arc;

use nephometer_model::{Clock, Metadata, WeakMetadata};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

/// Resources that are remembered, at about two hundred bytes each; others' attributes are written again.
const RESOURCES: usize = 200_000;
/// What is known is forgotten after so long: somebody else may have changed it.
const KEPT_NS: u64 = 3600 * 1_000_000_000;

/// Attributes of one resource, each by hashes of its name and its value.
#[derive(Clone)]
struct Entry {
    attributes: Vec<(u64, u64)>,
    /// Metadata of samples that these were taken from lately. Samples of one reading share them: a guest's have few.
    read: [WeakMetadata; READ],
    until_ns: u64,
}

const READ: usize = 2;

/// Attributes by resource. Those of several samples add up: a sample that says less takes nothing away.
pub(super) struct KnownAttributes {
    resources: Cache<String, Arc<Entry>>,
    clock: Arc<dyn Clock>,
}

fn hashes(name: &str, value: &Value) -> (u64, u64) {
    (xxh3_64(name.as_bytes()), xxh3_64(value.to_string().as_bytes()))
}

impl KnownAttributes {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { resources: Cache::new(RESOURCES), clock }
    }

    fn entry(&self, resource: &str) -> Option<Arc<Entry>> {
        self.resources.get(resource).filter(|entry| self.clock.monotonic_ns() < entry.until_ns)
    }

    /// Whether all attributes that `metadata` has are known: it was read before.
    pub(super) fn is_read(&self, resource: &str, metadata: &Metadata) -> bool {
        self.entry(resource).is_some_and(|entry| entry.read.iter().any(|read| read.is(metadata)))
    }

    /// Those of `attributes` that are not known to be so.
    pub(super) fn changed(&self, resource: &str, attributes: &Map<String, Value>) -> Map<String, Value> {
        let Some(entry) = self.entry(resource) else { return attributes.clone() };
        let is_new = |(name, value): &(&String, &Value)| !entry.attributes.contains(&hashes(name, value));
        let changed = attributes.iter().filter(is_new);
        changed.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Notes what has been written, and the metadata of which all is written now.
    pub(super) fn note(&self, resource: &str, written: &Map<String, Value>, read: Option<&Metadata>) {
        // Uneven, so that what became known together is not forgotten together.
        let until_ns = self.clock.monotonic_ns() + KEPT_NS / 2 + xxh3_64(resource.as_bytes()) % (KEPT_NS / 2);
        let entry = self.entry(resource).map(Arc::unwrap_or_clone);
        let mut entry =
            entry.unwrap_or_else(|| Entry { attributes: Vec::new(), read: Default::default(), until_ns });
        if let Some(metadata) = read {
            entry.read.rotate_right(1);
            entry.read[0] = metadata.downgrade();
        }
        for (name, value) in written {
            let (name, value) = hashes(name, value);
            match entry.attributes.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => entry.attributes.push((name, value)),
            }
        }
        self.resources.insert(resource.to_owned(), Arc::new(entry));
    }

    /// Forgets a resource that is made anew.
    pub(super) fn forget(&self, resource: &str) {
        self.resources.remove(resource);
    }
}
