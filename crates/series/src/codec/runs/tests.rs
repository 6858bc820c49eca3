//! Round trips of runs.

use proptest::prelude::*;

use super::super::{ByteReader, Effort};
use super::*;

fn encode(runs: &[Vec<f64>], effort: Effort) -> Vec<u8> {
    let slices: Vec<_> = runs.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    encode_runs(&slices, effort, &mut out);
    out
}

fn parse(bytes: &[u8], runs: &[Vec<f64>]) -> Result<Streams, super::super::CodecError> {
    Streams::parse(&mut ByteReader::new(bytes), bytes, runs.iter().map(Vec::len))
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn check(runs: &[Vec<f64>], effort: Effort) -> usize {
    let bytes = encode(runs, effort);
    let streams = parse(&bytes, runs).unwrap();
    for (index, run) in runs.iter().enumerate() {
        let mut out = vec![1.5];
        streams.decode(&bytes, index, 0..run.len(), &mut out).unwrap();
        assert_eq!(bits(&out[1..]), bits(run));
        let part = run.len() / 3..run.len() * 2 / 3;
        out.clear();
        streams.decode(&bytes, index, part.clone(), &mut out).unwrap();
        assert_eq!(bits(&out), bits(&run[part]));
    }
    bytes.len()
}

fn run() -> impl Strategy<Value = Vec<f64>> {
    let len = 1_usize..80;
    let ints = |range: std::ops::Range<i64>, len| prop::collection::vec(range, len);
    prop_oneof![
        (any::<u64>(), 1_usize..50).prop_map(|(bits, n)| vec![f64::from_bits(bits); n]),
        (-500_i64..500, 1_usize..50).prop_map(|(value, n)| vec![value as f64; n]),
        (ints(0..1000, len.clone()), 0_i64..1 << 50, 1_i64..5000).prop_map(|(steps, start, factor)| {
            let mut at = start;
            steps
                .iter()
                .map(|step| {
                    at += step * factor;
                    at as f64
                })
                .collect()
        }),
        (ints(-10_000..10_000, len.clone()), 0_i32..10)
            .prop_map(|(ints, k)| ints.iter().map(|int| *int as f64 / 10_f64.powi(k)).collect()),
        (ints(-9..9, 2048..2200), any::<bool>()).prop_map(|(steps, thirds)| {
            let mut at = 0.0;
            steps
                .iter()
                .map(|step| {
                    at += *step as f64;
                    if thirds { at / 3.0 } else { at }
                })
                .collect()
        }),
        prop::collection::vec(any::<u64>().prop_map(f64::from_bits), len.clone()),
        prop::collection::vec(
            prop_oneof![Just(f64::NAN), Just(-0.0), Just(0.0), Just(f64::INFINITY), Just(1.0), 0.0..1.0],
            len,
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn runs_round_trip(runs in prop::collection::vec(run(), 1..30)) {
        check(&runs, Effort::Flush);
        check(&runs, Effort::Merge);
    }

    #[test]
    fn damaged_runs_never_panic(runs in prop::collection::vec(run(), 1..8), at: usize, flip in 1_u8..) {
        let mut bytes = encode(&runs, Effort::Flush);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(streams) = parse(&bytes, &runs) {
            for (index, run) in runs.iter().enumerate() {
                let _ = streams.decode(&bytes, index, 0..run.len(), &mut Vec::new());
            }
        }
    }

    #[test]
    fn order_of_bits_follows_values(a: u64, b: u64) {
        let (a, b) = (f64::from_bits(a), f64::from_bits(b));
        prop_assert_eq!(ordered_bits(a).cmp(&ordered_bits(b)), a.total_cmp(&b));
        prop_assert_eq!(from_ordered_bits(ordered_bits(a)).to_bits(), a.to_bits());
    }
}

#[test]
fn factors_and_constants_are_found() {
    let pages: Vec<_> = (0..1000_i64).map(|i| (i * 7919 % 256 * 4096) as f64).collect();
    assert!(check(&[pages], Effort::Merge) < 1030);
    assert!(check(&vec![vec![0.1; 3000]; 100], Effort::Merge) < 30);
}
