//! The engine's face: requests come in, threads do the work.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};

use async_trait::async_trait;
use crossbeam_channel::{Sender, bounded};
use futures::future::try_join_all;
use nephometer_drivers::{
    AggregateRead, Aggregates, LateSpan, MeasureStore, PartCatalog, PartKind, StoreError, StoreStatus,
    WriteBatch,
};
use nephometer_model::{ArchivePolicy, Clock, IdSource, SeriesKey, Timestamp};
use parking_lot::Mutex;

use crate::apply::run_apply;
use crate::batch::normalise;
use crate::commit::{ApplyMessage, Change, CommitQueue, run_commit};
use crate::core::{Core, Foundations};
use crate::flush::Flusher;
use crate::io::Storage;
use crate::maintain::{self, Bell};
use crate::open::{OpenError, Opened, open};
use crate::pool::ReadPool;
use crate::settings::Settings;
use crate::{late, read};

/// Groups of synced requests that may wait to be applied: one is applied while the next is synced.
const GROUPS_IN_FLIGHT: usize = 2;
/// Series of one request that are worth a thread of their own.
const SERIES_PER_TASK: usize = 32;

/// Embedded storage of measures. See [`MeasureStore`] for what it promises.
///
/// Dropping it ends its threads as a crash would: what is not in parts is replayed from the log at the next start.
/// [`Engine::stop`] writes everything to parts first.
pub struct Engine {
    core: Arc<Core>,
    queue: Arc<CommitQueue>,
    flusher: Arc<Flusher>,
    apply: Sender<ApplyMessage>,
    reads: ReadPool,
    flush_bell: Arc<Bell>,
    merge_bell: Arc<Bell>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Opens the data in `storage` as `catalog` knows it, replays the log, and starts the threads. `policies` are all
    /// there are.
    pub fn open(
        settings: Settings,
        storage: Arc<dyn Storage>,
        catalog: Arc<dyn PartCatalog>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        policies: &[Arc<ArchivePolicy>],
    ) -> Result<Self, OpenError> {
        let opened = open(Foundations { settings, storage, catalog, clock, ids }, policies)?;
        let Opened { core, log, covered, next_position } = opened;
        let log = Arc::new(Mutex::new(log));
        let queue = Arc::new(CommitQueue::new(Arc::clone(&core)));
        let (apply, messages) = bounded(GROUPS_IN_FLIGHT);
        let flusher = Arc::new(Flusher::new(Arc::clone(&core), apply.clone(), Arc::clone(&log), covered));
        let engine = Self {
            reads: ReadPool::start(core.settings.read_threads)?,
            core,
            queue,
            flusher,
            apply,
            flush_bell: Arc::default(),
            merge_bell: Arc::default(),
            threads: Mutex::default(),
        };
        let (queue, to_apply) = (Arc::clone(&engine.queue), engine.apply.clone());
        engine.spawn("neph-commit", move |_| run_commit(&queue, &log, &to_apply))?;
        let bell = Arc::clone(&engine.flush_bell);
        engine.spawn("neph-apply", move |core| {
            run_apply(core, &messages, covered, next_position, &bell);
        })?;
        engine.start_background()?;
        Ok(engine)
    }

    fn spawn(
        &self,
        name: &str,
        body: impl FnOnce(&Arc<Core>) + Send + 'static,
    ) -> Result<(), std::io::Error> {
        let core = Arc::clone(&self.core);
        let thread = Builder::new().name(name.to_owned()).spawn(move || body(&core))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    fn start_background(&self) -> Result<(), std::io::Error> {
        if !self.core.settings.background {
            return Ok(());
        }
        let (flusher, bell, next) =
            (Arc::clone(&self.flusher), Arc::clone(&self.flush_bell), Arc::clone(&self.merge_bell));
        self.spawn("neph-flush", move |core| maintain::run_flush(core, &flusher, &bell, &next))?;
        let bell = Arc::clone(&self.merge_bell);
        self.spawn("neph-merge", move |core| maintain::run_merge(core, &bell))
    }

    /// Writes everything acknowledged so far to parts.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.flusher.flush()?;
        maintain::forget(&self.core)
    }

    /// Merges whatever there is to merge. Only for engines without background work.
    pub fn settle(&self) -> Result<(), StoreError> {
        maintain::settle(&self.core, || false)
    }

    /// Takes no more writes, writes everything to parts, and ends the threads that write. Reads go on until the engine
    /// is dropped. After an error nothing is lost: the log is replayed at the next start.
    pub fn stop(&self) -> Result<(), StoreError> {
        self.queue.close();
        self.end_background();
        let flushed = self.flusher.flush().map(|_| ());
        self.end_writing();
        flushed
    }

    fn end_background(&self) {
        self.core.stopping.store(true, Ordering::Relaxed);
        self.flush_bell.stop();
        self.merge_bell.stop();
        self.join(|name| name == "neph-commit" || name == "neph-flush" || name == "neph-merge");
    }

    fn end_writing(&self) {
        let _ = self.apply.send(ApplyMessage::End);
        self.join(|_| true);
    }

    fn join(&self, wanted: impl Fn(&str) -> bool) {
        let mut threads = self.threads.lock();
        let ends = |thread: &mut JoinHandle<()>| wanted(thread.thread().name().unwrap_or_default());
        let ending: Vec<_> = threads.extract_if(.., ends).collect();
        drop(threads);
        for thread in ending {
            if thread.join().is_err() {
                tracing::error!("a thread of the engine has panicked");
            }
        }
    }

    async fn submit(&self, change: Change) -> Result<(), StoreError> {
        let outcome = self.queue.submit(change)?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::Closed("its threads have ended".to_owned())))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.close();
        self.end_background();
        self.end_writing();
    }
}

#[async_trait]
impl MeasureStore for Engine {
    async fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let batch = normalise(batch)?;
        if batch.runs.is_empty() {
            return Ok(());
        }
        self.submit(Change::Write(batch)).await
    }

    async fn read(&self, reads: Vec<AggregateRead>) -> Result<Vec<Aggregates>, StoreError> {
        let mut order: Vec<usize> = (0..reads.len()).collect();
        order.sort_by_key(|at| (reads[*at].key, *at));
        let series = order.chunk_by(|a, b| reads[*a].key == reads[*b].key).count();
        let tasks = series.div_ceil(SERIES_PER_TASK).clamp(1, self.reads.width());
        let mut running = Vec::with_capacity(tasks);
        let mut rest = order.as_slice();
        for left in (1..=tasks).rev() {
            let mut end = rest.len() / left;
            while end < rest.len() && end > 0 && reads[rest[end - 1]].key == reads[rest[end]].key {
                end += 1;
            }
            let (mine, others) = rest.split_at(end);
            rest = others;
            let task: Vec<AggregateRead> = mine.iter().map(|at| reads[*at]).collect();
            let core = Arc::clone(&self.core);
            running.push(self.reads.run(move || read::read(&core, &task)));
        }
        let mut answers = vec![Aggregates::default(); reads.len()];
        let results = try_join_all(running).await?;
        for (at, answer) in order.into_iter().zip(results.into_iter().flatten()) {
            answers[at] = answer;
        }
        Ok(answers)
    }

    async fn delete_span(&self, key: SeriesKey, start: Timestamp, stop: Timestamp) -> Result<(), StoreError> {
        if start >= stop {
            return Ok(());
        }
        self.submit(Change::DeleteSpan { key, start_ns: start.ns(), stop_ns: stop.ns() }).await
    }

    async fn delete_series(&self, keys: &[SeriesKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.submit(Change::DeleteSeries(keys.to_vec())).await
    }

    async fn late(&self, key: SeriesKey) -> Result<Vec<LateSpan>, StoreError> {
        let core = Arc::clone(&self.core);
        self.reads.run(move || late::ledger(&core, key)).await
    }

    async fn newest(&self, keys: &[SeriesKey]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let core = Arc::clone(&self.core);
        let keys = keys.to_vec();
        let newest = move |key: &SeriesKey| {
            core.view(key.0).newest(i64::MAX - 1).map(|newest| newest.map(Timestamp::from_ns))
        };
        self.reads.run(move || keys.iter().map(newest).collect()).await
    }

    fn set_policies(&self, policies: &[Arc<ArchivePolicy>]) {
        self.core.set_policies(policies);
    }

    fn status(&self) -> StoreStatus {
        let counters = &self.core.counters;
        let log_bytes = counters.log_bytes.load(Ordering::Relaxed);
        let mut status = StoreStatus {
            measures_written: counters.measures_written.load(Ordering::Relaxed),
            log_bytes,
            log_bytes_written: log_bytes + counters.log_freed_bytes.load(Ordering::Relaxed),
            flush_bytes_written: counters.flush_bytes.load(Ordering::Relaxed),
            merge_bytes_written: counters.merge_bytes.load(Ordering::Relaxed),
            quarantined_blocks: self.core.shelf.damage.count(),
            late_measures: counters.late_measures.load(Ordering::Relaxed),
            flushes: counters.flushes.load(Ordering::Relaxed),
            merges: counters.merges.load(Ordering::Relaxed),
            refusing_writes: self.queue.refusing(),
            ..StoreStatus::default()
        };
        for sack in &self.core.sacks {
            let sack = sack.lock();
            for head in std::iter::once(&sack.active).chain(sack.frozen.iter().map(|frozen| &frozen.buffer)) {
                status.head_measures += head.measures();
                status.head_series += head.series_count();
            }
            for part in sack.parts.iter() {
                status.parts += 1;
                status.part_bytes += part.row.bytes;
                if part.row.kind == PartKind::Raw {
                    status.part_measures += part.row.points;
                }
            }
        }
        status
    }
}
