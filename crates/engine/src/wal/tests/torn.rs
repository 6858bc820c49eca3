//! What a crash in the midst of a write leaves: any of its blocks, and those before as they were.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use super::{FOLDER, Log, batch, same};

/// Length of a block where the page cache is gone around, and the smallest that there is.
const BLOCK: usize = 512;

/// Appends a group of records from `first` on.
fn append(writer: &mut WalWriter, first: u64, count: u64) {
    let records: Vec<_> = (first..first + count).map(|n| EncodedRecord::write(&batch(n))).collect();
    assert_eq!(writer.append(&records).unwrap(), first..first + count);
}

fn assert_first(log: &Log, from: u64, count: u64) -> Replayed {
    let (records, replayed) = log.replay(from);
    assert_eq!(records.len() as u64, count);
    for ((position, record), n) in records.into_iter().zip(from..) {
        assert!(position == n && matches!(record, Record::Write(back) if same(&back, &batch(n))), "{n}");
    }
    replayed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_torn_group_is_no_damage_and_costs_nothing_before_it(
        groups in prop::collection::vec(1_u64..5, 0..4),
        last in 1_u64..60,
        blocks in prop::collection::vec(any::<bool>(), 32),
        again in any::<bool>(),
    ) {
        let log = Log::new();
        let open = |next| WalWriter::open(Arc::clone(&log.storage), FOLDER, next, 1 << 20, 0x5a17).unwrap();
        let mut writer = open(1);
        let mut next = 1;
        if again {
            // The file has been a segment before: it is full of other records.
            append(&mut writer, 1, 200);
            append(&mut writer, 201, 1);
            writer.remove_below(202, true).unwrap();
            append(&mut writer, 202, 1);
            writer.remove_below(203, true).unwrap();
            next = 203;
        }
        let from = next;
        for count in groups {
            append(&mut writer, next, count);
            next += count;
        }
        let path = log.paths().pop().unwrap();
        let before = std::fs::read(&path).unwrap();
        append(&mut writer, next, last);
        drop(writer);
        let mut torn = std::fs::read(&path).unwrap();
        let changed: Vec<_> = (0..torn.len() / BLOCK)
            .filter(|block| before.chunks(BLOCK).nth(*block) != torn.chunks(BLOCK).nth(*block))
            .collect();
        for (block, _) in changed.iter().zip(&blocks).filter(|(_, written)| !**written) {
            let old = before.chunks(BLOCK).nth(*block).unwrap_or(&[0; BLOCK]);
            torn[block * BLOCK..][..BLOCK].copy_from_slice(old);
        }
        std::fs::write(&path, &torn).unwrap();
        let whole = log.replay(from).0.len() as u64;
        prop_assert!((next - from..=next - from + last).contains(&whole));
        let replayed = assert_first(&log, from, whole);
        prop_assert_eq!((&replayed.damage, replayed.next_position), (&Vec::new(), from + whole));
        // What comes after the start has a segment of its own, and what was torn stays so.
        let mut writer = open(replayed.next_position);
        let begin = writer.next_position();
        append(&mut writer, begin, 5);
        prop_assert_eq!(assert_first(&log, begin, 5).damage, Vec::new());
        let (records, replayed) = log.replay(from);
        prop_assert_eq!((records.len() as u64, replayed.damage), (whole + 5, Vec::new()));
    }
}

#[test]
fn a_damaged_group_is_no_torn_one_where_another_follows() {
    for (damaged_group, durable) in [(0, true), (1, true), (2, false)] {
        let log = Log::new();
        let mut writer = WalWriter::open(Arc::clone(&log.storage), FOLDER, 1, 1 << 20, 0x5a17).unwrap();
        let mut ends = vec![writer.bytes() as usize];
        for group in 0..3 {
            append(&mut writer, 1 + 40 * group, 40);
            ends.push(writer.bytes() as usize);
        }
        drop(writer);
        let path = log.paths().remove(0);
        let mut bytes = std::fs::read(&path).unwrap();
        // The first record of the group; those behind it are good.
        bytes[ends[damaged_group] + 50] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (records, replayed) = log.replay(0);
        assert_eq!(replayed.damage.is_empty(), !durable, "{replayed:?}");
        assert_eq!(records.len() > 40 * damaged_group, durable);
        // A segment that was begun later tells that it was durable.
        drop(WalWriter::open(Arc::clone(&log.storage), FOLDER, 121, 1 << 20, 0x5a17).unwrap());
        let (again, replayed) = log.replay(0);
        assert!(!replayed.damage.is_empty() && replayed.next_position == 121);
        assert!(again.len() > 40 * damaged_group);
    }
}
