//! What the write path must know of metrics, in memory: where their measures go and who may write them.
//!
//! An entry takes 32 bytes and a share of free room, so that millions fit. Entries are filled from the index in bulk, by
//! that key by which a metric was asked for, and forgotten by [`crate::watch`] before a change of the index is
//! acknowledged.

mod table;
mod texts;

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::RandomState;
use nephometer_model::{Metric, MetricId, PolicyKey, Resource, ResourceId, SeriesKey};
use parking_lot::{RwLock, RwLockReadGuard};

use crate::expiry::Endings;
use table::{Place, Table};
pub(crate) use texts::TextId;
use texts::Texts;

/// Entries are shared out among so many tables by the highest bits of their hash, each with a lock of its own; when one
/// grows, the others stay as they are.
const TABLES: usize = 1 << TABLE_BITS;
const TABLE_BITS: u32 = 6;
/// Metrics that are looked up together under the locks of their tables.
const TOGETHER: usize = 512;

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

/// By what a metric was asked for, and is to be found the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskedBy {
    /// Its id.
    Id,
    /// Its resource and name.
    Name,
}

/// How much the cache holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Metrics; one that is asked for by id and by name counts twice.
    pub entries: u64,
    /// Memory that it takes, in bytes.
    pub bytes: u64,
    /// Entries that made room for others since the start; if this grows steadily, the cache is too small.
    pub evicted: u64,
}

/// Metrics by id, and by resource and name. Bounded; the least used entries go first, about.
pub(crate) struct MetricCache {
    tables: Box<[RwLock<Table>]>,
    hasher: RandomState,
    names: Texts,
    creators: Texts,
    /// Grows with every forgetting, so that what was read from the index before one is not entered after it.
    generation: RwLock<u64>,
    /// Resources that have ended.
    pub(crate) endings: Endings,
}

/// Permission to enter what the index says from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generation(u64);

impl MetricCache {
    /// A cache of at most about `capacity` entries.
    pub(crate) fn new(capacity: usize) -> Self {
        let limit = capacity.div_ceil(TABLES);
        Self {
            tables: std::iter::repeat_with(|| RwLock::new(Table::new(limit))).take(TABLES).collect(),
            hasher: RandomState::default(),
            names: Texts::default(),
            creators: Texts::default(),
            generation: RwLock::new(0),
            endings: Endings::default(),
        }
    }

    pub(crate) fn get(&self, id: MetricId) -> Option<CachedMetric> {
        let place = self.by_id(id);
        self.tables[table_of(&place)].read().get(&place)
    }

    /// What is known of each of these metrics, in order.
    pub(crate) fn get_all(&self, ids: impl Iterator<Item = MetricId>) -> Vec<Option<CachedMetric>> {
        self.look_up(ids.map(|id| Some(self.by_id(id))))
    }

    /// What is known of each of these named metrics, in order.
    pub(crate) fn get_named<'a>(
        &self,
        names: impl Iterator<Item = (ResourceId, &'a str)>,
    ) -> Vec<Option<CachedMetric>> {
        let texts = self.names.read();
        self.look_up(names.map(|(resource, name)| Some(self.by_name(resource, texts.id(name)?))))
    }

    /// What is known at each of these places, in order; the tables' locks are taken once for many of them.
    fn look_up(&self, mut places: impl Iterator<Item = Option<Place>>) -> Vec<Option<CachedMetric>> {
        let mut found = Vec::with_capacity(places.size_hint().0);
        let mut some: Vec<Option<Place>> = Vec::with_capacity(TOGETHER);
        loop {
            some.clear();
            some.extend(places.by_ref().take(TOGETHER));
            if some.is_empty() {
                return found;
            }
            let mut locked: [Option<RwLockReadGuard<'_, Table>>; TABLES] = [const { None }; TABLES];
            let mut touched = 0;
            for place in some.iter().flatten() {
                let number = table_of(place);
                touched ^= locked[number].get_or_insert_with(|| self.tables[number].read()).touch(place);
            }
            std::hint::black_box(touched);
            found.extend(some.iter().map(|place| {
                let place = place.as_ref()?;
                locked[table_of(place)].as_ref()?.get(place)
            }));
        }
    }

    /// To be taken before the index is read, for [`MetricCache::enter`].
    pub(crate) fn generation(&self) -> Generation {
        Generation(*self.generation.read())
    }

    /// The entry of `metric`; it is remembered for those who ask for it in the same way, unless something was forgotten
    /// since `generation`.
    pub(crate) fn enter(&self, metric: &Metric, asked: AskedBy, generation: Generation) -> CachedMetric {
        let creator = match &metric.creator {
            _ if self.endings.meets(metric) => TextId::OF_ENDED,
            Some(creator) => self.creators.intern(creator).unwrap_or(TextId::UNKNOWN),
            None => TextId::NONE,
        };
        let entry = CachedMetric { key: metric.key, policy: metric.policy.key, creator };
        let place = match (asked, metric.resource_id, &metric.name) {
            (AskedBy::Id, _, _) => Some(self.by_id(metric.id)),
            (AskedBy::Name, Some(resource), Some(name)) => {
                self.names.intern(name).map(|name| self.by_name(resource, name))
            }
            (AskedBy::Name, _, _) => None,
        };
        let current = self.generation.read();
        if let Some(place) = place
            && *current == generation.0
            && !matches!(creator, TextId::UNKNOWN | TextId::OF_ENDED)
        {
            let mut table = self.tables[table_of(&place)].write();
            table.insert(&place, entry, |id, name| self.hash(id, name));
        }
        entry
    }

    /// Whom a creator's id stands for.
    pub(crate) fn creator(&self, id: TextId) -> Option<Arc<str>> {
        self.creators.text(id)
    }

    /// Forgets these metrics by id and by name.
    pub(crate) fn forget<'a>(&self, metrics: impl IntoIterator<Item = &'a Metric>) {
        let mut generation = self.generation.write();
        *generation += 1;
        for metric in metrics {
            self.remove(&self.by_id(metric.id));
            if let (Some(resource), Some(name)) = (metric.resource_id, &metric.name) {
                self.remove_named(resource, name);
            }
        }
    }

    /// Remembers that `resource` has ended, and forgets its metrics.
    pub(crate) fn end(&self, resource: &Resource) {
        let Some(end) = resource.ended_at else { return };
        let mut generation = self.generation.write();
        *generation += 1;
        self.endings.insert([(resource.id, end)]);
        for (name, id) in &resource.metrics {
            self.remove(&self.by_id(*id));
            self.remove_named(resource.id, name);
        }
    }

    /// Forgets all metrics.
    pub(crate) fn clear(&self) {
        let mut generation = self.generation.write();
        *generation += 1;
        self.tables.iter().for_each(|table| table.write().clear());
    }

    /// Forgets which metrics these names stand for.
    pub(crate) fn forget_names<'a>(&self, names: impl IntoIterator<Item = (ResourceId, &'a str)>) {
        let mut generation = self.generation.write();
        *generation += 1;
        names.into_iter().for_each(|(resource, name)| self.remove_named(resource, name));
    }

    /// How much it holds now.
    pub(crate) fn status(&self) -> CacheStatus {
        let texts = self.names.bytes() + self.creators.bytes();
        let mut status = CacheStatus { bytes: texts as u64, ..CacheStatus::default() };
        for table in &self.tables {
            let table = table.read();
            status.entries += table.len() as u64;
            status.bytes += table.bytes() as u64;
            status.evicted += table.evicted();
        }
        status
    }

    fn by_id(&self, id: MetricId) -> Place {
        self.place(id.0.as_u64_pair(), TextId::NONE)
    }

    fn by_name(&self, resource: ResourceId, name: TextId) -> Place {
        self.place(resource.0.as_u64_pair(), name)
    }

    fn place(&self, id: (u64, u64), name: TextId) -> Place {
        let id = [id.0, id.1];
        Place { id, name, hash: self.hash(id, name) }
    }

    #[inline]
    fn hash(&self, id: [u64; 2], name: TextId) -> u64 {
        self.hasher.hash_one((id[0], id[1], name))
    }

    fn remove(&self, place: &Place) {
        self.tables[table_of(place)].write().remove(place, |id, name| self.hash(id, name));
    }

    fn remove_named(&self, resource: ResourceId, name: &str) {
        // Not inside the condition: a table may be waited for.
        let name = self.names.read().id(name);
        if let Some(name) = name {
            self.remove(&self.by_name(resource, name));
        }
    }
}

/// Which table a place belongs to.
fn table_of(place: &Place) -> usize {
    (place.hash >> (u64::BITS - TABLE_BITS)) as usize
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
        let entry = cache.enter(&metric, AskedBy::Id, cache.generation());
        assert_eq!((cache.get(metric.id), named(&cache, "cpu")), (Some(entry), None));
        assert_eq!(cache.enter(&metric, AskedBy::Name, cache.generation()), entry);
        assert_eq!((cache.get(metric.id), named(&cache, "cpu")), (Some(entry), Some(entry)));
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
        cache.enter(&metric, AskedBy::Id, before);
        cache.enter(&metric, AskedBy::Name, before);
        assert_eq!((cache.get(metric.id), named(&cache, "cpu")), (None, None));
    }

    /// However many there are: tables grow in steps, and one must not come upon its worst moment.
    #[test]
    fn entries_are_small() {
        for asked in [AskedBy::Id, AskedBy::Name] {
            let cache = MetricCache::new(1 << 20);
            let mut metric = metric(0, "cpu");
            for n in 1..300_000_u32 {
                metric.id = MetricId(Uuid::from_u128(n.into()));
                metric.resource_id = Some(ResourceId(Uuid::from_u128(n.into())));
                cache.enter(&metric, asked, cache.generation());
                if n.is_multiple_of(10_000) {
                    let status = cache.status();
                    assert_eq!(status.entries, u64::from(n));
                    assert!(status.bytes / status.entries <= 48, "{} bytes of {n}", status.bytes);
                }
            }
        }
    }

    #[test]
    fn stays_bounded() {
        let cache = MetricCache::new(1000);
        for n in 0..20_000 {
            cache.enter(&metric(n, "cpu"), AskedBy::Id, cache.generation());
        }
        let status = cache.status();
        assert!((900..=1024).contains(&status.entries), "{status:?}");
        assert_eq!(status.evicted, 20_000 - status.entries);
    }

    #[test]
    fn many_are_found_in_their_order() {
        let cache = MetricCache::new(10_000);
        for n in (0..4000).step_by(2) {
            let mut metric = metric(n, "cpu");
            metric.key = SeriesKey(u64::try_from(n).unwrap());
            cache.enter(&metric, AskedBy::Id, cache.generation());
        }
        let found = cache.get_all((0..4000).map(|n| MetricId(Uuid::from_u128(n))));
        for (n, found) in (0..4000).zip(found) {
            assert_eq!(found.map(|metric| metric.key), (n % 2 == 0).then_some(SeriesKey(n)));
        }
    }
}
