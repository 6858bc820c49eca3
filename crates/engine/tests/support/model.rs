//! What the engine ought to hold, and ought to answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use nephometer_model::{AggregationMethod, ArchivePolicy, Timespan};
use nephometer_series::{Points, aggregate};

use super::SeriesMeasures;

/// All measures that count.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) series: BTreeMap<u64, BTreeMap<i64, f64>>,
}

impl Model {
    /// What a request does: inside of it the smallest value of a timestamp wins, over all the newest.
    pub(crate) fn write(&mut self, series: &[SeriesMeasures]) {
        let mut request: BTreeMap<(u64, i64), f64> = BTreeMap::new();
        for (key, _, measures) in series {
            for (at, value) in measures {
                request.entry((*key, *at)).and_modify(|known| *known = known.min(*value)).or_insert(*value);
            }
        }
        for ((key, at), value) in request {
            self.series.entry(key).or_default().insert(at, value);
        }
    }

    pub(crate) fn delete(&mut self, key: u64, start_ns: i64, stop_ns: i64) {
        if let Some(points) = self.series.get_mut(&key) {
            points.retain(|at, _| *at < start_ns || *at >= stop_ns);
        }
    }

    pub(crate) fn newest(&self, key: u64, bound_ns: i64) -> Option<i64> {
        self.series.get(&key)?.range(..=bound_ns).next_back().map(|(at, _)| *at)
    }

    /// The answer to a read of everything, computed from all that was ever written.
    pub(crate) fn all(
        &self,
        key: u64,
        policy: &Arc<ArchivePolicy>,
        method: AggregationMethod,
        granularity: Timespan,
        present_ns: i64,
    ) -> Vec<(i64, f64)> {
        let Some(points) = self.series.get(&key) else { return Vec::new() };
        let raw: Points = points.iter().map(|(at, value)| (*at, *value)).collect();
        let computed = aggregate(&raw.timestamps_ns, &raw.values, None, granularity, method);
        let item = policy.item(granularity).copied().expect("a granularity of the policy");
        let newest = self.newest(key, present_ns);
        let oldest = newest.zip(item.points).map_or(i64::MIN, |(newest, count)| {
            newest - newest.rem_euclid(granularity.ns()) - (count as i64 - 1) * granularity.ns()
        });
        computed.iter().filter(|(at, _)| *at >= oldest).collect()
    }
}
