//! A disk in memory that keeps over a crash only what was synced, tears what was not, fills up, and decays. Blocks are on it
//! when their write returns; one that fails has some of them, as a crash in its midst would leave them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nephometer_engine::io::{BlockWriter, FileWriter, ReadAt, Storage};
use parking_lot::Mutex;

use super::Random;

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    /// So much of it survives a crash.
    synced: usize,
}

type File = Arc<Mutex<Content>>;

#[derive(Default)]
struct Names {
    now: BTreeMap<String, File>,
    /// What a crash leaves.
    synced: BTreeMap<String, File>,
}

#[derive(Default)]
pub(crate) struct TestDisk {
    names: Mutex<Names>,
    shared: Arc<Shared>,
}

/// Length of a block in bytes.
pub(crate) const BLOCK: usize = 512;

struct Shared {
    /// Bytes that may still be written.
    free: AtomicU64,
    /// Syncs fail.
    syncs_fail: AtomicBool,
    /// Decides which blocks of a failed write are there.
    torn: Mutex<Random>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            free: AtomicU64::new(1 << 40),
            syncs_fail: AtomicBool::new(false),
            torn: Mutex::new(Random(1)),
        }
    }
}

impl Shared {
    /// Takes room for `bytes`, or what there is; returns how much.
    fn take_room(&self, bytes: u64) -> u64 {
        let mut room = 0;
        let _ = self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| {
            room = free.min(bytes);
            Some(free - room)
        });
        room
    }
}

impl TestDisk {
    pub(crate) fn set_free(&self, bytes: u64) {
        self.shared.free.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.shared.syncs_fail.store(fail, Ordering::SeqCst);
    }

    /// Loses what was not synced: names that were not may be there or not, contents end somewhere after what was,
    /// with or without rubbish.
    pub(crate) fn crash(&self, random: &mut Random) {
        let mut names = self.names.lock();
        let mut left = BTreeMap::new();
        let all: BTreeSet<String> = names.now.keys().chain(names.synced.keys()).cloned().collect();
        for name in all {
            let (now, synced) = (names.now.get(&name), names.synced.get(&name));
            let survivor = match (now, synced) {
                (Some(now), Some(synced)) if Arc::ptr_eq(now, synced) => Some(now),
                _ if random.below(2) == 0 => now,
                _ => synced,
            };
            let Some(survivor) = survivor else { continue };
            let content = survivor.lock();
            let mut bytes = content.bytes.clone();
            let extra = bytes.len() - content.synced;
            bytes.truncate(content.synced + random.below(extra as u64 + 1) as usize);
            if random.below(4) == 0 {
                for byte in bytes.iter_mut().skip(content.synced) {
                    *byte = random.next() as u8;
                }
            }
            let synced = bytes.len();
            left.insert(name, Arc::new(Mutex::new(Content { bytes, synced })));
        }
        names.now.clone_from(&left);
        names.synced = left;
        self.fail_syncs(false);
    }

    /// Inverts one bit of a file.
    pub(crate) fn flip(&self, path: &str, offset: usize, bit: u8) {
        let names = self.names.lock();
        names.now[path].lock().bytes[offset] ^= 1 << bit;
    }

    pub(crate) fn len(&self, path: &str) -> usize {
        self.names.lock().now[path].lock().bytes.len()
    }

    pub(crate) fn remove_file(&self, path: &str) {
        self.names.lock().now.remove(path);
        self.names.lock().synced.remove(path);
    }

    /// All files whose path begins with `prefix`.
    pub(crate) fn files(&self, prefix: &str) -> Vec<String> {
        self.names.lock().now.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

struct Writer {
    file: File,
    shared: Arc<Shared>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.shared.take_room(bytes.len() as u64);
        if room == 0 && !bytes.is_empty() {
            return Err(full());
        }
        self.file.lock().bytes.extend_from_slice(&bytes[..room as usize]);
        Ok(room as usize)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileWriter for Writer {
    fn sync(&mut self) -> io::Result<()> {
        if self.shared.syncs_fail.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is broken"));
        }
        let mut content = self.file.lock();
        content.synced = content.bytes.len();
        Ok(())
    }
}

struct Blocks {
    file: File,
    shared: Arc<Shared>,
}

impl BlockWriter for Blocks {
    fn block_bytes(&self) -> usize {
        BLOCK
    }

    /// A file grows by a block more than is needed, of whatever was on the disk there.
    fn write_blocks(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        assert!(offset.is_multiple_of(BLOCK as u64) && blocks.len().is_multiple_of(BLOCK));
        let mut content = self.file.lock();
        let mut torn = self.shared.torn.lock();
        let (offset, len) = (offset as usize, content.bytes.len());
        assert!(offset <= len, "a hole");
        let end = offset + blocks.len();
        if end > len {
            let wanted = end + BLOCK - len;
            let room = self.shared.take_room(wanted as u64) as usize / BLOCK * BLOCK;
            content.bytes.extend((0..room).map(|_| torn.next() as u8));
        }
        let fails = self.shared.syncs_fail.load(Ordering::SeqCst);
        let room = content.bytes.len();
        for (block, at) in blocks.chunks(BLOCK).zip((offset..room).step_by(BLOCK)) {
            if !fails || torn.below(2) == 0 {
                content.bytes[at..at + BLOCK].copy_from_slice(block);
            }
        }
        content.synced = room;
        match (fails, end > room) {
            (true, _) => Err(io::Error::other("the disk is broken")),
            (_, true) => Err(full()),
            _ => Ok(()),
        }
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut content = self.file.lock();
        let freed = content.bytes.len().saturating_sub(len as usize) as u64;
        content.bytes.truncate(len as usize);
        content.synced = content.bytes.len();
        self.shared.free.fetch_add(freed, Ordering::SeqCst);
        Ok(())
    }
}

struct Reader(File);

impl ReadAt for Reader {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let content = self.0.lock();
        let range = offset as usize..(offset as usize).saturating_add(buffer.len());
        let bytes = content.bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().bytes.len() as u64)
    }
}

impl Storage for TestDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn FileWriter>> {
        if self.shared.free.load(Ordering::SeqCst) == 0 {
            return Err(full());
        }
        let file = File::default();
        self.names.lock().now.insert(path.to_owned(), file.clone());
        Ok(Box::new(Writer { file, shared: self.shared.clone() }))
    }

    fn rewrite(&self, path: &str) -> io::Result<Box<dyn BlockWriter>> {
        let known = self.names.lock().now.get(path).cloned();
        let file = match known {
            Some(file) => file,
            None if self.shared.free.load(Ordering::SeqCst) == 0 => return Err(full()),
            None => self.names.lock().now.entry(path.to_owned()).or_default().clone(),
        };
        let mut first = self.shared.torn.lock();
        file.lock().bytes.iter_mut().take(BLOCK).for_each(|byte| *byte = first.next() as u8);
        drop(first);
        Ok(Box::new(Blocks { file, shared: self.shared.clone() }))
    }

    fn open_read(&self, path: &str) -> io::Result<Arc<dyn ReadAt>> {
        let names = self.names.lock();
        let file = names.now.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Reader(file.clone())))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let names = self.names.lock();
        let inside = names.now.keys().filter(|name| folder(name) == path);
        Ok(inside.map(|name| name.rsplit('/').next().unwrap_or_default().to_owned()).collect())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        if let Some(file) = self.names.lock().now.remove(path) {
            let bytes = file.lock().bytes.len() as u64;
            self.shared.free.fetch_add(bytes, Ordering::SeqCst);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.names.lock();
        let file = names.now.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.now.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut names = self.names.lock();
        let Names { now, synced } = &mut *names;
        synced.retain(|name, _| folder(name) != path);
        let inside = now.iter().filter(|(name, _)| folder(name) == path);
        synced.extend(inside.map(|(name, file)| (name.clone(), file.clone())));
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.shared.free.load(Ordering::SeqCst))
    }
}
