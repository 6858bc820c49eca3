//! Sums over windows of time: what a group of resources used while they belonged to it.

use std::collections::BTreeMap;

use nephometer_model::Timespan;

use crate::points::Points;

/// Adds up points by granularity and timestamp, each scaled by the part of its bucket that lies inside a window.
/// (Gnocchi's REST behaviour, `use_history` of dynamic aggregates, with points summed whatever their order.)
#[derive(Debug, Clone, Default)]
pub struct WindowedSum {
    granularities: BTreeMap<Timespan, BTreeMap<i64, f64>>,
}

impl WindowedSum {
    /// Adds the part of `points`, buckets of `granularity`, that lies in `[start_ns, stop_ns)`; a missing bound is
    /// open. Buckets outside the window are not added.
    pub fn add(
        &mut self,
        granularity: Timespan,
        points: &Points,
        start_ns: Option<i64>,
        stop_ns: Option<i64>,
    ) {
        let sums = self.granularities.entry(granularity).or_default();
        for (at_ns, value) in points.iter() {
            let share = share_inside(at_ns, granularity, start_ns, stop_ns);
            if share > 0.0 {
                *sums.entry(at_ns).or_insert(0.0) += value * share;
            }
        }
    }

    /// The sums, coarsest granularity first.
    pub fn into_points(self) -> impl Iterator<Item = (Timespan, Points)> {
        self.granularities
            .into_iter()
            .rev()
            .map(|(granularity, sums)| (granularity, sums.into_iter().collect()))
    }
}

/// The part, 0 to 1, of the bucket at `at_ns` that lies in `[start_ns, stop_ns)`.
fn share_inside(at_ns: i64, granularity: Timespan, start_ns: Option<i64>, stop_ns: Option<i64>) -> f64 {
    let end_ns = at_ns.saturating_add(granularity.ns());
    let from_ns = start_ns.unwrap_or(at_ns).max(at_ns);
    let to_ns = stop_ns.unwrap_or(end_ns).min(end_ns);
    to_ns.saturating_sub(from_ns).max(0) as f64 / granularity.ns().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Timespan = Timespan::from_seconds(3600);
    const HOUR_NS: i64 = HOUR.ns();

    fn sums(sum: WindowedSum) -> Vec<(Timespan, Vec<(i64, f64)>)> {
        sum.into_points().map(|(granularity, points)| (granularity, points.iter().collect())).collect()
    }

    #[test]
    fn a_change_within_the_hour_splits_it() {
        let points: Points = [(8 * HOUR_NS, 10.0)].into_iter().collect();
        let changed = 8 * HOUR_NS + 1_923_790_000_000;
        let part = |start, stop| {
            let mut sum = WindowedSum::default();
            sum.add(HOUR, &points, start, stop);
            sums(sum)[0].1[0].1
        };
        let (before, after) = (part(None, Some(changed)), part(Some(changed), None));
        assert!((before - 5.343_861).abs() < 1e-6, "{before}");
        assert!((before + after - 10.0).abs() < 1e-12);
    }

    #[test]
    fn equal_timestamps_add_up_only_within_a_granularity() {
        let minute = Timespan::from_seconds(60);
        let mut sum = WindowedSum::default();
        for resource in [1.0, 2.0] {
            sum.add(minute, &[(0, resource)].into_iter().collect(), None, None);
            sum.add(HOUR, &[(0, resource), (HOUR_NS, 5.0)].into_iter().collect(), Some(0), Some(HOUR_NS));
        }
        assert_eq!(sums(sum), [(HOUR, vec![(0, 3.0)]), (minute, vec![(0, 3.0)])]);
    }

    proptest! {
        #[test]
        fn parts_of_a_bucket_make_the_bucket(at in 0..1000_i64, width in 1..1000_i64, cut in 0..2000_i64) {
            let width = Timespan::from_ns(width);
            let parts = share_inside(at, width, None, Some(cut)) + share_inside(at, width, Some(cut), None);
            prop_assert!((parts - 1.0).abs() < 1e-12);
        }
    }
}
