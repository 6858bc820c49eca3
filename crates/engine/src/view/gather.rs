//! One series gathered from many places, in order of time.
//!
//! Most places follow each other in time and are decoded one behind the other into one pair of columns. Where some
//! overlap, what was written later wins.

use std::ops::Range;

use nephometer_series::Points;

use super::merge_newer;

/// Something that holds measures of a series between two points in time, both included.
pub(super) trait Spanned {
    fn span(&self) -> (i64, i64);
}

/// A series, or a piece of it.
impl Spanned for Points {
    fn span(&self) -> (i64, i64) {
        let ends = self.timestamps_ns.first().zip(self.timestamps_ns.last());
        ends.map_or((i64::MAX, i64::MIN), |(first, last)| (*first, *last))
    }
}

/// Groups of `sources`, which are in the order of writing: the groups ascend in time and do not overlap; within a group
/// the order stays.
pub(super) fn clusters<S: Spanned>(sources: Vec<S>) -> Vec<Vec<S>> {
    let mut by_time: Vec<(usize, S)> = sources.into_iter().enumerate().collect();
    by_time.sort_by_key(|(_, source)| source.span().0);
    let mut clusters: Vec<Vec<(usize, S)>> = Vec::new();
    let mut end_ns = i64::MIN;
    for (order, source) in by_time {
        let (first_ns, last_ns) = source.span();
        match clusters.last_mut() {
            Some(cluster) if first_ns <= end_ns => cluster.push((order, source)),
            _ => clusters.push(vec![(order, source)]),
        }
        end_ns = end_ns.max(last_ns);
    }
    let in_order = |mut cluster: Vec<(usize, S)>| {
        cluster.sort_by_key(|(order, _)| *order);
        cluster.into_iter().map(|(_, source)| source).collect()
    };
    clusters.into_iter().map(in_order).collect()
}

/// Puts the runs of `points` that begin at `starts` in order: each ascends, and at equal timestamps the later run wins.
/// Costs one look at each where they follow each other.
pub(super) fn settle(points: &mut Points, starts: &[usize]) {
    let ends = starts.iter().skip(1).copied().chain([points.len()]);
    let runs: Vec<Range<usize>> =
        starts.iter().zip(ends).map(|(start, end)| *start..end).filter(|run| !run.is_empty()).collect();
    let times = &points.timestamps_ns;
    if runs.is_sorted_by(|a, b| times[a.end - 1] < times[b.start]) {
        return;
    }
    let pieces = runs.iter().map(|run| Points {
        timestamps_ns: times[run.clone()].to_vec(),
        values: points.values[run.clone()].to_vec(),
    });
    let pieces = clusters(pieces.collect());
    let begin = starts.first().copied().unwrap_or_default();
    points.timestamps_ns.truncate(begin);
    points.values.truncate(begin);
    for piece in pieces.into_iter().map(merged) {
        points.timestamps_ns.extend_from_slice(&piece.timestamps_ns);
        points.values.extend_from_slice(&piece.values);
    }
}

/// One series of `pieces` in the order of writing; neighbours are merged first, so that nothing is copied often.
fn merged(mut pieces: Vec<Points>) -> Points {
    while pieces.len() > 1 {
        let mut rest = pieces.into_iter();
        let mut halves = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(mut older) = rest.next() {
            if let Some(newer) = rest.next() {
                merge_newer(&mut older, (&newer.timestamps_ns, &newer.values));
            }
            halves.push(older);
        }
        pieces = halves;
    }
    pieces.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn later_runs_win_and_time_ascends(
            before in prop::collection::btree_map(-20..0_i64, -9.0..9.0, 0..4),
            runs in prop::collection::vec((0..60_i64, prop::collection::btree_map(0..20_i64, -9.0..9.0, 0..8)), 0..9),
        ) {
            let mut points: Points = before.clone().into_iter().collect();
            let mut expected: BTreeMap<i64, f64> = before;
            let mut starts = Vec::new();
            for (at, run) in runs {
                starts.push(points.len());
                for (offset, value) in run {
                    points.timestamps_ns.push(at + offset);
                    points.values.push(value);
                    expected.insert(at + offset, value);
                }
            }
            settle(&mut points, &starts);
            prop_assert_eq!(points, expected.into_iter().collect::<Points>());
        }

        #[test]
        fn clusters_ascend_and_keep_the_order_within(spans in prop::collection::vec((0..100_i64, 0..20_i64), 0..20)) {
            let sources = spans.iter().enumerate().map(|(order, (first, len))| Numbered(order, (*first, first + len)));
            let clusters = clusters(sources.collect());
            prop_assert_eq!(clusters.iter().map(Vec::len).sum::<usize>(), spans.len());
            let mut end = i64::MIN;
            for cluster in clusters {
                prop_assert!(cluster.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert!(cluster.iter().all(|source| source.1.0 > end));
                end = cluster.iter().map(|source| source.1.1).max().unwrap();
            }
        }
    }

    struct Numbered(usize, (i64, i64));

    impl Spanned for Numbered {
        fn span(&self) -> (i64, i64) {
            self.1
        }
    }
}
