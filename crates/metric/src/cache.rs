//! What the write path must know of metrics, in memory: where their measures go and who may write them.
//!
//! An entry is a few dozen bytes, so that millions fit. Entries are filled from the index in bulk and forgotten by
//! [`crate::watch`] before a change of the index is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use nephometer_model::{Metric, MetricId, PolicyKey, Resource, ResourceId, SeriesKey};
use parking_lot::RwLock;
use quick_cache::sync::Cache;

use crate::expiry::Endings;

/// Distinct names and creators that are remembered; metrics of further ones are looked up in the index each time.
const MAX_TEXTS: usize = 1 << 20;

/// What is known of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachedMetric {
    /// Where its measures go.
    pub(crate) key: SeriesKey,
    /// What it keeps.
    pub(crate) policy: PolicyKey,
    /// Who made it: see [`MetricCache::creator`].
    pub(crate) creator: TextId,
}

impl CachedMetric {
    /// Whether its resource is known to have ended: then measures may restore it.
    pub(crate) fn is_of_ended(self) -> bool {
        self.creator == TextId::OF_ENDED
    }
}

/// A text that is held once. Ids are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TextId(u32);

impl TextId {
    /// Stands for no text at all.
    const NONE: Self = Self(u32::MAX);
    /// Stands for a text that did not fit; never in the cache.
    const UNKNOWN: Self = Self(u32::MAX - 1);
    /// Stands for whoever made a metric of an ended resource; never in the cache, so that those who write to such a
    /// metric pass by [`MetricCache::enter`] and are noticed, and no others pay for it.
    const OF_ENDED: Self = Self(u32::MAX - 2);
}

/// Texts held once each.
#[derive(Default)]
struct Texts {
    ids: HashMap<Arc<str>, TextId>,
    texts: Vec<Arc<str>>,
}

impl Texts {
    /// The id of `text`, allotted where it is new; nothing where no more fit.
    fn intern(&mut self, text: &str) -> Option<TextId> {
        if let Some(id) = self.ids.get(text) {
            return Some(*id);
        }
        if self.texts.len() >= MAX_TEXTS {
            return None;
        }
        let id = TextId(u32::try_from(self.texts.len()).ok()?);
        let shared: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&shared));
        self.ids.insert(shared, id);
        Some(id)
    }
}

/// Metrics by id, and by resource and name. Bounded; the least used entries go first.
pub(crate) struct MetricCache {
    by_id: Cache<MetricId, CachedMetric>,
    by_name: Cache<(ResourceId, TextId), CachedMetric>,
    names: RwLock<Texts>,
    creators: RwLock<Texts>,
    /// Grows with every forgetting, so that what was read from the index before one is not entered after it.
    generation: RwLock<u64>,
    /// Resources that have ended.
    pub(crate) endings: Endings,
}

/// Permission to enter what the index says from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generation(u64);

impl MetricCache {
    /// A cache of at most `capacity` metrics by each of its two keys.
    pub(crate) fn new(capacity: usize) -> Self {
        let expected = capacity.min(1024);
        let weight = capacity as u64;
        Self {
            by_id: Cache::with_weighter(expected, weight, quick_cache::UnitWeighter),
            by_name: Cache::with_weighter(expected, weight, quick_cache::UnitWeighter),
            names: RwLock::default(),
            creators: RwLock::default(),
            generation: RwLock::new(0),
            endings: Endings::default(),
        }
    }

    pub(crate) fn get(&self, id: MetricId) -> Option<CachedMetric> {
        self.by_id.get(&id)
    }

    /// What is known of each of these named metrics, in order.
    pub(crate) fn get_named<'a>(
        &self,
        names: impl Iterator<Item = (ResourceId, &'a str)>,
    ) -> Vec<Option<CachedMetric>> {
        let ids = self.names.read();
        names.map(|(resource, name)| self.by_name.get(&(resource, *ids.ids.get(name)?))).collect()
    }

    /// To be taken before the index is read, for [`MetricCache::enter`].
    pub(crate) fn generation(&self) -> Generation {
        Generation(*self.generation.read())
    }

    /// The entry of `metric`; it is remembered unless something was forgotten since `generation`.
    pub(crate) fn enter(&self, metric: &Metric, generation: Generation) -> CachedMetric {
        let creator = match &metric.creator {
            _ if self.endings.meets(metric) => TextId::OF_ENDED,
            Some(creator) => intern(&self.creators, creator).unwrap_or(TextId::UNKNOWN),
            None => TextId::NONE,
        };
        let entry = CachedMetric { key: metric.key, policy: metric.policy.key, creator };
        let current = self.generation.read();
        if *current == generation.0 && !matches!(creator, TextId::UNKNOWN | TextId::OF_ENDED) {
            self.by_id.insert(metric.id, entry);
            if let (Some(resource), Some(name)) = (metric.resource_id, &metric.name)
                && let Some(name) = intern(&self.names, name)
            {
                self.by_name.insert((resource, name), entry);
            }
        }
        entry
    }

    /// Whom a creator's id stands for.
    pub(crate) fn creator(&self, id: TextId) -> Option<Arc<str>> {
        self.creators.read().texts.get(id.0 as usize).cloned()
    }

    /// Forgets these metrics by id and by name.
    pub(crate) fn forget<'a>(&self, metrics: impl IntoIterator<Item = &'a Metric>) {
        let mut generation = self.generation.write();
        *generation += 1;
        let names = self.names.read();
        for metric in metrics {
            self.by_id.remove(&metric.id);
            let name = metric.name.as_deref().and_then(|name| names.ids.get(name));
            if let (Some(resource), Some(name)) = (metric.resource_id, name) {
                self.by_name.remove(&(resource, *name));
            }
        }
    }

    /// Remembers that `resource` has ended, and forgets its metrics.
    pub(crate) fn end(&self, resource: &Resource) {
        let Some(end) = resource.ended_at else { return };
        let mut generation = self.generation.write();
        *generation += 1;
        self.endings.insert([(resource.id, end)]);
        let ids = self.names.read();
        for (name, id) in &resource.metrics {
            self.by_id.remove(id);
            if let Some(name) = ids.ids.get(name.as_str()) {
                self.by_name.remove(&(resource.id, *name));
            }
        }
    }

    /// Forgets all metrics.
    pub(crate) fn clear(&self) {
        let mut generation = self.generation.write();
        *generation += 1;
        self.by_id.clear();
        self.by_name.clear();
    }

    /// Forgets which metrics these names stand for.
    pub(crate) fn forget_names<'a>(&self, names: impl IntoIterator<Item = (ResourceId, &'a str)>) {
        let mut generation = self.generation.write();
        *generation += 1;
        let ids = self.names.read();
        for (resource, name) in names {
            if let Some(name) = ids.ids.get(name) {
                self.by_name.remove(&(resource, *name));
            }
        }
    }
}

fn intern(table: &RwLock<Texts>, text: &str) -> Option<TextId> {
    let known = table.read().ids.get(text).copied();
    known.or_else(|| table.write().intern(text))
}

#[cfg(test)]
mod tests {
    use nephometer_model::ArchivePolicy;
    use uuid::Uuid;

    use super::*;

    fn metric(n: u128, name: &str) -> Metric {
        Metric {
            id: MetricId(Uuid::from_u128(n)),
            key: SeriesKey(7),
            name: Some(name.to_owned()),
            unit: None,
            creator: Some("me".to_owned()),
            resource_id: Some(ResourceId(Uuid::from_u128(9))),
            policy: Arc::new(ArchivePolicy::upstream_defaults().remove(0)),
        }
    }

    fn named(cache: &MetricCache, name: &str) -> Option<CachedMetric> {
        cache.get_named([(ResourceId(Uuid::from_u128(9)), name)].into_iter()).remove(0)
    }

    #[test]
    fn remembers_and_forgets() {
        let cache = MetricCache::new(100);
        let metric = metric(1, "cpu");
        let entry = cache.enter(&metric, cache.generation());
        assert_eq!(cache.get(metric.id), Some(entry));
        assert_eq!(named(&cache, "cpu"), Some(entry));
        assert_eq!(named(&cache, "memory"), None);
        assert_eq!(cache.creator(entry.creator).as_deref(), Some("me"));
        cache.forget_names([(ResourceId(Uuid::from_u128(9)), "cpu")]);
        assert_eq!((named(&cache, "cpu"), cache.get(metric.id)), (None, Some(entry)));
        cache.forget([&metric]);
        assert_eq!(cache.get(metric.id), None);
    }

    #[test]
    fn what_was_read_before_a_forgetting_is_not_entered() {
        let cache = MetricCache::new(100);
        let metric = metric(1, "cpu");
        let before = cache.generation();
        cache.forget([&metric]);
        cache.enter(&metric, before);
        assert_eq!((cache.get(metric.id), named(&cache, "cpu")), (None, None));
    }

    #[test]
    fn entries_are_small() {
        let cache = MetricCache::new(1 << 20);
        for n in 0..200_000 {
            cache.enter(&metric(n, "cpu"), cache.generation());
        }
        let used = cache.by_id.memory_used().total() / cache.by_id.len();
        assert!(used <= 100, "{used} bytes");
    }

    #[test]
    fn stays_bounded() {
        let cache = MetricCache::new(1000);
        for n in 0..20_000 {
            cache.enter(&metric(n, "cpu"), cache.generation());
        }
        assert!(cache.by_id.len() <= 1100, "{}", cache.by_id.len());
        assert!(size_of::<(MetricId, CachedMetric)>() <= 32);
    }
}
