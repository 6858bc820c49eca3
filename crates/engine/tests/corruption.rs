//! Damage costs what it hits, is told once, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::disk::BLOCK;
use support::{Bench, Random, S, every, policy, settings};

const LOW: &[(i64, Option<u64>)] = &[(60, None)];
const DAY: i64 = 86_400;

fn bench() -> Bench {
    Bench::new(settings(), &[policy(1, 0, LOW, &["count"])], 100 * DAY)
}

/// Where byte `at` is of the log's record number `record`, from 0: each is a write of its own here, and in one block.
fn in_record(record: usize, at: usize) -> usize {
    BLOCK * (1 + record) + at
}

/// Series of long runs, so that each has blocks of its own.
fn fill(bench: &Bench, day: i64) {
    for key in 0..6 {
        let noise = |(at, value): (i64, f64)| (at, (value * 1.7).sin());
        let measures = every(day * DAY, day * DAY + 40_000, 1).into_iter().map(noise);
        bench.write(key, 1, &measures.collect::<Vec<_>>()).unwrap();
    }
    bench.flush();
}

fn counts(bench: &Bench) -> Vec<f64> {
    let count = |key| bench.all(key, 1, "count", 60).iter().map(|(_, count)| count).sum();
    (0..6).map(count).collect()
}

#[test]
fn a_damaged_block_costs_only_itself() {
    let mut bench = bench();
    fill(&bench, 1);
    fill(&bench, 2);
    assert_eq!(counts(&bench), [80_000.0; 6]);
    let part = bench.disk.files("parts/").remove(0);
    bench.disk.flip(&part, 5000, 3);
    bench.restart();
    let left = counts(&bench);
    assert_eq!(left.iter().filter(|count| **count == 80_000.0).count(), 5, "{left:?}");
    assert!(left.iter().all(|count| *count >= 40_000.0), "{left:?}");
    assert_eq!(bench.engine_status().quarantined_blocks, 1);
    bench.flush();
    let told = bench.catalog.state().quarantined;
    assert_eq!((told.len(), told[0].file.as_str()), (1, &part["parts/".len()..]));
    // Told once, also after a restart, and still served around.
    bench.restart();
    assert_eq!(counts(&bench), left);
    bench.flush();
    assert_eq!(bench.catalog.state().quarantined.len(), 1);
    // Merging leaves the damaged file where it can be looked at.
    bench.clock.advance_ns(10 * DAY * S);
    bench.settle();
    assert_eq!(counts(&bench), left);
    bench.restart();
    assert_eq!(bench.disk.files("quarantine/").len(), 1);
    assert_eq!(counts(&bench), left);
}

#[test]
fn a_part_that_cannot_be_opened_is_set_aside_whole() {
    for damage in 0..2 {
        let mut bench = bench();
        fill(&bench, 1);
        fill(&bench, 2);
        let part = bench.disk.files("parts/").remove(0);
        match damage {
            0 => bench.disk.flip(&part, bench.disk.len(&part) - 1, 0),
            _ => bench.disk.remove_file(&part),
        }
        bench.restart();
        let left = counts(&bench);
        assert_eq!(left.iter().filter(|count| **count == 80_000.0).count(), 3, "{left:?}");
        assert_eq!(left.iter().filter(|count| **count == 40_000.0).count(), 3, "{left:?}");
        assert_eq!(bench.engine_status().quarantined_blocks, 1);
        bench.write(1, 1, &[(50 * DAY * S, 1.0)]).unwrap();
        bench.flush();
        bench.clock.advance_ns(10 * DAY * S);
        bench.settle();
        bench.restart();
        assert_eq!(counts(&bench).iter().sum::<f64>(), left.iter().sum::<f64>() + 1.0);
    }
}

#[test]
fn a_damaged_record_costs_only_itself() {
    let mut bench = bench();
    for minute in 0..50 {
        bench.write(1, 1, &every(minute * 60, minute * 60 + 60, 1)).unwrap();
    }
    let segment = bench.disk.files("log/").remove(0);
    bench.disk.flip(&segment, in_record(25, 40), 1);
    bench.crash(&mut Random(1));
    assert_eq!(bench.all(1, 1, "count", 60).len(), 49);
    assert_eq!(bench.engine_status().quarantined_blocks, 1);
    bench.write(1, 1, &[(DAY * S, 1.0)]).unwrap();
    bench.crash(&mut Random(2));
    assert_eq!(bench.all(1, 1, "count", 60).len(), 50);
    bench.flush();
    bench.crash(&mut Random(3));
    assert_eq!(bench.all(1, 1, "count", 60).len(), 50);
    assert_eq!(bench.catalog.state().quarantined.len(), 1);
}

#[test]
fn records_that_build_on_a_damaged_one_are_lost_with_it_and_told() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let mut bench = bench();
        let value = |key: u64, minute: i64| (minute * minute % 977 + key as i64) as f64 / 10.0;
        for minute in 0..40 {
            let key = minute as u64 % 4;
            bench.write(key, 1, &[(minute * 60 * S, value(key, minute))]).unwrap();
        }
        let segment = bench.disk.files("log/").remove(0);
        let offset = in_record(random.below(40) as usize, random.below(40) as usize);
        bench.disk.flip(&segment, offset, random.below(8) as u8);
        bench.crash(&mut random);
        let shown = |bench: &Bench| {
            let of = |key| bench.all(key, 1, "count", 60).into_iter().map(move |(at, _)| (key, at / 60));
            (0..4).flat_map(of).collect::<Vec<_>>()
        };
        let left = shown(&bench);
        assert!((27..40).contains(&left.len()), "seed {seed}: {left:?}");
        let told = bench.engine_status().quarantined_blocks;
        // The last record may just as well be torn.
        assert!((1..=2).contains(&told) || left.len() == 39, "seed {seed}: {told}");
        for key in 0..4 {
            for (at, max) in bench.all(key, 1, "max", 60) {
                assert!(
                    max.to_bits() == value(key, at / 60).to_bits(),
                    "seed {seed}: {key} at {at} is {max}"
                );
            }
        }
        // What comes after the start builds on nothing that is lost; the damage is told once.
        bench.write(1, 1, &[(50 * 60 * S, 7.5)]).unwrap();
        bench.crash(&mut random);
        assert_eq!(bench.all(1, 1, "max", 60).last(), Some(&(3000, 7.5)), "seed {seed}");
        assert_eq!((shown(&bench).len(), bench.engine_status().quarantined_blocks), (left.len() + 1, told));
    }
}

#[test]
fn whatever_decays_nothing_wrong_is_shown() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut bench = bench();
        let mut written = [0_u64; 4];
        for round in 0..8 {
            for key in 0..4 {
                let start = DAY + round * 3000;
                let noise = |(at, value): (i64, f64)| (at, (value * 1.7 + key as f64).sin());
                let measures: Vec<_> = every(start, start + 2500, 1).into_iter().map(noise).collect();
                written[key as usize] += measures.len() as u64;
                bench.write(key, 1, &measures).unwrap();
            }
            if round % 3 == 1 {
                bench.flush();
            }
        }
        if seed % 2 == 0 {
            bench.clock.advance_ns(10 * DAY * S);
            bench.settle();
        }
        for _ in 0..=random.below(4) {
            let files = [bench.disk.files("parts/"), bench.disk.files("log/")].concat();
            let file = &files[random.below(files.len() as u64) as usize];
            let offset = random.below(bench.disk.len(file) as u64) as usize;
            bench.disk.flip(file, offset, random.below(8) as u8);
        }
        bench.crash(&mut random);
        for key in 0..4 {
            let mut sum = 0;
            for (minute, count) in bench.all(key, 1, "count", 60) {
                assert!((1.0..=60.0).contains(&count) && (DAY..2 * DAY).contains(&minute), "seed {seed}");
                sum += count as u64;
            }
            assert!(sum <= written[key as usize], "seed {seed}");
            assert!(bench.all(key, 1, "max", 60).iter().all(|(_, value)| value.abs() <= 1.0), "seed {seed}");
            let lost = sum < written[key as usize];
            assert!(!lost || bench.engine_status().quarantined_blocks > 0, "seed {seed}");
        }
        bench.write(1, 1, &[(50 * DAY * S, 1.0)]).unwrap();
        bench.flush();
        bench.settle();
        bench.restart();
        assert_eq!(bench.all(1, 1, "count", 60).last(), Some(&(50 * DAY, 1.0)), "seed {seed}");
    }
}
