//! Order statistics: medians and percentiles of buckets.
//!
//! Values are ordered as integers: NaN of any kind last, as NumPy sorts them.

use crate::buckets::Buckets;

/// A place in the sorted values of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// The mean of the two middle values.
    Median,
    /// 1 to 99, between the two nearest values in proportion.
    Percent(u8),
}

impl Rank {
    /// The two indices that decide in `n` sorted values, and how far from the first to the second.
    fn place(self, n: usize) -> (usize, usize, f64) {
        match self {
            Self::Median => ((n - 1) / 2, n / 2, 0.5),
            Self::Percent(percent) => {
                let rank = (n - 1) as f64 * (f64::from(percent) / 100.0);
                (rank.floor() as usize, rank.ceil() as usize, rank)
            }
        }
    }

    fn blend(self, low: f64, high: f64, rank: f64) -> f64 {
        match self {
            Self::Median => (low + high) / 2.0,
            Self::Percent(_) if rank.floor() == rank.ceil() => low,
            Self::Percent(_) => low * (rank.ceil() - rank) + high * (rank - rank.floor()),
        }
    }

    fn of_sorted(self, keys: &[i64]) -> f64 {
        let (low, high, rank) = self.place(keys.len());
        self.blend(value_of(keys[low]), value_of(keys[high]), rank)
    }

    /// Without sorting more than it must.
    pub(crate) fn of_unsorted(self, keys: &mut [i64]) -> f64 {
        let (low, high, rank) = self.place(keys.len());
        let (low_key, high_key) = if low == high {
            let key = *keys.select_nth_unstable(low).1;
            (key, key)
        } else if low * 2 >= keys.len() {
            let (_, key, above) = keys.select_nth_unstable(low);
            (*key, above.iter().copied().min().unwrap_or(*key))
        } else {
            let (below, key, _) = keys.select_nth_unstable(high);
            (below.iter().copied().max().unwrap_or(*key), *key)
        };
        self.blend(value_of(low_key), value_of(high_key), rank)
    }
}

/// For each rank a column with one value per bucket. Buckets are sorted when several ranks share them.
pub(crate) fn ranks(buckets: &Buckets, values: &[f64], ranks: &[Rank]) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::with_capacity(buckets.ends.len()); ranks.len()];
    let mut keys: Vec<i64> = Vec::new();
    for slice in buckets.slices(values) {
        if let [only] = slice {
            for (column, rank) in columns.iter_mut().zip(ranks) {
                column.push(rank.blend(*only, *only, 0.0));
            }
            continue;
        }
        keys.clear();
        keys.extend(slice.iter().map(|value| key_of(*value)));
        if let ([rank], [column]) = (ranks, columns.as_mut_slice()) {
            column.push(rank.of_unsorted(&mut keys));
            continue;
        }
        keys.sort_unstable();
        for (column, rank) in columns.iter_mut().zip(ranks) {
            column.push(rank.of_sorted(&keys));
        }
    }
    columns
}

/// Flips the bits below the sign of a negative number: integers then order as the numbers do.
const fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The integer that orders as `value` does; NaN after everything.
pub(crate) fn key_of(value: f64) -> i64 {
    if value.is_nan() { i64::MAX } else { flip(value.to_bits().cast_signed()) }
}

/// The value whose key this is.
pub(crate) fn value_of(key: i64) -> f64 {
    f64::from_bits(flip(key).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nan_of_either_sign_is_last_and_stays_nan() {
        assert!(value_of(key_of(f64::NAN)).is_nan());
        assert_eq!(key_of(-f64::NAN), i64::MAX);
        assert!(key_of(f64::INFINITY) < key_of(f64::NAN));
    }

    proptest! {
        #[test]
        fn keys_order_as_numbers(a in prop::num::f64::ANY, b in prop::num::f64::ANY) {
            if !a.is_nan() && !b.is_nan() {
                prop_assert_eq!(value_of(key_of(a)).to_bits(), a.to_bits());
                prop_assert_eq!(key_of(a).cmp(&key_of(b)), a.total_cmp(&b));
            }
        }

        #[test]
        fn selecting_is_sorting(
            values in prop::collection::vec(prop_oneof![Just(f64::NAN), -5.0..5.0_f64], 1..40),
            percent in 1..=99_u8,
        ) {
            for rank in [Rank::Median, Rank::Percent(percent)] {
                let mut keys: Vec<i64> = values.iter().map(|v| key_of(*v)).collect();
                let selected = rank.of_unsorted(&mut keys);
                keys.sort_unstable();
                prop_assert_eq!(selected.to_bits(), rank.of_sorted(&keys).to_bits());
            }
        }
    }
}
