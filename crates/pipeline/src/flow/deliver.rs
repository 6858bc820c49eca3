//! Delivers what sinks have computed: for each sink and publisher a task that gives it what it has not got, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nephometer_model::Sample;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::counts::Counters;
use crate::Publisher;
use crate::store::Store;

/// Pauses before a publisher that could not take samples is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// No number of samples: there are always more.
const GOES_ON: u64 = u64::MAX;

struct Delivery {
    wake: Arc<Notify>,
    /// The number of the last samples that it is to get where the publisher is gone from the configuration: the task ends
    /// then. [`GOES_ON`] where it is not.
    until: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

type Running = HashMap<(Arc<str>, Arc<str>), Delivery>;

/// All such tasks.
#[derive(Clone)]
pub(super) struct Deliveries {
    store: Arc<Store>,
    disk: TaskTracker,
    running: Arc<Mutex<Running>>,
    /// Told whenever something was delivered.
    progress: Arc<Notify>,
}

impl Deliveries {
    /// `disk` knows what has the store in hand.
    pub(super) fn new(store: Arc<Store>, disk: TaskTracker) -> Self {
        Self { store, disk, running: Arc::default(), progress: Arc::default() }
    }

    /// Delivers what `sink` makes to `publisher` from here on, unless that is being done.
    pub(super) fn start(
        &self,
        sink: &Arc<str>,
        target: &Arc<str>,
        publisher: &Arc<dyn Publisher>,
        counters: &Arc<Counters>,
    ) {
        let key = (Arc::clone(sink), Arc::clone(target));
        let mut running = self.running.lock();
        if let Some(delivery) = running.get(&key).filter(|delivery| !delivery.task.is_finished()) {
            delivery.until.store(GOES_ON, Ordering::SeqCst);
            delivery.wake.notify_one();
            return;
        }
        let (wake, until) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(GOES_ON)));
        let worker = Worker {
            store: Arc::clone(&self.store),
            disk: self.disk.clone(),
            sink: Arc::clone(sink),
            target: Arc::clone(target),
            publisher: Arc::clone(publisher),
            counters: Arc::clone(counters),
            wake: Arc::clone(&wake),
            until: Arc::clone(&until),
            progress: Arc::clone(&self.progress),
        };
        let task = tokio::spawn(worker.run());
        running.insert(key, Delivery { wake, until, task });
    }

    /// Tells those who deliver what `sink` makes that there is something.
    pub(super) fn wake(&self, sink: &Arc<str>) {
        for ((of, _), delivery) in self.running.lock().iter() {
            if of == sink {
                delivery.wake.notify_one();
            }
        }
    }

    /// Ends delivering to `target` when it has got what there is.
    pub(super) fn finish(&self, sink: &Arc<str>, target: &Arc<str>) {
        if let Some(delivery) = self.running.lock().get(&(Arc::clone(sink), Arc::clone(target))) {
            delivery.until.store(self.store.last_sequence(sink), Ordering::SeqCst);
            delivery.wake.notify_one();
        }
    }

    /// Returns when there is nothing to deliver.
    pub(super) async fn idle(&self) {
        loop {
            let progress = self.progress.notified();
            let of = |(key, delivery): (&(Arc<str>, Arc<str>), &Delivery)| {
                (key.clone(), Arc::clone(&delivery.until))
            };
            let all: Vec<_> = self.running.lock().iter().map(of).collect();
            if all.iter().all(|((sink, target), until)| due(&self.store, sink, target, until).is_none()) {
                return;
            }
            // Somebody may have delivered between the look and the wait.
            let _ = tokio::time::timeout(Duration::from_millis(50), progress).await;
        }
    }

    /// Ends all tasks, and returns once they have ended.
    pub(super) async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.lock());
        for (_, delivery) in running {
            delivery.task.abort();
            let _ = delivery.task.await;
        }
    }

    pub(super) fn end(&self) {
        for (_, delivery) in self.running.lock().drain() {
            delivery.task.abort();
        }
    }
}

/// What `target` is to get next, if anything.
fn due(store: &Store, sink: &Arc<str>, target: &str, until: &AtomicU64) -> Option<(u64, Arc<Vec<Sample>>)> {
    store.next(sink, target).filter(|(sequence, _)| *sequence <= until.load(Ordering::SeqCst))
}

struct Worker {
    store: Arc<Store>,
    disk: TaskTracker,
    sink: Arc<str>,
    target: Arc<str>,
    publisher: Arc<dyn Publisher>,
    counters: Arc<Counters>,
    wake: Arc<Notify>,
    until: Arc<AtomicU64>,
    progress: Arc<Notify>,
}

impl Worker {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some((sequence, samples)) = due(&self.store, &self.sink, &self.target, &self.until) else {
                if self.until.load(Ordering::SeqCst) != GOES_ON {
                    self.report(self.store.detach(&self.sink, &self.target).map(drop));
                    return;
                }
                self.wake.notified().await;
                continue;
            };
            let result = self.publisher.publish(&samples).await;
            let target = self.publisher.target();
            if let Err(reason) = self.counters.published(&self.sink, target, samples.len(), result) {
                tracing::warn!(sink = &*self.sink, count = samples.len(), "samples wait: {reason}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            pause = FIRST_PAUSE;
            let (store, sink, target) =
                (Arc::clone(&self.store), Arc::clone(&self.sink), Arc::clone(&self.target));
            let settled = self.disk.spawn_blocking(move || store.settle(&sink, &target, sequence)).await;
            match settled {
                Ok(Ok(())) => {}
                Ok(failed) => {
                    self.report(failed);
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
                Err(error) => tracing::error!("{error}"),
            }
            self.progress.notify_waiters();
        }
    }

    /// What cannot be written down is delivered again after a restart.
    fn report(&self, result: Result<(), crate::store::StoreError>) {
        if let Err(error) = result {
            tracing::warn!(sink = &*self.sink, "{error}");
        }
    }
}
