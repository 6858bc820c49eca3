//! The log: round trips, crashes, damage, full disks, rotation.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_model::{PolicyKey, SeriesKey};
use proptest::prelude::*;

use super::*;
use crate::io::{FileStorage, FileWriter, ReadAt, Storage};

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

    fn paths(&self) -> Vec<std::path::PathBuf> {
        let names = self.storage.list(FOLDER).unwrap();
        names.iter().map(|name| self.dir.path().join(FOLDER).join(name)).collect()
    }
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
    let points = prop::collection::vec((time, value), 0..40);
    let run = (any::<u64>(), 0_u8..3, 0_u32..3, points, any::<bool>());
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

proptest! {
    #[test]
    fn records_round_trip(batch in batches(), key: u64, start: i64, stop: i64, keys: Vec<u64>) {
        let record = EncodedRecord::write(&batch).decode().unwrap();
        prop_assert!(matches!(record, Record::Write(back) if same(&back, &batch)));
        let deleted = EncodedRecord::delete_span(SeriesKey(key), start, stop).decode();
        prop_assert_eq!(deleted, Ok(Record::DeleteSpan { key: SeriesKey(key), start_ns: start, stop_ns: stop }));
        let keys: Vec<_> = keys.into_iter().map(SeriesKey).collect();
        prop_assert_eq!(EncodedRecord::delete_series(&keys).decode(), Ok(Record::DeleteSeries(keys)));
    }

    #[test]
    fn arbitrary_payloads_never_panic(kind in 0_u8..5, payload: Vec<u8>) {
        let _ = EncodedRecord { kind, payload }.decode();
    }

    #[test]
    fn damaged_payloads_never_panic(batch in batches(), at: usize, flip in 1_u8..) {
        let mut record = EncodedRecord::write(&batch);
        let at = at % record.payload.len();
        record.payload[at] ^= flip;
        let _ = record.decode();
    }
}

#[test]
fn usual_records_are_small() {
    let run = |key, len| SeriesRun { key: SeriesKey(key), policy: PolicyKey(1), len };
    let one_each = WriteBatch {
        runs: (0..1000).map(|key| run(key, 1)).collect(),
        timestamps_ns: vec![1_700_000_000_000_000_000; 1000],
        values: (0..1000).map(|i| f64::from(i % 50)).collect(),
    };
    assert!(EncodedRecord::write(&one_each).payload.len() < 2100);
    let hour_each = WriteBatch {
        runs: (0..100).map(|key| run(key, 60)).collect(),
        timestamps_ns: (0..6000).map(|i| (1_700_000_000 + i % 60 * 60) * 1_000_000_000).collect(),
        values: (0..6000).map(|i| f64::from(i * 7 % 50) / 100.0).collect(),
    };
    assert!(EncodedRecord::write(&hour_each).payload.len() < 6400);
}

#[test]
fn what_was_appended_is_replayed_from_any_position() {
    let log = Log::new();
    assert_eq!(log.replay(0), (Vec::new(), Replayed { next_position: 1, ..Replayed::default() }));
    let mut writer = log.writer(1);
    assert_eq!(writer.next_position(), 1);
    let some = [EncodedRecord::write(&batch(1)), EncodedRecord::delete_series(&[SeriesKey(4)])];
    assert_eq!(writer.append(&some).unwrap(), 1..3);
    writer.sync().unwrap();
    drop(writer);
    let mut writer = log.writer(3);
    for n in 3..200 {
        assert_eq!(write(&mut writer, n), n);
    }
    writer.sync().unwrap();
    assert!(log.paths().len() > 3, "segments are ended");
    assert_eq!(writer.bytes(), log.paths().iter().map(|path| path.metadata().unwrap().len()).sum::<u64>());
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
    for cut in 0..whole.len() {
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
fn damage_costs_the_record_that_it_hits() {
    let log = Log::new();
    let mut writer = log.writer(1);
    (1..=6).for_each(|n| assert_eq!(write(&mut writer, n), n));
    drop(writer);
    let path = log.paths().remove(0);
    let whole = std::fs::read(&path).unwrap();
    let frame = (whole.len() - 96) / 6;
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            std::fs::write(&path, &damaged).unwrap();
            let (records, replayed) = log.replay(0);
            let hit = at.checked_sub(96).map(|at| at / frame + 1);
            let expected: Vec<_> = (1..=6).filter(|n| hit != Some(*n)).collect();
            assert_eq!(
                records.iter().map(|record| record.0 as usize).collect::<Vec<_>>(),
                expected,
                "byte {at}"
            );
            for (position, record) in &records {
                assert!(matches!(record, Record::Write(back) if same(back, &batch(*position))));
            }
            // Nothing good follows the last record: it may just as well be torn.
            let noticed = if hit == Some(6) { replayed.torn_bytes > 0 } else { replayed.damage.len() == 1 };
            assert!(noticed, "byte {at}: {replayed:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_damage_invents_records(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
        garbage in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let log = Log::new();
        let mut writer = log.writer(1);
        (1..=120).for_each(|n| assert_eq!(write(&mut writer, n), n));
        drop(writer);
        let paths = log.paths();
        for (path, at, byte) in changes {
            let path = path.get(&paths);
            let mut bytes = std::fs::read(path).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            std::fs::write(path, bytes).unwrap();
        }
        if let Some(cut) = cut {
            let path = cut.get(&paths);
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, [&bytes[..cut.index(bytes.len())], &garbage].concat()).unwrap();
        }
        let (records, replayed) = log.replay(0);
        prop_assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (position, record) in &records {
            prop_assert!(matches!(record, Record::Write(back) if same(back, &batch(*position))));
        }
        prop_assert!(records.len() == 120 || !replayed.damage.is_empty() || replayed.torn_bytes > 0 || cut.is_some());
        prop_assert!(replayed.next_position > records.last().map_or(0, |last| last.0));
    }
}

#[test]
fn a_tail_that_was_durable_is_damage() {
    let log = Log::new();
    let mut writer = log.writer(1);
    (1..200).for_each(|n| assert_eq!(write(&mut writer, n), n));
    drop(writer);
    let paths = log.paths();
    let first = std::fs::read(&paths[0]).unwrap();
    std::fs::write(&paths[0], &first[..first.len() - 3]).unwrap();
    let (records, replayed) = log.replay(0);
    assert_eq!((records.len(), replayed.damage.len(), replayed.next_position), (198, 1, 200));
    std::fs::write(&paths[0], &first).unwrap();
    std::fs::remove_file(&paths[1]).unwrap();
    let (records, replayed) = log.replay(0);
    assert!(
        records.len() < 198 && replayed.damage.len() == 1 && replayed.damage[0].bytes == 0,
        "{replayed:?}"
    );
    // A header that cannot be read loses its segment and nothing else.
    let third = std::fs::read(&paths[2]).unwrap();
    std::fs::write(&paths[2], [&[0; 96], &third[96..]].concat()).unwrap();
    let (fewer, replayed) = log.replay(0);
    assert!(fewer.len() < records.len() && replayed.next_position == 200);
    assert_eq!(replayed.damage.iter().map(|damage| damage.bytes).max(), Some(third.len() as u64));
}

#[test]
fn a_segment_in_anothers_place_is_refused() {
    let log = Log::new();
    let mut writer = log.writer(1);
    (1..200).for_each(|n| assert_eq!(write(&mut writer, n), n));
    drop(writer);
    let paths = log.paths();
    std::fs::copy(&paths[0], &paths[1]).unwrap();
    let (_, replayed) = log.replay(0);
    assert!(replayed.damage[0].reason.contains("name"), "{replayed:?}");
}

#[test]
fn segments_go_when_they_are_covered() {
    let log = Log::new();
    let mut writer = log.writer(1);
    (1..200).for_each(|n| assert_eq!(write(&mut writer, n), n));
    let (before, bytes) = (log.paths().len(), writer.bytes());
    assert_eq!(writer.remove_below(1).unwrap(), 0);
    let freed = writer.remove_below(100).unwrap();
    assert!(freed > 0 && writer.bytes() == bytes - freed && log.paths().len() < before);
    let (records, replayed) = log.replay(100);
    assert_eq!((records.len(), replayed.damage), (100, Vec::new()));
    writer.remove_below(200).unwrap();
    assert_eq!(log.paths().len(), 1);
    assert_eq!(write(&mut writer, 200), 200);
    let (records, replayed) = log.replay(200);
    assert_eq!((records.len(), replayed.damage, replayed.next_position), (1, Vec::new(), 201));
}

/// A disk with only so many bytes left.
struct Small {
    inner: FileStorage,
    left: Arc<AtomicU64>,
}

struct SmallWriter {
    inner: Box<dyn FileWriter>,
    left: Arc<AtomicU64>,
}

impl Write for SmallWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::SeqCst).min(bytes.len() as u64);
        if left == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left.fetch_sub(left, Ordering::SeqCst);
        self.inner.write(&bytes[..left as usize])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileWriter for SmallWriter {
    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }
}

impl Storage for Small {
    fn create(&self, path: &str) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(SmallWriter { inner: self.inner.create(path)?, left: Arc::clone(&self.left) }))
    }

    fn open_read(&self, path: &str) -> io::Result<Arc<dyn ReadAt>> {
        self.inner.open_read(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.left.load(Ordering::SeqCst))
    }
}

#[test]
fn a_full_disk_refuses_whole_appends_and_goes_on_later() {
    let mut log = Log::new();
    let left = Arc::new(AtomicU64::new(2000));
    let inner = FileStorage::new(log.dir.path()).unwrap();
    log.storage = Arc::new(Small { inner, left: Arc::clone(&left) });
    let mut writer = log.writer(1);
    let record = EncodedRecord::write(&batch(1));
    let mut written = 0;
    while writer.append(std::slice::from_ref(&record)).is_ok() {
        written += 1;
    }
    assert!(written > 5);
    assert_eq!(
        log.replay(0).1,
        Replayed { next_position: written + 1, records: written, ..Replayed::default() }
    );
    // Covered segments can be removed although no new one can be begun.
    assert_eq!(writer.remove_below(written + 1).unwrap(), 0);
    left.store(1 << 20, Ordering::SeqCst);
    assert_eq!(writer.append(&[record]).unwrap(), written + 1..written + 2);
    writer.sync().unwrap();
    let (records, replayed) = log.replay(0);
    assert_eq!((records.len() as u64, replayed.damage, replayed.torn_bytes), (written + 1, Vec::new(), 0));
}

#[test]
fn what_clients_send_cannot_look_like_a_record() {
    let log = Log::new();
    let mut writer = log.writer(1);
    write(&mut writer, 1);
    drop(writer);
    let framed = std::fs::read(log.paths().remove(0)).unwrap()[96..].to_vec();
    // The frame of a record, sent as values (with another salt), inside a record that is damaged later.
    let (chunks, _) = framed.as_chunks::<8>();
    let values: Vec<_> = chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
    let hostile = WriteBatch {
        runs: vec![SeriesRun { key: SeriesKey(1), policy: PolicyKey(1), len: values.len() as u32 }],
        timestamps_ns: vec![0; values.len()],
        values,
    };
    let log = Log::new();
    let mut writer = WalWriter::open(Arc::clone(&log.storage), FOLDER, 1, 4096, 99).unwrap();
    writer.append(&[EncodedRecord::write(&hostile)]).unwrap();
    drop(writer);
    let path = log.paths().remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[97 + 40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(log.replay(0).0, Vec::new());
}
