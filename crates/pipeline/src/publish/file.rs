//! `file://`: a line for each sample, in files that are turned over as Python's logging turns them over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::Sample;
use parking_lot::Mutex;

use super::address::Address;
use super::plain::{self, Form};
use crate::{PublishError, Publisher};

/// See the module.
pub(super) struct FilePublisher {
    name: String,
    form: Form,
    lines: Arc<Mutex<Lines>>,
}

/// The file, and when another begins.
struct Lines {
    path: PathBuf,
    /// Most bytes of a file, and how many older ones are kept; one file for ever where either is 0.
    rotation: Option<(u64, u32)>,
    open: Option<(File, u64)>,
}

impl FilePublisher {
    pub(super) fn new(address: &mut Address) -> Result<Self, String> {
        let name = address.to_string();
        let path = percent_encoding::percent_decode_str(&address.path).decode_utf8_lossy().into_owned();
        if path.is_empty() || path.ends_with('/') {
            return Err("The path for the file publisher is required".to_owned());
        }
        let max_bytes: u64 = address.take_number("max_bytes", 0)?;
        let backup_count: u32 = address.take_number("backup_count", 0)?;
        let form = if address.take("json").is_some() { Form::Json } else { Form::Repr };
        let rotation = (max_bytes > 0 && backup_count > 0).then_some((max_bytes, backup_count));
        let mut lines = Lines { path: path.into(), rotation, open: None };
        // A file that cannot be written is known at once.
        let opened = lines.file().map(drop);
        opened.map_err(|error| format!("{}: {error}", lines.path.display()))?;
        Ok(Self { name, form, lines: Arc::new(Mutex::new(lines)) })
    }
}

#[async_trait]
impl Publisher for FilePublisher {
    fn target(&self) -> &str {
        &self.name
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        let texts: Vec<_> = samples.iter().map(|sample| plain::text(sample, self.form)).collect();
        let lines = Arc::clone(&self.lines);
        let written = tokio::task::spawn_blocking(move || lines.lock().write(&texts)).await;
        let written = written.map_err(|error| PublishError::Later(error.to_string()))?;
        written.map_err(|error| PublishError::Later(error.to_string()))
    }
}

impl Lines {
    /// The open file and its length.
    fn file(&mut self) -> io::Result<&mut (File, u64)> {
        let open = match self.open.take() {
            // Somebody may have moved it away.
            Some(open) if self.path.exists() => open,
            _ => {
                let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
                let len = file.metadata()?.len();
                (file, len)
            }
        };
        Ok(self.open.insert(open))
    }

    /// Writes lines; they are on disk when this returns.
    fn write(&mut self, texts: &[String]) -> io::Result<()> {
        let mut pending = Vec::new();
        for text in texts {
            let rotation = self.rotation;
            let len = self.file()?.1 + pending.len() as u64 + text.len() as u64 + 1;
            if let Some((max_bytes, backup_count)) = rotation.filter(|(max_bytes, _)| len >= *max_bytes) {
                self.flush(&mut pending)?;
                if self.file()?.1 > 0 || text.len() as u64 > max_bytes {
                    self.turn_over(backup_count)?;
                }
            }
            pending.extend_from_slice(text.as_bytes());
            pending.push(b'\n');
        }
        self.flush(&mut pending)
    }

    fn flush(&mut self, pending: &mut Vec<u8>) -> io::Result<()> {
        let (file, len) = self.file()?;
        let written = file.write_all(pending).and_then(|()| file.sync_data());
        *len += pending.len() as u64;
        pending.clear();
        if written.is_err() {
            // Its length is not known any more.
            self.open = None;
        }
        written
    }

    /// Begins a new file; `.1` is the one before it, and what was the oldest goes.
    fn turn_over(&mut self, backup_count: u32) -> io::Result<()> {
        self.open = None;
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..backup_count).rev() {
            move_if_there(&numbered(number), &numbered(number + 1))?;
        }
        move_if_there(&self.path, &numbered(1))
    }
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}

#[cfg(test)]
mod tests {
    use nephometer_model::{Meter, MeterType, SecretUrl};

    use super::*;

    fn samples(count: i64) -> Vec<Sample> {
        let meter = Meter::new("cpu", MeterType::Gauge, "ns");
        (0..count).map(|number| Sample::new(&meter, number, "an-id")).collect()
    }

    #[tokio::test]
    async fn files_are_turned_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("samples");
        let url = format!("file://{}?max_bytes=700&backup_count=2&json", path.display());
        let publisher = FilePublisher::new(&mut Address::parse(&SecretUrl::new(url)).unwrap()).unwrap();
        publisher.publish(&samples(7)).await.unwrap();
        publisher.publish(&samples(1)).await.unwrap();
        let volumes = |suffix: &str| {
            let text = fs::read_to_string(format!("{}{suffix}", path.display())).unwrap_or_default();
            let volume =
                |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["volume"].clone();
            text.lines().map(|line| volume(line).as_i64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(
            [volumes(""), volumes(".1"), volumes(".2"), volumes(".3")],
            [vec![6, 0], vec![4, 5], vec![2, 3], vec![]]
        );
    }

    #[test]
    fn files_need_a_place() {
        let wrong = |url: &str| FilePublisher::new(&mut Address::parse(&SecretUrl::new(url)).unwrap()).err();
        assert_eq!(wrong("file://"), Some("The path for the file publisher is required".to_owned()));
        assert!(wrong("file:///tmp/x?max_bytes=many").unwrap().contains("max_bytes=many"));
        assert!(wrong("file:///no/such/directory/x").unwrap().contains("/no/such/directory/x"));
    }
}
