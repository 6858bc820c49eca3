//! The data directory's lock, and the file in it that says where a running server listens.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::client::Endpoint;

const LOCK_NAME: &str = "lock";
const RUN_NAME: &str = "run.json";

/// Holds a data directory for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataDirLock {
    _file: File,
    run_path: PathBuf,
}

impl DataDirLock {
    /// Makes the directory where it is missing and locks it; fails where another process has it.
    pub(crate) fn acquire(data_dir: &Path) -> Result<Self> {
        let shown = data_dir.display();
        fs::create_dir_all(data_dir).with_context(|| format!("cannot make the data directory {shown}"))?;
        let path = data_dir.join(LOCK_NAME);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another process uses the data directory {shown}; stop it, or choose another directory with \
                     --set storage.data_dir=…"
                )
            }
            Err(TryLockError::Error(e)) => return Err(e).with_context(|| format!("cannot lock {shown}")),
        }
        let lock = Self { _file: file, run_path: data_dir.join(RUN_NAME) };
        // A server that was killed leaves its run file behind.
        lock.remove_run_file()?;
        Ok(lock)
    }

    /// Says where this process listens.
    pub(crate) fn write_run_file(&self, run: &RunFile) -> Result<()> {
        let temporary = self.run_path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(run)?)?;
        fs::rename(&temporary, &self.run_path)
            .with_context(|| format!("cannot write {}", self.run_path.display()))
    }

    fn remove_run_file(&self) -> Result<()> {
        match fs::remove_file(&self.run_path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove {}", self.run_path.display()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for DataDirLock {
    fn drop(&mut self) {
        if let Err(e) = self.remove_run_file() {
            tracing::warn!("{e:#}");
        }
    }
}

/// Where a running server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Its process.
    pub(crate) pid: u32,
    /// The metric API.
    pub(crate) metric_api: SocketAddr,
    /// The alarm API, where it is served.
    #[serde(default)]
    pub(crate) alarm_api: Option<SocketAddr>,
    /// `/metrics` and `/status`, where they are served.
    pub(crate) admin: Option<SocketAddr>,
    /// Which of them speak TLS.
    #[serde(default)]
    pub(crate) tls: Vec<String>,
}

impl RunFile {
    /// The scheme of URLs on a listener.
    pub(crate) fn scheme(&self, listener: &str) -> &'static str {
        if self.tls.iter().any(|name| name == listener) { "https" } else { "http" }
    }

    /// Where the metric API is.
    pub(crate) fn metric_api_url(&self) -> String {
        format!("{}://{}", self.scheme("metric_api"), self.metric_api)
    }

    /// Where the alarm API is, where it is served.
    pub(crate) fn alarm_api_url(&self) -> Option<String> {
        Some(format!("{}://{}", self.scheme("alarm_api"), self.alarm_api?))
    }

    /// Where `/status` and `/metrics` are, where they are served.
    pub(crate) fn admin_endpoint(&self) -> Option<Endpoint> {
        Endpoint::of_run_file(self.admin?, self.scheme("admin") == "https").ok()
    }

    /// The run file of a data directory; nothing where no server runs there.
    pub(crate) fn read(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(RUN_NAME);
        match fs::read(&path) {
            Ok(bytes) => {
                Ok(Some(serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("a/b");
        assert_eq!(RunFile::read(&data_dir).unwrap(), None);
        let lock = DataDirLock::acquire(&data_dir).unwrap();
        let refused = DataDirLock::acquire(&data_dir).unwrap_err().to_string();
        assert!(refused.contains("another process uses the data directory"), "{refused}");
        let run = RunFile {
            pid: 1,
            metric_api: "127.0.0.1:8041".parse().unwrap(),
            alarm_api: None,
            admin: None,
            tls: Vec::new(),
        };
        lock.write_run_file(&run).unwrap();
        assert_eq!(RunFile::read(&data_dir).unwrap(), Some(run));
        drop(lock);
        assert_eq!(RunFile::read(&data_dir).unwrap(), None);
        DataDirLock::acquire(&data_dir).unwrap();
    }
}
