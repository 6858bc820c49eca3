//! Raw measures that become rollups, and what comes too late for that.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use nephometer_drivers::{MeasureStore, PartKind};
use support::model::Model;
use support::{Bench, Random, S, every, policy, settings};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const METHODS: &[&str] = &[
    "mean",
    "min",
    "max",
    "sum",
    "std",
    "count",
    "median",
    "95pct",
    "first",
    "last",
    "rate:mean",
    "rate:95pct",
];

/// One second for an hour, a minute for a day, an hour for ever.
const STAIRS: &[(i64, Option<u64>)] = &[(1, Some(3600)), (60, Some(1440)), (3600, None)];

fn stairs() -> Bench {
    Bench::new(settings(), &[policy(1, 0, STAIRS, METHODS)], 2 * DAY)
}

/// Compares all answers with those computed from all that was ever written.
fn check(bench: &Bench, model: &Model) {
    use nephometer_model::{AggregationMethod, Timespan};
    for key in model.series.keys() {
        for (seconds, _) in STAIRS {
            for method in METHODS {
                let shown = bench.read(*key, 1, method, *seconds, (None, None));
                let method = AggregationMethod::parse(method).unwrap();
                let width = Timespan::from_seconds(*seconds);
                let expected = model.all(*key, &bench.policies[0], method, width, bench.now_ns() + DAY * S);
                assert_eq!(shown.len(), expected.len(), "{key} {method} {seconds}");
                for (shown, expected) in shown.iter().zip(&expected) {
                    assert_eq!(shown.0, expected.0, "{key} {method} {seconds}");
                    let scale = expected.1.abs().max(1.0);
                    assert!(
                        (shown.1 - expected.1).abs() <= 1e-9 * scale,
                        "{key} {method} {seconds} at {}",
                        shown.0
                    );
                }
            }
        }
    }
}

/// Writes to bench and model.
fn write(bench: &Bench, model: &mut Model, key: u64, measures: Vec<(i64, f64)>) {
    let request = [(key, 1, measures)];
    bench.write_many(&request).unwrap();
    model.write(&request);
}

fn rollups(bench: &Bench) -> usize {
    bench.catalog.state().parts.iter().filter(|row| row.kind == PartKind::Rollup).count()
}

#[test]
fn answers_stay_the_same_when_raw_is_gone() {
    let mut bench = stairs();
    let mut model = Model::default();
    let mut random = Random(11);
    for hours in 0..60 {
        let start = 2 * DAY + hours * HOUR;
        for key in 0..5 {
            let step = [1, 7, 60, 300, 5000][key as usize];
            let measures = every(start, start + HOUR, step);
            let value = |random: &mut Random| random.between(-1000, 1000) as f64 / 8.0;
            write(
                &bench,
                &mut model,
                key,
                measures.iter().map(|(at, _)| (*at, value(&mut random))).collect(),
            );
        }
        bench.clock.advance_ns(HOUR * S);
        bench.flush();
        if hours % 5 == 4 {
            bench.settle();
        }
        if hours % 17 == 0 {
            bench.crash(&mut random);
        }
        if hours % 20 == 19 {
            check(&bench, &model);
        }
    }
    assert!(rollups(&bench) > 0);
    bench.clock.advance_ns(10 * DAY * S);
    bench.settle();
    check(&bench, &model);
    // The last hour is raw, all else is not.
    let raw: u64 = bench
        .catalog
        .state()
        .parts
        .iter()
        .filter(|row| row.kind == PartKind::Raw)
        .map(|row| row.points)
        .sum();
    assert!(raw < 9_000, "{raw}");
    bench.restart();
    check(&bench, &model);
}

#[test]
fn late_measures_count_where_raw_is_kept_and_are_counted_where_not() {
    let mut bench = stairs();
    let mut model = Model::default();
    let start = 2 * DAY;
    write(&bench, &mut model, 1, every(start, start + 5 * HOUR, 10));
    bench.flush();
    // Nothing has been rolled up yet: as late as can be, it counts.
    write(&bench, &mut model, 1, vec![((start + 5) * S, 1.0)]);
    check(&bench, &model);
    bench.flush();
    bench.clock.advance_ns(2 * DAY * S);
    bench.settle();
    assert_eq!(rollups(&bench), 1);
    check(&bench, &model);
    // Raw is kept for the last hour.
    write(&bench, &mut model, 1, vec![((start + 4 * HOUR + 5) * S, 1.0)]);
    check(&bench, &model);
    assert_eq!(bench.late(1), []);
    // Before, it is too late.
    bench.write(1, 1, &[((start + 2 * HOUR) * S + 1, 1.0), ((start + 5 * HOUR) * S, 7.0)]).unwrap();
    bench.write(1, 1, &[((start + 2 * HOUR) * S + 2, 1.0)]).unwrap();
    model.write(&[(1, 1, vec![((start + 5 * HOUR) * S, 7.0)])]);
    check(&bench, &model);
    let expected = [(start + 2 * HOUR, HOUR, 2)];
    assert_eq!(bench.late(1), expected);
    bench.crash(&mut Random(12));
    assert_eq!(bench.late(1), expected);
    bench.flush();
    assert_eq!(bench.late(1), expected);
    bench.crash(&mut Random(13));
    assert_eq!(bench.late(1), expected);
    assert_eq!(bench.engine().status().late_measures, 2);
    check(&bench, &model);
}

#[test]
fn what_waits_in_the_head_is_rolled_up_later() {
    let bench = stairs();
    let mut model = Model::default();
    let start = 2 * DAY;
    write(&bench, &mut model, 1, every(start, start + 5 * HOUR, 10));
    bench.flush();
    write(&bench, &mut model, 1, vec![((start + 5) * S, 1.0)]);
    bench.clock.advance_ns(2 * DAY * S);
    bench.settle();
    check(&bench, &model);
    assert_eq!(rollups(&bench), 0);
    bench.flush();
    bench.clock.advance_ns(2 * DAY * S);
    bench.settle();
    check(&bench, &model);
    assert_eq!(rollups(&bench), 1);
    assert_eq!(bench.late(1), []);
}

#[test]
fn uneven_granularities() {
    let items = [(7, Some(100)), (60, Some(200)), (100, Some(400))];
    let policies = [policy(1, 1, &items, &["count", "sum", "rate:sum"])];
    let bench = Bench::new(settings(), &policies, 2 * DAY);
    let mut model = Model::default();
    let start = 2 * DAY;
    for part in 0..6 {
        let begin = start + part * 5000;
        let request = [(1, 1, every(begin, begin + 5000, 3))];
        bench.write_many(&request).unwrap();
        model.write(&request);
        bench.flush();
        bench.clock.advance_ns(5 * HOUR * S);
        bench.settle();
        for (seconds, _) in items {
            for name in ["count", "sum", "rate:sum"] {
                use nephometer_model::{AggregationMethod, Timespan};
                let method = AggregationMethod::parse(name).unwrap();
                let width = Timespan::from_seconds(seconds);
                let expected = model.all(1, &policies[0], method, width, i64::MAX - 1);
                assert_eq!(
                    bench.read(1, 1, name, seconds, (None, None)),
                    expected,
                    "{part} {seconds} {name}"
                );
            }
        }
    }
    assert!(rollups(&bench) > 0);
}

#[test]
fn a_policy_that_changes_is_answered_as_far_as_raw_reaches() {
    let bench = Bench::new(settings(), &[policy(1, 0, STAIRS, &["mean"])], 2 * DAY);
    let start = 2 * DAY;
    bench.write(1, 1, &every(start, start + 3 * HOUR, 10)).unwrap();
    bench.flush();
    bench.clock.advance_ns(2 * DAY * S);
    bench.settle();
    assert_eq!(rollups(&bench), 1);
    bench.engine().set_policies(&[policy(1, 0, STAIRS, &["mean", "max"])]);
    // A whole hour below the newest measure is kept: the last bucket and that before.
    assert_eq!(bench.all(1, 1, "mean", 3600).len(), 3);
    assert_eq!(bench.all(1, 1, "max", 3600).len(), 2);
    bench.write(1, 1, &every(start + 3 * HOUR, start + 6 * HOUR, 10)).unwrap();
    bench.flush();
    bench.clock.advance_ns(2 * DAY * S);
    bench.settle();
    bench.clock.advance_ns(20 * DAY * S);
    bench.settle();
    assert_eq!(bench.all(1, 1, "mean", 3600).len(), 6);
    assert_eq!(bench.all(1, 1, "max", 3600).len(), 5);
}

#[test]
fn deleted_spans_of_rollups() {
    let mut bench = stairs();
    let start = 2 * DAY;
    bench.write(1, 1, &every(start, start + 5 * HOUR, 10)).unwrap();
    bench.flush();
    bench.clock.advance_ns(2 * DAY * S);
    bench.settle();
    bench.delete(1, (start + HOUR) * S, (start + 2 * HOUR + 90) * S).unwrap();
    let hours: Vec<i64> = bench.all(1, 1, "count", 3600).iter().map(|(at, _)| (at - start) / HOUR).collect();
    // The third hour was not deleted whole: its rollup stays; of its minutes one is gone.
    assert_eq!(hours, [0, 2, 3, 4]);
    assert_eq!(bench.all(1, 1, "count", 60).len(), 300 - 61);
    bench.flush();
    bench.settle();
    assert_eq!(bench.catalog.state().tombstones, []);
    bench.restart();
    assert_eq!(bench.all(1, 1, "count", 3600).len(), 4);
    assert_eq!(bench.all(1, 1, "count", 60).len(), 300 - 61);
}

#[test]
fn what_no_definition_keeps_leaves_the_disk() {
    let items = [(1, Some(600)), (60, Some(120))];
    let bench = Bench::new(settings(), &[policy(1, 0, &items, &["mean", "count"])], 2 * DAY);
    let mut most = 0;
    for day in 0..40 {
        for hour in 0..24 {
            let start = (2 + day) * DAY + hour * HOUR;
            bench.write(1, 1, &every(start, start + HOUR, 20)).unwrap();
            bench.clock.advance_ns(HOUR * S);
        }
        bench.flush();
        bench.settle();
        most = most.max(bench.catalog.state().parts.iter().map(|row| row.points).sum());
    }
    // A day is 4,320 measures; without retention it would be 172,800.
    assert!(most < 12_000, "{most}");
    assert_eq!(bench.all(1, 1, "mean", 60).len(), 120);
}

#[test]
fn raw_is_kept_only_while_it_is_cheaper() {
    let items = [(300, Some(8640))];
    let methods = ["mean", "min", "max", "sum", "std", "count", "rate:mean"];
    let mut bench = Bench::new(settings(), &[policy(1, 0, &items, &methods)], 2 * DAY);
    let mut model = Model::default();
    for day in 2..8 {
        for key in [1, 3] {
            let step = if key == 1 { 5 } else { 100 };
            let request = [(key, 1, every(day * DAY, (day + 1) * DAY, step))];
            bench.write_many(&request).unwrap();
            model.write(&request);
        }
        bench.flush();
        bench.clock.advance_ns(DAY * S);
        bench.settle();
    }
    let compare = |bench: &Bench, model: &Model| {
        use nephometer_model::{AggregationMethod, Timespan};
        for (key, name) in [1, 3].into_iter().flat_map(|key| methods.map(|name| (key, name))) {
            let method = AggregationMethod::parse(name).unwrap();
            let width = Timespan::from_seconds(300);
            let expected = model.all(key, &bench.policies[0], method, width, i64::MAX - 1);
            let shown = bench.read(key, 1, name, 300, (None, None));
            assert_eq!(shown.len(), expected.len(), "{key} {name}");
            for (shown, expected) in shown.iter().zip(&expected) {
                let near = (shown.1 - expected.1).abs() <= 1e-9 * expected.1.abs().max(1.0);
                assert!(shown.0 == expected.0 && near, "{key} {name} {shown:?} {expected:?}");
            }
        }
    };
    compare(&bench, &model);
    assert!(rollups(&bench) > 0);
    let rows = bench.catalog.state().parts;
    let raw: u64 = rows.iter().filter(|row| row.kind == PartKind::Raw).map(|row| row.points).sum();
    // All of the sparse series, two to three days of the dense one.
    assert!((6 * 864 + 17_280..6 * 864 + 3 * 17_280).contains(&raw), "{raw}");
    bench.restart();
    compare(&bench, &model);
    // A late measure counts for a day in the one, for a month in the other.
    for (key, day) in [(1, 7), (3, 3), (1, 4)] {
        let request = [(key, 1, vec![(day * DAY * S + 1, 1.0)])];
        bench.write_many(&request).unwrap();
        if day != 4 {
            model.write(&request);
        }
    }
    compare(&bench, &model);
    assert_eq!((bench.late(1), bench.late(3)), (vec![(4 * DAY, 300, 1)], vec![]));
}

#[test]
fn a_delete_that_waits_holds_up_its_own_series_only() {
    let mut bench = stairs();
    let mut model = Model::default();
    let start = 2 * DAY;
    for key in [1, 3] {
        write(&bench, &mut model, key, every(start, start + 5 * HOUR, 10));
    }
    bench.flush();
    let (from, to) = ((start + HOUR) * S, (start + 2 * HOUR + 90) * S);
    bench.delete(1, from, to).unwrap();
    model.delete(1, from, to);
    let rolled_up = |bench: &Bench| {
        let rows = bench.catalog.state().parts;
        rows.iter().filter(|row| row.kind == PartKind::Rollup).map(|row| row.series).sum::<u64>()
    };
    bench.clock.advance_ns(2 * DAY * S);
    bench.settle();
    assert_eq!(rolled_up(&bench), 1);
    check(&bench, &model);
    bench.crash(&mut Random(14));
    check(&bench, &model);
    bench.flush();
    bench.settle();
    bench.clock.advance_ns(DAY * S);
    bench.settle();
    assert_eq!(rolled_up(&bench), 2);
    check(&bench, &model);
    bench.crash(&mut Random(15));
    check(&bench, &model);
    assert_eq!((bench.late(1), bench.late(3)), (vec![], vec![]));
}
