//! The log on a disk that fills up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::*;
use super::{Log, batch, same, write};
use crate::io::{BlockWriter, FileStorage, FileWriter, ReadAt, Storage};

/// A disk with only so many bytes left.
struct Small {
    inner: FileStorage,
    left: Arc<AtomicU64>,
}

struct SmallBlocks {
    inner: Box<dyn BlockWriter>,
    left: Arc<AtomicU64>,
    /// Length of the file as if it grew by no more than was needed.
    len: u64,
}

impl BlockWriter for SmallBlocks {
    fn block_bytes(&self) -> usize {
        self.inner.block_bytes()
    }

    fn write_blocks(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        let block = self.block_bytes();
        for (blocks, at) in blocks.chunks(block).zip((offset..).step_by(block)) {
            let end = at + block as u64;
            let wanted = end.saturating_sub(self.len);
            if wanted > self.left.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.left.fetch_sub(wanted, Ordering::SeqCst);
            self.len = self.len.max(end);
            self.inner.write_blocks(at, blocks)?;
        }
        Ok(())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.left.fetch_add(self.len - len, Ordering::SeqCst);
        self.len = len;
        self.inner.cut(len)
    }
}

impl Storage for Small {
    fn create(&self, path: &str) -> io::Result<Box<dyn FileWriter>> {
        self.inner.create(path)
    }

    fn rewrite(&self, path: &str) -> io::Result<Box<dyn BlockWriter>> {
        let len = self.inner.open_read(path).map_or(0, |file| file.len().unwrap());
        Ok(Box::new(SmallBlocks { inner: self.inner.rewrite(path)?, left: Arc::clone(&self.left), len }))
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
    let left = Arc::new(AtomicU64::new(50_000));
    let inner = FileStorage::new(log.dir.path()).unwrap();
    log.storage = Arc::new(Small { inner, left: Arc::clone(&left) });
    let mut writer = log.writer(1);
    // A group of records is there as a whole or not at all.
    let group = |first: u64| (first..first + 3).map(|n| EncodedRecord::write(&batch(n))).collect::<Vec<_>>();
    let mut written = 0;
    while writer.append(&group(written + 1)).is_ok() {
        written += 3;
    }
    assert!(written > 5);
    assert_eq!(
        log.replay(0).1,
        Replayed { next_position: written + 1, records: written, ..Replayed::default() }
    );
    for n in [900, 800] {
        let refused = writer.append(&group(n));
        assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    }
    left.store(1 << 20, Ordering::SeqCst);
    // What did not find room is not built on.
    for n in written + 1..written + 4 {
        assert_eq!(write(&mut writer, n), n);
    }
    let (records, replayed) = log.replay(0);
    assert_eq!((records.len() as u64, replayed.damage, replayed.torn_bytes), (written + 3, Vec::new(), 0));
    for (position, record) in records {
        assert!(matches!(record, Record::Write(back) if same(&back, &batch(position))), "{position}");
    }
    // Covered segments can be removed although no new one can be begun, and have room for what comes.
    left.store(0, Ordering::SeqCst);
    let mut next = written + 4;
    while writer.append(&[EncodedRecord::write(&batch(next))]).is_ok() {
        next += 1;
    }
    assert!(writer.remove_below(next, true).unwrap() > 0);
    assert_eq!(write(&mut writer, next), next);
    assert_eq!(log.replay(next).1.records, 1);
}
