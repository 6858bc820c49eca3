//! Aggregates that have taken the place of raw measures.
//!
//! The *floor* of a series is where its raw measures begin: buckets that start before it are read from rollups, all
//! others are computed from raw. One raw measure before the floor stays, so that the first difference is not lost.

use std::ops::Range;

use nephometer_drivers::StoreError;
use nephometer_model::{AggregationMethod, ArchivePolicy, Reducer, Timespan};
use nephometer_series::codec::ColumnId;
use nephometer_series::{Points, aggregate_many};

use crate::parts::{Part, PartSet};
use crate::retention::{ceil_ns, oldest_bucket_ns};
use crate::tombstones::hides_slot;
use crate::view::{SeriesView, slice};

/// The NaN that says: this method has no value in this slot. No arithmetic makes it.
const ABSENT_BITS: u64 = 0x7ff8_6162_7365_6e74;

/// The value of a column where its method has none.
pub(crate) fn absent() -> f64 {
    f64::from_bits(ABSENT_BITS)
}

/// Whether `value` stands for no value.
pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT_BITS
}

/// Rollups of one series at one granularity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rolled {
    pub(crate) granularity_ns: i64,
    pub(crate) slots_ns: Vec<i64>,
    pub(crate) columns: Vec<(ColumnId, Vec<f64>)>,
}

/// What there is to roll up of a series.
#[derive(Debug)]
pub(crate) struct RollupSpan {
    /// Where raw measures began so far, if not everywhere.
    pub(crate) old_floor_ns: Option<i64>,
    /// Where they are to begin.
    pub(crate) floor_ns: i64,
    /// The newest measure of the series.
    pub(crate) newest_ns: i64,
}

impl RollupSpan {
    /// The buckets of `item` to be rolled up, by their starts.
    fn slots(&self, item: &nephometer_model::PolicyItem) -> Range<i64> {
        let width_ns = item.granularity.ns();
        let begin = self.old_floor_ns.map_or(i64::MIN, |floor| ceil_ns(floor, width_ns));
        let kept = oldest_bucket_ns(item, self.newest_ns).unwrap_or(i64::MIN);
        begin.max(kept)..ceil_ns(self.floor_ns, width_ns)
    }

    /// The raw measures that the rollups of `policy` need.
    pub(crate) fn raw_range(&self, policy: &ArchivePolicy) -> Range<i64> {
        let slots = policy.definition.iter().map(|item| self.slots(item));
        let (starts, ends): (Vec<_>, Vec<_>) = slots.map(|range| (range.start, range.end)).unzip();
        starts.into_iter().min().unwrap_or(0)..ends.into_iter().max().unwrap_or(0)
    }
}

/// Computes the rollups of `policy` in `span` from `raw`, which holds all of [`RollupSpan::raw_range`]; `previous` is
/// the measure before it.
pub(crate) fn roll_up(
    policy: &ArchivePolicy,
    span: &RollupSpan,
    raw: &Points,
    previous: Option<(i64, f64)>,
) -> Vec<Rolled> {
    let count = AggregationMethod::of(Reducer::Count);
    let methods: Vec<_> = policy.methods.iter().chain([count]).collect();
    let mut items: Vec<_> = policy.definition.iter().collect();
    items.sort_by_key(|item| item.granularity);
    let mut rolled = Vec::new();
    for item in items {
        let (timestamps, values) = slice(raw, &span.slots(item));
        if timestamps.is_empty() {
            continue;
        }
        let first = raw.timestamps_ns.partition_point(|t| *t < timestamps[0]);
        let before = first.checked_sub(1).map(|at| (raw.timestamps_ns[at], raw.values[at])).or(previous);
        let mut results = aggregate_many(timestamps, values, before, item.granularity, &methods);
        let slots_ns = results.pop().unwrap_or_default().timestamps_ns;
        let columns = methods
            .iter()
            .zip(&results)
            .map(|(method, points)| (ColumnId::from(*method), aligned(&slots_ns, points)));
        rolled.push(Rolled {
            granularity_ns: item.granularity.ns(),
            columns: columns.collect(),
            slots_ns: slots_ns.clone(),
        });
    }
    rolled
}

/// The values of `points` at `slots_ns`.
fn aligned(slots_ns: &[i64], points: &Points) -> Vec<f64> {
    if points.len() == slots_ns.len() {
        return points.values.clone();
    }
    let mut points = points.iter().peekable();
    let value_at = |slot: &i64| points.next_if(|(at, _)| at == slot).map_or_else(absent, |(_, value)| value);
    slots_ns.iter().map(value_at).collect()
}

/// Where raw measures of `key` begin; nothing where rollups have not taken the place of any.
pub(crate) fn floor_in(parts: &PartSet, key: u64) -> Result<Option<i64>, StoreError> {
    let mut floor: Option<i64> = None;
    for part in &parts.rollups {
        if floor.is_some_and(|floor| part.row.max_ns < floor) {
            break;
        }
        part.rollups_of(key, |_, _, entry| {
            floor = floor.max(Some(entry.raw_floor_ns));
            Ok(())
        })?;
    }
    Ok(floor)
}

impl SeriesView {
    /// Where raw measures begin; nothing where rollups have not taken the place of any.
    pub(crate) fn floor_ns(&self) -> Result<Option<i64>, StoreError> {
        floor_in(&self.parts, self.key)
    }

    /// The rolled-up buckets of width `granularity` with starts in `slots_ns`, for each of `methods`.
    pub(crate) fn rollups(
        &self,
        granularity: Timespan,
        methods: &[AggregationMethod],
        slots_ns: &Range<i64>,
    ) -> Result<Vec<Points>, StoreError> {
        let columns: Vec<ColumnId> = methods.iter().map(|method| ColumnId::from(*method)).collect();
        let mut results = vec![Points::default(); methods.len()];
        let (mut slots, mut values) = (Vec::new(), Vec::new());
        for part in self.parts.rollups.iter().rev() {
            if part.row.max_ns < slots_ns.start || part.row.min_ns >= slots_ns.end {
                continue;
            }
            part.rollups_of(self.key, |block, index, entry| {
                if entry.granularity_ns != granularity.ns() || entry.first_ns >= slots_ns.end {
                    return Ok(());
                }
                slots.clear();
                block.decode_slots(index, &mut slots)?;
                let begin = slots.partition_point(|slot| *slot < slots_ns.start);
                let end = slots.partition_point(|slot| *slot < slots_ns.end).max(begin);
                for (column, points) in columns.iter().zip(&mut results) {
                    values.clear();
                    if block.decode_column(index, *column, &mut values)? {
                        self.add_slots(part, granularity, (&slots[begin..end], &values[begin..end]), points);
                    }
                }
                Ok(())
            })?;
        }
        for points in &mut results {
            sort_slots(points);
        }
        Ok(results)
    }

    /// Appends those of `slots` of `part` that have a value and are not deleted.
    fn add_slots(
        &self,
        part: &Part,
        granularity: Timespan,
        (slots, values): (&[i64], &[f64]),
        points: &mut Points,
    ) {
        if self.tombstones.is_empty() && !values.iter().any(|value| is_absent(*value)) {
            points.timestamps_ns.extend_from_slice(slots);
            points.values.extend_from_slice(values);
            return;
        }
        let position = part.row.max_position;
        for (slot, value) in slots.iter().zip(values) {
            if !is_absent(*value) && !hides_slot(&self.tombstones, position, *slot, granularity.ns()) {
                points.timestamps_ns.push(*slot);
                points.values.push(*value);
            }
        }
    }
}

/// Parts come in an order that is only nearly that of time; a slot is in one of them only.
fn sort_slots(points: &mut Points) {
    nephometer_series::sort_and_deduplicate(
        &mut points.timestamps_ns,
        &mut points.values,
        nephometer_series::Duplicates::Newest,
    );
}

#[cfg(test)]
mod tests {
    use nephometer_model::{MethodSet, PolicyItem, PolicyKey};

    use super::*;

    const S: i64 = 1_000_000_000;

    fn policy(methods: &[&str]) -> ArchivePolicy {
        let item = |seconds, points| PolicyItem { granularity: Timespan::from_seconds(seconds), points };
        ArchivePolicy {
            key: PolicyKey(1),
            name: "p".to_owned(),
            back_window: 0,
            definition: vec![item(60, Some(100)), item(10, Some(6))],
            methods: MethodSet::new(methods.iter().filter_map(|name| AggregationMethod::parse(name))),
        }
    }

    #[test]
    fn rolls_up_what_each_definition_keeps() {
        let raw: Points = (0..40).map(|i| (i * 5 * S, i as f64)).collect();
        let span = RollupSpan { old_floor_ns: None, floor_ns: 120 * S, newest_ns: 195 * S };
        let rolled = roll_up(&policy(&["mean", "std", "rate:mean"]), &span, &raw, None);
        // Ten-second buckets reach back to 140 s only: none of them is before the floor.
        assert_eq!(rolled.len(), 1);
        assert_eq!((rolled[0].granularity_ns, &rolled[0].slots_ns), (60 * S, &vec![0, 60 * S]));
        assert_eq!(rolled[0].columns[0].1, [5.5, 17.5]);
        assert_eq!(rolled[0].columns[2].1, [1.0, 1.0]);
    }

    #[test]
    fn absent_values_are_told_from_nan() {
        let raw: Points = [(0, f64::NAN), (S, 1.0), (60 * S, 2.0)].into_iter().collect();
        let span = RollupSpan { old_floor_ns: None, floor_ns: 120 * S, newest_ns: 500 * S };
        let rolled = roll_up(&policy(&["std"]), &span, &raw, None);
        let std = &rolled[0].columns[0].1;
        assert!(std[0].is_nan() && !is_absent(std[0]) && is_absent(std[1]));
    }
}
