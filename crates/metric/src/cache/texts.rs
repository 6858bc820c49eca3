//! Texts that very many metrics share, held once each.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;
use parking_lot::{RwLock, RwLockReadGuard};

/// Bits that a [`TextId`] takes in an entry.
pub(super) const TEXT_BITS: u32 = 21;
/// Distinct texts of one kind that are remembered; metrics of further ones are looked up in the index each time.
const MAX_TEXTS: usize = 1 << (TEXT_BITS - 1);

/// A text that is held once, in [`TEXT_BITS`] bits. Ids are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TextId(u32);

impl TextId {
    /// Stands for no text at all.
    pub(super) const NONE: Self = Self((1 << TEXT_BITS) - 1);
    /// Stands for a text that did not fit; never in the cache.
    pub(super) const UNKNOWN: Self = Self(Self::NONE.0 - 1);
    /// Stands for whoever made a metric of an ended resource; never in the cache, so that those who write to such a
    /// metric pass by [`super::MetricCache::enter`] and are noticed, and no others pay for it.
    pub(super) const OF_ENDED: Self = Self(Self::NONE.0 - 2);

    /// The id as a number below 2 ^ [`TEXT_BITS`].
    pub(super) fn bits(self) -> u64 {
        u64::from(self.0)
    }

    /// The id of a number that [`TextId::bits`] gave; further bits are ignored.
    #[expect(clippy::cast_possible_truncation, reason = "the bits that count are fewer")]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits as u32 & Self::NONE.0)
    }
}

/// Texts by id, and ids by text.
#[derive(Default)]
pub(super) struct Texts(RwLock<Table>);

#[derive(Default)]
pub(super) struct Table {
    ids: HashMap<Arc<str>, TextId, RandomState>,
    texts: Vec<Arc<str>>,
    /// Bytes of all texts together.
    len_bytes: usize,
}

impl Table {
    pub(super) fn id(&self, text: &str) -> Option<TextId> {
        self.ids.get(text).copied()
    }

    /// The id of `text`, allotted where it is new; nothing where no more fit.
    fn intern(&mut self, text: &str) -> Option<TextId> {
        if let Some(id) = self.id(text) {
            return Some(id);
        }
        if self.texts.len() >= MAX_TEXTS {
            return None;
        }
        let id = TextId(u32::try_from(self.texts.len()).ok()?);
        let shared: Arc<str> = Arc::from(text);
        self.len_bytes += text.len();
        self.texts.push(Arc::clone(&shared));
        self.ids.insert(shared, id);
        Some(id)
    }
}

impl Texts {
    /// For looking up many at once.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read()
    }

    /// The id of `text`, allotted where it is new; nothing where no more fit.
    pub(super) fn intern(&self, text: &str) -> Option<TextId> {
        let known = self.0.read().id(text);
        known.or_else(|| self.0.write().intern(text))
    }

    /// What an id stands for.
    pub(super) fn text(&self, id: TextId) -> Option<Arc<str>> {
        self.0.read().texts.get(id.0 as usize).cloned()
    }

    /// Memory that the texts take, about.
    pub(super) fn bytes(&self) -> usize {
        let table = self.0.read();
        let counts = 2 * size_of::<usize>();
        let by_id = table.texts.capacity() * size_of::<Arc<str>>();
        let by_text = table.ids.capacity() * (size_of::<(Arc<str>, TextId)>() + 1);
        by_id + by_text + table.texts.len() * counts + table.len_bytes
    }
}
