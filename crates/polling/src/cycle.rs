//! One round of polling: its time, and what its pollsters read once for all of them.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nephometer_model::{Clock, IdSource};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

type Kept = Arc<OnceCell<Arc<dyn Any + Send + Sync>>>;

/// One round of polling. What is shared in it is forgotten with it.
pub struct Cycle {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    interval: Duration,
    shared: Mutex<HashMap<String, Kept>>,
}

impl Cycle {
    /// A round that begins now.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self { clock, ids, interval: Duration::ZERO, shared: Mutex::default() }
    }

    /// The same as one of the rounds that come each `interval`.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How often rounds like this one come: it tells rounds of one series from those of another, so that whoever compares a
    /// reading with the one before compares it with that of its own series.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The time.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Fresh ids for samples.
    pub fn ids(&self) -> &dyn IdSource {
        self.ids.as_ref()
    }

    /// What is called `key` in this round: read by whoever asks first, waited for by all others. A failure is a value like
    /// any other (`T` is a `Result` then), so that what failed is not asked again for each meter.
    pub async fn shared<T, F>(&self, key: &str, read: impl FnOnce() -> F) -> Arc<T>
    where
        T: Any + Send + Sync,
        F: Future<Output = T>,
    {
        let kept = Arc::clone(self.shared.lock().entry(key.to_owned()).or_default());
        let value = kept.get_or_init(|| async { Arc::new(read().await) as Arc<dyn Any + Send + Sync> }).await;
        Arc::clone(value).downcast().unwrap_or_else(|_| unreachable!("`{key}` is shared as two types"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use nephometer_model::{ManualClock, Timestamp};

    use super::*;

    #[tokio::test]
    async fn what_is_shared_is_read_once() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
        let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
        let reads = AtomicU32::new(0);
        let read = || async {
            tokio::task::yield_now().await;
            reads.fetch_add(1, Ordering::SeqCst);
            "listing".to_owned()
        };
        let (a, b) = tokio::join!(cycle.shared("list", read), cycle.shared("list", read));
        assert_eq!((a.as_str(), b.as_str(), reads.load(Ordering::SeqCst)), ("listing", "listing", 1));
    }
}
