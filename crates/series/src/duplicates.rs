//! Which of several measures with one timestamp counts.

use crate::order::key_of;

/// What decides among values of one timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// The smallest; NaN only where there is nothing else. The rule within one request.
    Smallest,
    /// The one that stands later. The rule across requests.
    Newest,
}

/// Sorts measures by time and leaves one for each timestamp. Costs one look where that is so already.
///
/// Both columns must have one length.
pub fn sort_and_deduplicate(timestamps_ns: &mut Vec<i64>, values: &mut Vec<f64>, rule: Duplicates) {
    debug_assert_eq!(timestamps_ns.len(), values.len(), "columns have one length");
    if timestamps_ns.is_sorted_by(|a, b| a < b) {
        return;
    }
    let mut measures: Vec<(i64, f64)> = timestamps_ns.iter().copied().zip(values.iter().copied()).collect();
    match rule {
        Duplicates::Smallest => measures.sort_unstable_by_key(|(at, value)| (*at, key_of(*value))),
        Duplicates::Newest => {
            // The first of equals is kept below, and sorting keeps their order.
            measures.reverse();
            measures.sort_by_key(|(at, _)| *at);
        }
    }
    measures.dedup_by_key(|(at, _)| *at);
    timestamps_ns.clear();
    values.clear();
    timestamps_ns.extend(measures.iter().map(|(at, _)| *at));
    values.extend(measures.iter().map(|(_, value)| *value));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn one_each(measures: &[(i64, f64)], rule: Duplicates) -> Vec<(i64, f64)> {
        let (mut timestamps, mut values): (Vec<_>, Vec<_>) = measures.iter().copied().unzip();
        sort_and_deduplicate(&mut timestamps, &mut values, rule);
        timestamps.into_iter().zip(values).collect()
    }

    #[test]
    fn smallest_within_a_request_newest_across() {
        let measures = [(2, 5.0), (1, 9.0), (2, 1.0), (2, f64::NAN), (2, 3.0)];
        assert_eq!(one_each(&measures, Duplicates::Smallest), [(1, 9.0), (2, 1.0)]);
        assert_eq!(one_each(&measures, Duplicates::Newest), [(1, 9.0), (2, 3.0)]);
        assert!(one_each(&[(1, f64::NAN), (1, -f64::NAN)], Duplicates::Smallest)[0].1.is_nan());
        assert!(one_each(&[(1, 2.0), (1, f64::NAN)], Duplicates::Newest)[0].1.is_nan());
    }

    proptest! {
        #[test]
        fn as_a_map_would_do_it(measures in prop::collection::vec((0..20_i64, -9..9_i32), 0..60)) {
            let measures: Vec<(i64, f64)> = measures.into_iter().map(|(t, v)| (t, f64::from(v))).collect();
            let newest: BTreeMap<i64, f64> = measures.iter().copied().collect();
            prop_assert_eq!(one_each(&measures, Duplicates::Newest), newest.into_iter().collect::<Vec<_>>());
            let mut smallest = BTreeMap::new();
            for (at, value) in &measures {
                smallest.entry(*at).and_modify(|v: &mut f64| *v = v.min(*value)).or_insert(*value);
            }
            prop_assert_eq!(one_each(&measures, Duplicates::Smallest), smallest.into_iter().collect::<Vec<_>>());
        }
    }
}
