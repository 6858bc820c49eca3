//! The data directory's lock, and the files in it that say which processes run here and where they listen.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::client::Endpoint;

const LOCK_NAME: &str = "lock";
/// Of the process that holds the directory.
const RUN_NAME: &str = "run.json";
/// Of the others: one file each, named by service and process.
const BESIDE_NAME: &str = "run";

/// Holds a data directory for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataDirLock {
    _file: File,
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
                let holder = RunFile::read(data_dir).ok().flatten();
                let holder = holder
                    .map_or_else(String::new, |run| format!(" (`{}`, process {})", run.service, run.pid));
                bail!(
                    "another process uses the data directory {shown}{holder}; stop it, or choose another directory with \
                     --set storage.data_dir=…"
                )
            }
            Err(TryLockError::Error(e)) => return Err(e).with_context(|| format!("cannot lock {shown}")),
        }
        // A server that was killed leaves its run file behind.
        remove(&data_dir.join(RUN_NAME))?;
        Ok(Self { _file: file })
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Where this process says that it runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Whether the process is of no use where it cannot say so.
    is_required: bool,
}

impl Place {
    /// Of the process that holds the data directory; to be dropped before the lock.
    pub(crate) fn of_holder(data_dir: &Path) -> Self {
        Self { path: data_dir.join(RUN_NAME), is_required: true }
    }

    /// Of another process of `service`, which may be on another host or have no rights in the directory: then `status`
    /// does not find it.
    pub(crate) fn beside(data_dir: &Path, service: &str) -> Self {
        let name = format!("{service}-{}.json", std::process::id());
        Self { path: data_dir.join(BESIDE_NAME).join(name), is_required: false }
    }

    /// Says where this process listens.
    pub(crate) fn write(&self, run: &RunFile) -> Result<()> {
        match self.try_write(run) {
            Err(error) if !self.is_required => {
                tracing::warn!("`nephometer status` will not find this process: {error:#}");
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn try_write(&self, run: &RunFile) -> Result<()> {
        let shown = || format!("cannot write {}", self.path.display());
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory).with_context(shown)?;
        }
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary).with_context(shown)?;
        file.write_all(&serde_json::to_vec_pretty(run)?)?;
        fs::rename(&temporary, &self.path).with_context(shown)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(e) = remove(&self.path) {
            tracing::warn!("{e:#}");
        }
    }
}

/// Where a running server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// What it is.
    pub(crate) service: String,
    /// What it does.
    pub(crate) roles: Vec<String>,
    /// Its process.
    pub(crate) pid: u32,
    /// The metric API, where it is served.
    pub(crate) metric_api: Option<SocketAddr>,
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

    /// Where the metric API is, where it is served.
    pub(crate) fn metric_api_url(&self) -> Option<String> {
        Some(format!("{}://{}", self.scheme("metric_api"), self.metric_api?))
    }

    /// Where the alarm API is, where it is served.
    pub(crate) fn alarm_api_url(&self) -> Option<String> {
        Some(format!("{}://{}", self.scheme("alarm_api"), self.alarm_api?))
    }

    /// Where `/status` and `/metrics` are, where they are served.
    pub(crate) fn admin_endpoint(&self) -> Option<Endpoint> {
        Endpoint::of_run_file(self.admin?, self.scheme("admin") == "https").ok()
    }

    /// The run file of the process that holds a data directory; nothing where none does.
    pub(crate) fn read(data_dir: &Path) -> Result<Option<Self>> {
        Self::read_file(&data_dir.join(RUN_NAME))
    }

    /// Those of the other processes that were started here, in the order of their services. One that was killed leaves its
    /// file behind: what `is_alive` does not know is removed.
    pub(crate) fn beside(data_dir: &Path, is_alive: impl Fn(u32) -> bool) -> Result<Vec<Self>> {
        let entries = match fs::read_dir(data_dir.join(BESIDE_NAME)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| data_dir.join(BESIDE_NAME).display().to_string())?,
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut found = Vec::new();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        {
            match Self::read_file(path)? {
                Some(run) if is_alive(run.pid) => found.push(run),
                // Whose directory it is may be another user's.
                Some(_) => drop(remove(path)),
                None => {}
            }
        }
        Ok(found)
    }

    fn read_file(path: &Path) -> Result<Option<Self>> {
        match fs::read(path) {
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
        let place = Place::of_holder(&data_dir);
        place.write(&run(1)).unwrap();
        assert_eq!(RunFile::read(&data_dir).unwrap(), Some(run(1)));
        let refused = DataDirLock::acquire(&data_dir).unwrap_err().to_string();
        assert!(refused.contains("(`serve`, process 1)"), "{refused}");
        drop(place);
        assert_eq!(RunFile::read(&data_dir).unwrap(), None);
        drop(lock);
        DataDirLock::acquire(&data_dir).unwrap();
    }

    fn run(pid: u32) -> RunFile {
        RunFile {
            service: "serve".to_owned(),
            roles: vec!["metric_api".to_owned()],
            pid,
            metric_api: Some("127.0.0.1:8041".parse().unwrap()),
            alarm_api: None,
            admin: None,
            tls: Vec::new(),
        }
    }

    #[test]
    fn any_number_of_others() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        assert_eq!(RunFile::beside(&data_dir, |_| true).unwrap(), []);
        let places = ["notifier", "evaluator"].map(|service| Place::beside(&data_dir, service));
        places[0].write(&run(2)).unwrap();
        places[1].write(&run(3)).unwrap();
        let pids = |is_alive: fn(u32) -> bool| {
            let found = RunFile::beside(&data_dir, is_alive).unwrap();
            found.into_iter().map(|run| run.pid).collect::<Vec<_>>()
        };
        assert_eq!(pids(|_| true), [3, 2]);
        assert_eq!(pids(|pid| pid == 2), [2]);
        assert_eq!(pids(|_| true), [2], "what a killed process left is removed");
        drop(places);
        assert_eq!(pids(|_| true), [0_u32; 0]);
    }
}
