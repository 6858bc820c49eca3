//! SQLite: one writer connection and a few reader connections, each on a thread of its own.
//!
//! Writes that wait together share one transaction and one fsync; a failing one takes nothing else along. Answers are
//! sent after the commit.

mod session;
mod threads;
mod trigrams;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError};
use rusqlite::Connection;

use crate::session::{Operation, Shared};
use crate::{Failure, OpenError, migrate};
use session::SqliteSession;
use threads::{Job, Task};

/// How many operations may wait for the writer or for the readers; beyond, they are refused at once.
const QUEUE_LENGTH: usize = 4096;

/// So many pages of the log are folded into the database at a time: pages that several writes have changed are then
/// written and synced once.
const LOG_PAGES: i64 = 4000;

/// Where the embedded database is and how much it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// The file; made where it does not exist.
    pub path: PathBuf,
    /// Threads that read, at least one.
    pub readers: usize,
    /// Page cache of the writer, in KiB, and of the readers half as much each; while they have nothing to do, nothing.
    pub cache_kib: u32,
}

impl SqliteSettings {
    /// The usual settings for the file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 4, cache_kib: 32 * 1024 }
    }
}

/// An open database. Dropping it waits for what is under way.
pub(crate) struct SqliteDatabase {
    writes: Option<Sender<Box<dyn Job>>>,
    reads: Option<Sender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl SqliteDatabase {
    /// Opens the file, brings its schema up to date and starts the threads.
    pub(crate) fn open(settings: &SqliteSettings, shared: &Arc<Shared>) -> Result<Self, OpenError> {
        let mut writer = connect(&settings.path, settings.cache_kib)?;
        migrate::sqlite(&mut writer)?;
        writer.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        let (writes, queue) = crossbeam_channel::bounded(QUEUE_LENGTH);
        let session = SqliteSession::new(writer, Arc::clone(shared));
        let mut threads = vec![threads::spawn("index-writer", move || threads::write(session, &queue))?];
        let (reads, queue) = crossbeam_channel::bounded(QUEUE_LENGTH);
        for number in 0..settings.readers.max(1) {
            let connection = connect(&settings.path, settings.cache_kib / 2)?;
            connection.pragma_update(None, "query_only", true)?;
            // Not for the writer: what its savepoints remember in memory makes each statement slower than the last.
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            let session = SqliteSession::new(connection, Arc::clone(shared));
            let queue = queue.clone();
            let name = format!("index-reader-{number}");
            threads.push(threads::spawn(&name, move || threads::read(session, &queue))?);
        }
        Ok(Self { writes: Some(writes), reads: Some(reads), threads })
    }

    /// Runs an operation without waiting; `reply` receives the outcome on a thread of the database.
    fn submit<A, T>(
        &self,
        writes: bool,
        args: A,
        operation: Operation<A, T>,
        reply: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let task = Box::new(Task::new(args, operation, reply));
        let queue = if writes { &self.writes } else { &self.reads };
        let Some(queue) = queue else { return };
        match queue.try_send(task) {
            Ok(()) => {}
            Err(TrySendError::Full(task)) => {
                task.refuse(Failure::Unavailable("too many operations are waiting".to_owned()));
            }
            Err(TrySendError::Disconnected(task)) => task.refuse(stopped()),
        }
    }

    /// Runs an operation and waits asynchronously.
    pub(crate) async fn run<A, T>(
        &self,
        writes: bool,
        args: A,
        operation: Operation<A, T>,
    ) -> Result<T, Failure>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // The caller may have gone away meanwhile: then nobody wants the answer.
        self.submit(writes, args, operation, move |outcome| drop(sender.send(outcome)));
        receiver.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Runs an operation and blocks the calling thread.
    pub(crate) fn run_blocking<A, T>(
        &self,
        writes: bool,
        args: A,
        operation: Operation<A, T>,
    ) -> Result<T, Failure>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.submit(writes, args, operation, move |outcome| drop(sender.send(outcome)));
        receiver.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for SqliteDatabase {
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the index has panicked");
            }
        }
    }
}

fn stopped() -> Failure {
    Failure::Unavailable("the index is stopping".to_owned())
}

/// A connection as we want it: write-ahead log, durable commits, case-sensitive LIKE, foreign keys.
fn connect(path: &Path, cache_kib: u32) -> Result<Connection, OpenError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "case_sensitive_like", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    connection.set_prepared_statement_cache_capacity(256);
    rusqlite::vtab::array::load_module(&connection)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
