//! Decoders against damage that checksums would have caught: the blocks of the fixtures with some bytes changed, cut or
//! glued together. They may give an error or other values, but neither panic nor go astray.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use nephometer_engine::io::{FileStorage, ReadAt, Storage};
use nephometer_engine::part::PartReader;
use nephometer_series::codec::{RawBlock, RollupBlock};
use proptest::prelude::*;

/// Bytes behind a block's payload.
const FRAME_LEN: usize = 12;

/// Payloads of all blocks of all parts among the fixtures.
static BLOCKS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    let storage = FileStorage::new(&folder).unwrap();
    let mut blocks = Vec::new();
    for name in storage.list("").unwrap().iter().filter(|name| name.ends_with(".part")) {
        let file = storage.open_read(name).unwrap();
        let part = PartReader::open(Arc::clone(&file)).unwrap();
        for entry in part.index() {
            let mut payload = vec![0; entry.len as usize - FRAME_LEN];
            file.read_exact_at(entry.offset, &mut payload).unwrap();
            blocks.push(payload);
        }
    }
    blocks
});

fn decode_all(bytes: Vec<u8>) {
    if let Ok(block) = RawBlock::parse(bytes.clone()) {
        assert!(block.memory_bytes() < 64 << 20);
        for index in 0..block.entries().len().min(100) {
            let (mut timestamps_ns, mut values) = (Vec::new(), Vec::new());
            let decoded = block.decode(index, 0..i64::MAX, &mut timestamps_ns, &mut values);
            assert_eq!(timestamps_ns.len(), values.len(), "{decoded:?}");
        }
    }
    if let Ok(block) = RollupBlock::parse(bytes) {
        assert!(block.memory_bytes() < 64 << 20);
        for index in 0..block.entries().len().min(100) {
            let _ = block.decode_slots(index, &mut Vec::new());
            for column in block.columns(index) {
                let _ = block.decode_column(index, *column, &mut Vec::new());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn changed_blocks_never_panic(
        pick: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        directory: bool,
    ) {
        let mut block = pick.get(&BLOCKS).clone();
        // The directory is at the front; damage there does most.
        let reach = if directory { block.len().min(200) } else { block.len() };
        for (at, byte) in changes {
            let at = at.index(reach);
            block[at] = byte;
        }
        decode_all(block);
    }

    #[test]
    fn glued_blocks_never_panic(
        one: prop::sample::Index,
        other: prop::sample::Index,
        cut: prop::sample::Index,
        resume: prop::sample::Index,
    ) {
        let (one, other) = (one.get(&BLOCKS), other.get(&BLOCKS));
        let glued = [&one[..cut.index(one.len())], &other[resume.index(other.len())..]].concat();
        decode_all(glued);
    }
}

/// A file that gives zeros wherever it is read.
struct Endless;

impl ReadAt for Endless {
    fn read_exact_at(&self, _offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

#[test]
fn a_file_of_zeros_is_no_part() {
    assert!(PartReader::open(Arc::new(Endless)).is_err());
}
