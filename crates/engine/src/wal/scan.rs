//! A segment's file, read front to back, a piece at a time.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::segment::{FRAME_LEN, Frame, find_magic};
use crate::io::ReadAt;

/// Bytes read at once, or as many as a record has.
const PIECE: usize = 1 << 20;

/// A verified record inside a segment.
pub(super) struct Found {
    pub(super) frame: Frame,
    /// Where in the file its frame begins and its payload ends.
    pub(super) range: Range<usize>,
}

/// The file of a segment and the piece of it that is in memory.
pub(super) struct SegmentFile {
    file: Arc<dyn ReadAt>,
    len: usize,
    /// Where in the file the piece begins.
    begin: usize,
    piece: Vec<u8>,
}

impl SegmentFile {
    pub(super) fn open(file: Arc<dyn ReadAt>) -> io::Result<Self> {
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok(Self { file, len, begin: 0, piece: Vec::new() })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes in `range`, or nothing where the file ends before.
    pub(super) fn bytes(&mut self, range: Range<usize>) -> io::Result<Option<&[u8]>> {
        if range.end > self.len {
            return Ok(None);
        }
        if range.start < self.begin || range.end > self.begin + self.piece.len() {
            let len = range.len().max(PIECE).min(self.len - range.start);
            self.piece.resize(len, 0);
            self.begin = range.start;
            self.file.read_exact_at(range.start as u64, &mut self.piece)?;
        }
        Ok(self.piece.get(range.start - self.begin..range.end - self.begin))
    }

    /// The payload of a record.
    pub(super) fn payload(&mut self, found: &Found) -> io::Result<&[u8]> {
        let payload = self.bytes(found.range.start + FRAME_LEN..found.range.end)?;
        payload.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The record at `offset`, if there is a good one.
    pub(super) fn record_at(&mut self, offset: usize, salt: u64) -> io::Result<Option<Found>> {
        let start = offset + FRAME_LEN;
        let Some(head) = self.bytes(offset..start)?.and_then(|head| head.first_chunk()) else {
            return Ok(None);
        };
        let Some(frame) = Frame::parse(head, salt) else { return Ok(None) };
        let range = start..start.saturating_add(frame.payload_len);
        let good = self.bytes(range.clone())?.is_some_and(|payload| frame.vouches_for(payload, salt));
        Ok(good.then_some(Found { frame, range: offset..range.end }))
    }

    /// How much there is of a record at `offset` whose frame is good though the whole is not.
    pub(super) fn begun_at(&mut self, offset: usize, salt: u64) -> io::Result<usize> {
        let left = self.len.saturating_sub(offset);
        let head = self.bytes(offset..offset + FRAME_LEN)?.and_then(|head| head.first_chunk());
        let frame = head.and_then(|head| Frame::parse(head, salt));
        Ok(frame.map_or(0, |frame| left.min(FRAME_LEN + frame.payload_len)))
    }

    /// The next good record behind `offset`, if there is one.
    pub(super) fn next_record(&mut self, offset: usize, salt: u64) -> io::Result<Option<Found>> {
        let mut from = offset + 1;
        while from + FRAME_LEN <= self.len {
            let end = (from + PIECE).min(self.len);
            let Some(magic) = self.bytes(from..end)?.and_then(find_magic) else {
                // What begins in the last bytes of a piece is whole in the next one.
                from = end - 3;
                continue;
            };
            from += magic;
            if let Some(found) = self.record_at(from, salt)? {
                return Ok(Some(found));
            }
            from += 1;
        }
        Ok(None)
    }
}
