//! Aggregation of measures that arrive piece by piece.

use nephometer_model::{AggregationMethod, Timespan};

use super::aggregate_many;
use crate::grouping::Grouping;
use crate::points::Points;

/// Aggregates measures that arrive in ascending order of time, as [`aggregate_many`] would aggregate all of them at
/// once, but without holding more of them than the bucket that is not complete yet.
#[derive(Debug)]
pub struct Aggregation {
    granularity: Timespan,
    methods: Vec<AggregationMethod>,
    results: Vec<Points>,
    /// The measures of the latest bucket.
    open: Points,
    /// The measure before those.
    previous: Option<(i64, f64)>,
}

impl Aggregation {
    /// An aggregation into buckets of `granularity` (positive) that will probably have so many of them.
    pub fn new(granularity: Timespan, methods: Vec<AggregationMethod>, buckets: usize) -> Self {
        let column =
            || Points { timestamps_ns: Vec::with_capacity(buckets), values: Vec::with_capacity(buckets) };
        let results = methods.iter().map(|_| column()).collect();
        Self { granularity, methods, results, open: Points::default(), previous: None }
    }

    /// Says which measure comes before all that are to be pushed; `rate:` methods take the first difference to it.
    pub fn begin_after(&mut self, previous: Option<(i64, f64)>) {
        self.previous = previous;
    }

    /// Takes measures with ascending timestamps, all of them after those taken before.
    pub fn push(&mut self, timestamps_ns: &[i64], values: &[f64]) {
        let (mut timestamps_ns, mut values) = (timestamps_ns, values);
        if let Some(latest) = self.open.timestamps_ns.last() {
            let bucket = Grouping::Span(self.granularity).group(*latest);
            let end = timestamps_ns.partition_point(|t| *t <= bucket.last_ns);
            self.open.timestamps_ns.extend_from_slice(&timestamps_ns[..end]);
            self.open.values.extend_from_slice(&values[..end]);
            (timestamps_ns, values) = (&timestamps_ns[end..], &values[end..]);
            if !timestamps_ns.is_empty() {
                self.close();
            }
        }
        let Some(latest) = timestamps_ns.last() else { return };
        let bucket = Grouping::Span(self.granularity).group(*latest);
        let complete = timestamps_ns.partition_point(|t| *t < bucket.start_ns);
        self.reduce(&timestamps_ns[..complete], &values[..complete]);
        self.open.timestamps_ns.extend_from_slice(&timestamps_ns[complete..]);
        self.open.values.extend_from_slice(&values[complete..]);
    }

    /// One series of buckets for each method, in their order.
    pub fn finish(mut self) -> Vec<Points> {
        self.close();
        self.results
    }

    /// Aggregates the latest bucket.
    fn close(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        self.reduce(&open.timestamps_ns, &open.values);
        open.timestamps_ns.clear();
        open.values.clear();
        self.open = open;
    }

    /// Aggregates complete buckets.
    fn reduce(&mut self, timestamps_ns: &[i64], values: &[f64]) {
        let Some(last) = timestamps_ns.last().copied().zip(values.last().copied()) else { return };
        let reduced = aggregate_many(timestamps_ns, values, self.previous, self.granularity, &self.methods);
        for (result, points) in self.results.iter_mut().zip(reduced) {
            result.timestamps_ns.extend_from_slice(&points.timestamps_ns);
            result.values.extend_from_slice(&points.values);
        }
        self.previous = Some(last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            steps in prop::collection::vec((prop_oneof![1..4_i64, 1..90_i64], prop_oneof![Just(f64::NAN), -9.0..9.0]), 0..120),
            cuts in prop::collection::vec(0..120_usize, 0..12),
            width in 1..50_i64,
            previous in prop::option::of(-9.0..9.0_f64),
        ) {
            let mut at = 0;
            let all: Points = steps.iter().map(|(step, value)| { at += step; (at, *value) }).collect();
            let names = ["mean", "std", "median", "rate:last", "sum", "90pct", "rate:std", "count"];
            let methods: Vec<_> = names.iter().filter_map(|name| AggregationMethod::parse(name)).collect();
            let width = Timespan::from_ns(width);
            let previous = previous.map(|value| (0, value));
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
            cuts.extend([0, all.len()]);
            cuts.sort_unstable();
            let mut pieces = Aggregation::new(width, methods.clone(), 3);
            pieces.begin_after(previous);
            for cut in cuts.windows(2) {
                pieces.push(&all.timestamps_ns[cut[0]..cut[1]], &all.values[cut[0]..cut[1]]);
            }
            let whole = aggregate_many(&all.timestamps_ns, &all.values, previous, width, &methods);
            for (piecewise, whole) in pieces.finish().iter().zip(&whole) {
                prop_assert_eq!(&piecewise.timestamps_ns, &whole.timestamps_ns);
                let bits = |points: &Points| points.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(piecewise), bits(whole));
            }
        }
    }
}
