//! Measures that come too late to count are counted: by series and span, for the operator to see.
//!
//! A measure is too late where rollups have taken the place of the raw measures of its time, and where it is older than
//! what any definition of its policy shows, counted from the newest measure that its series had when it arrived. Under
//! upstream's rule it is also too late when it is older than the back window allows.

use std::collections::BTreeMap;

use nephometer_drivers::{LateCount, LateSpan, StoreError};
use nephometer_model::{ArchivePolicy, SeriesKey};
use nephometer_series::Points;

use crate::core::Core;
use crate::head::Run;
use crate::retention::{ledger_span, oldest_needed_ns, reach_ns, upstream_limit_ns};
use crate::rollup::floor_in;
use crate::sack::{Sack, late_counts};
use crate::settings::LateRule;

/// What becomes of a run.
pub(crate) enum Lateness {
    /// All of it counts.
    Counts,
    /// Some or all of it is late.
    Partly {
        /// What counts.
        counting: Points,
        /// What does not, by span.
        span_counts: Vec<LateCount>,
    },
}

/// Judges a run before it is put in the head. Cheap unless it is older than what rollups of the sack reach, or so old
/// that its policy may not show it. Where parts cannot be read at the moment it counts: what has been rolled up is found
/// all the same when the head is written to parts. `present_ns` is [`Core::present_ns`].
pub(crate) fn judge(core: &Core, sack: &mut Sack, run: &Run<'_>, present_ns: i64) -> Lateness {
    let (Some(first), Some(last)) = (run.timestamps_ns.first(), run.timestamps_ns.last()) else {
        return Lateness::Counts;
    };
    let limit = limit_ns(core, sack, run, present_ns).unwrap_or_else(|error| {
        tracing::warn!(%error, "whether a measure is late could not be found out");
        i64::MIN
    });
    sack.note_newest(run.key, *last, present_ns);
    if *first >= limit {
        return Lateness::Counts;
    }
    let policy = core.policy(run.policy);
    let split = run.timestamps_ns.partition_point(|t| *t < limit);
    Lateness::Partly {
        counting: Points {
            timestamps_ns: run.timestamps_ns[split..].to_vec(),
            values: run.values[split..].to_vec(),
        },
        span_counts: count_spans(run.key, policy.as_deref(), &run.timestamps_ns[..split]),
    }
}

/// The oldest timestamp of `run`, which is not empty, that counts.
fn limit_ns(core: &Core, sack: &mut Sack, run: &Run<'_>, present_ns: i64) -> Result<i64, StoreError> {
    let first = run.timestamps_ns[0];
    let mut limit_ns = i64::MIN;
    if first < sack.parts.rolled_up_to_ns() {
        limit_ns = floor_in(&sack.parts, run.key)?.unwrap_or(i64::MIN);
    }
    let by_upstream = core.settings.late == LateRule::Upstream;
    let bound_ns = sack.newest_bound_ns.min(present_ns);
    if !by_upstream && first >= bound_ns.saturating_sub(core.shortest_reach_ns()) {
        return Ok(limit_ns);
    }
    let Some(policy) = core.policy(run.policy) else { return Ok(limit_ns) };
    let is_within = |reach_ns| first >= bound_ns.saturating_sub(reach_ns);
    if !by_upstream && reach_ns(&policy).is_none_or(is_within) {
        return Ok(limit_ns);
    }
    let Some(newest_ns) = newest_of(core, sack, run.key, present_ns)? else { return Ok(limit_ns) };
    let shown = oldest_needed_ns(&policy, newest_ns).unwrap_or(i64::MIN);
    let window = if by_upstream { upstream_limit_ns(&policy, newest_ns) } else { None };
    Ok(limit_ns.max(shown).max(window.unwrap_or(i64::MIN)))
}

/// The newest measure of `key` so far that is not far ahead of now.
fn newest_of(core: &Core, sack: &mut Sack, key: u64, present_ns: i64) -> Result<Option<i64>, StoreError> {
    if let Some(newest) = sack.newest_ns.get(&key) {
        return Ok(Some(*newest));
    }
    let view = core.view_in(sack, key);
    let newest = view.newest(present_ns)?;
    if let Some(newest_ns) = newest
        && view.newest(i64::MAX - 1)? == newest
    {
        sack.newest_ns.insert(key, newest_ns);
    }
    Ok(newest)
}

/// Counts late measures by the spans of the ledger.
pub(crate) fn count_spans(key: u64, policy: Option<&ArchivePolicy>, late_ns: &[i64]) -> Vec<LateCount> {
    let mut spans = BTreeMap::new();
    for at_ns in late_ns {
        *spans.entry(ledger_span(policy, *at_ns)).or_insert(0) += 1;
    }
    let count = |((start, width), measures)| LateCount { key: SeriesKey(key), start, width, measures };
    spans.into_iter().map(count).collect()
}

/// The ledger of one series, oldest first: what the catalog has and what it will be told.
pub(crate) fn ledger(core: &Core, key: SeriesKey) -> Result<Vec<LateSpan>, StoreError> {
    // No flush may move counts from here to there in between.
    let _publish = core.publish.lock();
    let mut spans: BTreeMap<_, u64> = BTreeMap::new();
    let stored = core.catalog.late(key).map_err(|error| StoreError::Io(error.to_string()))?;
    let sack = core.sack_of(key.0).lock();
    if sack.dead.contains_key(&key.0) {
        return Ok(Vec::new());
    }
    let pending = late_counts(&sack.late).chain(late_counts(&sack.frozen_late));
    for count in stored.into_iter().chain(pending.filter(|count| count.key == key)) {
        *spans.entry((count.start, count.width)).or_default() += count.measures;
    }
    let span = |((start, width), measures)| LateSpan { start, width, measures };
    Ok(spans.into_iter().map(span).collect())
}
