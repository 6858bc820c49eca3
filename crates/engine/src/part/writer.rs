//! Writing a part front to back.

use std::io::Write;

use nephometer_drivers::PartKind;
use nephometer_series::codec::{
    CodecError, Effort, RollupColumns, SeriesColumns, encode_raw_block, encode_rollup_block,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::index::{BlockEntry, Trailer, header_bytes, index_bytes, summary};
use super::pending::{PendingRaw, PendingRollup};
use super::{PartError, PartHeader, PartSummary};

/// Measures, or values of rollups, that a block holds at most (a single slot of many columns may exceed it).
const BLOCK_VALUES: usize = 32_768;

/// Writes a part. After an error the file is worthless and to be removed.
#[derive(Debug)]
pub struct PartWriter<W> {
    out: W,
    kind: PartKind,
    effort: Effort,
    offset: u64,
    index: Vec<BlockEntry>,
    raw: PendingRaw,
    rollup: PendingRollup,
    /// Key, granularity and newest timestamp of what was pushed last.
    last: Option<(u64, i64, i64)>,
    series: u64,
    points: u64,
    block: Vec<u8>,
}

impl<W: Write> PartWriter<W> {
    /// Begins a part in an empty file.
    pub fn new(mut out: W, header: &PartHeader) -> Result<Self, PartError> {
        let bytes = header_bytes(header);
        out.write_all(&bytes)?;
        Ok(Self {
            out,
            kind: header.kind,
            effort: if header.level == 0 { Effort::Flush } else { Effort::Merge },
            offset: bytes.len() as u64,
            index: Vec::new(),
            raw: PendingRaw::default(),
            rollup: PendingRollup::default(),
            last: None,
            series: 0,
            points: 0,
            block: Vec::new(),
        })
    }

    /// Appends measures of a series; only to a raw part. Keys must not descend; of one key, the next call must begin
    /// after the last timestamp of the call before. Series longer than a block are cut.
    pub fn push_raw(&mut self, series: &SeriesColumns<'_>) -> Result<(), PartError> {
        let len = series.timestamps_ns.len();
        if self.kind != PartKind::Raw || series.values.len() != len {
            return Err(CodecError::Input("wrong kind of part, or columns of different length").into());
        }
        let (Some(first), Some(last)) = (series.timestamps_ns.first(), series.timestamps_ns.last()) else {
            return Ok(());
        };
        if self.last.is_some_and(|(key, _, newest)| (key, newest) >= (series.key, *first)) {
            return Err(CodecError::Input("series do not ascend").into());
        }
        self.note(series.key, 0, *last, len);
        if self.raw.len() + len > BLOCK_VALUES && self.raw.len() >= BLOCK_VALUES / 2 {
            self.cut_raw()?;
        }
        let mut from = 0;
        while from < len {
            let to = len.min(from + BLOCK_VALUES - self.raw.len());
            self.raw.push(series, from..to);
            if self.raw.len() >= BLOCK_VALUES {
                self.cut_raw()?;
            }
            from = to;
        }
        Ok(())
    }

    /// Appends aggregates of a series at one granularity; only to a rollup part. Sorted by (key, granularity), each
    /// pair once. Series longer than a block are cut.
    pub fn push_rollup(&mut self, series: &RollupColumns<'_>) -> Result<(), PartError> {
        let len = series.slots_ns.len();
        let whole = series.columns.iter().all(|(_, values)| values.len() == len);
        if self.kind != PartKind::Rollup || !whole {
            return Err(CodecError::Input("wrong kind of part, or columns of different length").into());
        }
        let Some(last) = series.slots_ns.last() else { return Ok(()) };
        let order = (series.key, series.granularity_ns);
        if self.last.is_some_and(|(key, granularity, _)| (key, granularity) >= order) {
            return Err(CodecError::Input("series do not ascend").into());
        }
        self.note(series.key, series.granularity_ns, *last, len);
        let width = series.columns.len().max(1);
        if self.rollup.values() + len * width > BLOCK_VALUES && self.rollup.values() >= BLOCK_VALUES / 2 {
            self.cut_rollup()?;
        }
        let mut from = 0;
        while from < len {
            let room = (BLOCK_VALUES.saturating_sub(self.rollup.values()) / width).max(1);
            let to = len.min(from + room);
            self.rollup.push(series, from..to);
            if self.rollup.values() + width > BLOCK_VALUES {
                self.cut_rollup()?;
            }
            from = to;
        }
        Ok(())
    }

    /// Writes what is left, the index and the trailer; the caller makes the file durable.
    pub fn finish(mut self) -> Result<(W, PartSummary), PartError> {
        if self.raw.len() > 0 {
            self.cut_raw()?;
        }
        if self.rollup.values() > 0 {
            self.cut_rollup()?;
        }
        let index = index_bytes(&self.index);
        let trailer = Trailer {
            index_len: u32::try_from(index.len())
                .map_err(|_| PartError::Damaged("the index is too large"))?,
            index_checksum: xxh3_64(&index),
            series: self.series,
            points: self.points,
        };
        let end = trailer.bytes();
        self.out.write_all(&index)?;
        self.out.write_all(&end)?;
        self.out.flush()?;
        let bytes = self.offset + (index.len() + end.len()) as u64;
        Ok((self.out, summary(&self.index, &trailer, bytes)))
    }

    fn note(&mut self, key: u64, granularity_ns: i64, newest_ns: i64, points: usize) {
        let known = self.last.is_some_and(|(last, _, _)| last == key);
        self.series += u64::from(!known);
        self.points += points as u64;
        self.last = Some((key, granularity_ns, newest_ns));
    }

    fn cut_raw(&mut self) -> Result<(), PartError> {
        self.block.clear();
        encode_raw_block(&self.raw.columns(), self.effort, &mut self.block)?;
        let entry = self.raw.entry();
        self.raw.clear();
        self.write_block(entry)
    }

    fn cut_rollup(&mut self) -> Result<(), PartError> {
        self.block.clear();
        self.rollup.with_columns(|series| encode_rollup_block(series, self.effort, &mut self.block))?;
        let entry = self.rollup.entry();
        self.rollup.clear();
        self.write_block(entry)
    }

    /// Writes the block with its frame: length and checksum follow the payload.
    fn write_block(&mut self, mut entry: BlockEntry) -> Result<(), PartError> {
        let too_large = |_| PartError::Damaged("a block is too large");
        let payload = u32::try_from(self.block.len()).map_err(too_large)?;
        let checksum = xxh3_64_with_seed(&self.block, self.offset);
        self.block.extend_from_slice(&payload.to_le_bytes());
        self.block.extend_from_slice(&checksum.to_le_bytes());
        self.out.write_all(&self.block)?;
        entry.offset = self.offset;
        entry.len = u32::try_from(self.block.len()).map_err(too_large)?;
        self.offset += u64::from(entry.len);
        self.index.push(entry);
        Ok(())
    }
}
