//! The threads that own SQLite's connections.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use futures::FutureExt;

use super::session::SqliteSession;
use super::trigrams;
use crate::session::{Operation, Session};
use crate::{Failure, OpenError};

/// A thread that had nothing to do for so long gives back the memory of its connection; the writer folds the log into
/// the database first.
const IDLE: Duration = Duration::from_secs(5);
/// At most so many writes share a transaction,
const GROUP_WRITES: usize = 256;
/// and none joins one that is older than this.
const GROUP_NS: u64 = 10_000_000;

/// What waits for a connection.
pub(crate) trait Job: Send {
    /// Does it, for the first time or once more after what it did was undone; gives whether it succeeded.
    fn run(&mut self, session: &mut SqliteSession) -> bool;
    /// Whether it succeeded when it ran last.
    fn has_succeeded(&self) -> bool;
    /// Tells the caller how it ended, if nobody does it again.
    fn tell(self: Box<Self>);
    /// Tells the caller that it came to nothing.
    fn refuse(self: Box<Self>, failure: Failure);
}

/// An operation with its arguments and where the answer goes.
pub(crate) struct Task<A, T> {
    args: A,
    operation: Operation<A, T>,
    reply: Box<dyn FnOnce(Result<T, Failure>) + Send>,
    outcome: Result<T, Failure>,
}

impl<A, T> Task<A, T> {
    pub(crate) fn new(
        args: A,
        operation: Operation<A, T>,
        reply: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) -> Self {
        let outcome = Err(Failure::Internal("an operation has not run".to_owned()));
        Self { args, operation, reply: Box::new(reply), outcome }
    }
}

impl<A: Send + Sync + 'static, T: Send + 'static> Job for Task<A, T> {
    fn run(&mut self, session: &mut SqliteSession) -> bool {
        let Self { args, operation, .. } = self;
        self.outcome = catch_unwind(AssertUnwindSafe(|| operation(session, args).now_or_never()))
            .unwrap_or_else(|_| Some(Err(Failure::Internal("an operation panicked".to_owned()))))
            .unwrap_or_else(|| Err(Failure::Internal("an operation waited inside SQLite".to_owned())));
        self.outcome.is_ok()
    }

    fn has_succeeded(&self) -> bool {
        self.outcome.is_ok()
    }

    fn tell(self: Box<Self>) {
        (self.reply)(self.outcome);
    }

    fn refuse(self: Box<Self>, failure: Failure) {
        (self.reply)(Err(failure));
    }
}

pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| OpenError::Database(format!("cannot start a thread: {error}")))
}

/// The reader: each job sees one state of the database.
pub(crate) fn read(mut session: SqliteSession, queue: &Receiver<Box<dyn Job>>) {
    let mut has_read = false;
    loop {
        match queue.recv_timeout(IDLE) {
            Ok(job) => {
                read_one(&mut session, job);
                has_read = true;
            }
            Err(RecvTimeoutError::Timeout) if has_read => {
                give_memory_back(&session);
                has_read = false;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

fn read_one(session: &mut SqliteSession, mut job: Box<dyn Job>) {
    if let Err(failure) = session.control("BEGIN") {
        job.refuse(failure);
        return;
    }
    job.run(session);
    finish(session, "COMMIT");
    job.tell();
}

/// The writer: groups of jobs, one transaction each.
pub(crate) fn write(mut session: SqliteSession, queue: &Receiver<Box<dyn Job>>) {
    let mut written = false;
    loop {
        match queue.recv_timeout(IDLE) {
            Ok(first) => {
                write_group(&mut session, first, queue);
                trigrams::sort_in(&session);
                written = true;
            }
            Err(RecvTimeoutError::Timeout) if written => {
                finish(&session, "PRAGMA wal_checkpoint(TRUNCATE)");
                give_memory_back(&session);
                written = false;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

/// Runs `first` and what waits behind it as one transaction. Most writes succeed, and most that do not have changed
/// nothing when they find out, so no savepoint, for which SQLite would copy each page aside, is between them. Where a
/// write fails that has changed something, all is undone and done again with savepoints.
fn write_group(session: &mut SqliteSession, first: Box<dyn Job>, queue: &Receiver<Box<dyn Job>>) {
    if let Err(failure) = session.control("BEGIN IMMEDIATE") {
        first.refuse(failure);
        return;
    }
    let started_ns = session.shared().clock.monotonic_ns();
    let mut jobs = vec![];
    let mut next = Some(first);
    while let Some(mut job) = next {
        let changes = session.changes_so_far();
        let succeeded = job.run(session);
        jobs.push(job);
        if !session.in_transaction() {
            fail_all(session, jobs, &lost());
            return;
        }
        if !succeeded && session.changes_so_far() != changes {
            if let Err(failure) = run_apart(session, &mut jobs) {
                fail_all(session, jobs, &failure);
                return;
            }
            break;
        }
        let age_ns = session.shared().clock.monotonic_ns().saturating_sub(started_ns);
        let is_open = jobs.len() < GROUP_WRITES && age_ns < GROUP_NS;
        next = if is_open { queue.try_recv().ok() } else { None };
    }
    match session.control("COMMIT") {
        Ok(()) => jobs.into_iter().for_each(Job::tell),
        Err(failure) => fail_all(session, jobs, &failure),
    }
}

/// Undoes what jobs did and does it again, each by itself; the failure means that nothing of it is left.
fn run_apart(session: &mut SqliteSession, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
    session.control("ROLLBACK")?;
    // Policies may have been seen in a state that never came to be.
    session.shared().policies.clear();
    session.control("BEGIN IMMEDIATE")?;
    for job in jobs {
        session.control("SAVEPOINT job")?;
        let succeeded = job.run(session);
        if !session.in_transaction() {
            return Err(lost());
        }
        if !succeeded {
            session.control("ROLLBACK TO job")?;
            session.shared().policies.clear();
        }
        session.control("RELEASE job")?;
    }
    Ok(())
}

/// SQLite has given up the whole transaction (a full disk does that).
fn lost() -> Failure {
    Failure::Unavailable("the database could not write".to_owned())
}

/// Undoes the group. Where something that had succeeded is lost, those that failed may have seen it: none of their
/// answers stands.
fn fail_all(session: &SqliteSession, jobs: Vec<Box<dyn Job>>, failure: &Failure) {
    // Policies may have been seen in a state that never came to be.
    session.shared().policies.clear();
    if session.in_transaction() {
        finish(session, "ROLLBACK");
    }
    let lost = jobs.iter().filter(|job| job.has_succeeded()).count();
    if lost == 0 {
        jobs.into_iter().for_each(Job::tell);
        return;
    }
    tracing::error!(error = %failure, writes = lost, "writes to the index were rolled back");
    jobs.into_iter().for_each(|job| job.refuse(failure.clone()));
}

/// Empties the page cache of a connection that is in no transaction.
fn give_memory_back(session: &SqliteSession) {
    if let Err(failure) = session.pragma("PRAGMA shrink_memory") {
        tracing::warn!(error = %failure, "the index keeps its memory");
    }
}

pub(super) fn finish(session: &SqliteSession, sql: &str) {
    if let Err(failure) = session.control(sql) {
        tracing::warn!(error = %failure, sql, "the index could not finish");
    }
}
