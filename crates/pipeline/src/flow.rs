//! The pipelines of a process: samples come in, are chosen by sources, computed by sinks, and published.
//!
//! A sink without memory publishes what it gets at once, to all its publishers side by side: samples are accepted when each of
//! them has (or its spool, which is a publisher like any other). A sink whose transformers remember is one ordered worker:
//! a batch is computed and stored as one step, and is accepted then; what was made of it is delivered to each publisher in
//! order, by a task of its own, until that has taken it. So the order of a resource's samples is the order in which they are
//! accepted, however many threads bring them, and what is remembered never differs from what was accepted.

mod counts;
mod deliver;
mod graph;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use nephometer_model::{Clock, Sample, Timestamp};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use counts::{PipelineCounts, SinkCounts};
use deliver::Deliveries;
use graph::{Graph, SinkRun};
pub use settings::PipelineSettings;

use crate::config::PipelineConfig;
use crate::store::{Bounds, Store, StoreError};
use crate::{NotAccepted, Publisher, SampleSink, run};

/// How often time passes for what waits for it, and how often what is idle is looked for.
const TICK: Duration = Duration::from_secs(1);
const TICKS_BETWEEN_EVICTIONS: u64 = 60;

/// Why pipelines do not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// A publisher cannot be made.
    #[error("Unable to load publisher {target}: {reason}")]
    Publisher {
        /// Its address, without what is secret in it.
        target: String,
        /// Why.
        reason: String,
    },
    /// Nothing can be remembered.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Makes publishers of their addresses. An error says which (without what is secret in it) and why.
pub type LoadPublisher<'l> = dyn FnMut(&str) -> Result<Arc<dyn Publisher>, PipelineError> + Send + 'l;

/// What all parts of running pipelines share.
struct Shared {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    settings: PipelineSettings,
    /// What has the store in hand on threads of its own. It goes on where the task that waits for it is ended.
    disk: TaskTracker,
}

/// See the module. Ends its tasks when it is dropped; what waits is on disk.
pub struct Pipelines {
    shared: Arc<Shared>,
    /// Held for reading by whoever accepts, so that a change of the configuration waits for them.
    graph: Arc<RwLock<Graph>>,
    deliveries: Deliveries,
    ticker: JoinHandle<()>,
}

impl Pipelines {
    /// Runs the pipelines of `config`; what they remember is in `directory`, which no other process may use. Must be called
    /// within a runtime.
    pub fn start(
        config: &PipelineConfig,
        settings: PipelineSettings,
        directory: &Path,
        clock: Arc<dyn Clock>,
        load: &mut LoadPublisher<'_>,
    ) -> Result<Self, PipelineError> {
        let bounds = Bounds {
            replay_window: settings.replay_window_samples,
            waiting: settings.max_waiting_samples,
            keys: settings.max_remembered,
        };
        let store = Arc::new(Store::open(directory, bounds)?);
        let graph = Graph::build(config, None, load)?;
        forget_strangers(&store, &graph)?;
        let disk = TaskTracker::new();
        let deliveries = Deliveries::new(Arc::clone(&store), disk.clone());
        for sink in graph.sinks.iter().filter(|sink| sink.remembers) {
            attach(&store, &deliveries, sink)?;
        }
        let shared = Arc::new(Shared { store, clock, settings, disk });
        let graph = Arc::new(RwLock::new(graph));
        let ticker = tokio::spawn(tick(Arc::clone(&shared), Arc::clone(&graph), deliveries.clone()));
        Ok(Self { shared, graph, deliveries, ticker })
    }

    /// Runs the pipelines of another configuration from here on. Publishers that both have go on as they are; sinks that keep
    /// their name and transformers keep their memory; what transformers that are gone have held back goes on the way it
    /// would have gone, and what waits for publishers that are gone is still delivered to them.
    pub async fn reload(
        &self,
        config: &PipelineConfig,
        load: &mut LoadPublisher<'_>,
    ) -> Result<(), PipelineError> {
        let mut graph = self.graph.write().await;
        let new = Graph::build(config, Some(&graph), load)?;
        let store = &self.shared.store;
        let now = self.shared.clock.now();
        for old in graph.sinks.iter().filter(|sink| sink.remembers) {
            let successor = new.sinks.iter().find(|sink| sink.remembers && sink.name == old.name);
            let stays = successor.map(|sink| sink.identities()).unwrap_or_default();
            let gone = |identity: u64| !stays.contains(&identity);
            store.step(&old.name, Vec::new(), now, |memory, _| {
                run::drain(&old.chain, &memory.entries, &gone, now)
            })?;
            let kept = successor.map(|sink| sink.target_keys()).unwrap_or_default();
            for (target, _) in &old.publishers {
                if !kept.contains(target) {
                    self.deliveries.finish(&old.name, target);
                }
            }
        }
        for sink in new.sinks.iter().filter(|sink| sink.remembers) {
            attach(store, &self.deliveries, sink)?;
        }
        *graph = new;
        Ok(())
    }

    /// What has gone through each sink since the start.
    pub async fn counts(&self) -> Vec<SinkCounts> {
        let graph = self.graph.read().await;
        graph.sinks.iter().map(|sink| sink.counts(&self.shared.store)).collect()
    }

    /// Lets time pass for what waits for it, as happens once a second anyway.
    pub async fn pass_time(&self) -> Result<(), NotAccepted> {
        let graph = self.graph.read().await;
        pass_time(&self.shared, &graph, &self.deliveries).await
    }

    /// Ends, and returns once nothing of it runs any more and another may use its directory. What waits is on disk.
    pub async fn stop(mut self) {
        self.ticker.abort();
        // An aborted task ends with an error that says so.
        let _ = (&mut self.ticker).await;
        self.deliveries.stop().await;
        self.shared.disk.close();
        self.shared.disk.wait().await;
    }

    /// Returns when all that sinks have computed was delivered.
    pub async fn delivered(&self) {
        self.deliveries.idle().await;
    }
}

impl Drop for Pipelines {
    fn drop(&mut self) {
        self.ticker.abort();
        self.deliveries.end();
    }
}

#[async_trait]
impl SampleSink for Pipelines {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        let graph = self.graph.read().await;
        let samples: &[Sample] = &samples;
        let sinks = graph.sinks.iter().map(|sink| accept(&self.shared, &self.deliveries, sink, samples));
        let refusals: Vec<String> =
            join_all(sinks).await.into_iter().filter_map(Result::err).map(|refusal| refusal.0).collect();
        // Sinks that have taken the batch recognise it when it comes again, or publish it again under the same ids.
        if refusals.is_empty() { Ok(()) } else { Err(NotAccepted(refusals.join("; "))) }
    }
}

/// Takes what `sink` chooses of `samples`.
async fn accept(
    shared: &Arc<Shared>,
    deliveries: &Deliveries,
    sink: &Arc<SinkRun>,
    samples: &[Sample],
) -> Result<(), NotAccepted> {
    let Some(chosen) = sink.choose(samples) else { return Ok(()) };
    if sink.remembers {
        return step(shared, deliveries, sink, chosen.samples.into_owned(), chosen.tally).await;
    }
    let now = shared.clock.now();
    sink.publish(chosen, now).await
}

/// Computes a batch of a sink that remembers, and stores what follows.
async fn step(
    shared: &Arc<Shared>,
    deliveries: &Deliveries,
    sink: &Arc<SinkRun>,
    samples: Vec<Sample>,
    tally: counts::Tally,
) -> Result<(), NotAccepted> {
    let (disk, shared, worker) = (shared.disk.clone(), Arc::clone(shared), Arc::clone(sink));
    let stepped = disk.spawn_blocking(move || {
        let now = shared.clock.now();
        shared.store.step(&worker.name, samples, now, |memory, fresh| {
            run::batch(&worker.chain, &memory.entries, fresh, now)
        })
    });
    let stepped = stepped.await.map_err(|error| NotAccepted(error.to_string()))?;
    let (outcomes, replayed) = stepped.map_err(|error| NotAccepted(error.to_string()))?;
    sink.count(&tally, &outcomes, replayed);
    if !outcomes.samples.is_empty() {
        deliveries.wake(&sink.name);
    }
    Ok(())
}

async fn tick(shared: Arc<Shared>, graph: Arc<RwLock<Graph>>, deliveries: Deliveries) {
    let mut ticks = 0_u64;
    loop {
        tokio::time::sleep(TICK).await;
        ticks += 1;
        let graph = graph.read().await;
        if let Err(error) = pass_time(&shared, &graph, &deliveries).await {
            tracing::warn!("{error}");
        }
        if ticks.is_multiple_of(TICKS_BETWEEN_EVICTIONS) {
            evict(&shared, &graph).await;
        }
    }
}

async fn pass_time(shared: &Arc<Shared>, graph: &Graph, deliveries: &Deliveries) -> Result<(), NotAccepted> {
    for sink in graph.sinks.iter().filter(|sink| sink.remembers) {
        step(shared, deliveries, sink, Vec::new(), counts::Tally::default()).await?;
    }
    Ok(())
}

async fn evict(shared: &Arc<Shared>, graph: &Graph) {
    for sink in graph.sinks.iter().filter(|sink| sink.remembers) {
        let (disk, shared, worker) = (shared.disk.clone(), Arc::clone(shared), Arc::clone(sink));
        let evicted = disk.spawn_blocking(move || {
            let now = shared.clock.now();
            let idle_ns =
                i64::try_from(shared.settings.idle_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
            let before = Timestamp::from_ns(now.ns().saturating_sub(idle_ns));
            let by_resource = |identity: u64| worker.waits_by_resource(identity);
            shared.store.evict(&worker.name, before, &by_resource, now)
        });
        match evicted.await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => {
                tracing::info!(sink = &*sink.name, count, "what had rested too long was forgotten")
            }
            Ok(Err(error)) => tracing::warn!("{error}"),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Starts delivering what `sink` makes.
fn attach(store: &Store, deliveries: &Deliveries, sink: &SinkRun) -> Result<(), PipelineError> {
    store.attach(&sink.name, &sink.target_keys())?;
    for (key, publisher) in &sink.publishers {
        deliveries.start(&sink.name, key, publisher, &sink.counters);
    }
    Ok(())
}

/// Forgets sinks and publishers that the configuration has no more, and says what that costs.
fn forget_strangers(store: &Store, graph: &Graph) -> Result<(), PipelineError> {
    for name in store.sinks() {
        let Some(sink) = graph.sinks.iter().find(|sink| sink.remembers && sink.name == name) else {
            let lost = store.forget(&name)?;
            if lost > 0 {
                tracing::error!(
                    sink = &*name,
                    lost,
                    "samples waited in a sink that pipeline.yaml has no more"
                );
            }
            continue;
        };
        let kept = sink.target_keys();
        for target in store.known_targets(&name).iter().filter(|target| !kept.contains(target)) {
            let lost = store.detach(&name, target)?;
            if lost > 0 {
                tracing::error!(
                    sink = &*name,
                    lost,
                    "samples waited for a publisher that pipeline.yaml has no more"
                );
            }
        }
    }
    Ok(())
}
