//! The head against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const STRIDE: u32 = 8;

#[derive(Debug, Clone)]
enum Step {
    Append { series: u64, start: i64, step: i64, len: usize },
    Remove { series: u64, start: i64, stop: i64 },
}

fn points(head: &HeadBuffer, series: &HeadSeries) -> Points {
    let (mut packed, mut points) = (Packed::default(), Points::default());
    head.pack(series, &mut packed);
    packed.unpack(&mut points);
    points
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (0..600_u64, 0..2000_i64, 1..9_i64, prop_oneof![1..4_usize, 1..1500_usize])
        .prop_map(|(series, start, step, len)| Step::Append { series, start, step, len });
    let remove = (0..600_u64, 0..2000_i64, 0..3000_i64).prop_map(|(series, start, stop)| Step::Remove {
        series,
        start,
        stop,
    });
    prop::collection::vec(prop_oneof![9 => append, 1 => remove], 0..60)
}

proptest! {
    #[test]
    fn as_a_map_would_do_it(steps in steps()) {
        let mut head = HeadBuffer::new(STRIDE);
        let mut model: BTreeMap<u64, BTreeMap<i64, f64>> = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            match *step {
                Step::Append { series, start, step, len } => {
                    // Few distinct keys, so that chains grow and runs overlap.
                    let key = (series % 7 * 100) * u64::from(STRIDE) + 3;
                    let timestamps: Vec<i64> = (0..len as i64).map(|i| start + i * step).collect();
                    let values: Vec<f64> = timestamps.iter().map(|t| (*t + at as i64) as f64).collect();
                    head.append(&Run { key, policy: 1, timestamps_ns: &timestamps, values: &values });
                    model.entry(key).or_default().extend(timestamps.into_iter().zip(values));
                }
                Step::Remove { series, start, stop } => {
                    let key = (series % 7 * 100) * u64::from(STRIDE) + 3;
                    head.remove(key, start, stop);
                    if let Some(points) = model.get_mut(&key) {
                        points.retain(|t, _| *t < start || *t >= stop);
                    }
                }
            }
        }
        model.retain(|_, points| !points.is_empty());
        let held: BTreeMap<u64, BTreeMap<i64, f64>> =
            head.sorted().map(|series| (series.key, points(&head, &series).iter().collect())).collect();
        prop_assert!(head.sorted().map(|series| series.key).is_sorted());
        for (key, points) in &model {
            let series = head.series(*key).unwrap();
            prop_assert_eq!(series.min_ns, *points.keys().next().unwrap());
            prop_assert_eq!(series.max_ns, *points.keys().next_back().unwrap());
        }
        prop_assert_eq!(held, model);
    }
}

#[test]
fn a_series_is_cheap() {
    let mut head = HeadBuffer::new(STRIDE);
    let mut bytes_a_series = |round: i64| {
        for key in 0..100_000_u64 {
            let value = (key * 37 % 1000) as f64 + (round * 7 % 20) as f64;
            let at_ns = (1_795_000_000 + round * 60) * 1_000_000_000;
            head.append(&Run { key: key * 8, policy: 1, timestamps_ns: &[at_ns], values: &[value] });
        }
        head.bytes() / 100_000
    };
    let first = bytes_a_series(0);
    assert!(first <= 74, "{first} bytes a series with one measure");
    let twentieth = (1..20).map(&mut bytes_a_series).max().unwrap();
    assert!(twentieth <= 92, "{twentieth} bytes a series with 20 measures");
}
