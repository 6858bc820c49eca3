//! One sack: its heads, parts, deletes and late counts, under one lock that is held for moments only.

use std::collections::HashMap;
use std::sync::Arc;

use nephometer_drivers::{LateCount, PartId, Tombstone};
use nephometer_model::{SeriesKey, Timespan, Timestamp};

use crate::head::{HeadBuffer, KeyMap, Run};
use crate::parts::{Part, PartSet};
use crate::tombstones::Tombstones;

/// A head that is being written to parts.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) buffer: HeadBuffer,
    /// Log position of the oldest write that may be inside.
    pub(crate) start_position: u64,
    /// Log position after the newest write inside.
    pub(crate) end_position: u64,
}

/// Late measures by series, start and width of the span.
pub(crate) type LateMap = HashMap<(u64, i64, i64), u64>;

/// The state of one sack.
pub(crate) struct Sack {
    pub(crate) stride: u32,
    pub(crate) active: HeadBuffer,
    pub(crate) frozen: Option<Arc<Frozen>>,
    pub(crate) parts: Arc<PartSet>,
    /// Those of the parts that the catalog does not know yet: they have taken the place of the frozen head, but their
    /// measures are still in the log that is replayed. Nothing but a flush touches them.
    pub(crate) unpublished: Vec<PartId>,
    pub(crate) tombstones: Tombstones,
    /// Series that the index has forgotten, with the log position at which that was told.
    pub(crate) dead: KeyMap<u64>,
    /// Late measures that the catalog does not know yet.
    pub(crate) late: LateMap,
    /// Late measures of the frozen head, being written to the catalog.
    pub(crate) frozen_late: LateMap,
    /// Newest measures of series whose lateness is judged one by one: all under upstream's rule, otherwise those that
    /// something old came to since the last flush. A series that has measures far ahead of now is not in it.
    pub(crate) newest_ns: KeyMap<i64>,
    /// No measure of any series is newer.
    pub(crate) newest_bound_ns: i64,
}

impl Sack {
    pub(crate) fn new(stride: u32, parts: PartSet) -> Self {
        let newest_bound_ns = parts.raw.iter().map(|part| part.row.max_ns).max().unwrap_or(i64::MIN);
        Self {
            stride,
            active: HeadBuffer::new(stride),
            frozen: None,
            parts: Arc::new(parts),
            unpublished: Vec::new(),
            tombstones: Tombstones::default(),
            dead: KeyMap::default(),
            late: LateMap::new(),
            frozen_late: LateMap::new(),
            newest_ns: KeyMap::default(),
            newest_bound_ns,
        }
    }

    /// Notes that a run that ends with `last_ns` was judged; `present_ns` is [`crate::core::Core::present_ns`].
    pub(crate) fn note_newest(&mut self, key: u64, last_ns: i64, present_ns: i64) {
        self.newest_bound_ns = self.newest_bound_ns.max(last_ns);
        if self.newest_ns.is_empty() {
            return;
        }
        if last_ns > present_ns {
            self.newest_ns.remove(&key);
        } else if let Some(newest_ns) = self.newest_ns.get_mut(&key) {
            *newest_ns = last_ns.max(*newest_ns);
        }
    }

    /// Takes a run that counts.
    pub(crate) fn append(&mut self, run: &Run<'_>) {
        if self.dead.is_empty() || !self.dead.contains_key(&run.key) {
            self.active.append(run);
        }
    }

    /// Deletes a span: at once in the active head, by a tombstone everywhere else.
    pub(crate) fn delete_span(&mut self, tombstone: Tombstone) {
        self.active.remove(tombstone.key.0, tombstone.start_ns, tombstone.stop_ns);
        self.newest_ns.remove(&tombstone.key.0);
        self.tombstones.add(tombstone);
    }

    /// Forgets a series; `position` is the log's when that was told.
    pub(crate) fn delete_series(&mut self, key: u64, position: u64) {
        self.active.remove(key, i64::MIN, i64::MAX);
        self.newest_ns.remove(&key);
        self.late.retain(|(late, _, _), _| *late != key);
        self.dead.entry(key).or_insert(position);
    }

    /// Sets the active head aside to be written to parts; there must be no frozen one.
    pub(crate) fn freeze(&mut self, start_position: u64, end_position: u64) {
        debug_assert!(!self.is_flushing(), "one head is frozen at a time");
        let buffer = std::mem::replace(&mut self.active, HeadBuffer::new(self.stride));
        self.frozen = Some(Arc::new(Frozen { buffer, start_position, end_position }));
        self.frozen_late = std::mem::take(&mut self.late);
    }

    /// Puts what the frozen head was written to in its place; the catalog is told later.
    pub(crate) fn thaw(&mut self, parts: impl IntoIterator<Item = Arc<Part>>) {
        let parts: Vec<_> = parts.into_iter().collect();
        self.unpublished = parts.iter().map(|part| part.row.id).collect();
        self.parts = Arc::new(self.parts.with(parts, &[]));
        self.frozen = None;
    }

    /// The parts that the catalog knows.
    pub(crate) fn known_parts(&self) -> Arc<PartSet> {
        if self.unpublished.is_empty() {
            return Arc::clone(&self.parts);
        }
        Arc::new(self.parts.with([], &self.unpublished))
    }

    /// Whether a flush is under way whose parts the catalog does not know.
    pub(crate) fn is_flushing(&self) -> bool {
        self.frozen.is_some() || !self.unpublished.is_empty()
    }

    /// Counts `measures` late ones.
    pub(crate) fn count_late(&mut self, key: u64, start: Timestamp, width: Timespan, measures: u64) {
        *self.late.entry((key, start.ns(), width.ns())).or_default() += measures;
    }
}

/// The entries of a map of late measures.
pub(crate) fn late_counts(late: &LateMap) -> impl Iterator<Item = LateCount> + '_ {
    late.iter().map(|((key, start_ns, width_ns), measures)| LateCount {
        key: SeriesKey(*key),
        start: Timestamp::from_ns(*start_ns),
        width: Timespan::from_ns(*width_ns),
        measures: *measures,
    })
}
