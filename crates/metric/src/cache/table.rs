//! A bounded hash table of entries of 32 bytes, in one array that grows by eighths.
//!
//! Open addressing with linear probing: an entry lies in the first free slot at or after the one that its hash names, so
//! that finding it touches one or two cache lines. Where the table is full, a hand goes round and removes the first
//! entry that was not used since it last came by (the "clock" algorithm). Readers share the table: whether an entry was
//! used is all that they write.

use std::sync::atomic::{AtomicU64, Ordering};

use nephometer_model::{PolicyKey, SeriesKey};

use super::CachedMetric;
use super::texts::{TEXT_BITS, TextId};

/// Of so many slots, at most [`FULL`] are taken before the table grows.
const SLOTS: usize = 20;
/// See [`SLOTS`].
const FULL: usize = 17;
/// A table grows by one part of this many.
const GROWTH: usize = 8;
/// Slots of the smallest table that holds anything.
const MIN_SLOTS: usize = 16;

/// Bits of a policy's key that an entry has room for; metrics of a policy beyond are not remembered.
const POLICY_BITS: u32 = 20;
/// Where the parts of [`Slot::rest`] begin: whether it is taken and used, name, creator, policy.
const NAME_AT: u32 = 2;
const CREATOR_AT: u32 = NAME_AT + TEXT_BITS;
const POLICY_AT: u32 = CREATOR_AT + TEXT_BITS;
/// The slot holds an entry.
const TAKEN: u64 = 1;
/// The entry was used since the hand came by.
const USED: u64 = 2;

/// What an entry is found by: an id alone, or an id and a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// A metric's id, or a resource's where there is a name.
    pub(super) id: [u64; 2],
    /// The name, or [`TextId::NONE`].
    pub(super) name: TextId,
    /// Hash of both.
    pub(super) hash: u64,
}

/// An entry, or room for one.
#[derive(Default)]
struct Slot {
    id: [u64; 2],
    key: u64,
    /// Everything else; 0 where the slot is free.
    rest: AtomicU64,
}

impl Slot {
    fn new(place: &Place, metric: CachedMetric) -> Option<Self> {
        let policy = u64::from(metric.policy.0);
        if policy >> POLICY_BITS != 0 {
            return None;
        }
        let name = place.name.bits() << NAME_AT;
        let rest = TAKEN | name | metric.creator.bits() << CREATOR_AT | policy << POLICY_AT;
        Some(Self { id: place.id, key: metric.key.0, rest: AtomicU64::new(rest) })
    }

    fn name(rest: u64) -> TextId {
        TextId::from_bits(rest >> NAME_AT)
    }

    fn metric(&self, rest: u64) -> CachedMetric {
        CachedMetric {
            key: SeriesKey(self.key),
            policy: PolicyKey((rest >> POLICY_AT) as u32),
            creator: TextId::from_bits(rest >> CREATOR_AT),
        }
    }
}

/// The table. Where entries move, `hash` tells the hash of what each is found by.
pub(super) struct Table {
    slots: Box<[Slot]>,
    len: usize,
    /// Most entries.
    limit: usize,
    /// The slot that is looked at next when an entry must go.
    hand: usize,
    /// Entries that made room for others.
    evicted: u64,
}

impl Table {
    /// An empty table of at most `limit` entries, at least one.
    pub(super) fn new(limit: usize) -> Self {
        Self { slots: Box::default(), len: 0, limit: limit.max(1), hand: 0, evicted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory of the table.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The slot where the search for a hash begins. The highest bits of a hash choose among tables, so not these.
    fn home(&self, hash: u64) -> usize {
        (((hash & u64::from(u32::MAX)) * self.slots.len() as u64) >> 32) as usize
    }

    fn next(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    /// The slot of an entry with its [`Slot::rest`], or the free slot where it would lie. The table has a free slot.
    #[inline]
    fn find(&self, place: &Place) -> (usize, u64) {
        let mut at = self.home(place.hash);
        loop {
            let slot = &self.slots[at];
            let rest = slot.rest.load(Ordering::Relaxed);
            if rest == 0 || (slot.id == place.id && Slot::name(rest) == place.name) {
                return (at, rest);
            }
            at = self.next(at);
        }
    }

    /// Brings near what [`Table::get`] will look at. Waiting for many such looks at once is much shorter than for one
    /// after the other. The answer means nothing.
    #[inline]
    pub(super) fn touch(&self, place: &Place) -> u64 {
        self.slots.get(self.home(place.hash)).map_or(0, |slot| slot.key)
    }

    /// What is remembered.
    #[inline]
    pub(super) fn get(&self, place: &Place) -> Option<CachedMetric> {
        if self.len == 0 {
            return None;
        }
        let (at, rest) = self.find(place);
        if rest == 0 {
            return None;
        }
        let slot = &self.slots[at];
        if rest & USED == 0 {
            // Others may do the same; the rest of it changes only under an exclusive borrow.
            slot.rest.store(rest | USED, Ordering::Relaxed);
        }
        Some(slot.metric(rest))
    }

    /// Remembers `metric`, if an entry has room for its figures.
    pub(super) fn insert(
        &mut self,
        place: &Place,
        metric: CachedMetric,
        hash: impl Fn([u64; 2], TextId) -> u64,
    ) {
        let Some(new) = Slot::new(place, metric) else { return self.remove(place, hash) };
        if self.len > 0 {
            let (at, rest) = self.find(place);
            if rest != 0 {
                self.slots[at] = new;
                return;
            }
        }
        if self.len >= self.limit {
            self.evict(&hash);
        } else if (self.len + 1) * SLOTS > self.slots.len() * FULL {
            self.grow(&hash);
        }
        let (at, _) = self.find(place);
        self.slots[at] = new;
        self.len += 1;
    }

    /// Forgets an entry, if it is there.
    pub(super) fn remove(&mut self, place: &Place, hash: impl Fn([u64; 2], TextId) -> u64) {
        if self.len == 0 {
            return;
        }
        let (at, rest) = self.find(place);
        if rest != 0 {
            self.free(at, &hash);
        }
    }

    /// Forgets all and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.slots = Box::default();
        self.len = 0;
        self.hand = 0;
    }

    /// Takes more slots, but no more than the most entries need.
    fn grow(&mut self, hash: &impl Fn([u64; 2], TextId) -> u64) {
        let most = self.limit * SLOTS / FULL + 2;
        let slots = self.slots.len() + (self.slots.len() / GROWTH).max(MIN_SLOTS);
        let slots = std::iter::repeat_with(Slot::default).take(slots.min(most)).collect();
        let old = std::mem::replace(&mut self.slots, slots);
        self.hand = 0;
        for slot in old {
            let rest = slot.rest.load(Ordering::Relaxed);
            if rest != 0 {
                let name = Slot::name(rest);
                let (at, _) = self.find(&Place { id: slot.id, name, hash: hash(slot.id, name) });
                self.slots[at] = slot;
            }
        }
    }

    /// Forgets one entry that was not used for long.
    fn evict(&mut self, hash: &impl Fn([u64; 2], TextId) -> u64) {
        loop {
            let at = self.hand;
            let rest = self.slots[at].rest.get_mut();
            if *rest & (TAKEN | USED) == TAKEN {
                // Whoever is moved into the freed slot is looked at next.
                self.free(at, hash);
                self.evicted += 1;
                return;
            }
            *rest &= !USED;
            self.hand = self.next(at);
        }
    }

    /// Frees a slot and moves those back that lie further from their places because of it.
    fn free(&mut self, slot: usize, hash: &impl Fn([u64; 2], TextId) -> u64) {
        let (mut free, mut at) = (slot, slot);
        loop {
            at = self.next(at);
            let rest = self.slots[at].rest.load(Ordering::Relaxed);
            if rest == 0 {
                break;
            }
            let home = self.home(hash(self.slots[at].id, Slot::name(rest)));
            // Whether the search for it, from its home on, passes the free slot.
            let passes = if free <= at { home <= free || home > at } else { home <= free && home > at };
            if passes {
                self.slots.swap(free, at);
                free = at;
            }
        }
        self.slots[free] = Slot::default();
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Few homes, so that entries lie in each other's way.
    fn hash(id: [u64; 2], name: TextId) -> u64 {
        (id[0] * 7 + name.bits()) % 13 * (u64::from(u32::MAX) / 13)
    }

    fn place(id: u64, name: u64) -> Place {
        let name = if name == 0 { TextId::NONE } else { TextId::from_bits(name) };
        Place { id: [id, 0], name, hash: hash([id, 0], name) }
    }

    fn metric(key: u64) -> CachedMetric {
        CachedMetric { key: SeriesKey(key), policy: PolicyKey(3), creator: TextId::from_bits(key % 5) }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u64, u64),
        Remove(u64, u64),
        Get(u64, u64),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            10 => (0..40_u64, 0..3_u64, any::<u64>()).prop_map(|(id, name, key)| Step::Insert(id, name, key)),
            4 => (0..40_u64, 0..3_u64).prop_map(|(id, name)| Step::Remove(id, name)),
            8 => (0..40_u64, 0..3_u64).prop_map(|(id, name)| Step::Get(id, name)),
            1 => Just(Step::Clear),
        ];
        proptest::collection::vec(step, 0..400)
    }

    proptest! {
        /// What is there is what was entered last; where there is room, all of it is.
        #[test]
        fn remembers_what_was_entered(steps in steps(), limit in 1..150_usize) {
            let mut table = Table::new(limit);
            let mut model: HashMap<(u64, u64), CachedMetric> = HashMap::new();
            for step in steps {
                match step {
                    Step::Insert(id, name, key) => {
                        table.insert(&place(id, name), metric(key), hash);
                        model.insert((id, name), metric(key));
                        prop_assert_eq!(table.get(&place(id, name)), Some(metric(key)));
                    }
                    Step::Remove(id, name) => {
                        table.remove(&place(id, name), hash);
                        model.remove(&(id, name));
                    }
                    Step::Get(id, name) => drop(table.get(&place(id, name))),
                    Step::Clear => {
                        table.clear();
                        model.clear();
                    }
                }
                let found = model.iter().filter(|(at, metric)| {
                    let found = table.get(&place(at.0, at.1));
                    assert!(found.is_none() || found == Some(**metric), "{at:?}: {found:?}");
                    found.is_some()
                });
                prop_assert_eq!(found.count(), table.len());
                prop_assert!(table.len() <= limit);
                prop_assert!(limit < 120 || table.len() == model.len(), "nothing had to go");
                for (id, name) in (0..40).flat_map(|id| (0..3).map(move |name| (id, name))) {
                    prop_assert!(model.contains_key(&(id, name)) || table.get(&place(id, name)).is_none());
                }
            }
        }
    }

    #[test]
    fn what_is_used_stays() {
        let mut table = Table::new(100);
        let spread = |id: [u64; 2], _: TextId| id[0].wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let place = |id: u64| Place { id: [id, 0], name: TextId::NONE, hash: spread([id, 0], TextId::NONE) };
        for id in 0..50 {
            table.insert(&place(id), metric(id), spread);
        }
        for id in 100..5_000 {
            table.insert(&place(id), metric(id), spread);
            assert_eq!((0..50).filter(|id| table.get(&place(*id)).is_none()).count(), 0);
        }
        assert_eq!((table.len(), table.evicted()), (100, 4_850));
        assert!(table.bytes() <= 120 * 32, "{}", table.bytes());
    }

    #[test]
    fn keeps_every_bit() {
        let mut table = Table::new(10);
        let creator = TextId::from_bits((1 << 20) - 1);
        for (name, policy) in [(TextId::NONE, 0), (creator, (1 << POLICY_BITS) - 1)] {
            let place = Place { id: [u64::MAX, 1], name, hash: 0 };
            let metric = CachedMetric { key: SeriesKey(u64::MAX), policy: PolicyKey(policy), creator };
            table.insert(&place, metric, |_, _| 0);
            assert_eq!(table.get(&place), Some(metric));
        }
        let place = Place { id: [5, 5], name: TextId::NONE, hash: 0 };
        let metric = CachedMetric { key: SeriesKey(1), policy: PolicyKey(1 << POLICY_BITS), creator };
        table.insert(&place, metric, |_, _| 0);
        assert_eq!((table.get(&place), table.len()), (None, 2));
    }
}
