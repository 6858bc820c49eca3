//! Files as the engine sees them: a small seam, so that tests can lose, tear and refuse what real disks do.
//!
//! Paths are relative to the root that an implementation stands on, with `/` between their parts. A file's content
//! is durable after [`FileWriter::sync`], its name after [`Storage::sync_dir`] of its folder.

mod blocks;
mod files;

use std::io;
use std::sync::Arc;

pub use files::FileStorage;

/// A file being written, front to back. `write_all` of [`io::Write`] goes to the operating system at once;
/// callers buffer.
pub trait FileWriter: io::Write + Send {
    /// Makes everything written so far durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is written in whole blocks, each write durable when it returns.
///
/// A write touches its own blocks only, whatever becomes of it: a crash may leave each of them as it was or as it was to
/// be, and all others as they are. The file may be longer than what was written; what it holds there is anything.
pub trait BlockWriter: Send {
    /// Length of a block in bytes.
    fn block_bytes(&self) -> usize;

    /// Writes `blocks` from `offset` on, both multiples of the length of a block, and makes them durable. After an error
    /// nobody knows what these blocks hold.
    fn write_blocks(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()>;

    /// Cuts the file to `len` bytes and makes that durable.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// Positioned reading of a file; may be shared by threads.
#[expect(clippy::len_without_is_empty, reason = "a file's length is asked for to find its trailer")]
pub trait ReadAt: Send + Sync {
    /// Fills `buffer` from `offset`; a shorter file is an `UnexpectedEof`.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Length of the file in bytes.
    fn len(&self) -> io::Result<u64>;
}

/// A place for files.
pub trait Storage: Send + Sync {
    /// Creates `path`, or empties it where it exists, making its folders.
    fn create(&self, path: &str) -> io::Result<Box<dyn FileWriter>>;

    /// Begins to write `path` anew in blocks, creating it and its folders where it does not exist. Its first block is
    /// anything from now on; the others keep what they hold, and their room, until they are written.
    fn rewrite(&self, path: &str) -> io::Result<Box<dyn BlockWriter>>;

    /// Opens `path` for reading.
    fn open_read(&self, path: &str) -> io::Result<Arc<dyn ReadAt>>;

    /// Names of the files in folder `path`, sorted; none where the folder does not exist.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Removes the file `path`; it is no error where there is none.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Moves a file, replacing what is there, making the folders of the target.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes creations, renames and removals in folder `path` durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Bytes that may still be written.
    fn free_bytes(&self) -> io::Result<u64>;
}
