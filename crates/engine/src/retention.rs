//! How far back the aggregates and raw measures of a policy reach, counted from a series' newest measure.

use nephometer_model::{AggregationMethod, ArchivePolicy, PolicyItem, Reducer, Timespan, Timestamp};

/// The start of the bucket of width `granularity_ns` that holds `at_ns`; saturates.
pub(crate) fn floor_ns(at_ns: i64, granularity_ns: i64) -> i64 {
    at_ns.saturating_sub(at_ns.rem_euclid(granularity_ns))
}

/// The first start of a bucket at or after `at_ns`; saturates.
pub(crate) fn ceil_ns(at_ns: i64, granularity_ns: i64) -> i64 {
    let floor = floor_ns(at_ns, granularity_ns);
    if floor == at_ns { at_ns } else { floor.saturating_add(granularity_ns) }
}

/// The oldest bucket that `item` keeps where `newest_ns` is the newest measure; nothing where it keeps all.
pub(crate) fn oldest_bucket_ns(item: &PolicyItem, newest_ns: i64) -> Option<i64> {
    let buckets = i64::try_from(item.points?).unwrap_or(i64::MAX);
    let width_ns = item.granularity.ns();
    let reach_ns = width_ns.saturating_mul(buckets.saturating_sub(1));
    Some(floor_ns(newest_ns, width_ns).saturating_sub(reach_ns))
}

/// The oldest measure that any definition still shows; nothing where one keeps all.
pub(crate) fn oldest_needed_ns(policy: &ArchivePolicy, newest_ns: i64) -> Option<i64> {
    let oldest = policy.definition.iter().map(|item| oldest_bucket_ns(item, newest_ns));
    oldest.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// No measure that is this much older than the newest, or less, is beyond what `policy` shows; nothing where a
/// definition keeps all.
pub(crate) fn reach_ns(policy: &ArchivePolicy) -> Option<i64> {
    let reach = |item: &PolicyItem| {
        let buckets = i64::try_from(item.points?).unwrap_or(i64::MAX);
        Some(item.granularity.ns().saturating_mul(buckets.saturating_sub(1)))
    };
    policy.definition.iter().map(reach).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The most that raw measures of a series may be kept where rollups take no less room.
pub(crate) const NO_LIMIT_NS: i64 = i64::MAX;

/// A column of rollups takes about as much room as so many measures for each slot.
const MEASURES_PER_COLUMN: usize = 4;

/// With more measures than this in each bucket of the finest definition, rollups of all methods of `policy` take much
/// less room than raw measures. Counts, which hardly vary, and means beside sums cost nothing.
pub(crate) fn dense_bucket(policy: &ArchivePolicy) -> usize {
    let of = AggregationMethod::of;
    let is_free = |method: &AggregationMethod| {
        *method == of(Reducer::Count)
            || (*method == of(Reducer::Mean) && policy.methods.contains(of(Reducer::Sum)))
    };
    policy.methods.iter().filter(|method| !is_free(method)).count().max(1) * MEASURES_PER_COLUMN
}

/// How long raw measures of `policy` are kept before rollups take their place: the span of its finest definition, but
/// no more than `most_ns`; at least its back window and the coarsest bucket. Nothing where no definition keeps longer,
/// so that rollups would have no use.
pub(crate) fn raw_span_ns(policy: &ArchivePolicy, most_ns: i64) -> Option<i64> {
    let finest = policy.definition.iter().min_by_key(|item| item.granularity)?;
    let coarsest_ns = policy.definition.iter().map(|item| item.granularity.ns()).max()?;
    let window = i64::try_from(policy.back_window).unwrap_or(i64::MAX).saturating_add(1);
    let finest_ns = finest.timespan().map_or(i64::MAX, Timespan::ns);
    let keep_ns = finest_ns.min(most_ns).max(window.saturating_mul(coarsest_ns));
    let longer = |item: &PolicyItem| item.timespan().is_none_or(|span| span.ns() > keep_ns);
    (keep_ns < i64::MAX && policy.definition.iter().any(longer)).then_some(keep_ns)
}

/// The end of what rollups may take the place of, where raw measures are kept for `raw_span_ns`: aligned so that no
/// bucket that starts at or after it needs older measures. Never later than `limit_ns`.
pub(crate) fn rollup_floor_ns(
    policy: &ArchivePolicy,
    newest_ns: i64,
    raw_span_ns: i64,
    limit_ns: i64,
) -> Option<i64> {
    let end_ns = newest_ns.saturating_sub(raw_span_ns).min(limit_ns);
    policy.definition.iter().map(|item| floor_ns(end_ns, item.granularity.ns())).min()
}

/// The oldest measure that Gnocchi would still count after one at `newest_ns`.
pub(crate) fn upstream_limit_ns(policy: &ArchivePolicy, newest_ns: i64) -> Option<i64> {
    let block_ns = policy.definition.iter().map(|item| item.granularity.ns()).max()?;
    let window = policy.back_window.saturating_add(u64::from(policy.methods.has_rate()));
    let reach_ns = block_ns.saturating_mul(i64::try_from(window).unwrap_or(i64::MAX));
    Some(floor_ns(newest_ns, block_ns).saturating_sub(reach_ns))
}

/// How long after a measure something of it may be dropped: the spans of raw and of each definition, ascending.
pub(crate) fn horizons_ns(policy: &ArchivePolicy) -> Vec<i64> {
    let spans = policy.definition.iter().filter_map(|item| item.timespan()).map(|span| span.ns());
    let mut horizons: Vec<i64> = spans.chain(raw_span_ns(policy, NO_LIMIT_NS)).collect();
    horizons.sort_unstable();
    horizons.dedup();
    horizons
}

/// How long raw measures of `policy` are kept that lie close together, where rollups take their place earlier than
/// otherwise; in nanoseconds.
pub(crate) fn dense_horizon_ns(policy: &ArchivePolicy, min_raw_ns: i64) -> Option<i64> {
    let span = raw_span_ns(policy, min_raw_ns)?;
    (Some(span) != raw_span_ns(policy, NO_LIMIT_NS)).then_some(span)
}

/// The ledger's span of a measure at `at_ns`: start and width, by the coarsest definition; an hour where the policy is
/// not known.
pub(crate) fn ledger_span(policy: Option<&ArchivePolicy>, at_ns: i64) -> (Timestamp, Timespan) {
    let coarsest = policy.and_then(|policy| policy.definition.iter().map(|item| item.granularity).max());
    let width = coarsest.unwrap_or(Timespan::from_seconds(3600));
    (Timestamp::from_ns(at_ns).floor(width), width)
}

#[cfg(test)]
mod tests {
    use nephometer_model::{MethodSet, PolicyKey};

    use super::*;

    const S: i64 = 1_000_000_000;

    fn policy(back_window: u64, items: &[(i64, Option<u64>)]) -> ArchivePolicy {
        let definition = items
            .iter()
            .map(|(seconds, points)| PolicyItem {
                granularity: Timespan::from_seconds(*seconds),
                points: *points,
            })
            .collect();
        let methods = MethodSet::upstream_default();
        ArchivePolicy { key: PolicyKey(1), name: "p".to_owned(), back_window, definition, methods }
    }

    #[test]
    fn points_are_counted_from_the_newest_bucket() {
        let item = PolicyItem { granularity: Timespan::from_seconds(1), points: Some(3) };
        assert_eq!(oldest_bucket_ns(&item, 9 * S + 5), Some(7 * S));
        assert_eq!(oldest_bucket_ns(&PolicyItem { points: None, ..item }, 9 * S), None);
        assert_eq!(oldest_needed_ns(&policy(0, &[(1, Some(3)), (60, Some(2))]), 130 * S), Some(60 * S));
    }

    #[test]
    fn raw_stays_as_long_as_it_is_the_finest() {
        assert_eq!(raw_span_ns(&policy(0, &[(300, Some(100))]), NO_LIMIT_NS), None);
        assert_eq!(raw_span_ns(&policy(0, &[(1, Some(60)), (60, Some(100))]), NO_LIMIT_NS), Some(60 * S));
        assert_eq!(raw_span_ns(&policy(3, &[(1, Some(60)), (60, Some(100))]), NO_LIMIT_NS), Some(240 * S));
        assert_eq!(raw_span_ns(&policy(0, &[(1, None), (60, Some(100))]), NO_LIMIT_NS), None);
        assert_eq!(raw_span_ns(&policy(0, &[(1, Some(60)), (60, None)]), NO_LIMIT_NS), Some(60 * S));
    }

    #[test]
    fn rollups_end_where_every_definition_begins() {
        let uneven = policy(0, &[(60, Some(10)), (100, Some(1000))]);
        // 1234 s less 600 s of raw is 634 s: buckets begin at 600 s (both).
        assert_eq!(rollup_floor_ns(&uneven, 1234 * S, 600 * S, i64::MAX), Some(600 * S));
        assert_eq!(rollup_floor_ns(&uneven, 1350 * S, 600 * S, i64::MAX), Some(700 * S));
        assert_eq!(rollup_floor_ns(&uneven, 1350 * S, 600 * S, 500 * S), Some(480 * S));
    }

    #[test]
    fn dense_raw_is_kept_as_long_as_it_must_be() {
        let low = policy(0, &[(300, Some(8640))]);
        assert_eq!(raw_span_ns(&low, 86_400 * S), Some(86_400 * S));
        assert_eq!(raw_span_ns(&low, 30 * 86_400 * S), None);
        assert_eq!(raw_span_ns(&policy(599, &[(300, Some(8640))]), 86_400 * S), Some(180_000 * S));
        assert_eq!(raw_span_ns(&policy(0, &[(300, None)]), 86_400 * S), Some(86_400 * S));
        assert_eq!(raw_span_ns(&policy(u64::MAX, &[(300, None)]), 86_400 * S), None);
        assert_eq!(dense_horizon_ns(&low, 86_400 * S), Some(86_400 * S));
        assert_eq!(dense_horizon_ns(&policy(0, &[(1, Some(60)), (60, None)]), 86_400 * S), None);
    }

    #[test]
    fn what_is_within_reach_is_needed() {
        let uneven = policy(0, &[(60, Some(10)), (100, Some(3))]);
        assert_eq!(reach_ns(&uneven), Some(540 * S));
        for newest in 0..400 {
            let needed = oldest_needed_ns(&uneven, newest * S).unwrap();
            assert!(needed <= newest * S - 540 * S && needed > newest * S - 600 * S);
        }
        assert_eq!(reach_ns(&policy(0, &[(60, Some(10)), (100, None)])), None);
    }

    #[test]
    fn upstreams_window() {
        let two = policy(2, &[(60, Some(100))]);
        assert_eq!(upstream_limit_ns(&two, 623 * S), Some(480 * S));
    }
}
