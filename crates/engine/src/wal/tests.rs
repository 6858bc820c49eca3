//! The log: round trips, crashes, rotation.

mod damage;
mod full_disk;
mod torn;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_model::{PolicyKey, SeriesKey};
use nephometer_series::codec::CodecError;
use proptest::prelude::*;

use super::context::Context;
use super::payload::decode;
use super::segment::{FRAME_LEN, Frame, HEADER_LEN, HeaderFound, SegmentHeader};
use super::*;
use crate::io::{FileStorage, Storage};

const FOLDER: &str = "log";

struct Log {
    dir: tempfile::TempDir,
    storage: Arc<dyn Storage>,
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(FileStorage::new(dir.path()).unwrap());
        Self { dir, storage }
    }

    fn writer(&self, next_position: u64) -> WalWriter {
        WalWriter::open(Arc::clone(&self.storage), FOLDER, next_position, 4096, 0x5a17).unwrap()
    }

    fn replay(&self, from: u64) -> (Vec<(u64, Record)>, Replayed) {
        let mut records = Vec::new();
        let replayed =
            replay(self.storage.as_ref(), FOLDER, from, |position, record| records.push((position, record)));
        (records, replayed.unwrap())
    }

    /// Paths of the segments.
    fn paths(&self) -> Vec<PathBuf> {
        self.files("wal-")
    }

    fn spares(&self) -> Vec<PathBuf> {
        self.files("spare-")
    }

    fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let names = self.storage.list(FOLDER).unwrap();
        let wanted = names.iter().filter(|name| name.starts_with(prefix));
        wanted.map(|name| self.dir.path().join(FOLDER).join(name)).collect()
    }
}

/// Where the records of a segment that was appended to record by record are in its `bytes`.
fn ranges(bytes: &[u8]) -> Vec<Range<usize>> {
    let SegmentHeader { block_bytes, salt, .. } = match SegmentHeader::parse(&bytes[..HEADER_LEN]) {
        HeaderFound::Good(header) => header,
        _ => panic!("a damaged header"),
    };
    let next = |offset: usize| offset.next_multiple_of(block_bytes.into());
    let mut ranges = Vec::new();
    let mut offset = next(HEADER_LEN);
    while let Some(head) = bytes[offset.min(bytes.len())..].first_chunk()
        && let Some(frame) = Frame::parse(head, salt)
    {
        ranges.push(offset..offset + FRAME_LEN + frame.payload_len);
        offset = next(offset + FRAME_LEN + frame.payload_len);
    }
    ranges
}

fn batch(n: u64) -> WriteBatch {
    let run = |key, len| SeriesRun { key: SeriesKey(key), policy: PolicyKey(1), len };
    WriteBatch {
        runs: vec![run(n + 5, 2), run(n + 6, 2), run(n + 9, 1)],
        timestamps_ns: [10, 20, 10, 20, 11].map(|s| (1_700_000_000 + s) * 1_000_000_000).to_vec(),
        values: vec![1.25, (n + 20) as f64, 3.0, 1.0 / 3.0, f64::INFINITY],
    }
}

fn write(log: &mut WalWriter, n: u64) -> u64 {
    let positions = log.append(&[EncodedRecord::write(&batch(n))]).unwrap();
    assert_eq!(positions.end, positions.start + 1);
    positions.start
}

fn batches() -> impl Strategy<Value = WriteBatch> {
    let time = prop_oneof![
        0_i64..i64::MAX,
        (0_i64..2_000_000_000).prop_map(|s| s * 1_000_000_000),
        (1_700_000_000_000_i64..1_700_000_100_000).prop_map(|ms| ms * 1_000_000),
    ];
    let value = prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-1000..1000).prop_map(f64::from),
        (-1000..1000).prop_map(|cents| f64::from(cents) / 100.0),
        any::<i64>().prop_map(|int| int as f64),
        Just(-0.0),
    ];
    let points = prop::collection::vec((time, value), 1..40);
    let points = prop_oneof![points.clone().prop_map(|points| points[..1].to_vec()), points];
    let key = prop_oneof![any::<u64>(), 0_u64..20];
    let run = (key, 0_u8..3, 0_u32..3, points, any::<bool>());
    prop::collection::vec(run, 0..20).prop_map(|runs| {
        let mut batch = WriteBatch::default();
        for (key, near, policy, points, same_times) in runs {
            let last = batch.runs.last().copied();
            let key = last.filter(|_| near > 0).map_or(key, |last| last.key.0.wrapping_add(u64::from(near)));
            let mut times: Vec<_> = points.iter().map(|point| point.0).collect();
            if let Some(last) = last.filter(|last| same_times && last.len as usize <= times.len()) {
                times = batch.timestamps_ns[batch.timestamps_ns.len() - last.len as usize..].to_vec();
            }
            batch.runs.push(SeriesRun {
                key: SeriesKey(key),
                policy: PolicyKey(policy),
                len: times.len() as u32,
            });
            batch.values.extend(points.iter().take(times.len()).map(|point| point.1));
            batch.timestamps_ns.extend(times);
        }
        batch
    })
}

fn same(one: &WriteBatch, other: &WriteBatch) -> bool {
    let bits = |batch: &WriteBatch| batch.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    one.runs == other.runs && one.timestamps_ns == other.timestamps_ns && bits(one) == bits(other)
}

/// `records` as payloads, and back.
fn round_trip(records: &[EncodedRecord]) -> Vec<Result<Record, CodecError>> {
    let (mut writing, mut reading) = (Context::default(), Context::default());
    let payloads = records.iter().map(|record| record.put(Vec::new(), &mut writing));
    payloads.zip(records).map(|(payload, record)| decode(record.kind, &payload, &mut reading)).collect()
}

proptest! {
    #[test]
    fn records_round_trip(batches in prop::collection::vec(batches(), 1..8), key: u64, start: i64, stop: i64, keys: Vec<u64>) {
        let records: Vec<_> = batches.iter().map(EncodedRecord::write).collect();
        for (back, batch) in round_trip(&records).into_iter().zip(&batches) {
            prop_assert!(matches!(back, Ok(Record::Write(back)) if same(&back, batch)));
        }
        let keys: Vec<_> = keys.into_iter().map(SeriesKey).collect();
        let deletes =
            [EncodedRecord::delete_span(SeriesKey(key), start, stop), EncodedRecord::delete_series(&keys)];
        let span = Record::DeleteSpan { key: SeriesKey(key), start_ns: start, stop_ns: stop };
        prop_assert_eq!(round_trip(&deletes), vec![Ok(span), Ok(Record::DeleteSeries(keys))]);
    }

    #[test]
    fn arbitrary_payloads_never_panic(kind in 0_u8..6, payload: Vec<u8>) {
        let _ = decode(kind, &payload, &mut Context::default());
    }

    #[test]
    fn damaged_payloads_never_panic(batches in prop::collection::vec(batches(), 1..4), at: usize, flip in 1_u8..) {
        let (mut writing, mut reading) = (Context::default(), Context::default());
        for batch in &batches {
            let record = EncodedRecord::write(batch);
            let mut payload = record.put(Vec::new(), &mut writing);
            let at = at % payload.len();
            payload[at] ^= flip;
            let _ = decode(record.kind, &payload, &mut reading);
        }
    }
}

#[test]
fn usual_records_are_small() {
    let run = |key, len| SeriesRun { key: SeriesKey(key), policy: PolicyKey(1), len };
    let mut context = Context::default();
    let mut bytes = |batch: &WriteBatch| EncodedRecord::write(batch).put(Vec::new(), &mut context).len();
    let one_each = |minute: i64| WriteBatch {
        runs: (0..1000).map(|key| run(key, 1)).collect(),
        timestamps_ns: vec![(1_700_000_000 + minute * 60) * 1_000_000_000; 1000],
        values: (0..1000).map(|i| (700 * i % 990 + minute * i % 7) as f64 / 10.0).collect(),
    };
    assert!((0..2).map(|minute| bytes(&one_each(minute))).sum::<usize>() < 5000);
    assert!((2..20).map(|minute| bytes(&one_each(minute))).max() < Some(750));
    let hour_each = WriteBatch {
        runs: (0..100).map(|key| run(key, 60)).collect(),
        timestamps_ns: (0..6000).map(|i| (1_700_000_000 + i % 60 * 60) * 1_000_000_000).collect(),
        values: (0..6000).map(|i| f64::from(i * 7 % 50) / 100.0).collect(),
    };
    assert!(bytes(&hour_each) < 6400, "{}", bytes(&hour_each));
}

#[test]
fn what_was_appended_is_replayed_from_any_position() {
    let log = Log::new();
    assert_eq!(log.replay(0), (Vec::new(), Replayed { next_position: 1, ..Replayed::default() }));
    let mut writer = log.writer(1);
    assert_eq!(writer.next_position(), 1);
    let some = [EncodedRecord::write(&batch(1)), EncodedRecord::delete_series(&[SeriesKey(4)])];
    assert_eq!(writer.append(&some).unwrap(), 1..3);
    drop(writer);
    let mut writer = log.writer(3);
    for n in 3..200 {
        assert_eq!(write(&mut writer, n), n);
    }
    assert!(log.paths().len() > 3, "segments are ended");
    assert!(writer.bytes() <= log.paths().iter().map(|path| path.metadata().unwrap().len()).sum());
    for from in [0, 1, 2, 3, 77, 199, 200, 5000] {
        let (records, replayed) = log.replay(from);
        assert_eq!(
            records.iter().map(|record| record.0).collect::<Vec<_>>(),
            (from.max(1)..200).collect::<Vec<_>>()
        );
        let expected =
            Replayed { next_position: from.max(200), records: records.len() as u64, ..Replayed::default() };
        assert_eq!(replayed, expected);
    }
    let (records, _) = log.replay(2);
    assert_eq!(records[0].1, Record::DeleteSeries(vec![SeriesKey(4)]));
    assert!(matches!(&records[1].1, Record::Write(back) if same(back, &batch(3))));
}

#[test]
fn a_torn_tail_is_no_damage_even_after_the_restart() {
    let log = Log::new();
    let mut writer = log.writer(1);
    (1..=5).for_each(|n| assert_eq!(write(&mut writer, n), n));
    drop(writer);
    let path = log.paths().remove(0);
    let whole = std::fs::read(&path).unwrap();
    for cut in (0..ranges(&whole)[4].end).step_by(23) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (records, replayed) = log.replay(0);
        assert_eq!(
            replayed.damage.iter().filter(|damage| damage.bytes > 0 && cut >= 96).count(),
            0,
            "cut at {cut}"
        );
        assert_eq!(replayed.next_position, records.len() as u64 + 1);
        let mut writer = log.writer(replayed.next_position);
        let next = write(&mut writer, 9);
        assert!(next >= replayed.next_position);
        drop(writer);
        let (again, after) = log.replay(0);
        assert_eq!(again.len(), records.len() + 1, "cut at {cut}");
        assert_eq!((after.damage, after.next_position), (replayed.damage, next + 1));
        log.paths().iter().skip(1).for_each(|path| std::fs::remove_file(path).unwrap());
    }
}

#[test]
fn segments_go_when_they_are_covered() {
    let log = Log::new();
    let mut writer = log.writer(1);
    (1..200).for_each(|n| assert_eq!(write(&mut writer, n), n));
    let (before, bytes) = (log.paths().len(), writer.bytes());
    assert_eq!(writer.remove_below(1, false).unwrap(), 0);
    let freed = writer.remove_below(100, false).unwrap();
    assert!(freed > 0 && writer.bytes() == bytes - freed && log.paths().len() < before);
    let (records, replayed) = log.replay(100);
    assert_eq!((records.len(), replayed.damage), (100, Vec::new()));
    writer.remove_below(200, false).unwrap();
    assert_eq!((log.paths().len(), log.spares().len()), (1, 0));
    assert_eq!(write(&mut writer, 200), 200);
    let (records, replayed) = log.replay(200);
    assert_eq!((records.len(), replayed.damage, replayed.next_position), (1, Vec::new(), 201));
}

#[test]
fn files_of_covered_segments_are_written_again() {
    let log = Log::new();
    let mut writer = log.writer(1);
    let files = || log.paths().len() + log.spares().len();
    let (mut next, mut most) = (1, 0);
    for round in 0..6 {
        let first = next;
        for _ in 0..60 {
            assert_eq!(write(&mut writer, next), next);
            next += 1;
        }
        if round == 3 {
            // After a crash the log goes on with the files that it finds.
            drop(writer);
            assert_eq!(log.replay(first).1.next_position, next);
            writer = log.writer(next);
        }
        let (records, replayed) = log.replay(first);
        assert_eq!(
            (records.len() as u64, replayed.damage, replayed.torn_bytes),
            (next - first, Vec::new(), 0)
        );
        for (position, record) in records {
            assert!(matches!(record, Record::Write(back) if same(&back, &batch(position))), "{position}");
        }
        match round {
            0..=3 => most = most.max(files()),
            _ => assert!(files() <= most, "round {round}: {} files after {most}", files()),
        }
        writer.remove_below(next, true).unwrap();
        assert_eq!(log.replay(next).1, Replayed { next_position: next, ..Replayed::default() });
    }
    assert!(log.spares().len() > 3);
    // No more are kept than the log has needed since.
    writer.remove_below(next, true).unwrap();
    assert_eq!(log.spares().len(), 1);
    writer.remove_below(next, false).unwrap();
    assert_eq!(log.spares().len(), 0);
}
