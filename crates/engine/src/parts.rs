//! Open parts: where their blocks are read, cached, and set aside when damaged.

mod damage;
mod set;
mod writer;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use nephometer_drivers::{PartKind, PartRow, StoreError};
use nephometer_series::Points;
use nephometer_series::codec::{RollupBlock, RollupEntry};
use parking_lot::Mutex;
use quick_cache::sync::Cache;

pub(crate) use damage::Damage;
pub(crate) use set::{PartSet, rank};
pub(crate) use writer::{PartsWriter, Provenance, discard};

use crate::io::Storage;
use crate::part::{Block, PartError, PartReader, is_transient};
use crate::plan::Looks;

/// Folder of the parts.
pub(crate) const PARTS: &str = "parts";
/// Folder of replaced parts that had damaged blocks.
pub(crate) const QUARANTINE: &str = "quarantine";

/// Name of a part's file inside [`PARTS`].
pub(crate) fn file_name(row: &PartRow) -> String {
    let kind = match row.kind {
        PartKind::Raw => "raw",
        PartKind::Rollup => "rollup",
    };
    format!("{}.{kind}", row.id.0)
}

#[derive(Clone)]
struct BlockWeight;

impl quick_cache::Weighter<(u64, usize), Arc<Block>> for BlockWeight {
    fn weight(&self, _: &(u64, usize), block: &Arc<Block>) -> u64 {
        let bytes = match &**block {
            Block::Raw(block) => block.memory_bytes(),
            Block::Rollup(block) => block.memory_bytes(),
        };
        bytes as u64 + 64
    }
}

/// What all parts share: files, cached blocks, the record of damage.
pub(crate) struct Shelf {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) damage: Damage,
    cache: Cache<(u64, usize), Arc<Block>, BlockWeight>,
    next_serial: AtomicU64,
}

impl Shelf {
    pub(crate) fn new(storage: Arc<dyn Storage>, damage: Damage, cache_bytes: u64) -> Self {
        let likely_blocks =
            usize::try_from(cache_bytes / (64 << 10)).unwrap_or(usize::MAX).clamp(16, 1 << 16);
        let cache = Cache::with_weighter(likely_blocks, cache_bytes, BlockWeight);
        Self { storage, damage, cache, next_serial: AtomicU64::new(0) }
    }

    /// The part of `row`; its file is opened when it is first read.
    pub(crate) fn part(self: &Arc<Self>, row: PartRow) -> Arc<Part> {
        Arc::new(Part {
            file: file_name(&row),
            row,
            serial: self.next_serial.fetch_add(1, Ordering::Relaxed),
            shelf: Arc::clone(self),
            reader: OnceLock::new(),
            looks: Mutex::new(None),
            damaged: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
        })
    }
}

/// An immutable part. Its file goes away with the last user of a part that has been replaced.
pub(crate) struct Part {
    pub(crate) row: PartRow,
    file: String,
    serial: u64,
    shelf: Arc<Shelf>,
    /// Nothing where the file cannot be used at all.
    reader: OnceLock<Option<PartReader>>,
    /// When it was looked at whether it is worth writing it again; nothing where it was not since the start.
    looks: Mutex<Option<Looks>>,
    damaged: AtomicBool,
    replaced: AtomicBool,
}

impl Part {
    /// The catalog has forgotten this part.
    pub(crate) fn replaced(&self) {
        self.replaced.store(true, Ordering::Release);
    }

    /// The open file, or nothing where all of it is set aside.
    pub(crate) fn reader(&self) -> Result<Option<&PartReader>, StoreError> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader.as_ref());
        }
        let path = format!("{PARTS}/{}", self.file);
        let opened = self.shelf.storage.open_read(&path).map_err(PartError::from).and_then(PartReader::open);
        let reader = match opened {
            Ok(reader) => Some(reader),
            Err(PartError::Io(error)) if is_transient(&error) => {
                return Err(StoreError::Io(format!("{path}: {error}")));
            }
            Err(error) => {
                self.set_aside(0, self.row.bytes, &error.to_string());
                None
            }
        };
        Ok(self.reader.get_or_init(|| reader).as_ref())
    }

    fn set_aside(&self, offset: u64, bytes: u64, reason: &str) {
        self.damaged.store(true, Ordering::Release);
        self.shelf.damage.report(&self.file, offset, bytes, reason);
    }

    /// Block `index`, read for merging: past the cache. Nothing where it is damaged.
    pub(crate) fn block_uncached(
        &self,
        reader: &PartReader,
        index: usize,
    ) -> Result<Option<Block>, StoreError> {
        match reader.read_block(index) {
            Ok(block) => Ok(Some(block)),
            Err(error) if error.transient => Err(StoreError::Io(format!("{}: {error}", self.file))),
            Err(error) => {
                self.set_aside(error.offset, error.len, &error.reason);
                Ok(None)
            }
        }
    }

    /// See [`Looks`].
    pub(crate) fn looks(&self) -> Option<Looks> {
        *self.looks.lock()
    }

    /// Remembers `looks`.
    pub(crate) fn set_looks(&self, looks: Looks) {
        *self.looks.lock() = Some(looks);
    }

    /// Damage that showed when a stream of block `index` was decoded.
    pub(crate) fn stream_damaged(&self, reader: &PartReader, index: usize, reason: &str) {
        if let Some(entry) = reader.index().get(index) {
            self.set_aside(entry.offset, u64::from(entry.len), reason);
        }
    }

    fn block(&self, reader: &PartReader, index: usize) -> Result<Option<Arc<Block>>, StoreError> {
        let key = (self.serial, index);
        if let Some(block) = self.shelf.cache.get(&key) {
            return Ok(Some(block));
        }
        let Some(block) = self.block_uncached(reader, index)?.map(Arc::new) else { return Ok(None) };
        self.shelf.cache.insert(key, Arc::clone(&block));
        Ok(Some(block))
    }

    /// Whether time and content allow measures in `range_ns`.
    pub(crate) fn overlaps(&self, range_ns: &Range<i64>) -> bool {
        self.row.min_ns < range_ns.end && self.row.max_ns >= range_ns.start
    }

    /// Appends the raw measures of `key` in `range_ns`.
    pub(crate) fn read_raw(
        &self,
        key: u64,
        range_ns: &Range<i64>,
        points: &mut Points,
    ) -> Result<(), StoreError> {
        if range_ns.is_empty() || !self.overlaps(range_ns) {
            return Ok(());
        }
        let Some(reader) = self.reader()? else { return Ok(()) };
        for index in reader.blocks_of(key, range_ns) {
            self.decode_raw(reader, index, key, range_ns, points)?;
        }
        Ok(())
    }

    fn decode_raw(
        &self,
        reader: &PartReader,
        index: usize,
        key: u64,
        range_ns: &Range<i64>,
        points: &mut Points,
    ) -> Result<(), StoreError> {
        let Some(block) = self.block(reader, index)? else { return Ok(()) };
        let Block::Raw(raw) = &*block else { return Ok(()) };
        let Some(entry) = raw.find(key) else { return Ok(()) };
        let len = points.len();
        let decoded = raw.decode(entry, range_ns.clone(), &mut points.timestamps_ns, &mut points.values);
        if let Err(error) = decoded {
            points.timestamps_ns.truncate(len);
            points.values.truncate(len);
            self.stream_damaged(reader, index, &error.to_string());
        }
        Ok(())
    }

    /// The newest timestamp of `key` in `range_ns`.
    pub(crate) fn newest_raw(&self, key: u64, range_ns: &Range<i64>) -> Result<Option<i64>, StoreError> {
        if range_ns.is_empty() || !self.overlaps(range_ns) {
            return Ok(None);
        }
        let Some(reader) = self.reader()? else { return Ok(None) };
        let blocks: Vec<usize> = reader.blocks_of(key, range_ns).collect();
        for index in blocks.into_iter().rev() {
            let Some(block) = self.block(reader, index)? else { continue };
            let Block::Raw(raw) = &*block else { continue };
            let Some(entry) = raw.find(key) else { continue };
            match raw.newest(entry, range_ns) {
                Ok(None) => {}
                Ok(newest) => return Ok(newest),
                Err(error) => self.stream_damaged(reader, index, &error.to_string()),
            }
        }
        Ok(None)
    }

    /// About how many raw measures of `key` the part has in `range_ns`.
    pub(crate) fn likely_raw(&self, key: u64, range_ns: &Range<i64>) -> Result<usize, StoreError> {
        if range_ns.is_empty() || !self.overlaps(range_ns) {
            return Ok(0);
        }
        let Some(reader) = self.reader()? else { return Ok(0) };
        let share = |index: usize| {
            let block = &reader.index()[index];
            let keys = (block.max_key - block.min_key).saturating_add(1).min(block.points.into());
            u64::from(block.points).div_ceil(keys.max(1)) as usize
        };
        Ok(reader.blocks_of(key, range_ns).map(share).sum())
    }

    /// Calls `visit` for each rollup of `key`: the block, the index of the entry, the entry. An error that it returns is
    /// damage of the block.
    pub(crate) fn rollups_of(
        &self,
        key: u64,
        mut visit: impl FnMut(
            &RollupBlock,
            usize,
            &RollupEntry,
        ) -> Result<(), nephometer_series::codec::CodecError>,
    ) -> Result<(), StoreError> {
        let Some(reader) = self.reader()? else { return Ok(()) };
        for index in reader.blocks_of(key, &(i64::MIN..i64::MAX)) {
            let Some(block) = self.block(reader, index)? else { continue };
            let Block::Rollup(rollup) = &*block else { continue };
            for entry in rollup.find(key) {
                if let Err(error) = visit(rollup, entry, &rollup.entries()[entry]) {
                    self.stream_damaged(reader, index, &error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Whether the part holds anything of `key` with timestamps in `range_ns` (slots of rollups: any).
    pub(crate) fn holds(&self, key: u64, range_ns: &Range<i64>) -> Result<bool, StoreError> {
        match self.row.kind {
            PartKind::Raw => Ok(self.newest_raw(key, range_ns)?.is_some()),
            PartKind::Rollup => {
                let mut found = false;
                self.rollups_of(key, |_, _, _| {
                    found = true;
                    Ok(())
                })?;
                Ok(found)
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.replaced.load(Ordering::Acquire) {
            return;
        }
        let path = format!("{PARTS}/{}", self.file);
        let gone = if self.damaged.load(Ordering::Acquire) {
            self.shelf.storage.rename(&path, &format!("{QUARANTINE}/{}", self.file))
        } else {
            self.shelf.storage.remove(&path)
        };
        if let Err(error) = gone {
            tracing::warn!(file = self.file, %error, "a replaced part could not be removed");
        }
    }
}
