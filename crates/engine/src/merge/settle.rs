//! What becomes of one series' raw measures in a merge: kept, dropped, or replaced by rollups.

use std::ops::Range;
use std::sync::Arc;

use nephometer_drivers::{PartId, StoreError};
use nephometer_model::ArchivePolicy;
use nephometer_series::Points;
use nephometer_series::codec::{ColumnId, RollupColumns};

use super::Orders;
use crate::core::Core;
use crate::parts::{Part, PartsWriter};
use crate::retention::{NO_LIMIT_NS, dense_bucket, floor_ns, oldest_needed_ns, raw_span_ns, rollup_floor_ns};
use crate::rollup::{RollupSpan, roll_up};
use crate::view::SeriesView;

/// Settles the series of one merge.
pub(crate) struct Settler<'a> {
    core: &'a Core,
    orders: &'a Orders,
    /// Whether raw measures that have come of age become rollups.
    roll_up: bool,
    inputs: Vec<PartId>,
    rank: (u64, u64),
    /// After the newest measure of the inputs: rollups reach no further.
    end_ns: i64,
    present_ns: i64,
}

/// What is to be done with the measures of a series.
struct Fate {
    view: SeriesView,
    /// Of what rollups are to be written.
    roll_up: Option<RollupSpan>,
    /// What is older goes.
    cut_ns: Option<i64>,
}

impl<'a> Settler<'a> {
    /// For merging `inputs`; `rank` is that of what comes out.
    pub(crate) fn new(
        core: &'a Core,
        inputs: &[Arc<Part>],
        rank: (u64, u64),
        orders: &'a Orders,
        roll_up: bool,
    ) -> Self {
        Self {
            core,
            orders,
            roll_up,
            inputs: inputs.iter().map(|part| part.row.id).collect(),
            rank,
            end_ns: inputs.iter().map(|part| part.row.max_ns.saturating_add(1)).max().unwrap_or(0),
            present_ns: core.present_ns(),
        }
    }

    /// Rolls up what is not newer than `newest_ns`, too.
    pub(crate) fn reaching(self, newest_ns: i64) -> Self {
        Self { end_ns: self.end_ns.max(newest_ns.saturating_add(1)), ..self }
    }

    /// Leaves in `points`, which are the inputs' measures of `key`, those that stay; writes rollups of others.
    pub(super) fn settle(
        &self,
        key: u64,
        policy: u32,
        points: &mut Points,
        writer: &mut PartsWriter,
    ) -> Result<(), StoreError> {
        let Some(policy) = self.core.policy(policy) else { return Ok(()) };
        let Some(fate) = self.fate(key, &policy, &points.timestamps_ns)? else { return Ok(()) };
        if let Some(span) = &fate.roll_up {
            self.roll_up(&fate.view, &policy, span, points, writer)?;
        }
        let gone = self.gone(&fate, &points.timestamps_ns)?;
        points.timestamps_ns.drain(..gone);
        points.values.drain(..gone);
        Ok(())
    }

    /// How many of `timestamps_ns`, the inputs' measures of `key` or some of them, would not stay.
    pub(crate) fn going(&self, key: u64, policy: u32, timestamps_ns: &[i64]) -> Result<usize, StoreError> {
        let Some(policy) = self.core.policy(policy) else { return Ok(0) };
        self.fate(key, &policy, timestamps_ns)?.map_or(Ok(0), |fate| self.gone(&fate, timestamps_ns))
    }

    /// Nothing where all stays as it is.
    fn fate(
        &self,
        key: u64,
        policy: &ArchivePolicy,
        timestamps_ns: &[i64],
    ) -> Result<Option<Fate>, StoreError> {
        let raw_span_ns = self.raw_span_ns(policy, timestamps_ns);
        if !self.may_be_of_age(policy, raw_span_ns, timestamps_ns) {
            return Ok(None);
        }
        let view = self.core.view(key);
        let Some(newest_ns) = view.newest(self.present_ns)? else { return Ok(None) };
        let old_floor_ns = view.floor_ns()?;
        let roll_up = raw_span_ns
            .filter(|_| self.roll_up && self.orders.waiting.of(key).is_empty())
            .and_then(|span_ns| rollup_floor_ns(policy, newest_ns, span_ns, self.end_ns))
            .map(|floor_ns| RollupSpan { old_floor_ns, floor_ns, newest_ns })
            .filter(|span| is_to_roll_up(span, &view, timestamps_ns));
        let floor_ns = old_floor_ns.max(roll_up.as_ref().map(|span| span.floor_ns));
        let cut_ns = floor_ns.max(oldest_needed_ns(policy, newest_ns));
        Ok(Some(Fate { view, roll_up, cut_ns }))
    }

    /// How long raw measures of a series are kept; `timestamps_ns` are those of some of them. Nothing where rollups have
    /// no use.
    fn raw_span_ns(&self, policy: &ArchivePolicy, timestamps_ns: &[i64]) -> Option<i64> {
        let is_dense = self.roll_up && is_dense(policy, timestamps_ns);
        raw_span_ns(policy, if is_dense { self.core.settings.min_raw_ns() } else { NO_LIMIT_NS })
    }

    /// Whether anything could be dropped, were the newest measure as new as can be.
    fn may_be_of_age(&self, policy: &ArchivePolicy, raw_span_ns: Option<i64>, timestamps_ns: &[i64]) -> bool {
        let Some(first) = timestamps_ns.first() else { return false };
        let dropped = oldest_needed_ns(policy, self.present_ns).is_some_and(|oldest| *first < oldest);
        let rolled_up = raw_span_ns.is_some_and(|span| *first < self.present_ns.saturating_sub(span));
        dropped || rolled_up
    }

    /// Writes rollups of `span`.
    fn roll_up(
        &self,
        view: &SeriesView,
        policy: &ArchivePolicy,
        span: &RollupSpan,
        points: &Points,
        writer: &mut PartsWriter,
    ) -> Result<(), StoreError> {
        let range = span.raw_range(policy);
        let raw = view.raw_around(&range, points, &self.inputs, self.rank)?;
        let previous =
            if policy.methods.has_rate() { self.previous(view, points, range.start)? } else { None };
        for rolled in roll_up(policy, span, &raw, previous) {
            let columns: Vec<(ColumnId, &[f64])> =
                rolled.columns.iter().map(|(id, values)| (*id, values.as_slice())).collect();
            writer.push_rollup(&RollupColumns {
                key: view.key,
                policy: policy.key.0,
                granularity_ns: rolled.granularity_ns,
                raw_floor_ns: span.floor_ns,
                slots_ns: &rolled.slots_ns,
                columns: &columns,
            })?;
        }
        Ok(())
    }

    /// The last measure before `at_ns`, of the inputs or of other parts.
    fn previous(
        &self,
        view: &SeriesView,
        points: &Points,
        at_ns: i64,
    ) -> Result<Option<(i64, f64)>, StoreError> {
        let end = points.timestamps_ns.partition_point(|t| *t < at_ns);
        let ours = end.checked_sub(1).map(|at| points.timestamps_ns[at]);
        let others = view.newest_around(at_ns.saturating_sub(1), &self.inputs)?;
        let Some(before_ns) = ours.max(others) else { return Ok(None) };
        let measure = view.raw_around(&(before_ns..before_ns + 1), points, &self.inputs, self.rank)?;
        Ok(measure.iter().next())
    }

    /// How many of `timestamps_ns` go: what is older than the cut, but for the last measure before it, unless another part
    /// has a newer one: the first difference needs that, and so does a replay of the log, which judges what is late once
    /// more, and must find in parts how far the series had come. So what is in the head does not count here.
    fn gone(&self, fate: &Fate, timestamps_ns: &[i64]) -> Result<usize, StoreError> {
        let Some(cut_ns) = fate.cut_ns else { return Ok(0) };
        let split = timestamps_ns.partition_point(|t| *t < cut_ns);
        let Some(last) = split.checked_sub(1).map(|at| timestamps_ns[at]) else { return Ok(0) };
        let between: Range<i64> = last + 1..cut_ns;
        let newer = fate.view.newer_in_parts(None, between.end.saturating_sub(1), &self.inputs)?;
        Ok(if newer.is_some_and(|newer| between.contains(&newer)) { split } else { split - 1 })
    }
}

/// Whether some of `timestamps_ns` is in `span`. What waits in the head is older than that: it must be in parts first.
fn is_to_roll_up(span: &RollupSpan, view: &SeriesView, timestamps_ns: &[i64]) -> bool {
    let fresh = span.old_floor_ns.unwrap_or(i64::MIN)..span.floor_ns;
    timestamps_ns.iter().any(|t| fresh.contains(t))
        && view.head_min_ns().is_none_or(|oldest| oldest >= span.floor_ns)
}

/// Whether there are so many measures in the buckets of the finest definition that rollups take much less room.
fn is_dense(policy: &ArchivePolicy, timestamps_ns: &[i64]) -> bool {
    let Some(width_ns) = policy.definition.iter().map(|item| item.granularity.ns()).min() else {
        return false;
    };
    let same = |a: &i64, b: &i64| floor_ns(*a, width_ns) == floor_ns(*b, width_ns);
    let dense = dense_bucket(policy);
    timestamps_ns.len() > dense && timestamps_ns.len() > timestamps_ns.chunk_by(same).count() * dense
}
