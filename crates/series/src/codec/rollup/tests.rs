//! Round trips of rollup blocks.

use nephometer_model::{AggregationMethod, MethodSet};
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Owned {
    key: u64,
    granularity_ns: i64,
    floor: i64,
    slots: Vec<i64>,
    columns: Vec<(ColumnId, Vec<f64>)>,
}

fn encode(owned: &[Owned]) -> Vec<u8> {
    let columns: Vec<Vec<(ColumnId, &[f64])>> = owned
        .iter()
        .map(|one| one.columns.iter().map(|(id, values)| (*id, values.as_slice())).collect())
        .collect();
    let series: Vec<_> = owned
        .iter()
        .zip(&columns)
        .map(|(one, columns)| RollupColumns {
            key: one.key,
            policy: 7,
            granularity_ns: one.granularity_ns,
            raw_floor_ns: one.floor,
            slots_ns: &one.slots,
            columns,
        })
        .collect();
    let mut bytes = Vec::new();
    encode_rollup_block(&series, Effort::Merge, &mut bytes).unwrap();
    bytes
}

fn check(owned: &[Owned]) -> usize {
    let bytes = encode(owned);
    let len = bytes.len();
    let block = RollupBlock::parse(bytes).unwrap();
    for (index, one) in owned.iter().enumerate() {
        let entry = &block.entries()[index];
        assert_eq!(
            (entry.key, entry.granularity_ns, entry.raw_floor_ns),
            (one.key, one.granularity_ns, one.floor)
        );
        assert_eq!((entry.policy, entry.count, entry.first_ns), (7, one.slots.len(), one.slots[0]));
        assert!(block.find(one.key).contains(&index));
        let mut slots = Vec::new();
        block.decode_slots(index, &mut slots).unwrap();
        assert_eq!(slots, one.slots);
        assert!(block.columns(index).iter().eq(one.columns.iter().map(|(id, _)| id)));
        for (id, values) in &one.columns {
            let mut out = Vec::new();
            assert_eq!(block.decode_column(index, *id, &mut out), Ok(true));
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&out), bits(values), "{id:?}");
        }
    }
    assert_eq!(block.find(u64::MAX), owned.len()..owned.len());
    len
}

/// The six usual columns and the rate's mean, sum and count of slots with so many of these values.
fn aggregates(slots: usize, per_slot: usize, value: impl Fn(usize) -> f64) -> Vec<(ColumnId, Vec<f64>)> {
    let usual = MethodSet::upstream_default();
    let rates = ["rate:count", "rate:mean", "rate:sum"].map(|name| AggregationMethod::parse(name).unwrap());
    let column = |method: AggregationMethod| {
        let name = method.to_string();
        let of = |slot: usize| {
            let values: Vec<_> = (slot * per_slot..(slot + 1) * per_slot).map(&value).collect();
            let (sum, n) = (values.iter().sum::<f64>(), values.len() as f64);
            match name.rsplit(':').next().unwrap() {
                "mean" => sum / n,
                "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
                "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                "sum" => sum,
                "std" if per_slot == 1 => f64::NAN,
                "std" => (values.iter().map(|v| (v - sum / n).powi(2)).sum::<f64>() / (n - 1.0)).sqrt(),
                _ => n,
            }
        };
        (ColumnId::from(method), (0..slots).map(of).collect())
    };
    usual.iter().chain(rates).map(column).collect()
}

fn slots(n: usize, granularity_ns: i64) -> Vec<i64> {
    (0..n as i64).map(|i| (1_000_000 + i) * granularity_ns).collect()
}

#[test]
fn equal_and_derived_columns_cost_nothing() {
    let hour = 3_600_000_000_000;
    let value = |i: usize| (i * 7919 % 1000) as f64;
    let entry = |key, per_slot| Owned {
        key,
        granularity_ns: hour,
        floor: 5,
        slots: slots(2000, hour),
        columns: aggregates(2000, per_slot, value),
    };
    // One measure a slot: mean, min, max, sum and the rates' mean and sum are one column; std and counts are constant.
    let single = check(&[entry(1, 1)]);
    assert!(single < 2000 * 10 / 8 + 100, "{single}");
    // Several: min, max, sum and std are stored, the means follow.
    let several = check(&[entry(1, 60)]);
    let without_means = {
        let mut entry = entry(1, 60);
        entry.columns.retain(|(id, _)| !id.method().to_string().ends_with("mean"));
        check(&[entry])
    };
    assert!(several <= without_means + 12, "{several} {without_means}");
}

fn entries() -> impl Strategy<Value = Vec<Owned>> {
    let value = prop_oneof![any::<u64>().prop_map(f64::from_bits), (0..5).prop_map(f64::from)];
    let ids: Vec<_> = AggregationMethod::all().map(ColumnId::from).collect();
    let one =
        (1_usize..40, prop::sample::subsequence(ids, 0..12), prop::collection::vec(value, 480), 0_usize..4);
    let one = one.prop_map(|(n, ids, values, repeat)| {
        let column = |at: usize| values[(at / (repeat + 1)) * n..][..n].to_vec();
        let columns = ids.iter().enumerate().map(|(at, id)| (*id, column(at))).collect();
        (slots(n, 60), columns)
    });
    prop::collection::btree_map((0_u64..8, 1_i64..4), (one, any::<i64>()), 1..12).prop_map(|map| {
        let build = |((key, granularity_ns), ((slots, columns), floor))| Owned {
            key,
            granularity_ns,
            floor,
            slots,
            columns,
        };
        map.into_iter().map(build).collect()
    })
}

fn touch(bytes: Vec<u8>) {
    let Ok(block) = RollupBlock::parse(bytes) else { return };
    for index in 0..block.entries().len().min(50) {
        let _ = block.decode_slots(index, &mut Vec::new());
        for column in block.columns(index) {
            let _ = block.decode_column(index, *column, &mut Vec::new());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn blocks_round_trip(owned in entries()) {
        check(&owned);
    }

    #[test]
    fn damaged_blocks_never_panic(owned in entries(), at: usize, flip in 1_u8.., cut: bool) {
        let mut bytes = encode(&owned);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        touch(bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>) {
        bytes.insert(0, ROLLUP_BLOCK);
        touch(bytes);
    }
}

#[test]
fn wrong_columns_are_refused() {
    let encode = |series: &[RollupColumns<'_>]| encode_rollup_block(series, Effort::Flush, &mut Vec::new());
    let count = ColumnId::from_code(9).unwrap();
    let columns: [(ColumnId, &[f64]); 1] = [(count, &[1.0, 2.0])];
    let good = RollupColumns {
        key: 1,
        policy: 1,
        granularity_ns: 60,
        raw_floor_ns: 0,
        slots_ns: &[0, 60],
        columns: &columns,
    };
    assert!(encode(&[good, RollupColumns { granularity_ns: 300, ..good }]).is_ok());
    assert!(encode(&[RollupColumns { columns: &[], ..good }]).is_ok());
    assert!(encode(&[]).is_err());
    assert!(encode(&[good, good]).is_err());
    assert!(encode(&[RollupColumns { slots_ns: &[0], ..good }]).is_err());
    assert!(encode(&[RollupColumns { slots_ns: &[60, 0], ..good }]).is_err());
}
