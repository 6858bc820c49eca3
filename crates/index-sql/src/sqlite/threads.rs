//! The threads that own SQLite's connections.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use futures::FutureExt;

use super::session::SqliteSession;
use crate::session::{Operation, Session};
use crate::{Failure, OpenError};

/// After so long without a write the log is folded into the database.
const IDLE: Duration = Duration::from_secs(5);
/// At most so many writes share a transaction,
const GROUP_WRITES: usize = 256;
/// and none joins one that is older than this.
const GROUP_NS: u64 = 10_000_000;

/// What waits for a connection.
pub(crate) trait Job: Send {
    /// Does it; the outcome is told by the answer.
    fn run(self: Box<Self>, session: &mut SqliteSession) -> Outcome;
    /// Does it not.
    fn refuse(self: Box<Self>, failure: Failure);
}

/// A job that ran and whose caller does not know yet.
pub(crate) struct Outcome {
    /// Whether what it wrote is to stay.
    keep: bool,
    /// Tells the caller; with a failure, that it has come to nothing.
    tell: Box<dyn FnOnce(Option<Failure>) + Send>,
}

/// An operation with its arguments and where the answer goes.
pub(crate) struct Task<A, T> {
    pub(crate) args: A,
    pub(crate) operation: Operation<A, T>,
    pub(crate) reply: Box<dyn FnOnce(Result<T, Failure>) + Send>,
}

impl<A: Send + Sync + 'static, T: Send + 'static> Job for Task<A, T> {
    fn run(self: Box<Self>, session: &mut SqliteSession) -> Outcome {
        let Self { args, operation, reply } = *self;
        let outcome = catch_unwind(AssertUnwindSafe(|| operation(session, &args).now_or_never()))
            .unwrap_or_else(|_| Some(Err(Failure::Internal("an operation panicked".to_owned()))))
            .unwrap_or_else(|| Err(Failure::Internal("an operation waited inside SQLite".to_owned())));
        let keep = outcome.is_ok();
        Outcome {
            keep,
            tell: Box::new(move |failure| match failure {
                Some(failure) if keep => reply(Err(failure)),
                _ => reply(outcome),
            }),
        }
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
    while let Ok(job) = queue.recv() {
        if let Err(failure) = session.control("BEGIN") {
            job.refuse(failure);
            continue;
        }
        let outcome = job.run(&mut session);
        finish(&session, "COMMIT");
        (outcome.tell)(None);
    }
}

/// The writer: groups of jobs, one transaction each.
pub(crate) fn write(mut session: SqliteSession, queue: &Receiver<Box<dyn Job>>) {
    let mut written = false;
    loop {
        match queue.recv_timeout(IDLE) {
            Ok(first) => {
                write_group(&mut session, first, queue);
                written = true;
            }
            Err(RecvTimeoutError::Timeout) if written => {
                finish(&session, "PRAGMA wal_checkpoint(TRUNCATE)");
                written = false;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

fn write_group(session: &mut SqliteSession, first: Box<dyn Job>, queue: &Receiver<Box<dyn Job>>) {
    if let Err(failure) = session.control("BEGIN IMMEDIATE") {
        first.refuse(failure);
        return;
    }
    let started_ns = session.shared().clock.monotonic_ns();
    // The first one needs no savepoint, which would cost large writes much: nothing is there before it.
    let outcome = first.run(session);
    if !outcome.keep || !session.in_transaction() {
        fail_all(session, vec![outcome], &lost());
        return;
    }
    let mut outcomes = vec![outcome];
    loop {
        let age_ns = session.shared().clock.monotonic_ns().saturating_sub(started_ns);
        if outcomes.len() >= GROUP_WRITES || age_ns >= GROUP_NS {
            break;
        }
        let Ok(job) = queue.try_recv() else { break };
        match run_in_savepoint(session, job) {
            Ok(outcome) => outcomes.push(outcome),
            Err(failure) => {
                fail_all(session, outcomes, &failure);
                return;
            }
        }
    }
    match session.control("COMMIT") {
        Ok(()) => outcomes.into_iter().for_each(|outcome| (outcome.tell)(None)),
        Err(failure) => fail_all(session, outcomes, &failure),
    }
}

/// Runs one job; the failure means that nothing of the group is left.
fn run_in_savepoint(session: &mut SqliteSession, job: Box<dyn Job>) -> Result<Outcome, Failure> {
    if let Err(failure) = session.control("SAVEPOINT job") {
        job.refuse(failure.clone());
        return Err(failure);
    }
    let outcome = job.run(session);
    let mut ended = Ok(());
    if session.in_transaction() {
        if !outcome.keep {
            ended = session.control("ROLLBACK TO job");
        }
        ended = ended.and_then(|()| session.control("RELEASE job"));
    } else {
        ended = Err(lost());
    }
    match ended {
        Ok(()) => Ok(outcome),
        Err(failure) => {
            (outcome.tell)(Some(failure.clone()));
            Err(failure)
        }
    }
}

/// SQLite has given up the whole transaction (a full disk does that).
fn lost() -> Failure {
    Failure::Unavailable("the database could not write".to_owned())
}

/// Undoes the group. Those that failed by themselves are told their own failure.
fn fail_all(session: &SqliteSession, outcomes: Vec<Outcome>, failure: &Failure) {
    let lost = outcomes.iter().filter(|outcome| outcome.keep).count();
    if lost > 0 {
        tracing::error!(error = %failure, writes = lost, "writes to the index were rolled back");
        // Policies may have been seen in a state that never came to be.
        session.shared().policies.clear();
    }
    if session.in_transaction() {
        finish(session, "ROLLBACK");
    }
    outcomes.into_iter().for_each(|outcome| (outcome.tell)(Some(failure.clone())));
}

fn finish(session: &SqliteSession, sql: &str) {
    if let Err(failure) = session.control(sql) {
        tracing::warn!(error = %failure, sql, "the index could not finish");
    }
}
