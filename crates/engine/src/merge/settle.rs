//! What becomes of one series' raw measures in a merge: kept, dropped, or replaced by rollups.

use std::ops::Range;
use std::sync::Arc;

use nephometer_drivers::{PartId, StoreError};
use nephometer_model::ArchivePolicy;
use nephometer_series::Points;
use nephometer_series::codec::{ColumnId, RollupColumns};

use super::Job;
use crate::core::Core;
use crate::parts::PartsWriter;
use crate::retention::{NO_LIMIT_NS, dense_bucket, floor_ns, oldest_needed_ns, raw_span_ns, rollup_floor_ns};
use crate::rollup::{RollupSpan, roll_up};
use crate::view::SeriesView;

/// Settles the series of one job.
pub(super) struct Settler<'a> {
    core: &'a Arc<Core>,
    job: &'a Job,
    inputs: Vec<PartId>,
    rank: (u64, u64),
    /// After the newest measure of the inputs: rollups reach no further.
    end_ns: i64,
    present_ns: i64,
}

impl<'a> Settler<'a> {
    pub(super) fn new(core: &'a Arc<Core>, job: &'a Job) -> Self {
        Self {
            core,
            job,
            inputs: job.inputs.iter().map(|part| part.row.id).collect(),
            rank: job.rank(),
            end_ns: job.inputs.iter().map(|part| part.row.max_ns.saturating_add(1)).max().unwrap_or(0),
            present_ns: core.present_ns(),
        }
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
        let raw_span_ns = self.raw_span_ns(&policy, points);
        if !self.may_be_of_age(&policy, raw_span_ns, points) {
            return Ok(());
        }
        let view = self.core.view(key);
        let Some(newest_ns) = view.newest(self.present_ns)? else { return Ok(()) };
        let mut floor = view.floor_ns()?;
        let new_floor = raw_span_ns
            .filter(|_| self.job.roll_up)
            .and_then(|span_ns| rollup_floor_ns(&policy, newest_ns, span_ns, self.end_ns));
        if let Some(floor_ns) = new_floor {
            let span = RollupSpan { old_floor_ns: floor, floor_ns, newest_ns };
            floor = floor.max(self.roll_up(&view, &policy, &span, points, writer)?);
        }
        let cut = floor.max(oldest_needed_ns(&policy, newest_ns));
        match cut {
            Some(cut_ns) => self.cut(&view, cut_ns, points),
            None => Ok(()),
        }
    }

    /// How long raw measures of a series are kept; `points` are some of it. Nothing where rollups have no use.
    fn raw_span_ns(&self, policy: &ArchivePolicy, points: &Points) -> Option<i64> {
        let is_dense = self.job.roll_up && is_dense(policy, &points.timestamps_ns);
        raw_span_ns(policy, if is_dense { self.core.settings.min_raw_ns() } else { NO_LIMIT_NS })
    }

    /// Whether anything of `points` could be dropped, were the newest measure as new as can be.
    fn may_be_of_age(&self, policy: &ArchivePolicy, raw_span_ns: Option<i64>, points: &Points) -> bool {
        let Some(first) = points.timestamps_ns.first() else { return false };
        let dropped = oldest_needed_ns(policy, self.present_ns).is_some_and(|oldest| *first < oldest);
        let rolled_up = raw_span_ns.is_some_and(|span| *first < self.present_ns.saturating_sub(span));
        dropped || rolled_up
    }

    /// Writes rollups of what has come of age; returns where raw measures begin then.
    fn roll_up(
        &self,
        view: &SeriesView,
        policy: &ArchivePolicy,
        span: &RollupSpan,
        points: &Points,
        writer: &mut PartsWriter,
    ) -> Result<Option<i64>, StoreError> {
        let floor_ns = span.floor_ns;
        let fresh = span.old_floor_ns.unwrap_or(i64::MIN)..floor_ns;
        let in_fresh = points.timestamps_ns.iter().any(|t| fresh.contains(t));
        // What waits in the head is older than all this: it must be in parts first.
        let waits = view.head_min_ns().is_some_and(|oldest| oldest < floor_ns);
        if !in_fresh || waits {
            return Ok(None);
        }
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
                raw_floor_ns: floor_ns,
                slots_ns: &rolled.slots_ns,
                columns: &columns,
            })?;
        }
        Ok(Some(floor_ns))
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

    /// Drops what is older than `cut_ns`, but for the last measure before it, unless another part has a newer one: the
    /// first difference needs that, and so does a replay of the log, which judges what is late once more, and must find
    /// in parts how far the series had come. So what is in the head does not count here.
    fn cut(&self, view: &SeriesView, cut_ns: i64, points: &mut Points) -> Result<(), StoreError> {
        let mut split = points.timestamps_ns.partition_point(|t| *t < cut_ns);
        if let Some(last) = split.checked_sub(1).map(|at| points.timestamps_ns[at]) {
            let between: Range<i64> = last + 1..cut_ns;
            let newer = view.newer_in_parts(None, between.end.saturating_sub(1), &self.inputs)?;
            if !newer.is_some_and(|newer| between.contains(&newer)) {
                split -= 1;
            }
        }
        points.timestamps_ns.drain(..split);
        points.values.drain(..split);
        Ok(())
    }
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
