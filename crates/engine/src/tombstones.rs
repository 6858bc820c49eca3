//! Deleted spans and forgotten series, until merging has carried them out.
//!
//! A tombstone hides what was written before its position. Parts and frozen heads know the position after their
//! newest write; the active head never needs one, because a delete removes from it at once.

use nephometer_drivers::Tombstone;
use nephometer_series::Points;

use crate::head::KeyMap;

/// The deleted spans of one sack.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    by_key: KeyMap<Vec<Tombstone>>,
}

impl Tombstones {
    pub(crate) fn add(&mut self, tombstone: Tombstone) {
        let known = self.by_key.entry(tombstone.key.0).or_default();
        if !known.contains(&tombstone) {
            known.push(tombstone);
        }
    }

    pub(crate) fn of(&self, key: u64) -> &[Tombstone] {
        self.by_key.get(&key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tombstone> {
        self.by_key.values().flatten()
    }

    pub(crate) fn remove(&mut self, gone: &[Tombstone]) {
        for tombstone in gone {
            if let Some(known) = self.by_key.get_mut(&tombstone.key.0) {
                known.retain(|other| other != tombstone);
                if known.is_empty() {
                    self.by_key.remove(&tombstone.key.0);
                }
            }
        }
    }
}

/// Whether `tombstone` hides content whose newest write is before `end_position`.
pub(crate) fn applies(tombstone: &Tombstone, end_position: u64) -> bool {
    tombstone.position >= end_position
}

/// Removes from `points`, whose newest write is before `end_position`, what `tombstones` hide.
pub(crate) fn erase(points: &mut Points, tombstones: &[Tombstone], end_position: u64) {
    for tombstone in tombstones.iter().filter(|tombstone| applies(tombstone, end_position)) {
        let begin = points.timestamps_ns.partition_point(|t| *t < tombstone.start_ns);
        let end = points.timestamps_ns.partition_point(|t| *t < tombstone.stop_ns);
        if begin < end {
            points.timestamps_ns.drain(begin..end);
            points.values.drain(begin..end);
        }
    }
}

/// Whether a slot of rollups, `width_ns` wide, is hidden: only where the deleted span holds all of it.
pub(crate) fn hides_slot(tombstones: &[Tombstone], end_position: u64, start_ns: i64, width_ns: i64) -> bool {
    let stop_ns = start_ns.saturating_add(width_ns);
    tombstones.iter().any(|t| applies(t, end_position) && t.start_ns <= start_ns && stop_ns <= t.stop_ns)
}

#[cfg(test)]
mod tests {
    use nephometer_model::SeriesKey;

    use super::*;

    #[test]
    fn hides_what_is_older_only() {
        let tombstone = Tombstone { key: SeriesKey(1), start_ns: 10, stop_ns: 20, position: 5 };
        let all: Points = [(9, 1.0), (10, 2.0), (19, 3.0), (20, 4.0)].into_iter().collect();
        let mut points = all.clone();
        erase(&mut points, &[tombstone], 6);
        assert_eq!(points, all);
        erase(&mut points, &[tombstone], 5);
        assert_eq!(points.timestamps_ns, [9, 20]);
        assert!(hides_slot(&[tombstone], 5, 10, 10));
        assert!(!hides_slot(&[tombstone], 5, 0, 20));
        assert!(!hides_slot(&[tombstone], 6, 10, 10));
    }
}
