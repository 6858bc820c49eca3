//! Round trips, damage and layout of parts.

use std::io;
use std::sync::Arc;

use nephometer_drivers::{PartId, PartKind};
use nephometer_series::codec::{ColumnId, RollupColumns, SeriesColumns};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::io::ReadAt;

const SECOND_NS: i64 = 1_000_000_000;

/// A file that is some bytes.
struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let bytes = self.0.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

fn open(bytes: Vec<u8>) -> Result<PartReader, PartError> {
    PartReader::open(Arc::new(Bytes(bytes)))
}

fn header(kind: PartKind, level: u32) -> PartHeader {
    PartHeader {
        id: PartId(Uuid::from_u128(7)),
        kind,
        sack: 3,
        level,
        min_position: 10,
        max_position: 20,
        as_of_ns: 99,
    }
}

type Series = (u64, Vec<i64>, Vec<f64>);

fn series(key: u64, start: i64, points: usize) -> Series {
    let times = (0..points as i64).map(|i| (start + i * 60) * SECOND_NS).collect();
    (key, times, (0..points).map(|i| (i * 31 % 17) as f64 + key as f64).collect())
}

fn write(all: &[Series], level: u32) -> (Vec<u8>, PartSummary) {
    let mut writer = PartWriter::new(Vec::new(), &header(PartKind::Raw, level)).unwrap();
    for (key, timestamps_ns, values) in all {
        writer.push_raw(&SeriesColumns { key: *key, policy: 5, timestamps_ns, values }).unwrap();
    }
    writer.finish().unwrap()
}

fn read(part: &PartReader, key: u64, range: std::ops::Range<i64>) -> (Vec<i64>, Vec<f64>, Vec<BlockError>) {
    let mut out = (Vec::new(), Vec::new(), Vec::new());
    part.read_series(key, range, &mut out.0, &mut out.1, &mut out.2);
    out
}

#[test]
fn a_part_tells_what_it_holds() {
    let all = [series(1, 1000, 5), series(4, 400, 100_000), series(5, 400 + 99_000 * 60, 1)];
    let (bytes, summary) = write(&all, 1);
    assert_eq!((summary.bytes, summary.series, summary.points), (bytes.len() as u64, 3, 100_006));
    assert_eq!((summary.min_ns, summary.max_ns), (400 * SECOND_NS, (400 + 99_999 * 60) * SECOND_NS));
    let part = open(bytes).unwrap();
    assert_eq!(part.header(), &header(PartKind::Raw, 1));
    assert_eq!(part.summary(), &summary);
    assert_eq!(part.index().len(), 4);
    assert!(part.index().iter().all(|block| block.points <= 32_768));
    for (key, times, values) in &all {
        assert_eq!(read(&part, *key, 0..i64::MAX), (times.clone(), values.clone(), Vec::new()));
    }
    let middle = (400 + 40_000 * 60) * SECOND_NS..(400 + 40_010 * 60) * SECOND_NS;
    assert_eq!(read(&part, 4, middle.clone()).0.len(), 10);
    assert_eq!(part.blocks_of(4, &middle).count(), 1);
    assert_eq!(read(&part, 3, 0..i64::MAX), Default::default());
    assert_eq!(read(&part, 9, 0..i64::MAX), Default::default());
}

#[test]
fn an_empty_part_is_a_part() {
    let (bytes, summary) = write(&[], 0);
    assert_eq!((summary.series, summary.points, summary.min_ns, summary.max_ns), (0, 0, 0, 0));
    let part = open(bytes).unwrap();
    assert_eq!(part.blocks().count(), 0);
}

#[test]
fn a_series_may_come_in_pieces_but_in_order() {
    let mut writer = PartWriter::new(Vec::new(), &header(PartKind::Raw, 0)).unwrap();
    let push = |writer: &mut PartWriter<Vec<u8>>, key, times: &[i64]| {
        let values = vec![1.5; times.len()];
        writer.push_raw(&SeriesColumns { key, policy: 1, timestamps_ns: times, values: &values })
    };
    push(&mut writer, 1, &[1, 2]).unwrap();
    push(&mut writer, 1, &[3]).unwrap();
    push(&mut writer, 2, &[]).unwrap();
    assert!(push(&mut writer, 1, &[3]).is_err());
    assert!(push(&mut writer, 0, &[9]).is_err());
    push(&mut writer, 2, &[1]).unwrap();
    let (bytes, summary) = writer.finish().unwrap();
    assert_eq!((summary.series, summary.points), (2, 4));
    assert_eq!(read(&open(bytes).unwrap(), 1, 0..10).0, [1, 2, 3]);
}

#[test]
fn a_damaged_block_costs_only_itself() {
    let all: Vec<_> = (0..40).map(|key| series(key, 0, 5000)).collect();
    let (mut bytes, _) = write(&all, 0);
    let part = open(bytes.clone()).unwrap();
    let hit = part.index()[2];
    bytes[hit.offset as usize + 10] ^= 1;
    let part = open(bytes).unwrap();
    let bad: Vec<_> = part.blocks().filter_map(Result::err).collect();
    assert_eq!(bad.len(), 1);
    assert_eq!((bad[0].offset, bad[0].len), (hit.offset, hit.len.into()));
    for (key, times, values) in &all {
        let (got_times, got_values, damaged) = read(&part, *key, 0..i64::MAX);
        if (hit.min_key..=hit.max_key).contains(key) {
            assert_eq!(damaged, bad);
        } else {
            assert_eq!((&got_times, &got_values, damaged), (times, values, Vec::new()));
        }
    }
}

/// Key, timestamps and bits of values of a series.
type Read = (u64, Vec<i64>, Vec<u64>);

/// All that can be read, or nothing where anything is wrong.
fn everything(bytes: Vec<u8>) -> Option<Vec<Read>> {
    let part = open(bytes).ok()?;
    let mut all = Vec::new();
    for block in part.blocks() {
        let Block::Raw(block) = block.ok()? else { return None };
        for (index, entry) in block.entries().iter().enumerate() {
            let (mut times, mut values) = (Vec::new(), Vec::new());
            block.decode(index, 0..i64::MAX, &mut times, &mut values).ok()?;
            all.push((entry.key, times, values.iter().map(|v| v.to_bits()).collect()));
        }
    }
    Some(all)
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let all: Vec<_> = (0..30).map(|key| series(key, key as i64, 3 + key as usize)).collect();
    let (bytes, _) = write(&all, 0);
    assert_eq!(everything(bytes.clone()).unwrap().len(), 30);
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            assert_eq!(everything(damaged), None, "byte {at} of {}", bytes.len());
        }
        assert_eq!(everything(bytes[..at].to_vec()), None, "cut at {at} of {}", bytes.len());
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(everything(longer), None);
}

#[test]
fn rollups_round_trip_and_are_cut() {
    let hour = 3600 * SECOND_NS;
    let ids = [1, 2, 9].map(|code| ColumnId::from_code(code).unwrap());
    let slots: Vec<_> = (0..30_000).map(|i| i * hour).collect();
    let columns: Vec<Vec<f64>> =
        (0..3).map(|c| (0..30_000).map(|i| f64::from(i * 7 % 100 + c)).collect()).collect();
    let columns: Vec<_> = ids.iter().copied().zip(columns.iter().map(Vec::as_slice)).collect();
    let mut writer = PartWriter::new(Vec::new(), &header(PartKind::Rollup, 1)).unwrap();
    let one = RollupColumns {
        key: 0,
        policy: 1,
        granularity_ns: hour,
        raw_floor_ns: 5,
        slots_ns: &slots,
        columns: &columns,
    };
    for (key, granularity_ns) in [(1, hour), (1, hour * 2), (2, hour)] {
        writer.push_rollup(&RollupColumns { key, granularity_ns, ..one }).unwrap();
    }
    assert!(writer.push_rollup(&RollupColumns { key: 2, ..one }).is_err());
    let no_columns = RollupColumns { key: 3, columns: &[], slots_ns: &slots[..10], ..one };
    writer.push_rollup(&no_columns).unwrap();
    let (bytes, summary) = writer.finish().unwrap();
    assert_eq!((summary.series, summary.points), (3, 90_010));
    let part = open(bytes).unwrap();
    assert!(part.index().len() >= 9);
    for granularity_ns in [hour, hour * 2] {
        let (mut got_slots, mut got) = (Vec::new(), vec![Vec::new(); 3]);
        for at in part.blocks_of(1, &(0..i64::MAX)) {
            let Block::Rollup(block) = part.read_block(at).unwrap() else { panic!("a raw block") };
            for entry in
                block.find(1).filter(|entry| block.entries()[*entry].granularity_ns == granularity_ns)
            {
                block.decode_slots(entry, &mut got_slots).unwrap();
                for (id, out) in ids.iter().zip(&mut got) {
                    assert!(block.decode_column(entry, *id, out).unwrap());
                }
            }
        }
        assert_eq!(got_slots, slots);
        assert!(got.iter().zip(&columns).all(|(got, (_, expected))| got == expected));
    }
}

#[test]
fn kinds_do_not_mix() {
    let mut raw = PartWriter::new(Vec::new(), &header(PartKind::Raw, 0)).unwrap();
    let rollup = RollupColumns {
        key: 1,
        policy: 1,
        granularity_ns: 60,
        raw_floor_ns: 0,
        slots_ns: &[0],
        columns: &[],
    };
    assert!(raw.push_rollup(&rollup).is_err());
    let mut writer = PartWriter::new(Vec::new(), &header(PartKind::Rollup, 0)).unwrap();
    let series = SeriesColumns { key: 1, policy: 1, timestamps_ns: &[1], values: &[1.0] };
    assert!(writer.push_raw(&series).is_err());
}

#[test]
fn the_index_of_a_large_part_is_small() {
    // 22,000 blocks are about one gigabyte.
    assert!(22_000 * size_of::<BlockEntry>() < 1_100_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn parts_round_trip(
        lens in prop::collection::btree_map(0_u64..500, 1_usize..400, 0..200),
        long in prop::collection::btree_map(500_u64..520, 1_usize..70_000, 0..3),
        level in 0_u32..2,
    ) {
        let all: Vec<_> = lens.iter().chain(&long).map(|(key, len)| series(*key, 60 * *key as i64, *len)).collect();
        let (bytes, summary) = write(&all, level);
        prop_assert_eq!(summary.points, all.iter().map(|s| s.1.len() as u64).sum::<u64>());
        let part = open(bytes).unwrap();
        for (key, times, values) in &all {
            let (got_times, got_values, damaged) = read(&part, *key, 0..i64::MAX);
            prop_assert!(damaged.is_empty() && got_times == *times && got_values == *values);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), whole: bool) {
        if whole {
            let (part, _) = write(&[series(1, 1, 9)], 0);
            bytes.extend(part);
        }
        everything(bytes);
    }
}
