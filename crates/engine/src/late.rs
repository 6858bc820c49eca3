//! Measures that come too late to count are counted: by series and span, for the operator to see.
//!
//! By default a measure is too late where rollups have taken the place of the raw measures of its time. Under upstream's
//! rule it is too late when it is older than the back window allows.

use std::collections::BTreeMap;

use nephometer_drivers::{LateCount, LateSpan, StoreError};
use nephometer_model::{ArchivePolicy, SeriesKey};
use nephometer_series::Points;

use crate::core::Core;
use crate::head::Run;
use crate::retention::{ledger_span, upstream_limit_ns};
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

/// Judges a run before it is put in the head. Cheap unless it is older than what rollups of the sack reach. Where
/// parts cannot be read at the moment it counts: what is late all the same is found when the head is written to parts.
pub(crate) fn judge(core: &Core, sack: &mut Sack, run: &Run<'_>) -> Lateness {
    let Some(first) = run.timestamps_ns.first() else { return Lateness::Counts };
    let limit = limit_ns(core, sack, run).unwrap_or_else(|error| {
        tracing::warn!(%error, "whether a measure is late could not be found out");
        i64::MIN
    });
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

/// The oldest timestamp of `run` that counts.
fn limit_ns(core: &Core, sack: &mut Sack, run: &Run<'_>) -> Result<i64, StoreError> {
    let mut limit_ns = i64::MIN;
    if run.timestamps_ns.first().is_some_and(|first| *first < sack.parts.rolled_up_to_ns()) {
        limit_ns = floor_in(&sack.parts, run.key)?.unwrap_or(i64::MIN);
    }
    if core.settings.late == LateRule::Accept {
        return Ok(limit_ns);
    }
    let newest = newest_of(core, sack, run.key)?;
    let present_ns = core.present_ns();
    let end = run.timestamps_ns.partition_point(|t| *t <= present_ns);
    if let Some(last) = end.checked_sub(1).map(|at| run.timestamps_ns[at]) {
        sack.newest_ns.insert(run.key, newest.map_or(last, |newest| newest.max(last)));
    }
    let policy = core.policy(run.policy);
    let window = policy.zip(newest).and_then(|(policy, newest)| upstream_limit_ns(&policy, newest));
    Ok(limit_ns.max(window.unwrap_or(i64::MIN)))
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

fn newest_of(core: &Core, sack: &Sack, key: u64) -> Result<Option<i64>, StoreError> {
    if let Some(newest) = sack.newest_ns.get(&key) {
        return Ok(Some(*newest));
    }
    core.view_in(sack, key).newest(core.present_ns())
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
