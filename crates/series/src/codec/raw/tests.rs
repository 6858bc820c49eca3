//! Round trips of raw blocks.

use proptest::prelude::*;

use super::*;

type Owned = (u64, u32, Vec<i64>, Vec<f64>);

fn columns(owned: &[Owned]) -> Vec<SeriesColumns<'_>> {
    let one = |(key, policy, timestamps_ns, values)| SeriesColumns { key, policy, timestamps_ns, values };
    owned
        .iter()
        .map(|(key, policy, times, values)| one((*key, *policy, times.as_slice(), values.as_slice())))
        .collect()
}

fn series() -> impl Strategy<Value = Vec<Owned>> {
    let regular = (0_i64..1 << 31, 1_i64..3600, 1_usize..200).prop_map(|(start, step, n)| {
        (0..n as i64).map(|i| (start + i * step) * 1_000_000_000).collect::<Vec<_>>()
    });
    let any_times =
        prop::collection::btree_set(0_i64..1 << 62, 1..100).prop_map(|set| set.into_iter().collect());
    let times = prop_oneof![regular, any_times];
    let value = prop_oneof![any::<u64>().prop_map(f64::from_bits), (0..1000).prop_map(f64::from)];
    let one = (any::<u32>(), times, prop::collection::vec(value, 200), any::<bool>()).prop_map(
        |(policy, times, mut values, whole)| {
            values.truncate(times.len());
            if whole {
                values.iter_mut().for_each(|value| *value = (value.to_bits() >> 40) as f64);
            }
            (policy, times, values)
        },
    );
    prop::collection::btree_map(any::<u64>(), one, 1..20).prop_map(|map| {
        map.into_iter().map(|(key, (policy, times, values))| (key, policy, times, values)).collect()
    })
}

fn encode(owned: &[Owned]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_raw_block(&columns(owned), Effort::Flush, &mut bytes).unwrap();
    bytes
}

fn touch(bytes: Vec<u8>) {
    let Ok(block) = RawBlock::parse(bytes) else { return };
    for index in 0..block.entries().len().min(50) {
        let _ = block.decode(index, 0..i64::MAX, &mut Vec::new(), &mut Vec::new());
        let _ = block.newest(index, &(0..i64::MAX));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn blocks_round_trip(owned in series(), start in 0_i64..1 << 62, span in 0_i64..1 << 61) {
        let block = RawBlock::parse(encode(&owned)).unwrap();
        prop_assert_eq!(block.entries().len(), owned.len());
        for (index, (key, policy, times, values)) in owned.iter().enumerate() {
            let entry = RawEntry { key: *key, policy: *policy, count: times.len(), first_ns: times[0] };
            prop_assert_eq!(block.entries()[index], entry);
            prop_assert_eq!(block.find(*key), Some(index));
            for range in [0..i64::MAX, start..start + span, times[0]..times[times.len() - 1]] {
                let (mut got_times, mut got_values) = (Vec::new(), Vec::new());
                block.decode(index, range.clone(), &mut got_times, &mut got_values).unwrap();
                let expected = times.iter().zip(values).filter(|(t, _)| range.contains(t));
                let got = got_times.iter().zip(&got_values).map(|(t, v)| (*t, v.to_bits()));
                prop_assert!(got.eq(expected.map(|(t, v)| (*t, v.to_bits()))));
                prop_assert_eq!(got_times.len(), got_values.len());
                prop_assert_eq!(block.newest(index, &range).unwrap(), got_times.last().copied());
            }
        }
    }

    #[test]
    fn damaged_blocks_never_panic(owned in series(), at: usize, flip in 1_u8.., cut: bool) {
        let mut bytes = encode(&owned);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        touch(bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>) {
        bytes.insert(0, RAW_BLOCK);
        touch(bytes);
    }
}

#[test]
fn wrong_columns_are_refused() {
    let encode = |series: &[SeriesColumns<'_>]| encode_raw_block(series, Effort::Flush, &mut Vec::new());
    let good = SeriesColumns { key: 2, policy: 1, timestamps_ns: &[1, 2], values: &[1.0, 2.0] };
    assert!(encode(&[good]).is_ok());
    assert!(encode(&[]).is_err());
    assert!(encode(&[good, good]).is_err());
    assert!(encode(&[SeriesColumns { values: &[1.0], ..good }]).is_err());
    assert!(encode(&[SeriesColumns { timestamps_ns: &[], values: &[], ..good }]).is_err());
    assert!(encode(&[SeriesColumns { timestamps_ns: &[2, 2], ..good }]).is_err());
}
