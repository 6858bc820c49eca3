//! The parts of one sack at one moment.

use std::sync::Arc;

use nephometer_drivers::{PartId, PartKind, PartRow};

use super::Part;

/// What decides between raw parts that hold one timestamp of one series: the greater rank wins.
pub(crate) fn rank(row: &PartRow) -> (u64, u64) {
    (row.min_position, row.max_position)
}

/// The parts of one sack.
#[derive(Default, Clone)]
pub(crate) struct PartSet {
    /// Raw parts by ascending rank.
    pub(crate) raw: Vec<Arc<Part>>,
    /// Rollup parts by descending end.
    pub(crate) rollups: Vec<Arc<Part>>,
}

impl PartSet {
    pub(crate) fn with(&self, added: impl IntoIterator<Item = Arc<Part>>, removed: &[PartId]) -> Self {
        let mut next = self.clone();
        let stays = |part: &Arc<Part>| !removed.contains(&part.row.id);
        next.raw.retain(stays);
        next.rollups.retain(stays);
        for part in added {
            match part.row.kind {
                PartKind::Raw => next.raw.push(part),
                PartKind::Rollup => next.rollups.push(part),
            }
        }
        next.raw.sort_by_key(|part| rank(&part.row));
        next.rollups.sort_by_key(|part| std::cmp::Reverse(part.row.max_ns));
        next
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.raw.iter().chain(&self.rollups)
    }

    /// Below this rollups may have taken the place of raw measures.
    pub(crate) fn rolled_up_to_ns(&self) -> i64 {
        self.rollups.first().map_or(i64::MIN, |part| part.row.max_ns.saturating_add(1))
    }
}
