//! Where the buckets of a sorted series begin and end.

use crate::grouping::Grouping;

/// The buckets that have points: their starts and the ends of their runs of points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Buckets {
    /// Starts in nanoseconds, ascending.
    pub(crate) starts_ns: Vec<i64>,
    /// Index after the last point of each bucket.
    pub(crate) ends: Vec<usize>,
    /// Index of the first point of the first bucket.
    pub(crate) first: usize,
}

impl Buckets {
    /// Groups ascending timestamps. Looks at few of them: where a bucket ends is guessed from the one before, then
    /// searched in growing steps.
    pub(crate) fn of(timestamps_ns: &[i64], grouping: Grouping) -> Self {
        let mut buckets = Self::default();
        let Some((first, last)) = timestamps_ns.first().zip(timestamps_ns.last()) else { return buckets };
        if let Grouping::Span(width) = grouping {
            let span = last.saturating_sub(*first) / width.ns().max(1);
            let most = usize::try_from(span).unwrap_or(usize::MAX).saturating_add(2).min(timestamps_ns.len());
            buckets.starts_ns.reserve_exact(most);
            buckets.ends.reserve_exact(most);
        }
        let mut group = grouping.group(*first);
        let (mut begin, mut guess) = (0, 1);
        loop {
            let end = run_end(timestamps_ns, begin, guess, group.last_ns);
            buckets.starts_ns.push(group.start_ns);
            buckets.ends.push(end);
            guess = end - begin;
            let Some(next) = timestamps_ns.get(end) else { return buckets };
            group = grouping.group_after(group, *next);
            begin = end;
        }
    }

    /// Takes the first point away; a bucket that held nothing else is gone.
    pub(crate) fn drop_first_point(&mut self) {
        let gone = usize::from(self.ends.first() == Some(&1));
        self.starts_ns.drain(..gone);
        self.ends.drain(..gone);
        self.first = 1;
    }

    /// The values of each bucket.
    pub(crate) fn slices<'a>(&'a self, values: &'a [f64]) -> impl ExactSizeIterator<Item = &'a [f64]> {
        let mut begin = self.first;
        self.ends.iter().map(move |end| {
            let slice = &values[begin..*end];
            begin = *end;
            slice
        })
    }
}

/// The index after the last timestamp that is not later than `last_ns`; the one at `begin` is not. `guess` is how
/// many there probably are.
fn run_end(timestamps_ns: &[i64], begin: usize, guess: usize, last_ns: i64) -> usize {
    let inside = |at: usize| timestamps_ns.get(at).is_some_and(|t| *t <= last_ns);
    let likely = begin + guess;
    let (mut low, mut step) = (begin, 1);
    if inside(likely - 1) {
        if !inside(likely) {
            return likely.min(timestamps_ns.len());
        }
        low = likely;
    }
    while inside(low + step) {
        low += step;
        step *= 2;
    }
    let high = (low + step).min(timestamps_ns.len());
    low + timestamps_ns[low..high].partition_point(|t| *t <= last_ns)
}

#[cfg(test)]
mod tests {
    use nephometer_model::Timespan;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_point_is_in_its_bucket(
            steps in prop::collection::vec(prop_oneof![1..4_i64, 1..200_i64], 0..200),
            start in -500..500_i64,
            width in 1..60_i64,
        ) {
            let mut at = start;
            let timestamps: Vec<i64> = steps.iter().map(|step| { at += step; at }).collect();
            let buckets = Buckets::of(&timestamps, Grouping::Span(Timespan::from_ns(width)));
            let mut rebuilt = Vec::new();
            let mut begin = 0;
            for (bucket, end) in buckets.starts_ns.iter().zip(&buckets.ends) {
                prop_assert!(*end > begin);
                rebuilt.extend((begin..*end).map(|_| *bucket));
                begin = *end;
            }
            let naive: Vec<i64> = timestamps.iter().map(|t| t.div_euclid(width) * width).collect();
            prop_assert_eq!(rebuilt, naive);
            prop_assert!(buckets.starts_ns.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn dropping_the_first_point_drops_its_lonely_bucket() {
        let grouping = Grouping::Span(Timespan::from_ns(10));
        let mut lonely = Buckets::of(&[5, 11, 12], grouping);
        lonely.drop_first_point();
        assert_eq!((lonely.starts_ns, lonely.ends, lonely.first), (vec![10], vec![3], 1));
        let mut shared = Buckets::of(&[5, 6, 12], grouping);
        shared.drop_first_point();
        assert_eq!((shared.starts_ns, shared.ends, shared.first), (vec![0, 10], vec![2, 3], 1));
    }
}
