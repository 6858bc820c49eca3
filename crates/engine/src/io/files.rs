//! Real files below one folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::blocks::RealBlocks;
use super::{BlockWriter, FileWriter, ReadAt, Storage};

/// Files of parts that are kept open between reads.
const OPEN_FILES: usize = 256;

/// The files below one folder.
#[derive(Debug)]
pub struct FileStorage {
    root: PathBuf,
    open: Arc<OpenFiles>,
}

impl FileStorage {
    /// Stands on `root`, which is made where it does not exist.
    pub fn new(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned(), open: Arc::new(OpenFiles::default()) })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The path of a file that is about to be written, in a folder that exists.
    fn path_to_write(&self, path: &str) -> io::Result<PathBuf> {
        let path = self.path(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        self.open.forget(&path);
        Ok(path)
    }
}

impl Storage for FileStorage {
    fn create(&self, path: &str) -> io::Result<Box<dyn FileWriter>> {
        let file = File::create(self.path_to_write(path)?)?;
        Ok(Box::new(RealWriter { file }))
    }

    fn rewrite(&self, path: &str) -> io::Result<Box<dyn BlockWriter>> {
        Ok(Box::new(RealBlocks::open(&self.path_to_write(path)?)?))
    }

    fn open_read(&self, path: &str) -> io::Result<Arc<dyn ReadAt>> {
        let path = self.path(path);
        self.open.file(&path)?;
        Ok(Arc::new(RealReader { path, open: Arc::clone(&self.open) }))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(path)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.path(path);
        self.open.forget(&path);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        self.open.forget(&from);
        self.open.forget(&to);
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = self.path(path);
        fs::create_dir_all(&path)?;
        File::open(path)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let free = rustix::fs::statvfs(&self.root)?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize))
    }
}

struct RealWriter {
    file: File,
}

impl Write for RealWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileWriter for RealWriter {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A file that is opened again where it had to be closed for others.
struct RealReader {
    path: PathBuf,
    open: Arc<OpenFiles>,
}

impl ReadAt for RealReader {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.open.file(&self.path)?.read_exact_at(buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.open.file(&self.path)?.metadata()?.len())
    }
}

/// Recently used files, bounded, so that thousands of parts do not exhaust the process's descriptors.
#[derive(Debug, Default)]
struct OpenFiles {
    recent: Mutex<Vec<(PathBuf, Arc<File>)>>,
}

impl OpenFiles {
    fn file(&self, path: &Path) -> io::Result<Arc<File>> {
        let mut recent = self.recent.lock();
        if let Some(at) = recent.iter().rposition(|(known, _)| known.as_os_str() == path.as_os_str()) {
            let last = recent.len() - 1;
            // Good enough an order of use: a used file moves half the way to the young end.
            let target = at.midpoint(last);
            recent.swap(at, target);
            return Ok(Arc::clone(&recent[target].1));
        }
        let file = Arc::new(File::open(path)?);
        if recent.len() == OPEN_FILES {
            recent.remove(0);
        }
        recent.push((path.to_owned(), Arc::clone(&file)));
        Ok(file)
    }

    fn forget(&self, path: &Path) {
        self.recent.lock().retain(|(known, _)| known != path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_reads_moves_and_lists() {
        let dir = tempfile::tempdir().unwrap();
        let storage = FileStorage::new(dir.path()).unwrap();
        let mut file = storage.create("a/one").unwrap();
        file.write_all(b"hello").unwrap();
        file.write_all(b"!").unwrap();
        file.sync().unwrap();
        storage.sync_dir("a").unwrap();
        let reader = storage.open_read("a/one").unwrap();
        let mut buffer = [0; 6];
        reader.read_exact_at(0, &mut buffer).unwrap();
        assert_eq!((&buffer, reader.len().unwrap()), (b"hello!", 6));
        assert!(reader.read_exact_at(1, &mut buffer).is_err());
        storage.rename("a/one", "b/two").unwrap();
        assert_eq!(storage.list("a").unwrap(), Vec::<String>::new());
        assert_eq!(storage.list("b").unwrap(), ["two"]);
        storage.remove("b/two").unwrap();
        storage.remove("b/two").unwrap();
        assert_eq!(storage.list("nowhere").unwrap(), Vec::<String>::new());
        assert!(storage.free_bytes().unwrap() > 0);
    }

    #[test]
    fn blocks_are_written_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let storage = FileStorage::new(dir.path()).unwrap();
        let mut file = storage.rewrite("a/one").unwrap();
        let block = file.block_bytes();
        let filled = |byte: u8, blocks: usize| vec![byte; blocks * block];
        // More than is written at once.
        let long = (3 << 20) / block + 1;
        file.write_blocks(0, &filled(1, long)).unwrap();
        file.write_blocks(block as u64, &filled(2, 3)).unwrap();
        let content = || fs::read(dir.path().join("a/one")).unwrap();
        let expected = [filled(1, 1), filled(2, 3), filled(1, long - 4)].concat();
        assert!(content().starts_with(&expected));
        // It is longer now than what is in it, and a write behind that finds room.
        let room = content().len();
        assert!(room > expected.len() && content()[expected.len()..].iter().all(|byte| *byte == 0));
        file.write_blocks(expected.len() as u64, &filled(3, 1)).unwrap();
        assert_eq!(content().len(), room);
        file.cut(2 * block as u64).unwrap();
        assert_eq!(content(), [filled(1, 1), filled(2, 1)].concat());
        drop(file);
        storage.rename("a/one", "a/two").unwrap();
        let mut file = storage.rewrite("a/two").unwrap();
        file.write_blocks(2 * block as u64, &filled(4, 1)).unwrap();
        let content = fs::read(dir.path().join("a/two")).unwrap();
        assert!(content[block..].starts_with(&[filled(2, 1), filled(4, 1)].concat()));
    }

    #[test]
    fn more_files_than_may_be_open() {
        let dir = tempfile::tempdir().unwrap();
        let storage = FileStorage::new(dir.path()).unwrap();
        let readers: Vec<_> = (0..OPEN_FILES + 10)
            .map(|i| {
                let path = format!("f/{i}");
                storage.create(&path).unwrap().write_all(i.to_string().as_bytes()).unwrap();
                (i, storage.open_read(&path).unwrap())
            })
            .collect();
        for (i, reader) in readers {
            let mut buffer = vec![0; i.to_string().len()];
            reader.read_exact_at(0, &mut buffer).unwrap();
            assert_eq!(buffer, i.to_string().as_bytes());
        }
    }
}
