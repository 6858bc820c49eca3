//! The files on disk: fixtures of each version are read as they were written, and the program still writes the newest
//! version byte for byte. Where it is meant to write differently, `FORMAT.md` gets a new version and new fixtures:
//! `NEPHOMETER_WRITE_FIXTURES=1 cargo test -p nephometer-engine --test format` adds the files that are missing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod format_content;
mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use format_content::{RollupSeries, Series, raw_series, records, rollup_series};
use nephometer_drivers::{PartId, PartKind};
use nephometer_engine::io::{FileStorage, Storage};
use nephometer_engine::part::{Block, PartHeader, PartReader, PartWriter};
use nephometer_engine::wal::{EncodedRecord, Record, WalWriter, replay};
use nephometer_series::codec::{RollupColumns, SeriesColumns};
use support::disk::TestDisk;

const LOG_SEGMENT: &str = "wal-00000000000000000041.log";

/// Fixtures of a version of the file concerned.
fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

fn storage(root: &Path) -> Arc<dyn Storage> {
    Arc::new(FileStorage::new(root).unwrap())
}

/// `written` is what the fixture `name` of `version` holds.
fn assert_fixture(version: &str, name: &str, written: &[u8]) {
    let path = fixtures(version).join(name);
    if !path.exists() && std::env::var_os("NEPHOMETER_WRITE_FIXTURES").is_some() {
        fs::create_dir_all(fixtures(version)).unwrap();
        fs::write(&path, written).unwrap();
    }
    let kept = fs::read(&path).unwrap();
    assert!(kept == written, "{name} is written differently: a new version of the format is needed");
}

fn header(kind: PartKind, level: u32) -> PartHeader {
    PartHeader {
        id: PartId(uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
        kind,
        sack: 5,
        level,
        min_position: 41,
        max_position: 1_000_000,
        as_of_ns: 1_700_000_000_123_456_789,
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn write_raw(level: u32) -> Vec<u8> {
    let mut writer = PartWriter::new(Vec::new(), &header(PartKind::Raw, level)).unwrap();
    for Series { key, policy, timestamps_ns, values } in &raw_series() {
        writer.push_raw(&SeriesColumns { key: *key, policy: *policy, timestamps_ns, values }).unwrap();
    }
    writer.finish().unwrap().0
}

#[test]
fn raw_parts_are_written_as_ever() {
    assert_fixture("v1", "raw-flush.part", &write_raw(0));
    assert_fixture("v1", "raw-merge.part", &write_raw(2));
}

#[test]
fn raw_parts_of_version_1_are_read() {
    for (name, level) in [("raw-flush.part", 0), ("raw-merge.part", 2)] {
        let part = PartReader::open(storage(&fixtures("v1")).open_read(name).unwrap()).unwrap();
        assert_eq!(part.header(), &header(PartKind::Raw, level));
        let all = raw_series();
        assert_eq!(part.summary().series, all.len() as u64);
        let mut policies = Vec::new();
        for block in part.blocks() {
            let Block::Raw(block) = block.unwrap() else { panic!("a rollup block") };
            policies.extend(block.entries().iter().map(|entry| (entry.key, entry.policy)));
        }
        policies.dedup();
        assert!(policies.iter().copied().eq(all.iter().map(|series| (series.key, series.policy))));
        for series in &all {
            let (mut timestamps_ns, mut values, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
            part.read_series(series.key, 0..i64::MAX, &mut timestamps_ns, &mut values, &mut damaged);
            assert_eq!((timestamps_ns, damaged), (series.timestamps_ns.clone(), Vec::new()));
            assert_eq!(bits(&values), bits(&series.values));
        }
    }
}

fn write_rollup() -> Vec<u8> {
    let mut writer = PartWriter::new(Vec::new(), &header(PartKind::Rollup, 3)).unwrap();
    for series in &rollup_series() {
        let columns: Vec<_> = series.columns.iter().map(|(id, values)| (*id, values.as_slice())).collect();
        let RollupSeries { key, granularity_ns, raw_floor_ns, .. } = *series;
        let slots_ns = &series.slots_ns;
        let columns =
            RollupColumns { key, policy: 9, granularity_ns, raw_floor_ns, slots_ns, columns: &columns };
        writer.push_rollup(&columns).unwrap();
    }
    writer.finish().unwrap().0
}

#[test]
fn rollup_parts_are_written_as_ever() {
    assert_fixture("v1", "rollup.part", &write_rollup());
}

#[test]
fn rollup_parts_of_version_1_are_read() {
    let part = PartReader::open(storage(&fixtures("v1")).open_read("rollup.part").unwrap()).unwrap();
    assert_eq!(part.header(), &header(PartKind::Rollup, 3));
    let mut all = rollup_series().into_iter();
    for block in part.blocks() {
        let Block::Rollup(block) = block.unwrap() else { panic!("a raw block") };
        for (index, entry) in block.entries().iter().enumerate() {
            let expected = all.next().unwrap();
            let identity = (entry.key, entry.policy, entry.granularity_ns, entry.raw_floor_ns);
            assert_eq!(identity, (expected.key, 9, expected.granularity_ns, expected.raw_floor_ns));
            let mut slots = Vec::new();
            block.decode_slots(index, &mut slots).unwrap();
            assert_eq!(slots, expected.slots_ns);
            assert_eq!(block.columns(index).len(), expected.columns.len());
            for (id, expected) in &expected.columns {
                let mut values = Vec::new();
                assert!(block.decode_column(index, *id, &mut values).unwrap());
                assert_eq!(bits(&values), bits(expected));
            }
        }
    }
    assert!(all.next().is_none());
}

#[test]
fn the_log_is_written_as_ever() {
    let disk = Arc::new(TestDisk::default());
    let mut log = WalWriter::open(disk.clone(), "log", 41, 1 << 20, 0x0123_4567_89ab_cdef).unwrap();
    let records: Vec<_> = records().iter().map(encoded).collect();
    for group in records.chunks(3) {
        log.append(group).unwrap();
    }
    let mut written = vec![0; log.bytes() as usize];
    disk.open_read(&format!("log/{LOG_SEGMENT}")).unwrap().read_exact_at(0, &mut written).unwrap();
    assert_fixture("v3", LOG_SEGMENT, &written);
}

fn encoded(record: &Record) -> EncodedRecord {
    match record {
        Record::Write(batch) => EncodedRecord::write(batch),
        Record::DeleteSpan { key, start_ns, stop_ns } => {
            EncodedRecord::delete_span(*key, *start_ns, *stop_ns)
        }
        Record::DeleteSeries(keys) => EncodedRecord::delete_series(keys),
    }
}

#[test]
fn logs_of_versions_2_and_3_are_read() {
    for version in ["v2", "v3"] {
        let mut found = Vec::new();
        let storage = storage(fixtures(version).parent().unwrap());
        let replayed =
            replay(storage.as_ref(), version, 41, |position, record| found.push((position, record))).unwrap();
        assert_eq!((replayed.damage, replayed.torn_bytes), (Vec::new(), 0));
        let expected: Vec<_> = (41..).zip(records()).collect();
        // Debug texts, since NaN is not equal to itself; the bits of values are compared by the writer's test.
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{version}");
    }
}

#[test]
fn logs_of_other_versions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixtures("v2").join(LOG_SEGMENT)).unwrap();
    let of_version = |version: u8| {
        let mut copy = bytes[..40].to_vec();
        copy[8] = version;
        let sum = xxhash_rust::xxh3::xxh3_64(&copy);
        copy.extend_from_slice(&sum.to_le_bytes());
        [&copy, &copy, &bytes[96..]].concat()
    };
    assert_eq!(of_version(2), bytes);
    for version in [1, 4] {
        let storage = storage(dir.path());
        storage.create("log/wal-00000000000000000041.log").unwrap().write_all(&of_version(version)).unwrap();
        let error = replay(storage.as_ref(), "log", 41, |_, _| panic!("a record")).unwrap_err();
        assert!(error.to_string().contains(&format!("has version {version}")), "{error}");
    }
}
