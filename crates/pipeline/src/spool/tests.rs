//! Whatever happens to the process and to the end of its files, what was acknowledged is there, once each, in order.

use std::fs;
use std::path::{Path, PathBuf};

use nephometer_model::{Metadata, Meter, MeterType, Sample, Timestamp, Volume};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_ns(1_767_225_600_000_000_000);

fn samples(numbers: std::ops::Range<u32>) -> Vec<Sample> {
    let meter = Meter::new("cpu", MeterType::Cumulative, "ns");
    let metadata = Metadata::from(json!({"flavor": {"vcpus": 2, "x": 1.5}}).as_object().unwrap().clone());
    let sample = |number: u32| {
        let mut sample = Sample::new(&meter, i64::from(number), number.to_string());
        sample.metadata = metadata.clone();
        sample.resource_id = Some(format!("resource-{}", number % 7).into());
        sample.timestamp = Some("2026-01-01T00:00:00".into());
        sample
    };
    numbers.map(sample).collect()
}

fn ids(samples: &[Sample]) -> Vec<u32> {
    samples.iter().map(|sample| sample.id.parse().unwrap()).collect()
}

fn drained(spool: &mut Spool) -> Vec<u32> {
    let mut all = Vec::new();
    while let Some(chunk) = spool.front(100).unwrap() {
        all.extend(ids(&chunk.samples));
        spool.advance(&chunk).unwrap();
    }
    all
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| segment::number_of(path).is_some());
    paths.sort();
    paths
}

#[test]
fn samples_come_back_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(directory.path(), 1 << 20).unwrap();
    let mut given = samples(0..5);
    given[0].volume = Volume::Float(f64::INFINITY);
    given[1].volume = Volume::Float(1.0);
    given[2].volume = Volume::Other(json!(u64::MAX));
    given[3].volume = Volume::Other(json!("12 MB"));
    given[3].metadata = json!({"b": 1, "a": [null, true, {"é": 1.0}]}).as_object().unwrap().clone().into();
    given[4].monotonic_time_seconds = Some(12.5);
    given[4].user_name = Some("".into());
    spool.append(&given, NOW).unwrap();
    drop(spool);
    let mut spool = Spool::open(directory.path(), 1 << 20).unwrap();
    assert_eq!((spool.counts().samples, spool.counts().oldest), (5, Some(NOW)));
    let chunk = spool.front(1).unwrap().unwrap();
    assert_eq!(chunk.samples, given);
    assert!(chunk.samples[0].metadata.is(&chunk.samples[4].metadata));
    assert_eq!(
        chunk.samples[3].metadata.keys().collect::<Vec<_>>(),
        ["b", "a"],
        "the order of keys is the source's"
    );
    spool.advance(&chunk).unwrap();
    assert!(spool.is_empty() && segments(directory.path()).is_empty());
}

#[test]
fn a_full_spool_says_so_and_takes_more_when_some_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(directory.path(), 1 << 20).unwrap();
    let mut number = 0;
    let full = loop {
        let mut next = samples(number..number + 50);
        // Nothing that can be compressed.
        let noise: String = (0..4000_u32)
            .map(|n| {
                char::from(
                    b'a' + u8::try_from(xxh3_64(&(number, n).0.wrapping_add(n * 7919).to_le_bytes()) % 26)
                        .unwrap(),
                )
            })
            .collect();
        next[0].metadata = json!({"noise": noise}).as_object().unwrap().clone().into();
        match spool.append(&next, NOW) {
            Ok(()) => number += 50,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, SpoolError::Full { .. }), "{full}");
    assert!(spool.counts().bytes <= 1 << 20 && segments(directory.path()).len() >= 10);
    let mut taken = Vec::new();
    while spool.append(&samples(number..number + 1), NOW).is_err() {
        let chunk = spool.front(100).unwrap().unwrap();
        taken.extend(ids(&chunk.samples));
        spool.advance(&chunk).unwrap();
    }
    taken.extend(drained(&mut spool));
    assert_eq!(taken, (0..=number).collect::<Vec<_>>());
    assert_eq!(spool.counts(), SpoolCounts::default());
}

#[test]
fn nobody_else_may_have_it() {
    let directory = tempfile::tempdir().unwrap();
    let _spool = Spool::open(directory.path(), 1 << 20).unwrap();
    assert!(matches!(Spool::open(directory.path(), 1 << 20), Err(SpoolError::InUse(_))));
}

#[test]
fn damage_costs_the_record_that_it_hits() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(directory.path(), 1 << 20).unwrap();
    for number in 0..5 {
        spool.append(&samples(number * 10..number * 10 + 10), NOW).unwrap();
    }
    drop(spool);
    let path = &segments(directory.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let records: Vec<_> = bytes.windows(4).enumerate().filter(|(_, word)| word == b"REC1").collect();
    let second = records[1].0;
    bytes[second + 40] ^= 1;
    fs::write(path, bytes).unwrap();
    let mut spool = Spool::open(directory.path(), 1 << 20).unwrap();
    let left: Vec<_> = (0..10).chain(20..50).collect();
    assert_eq!(drained(&mut spool), left);
    assert_eq!(spool.counts().damaged_records, 1);
    assert!(spool.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    /// So many samples come.
    Append(u32),
    /// The target takes at least so many.
    Take(usize),
    /// The process is killed, and the machine may lose the cursor.
    Crash { keep_cursor: bool },
    /// The process is killed while so many samples are written; so much of that is on disk, then so much rubbish.
    Torn { count: u32, kept: usize, rubbish: Vec<u8> },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..120_u32).prop_map(Step::Append),
        3 => (1..200_usize).prop_map(Step::Take),
        1 => any::<bool>().prop_map(|keep_cursor| Step::Crash { keep_cursor }),
        2 => (1..1500_u32, any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(
            |(count, kept, rubbish)| Step::Torn { count, kept: kept.index(20_000), rubbish }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost(steps in prop::collection::vec(step(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        // Small, so that there are many segments.
        let open = || Spool::open(directory.path(), 64 << 10).unwrap();
        let mut spool = open();
        let (mut next, mut taken) = (0, Vec::new());
        // What was appended, and from where on a crash may give it out again.
        let mut acknowledged: Vec<u32> = Vec::new();
        for step in steps {
            match step {
                Step::Append(count) => {
                    if spool.append(&samples(next..next + count), NOW).is_ok() {
                        acknowledged.extend(next..next + count);
                    }
                    next += count;
                }
                Step::Take(enough) => {
                    if let Some(chunk) = spool.front(enough).unwrap() {
                        taken.extend(ids(&chunk.samples));
                        spool.advance(&chunk).unwrap();
                    }
                }
                Step::Crash { keep_cursor } => {
                    drop(spool);
                    if !keep_cursor {
                        fs::write(directory.path().join("cursor"), b"not a cursor at all....").unwrap();
                    }
                    spool = open();
                }
                Step::Torn { count, kept, rubbish } => {
                    drop(spool);
                    let mut bytes = Vec::new();
                    for part in samples(next..next + count).chunks(RECORD_SAMPLES) {
                        segment::write_record(&mut bytes, part, NOW).unwrap();
                    }
                    // Whole records that were never acknowledged may come or not; only broken ones are tried here.
                    bytes.truncate(kept.min(bytes.len() - 1));
                    bytes.extend(rubbish);
                    if let Some(last) = segments(directory.path()).last() {
                        let old = fs::read(last).unwrap();
                        fs::write(last, [old, bytes].concat()).unwrap();
                    }
                    next += count;
                    spool = open();
                }
            }
        }
        let waiting = spool.counts().samples;
        let rest = drained(&mut spool);
        prop_assert_eq!(waiting, rest.len() as u64);
        taken.extend(rest);
        // Everything came, in order, but that a lost cursor repeats a run of it.
        let mut seen = std::collections::BTreeSet::new();
        let first_time: Vec<_> = taken.iter().copied().filter(|id| seen.insert(*id)).collect();
        let first_time: Vec<_> = first_time.into_iter().filter(|id| acknowledged.contains(id)).collect();
        prop_assert_eq!(first_time, acknowledged);
        prop_assert_eq!(spool.counts(), SpoolCounts::default());
    }
}
