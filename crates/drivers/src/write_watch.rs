//! Which series somebody watches, and which of them have new measures: what an evaluator hears by, in the process that
//! writes and in others. Asked on the write path for each series written, so a question is two loads of memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use nephometer_model::{Clock, SeriesKey};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{SeriesRun, WriteObserver};

/// Series of a chunk.
const CHUNK_SERIES: u64 = 1 << 16;
/// Words of 64 bits that a chunk has for them.
const CHUNK_WORDS: usize = (CHUNK_SERIES / 64) as usize;
/// Chunks; series beyond the last (a thousand million) are evaluated by time only.
const CHUNKS: usize = 1 << 14;

/// Two bits for each series.
struct Chunk {
    /// It is watched.
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
pub type Written = (SeriesKey, u64);

/// Hears of acknowledged measures and remembers those of watched series, each once until it is asked: what waits is bounded
/// by what is watched, however late it is asked.
pub struct WriteWatch {
    chunks: Box<[OnceLock<Chunk>]>,
    /// How many series are watched.
    watched: AtomicUsize,
    queue: Mutex<Vec<Written>>,
    wake: Notify,
    /// Series whose watch began or ended since somebody asked; nothing where nobody follows that.
    changed: Mutex<Option<BTreeSet<SeriesKey>>>,
    wake_follower: Notify,
    clock: Arc<dyn Clock>,
}

/// What is watched now of the series whose watch has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchChanges {
    /// Watched, and not before or not all the time.
    pub begun: Vec<SeriesKey>,
    /// No longer watched.
    pub ended: Vec<SeriesKey>,
}

/// Chunk, word and bit of a series; nothing beyond the last chunk.
fn place(series: SeriesKey) -> Option<(usize, usize, u64)> {
    let chunk = usize::try_from(series.0 / CHUNK_SERIES).ok().filter(|chunk| *chunk < CHUNKS)?;
    let within = series.0 % CHUNK_SERIES;
    Some((chunk, usize::try_from(within / 64).ok()?, 1 << (within % 64)))
}

impl WriteWatch {
    /// A watch over no series.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            watched: AtomicUsize::new(0),
            queue: Mutex::default(),
            wake: Notify::new(),
            changed: Mutex::new(None),
            wake_follower: Notify::new(),
            clock,
        }
    }

    /// From now on measures of the series are remembered.
    pub fn watch(&self, series: SeriesKey) {
        let Some((chunk, word, bit)) = place(series) else { return };
        let chunk = self.chunks[chunk].get_or_init(Chunk::new);
        if chunk.watched[word].fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            self.watched.fetch_add(1, Ordering::Relaxed);
            self.note_change(series);
        }
    }

    /// No longer.
    pub fn forget(&self, series: SeriesKey) {
        let Some((chunk, word, bit)) = place(series) else { return };
        let Some(chunk) = self.chunks[chunk].get() else { return };
        if chunk.watched[word].fetch_and(!bit, Ordering::Relaxed) & bit != 0 {
            self.watched.fetch_sub(1, Ordering::Relaxed);
            self.note_change(series);
        }
    }

    fn note_change(&self, series: SeriesKey) {
        if let Some(changed) = &mut *self.changed.lock() {
            changed.insert(series);
            self.wake_follower.notify_one();
        }
    }

    /// How many series are watched.
    pub fn len(&self) -> usize {
        self.watched.load(Ordering::Relaxed)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins to follow what is watched: [`WriteWatch::changes`] tells all that is watched now, and then what changes. One
    /// can follow at a time.
    pub fn follow(&self) {
        *self.changed.lock() = Some(BTreeSet::new());
        let mut all = BTreeSet::new();
        for (first, chunk) in (0..).step_by(CHUNK_SERIES as usize).zip(&self.chunks) {
            let Some(chunk) = chunk.get() else { continue };
            for (first, word) in (first..).step_by(64).zip(&chunk.watched) {
                let mut bits = word.load(Ordering::Relaxed);
                while bits != 0 {
                    all.insert(SeriesKey(first + u64::from(bits.trailing_zeros())));
                    bits &= bits - 1;
                }
            }
        }
        if let Some(changed) = &mut *self.changed.lock() {
            changed.append(&mut all);
        }
        self.wake_follower.notify_one();
    }

    /// Nobody follows what is watched any more.
    pub fn follow_no_longer(&self) {
        *self.changed.lock() = None;
    }

    /// Waits until something has changed, and tells it.
    pub async fn changes(&self) -> WatchChanges {
        loop {
            let changed = self.changed.lock().as_mut().map(std::mem::take).unwrap_or_default();
            if !changed.is_empty() {
                let (begun, ended) = changed.into_iter().partition(|series| self.is_watched(*series));
                return WatchChanges { begun, ended };
            }
            self.wake_follower.notified().await;
        }
    }

    /// These have been written, or may have been while nobody listened.
    pub fn hear(&self, series: &[SeriesKey]) {
        self.remember(series.iter().copied());
    }

    fn is_watched(&self, series: SeriesKey) -> bool {
        let Some((chunk, word, bit)) = place(series) else { return false };
        self.chunks[chunk].get().is_some_and(|chunk| chunk.watched[word].load(Ordering::Relaxed) & bit != 0)
    }

    fn remember(&self, written: impl Iterator<Item = SeriesKey>) {
        if self.is_empty() {
            return;
        }
        let mut fresh = written.filter(|series| self.is_fresh(*series)).peekable();
        if fresh.peek().is_none() {
            return;
        }
        let now_ns = self.clock.monotonic_ns();
        let fresh: Vec<Written> = fresh.map(|series| (series, now_ns)).collect();
        self.queue.lock().extend(fresh);
        self.wake.notify_one();
    }

    /// The series written since the last call. What is written from now on, and whoever reads after this call does not
    /// see, is remembered anew.
    pub fn drain(&self) -> Vec<Written> {
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
    pub async fn heard(&self) {
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
        self.remember(runs.iter().map(|run| run.key));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use nephometer_model::{ManualClock, PolicyKey, Timestamp};

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

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
    fn who_follows_learns_what_is_watched() {
        let watch = watch();
        let keys = |keys: &[u64]| keys.iter().map(|key| SeriesKey(*key)).collect::<Vec<_>>();
        for key in keys(&[3, 64, 70_000]) {
            watch.watch(key);
        }
        assert_eq!(now(watch.changes()), None);
        watch.follow();
        let all = WatchChanges { begun: keys(&[3, 64, 70_000]), ended: Vec::new() };
        assert_eq!(now(watch.changes()), Some(all.clone()));
        assert_eq!(now(watch.changes()), None);
        watch.forget(SeriesKey(64));
        watch.watch(SeriesKey(5));
        watch.forget(SeriesKey(3));
        watch.watch(SeriesKey(3));
        let changed = WatchChanges { begun: keys(&[3, 5]), ended: keys(&[64]) };
        assert_eq!(now(watch.changes()), Some(changed));
        watch.follow_no_longer();
        watch.forget(SeriesKey(5));
        assert_eq!(now(watch.changes()), None);
        watch.watch(SeriesKey(64));
        watch.follow();
        assert_eq!(now(watch.changes()), Some(all));
    }

    #[test]
    fn what_is_told_counts_as_written() {
        let watch = watch();
        watch.watch(SeriesKey(1));
        watch.watch(SeriesKey(2));
        watch.hear(&[SeriesKey(1), SeriesKey(9)]);
        watch.hear(&[SeriesKey(1)]);
        assert_eq!(drained(&watch), [1]);
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
