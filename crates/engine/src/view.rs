//! One series at one moment, merged from all places that hold some of it.

mod gather;

use std::ops::Range;
use std::sync::Arc;

use nephometer_drivers::{PartId, StoreError, Tombstone};
use nephometer_series::Points;

use crate::core::Core;
use crate::head::Packed;
use crate::parts::{Part, PartSet, rank};
use crate::sack::{Frozen, Sack};
use crate::tombstones::erase;
use gather::{Spanned, clusters, settle};

/// All that is stored of one series at one moment.
pub(crate) struct SeriesView {
    pub(crate) key: u64,
    pub(crate) parts: Arc<PartSet>,
    pub(crate) tombstones: Vec<Tombstone>,
    frozen: Points,
    active: Points,
}

impl Core {
    /// The series `key` as it is now. One that the index has forgotten is empty.
    pub(crate) fn view(&self, key: u64) -> SeriesView {
        let sack = self.sack_of(key).lock();
        let (mut view, active, frozen) = heads_of(&sack, key);
        drop(sack);
        view.add_heads_of(&active, frozen.as_deref());
        view
    }

    /// As [`Self::view`], of a sack that is locked already.
    pub(crate) fn view_in(&self, sack: &Sack, key: u64) -> SeriesView {
        let (mut view, active, frozen) = heads_of(sack, key);
        view.add_heads_of(&active, frozen.as_deref());
        view
    }
}

/// Everything of `key` but the heads' measures, which need no lock to be decoded.
fn heads_of(sack: &Sack, key: u64) -> (SeriesView, Packed, Option<Arc<Frozen>>) {
    let mut view = SeriesView {
        key,
        parts: Arc::default(),
        tombstones: Vec::new(),
        frozen: Points::default(),
        active: Points::default(),
    };
    if sack.dead.contains_key(&key) {
        return (view, Packed::default(), None);
    }
    view.parts = Arc::clone(&sack.parts);
    view.tombstones = sack.tombstones.of(key).to_vec();
    let mut active = Packed::default();
    if let Some(series) = sack.active.series(key) {
        sack.active.pack(&series, &mut active);
    }
    (view, active, sack.frozen.clone())
}

impl SeriesView {
    fn add_heads_of(&mut self, active: &Packed, frozen: Option<&Frozen>) {
        active.unpack(&mut self.active);
        let Some(frozen) = frozen else { return };
        if let Some(series) = frozen.buffer.series(self.key) {
            let mut packed = Packed::default();
            frozen.buffer.pack(&series, &mut packed);
            packed.unpack(&mut self.frozen);
            erase(&mut self.frozen, &self.tombstones, frozen.end_position);
        }
    }

    /// The oldest measure in the heads, if they hold any.
    pub(crate) fn head_min_ns(&self) -> Option<i64> {
        let firsts = [self.frozen.timestamps_ns.first(), self.active.timestamps_ns.first()];
        firsts.into_iter().flatten().min().copied()
    }

    /// The raw measures in `range_ns`; of equal timestamps the newest written.
    pub(crate) fn raw(&self, range_ns: &Range<i64>) -> Result<Points, StoreError> {
        let mut points = Points::default();
        self.read_all(self.sources(range_ns), range_ns, &mut points, &mut |_| {})?;
        Ok(points)
    }

    /// Hands the raw measures in `range_ns` to `visit`, piece by piece in ascending order; of equal timestamps the newest
    /// written.
    pub(crate) fn visit_raw(
        &self,
        range_ns: &Range<i64>,
        mut visit: impl FnMut(&Points),
    ) -> Result<(), StoreError> {
        let mut visit_and_forget = |points: &mut Points| {
            visit(points);
            points.timestamps_ns.clear();
            points.values.clear();
        };
        self.read_all(self.sources(range_ns), range_ns, &mut Points::default(), &mut visit_and_forget)
    }

    /// About how many raw measures there are in `range_ns`.
    pub(crate) fn likely_raw(&self, range_ns: &Range<i64>) -> Result<usize, StoreError> {
        let heads = slice(&self.frozen, range_ns).0.len() + slice(&self.active, range_ns).0.len();
        self.parts.raw.iter().try_fold(heads, |sum, part| Ok(sum + part.likely_raw(self.key, range_ns)?))
    }

    /// As [`Self::raw`], with `inner` in the place of the parts `inner_parts`, whose greatest rank is `inner_rank`.
    pub(crate) fn raw_around(
        &self,
        range_ns: &Range<i64>,
        inner: &Points,
        inner_parts: &[PartId],
        inner_rank: (u64, u64),
    ) -> Result<Points, StoreError> {
        let others = self.parts.raw.iter().filter(|part| !inner_parts.contains(&part.row.id));
        let (older, newer): (Vec<_>, Vec<_>) = others.partition(|part| rank(&part.row) < inner_rank);
        let mut sources: Vec<_> = older.into_iter().map(Source::part).collect();
        sources.push(Source::points(slice(inner, range_ns)));
        sources.extend(newer.into_iter().map(Source::part));
        sources.extend(self.head_sources(range_ns));
        let mut points = Points::default();
        self.read_all(sources, range_ns, &mut points, &mut |_| {})?;
        Ok(points)
    }

    /// All that may hold measures in `range_ns`, in the order of writing.
    fn sources(&self, range_ns: &Range<i64>) -> Vec<Source<'_>> {
        self.parts.raw.iter().map(Source::part).chain(self.head_sources(range_ns)).collect()
    }

    fn head_sources(&self, range_ns: &Range<i64>) -> impl Iterator<Item = Source<'_>> {
        [&self.frozen, &self.active].map(|points| Source::points(slice(points, range_ns))).into_iter()
    }

    /// Appends what `sources` (in the order of writing) have in `range_ns`, in order of time; calls `visit` whenever
    /// what is in `points` is complete.
    fn read_all(
        &self,
        mut sources: Vec<Source<'_>>,
        range_ns: &Range<i64>,
        points: &mut Points,
        visit: &mut impl FnMut(&mut Points),
    ) -> Result<(), StoreError> {
        sources.retain(|source| source.overlaps(range_ns));
        for cluster in clusters(sources) {
            let mut starts = Vec::with_capacity(cluster.len());
            for source in &cluster {
                starts.push(points.len());
                self.append(source, range_ns, points)?;
            }
            settle(points, &starts);
            visit(points);
        }
        Ok(())
    }

    /// Appends what `source` has in `range_ns`, without what is deleted.
    fn append(
        &self,
        source: &Source<'_>,
        range_ns: &Range<i64>,
        points: &mut Points,
    ) -> Result<(), StoreError> {
        match source {
            Source::Points(timestamps_ns, values) => {
                points.timestamps_ns.extend_from_slice(timestamps_ns);
                points.values.extend_from_slice(values);
            }
            Source::Part(part) if self.tombstones.is_empty() => part.read_raw(self.key, range_ns, points)?,
            Source::Part(part) => {
                let mut left = Points::default();
                part.read_raw(self.key, range_ns, &mut left)?;
                erase(&mut left, &self.tombstones, part.row.max_position);
                points.timestamps_ns.extend_from_slice(&left.timestamps_ns);
                points.values.extend_from_slice(&left.values);
            }
        }
        Ok(())
    }

    /// The newest timestamp of a raw measure that is not after `bound_ns`.
    pub(crate) fn newest(&self, bound_ns: i64) -> Result<Option<i64>, StoreError> {
        self.newest_around(bound_ns, &[])
    }

    /// As [`Self::newest`], without the parts `except`.
    pub(crate) fn newest_around(&self, bound_ns: i64, except: &[PartId]) -> Result<Option<i64>, StoreError> {
        let last = |points: &Points| {
            let end = points.timestamps_ns.partition_point(|t| *t <= bound_ns);
            end.checked_sub(1).map(|at| points.timestamps_ns[at])
        };
        self.newer_in_parts(last(&self.active).max(last(&self.frozen)), bound_ns, except)
    }

    /// The newest timestamp of a raw measure in parts, without the parts `except`, that is not after `bound_ns`; `newest`
    /// where there is none after it.
    pub(crate) fn newer_in_parts(
        &self,
        mut newest: Option<i64>,
        bound_ns: i64,
        except: &[PartId],
    ) -> Result<Option<i64>, StoreError> {
        let eligible = |part: &&Arc<Part>| part.row.min_ns <= bound_ns && !except.contains(&part.row.id);
        let mut parts: Vec<&Arc<Part>> = self.parts.raw.iter().filter(eligible).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.row.max_ns));
        for part in parts {
            if newest.is_some_and(|newest| newest >= part.row.max_ns) {
                break;
            }
            let range = newest.map_or(i64::MIN, |newest| newest + 1)..bound_ns.saturating_add(1);
            newest = newest.max(self.newest_in(part, &range)?);
        }
        Ok(newest)
    }

    fn newest_in(&self, part: &Part, range_ns: &Range<i64>) -> Result<Option<i64>, StoreError> {
        if self.tombstones.is_empty() {
            return part.newest_raw(self.key, range_ns);
        }
        let mut points = Points::default();
        part.read_raw(self.key, range_ns, &mut points)?;
        erase(&mut points, &self.tombstones, part.row.max_position);
        Ok(points.timestamps_ns.last().copied())
    }

    /// The last raw measure before `at_ns`, however old.
    pub(crate) fn previous(&self, at_ns: i64) -> Result<Option<(i64, f64)>, StoreError> {
        let Some(before_ns) = self.newest(at_ns.saturating_sub(1))? else { return Ok(None) };
        Ok(self.raw(&(before_ns..before_ns + 1))?.iter().next())
    }
}

/// A place that holds measures of a series.
enum Source<'a> {
    Part(&'a Part),
    /// Timestamps and values.
    Points(&'a [i64], &'a [f64]),
}

impl<'a> Source<'a> {
    fn part(part: &'a Arc<Part>) -> Self {
        Self::Part(part)
    }

    fn points((timestamps_ns, values): (&'a [i64], &'a [f64])) -> Self {
        Self::Points(timestamps_ns, values)
    }

    fn overlaps(&self, range_ns: &Range<i64>) -> bool {
        match self {
            Self::Part(part) => !range_ns.is_empty() && part.overlaps(range_ns),
            Self::Points(timestamps_ns, _) => !timestamps_ns.is_empty(),
        }
    }
}

impl Spanned for Source<'_> {
    fn span(&self) -> (i64, i64) {
        match self {
            Self::Part(part) => (part.row.min_ns, part.row.max_ns),
            Self::Points(timestamps_ns, _) => {
                let ends = timestamps_ns.first().zip(timestamps_ns.last());
                ends.map_or((i64::MAX, i64::MIN), |(first, last)| (*first, *last))
            }
        }
    }
}

/// The measures of `points` in `range_ns`.
pub(crate) fn slice<'a>(points: &'a Points, range_ns: &Range<i64>) -> (&'a [i64], &'a [f64]) {
    let begin = points.timestamps_ns.partition_point(|t| *t < range_ns.start);
    let end = points.timestamps_ns.partition_point(|t| *t < range_ns.end).max(begin);
    (&points.timestamps_ns[begin..end], &points.values[begin..end])
}

/// Merges `newer` into `points`; at equal timestamps `newer` wins. Cheap where `newer` begins after the end.
pub(crate) fn merge_newer(points: &mut Points, newer: (&[i64], &[f64])) {
    let (timestamps, values) = newer;
    let Some(first) = timestamps.first() else { return };
    if points.timestamps_ns.last().is_none_or(|last| last < first) {
        points.timestamps_ns.extend_from_slice(timestamps);
        points.values.extend_from_slice(values);
        return;
    }
    // What lies before the first newer measure stays where it is.
    let begin = points.timestamps_ns.partition_point(|t| t < first);
    let older_timestamps = points.timestamps_ns.split_off(begin);
    let older_values = points.values.split_off(begin);
    let mut older = 0;
    for (timestamp, value) in timestamps.iter().zip(values) {
        while older < older_timestamps.len() && older_timestamps[older] < *timestamp {
            points.timestamps_ns.push(older_timestamps[older]);
            points.values.push(older_values[older]);
            older += 1;
        }
        if older_timestamps.get(older) == Some(timestamp) {
            older += 1;
        }
        points.timestamps_ns.push(*timestamp);
        points.values.push(*value);
    }
    points.timestamps_ns.extend_from_slice(&older_timestamps[older..]);
    points.values.extend_from_slice(&older_values[older..]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn newer_wins(
            older in prop::collection::btree_map(0..40_i64, -9.0..9.0, 0..30),
            newer in prop::collection::btree_map(0..40_i64, -9.0..9.0, 0..30),
        ) {
            let mut points: Points = older.clone().into_iter().collect();
            let more: Points = newer.clone().into_iter().collect();
            merge_newer(&mut points, (&more.timestamps_ns, &more.values));
            let mut expected: BTreeMap<i64, f64> = older;
            expected.extend(newer);
            prop_assert_eq!(points, expected.into_iter().collect::<Points>());
        }
    }
}
