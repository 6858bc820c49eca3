//! What a damaged log gives: never a wrong value, and what is lost is told.

use std::ops::Range;
use std::sync::Arc;

use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_model::{PolicyKey, SeriesKey};
use proptest::prelude::*;

use super::super::*;
use super::{FOLDER, HEADER_LEN, Log, batch, ranges, same, write};

/// One measure each of two series of group `group`, or as many as make the record stand alone.
fn of_group(group: u64, n: u64, measures: u32) -> WriteBatch {
    let run = |key| SeriesRun { key: SeriesKey(key), policy: PolicyKey(1), len: measures };
    let times = (0..i64::from(measures)).map(|i| (1_700_000_000 + n as i64 * 60 + i) * 1_000_000_000);
    let value = |i: u32| (n * n * 37 % 1000 + u64::from(i)) as f64 / 10.0;
    WriteBatch {
        runs: vec![run(300 * group), run(300 * group + 7)],
        timestamps_ns: times.clone().chain(times).collect(),
        values: (0..2 * measures).map(value).collect(),
    }
}

/// Appends `batches` to a log of one segment; returns its bytes and where each record is in them.
fn segment_of(log: &Log, batches: &[WriteBatch]) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut writer = WalWriter::open(Arc::clone(&log.storage), FOLDER, 1, 1 << 20, 0x5a17).unwrap();
    for batch in batches {
        writer.append(&[EncodedRecord::write(batch)]).unwrap();
    }
    drop(writer);
    let bytes = std::fs::read(log.paths().remove(0)).unwrap();
    let ranges = ranges(&bytes);
    assert_eq!(ranges.len(), batches.len());
    (bytes, ranges)
}

/// Whether `damage` is told for all of `range`.
fn covers(damage: &LogDamage, range: &Range<usize>) -> bool {
    damage.offset <= range.start as u64 && damage.offset + damage.bytes >= range.end as u64
}

/// Whether each of `batches` is given, all of these exactly and in order; `bytes` is what the log's segment holds now.
fn given(log: &Log, bytes: &[u8], batches: &[WriteBatch]) -> (Vec<bool>, Replayed) {
    std::fs::write(log.paths().remove(0), bytes).unwrap();
    let (records, replayed) = log.replay(0);
    let mut given = vec![false; batches.len()];
    for (position, record) in records {
        let n = position as usize - 1;
        assert!(!given[n..].contains(&true), "order");
        given[n] = matches!(record, Record::Write(back) if same(&back, &batches[n]));
        assert!(given[n], "record {position} is another one: {replayed:?}");
    }
    (given, replayed)
}

#[test]
fn damage_costs_the_record_that_it_hits_and_those_that_build_on_it() {
    let log = Log::new();
    let batches: Vec<_> = (0..9).map(|n| of_group(n % 3, n, 1)).collect();
    let (whole, ranges) = segment_of(&log, &batches);
    let hits = (0..HEADER_LEN).chain(ranges.iter().cloned().flatten());
    for (at, flip) in hits.flat_map(|at| [1, 0x80, 0xff].map(|flip| (at, flip))) {
        let mut damaged = whole.clone();
        damaged[at] ^= flip;
        let (given, replayed) = given(&log, &damaged, &batches);
        let Some(hit) = ranges.iter().position(|range| range.contains(&at)) else {
            assert!(!given.contains(&false) && replayed.damage.len() == 1, "byte {at}");
            continue;
        };
        let builds = |n: usize| n > hit && n % 3 == hit % 3;
        let expected: Vec<_> = (0..9).map(|n| n != hit && !builds(n)).collect();
        assert_eq!(given, expected, "byte {at}");
        let building: usize = (0..9).filter(|n| builds(*n)).map(|n| ranges[n].len()).sum();
        match replayed.damage.as_slice() {
            // Nothing good follows the last record: it may just as well be torn.
            [] => assert!(hit == 8 && [0, ranges[8].len() as u64].contains(&replayed.torn_bytes)),
            [one] => assert!(covers(one, &ranges[hit]) && building == 0 && hit < 8, "byte {at}"),
            [one, other] => {
                assert!(covers(one, &ranges[hit]) && other.bytes as usize == building, "byte {at}");
            }
            more => panic!("byte {at}: {more:?}"),
        }
    }
    // What fills a block up is nothing.
    let mut damaged = whole.clone();
    ranges.iter().for_each(|range| damaged[range.end] ^= 1);
    damaged[HEADER_LEN] ^= 1;
    let (given, replayed) = given(&log, &damaged, &batches);
    assert!(!given.contains(&false) && replayed.damage.is_empty());
}

#[test]
fn what_stands_alone_ends_the_loss() {
    let log = Log::new();
    let batches = [1, 1, 40, 1, 40, 1].map(|measures| of_group(1, u64::from(measures), measures));
    let (mut damaged, ranges) = segment_of(&log, &batches);
    damaged[ranges[0].start + 4] ^= 4;
    let (given, replayed) = given(&log, &damaged, &batches);
    assert_eq!(given, [false, false, true, true, true, true]);
    assert_eq!(replayed.damage.len(), 2, "{replayed:?}");
}

#[test]
fn what_parts_cover_is_no_loss() {
    let log = Log::new();
    let batches: Vec<_> = (0..9).map(|n| of_group(0, n, if n == 6 { 40 } else { 1 })).collect();
    let (mut whole, ranges) = segment_of(&log, &batches);
    whole[ranges[3].start + 3] ^= 1;
    std::fs::write(log.paths().remove(0), whole).unwrap();
    for (from, damage, records) in [(1, 2, 6), (5, 2, 3), (7, 1, 3)] {
        let (given, replayed) = log.replay(from);
        assert_eq!((given.len(), replayed.damage.len()), (records, damage), "from {from}: {replayed:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_given_is_exact_and_what_is_not_is_told(
        groups in prop::collection::vec((0_u64..4, 0_u64..50, prop::option::weighted(0.2, 32_u32..40)), 1..40),
        hit: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let log = Log::new();
        let batches: Vec<_> =
            groups.iter().map(|(group, n, alone)| of_group(*group, *n, alone.unwrap_or(1))).collect();
        let (mut bytes, ranges) = segment_of(&log, &batches);
        let at = hit.index(ranges.iter().map(ExactSizeIterator::len).sum());
        let at = ranges.iter().cloned().flatten().nth(at).unwrap();
        bytes[at] ^= flip;
        let (given, replayed) = given(&log, &bytes, &batches);
        // Records may build on what is lost; all others are there.
        let mut lost = [false; 4];
        let mut damage = replayed.damage.iter();
        let mut building = 0;
        for (n, ((group, _, alone), range)) in groups.iter().zip(&ranges).enumerate() {
            let is_hit = range.contains(&at);
            lost[*group as usize] = is_hit || lost[*group as usize] && alone.is_none();
            prop_assert!(!(given[n] && is_hit) && (given[n] || lost[*group as usize]));
            if is_hit && n + 1 < groups.len() {
                prop_assert!(covers(damage.next().unwrap(), range));
            } else if !is_hit && !given[n] {
                building += range.len() as u64;
            }
        }
        prop_assert_eq!(damage.map(|damage| damage.bytes).sum::<u64>(), building);
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
        // What is not told may be torn: it was at the end.
        let are_first = records.iter().map(|(position, _)| *position).eq(1..=records.len() as u64);
        prop_assert!(are_first || !replayed.damage.is_empty());
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
    let last = ranges(&first).pop().unwrap();
    std::fs::write(&paths[0], &first[..last.end - 3]).unwrap();
    let (records, replayed) = log.replay(0);
    assert_eq!((records.len(), replayed.damage.len(), replayed.next_position), (198, 1, 200));
    assert!(
        replayed.damage[0].bytes
            == last.len() as u64 - 3 + (last.start - replayed.damage[0].offset as usize) as u64
    );
    std::fs::write(&paths[0], &first).unwrap();
    std::fs::remove_file(&paths[1]).unwrap();
    let (records, replayed) = log.replay(0);
    assert!(records.len() < 198 && replayed.damage.len() == 1, "{replayed:?}");
    assert!(replayed.damage[0].reason.contains("are missing"), "{replayed:?}");
    // A header that cannot be read loses its segment and nothing else.
    let third = std::fs::read(&paths[2]).unwrap();
    std::fs::write(&paths[2], [&[0; HEADER_LEN], &third[HEADER_LEN..]].concat()).unwrap();
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
fn what_clients_send_cannot_look_like_a_record() {
    let log = Log::new();
    let mut writer = log.writer(1);
    write(&mut writer, 1);
    drop(writer);
    let bytes = std::fs::read(log.paths().remove(0)).unwrap();
    let framed = bytes[ranges(&bytes).remove(0)].to_vec();
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
    let record = ranges(&bytes).remove(0);
    bytes[record.start + 41] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(log.replay(0).0, Vec::new());
}
