//! What the engine ought to hold, and ought to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nephometer_model::{AggregationMethod, ArchivePolicy, PolicyItem, Timespan};
use nephometer_series::{Points, aggregate};

use super::SeriesMeasures;

/// All measures that count.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) series: BTreeMap<u64, BTreeMap<i64, f64>>,
    /// How many measures of a series came too late, by start and width of the span.
    pub(crate) late: BTreeMap<u64, BTreeMap<(i64, i64), u64>>,
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

    /// As [`Self::write`], without measures older than what their policy shows, counted from the newest that the
    /// series has when the request arrives: these are counted.
    pub(crate) fn write_judged(
        &mut self,
        series: &[SeriesMeasures],
        policies: &[Arc<ArchivePolicy>],
        present_ns: i64,
    ) {
        let mut counting = Vec::new();
        let mut late = BTreeSet::new();
        for (key, number, measures) in series {
            let policy = &policies[*number as usize - 1];
            let newest = self.newest(*key, present_ns);
            let limit = newest.and_then(|newest| oldest_shown(policy, newest)).unwrap_or(i64::MIN);
            let (kept, dropped): (Vec<_>, Vec<_>) =
                measures.iter().copied().partition(|(at, _)| *at >= limit);
            let width = policy.definition.iter().map(|item| item.granularity.ns()).max().unwrap_or(1);
            late.extend(dropped.into_iter().map(|(at, _)| (*key, at, width)));
            counting.push((*key, *number, kept));
        }
        for (key, at, width) in late {
            *self.late.entry(key).or_default().entry((at - at.rem_euclid(width), width)).or_default() += 1;
        }
        self.write(&counting);
    }

    /// All late measures.
    pub(crate) fn late_total(&self) -> u64 {
        self.late.values().flat_map(BTreeMap::values).sum()
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
        let oldest = newest.and_then(|newest| oldest_bucket(&item, newest)).unwrap_or(i64::MIN);
        computed.iter().filter(|(at, _)| *at >= oldest).collect()
    }
}

/// The oldest bucket that `item` shows after a measure at `newest`.
fn oldest_bucket(item: &PolicyItem, newest: i64) -> Option<i64> {
    let width = item.granularity.ns();
    Some(newest - newest.rem_euclid(width) - (item.points? as i64 - 1) * width)
}

/// The oldest measure that any definition shows after one at `newest`; nothing where one shows all.
fn oldest_shown(policy: &ArchivePolicy, newest: i64) -> Option<i64> {
    let oldest = policy.definition.iter().map(|item| oldest_bucket(item, newest));
    oldest.collect::<Option<Vec<_>>>()?.into_iter().min()
}
