//! Files as the engine sees them: a small seam, so that tests can lose, tear and refuse what real disks do.
//!
//! Paths are relative to the root that an implementation stands on, with `/` between their parts. A file's content
//! is durable after [`FileWriter::sync`], its name after [`Storage::sync_dir`] of its folder.

mod files;

use std::io;
use std::sync::Arc;

pub use files::FileStorage;

/// A file being written, front to back. `write_all` of [`io::Write`] goes to the operating system at once;
/// callers buffer.
pub trait FileWriter: io::Write + Send {
    /// Makes everything written so far durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes and goes on writing there.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
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
