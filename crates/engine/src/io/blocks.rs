//! A real file in blocks. Writes go around the page cache where the file system can: there a write costs the disk its
//! own blocks, while the cache would write whole pages, among them those of earlier writes again.
//!
//! A write into room that the file has already changes nothing but data. One that makes the file longer also costs the
//! file system a note in its journal, so a file grows by more than is needed, and is best written anew when it is done with.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use super::BlockWriter;

/// Blocks that are tried where the page cache is gone around: the smallest that disks have.
const SMALL_BLOCK: usize = 512;
/// Blocks elsewhere: pages of the cache, and the largest that disks have.
const LARGE_BLOCK: usize = 4096;
/// Bytes written at once: blocks are copied to where the operating system takes them from.
const PIECE: usize = 1 << 20;
/// A file grows by as much as it has, up to so many bytes.
const GROWTH: u64 = 256 << 10;

pub(super) struct RealBlocks {
    file: File,
    block_bytes: usize,
    /// Length of the file.
    room: u64,
    /// Holds a piece, from where it lies at a multiple of the largest block.
    piece: Vec<u8>,
}

impl RealBlocks {
    /// Opens the file at `path`, or creates it. Its first block is lost.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        for block_bytes in [SMALL_BLOCK, LARGE_BLOCK] {
            let Some(file) = open(path, OFlags::DIRECT)? else { break };
            let mut blocks = Self::new(file, block_bytes)?;
            // Which blocks a file system takes is best found out by giving it one.
            match blocks.write_blocks(0, &vec![0; block_bytes]) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                tried => return tried.map(|()| blocks),
            }
        }
        let file = open(path, OFlags::empty())?.ok_or(io::ErrorKind::InvalidInput)?;
        Self::new(file, LARGE_BLOCK)
    }

    fn new(file: File, block_bytes: usize) -> io::Result<Self> {
        let room = file.metadata()?.len();
        Ok(Self { file, block_bytes, room, piece: Vec::new() })
    }

    /// How many bytes to write where `end` is as far as is needed: more, where the file must grow for it.
    fn grown(&self, end: u64) -> u64 {
        if end <= self.room {
            return end;
        }
        let grown = self.room + self.room.min(GROWTH);
        end.max(grown).next_multiple_of(self.block_bytes as u64)
    }

    fn write_piece(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        let end = self.grown(offset + blocks.len() as u64);
        let len = usize::try_from(end - offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.piece.resize(LARGE_BLOCK + len, 0);
        let start = self.piece.as_ptr().align_offset(LARGE_BLOCK);
        let piece = &mut self.piece[start..start + len];
        piece[..blocks.len()].copy_from_slice(blocks);
        piece[blocks.len()..].fill(0);
        write_durably(&self.file, piece, offset)?;
        self.room = self.room.max(end);
        Ok(())
    }
}

/// Opens or creates a file; nothing where its file system does not know these flags.
fn open(path: &Path, flags: OFlags) -> io::Result<Option<File>> {
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    match OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
        opened => opened.map(Some),
    }
}

/// Writes all of `bytes` and waits until they, and what is needed to find them, are durable. The file's times are not
/// waited for: they would cost a note in the journal each time.
fn write_durably(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let (mut bytes, mut offset) = (bytes, offset);
    while !bytes.is_empty() {
        match pwritev2(file, &[IoSlice::new(bytes)], offset, ReadWriteFlags::DSYNC) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl BlockWriter for RealBlocks {
    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn write_blocks(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        debug_assert!(offset.is_multiple_of(self.block_bytes as u64));
        debug_assert!(blocks.len().is_multiple_of(self.block_bytes));
        let mut offset = offset;
        for blocks in blocks.chunks(PIECE) {
            self.write_piece(offset, blocks)?;
            offset += blocks.len() as u64;
        }
        Ok(())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.room = len;
        self.file.sync_data()
    }
}
