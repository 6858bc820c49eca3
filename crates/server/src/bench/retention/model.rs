//! What a metric must show, in plain arithmetic over everything that was ever written: Gnocchi's aggregation, and its
//! retention counted from the newest measure. Shares no code with the engine.

use std::collections::BTreeMap;

use super::policies::Policy;

/// A point: the start of its bucket in seconds, and its value.
pub(super) type Point = (i64, f64);

/// All measures of one metric that count, by their time in seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    measures: BTreeMap<i64, f64>,
    /// How many came too late to be shown by any definition.
    pub(super) too_late: u64,
}

impl Model {
    /// Takes the measures of one request: of equal times in it the smallest value counts, over all requests the newest.
    pub(super) fn write(&mut self, policy: &Policy, request: &[(i64, f64)]) {
        let oldest = self.newest().map_or(i64::MIN, |newest| oldest_shown(policy, newest));
        let mut counting: BTreeMap<i64, f64> = BTreeMap::new();
        let mut late: Vec<i64> = Vec::new();
        for (at, value) in request {
            if *at < oldest {
                late.push(*at);
                continue;
            }
            counting.entry(*at).and_modify(|known| *known = known.min(*value)).or_insert(*value);
        }
        late.sort_unstable();
        late.dedup();
        self.too_late += late.len() as u64;
        self.measures.extend(counting);
    }

    /// Deletes what lies in `[start, stop)`.
    pub(super) fn delete(&mut self, start: i64, stop: i64) {
        self.measures.retain(|at, _| !(start..stop).contains(at));
    }

    /// The time of the newest measure.
    pub(super) fn newest(&self) -> Option<i64> {
        self.measures.last_key_value().map(|(at, _)| *at)
    }

    /// How many measures can matter to what is shown.
    pub(super) fn shown_measures(&self, policy: &Policy) -> usize {
        let oldest = self.newest().map_or(i64::MIN, |newest| oldest_shown(policy, newest));
        self.measures.range(oldest..).count()
    }

    /// What a read shows of the buckets that begin in `range`; the first may be cut by it and counts.
    pub(super) fn points(&self, method: &str, (step, points): (i64, i64), range: (i64, i64)) -> Vec<Point> {
        let Some(newest) = self.newest() else { return Vec::new() };
        let start = floor(range.0.max(0), step).max(oldest_bucket((step, points), newest));
        let (reducer, is_rate) = match method.strip_prefix("rate:") {
            Some(reducer) => (reducer, true),
            None => (method, false),
        };
        let mut shown = Vec::new();
        let mut previous = self.measures.range(..start).next_back().map(|(_, value)| *value);
        let mut bucket: Vec<f64> = Vec::new();
        let mut begin = i64::MIN;
        let mut close = |begin: i64, bucket: &mut Vec<f64>| {
            if begin < range.1
                && let Some(value) = reduce(reducer, bucket)
            {
                shown.push((begin, value));
            }
            bucket.clear();
        };
        for (at, value) in self.measures.range(start..) {
            if floor(*at, step) != begin {
                close(begin, &mut bucket);
                begin = floor(*at, step);
            }
            match (is_rate, previous) {
                (false, _) => bucket.push(*value),
                (true, Some(previous)) => bucket.push(value - previous),
                (true, None) => {}
            }
            previous = Some(*value);
        }
        close(begin, &mut bucket);
        shown
    }
}

fn floor(at: i64, step: i64) -> i64 {
    at - at.rem_euclid(step)
}

/// The oldest bucket that a definition shows.
fn oldest_bucket((step, points): (i64, i64), newest: i64) -> i64 {
    floor(newest, step) - (points - 1) * step
}

/// The oldest measure that any definition of `policy` shows.
fn oldest_shown(policy: &Policy, newest: i64) -> i64 {
    policy.definitions.iter().map(|definition| oldest_bucket(*definition, newest)).min().unwrap_or(i64::MIN)
}

/// One bucket's aggregate; `values` are in order of time.
#[expect(clippy::cast_precision_loss, reason = "counts of a bucket")]
fn reduce(reducer: &str, values: &[f64]) -> Option<f64> {
    let (first, last) = (*values.first()?, *values.last()?);
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let mean = sum / count;
    match reducer {
        "mean" => Some(mean),
        "sum" => Some(sum),
        "count" => Some(count),
        "first" => Some(first),
        "last" => Some(last),
        "min" => Some(values.iter().copied().fold(first, f64::min)),
        "max" => Some(values.iter().copied().fold(first, f64::max)),
        "std" if values.len() == 1 => None,
        "std" => {
            let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
            Some((squares / (count - 1.0)).sqrt())
        }
        "median" => Some(percentile(values, 0.5)),
        _ => Some(percentile(values, reducer.strip_suffix("pct")?.parse::<f64>().ok()? / 100.0)),
    }
}

/// Between the two values nearest to the rank, in proportion.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of a bucket"
)]
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() - 1) as f64 * share;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

/// Whether a server may give `got` where the model says `wanted`: percentiles and sums differ in their last digits.
pub(super) fn is_close(got: f64, wanted: f64) -> bool {
    (got - wanted).abs() <= 1e-9 * wanted.abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::policies::POLICIES;
    use super::*;

    fn close(got: &[Point], wanted: &[Point]) {
        assert_eq!(got.len(), wanted.len(), "{got:?}");
        assert!(got.iter().zip(wanted).all(|(a, b)| a.0 == b.0 && is_close(a.1, b.1)), "{got:?} {wanted:?}");
    }

    #[test]
    fn upstreams_vectors() {
        let digits = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0];
        for (method, wanted) in [
            ("mean", 3.9),
            ("std", 2.469_817_807_045_693_8),
            ("median", 3.5),
            ("95pct", 7.65),
            ("25pct", 2.25),
        ] {
            assert!(is_close(reduce(method, &digits).unwrap(), wanted), "{method}");
        }
        assert_eq!(reduce("std", &[1.0]), None);
    }

    #[test]
    fn buckets_rates_and_retention() {
        let policy = &POLICIES[2];
        let mut model = Model::default();
        model.write(policy, &[(10, 1.0), (70, 5.0), (70, 4.0), (250, 9.0)]);
        let all = (i64::MIN, i64::MAX);
        close(&model.points("mean", (60, 120), all), &[(0, 1.0), (60, 4.0), (240, 9.0)]);
        close(&model.points("rate:mean", (60, 120), all), &[(60, 3.0), (240, 5.0)]);
        close(&model.points("mean", (60, 120), (70, 240)), &[(60, 4.0)]);
        close(&model.points("rate:max", (60, 4), all), &[(60, 3.0), (240, 5.0)]);
        close(&model.points("mean", (60, 3), all), &[(240, 9.0)]);
        model.delete(60, 120);
        close(&model.points("rate:mean", (300, 96), all), &[(0, 8.0)]);
        model.write(policy, &[(300 * 96 + 100, 1.0)]);
        assert_eq!(model.shown_measures(policy), 1);
        model.write(policy, &[(20, 1.0), (20, 2.0), (299, 1.0)]);
        assert_eq!(model.too_late, 2);
    }
}
