//! A publisher with its spool: what the target takes goes to it at once, what it cannot take now waits on disk, in order,
//! and what it refuses for good is set aside.
//!
//! Two tasks share the spool. The intake gathers whoever is waiting into one call, to the target while nothing waits on
//! disk, else to the disk with one sync for all of them. The drainer gives what is on disk to the target, tries again
//! after growing pauses, and is done when the spool is empty.

mod deliver;
mod drain;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nephometer_model::{Clock, Sample};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::spool::{RefusedFile, Spool, SpoolCounts, SpoolError, SpoolSettings};
use crate::{PublishError, Publisher};

/// Samples that may wait in memory for the intake, in batches; whoever brings more waits.
const BATCHES_WAITING: usize = 4;

/// How a publisher has fared since the start, and what waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublisherCounts {
    /// What waits on disk.
    pub spool: SpoolCounts,
    /// Samples that the target has taken.
    pub delivered: u64,
    /// Samples that it refused for good.
    pub refused: u64,
    /// Samples that waited for longer than they may.
    pub expired: u64,
    /// Calls that failed and may succeed later.
    pub failures: u64,
    /// Samples that were given back to whoever brought them, because the spool was full or the disk failed.
    pub given_back: u64,
}

/// Somebody who waits until samples are safe.
struct Waiting {
    samples: Vec<Sample>,
    done: oneshot::Sender<Result<(), PublishError>>,
    _room: OwnedSemaphorePermit,
}

/// What waits in a spool.
#[derive(Clone, Copy)]
struct Waits {
    counts: SpoolCounts,
    /// Whether it is nothing at all, so that the target may be given samples directly.
    nothing: bool,
}

impl Waits {
    fn of(spool: &Spool) -> Self {
        Self { counts: spool.counts(), nothing: spool.is_empty() }
    }
}

/// What both tasks work on.
struct Shared {
    target: Arc<dyn Publisher>,
    /// Locked while the disk is waited for.
    spool: Mutex<Spool>,
    /// What waits in the spool, to be looked at without waiting.
    waiting: Mutex<Waits>,
    refused_file: Mutex<RefusedFile>,
    settings: SpoolSettings,
    clock: Arc<dyn Clock>,
    /// Told when there is something on disk.
    spooled: Notify,
    delivered: AtomicU64,
    refused: AtomicU64,
    expired: AtomicU64,
    failures: AtomicU64,
    given_back: AtomicU64,
}

/// See the module. [`Publisher::publish`] returns when the target has taken the samples or refused them for good, or when
/// they are on disk; its only error is [`PublishError::Later`], when neither can be. Ends its work when it is dropped.
pub struct SpooledPublisher {
    shared: Arc<Shared>,
    intake: mpsc::Sender<Waiting>,
    /// Bounds the samples that wait for the intake.
    room: Arc<Semaphore>,
    tasks: [JoinHandle<()>; 2],
}

impl SpooledPublisher {
    /// Puts a spool in `directory` before `target`, and goes on with what is in it. Must be called within a runtime.
    pub fn start(
        target: Arc<dyn Publisher>,
        directory: &Path,
        settings: SpoolSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SpoolError> {
        let spool = Spool::open(directory, settings.max_bytes)?;
        let waiting = spool.counts().samples;
        if waiting > 0 {
            tracing::info!(
                publisher = target.target(),
                waiting,
                "samples of an earlier run are delivered first"
            );
        }
        let refused_file = Mutex::new(RefusedFile::new(directory, settings.refused_max_bytes));
        let room = Arc::new(Semaphore::new(settings.batch_samples * BATCHES_WAITING));
        let shared = Arc::new(Shared {
            target,
            waiting: Mutex::new(Waits::of(&spool)),
            spool: Mutex::new(spool),
            refused_file,
            settings,
            clock,
            spooled: Notify::new(),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            given_back: AtomicU64::new(0),
        });
        // The samples are bounded by `room`, so this need not be.
        let (intake, waiting) = mpsc::channel(1024);
        let tasks =
            [tokio::spawn(Arc::clone(&shared).take_in(waiting)), tokio::spawn(Arc::clone(&shared).drain())];
        Ok(Self { shared, intake, room, tasks })
    }

    /// How it has fared.
    pub fn counts(&self) -> PublisherCounts {
        let shared = &self.shared;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PublisherCounts {
            spool: shared.waiting.lock().counts,
            delivered: count(&shared.delivered),
            refused: count(&shared.refused),
            expired: count(&shared.expired),
            failures: count(&shared.failures),
            given_back: count(&shared.given_back),
        }
    }
}

impl Drop for SpooledPublisher {
    fn drop(&mut self) {
        // Nobody waits any more, and what is on disk stays there.
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[async_trait]
impl Publisher for SpooledPublisher {
    fn target(&self) -> &str {
        self.shared.target.target()
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        let ended = || PublishError::Later(format!("the publisher {} has ended", self.target()));
        let batch = self.shared.settings.batch_samples;
        for part in samples.chunks(batch) {
            let room = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(room).await.map_err(|_| ended())?;
            let (done, outcome) = oneshot::channel();
            let waiting = Waiting { samples: part.to_vec(), done, _room: room };
            self.intake.send(waiting).await.map_err(|_| ended())?;
            outcome.await.unwrap_or_else(|_| Err(ended()))?;
        }
        Ok(())
    }
}

impl Shared {
    /// The intake.
    async fn take_in(self: Arc<Self>, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(first) = waiting.recv().await {
            let mut count = first.samples.len();
            let mut group = vec![first];
            while count < self.settings.batch_samples
                && let Ok(next) = waiting.try_recv()
            {
                count += next.samples.len();
                group.push(next);
            }
            let mut samples = Vec::with_capacity(count);
            group.iter_mut().for_each(|waiting| samples.append(&mut waiting.samples));
            let outcome = self.take(samples).await;
            for waiting in group {
                // Who does not wait any more does not want to know.
                drop(waiting.done.send(outcome.clone()));
            }
        }
    }

    /// Gives samples to the target if nothing waits for it, else to the disk.
    async fn take(self: &Arc<Self>, mut samples: Vec<Sample>) -> Result<(), PublishError> {
        let nothing_waits = self.waiting.lock().nothing;
        if nothing_waits {
            let patience = Duration::from_secs_f64(self.settings.patience_seconds);
            let mut taken = 0;
            let delivery = self.deliver(&samples, &mut taken);
            let reason = match tokio::time::timeout(patience, delivery).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => format!("no answer within {} s", self.settings.patience_seconds),
            };
            if self.settings.max_bytes == 0 {
                return Err(PublishError::Later(reason));
            }
            tracing::warn!(publisher = self.target.target(), reason, "samples wait on disk for the target");
            samples.drain(..taken);
        }
        self.store(samples).await
    }

    /// Puts samples on disk.
    async fn store(self: &Arc<Self>, samples: Vec<Sample>) -> Result<(), PublishError> {
        let count = samples.len() as u64;
        let now = self.clock.now();
        let stored = self.with_spool(move |spool| spool.append(&samples, now)).await;
        match stored {
            Ok(()) => {
                self.spooled.notify_one();
                Ok(())
            }
            Err(reason) => {
                self.given_back.fetch_add(count, Ordering::Relaxed);
                Err(PublishError::Later(format!("{}: {reason}", self.target.target())))
            }
        }
    }

    /// Works on the spool where blocking does no harm.
    async fn with_spool<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, String> {
        let shared = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let mut spool = shared.spool.lock();
            let done = work(&mut spool);
            *shared.waiting.lock() = Waits::of(&spool);
            done
        })
        .await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}
