//! Walking through the series of a part in order of keys.

use nephometer_drivers::StoreError;
use nephometer_series::Points;
use nephometer_series::codec::{RawBlock, RollupBlock, RollupEntry};

use crate::part::{Block, PartReader};
use crate::parts::Part;

/// What a cursor sees of a block.
pub(super) trait Entries {
    fn from_block(block: Block) -> Option<Self>
    where
        Self: Sized;
    fn key_at(&self, entry: usize) -> Option<u64>;
}

impl Entries for RawBlock {
    fn from_block(block: Block) -> Option<Self> {
        if let Block::Raw(block) = block { Some(block) } else { None }
    }

    fn key_at(&self, entry: usize) -> Option<u64> {
        self.entries().get(entry).map(|entry| entry.key)
    }
}

impl Entries for RollupBlock {
    fn from_block(block: Block) -> Option<Self> {
        if let Block::Rollup(block) = block { Some(block) } else { None }
    }

    fn key_at(&self, entry: usize) -> Option<u64> {
        self.entries().get(entry).map(|entry| entry.key)
    }
}

/// A place in a part: a block, read and verified, and an entry of it. Damaged blocks are passed over.
pub(super) struct Cursor<'a, B> {
    part: &'a Part,
    reader: &'a PartReader,
    index: usize,
    block: Option<B>,
    entry: usize,
}

/// A place in a raw part.
pub(super) type RawCursor<'a> = Cursor<'a, RawBlock>;
/// A place in a rollup part.
pub(super) type RollupCursor<'a> = Cursor<'a, RollupBlock>;

impl<'a, B: Entries> Cursor<'a, B> {
    /// The first entry of `part`; nothing where all of the part is set aside.
    pub(super) fn open(part: &'a Part) -> Result<Option<Self>, StoreError> {
        let Some(reader) = part.reader()? else { return Ok(None) };
        let mut cursor = Self { part, reader, index: 0, block: None, entry: 0 };
        cursor.load()?;
        Ok(Some(cursor))
    }

    /// Reads the block at `index`, or the first usable one after it.
    fn load(&mut self) -> Result<(), StoreError> {
        self.block = None;
        self.entry = 0;
        while self.index < self.reader.index().len() {
            self.block = self.part.block_uncached(self.reader, self.index)?.and_then(B::from_block);
            if self.block.as_ref().is_some_and(|block| block.key_at(0).is_some()) {
                return Ok(());
            }
            self.index += 1;
        }
        Ok(())
    }

    /// The series of the entry; nothing at the end.
    pub(super) fn key(&self) -> Option<u64> {
        self.block.as_ref().and_then(|block| block.key_at(self.entry))
    }

    /// The position after the newest write in the part.
    pub(super) fn max_position(&self) -> u64 {
        self.part.row.max_position
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.entry += 1;
        if self.key().is_some() {
            return Ok(());
        }
        self.index += 1;
        self.load()
    }
}

impl RawCursor<'_> {
    /// Appends all measures of `key`, to which the cursor points, and goes on to the next series. Returns the policy.
    pub(super) fn take(&mut self, key: u64, points: &mut Points) -> Result<u32, StoreError> {
        let mut policy = 0;
        while self.key() == Some(key) {
            if let Some(block) = &self.block {
                policy = block.entries()[self.entry].policy;
                let len = points.len();
                let all = i64::MIN..i64::MAX;
                let decoded = block.decode(self.entry, all, &mut points.timestamps_ns, &mut points.values);
                if let Err(error) = decoded {
                    points.timestamps_ns.truncate(len);
                    points.values.truncate(len);
                    self.part.stream_damaged(self.reader, self.index, &error.to_string());
                }
            }
            self.advance()?;
        }
        Ok(policy)
    }
}

impl RollupCursor<'_> {
    /// Calls `visit` for each entry of `key`, to which the cursor points, and goes on to the next series. An error that
    /// it returns is damage of the block.
    pub(super) fn take(
        &mut self,
        key: u64,
        mut visit: impl FnMut(
            &RollupBlock,
            usize,
            &RollupEntry,
        ) -> Result<(), nephometer_series::codec::CodecError>,
    ) -> Result<(), StoreError> {
        while self.key() == Some(key) {
            if let Some(block) = &self.block
                && let Err(error) = visit(block, self.entry, &block.entries()[self.entry])
            {
                self.part.stream_damaged(self.reader, self.index, &error.to_string());
            }
            self.advance()?;
        }
        Ok(())
    }
}
