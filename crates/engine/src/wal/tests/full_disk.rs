//! The log on a disk that fills up.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::*;
use super::{Log, batch, same};
use crate::io::{FileStorage, FileWriter, ReadAt, Storage};

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
    let mut written = 0;
    while writer.append(&[EncodedRecord::write(&batch(written + 1))]).is_ok() {
        written += 1;
    }
    assert!(written > 5);
    assert_eq!(
        log.replay(0).1,
        Replayed { next_position: written + 1, records: written, ..Replayed::default() }
    );
    // Covered segments can be removed although no new one can be begun.
    assert_eq!(writer.remove_below(written + 1).unwrap(), 0);
    for n in [900, 800] {
        assert!(writer.append(&[EncodedRecord::write(&batch(n))]).is_err());
    }
    left.store(1 << 20, Ordering::SeqCst);
    // What did not find room is not built on.
    for n in written + 1..written + 4 {
        assert_eq!(writer.append(&[EncodedRecord::write(&batch(n))]).unwrap(), n..n + 1);
    }
    writer.sync().unwrap();
    let (records, replayed) = log.replay(0);
    assert_eq!((records.len() as u64, replayed.damage, replayed.torn_bytes), (written + 3, Vec::new(), 0));
    for (position, record) in records {
        assert!(matches!(record, Record::Write(back) if same(&back, &batch(position))), "{position}");
    }
}
