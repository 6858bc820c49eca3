//! What is known of the series in a part without reading it: which policies they have, and how close their measures lie.

use std::collections::BTreeMap;

/// The class of measures that have no neighbours.
const ALONE: u8 = u8::MAX;

/// Measures of a part by policy and by class of their distance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    measures: BTreeMap<(u32, u8), u64>,
}

impl Contents {
    /// Notes raw measures of one series.
    pub(crate) fn note(&mut self, policy: u32, timestamps_ns: &[i64]) {
        let (Some(first), Some(last)) = (timestamps_ns.first(), timestamps_ns.last()) else { return };
        let steps = timestamps_ns.len() as u64 - 1;
        let class = last.abs_diff(*first).checked_div(steps).map_or(ALONE, class_of);
        *self.measures.entry((policy, class)).or_default() += steps + 1;
    }

    /// Notes that a series of `policy` is inside, with so many slots of rollups.
    pub(crate) fn note_slots(&mut self, policy: u32, slots: usize) {
        *self.measures.entry((policy, ALONE)).or_default() += slots as u64;
    }

    /// Policies of the series inside, each once.
    pub(crate) fn policies(&self) -> impl Iterator<Item = u32> {
        let mut policies: Vec<u32> = self.measures.keys().map(|(policy, _)| *policy).collect();
        policies.dedup();
        policies.into_iter()
    }

    /// Whether a quarter or more of all measures are of `policy` and closer together than `distance_ns` on average.
    pub(crate) fn is_dense(&self, policy: u32, distance_ns: i64) -> bool {
        let limit = class_of(distance_ns.max(1).unsigned_abs());
        let dense: u64 =
            self.measures.range((policy, 0)..(policy, limit)).map(|(_, measures)| measures).sum();
        dense > 0 && dense * 4 >= self.measures.values().sum()
    }
}

/// Four classes for each power of two; always below [`ALONE`] but for distances of centuries.
fn class_of(distance_ns: u64) -> u8 {
    ((distance_ns.max(1) as f64).log2() * 4.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn density_counts_by_measures() {
        let mut contents = Contents::default();
        let every = |step: i64, count: i64| (0..count).map(|at| at * step * S).collect::<Vec<_>>();
        contents.note(1, &every(1, 600));
        contents.note(1, &every(60, 10));
        contents.note(2, &every(60, 10));
        contents.note(3, &[5]);
        contents.note(3, &[]);
        assert_eq!(contents.policies().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(contents.is_dense(1, 2 * S) && !contents.is_dense(1, S / 2));
        assert!(!contents.is_dense(2, 100 * S), "too few of all");
        assert!(!contents.is_dense(3, i64::MAX), "no neighbours");
        contents.note_slots(4, 3000);
        assert!(!contents.is_dense(1, 2 * S) && !contents.is_dense(4, i64::MAX));
        assert!(class_of(i64::MAX.unsigned_abs()) < ALONE);
    }
}
