//! What sinks remember, on disk: the memory of their transformers, and samples that were computed and not yet delivered.
//!
//! All of it is in memory; the file is a journal of what changed it. A step is one record: what transformers remember
//! after a batch, what they made of it, and the ids of the samples that it consisted of. So a crash leaves either all of it
//! or nothing: samples that were accepted are neither lost nor counted twice, and those that come again are recognised.
//! Where the journal has become long it is written anew, with what is still true. Sync; whoever calls it may wait for the disk.

mod coding;
mod file;
mod memory;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nephometer_model::{Sample, Timestamp};
use parking_lot::Mutex;

use crate::run::Outcomes;
use coding::{Record, Step};
use file::Journal;
use memory::Memory;
pub(crate) use memory::SinkMemory;

/// Why something was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk does not do what it should. What follows is refused until the program starts anew.
    #[error("the pipelines' journal {path}: {reason}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// Too much waits for publishers.
    #[error("{waiting} samples of sink {sink} wait for their publishers")]
    Full {
        /// Whose.
        sink: String,
        /// How many.
        waiting: usize,
    },
}

/// Bounds of what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Ids of samples that are recognised when they come again, for each sink.
    pub(crate) replay_window: usize,
    /// Samples that may wait for publishers, for each sink.
    pub(crate) waiting: usize,
    /// Things that are remembered, for each sink.
    pub(crate) keys: usize,
}

struct Inner {
    memory: Memory,
    journal: Journal,
}

/// See the module.
pub(crate) struct Store {
    inner: Mutex<Inner>,
    /// Held by whoever syncs: those who wait for it find their own records synced, too.
    syncing: Mutex<()>,
    bounds: Bounds,
}

impl Store {
    /// Opens the journal in `directory`, which is made where it is not there.
    pub(crate) fn open(directory: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let mut memory = Memory::default();
        let journal = Journal::open(directory, |record| memory.apply(record, bounds.replay_window))?;
        Ok(Self { inner: Mutex::new(Inner { memory, journal }), syncing: Mutex::new(()), bounds })
    }

    /// Computes a batch of `sink` and stores what follows from it. `compute` gets the samples that were not here before;
    /// the others are counted as second. When this returns it is on disk.
    pub(crate) fn step(
        &self,
        sink: &Arc<str>,
        samples: Vec<Sample>,
        now: Timestamp,
        compute: impl FnOnce(&SinkMemory, Vec<Sample>) -> Outcomes,
    ) -> Result<(Outcomes, usize), StoreError> {
        let mut inner = self.inner.lock();
        inner.journal.usable()?;
        let memory = inner.memory.sink(sink);
        let waiting = memory.waiting();
        if waiting >= self.bounds.waiting && !samples.is_empty() {
            return Err(StoreError::Full { sink: sink.to_string(), waiting });
        }
        let (fresh, seen) = memory.fresh(samples);
        let replayed = seen.replayed;
        let outcomes = compute(memory, fresh);
        if outcomes.is_empty() && seen.ids.is_empty() {
            return Ok((outcomes, replayed));
        }
        let step = Step {
            sink: Arc::clone(sink),
            samples: Arc::new(outcomes.samples.clone()),
            changes: outcomes.changes.clone(),
            seen: seen.ids,
            now,
        };
        let end = inner.append(Record::Step(step), self.bounds.replay_window)?;
        inner.compact_if_long()?;
        drop(inner);
        self.sync(end)?;
        Ok((outcomes, replayed))
    }

    /// Makes sure that everything up to `end` is on disk.
    fn sync(&self, end: u64) -> Result<(), StoreError> {
        let _only_one = self.syncing.lock();
        let Some(handle) = self.inner.lock().journal.to_sync(end)? else { return Ok(()) };
        let synced = handle.sync();
        self.inner.lock().journal.synced(&handle, synced)
    }

    /// Says who is to get what `sink` makes. Whoever is new gets what comes from now on.
    pub(crate) fn attach(&self, sink: &Arc<str>, targets: &[Arc<str>]) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        let memory = inner.memory.sink(sink);
        let last = memory.last_sequence();
        let new: Vec<Arc<str>> =
            targets.iter().filter(|target| !memory.settled.contains_key(*target)).cloned().collect();
        for target in new {
            let record = Record::Settled { sink: Arc::clone(sink), target, sequence: last };
            inner.append(record, self.bounds.replay_window)?;
        }
        Ok(())
    }

    /// Forgets that `target` is to get what `sink` makes; returns how many samples it has not got.
    pub(crate) fn detach(&self, sink: &Arc<str>, target: &str) -> Result<usize, StoreError> {
        let mut inner = self.inner.lock();
        let memory = inner.memory.sink(sink);
        let lost = memory.waiting_for(target);
        let record = Record::Detached { sink: Arc::clone(sink), target: target.into() };
        inner.append(record, self.bounds.replay_window)?;
        Ok(lost)
    }

    /// Targets that are to get what `sink` makes, by what the journal says.
    pub(crate) fn known_targets(&self, sink: &Arc<str>) -> Vec<Arc<str>> {
        self.inner.lock().memory.sink(sink).settled.keys().cloned().collect()
    }

    /// What `target` is to get next, and its number.
    pub(crate) fn next(&self, sink: &Arc<str>, target: &str) -> Option<(u64, Arc<Vec<Sample>>)> {
        self.inner.lock().memory.sink(sink).next(target)
    }

    /// `target` has got what has the number `sequence`, and everything before it. It is not synced: after a crash it may
    /// get some again, under the ids that they had.
    pub(crate) fn settle(&self, sink: &Arc<str>, target: &Arc<str>, sequence: u64) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        let record = Record::Settled { sink: Arc::clone(sink), target: Arc::clone(target), sequence };
        inner.append(record, self.bounds.replay_window)?;
        inner.compact_if_long()
    }

    /// The number of what `sink` made last.
    pub(crate) fn last_sequence(&self, sink: &Arc<str>) -> u64 {
        self.inner.lock().memory.sink(sink).last_sequence()
    }

    /// Sinks of which anything is known.
    pub(crate) fn sinks(&self) -> Vec<Arc<str>> {
        self.inner.lock().memory.sinks.keys().cloned().collect()
    }

    /// Forgets a sink with all that it holds; returns how many samples waited.
    pub(crate) fn forget(&self, sink: &Arc<str>) -> Result<usize, StoreError> {
        let mut inner = self.inner.lock();
        let waiting = inner.memory.sink(sink).waiting();
        inner.append(Record::Forgotten { sink: Arc::clone(sink) }, self.bounds.replay_window)?;
        Ok(waiting)
    }

    /// How many samples of `sink` wait for their publishers, and how many things it remembers.
    pub(crate) fn counts(&self, sink: &Arc<str>) -> (usize, usize) {
        let mut inner = self.inner.lock();
        let memory = inner.memory.sink(sink);
        (memory.waiting(), memory.entries.len())
    }

    /// Forgets what has not changed since `before` and owes nobody anything; beyond the bound, also what has rested
    /// longest. `by_resource` tells whose samples only wait for others of their resource. Returns how many it were.
    pub(crate) fn evict(
        &self,
        sink: &Arc<str>,
        before: Timestamp,
        by_resource: &dyn Fn(u64) -> bool,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut inner = self.inner.lock();
        let changes = inner.memory.sink(sink).idle(before, self.bounds.keys, by_resource);
        let count = changes.len();
        if count > 0 {
            let step = Step {
                sink: Arc::clone(sink),
                samples: Arc::default(),
                changes: changes.into_iter().map(|key| (key, None)).collect(),
                seen: Vec::new(),
                now,
            };
            inner.append(Record::Step(step), self.bounds.replay_window)?;
        }
        Ok(count)
    }
}

impl Inner {
    /// Writes a record and does what it says. Returns where the journal ends.
    fn append(&mut self, record: Record, replay_window: usize) -> Result<u64, StoreError> {
        let end = self.journal.append(&record)?;
        self.memory.apply(record, replay_window);
        Ok(end)
    }

    fn compact_if_long(&mut self) -> Result<(), StoreError> {
        if !self.journal.is_long() {
            return Ok(());
        }
        let records = self.memory.records();
        self.journal.rewrite(&records)
    }
}
