//! Lines that go to standard error and, where one is named, to a file that outlives the terminal.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Where the lines of a long run go.
pub(super) struct Log(Option<File>);

impl Log {
    /// Appends to the file at `path` too, where there is one.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| path.display().to_string())
        };
        Ok(Self(path.map(open).transpose()?))
    }

    /// Says something.
    pub(super) fn line(&self, text: &str) {
        eprintln!("{text}");
        if let Some(mut file) = self.0.as_ref()
            && let Err(error) = writeln!(file, "{text}")
        {
            tracing::warn!(%error, "the log of the run cannot be written");
        }
    }
}
