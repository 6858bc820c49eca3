//! Delivers what sinks have computed: for each sink and publisher a task that gives it what it has not got, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::counts::Counters;
use crate::Publisher;
use crate::store::Store;

/// Pauses before a publisher that could not take samples is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

struct Delivery {
    wake: Arc<Notify>,
    /// Whether the publisher is gone from the configuration: the task ends when nothing is left for it.
    last: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

type Running = HashMap<(Arc<str>, Arc<str>), Delivery>;

/// All such tasks.
#[derive(Clone)]
pub(super) struct Deliveries {
    store: Arc<Store>,
    running: Arc<Mutex<Running>>,
    /// Told whenever something was delivered.
    progress: Arc<Notify>,
}

impl Deliveries {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, running: Arc::default(), progress: Arc::default() }
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
            delivery.last.store(false, Ordering::SeqCst);
            delivery.wake.notify_one();
            return;
        }
        let (wake, last) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let worker = Worker {
            store: Arc::clone(&self.store),
            sink: Arc::clone(sink),
            target: Arc::clone(target),
            publisher: Arc::clone(publisher),
            counters: Arc::clone(counters),
            wake: Arc::clone(&wake),
            last: Arc::clone(&last),
            progress: Arc::clone(&self.progress),
        };
        let task = tokio::spawn(worker.run());
        running.insert(key, Delivery { wake, last, task });
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
            delivery.last.store(true, Ordering::SeqCst);
            delivery.wake.notify_one();
        }
    }

    /// Returns when there is nothing to deliver.
    pub(super) async fn idle(&self) {
        loop {
            let progress = self.progress.notified();
            let keys: Vec<_> = self.running.lock().keys().cloned().collect();
            if keys.iter().all(|(sink, target)| self.store.next(sink, target).is_none()) {
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

struct Worker {
    store: Arc<Store>,
    sink: Arc<str>,
    target: Arc<str>,
    publisher: Arc<dyn Publisher>,
    counters: Arc<Counters>,
    wake: Arc<Notify>,
    last: Arc<AtomicBool>,
    progress: Arc<Notify>,
}

impl Worker {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some((sequence, samples)) = self.store.next(&self.sink, &self.target) else {
                if self.last.load(Ordering::SeqCst) {
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
            let settled = tokio::task::spawn_blocking(move || store.settle(&sink, &target, sequence)).await;
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
