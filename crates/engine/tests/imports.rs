//! History that is imported: measures long past, in order, whose retention is not that of the clock on the wall.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::{Bench, S, every, policy, settings};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What is on disk after `days` days of minutes, imported a day at a time into a policy that shows `shown` of them, the
/// last of them `past` days ago; then some days pass.
fn imported(days: i64, shown: i64, past: i64) -> u64 {
    let items = &[(60, Some((shown * 1440).unsigned_abs()))];
    let mut bench = Bench::new(settings(), &[policy(1, 0, items, &["mean"])], 1000 * DAY);
    let begin = (1000 - past - days) * DAY;
    for day in 0..days {
        for key in 0..4 {
            bench.write(key, 1, &every(begin + day * DAY, begin + (day + 1) * DAY, 60)).unwrap();
        }
        bench.flush();
        bench.settle();
    }
    for _ in 0..4 {
        bench.clock.advance_ns(DAY * 1_000_000_000);
        bench.settle();
    }
    bench.restart();
    bench.settle();
    assert_eq!(bench.all(0, 1, "mean", 60).len() as i64, shown * 1440);
    bench.engine_status().part_measures / 4
}

/// Whatever was imported, what is kept is about what is shown: a few partitions of a day more, at most.
#[test]
fn what_an_import_has_outgrown_leaves_the_disk() {
    for (shown, past) in [(10, 0), (2, 0), (10, 50), (2, 50)] {
        let kept = imported(40, shown, past);
        let most = (shown + 4).unsigned_abs() * 1440;
        assert!(
            kept <= most,
            "{shown} days shown, {past} days past: {kept} measures kept, at most {most} wanted"
        );
    }
}

/// A series that is imported beside one that is measured now, into the same sack.
#[test]
fn an_import_beside_live_measures_leaves_the_disk() {
    let items = &[(60, Some(10 * 1440))];
    let mut bench = Bench::new(settings(), &[policy(1, 0, items, &["mean"])], 1000 * DAY);
    let begin = 910 * DAY;
    for day in 0..40 {
        bench.write(2, 1, &every(begin + day * DAY, begin + (day + 1) * DAY, 60)).unwrap();
        bench.write(4, 1, &every(1000 * DAY + day * 60, 1000 * DAY + (day + 1) * 60, 60)).unwrap();
        bench.flush();
        bench.settle();
        bench.clock.advance_ns(60_000_000_000);
    }
    // Hours later, and in no hurry.
    for _ in 0..8 {
        bench.clock.advance_ns(HOUR * S);
        bench.settle();
    }
    let kept = bench.engine_status().part_measures;
    assert!(kept <= 11 * 1440 + 40, "{kept}");
    bench.restart();
    assert_eq!(bench.all(2, 1, "mean", 60).len(), 10 * 1440);
    assert_eq!(bench.all(4, 1, "mean", 60).len(), 40);
}

/// What has been written of measures long past is not written again unless something goes of it.
#[test]
fn what_is_whole_is_written_once() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, &[(60, Some(1440))], &["mean"])], 1000 * DAY);
    let past = 500 * DAY;
    for key in 0..4 {
        bench.write(key, 1, &every(past, past + HOUR, 60)).unwrap();
    }
    bench.flush();
    for _ in 0..100 {
        bench.clock.advance_ns(DAY * S);
        bench.settle();
    }
    assert_eq!(bench.engine_status().merges, 0);
    bench.restart();
    bench.settle();
    assert_eq!(bench.engine_status().merges, 0);
    // Two parts become one, in either sack, and rest again.
    for key in 0..4 {
        bench.write(key, 1, &every(past + HOUR, past + 2 * HOUR, 60)).unwrap();
    }
    bench.flush();
    for _ in 0..100 {
        bench.settle();
        bench.clock.advance_ns(DAY * S);
    }
    assert_eq!(bench.engine_status().merges, 2);
    bench.restart();
    bench.settle();
    assert_eq!(bench.engine_status().merges, 0);
    assert_eq!(bench.all(3, 1, "mean", 60).len(), 120);
}

/// Parts that are merged and have come of age are rolled up by the same merge.
#[test]
fn what_comes_of_age_is_written_once() {
    let items = &[(60, Some(60)), (3600, Some(1000))];
    for flushes in [1, 2] {
        let bench = Bench::new(settings(), &[policy(1, 0, items, &["mean", "max"])], 1000 * DAY);
        let past = 500 * DAY;
        for flush in 0..flushes {
            let begin = past + flush * 10 * HOUR;
            bench.write(1, 1, &every(begin, begin + 10 * HOUR, 60)).unwrap();
            bench.flush();
        }
        for _ in 0..100 {
            bench.settle();
            bench.clock.advance_ns(DAY * S);
        }
        let status = bench.engine_status();
        assert_eq!((status.merges, status.parts), (1, 2), "{flushes} flushes");
        assert!(status.part_measures < 200, "{}", status.part_measures);
        assert_eq!(bench.all(1, 1, "mean", 3600).len() as i64, 10 * flushes);
    }
}

/// What is small and whole is not written again each time that something else comes of age.
#[test]
fn small_parts_are_left_alone() {
    let (all, stairs) = (&[(60, Some(1_440_000))], &[(60, Some(60)), (3600, Some(1000))]);
    let policies = [policy(1, 0, all, &["mean"]), policy(2, 0, stairs, &["mean", "max"])];
    let bench = Bench::new(settings(), &policies, 1000 * DAY);
    let past = 900 * DAY;
    for hour in 0..2 {
        bench.write(2, 1, &every(past + hour * HOUR, past + (hour + 1) * HOUR, 60)).unwrap();
        bench.flush();
    }
    bench.settle();
    let old = |bench: &Bench| {
        let rows = bench.catalog.state().parts;
        rows.into_iter().filter(|row| row.max_ns < 950 * DAY * S).map(|row| row.id).collect::<Vec<_>>()
    };
    let before = old(&bench);
    assert_eq!(before.len(), 1);
    for day in 1000..1020 {
        bench.write(4, 2, &every(day * DAY, (day + 1) * DAY, 60)).unwrap();
        bench.clock.advance_ns(DAY * S);
        bench.flush();
        bench.settle();
    }
    assert_eq!(old(&bench), before);
    assert!(bench.engine_status().part_measures < 120 + 2 * 1440, "what has come of age is gone");
    assert_eq!(bench.all(2, 1, "mean", 60).len(), 120);
}
