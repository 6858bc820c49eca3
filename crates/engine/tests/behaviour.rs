//! The engine's promises, one by one, on a disk that the test controls.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use futures::executor::block_on;
use nephometer_drivers::{AggregateRead, MeasureStore, StoreError};
use nephometer_engine::{LateRule, Settings};
use nephometer_model::{AggregationMethod, PolicyKey, SeriesKey, Timespan};
use support::catalog::Failure;
use support::{Bench, Random, S, every, policy, settings};

const LOW: &[(i64, Option<u64>)] = &[(60, Some(1000))];

#[test]
fn a_write_is_read_at_once_and_after_a_crash() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["mean"])], 1000);
    bench.write(7, 1, &[(60 * S, 1.0), (61 * S, 3.0), (120 * S, 5.0)]).unwrap();
    let expected = [(60, 2.0), (120, 5.0)];
    assert_eq!(bench.all(7, 1, "mean", 60), expected);
    bench.crash(&mut Random(1));
    assert_eq!(bench.all(7, 1, "mean", 60), expected);
    bench.flush();
    assert_eq!(bench.all(7, 1, "mean", 60), expected);
    bench.crash(&mut Random(2));
    assert_eq!(bench.all(7, 1, "mean", 60), expected);
    assert_eq!(bench.all(8, 1, "mean", 60), []);
    assert_eq!(bench.read(7, 1, "mean", 60, (Some(119 * S), None)), [(60 * S, 2.0), (120 * S, 5.0)]);
    assert_eq!(bench.read(7, 1, "mean", 60, (None, Some(120 * S))), [(60 * S, 2.0)]);
}

#[test]
fn equal_timestamps_newest_request_wins_smallest_inside() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["last"])], 1000);
    bench.write(1, 1, &[(S, 5.0), (S, 1.0)]).unwrap();
    assert_eq!(bench.all(1, 1, "last", 60), [(0, 1.0)]);
    bench.flush();
    bench.write(1, 1, &[(S, 7.0)]).unwrap();
    assert_eq!(bench.all(1, 1, "last", 60), [(0, 7.0)]);
    bench.flush();
    bench.write(1, 1, &[(S, 3.0)]).unwrap();
    bench.flush();
    assert_eq!(bench.all(1, 1, "last", 60), [(0, 3.0)]);
    bench.clock.advance_ns(10 * 86_400 * S);
    bench.settle();
    assert_eq!(bench.catalog.state().parts.len(), 1);
    bench.restart();
    assert_eq!(bench.all(1, 1, "last", 60), [(0, 3.0)]);
}

#[test]
fn several_reads_in_one_request_keep_their_order() {
    let bench = Bench::new(settings(), &[policy(1, 0, &[(60, Some(99)), (300, Some(9))], &["mean"])], 1000);
    for key in 0..200 {
        bench.write(key, 1, &[(60 * S, key as f64), (120 * S, key as f64 + 2.0)]).unwrap();
    }
    let mut reads = Vec::new();
    for key in (0..200).rev() {
        for (method, seconds) in [("mean", 60), ("max", 300), ("rate:mean", 60), ("mean", 300)] {
            reads.push(AggregateRead {
                key: SeriesKey(key),
                policy: PolicyKey(1),
                method: AggregationMethod::parse(method).unwrap(),
                granularity: Timespan::from_seconds(seconds),
                start: None,
                stop: None,
            });
        }
    }
    let answers = block_on(bench.engine().read(reads)).unwrap();
    for (at, key) in (0..200).rev().enumerate() {
        let key = f64::from(key);
        assert_eq!(answers[at * 4].values, [key, key + 2.0]);
        assert_eq!(answers[at * 4 + 1].values, [key + 2.0]);
        assert_eq!(answers[at * 4 + 2].values, [2.0]);
        assert_eq!(answers[at * 4 + 3].values, [key + 1.0]);
    }
}

#[test]
fn deleted_spans_stay_deleted() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 1000);
    bench.write(1, 1, &every(0, 100, 10)).unwrap();
    bench.flush();
    bench.write(1, 1, &every(100, 200, 10)).unwrap();
    bench.delete(1, 50 * S, 150 * S).unwrap();
    bench.write(1, 1, &[(60 * S, 0.0)]).unwrap();
    let expected = [(0, 5.0), (60, 1.0), (120, 3.0), (180, 2.0)];
    assert_eq!(bench.all(1, 1, "count", 60), expected);
    bench.crash(&mut Random(3));
    assert_eq!(bench.all(1, 1, "count", 60), expected);
    bench.flush();
    assert_eq!(bench.catalog.state().tombstones.len(), 1);
    bench.crash(&mut Random(4));
    assert_eq!(bench.all(1, 1, "count", 60), expected);
    bench.settle();
    assert_eq!(bench.catalog.state().tombstones, []);
    assert_eq!(bench.all(1, 1, "count", 60), expected);
    bench.restart();
    assert_eq!(bench.all(1, 1, "count", 60), expected);
}

#[test]
fn forgotten_series_leave_nothing() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 1000);
    for key in 0..4 {
        bench.write(key, 1, &every(0, 100, 10)).unwrap();
    }
    bench.flush();
    bench.catalog.add_dead(2);
    block_on(bench.engine().delete_series(&[SeriesKey(2)])).unwrap();
    assert_eq!(bench.all(2, 1, "count", 60), []);
    bench.crash(&mut Random(5));
    assert_eq!(bench.all(2, 1, "count", 60), []);
    bench.flush();
    bench.settle();
    assert_eq!(bench.catalog.state().dead_series, []);
    assert_eq!(bench.catalog.state().parts.iter().map(|row| row.series).sum::<u64>(), 3);
    assert_eq!(bench.all(3, 1, "count", 60), [(0, 6.0), (60, 4.0)]);
}

#[test]
fn a_wrong_clock_evicts_nothing() {
    let now = 10_000;
    let mut bench = Bench::new(settings(), &[policy(1, 0, &[(60, Some(10))], &["count"])], now);
    bench.write(1, 1, &every(now - 120, now, 60)).unwrap();
    let far = now + 100 * 86_400;
    bench.write(1, 1, &[(far * S, 1.0)]).unwrap();
    let expected: Vec<_> = [(9840, 1.0), (9900, 1.0)].into_iter().chain([(far - far % 60, 1.0)]).collect();
    let shown = bench.all(1, 1, "count", 60);
    assert_eq!(shown, [(9840, 1.0), (9900, 1.0), (far - far % 60, 1.0)], "{expected:?}");
    bench.flush();
    bench.clock.advance_ns(20 * 86_400 * S);
    bench.settle();
    bench.restart();
    assert_eq!(bench.all(1, 1, "count", 60), shown);
    // Once its time has come, it counts as the newest.
    bench.clock.advance_ns(90 * 86_400 * S);
    assert_eq!(bench.all(1, 1, "count", 60), shown[2..]);
}

#[test]
fn retention_counts_from_the_newest_bucket() {
    let policies = [policy(1, 0, &[(1, Some(3)), (60, Some(2))], &["mean"])];
    let bench = Bench::new(settings(), &policies, 1000);
    bench.write(1, 1, &every(0, 10, 1)).unwrap();
    assert_eq!(bench.all(1, 1, "mean", 1), [(7, 7.0), (8, 8.0), (9, 9.0)]);
    bench.write(1, 1, &[(13 * S, 13.0)]).unwrap();
    assert_eq!(bench.all(1, 1, "mean", 1), [(13, 13.0)]);
    assert_eq!(bench.all(1, 1, "mean", 60), [(0, 58.0 / 11.0)]);
    // Also where the range asked for ends before the newest.
    assert_eq!(bench.read(1, 1, "mean", 1, (None, Some(9 * S))), []);
}

#[test]
fn a_difference_is_never_lost() {
    let bench = Bench::new(settings(), &[policy(1, 0, LOW, &["rate:mean"])], 500_000);
    for at in [10, 70, 250, 370, 40_000] {
        bench.write(1, 1, &[(at * S, at as f64)]).unwrap();
        bench.flush();
    }
    let expected = [(60, 60.0), (240, 180.0), (360, 120.0), (39_960, 39_630.0)];
    assert_eq!(bench.all(1, 1, "rate:mean", 60), expected);
    assert_eq!(bench.read(1, 1, "rate:mean", 60, (Some(30_000 * S), None)), [(39_960 * S, 39_630.0)]);
}

#[test]
fn upstreams_rule_refuses_and_counts_late_measures() {
    let settings = Settings { late: LateRule::Upstream, ..settings() };
    let mut bench = Bench::new(settings, &[policy(1, 2, LOW, &["count"])], 1000);
    bench.write(1, 1, &[(623 * S, 0.0)]).unwrap();
    bench.write(1, 1, &[(479 * S, 1.0), (480 * S, 1.0), (560 * S, 1.0)]).unwrap();
    let expected = [(480, 1.0), (540, 1.0), (600, 1.0)];
    assert_eq!(bench.all(1, 1, "count", 60), expected);
    assert_eq!(bench.late(1), [(420, 60, 1)]);
    bench.flush();
    bench.crash(&mut Random(6));
    bench.write(1, 1, &[(10 * S, 1.0)]).unwrap();
    assert_eq!(bench.all(1, 1, "count", 60), expected);
    assert_eq!(bench.late(1), [(0, 60, 1), (420, 60, 1)]);
    assert_eq!(bench.engine().status().late_measures, 2);
}

#[test]
fn what_no_definition_shows_when_it_arrives_is_counted_once() {
    let items = [(1, Some(60)), (60, Some(10))];
    let mut bench = Bench::new(settings(), &[policy(1, 0, &items, &["count"])], 10_000);
    // In ascending order nothing is late, however far back it begins.
    for start in [1000, 4000, 8000] {
        bench.write(1, 1, &every(start, start + 60, 10)).unwrap();
    }
    assert_eq!(bench.late(1), []);
    assert_eq!(bench.all(1, 1, "count", 60).len(), 2);
    // Ten minutes back from 8050 begin at 7500.
    bench.write(1, 1, &[(7490 * S, 1.0), (7499 * S, 1.0), (7500 * S, 1.0), (8060 * S, 1.0)]).unwrap();
    let expected = [(7440, 60, 2)];
    assert_eq!(bench.late(1), expected);
    bench.crash(&mut Random(20));
    assert_eq!(bench.late(1), expected);
    assert_eq!(bench.engine().status().late_measures, 2);
    bench.flush();
    bench.crash(&mut Random(21));
    assert_eq!(bench.late(1), expected);
    // The newest is in a part now, and that of another series is newer.
    bench.write(3, 1, &[(9999 * S, 1.0)]).unwrap();
    bench.write(1, 1, &[(7499 * S, 1.0), (7600 * S, 1.0)]).unwrap();
    bench.write(1, 1, &[(7499 * S, 1.0)]).unwrap();
    let expected = [(7440, 60, 4)];
    assert_eq!(bench.late(1), expected);
    bench.clock.advance_ns(10 * 86_400 * S);
    bench.settle();
    assert_eq!(bench.late(1), expected);
    assert_eq!(bench.engine().status().late_measures, 4);
}

#[test]
fn what_came_too_late_stays_so_when_the_newest_is_deleted() {
    let settings = Settings { merge_fan_in: 2, ..settings() };
    let mut bench = Bench::new(settings, &[policy(1, 0, &[(60, Some(10))], &["count"])], 10_000);
    for at in [1000, 9000] {
        bench.write(1, 1, &[(at * S, 1.0)]).unwrap();
        bench.flush();
    }
    bench.write(1, 1, &[(2000 * S, 1.0)]).unwrap();
    bench.delete(1, 9000 * S, 9001 * S).unwrap();
    bench.settle();
    bench.crash(&mut Random(22));
    let shown = [(960, 1.0)];
    assert_eq!(bench.all(1, 1, "count", 60), shown);
    assert_eq!(bench.late(1), [(1980, 60, 1)]);
    bench.flush();
    bench.settle();
    bench.crash(&mut Random(23));
    assert_eq!(bench.all(1, 1, "count", 60), shown);
    assert_eq!(bench.late(1), [(1980, 60, 1)]);
    let stored: u64 = bench.catalog.state().parts.iter().map(|row| row.points).sum();
    assert_eq!(stored, 1, "what was deleted is gone");
}

#[test]
fn one_wrong_clock_makes_nothing_late() {
    let bench = Bench::new(settings(), &[policy(1, 0, &[(60, Some(10))], &["count"])], 10_000);
    let far = 10_000 + 2 * 86_400;
    bench.write(1, 1, &[(9000 * S, 1.0)]).unwrap();
    bench.write(1, 1, &[(far * S, 1.0)]).unwrap();
    bench.write(1, 1, &[(9060 * S, 1.0)]).unwrap();
    assert_eq!(bench.late(1), []);
    // Once its time has come, it counts as the newest.
    bench.clock.advance_ns(2 * 86_400 * S);
    bench.write(1, 1, &[(9120 * S, 1.0)]).unwrap();
    assert_eq!(bench.late(1), [(9120, 60, 1)]);
    // Deleted, it does no more.
    bench.delete(1, (far - 1) * S, (far + 1) * S).unwrap();
    bench.write(1, 1, &[(9180 * S, 1.0)]).unwrap();
    assert_eq!(bench.late(1), [(9120, 60, 1)]);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let settings = Settings { min_free_disk_bytes: 10_000, ..settings() };
    let mut bench = Bench::new(settings, &[policy(1, 0, LOW, &["count"])], 1000);
    bench.write(1, 1, &every(0, 60, 1)).unwrap();
    bench.disk.set_free(9_999);
    let refused = bench.write(1, 1, &every(60, 120, 1));
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    assert!(bench.engine().status().refusing_writes.is_some());
    assert_eq!(bench.all(1, 1, "count", 60), [(0, 60.0)]);
    bench.disk.set_free(0);
    assert!(bench.engine().flush().is_err());
    assert_eq!(bench.all(1, 1, "count", 60), [(0, 60.0)]);
    bench.disk.set_free(1 << 30);
    bench.write(1, 1, &every(60, 120, 1)).unwrap();
    assert_eq!(bench.engine().status().refusing_writes, None);
    bench.flush();
    bench.crash(&mut Random(7));
    assert_eq!(bench.all(1, 1, "count", 60), [(0, 60.0), (60, 60.0)]);
}

#[test]
fn a_log_that_cannot_be_written_takes_nothing() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 1000);
    bench.write(1, 1, &every(0, 60, 1)).unwrap();
    bench.disk.set_free(20);
    assert!(matches!(bench.write(1, 1, &every(60, 120, 1)), Err(StoreError::Busy { .. })));
    bench.disk.set_free(1 << 30);
    bench.write(1, 1, &every(120, 180, 1)).unwrap();
    bench.crash(&mut Random(8));
    assert_eq!(bench.all(1, 1, "count", 60), [(0, 60.0), (120, 60.0)]);
}

#[test]
fn after_a_failed_sync_no_write_is_taken() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 1000);
    bench.write(1, 1, &every(0, 60, 1)).unwrap();
    bench.disk.fail_syncs(true);
    assert!(matches!(bench.write(1, 1, &every(60, 120, 1)), Err(StoreError::Closed(_))));
    bench.disk.fail_syncs(false);
    assert!(matches!(bench.write(1, 1, &every(60, 120, 1)), Err(StoreError::Closed(_))));
    assert!(bench.engine().status().refusing_writes.is_some());
    assert_eq!(bench.all(1, 1, "count", 60), [(0, 60.0)]);
    bench.crash(&mut Random(9));
    bench.write(1, 1, &every(60, 120, 1)).unwrap();
    assert_eq!(bench.all(1, 1, "count", 60), [(0, 60.0), (60, 60.0)]);
}

#[test]
fn a_full_head_refuses() {
    let settings = Settings { head_bytes: 1 << 20, flush_head_bytes: 1 << 20, ..settings() };
    let bench = Bench::new(settings, &[policy(1, 0, LOW, &["count"])], 1000);
    let write = |n: i64| bench.write(1, 1, &every(n * 10_000, (n + 1) * 10_000, 1));
    let refused_at = (0..500).find(|n| matches!(write(*n), Err(StoreError::Busy { .. })));
    let refused_at = refused_at.expect("the head is bounded");
    assert!(refused_at > 20, "{refused_at}");
    bench.flush();
    write(refused_at).unwrap();
}

#[test]
fn a_catalog_that_fails_loses_nothing() {
    for failure in [Failure::Before, Failure::After] {
        let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 1000);
        bench.write(1, 1, &every(0, 60, 1)).unwrap();
        bench.catalog.fail_next(failure);
        assert_eq!(bench.engine().flush().is_err(), failure == Failure::Before);
        bench.write(1, 1, &every(60, 120, 1)).unwrap();
        let expected = [(0, 60.0), (60, 60.0)];
        assert_eq!(bench.all(1, 1, "count", 60), expected);
        bench.flush();
        bench.flush();
        assert_eq!(bench.all(1, 1, "count", 60), expected);
        bench.crash(&mut Random(10));
        assert_eq!(bench.all(1, 1, "count", 60), expected);
        let points: u64 = bench.catalog.state().parts.iter().map(|row| row.points).sum();
        assert_eq!(points, 120);
    }
}

#[test]
fn files_that_nobody_knows_are_swept() {
    use nephometer_engine::io::Storage;
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 1000);
    bench.write(1, 1, &every(0, 60, 1)).unwrap();
    bench.flush();
    bench.disk.create("parts/stray.raw").unwrap();
    assert_eq!(bench.disk.files("parts/").len(), 2);
    bench.restart();
    assert_eq!(bench.disk.files("parts/").len(), 1);
    assert_eq!(bench.all(1, 1, "count", 60), [(0, 60.0)]);
}

#[test]
fn sacks_cannot_be_changed() {
    let mut bench = Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 1000);
    bench.settings.sacks = 3;
    assert!(bench.start().unwrap_err().to_string().contains("2 sacks"));
}

#[test]
fn what_spans_very_many_partitions_comes_to_rest() {
    let flat = [policy(1, 0, &[(86_400, None)], &["sum"])];
    let mut bench = Bench::new(settings(), &flat, 300 * 86_400);
    for round in 0..8 {
        for key in 0..3 {
            // Each round overwrites and deletes some of what the others wrote.
            let days: Vec<_> = (0..250).filter(|day| (day + key as i64 * 3 + round) % 4 != 0).collect();
            let value = |day: &i64| (day * 86_400 * S, (day * 10 + round) as f64);
            bench.write(key, 1, &days.iter().map(value).collect::<Vec<_>>()).unwrap();
            let gone = 30 * round + 10 * key as i64;
            bench.delete(key, gone * 86_400 * S, (gone + 5) * 86_400 * S).unwrap();
        }
        let before: Vec<_> = (0..3).map(|key| bench.all(key, 1, "sum", 86_400)).collect();
        bench.flush();
        let files = bench.catalog.state().parts.len();
        assert!(files <= (round as usize + 1) * 2 * 33 + 2 * 250, "{files}");
        if round % 3 == 2 {
            bench.settle();
        }
        bench.crash(&mut Random(round.unsigned_abs()));
        for (key, before) in before.iter().enumerate() {
            assert_eq!(&bench.all(key as u64, 1, "sum", 86_400), before, "round {round}, series {key}");
        }
    }
    let before: Vec<_> = (0..3).map(|key| bench.all(key, 1, "sum", 86_400)).collect();
    bench.settle();
    let after: Vec<_> = (0..3).map(|key| bench.all(key, 1, "sum", 86_400)).collect();
    assert_eq!(after, before);
    let levels: Vec<u32> = bench.catalog.state().parts.iter().map(|row| row.level).collect();
    assert!(levels.iter().filter(|level| **level == 0).count() < 10, "{levels:?}");
}
