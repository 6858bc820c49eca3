//! Round trips of tables of timestamps.

use proptest::prelude::*;

use super::*;

fn encode(columns: &[Vec<i64>]) -> Vec<u8> {
    let mut encoder = TimesEncoder::default();
    for column in columns {
        encoder.push(column);
    }
    let mut out = Vec::new();
    encoder.finish(Effort::Flush, &mut out);
    out
}

fn check(columns: &[Vec<i64>], range: &Range<i64>) -> usize {
    let bytes = encode(columns);
    let mut reader = ByteReader::new(&bytes);
    let times = Times::parse(&mut reader, &bytes, columns.len()).unwrap();
    assert!(reader.is_empty());
    for (index, column) in columns.iter().enumerate() {
        assert_eq!((times.count(index), times.first_ns(index)), (column.len(), column[0]));
        let mut out = vec![42];
        let found = times.decode(&bytes, index, &(i64::MIN..i64::MAX), &mut out).unwrap();
        // The end is exclusive: a timestamp of i64::MAX can never be asked for.
        let all = column.iter().filter(|t| **t < i64::MAX).count();
        assert_eq!((found, &out[1..]), (0..all, &column[..all]));
        out.clear();
        let found = times.decode(&bytes, index, range, &mut out).unwrap();
        let expected: Vec<_> = column.iter().copied().filter(|t| range.contains(t)).collect();
        assert_eq!(out, expected);
        assert_eq!(&column[found], expected);
    }
    bytes.len()
}

fn column() -> impl Strategy<Value = Vec<i64>> {
    let second = 1_000_000_000_i64;
    let irregular = |unit: i64, longest: i64| {
        let steps = prop::collection::vec(1..longest, 0..60);
        (0_i64..2_000_000_000, steps).prop_map(move |(start, steps)| {
            let mut at = start * unit;
            let rest = steps.into_iter().map(move |step| {
                at += step * unit;
                at
            });
            std::iter::once(start * unit).chain(rest).collect()
        })
    };
    prop_oneof![
        (0_i64..2_000_000_000, 1_i64..4000, 1_i64..300)
            .prop_map(move |(start, step, n)| (0..n).map(|i| (start + i * step) * second).collect()),
        irregular(1, 1000),
        irregular(1000, 1_000_000),
        irregular(1_000_000, 70_000),
        irregular(second, 3),
        (prop::collection::vec(-50_i64..50, 2..50)).prop_map(|jitter| {
            jitter
                .iter()
                .zip(0..)
                .map(|(j, i)| 1_700_000_000_000_000_000 + i * 60_000_000_000 + j * 1_000_000)
                .collect()
        }),
        prop::collection::btree_set(any::<i64>(), 1..40).prop_map(|set| set.into_iter().collect()),
    ]
}

proptest! {
    #[test]
    fn tables_round_trip(
        columns in prop::collection::vec(column(), 1..8),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        start in any::<prop::sample::Index>(),
        span in 0_i64..1_000_000_000_000,
    ) {
        let chosen: Vec<_> = picks.iter().map(|pick| pick.get(&columns).clone()).collect();
        let from = *start.get(&chosen[0]);
        check(&chosen, &(from..from.saturating_add(span)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, series in 1_usize..9) {
        if let Ok(times) = Times::parse(&mut ByteReader::new(&bytes), &bytes, series) {
            let _ = times.decode(&bytes, 0, &(0..1 << 60), &mut Vec::new());
        }
    }

    #[test]
    fn damaged_tables_never_panic(columns in prop::collection::vec(column(), 1..4), at: usize, bits in 1_u8..) {
        let mut bytes = encode(&columns);
        let at = at % bytes.len();
        bytes[at] ^= bits;
        if let Ok(times) = Times::parse(&mut ByteReader::new(&bytes), &bytes, columns.len()) {
            for index in 0..columns.len() {
                let _ = times.decode(&bytes, index, &(0..1 << 60), &mut Vec::new());
            }
        }
    }
}

#[test]
fn shared_and_regular_columns_cost_next_to_nothing() {
    let regular: Vec<_> = (0..3600).map(|i| (1_700_000_000 + i) * 1_000_000_000).collect();
    assert!(check(&vec![regular; 100], &(0..1)) <= 25);
    let jitter = |i: i64| i * 7919 % 100 - 50;
    let jittered: Vec<_> =
        (0..3600).map(|i| 1_700_000_000_000_000_000 + i * 60_000_000_000 + jitter(i) * 1_000_000).collect();
    let one = check(std::slice::from_ref(&jittered), &(0..1));
    assert!(one < 3600 + 100, "{one}");
    assert!(check(&vec![jittered; 15], &(0..1)) <= one + 2);
}
