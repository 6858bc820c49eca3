//! Samples that a target refuses for good: kept in a file of bounded length, one in JSON a line, for people to look at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nephometer_model::{Sample, Timestamp};
use serde_json::json;

/// `refused.jsonl`, and `refused.1.jsonl` with those before them. Only the newest are kept.
pub struct RefusedFile {
    path: PathBuf,
    older: PathBuf,
    max_bytes: u64,
    open: Option<(File, u64)>,
}

impl RefusedFile {
    /// The file in `directory`; it is made when there is something to write.
    pub fn new(directory: &Path, max_bytes: u64) -> Self {
        let (path, older) = (directory.join("refused.jsonl"), directory.join("refused.1.jsonl"));
        Self { path, older, max_bytes, open: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes samples with the reason why they are here.
    pub fn write(&mut self, refused: &[(&Sample, &str)], now: Timestamp) -> io::Result<()> {
        let mut lines = Vec::new();
        for (sample, reason) in refused {
            let line = json!({"refused_at": now.isoformat(), "reason": reason, "sample": sample.to_map()});
            writeln!(lines, "{line}")?;
        }
        let (file, len) = match self.open.take() {
            Some((file, len)) if len < self.max_bytes => (file, len),
            Some(_) => self.begin()?,
            None => {
                let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
                let len = file.metadata()?.len();
                if len < self.max_bytes { (file, len) } else { self.begin()? }
            }
        };
        let (mut file, len) = (file, len + lines.len() as u64);
        file.write_all(&lines)?;
        self.open = Some((file, len));
        Ok(())
    }

    fn begin(&self) -> io::Result<(File, u64)> {
        fs::rename(&self.path, &self.older)?;
        Ok((OpenOptions::new().append(true).create(true).open(&self.path)?, 0))
    }
}
