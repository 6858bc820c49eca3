//! The write path: requests wait in a bounded queue, the commit thread writes all that wait to the log in one durable
//! write, and hands them on in log order to the apply thread, which puts them in the heads and answers. While one group
//! is applied, the next one is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use futures::channel::oneshot;
use nephometer_drivers::{StoreError, Tombstone, WriteBatch};
use nephometer_model::SeriesKey;
use parking_lot::{Condvar, Mutex};

use crate::core::Core;
use crate::wal::{AppendError, EncodedRecord, Record, WalWriter};

/// When to try again after a full queue or head, in seconds.
const RETRY_BUSY_SECONDS: u32 = 1;
/// When to try again after a full disk, in seconds.
const RETRY_DISK_SECONDS: u32 = 30;

/// What a request does to the heads.
#[derive(Debug)]
pub(crate) enum Change {
    Write(WriteBatch),
    DeleteSpan { key: SeriesKey, start_ns: i64, stop_ns: i64 },
    DeleteSeries(Vec<SeriesKey>),
}

impl Change {
    /// The tombstone of a deleted span, once its position is known.
    pub(crate) fn tombstone(key: SeriesKey, start_ns: i64, stop_ns: i64, position: u64) -> Tombstone {
        Tombstone { key, start_ns, stop_ns, position }
    }

    /// Measures inside.
    pub(crate) fn measures(&self) -> u64 {
        if let Self::Write(batch) = self { batch.values.len() as u64 } else { 0 }
    }

    /// Memory of the measures inside, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Write(batch) => (batch.values.len() * 16 + batch.runs.len() * 16) as u64,
            Self::DeleteSpan { .. } => 32,
            Self::DeleteSeries(keys) => (keys.len() * 8) as u64,
        }
    }
}

impl From<Record> for Change {
    fn from(record: Record) -> Self {
        match record {
            Record::Write(batch) => Self::Write(batch),
            Record::DeleteSpan { key, start_ns, stop_ns } => Self::DeleteSpan { key, start_ns, stop_ns },
            Record::DeleteSeries(keys) => Self::DeleteSeries(keys),
        }
    }
}

type Done = oneshot::Sender<Result<(), StoreError>>;

struct Request {
    change: Change,
    done: Done,
    bytes: u64,
}

/// Requests and, beside them, their records.
#[derive(Default)]
struct Group {
    records: Vec<EncodedRecord>,
    requests: Vec<Request>,
}

/// A request that is in the log.
pub(crate) struct Logged {
    pub(crate) position: u64,
    pub(crate) change: Change,
    pub(crate) done: Done,
}

/// What the apply thread is told.
pub(crate) enum ApplyMessage {
    /// Requests in log order.
    Apply(Vec<Logged>),
    /// Set all heads aside; the answer is the position after the newest write in them.
    Freeze(Sender<u64>),
    /// Nothing more will come.
    End,
}

#[derive(Default)]
struct Waiting {
    group: Group,
    bytes: u64,
    closed: bool,
}

/// The queue in front of the log.
pub(crate) struct CommitQueue {
    core: Arc<Core>,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    disk_low: AtomicBool,
    /// Why no write will ever be taken again.
    fatal: Mutex<Option<String>>,
}

impl CommitQueue {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            waiting: Mutex::new(Waiting::default()),
            arrived: Condvar::new(),
            disk_low: AtomicBool::new(false),
            fatal: Mutex::new(None),
        }
    }

    /// Puts a request in the queue, or says at once that there is no room. The receiver gets the outcome.
    pub(crate) fn submit(
        &self,
        change: Change,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let adds = matches!(change, Change::Write(_));
        self.admit(adds)?;
        let record = match &change {
            Change::Write(batch) => EncodedRecord::write(batch),
            Change::DeleteSpan { key, start_ns, stop_ns } => {
                EncodedRecord::delete_span(*key, *start_ns, *stop_ns)
            }
            Change::DeleteSeries(keys) => EncodedRecord::delete_series(keys),
        };
        let bytes = change.bytes() + record.memory_bytes();
        let (done, outcome) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(StoreError::Closed("it is stopping".to_owned()));
        }
        // One request larger than the whole queue must still find its way.
        if waiting.bytes > 0 && waiting.bytes + bytes > self.core.settings.queue_bytes {
            return Err(busy("too many writes are waiting for the disk", RETRY_BUSY_SECONDS));
        }
        waiting.bytes += bytes;
        waiting.group.records.push(record);
        waiting.group.requests.push(Request { change, done, bytes });
        self.arrived.notify_one();
        Ok(outcome)
    }

    /// Whether a request may come in at all. What adds no measures is not held up by a full head.
    fn admit(&self, adds: bool) -> Result<(), StoreError> {
        if let Some(reason) = &*self.fatal.lock() {
            return Err(StoreError::Closed(reason.clone()));
        }
        if adds && self.core.head_bytes() > self.core.settings.head_bytes {
            return Err(busy(
                "memory for new measures is full until they are written to parts",
                RETRY_BUSY_SECONDS,
            ));
        }
        if self.disk_low.load(Ordering::Relaxed) && self.is_disk_low() {
            return Err(disk_low());
        }
        Ok(())
    }

    fn is_disk_low(&self) -> bool {
        let free = self.core.storage.free_bytes();
        let low = free.is_ok_and(|free| free < self.core.settings.min_free_disk_bytes);
        if low != self.disk_low.swap(low, Ordering::Relaxed) {
            tracing::warn!(low, "disk space for writes changed");
        }
        low
    }

    /// Why writes are refused at the moment, if they are.
    pub(crate) fn refusing(&self) -> Option<String> {
        self.admit(true).err().map(|error| error.to_string())
    }

    /// Takes no more requests; what waits is still done.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Waits for requests and takes all of them; nothing once the queue is closed and empty.
    fn take(&self) -> Option<Group> {
        let mut waiting = self.waiting.lock();
        while waiting.group.requests.is_empty() {
            if waiting.closed {
                return None;
            }
            self.arrived.wait(&mut waiting);
        }
        Some(std::mem::take(&mut waiting.group))
    }

    fn leave(&self, bytes: u64) {
        self.waiting.lock().bytes -= bytes;
    }

    /// Answers whatever waits: nobody will come for it.
    fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.group = Group::default();
    }

    fn fail_for_ever(&self, reason: &str) {
        tracing::error!(reason, "the log can no longer be trusted: all further writes are refused");
        *self.fatal.lock() = Some(reason.to_owned());
    }
}

/// However the commit thread ends, nobody waits for it in vain.
struct Abandon<'a>(&'a CommitQueue);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The body of the commit thread: ends when the queue is closed and empty.
pub(crate) fn run_commit(queue: &CommitQueue, log: &Mutex<WalWriter>, apply: &Sender<ApplyMessage>) {
    let _abandon = Abandon(queue);
    while let Some(Group { records, requests }) = queue.take() {
        let bytes = requests.iter().map(|request| request.bytes).sum();
        match write_group(queue, log, &records) {
            Ok(first_position) => {
                let logged = (first_position..).zip(requests).map(|(position, request)| Logged {
                    position,
                    change: request.change,
                    done: request.done,
                });
                // Bounded: waits while the apply thread is behind, and the queue fills meanwhile.
                if apply.send(ApplyMessage::Apply(logged.collect())).is_err() {
                    return;
                }
            }
            Err(error) => {
                for request in requests {
                    let _ = request.done.send(Err(error.clone()));
                }
            }
        }
        queue.leave(bytes);
    }
}

/// Appends; returns the position of the first request.
fn write_group(
    queue: &CommitQueue,
    log: &Mutex<WalWriter>,
    records: &[EncodedRecord],
) -> Result<u64, StoreError> {
    if let Some(reason) = &*queue.fatal.lock() {
        return Err(StoreError::Closed(reason.clone()));
    }
    if queue.is_disk_low() {
        return Err(disk_low());
    }
    let mut log = log.lock();
    let positions = log.append(records).map_err(|error| match error {
        AppendError::Refused(error) => {
            tracing::warn!(%error, records = records.len(), "the log took nothing");
            busy("the log could not be written", RETRY_DISK_SECONDS)
        }
        AppendError::Broken(_) => {
            let reason = error.to_string();
            queue.fail_for_ever(&reason);
            StoreError::Closed(reason)
        }
    })?;
    queue.core.counters.log_bytes.store(log.bytes(), Ordering::Relaxed);
    Ok(positions.start)
}

fn busy(reason: &str, retry_after_seconds: u32) -> StoreError {
    StoreError::Busy { reason: reason.to_owned(), retry_after_seconds }
}

fn disk_low() -> StoreError {
    busy("the disk is nearly full", RETRY_DISK_SECONDS)
}
