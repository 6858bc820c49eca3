//! Answers to reads: raw and rollups of a series, cut by retention, aggregated once for all that is asked of it.

use std::ops::Range;

use nephometer_drivers::{AggregateRead, Aggregates, StoreError};
use nephometer_model::{AggregationMethod, Timespan};
use nephometer_series::{Aggregation, Points};

use crate::core::Core;
use crate::retention::{ceil_ns, floor_ns, oldest_bucket_ns};
use crate::view::{SeriesView, slice};

/// Reads of one series that differ in nothing but the method.
struct Group {
    granularity: Timespan,
    /// Starts of the buckets wanted.
    buckets_ns: Range<i64>,
    methods: Vec<AggregationMethod>,
    /// Which reads these are.
    reads: Vec<usize>,
}

impl Group {
    /// The raw measures in the buckets that begin at `floor_ns` or later.
    fn raw_range(&self, floor_ns: Option<i64>) -> Range<i64> {
        let width_ns = self.granularity.ns();
        let begin = floor_ns.map_or(i64::MIN, |floor| ceil_ns(floor, width_ns));
        self.buckets_ns.start.max(begin)..ceil_ns(self.buckets_ns.end, width_ns)
    }

    fn has_rate(&self) -> bool {
        self.methods.iter().any(|method| method.rate)
    }
}

/// Answers `reads`, in their order.
pub(crate) fn read(core: &Core, reads: &[AggregateRead]) -> Result<Vec<Aggregates>, StoreError> {
    let mut answers = vec![Aggregates::default(); reads.len()];
    let mut order: Vec<usize> = (0..reads.len()).collect();
    order.sort_by_key(|at| (reads[*at].key, *at));
    for run in order.chunk_by(|a, b| reads[*a].key == reads[*b].key) {
        read_series(core, reads, run, &mut answers)?;
    }
    Ok(answers)
}

fn read_series(
    core: &Core,
    reads: &[AggregateRead],
    run: &[usize],
    answers: &mut [Aggregates],
) -> Result<(), StoreError> {
    let Some(first) = run.first().map(|at| &reads[*at]) else { return Ok(()) };
    let view = core.view(first.key.0);
    let newest = view.newest(core.present_ns())?;
    let groups = groups(core, reads, run, newest);
    let oldest = groups.iter().map(|group| group.buckets_ns.start).min();
    let rolled_up = oldest.is_some_and(|oldest| oldest < view.parts.rolled_up_to_ns());
    let floor = if rolled_up { view.floor_ns()? } else { None };
    let (begins, ends): (Vec<_>, Vec<_>) = groups
        .iter()
        .map(|group| group.raw_range(floor))
        .filter(|range| !range.is_empty())
        .map(|range| (range.start, range.end))
        .unzip();
    let begin = begins.into_iter().min().unwrap_or(i64::MAX);
    let range = begin..ends.into_iter().max().unwrap_or(begin);
    let computed = aggregate_raw(&view, &groups, floor, &range)?;
    for (group, computed) in groups.iter().zip(computed) {
        let results = with_rollups(&view, group, floor, computed)?;
        for (at, points) in group.reads.iter().zip(results) {
            answers[*at] = Aggregates { timestamps_ns: points.timestamps_ns, values: points.values };
        }
    }
    Ok(())
}

/// Aggregates the raw measures in `range_ns` for each of `groups`, one result for each of its methods.
fn aggregate_raw(
    view: &SeriesView,
    groups: &[Group],
    floor: Option<i64>,
    range_ns: &Range<i64>,
) -> Result<Vec<Vec<Points>>, StoreError> {
    let likely = view.likely_raw(range_ns)?;
    let mut works: Vec<_> = groups.iter().map(|group| Work::of(group, floor, likely)).collect();
    let mut previous = match groups.iter().any(Group::has_rate) {
        true if likely > 0 => view.previous(range_ns.start)?,
        _ => None,
    };
    view.visit_raw(range_ns, |raw| {
        works.iter_mut().for_each(|work| work.push(raw, previous));
        previous = raw.timestamps_ns.last().copied().zip(raw.values.last().copied()).or(previous);
    })?;
    Ok(works.into_iter().map(|work| work.aggregation.finish()).collect())
}

/// The aggregation of a group at work.
struct Work {
    range_ns: Range<i64>,
    aggregation: Aggregation,
    has_begun: bool,
}

impl Work {
    /// There are about `likely` measures.
    fn of(group: &Group, floor: Option<i64>, likely: usize) -> Self {
        let range_ns = group.raw_range(floor);
        let buckets = range_ns.end.saturating_sub(range_ns.start) / group.granularity.ns().max(1);
        let buckets = usize::try_from(buckets).unwrap_or(0).saturating_add(1).min(likely);
        let aggregation = Aggregation::new(group.granularity, group.methods.clone(), buckets);
        Self { range_ns, aggregation, has_begun: false }
    }

    /// Takes what it wants of `raw`; `previous` is the measure before.
    fn push(&mut self, raw: &Points, previous: Option<(i64, f64)>) {
        let (timestamps, values) = slice(raw, &self.range_ns);
        let Some(first) = timestamps.first() else { return };
        if !self.has_begun {
            self.has_begun = true;
            let begin = raw.timestamps_ns.partition_point(|t| t < first);
            let before = begin.checked_sub(1).map(|at| (raw.timestamps_ns[at], raw.values[at]));
            self.aggregation.begin_after(before.or(previous));
        }
        self.aggregation.push(timestamps, values);
    }
}

/// Gathers reads of one series by what they share.
fn groups(core: &Core, reads: &[AggregateRead], run: &[usize], newest: Option<i64>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for at in run {
        let read = &reads[*at];
        let buckets_ns = buckets_of(core, read, newest);
        let known = groups
            .iter_mut()
            .find(|group| group.granularity == read.granularity && group.buckets_ns == buckets_ns);
        match known {
            Some(group) => {
                group.methods.push(read.method);
                group.reads.push(*at);
            }
            None => groups.push(Group {
                granularity: read.granularity,
                buckets_ns,
                methods: vec![read.method],
                reads: vec![*at],
            }),
        }
    }
    groups
}

/// Starts of the buckets that `read` may show.
fn buckets_of(core: &Core, read: &AggregateRead, newest: Option<i64>) -> Range<i64> {
    let width_ns = read.granularity.ns();
    let start = read.start.map_or(0, |start| floor_ns(start.ns().max(0), width_ns));
    let policy = core.policy(read.policy.0);
    let item = policy.as_ref().and_then(|policy| policy.item(read.granularity));
    let kept = item.zip(newest).and_then(|(item, newest)| oldest_bucket_ns(item, newest));
    let stop = read.stop.map_or(i64::MAX, |stop| stop.ns());
    start.max(kept.unwrap_or(0))..stop
}

/// What was `computed` of raw measures, behind what rollups have of the time before.
fn with_rollups(
    view: &SeriesView,
    group: &Group,
    floor: Option<i64>,
    computed: Vec<Points>,
) -> Result<Vec<Points>, StoreError> {
    let Some(floor) = floor else { return Ok(computed) };
    let slots = group.buckets_ns.start..group.buckets_ns.end.min(floor);
    if slots.is_empty() {
        return Ok(computed);
    }
    let mut results = view.rollups(group.granularity, &group.methods, &slots)?;
    for (points, computed) in results.iter_mut().zip(computed) {
        points.timestamps_ns.extend_from_slice(&computed.timestamps_ns);
        points.values.extend_from_slice(&computed.values);
    }
    Ok(results)
}
