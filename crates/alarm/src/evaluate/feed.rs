//! Which series alarms watch, and which of them have new measures. Asked on the write path for each series written, so a
//! question is two loads of memory.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use nephometer_drivers::{SeriesRun, WriteObserver};
use nephometer_model::{Clock, SeriesKey};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Series of a chunk.
const CHUNK_SERIES: u64 = 1 << 16;
/// Words of 64 bits that a chunk has for them.
const CHUNK_WORDS: usize = (CHUNK_SERIES / 64) as usize;
/// Chunks; series beyond the last (a thousand million) are evaluated by time only.
const CHUNKS: usize = 1 << 14;

/// Two bits for each series.
struct Chunk {
    /// Alarms watch it.
    watched: Box<[AtomicU64]>,
    /// It waits in the queue.
    queued: Box<[AtomicU64]>,
}

impl Chunk {
    fn new() -> Self {
        let words = || (0..CHUNK_WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { watched: words(), queued: words() }
    }
}

/// A series that was written, and when that was heard; nanoseconds of the clock that never goes back.
pub(super) type Written = (SeriesKey, u64);

/// Hears of acknowledged measures and remembers those of watched series, each once until it is asked.
pub(super) struct WriteWatch {
    chunks: Box<[OnceLock<Chunk>]>,
    /// How many series are watched.
    watched: AtomicUsize,
    queue: Mutex<Vec<Written>>,
    wake: Notify,
    clock: Arc<dyn Clock>,
}

/// Chunk, word and bit of a series; nothing beyond the last chunk.
fn place(series: SeriesKey) -> Option<(usize, usize, u64)> {
    let chunk = usize::try_from(series.0 / CHUNK_SERIES).ok().filter(|chunk| *chunk < CHUNKS)?;
    let within = series.0 % CHUNK_SERIES;
    Some((chunk, usize::try_from(within / 64).ok()?, 1 << (within % 64)))
}

impl WriteWatch {
    /// A watch over no series.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            watched: AtomicUsize::new(0),
            queue: Mutex::default(),
            wake: Notify::new(),
            clock,
        }
    }

    /// From now on measures of the series are remembered.
    pub(super) fn watch(&self, series: SeriesKey) {
        let Some((chunk, word, bit)) = place(series) else { return };
        let chunk = self.chunks[chunk].get_or_init(Chunk::new);
        if chunk.watched[word].fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            self.watched.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// No longer.
    pub(super) fn forget(&self, series: SeriesKey) {
        let Some((chunk, word, bit)) = place(series) else { return };
        let Some(chunk) = self.chunks[chunk].get() else { return };
        if chunk.watched[word].fetch_and(!bit, Ordering::Relaxed) & bit != 0 {
            self.watched.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many series are watched.
    pub(super) fn len(&self) -> usize {
        self.watched.load(Ordering::Relaxed)
    }

    /// The series written since the last call. What is written from now on, and whoever reads after this call does not
    /// see, is remembered anew.
    pub(super) fn drain(&self) -> Vec<Written> {
        let written = std::mem::take(&mut *self.queue.lock());
        for (series, _) in &written {
            let Some((chunk, word, bit)) = place(*series) else { continue };
            if let Some(chunk) = self.chunks[chunk].get() {
                chunk.queued[word].fetch_and(!bit, Ordering::AcqRel);
            }
        }
        written
    }

    /// Waits until a watched series is written.
    pub(super) async fn heard(&self) {
        self.wake.notified().await;
    }

    /// Whether the series is watched and does not wait in the queue yet.
    fn is_fresh(&self, series: SeriesKey) -> bool {
        let Some((chunk, word, bit)) = place(series) else { return false };
        let Some(chunk) = self.chunks[chunk].get() else { return false };
        chunk.watched[word].load(Ordering::Relaxed) & bit != 0
            && chunk.queued[word].fetch_or(bit, Ordering::AcqRel) & bit == 0
    }
}

impl WriteObserver for WriteWatch {
    fn written(&self, runs: &[SeriesRun]) {
        if self.len() == 0 {
            return;
        }
        let mut fresh = runs.iter().map(|run| run.key).filter(|series| self.is_fresh(*series)).peekable();
        if fresh.peek().is_none() {
            return;
        }
        let now_ns = self.clock.monotonic_ns();
        let fresh: Vec<Written> = fresh.map(|series| (series, now_ns)).collect();
        self.queue.lock().extend(fresh);
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use nephometer_model::{ManualClock, PolicyKey, Timestamp};

    use super::*;

    fn watch() -> WriteWatch {
        WriteWatch::new(Arc::new(ManualClock::at(Timestamp::default())))
    }

    fn write(watch: &WriteWatch, series: &[u64]) {
        let run = |key: &u64| SeriesRun { key: SeriesKey(*key), policy: PolicyKey(0), len: 1 };
        let runs: Vec<SeriesRun> = series.iter().map(run).collect();
        WriteObserver::written(watch, &runs);
    }

    fn drained(watch: &WriteWatch) -> Vec<u64> {
        watch.drain().into_iter().map(|(series, _)| series.0).collect()
    }

    #[test]
    fn watched_series_are_remembered_once_until_asked() {
        let watch = watch();
        write(&watch, &[1, 2]);
        assert_eq!(drained(&watch), [0_u64; 0]);
        for key in [1, 70_000, 65_535, 65_536] {
            watch.watch(SeriesKey(key));
            watch.watch(SeriesKey(key));
        }
        assert_eq!(watch.len(), 4);
        write(&watch, &[1, 2, 65_536, 1]);
        write(&watch, &[1, 70_000]);
        assert_eq!(drained(&watch), [1, 65_536, 70_000]);
        assert_eq!(drained(&watch), [0_u64; 0]);
        write(&watch, &[1]);
        watch.forget(SeriesKey(1));
        watch.forget(SeriesKey(1));
        assert_eq!(drained(&watch), [1]);
        write(&watch, &[1]);
        assert_eq!((drained(&watch), watch.len()), (Vec::new(), 3));
    }

    #[test]
    fn what_lies_beyond_all_chunks_is_not_watched() {
        let watch = watch();
        watch.watch(SeriesKey(u64::MAX));
        watch.watch(SeriesKey(0));
        write(&watch, &[u64::MAX]);
        assert_eq!((drained(&watch), watch.len()), (Vec::new(), 1));
    }
}
