//! One cycle of a task: for each source what it lists, for each of its pollsters what is new to it, and what it reads.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use nephometer_model::Sample;
use nephometer_pipeline::{NotAccepted, SampleSink};
use parking_lot::Mutex;

use crate::agent::Shared;
use crate::plan::{FoundBy, Reader, SourcePlan, TaskPlan};
use crate::stamp::naive;
use crate::tally::PollEnd;
use crate::{Cycle, DiscoveryError, DiscoveryGroup, PollError, PollsterKey, Resource, SampleOut};

/// How one poll has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct PollOutcome {
    /// The source.
    pub source: Arc<str>,
    /// The pollster.
    pub pollster: Arc<str>,
    /// How many resources it was asked for.
    pub resources: u64,
    /// How many samples were accepted.
    pub samples: u64,
    /// How long it took.
    pub took: Duration,
    /// Why it could not read all.
    pub failure: Option<String>,
}

/// A cycle while it runs.
pub(crate) struct Round<'a> {
    shared: &'a Shared,
    task: &'a TaskPlan,
    cycle: Cycle,
    /// What each pollster that several sources name has been given in this cycle: the same meter in two sources is read
    /// once (as upstream has it).
    history: HashMap<&'a str, Mutex<HashSet<Arc<str>>>>,
}

type Listed = Result<Vec<Resource>, DiscoveryError>;

/// What a pollster is asked for.
struct Asked {
    resources: Vec<Resource>,
    /// Everything that is there, whoever has it.
    candidates: HashSet<Arc<str>>,
    /// Why it may not be all.
    failure: Option<String>,
}

impl<'a> Round<'a> {
    pub(crate) fn new(shared: &'a Shared, interval: Duration, task: &'a TaskPlan) -> Self {
        let cycle =
            Cycle::new(Arc::clone(&shared.parts.clock), Arc::clone(&shared.parts.ids)).every(interval);
        Self { shared, task, cycle, history: repeated(task) }
    }

    /// Goes through all sources. Pollsters of one run side by side, as many as the settings allow.
    pub(crate) async fn run(&self) -> Vec<PollOutcome> {
        let mut outcomes = Vec::new();
        for source in &self.task.sources {
            let at_once = match self.shared.settings.pollsters_at_once {
                0 => source.pollsters.len(),
                limit => limit,
            };
            let mut polls: Vec<BoxFuture<'_, PollOutcome>> = Vec::with_capacity(source.pollsters.len());
            for reader in &source.pollsters {
                polls.push(self.poll(source, reader).boxed());
            }
            let ended: Vec<_> = stream::iter(polls).buffer_unordered(at_once.max(1)).collect().await;
            outcomes.extend(ended);
        }
        outcomes.sort_by(|a, b| (&a.source, &a.pollster).cmp(&(&b.source, &b.pollster)));
        outcomes
    }

    async fn poll(&self, source: &SourcePlan, reader: &Reader) -> PollOutcome {
        let clock = &self.shared.parts.clock;
        let key: PollsterKey = (Arc::clone(&source.name), reader.pollster.name().into());
        let begin_ns = clock.monotonic_ns();
        let Asked { resources, candidates, failure } = self.asked(source, reader, &key).await;
        let is_whole = failure.is_none();
        let mut end = PollEnd {
            resources: resources.len() as u64,
            samples: 0,
            refused_samples: 0,
            blacklisted: 0,
            took: Duration::ZERO,
            at: clock.now(),
            failure,
        };
        let refused = self.read(reader, &key, &resources, &mut end).await;
        let now_ns = clock.monotonic_ns();
        {
            let mut blacklists = self.shared.blacklists.lock();
            let blacklist = blacklists.entry(key.clone()).or_default();
            if is_whole {
                blacklist.retain(&candidates);
            }
            let polled = resources.iter().map(|resource| Arc::clone(&resource.id));
            blacklist.record(polled, &refused, self.shared.settings.blacklist, now_ns);
            end.blacklisted = blacklist.len(now_ns) as u64;
        }
        end.took = Duration::from_nanos(now_ns.saturating_sub(begin_ns));
        end.at = clock.now();
        if let Some(heartbeat) = &self.shared.parts.heartbeat {
            heartbeat.beat(&key.1, end.at);
        }
        let outcome = PollOutcome {
            source: Arc::clone(&key.0),
            pollster: Arc::clone(&key.1),
            resources: end.resources,
            samples: end.samples,
            took: end.took,
            failure: end.failure.clone(),
        };
        if self.shared.tallies.poll(&key, end) {
            let failure = outcome.failure.as_deref().unwrap_or_default();
            tracing::warn!(source = &*key.0, pollster = &*key.1, "{failure}");
        }
        outcome
    }

    /// What falls to the pollster now: what its source lists and finds, else what it finds by itself, without what it has
    /// had in this cycle, what it cannot read, and what others have.
    async fn asked(&self, source: &SourcePlan, reader: &Reader, key: &PollsterKey) -> Asked {
        let mut failure = None;
        let mut listed: Vec<(Resource, bool)> =
            source.resources.iter().map(|id| (Resource::from_id(Arc::clone(id)), true)).collect();
        for found_by in &source.discovery {
            self.add(found_by, &mut listed, &mut failure).await;
        }
        if let (true, Some(found_by)) = (listed.is_empty(), &reader.default_discovery) {
            self.add(found_by, &mut listed, &mut failure).await;
        }
        let candidates = listed.iter().map(|(resource, _)| Arc::clone(&resource.id)).collect();
        let division = &self.shared.parts.division;
        let whole = format!("{}/{}", source.name, key.1);
        let falls_to_us = |id: &str, is_divided: bool| {
            !is_divided
                || division.holds(&reader.namespace, if source.divides_pollsters { &whole } else { id })
        };
        let now_ns = self.shared.parts.clock.monotonic_ns();
        let alone = Mutex::default();
        let mut had = self.history.get(&*key.1).unwrap_or(&alone).lock();
        let blacklists = self.shared.blacklists.lock();
        let blacklist = blacklists.get(key);
        let resources = listed.into_iter().filter(|(resource, is_divided)| {
            had.insert(Arc::clone(&resource.id))
                && blacklist.is_none_or(|list| !list.holds(&resource.id, now_ns))
                && falls_to_us(&resource.id, *is_divided)
        });
        Asked { resources: resources.map(|(resource, _)| resource).collect(), candidates, failure }
    }

    /// Adds what a discovery finds, and whether agents divide it among them.
    async fn add(
        &self,
        found_by: &FoundBy,
        listed: &mut Vec<(Resource, bool)>,
        failure: &mut Option<String>,
    ) {
        let FoundBy { spec, parameter, discovery } = found_by;
        let kept = format!("discovery {spec}");
        let found = self.cycle.shared::<Listed, _>(&kept, || async {
            let looking = AssertUnwindSafe(discovery.discover(&self.cycle, parameter.as_deref()));
            let panicked = |_| Err(DiscoveryError::Failed("it panicked; the log says where".to_owned()));
            looking.catch_unwind().await.unwrap_or_else(panicked)
        });
        match &*found.await {
            Ok(found) => {
                let is_divided = discovery.group() == DiscoveryGroup::Global;
                listed.extend(found.iter().map(|resource| (resource.clone(), is_divided)));
            }
            Err(DiscoveryError::NoService(reason)) => {
                tracing::debug!(discovery = &**spec, "nothing to poll: {reason}");
            }
            Err(DiscoveryError::Failed(reason)) => *failure = Some(format!("discovery {spec}: {reason}")),
        }
    }

    /// Has the pollster read; which resources it can never read.
    async fn read(
        &self,
        reader: &Reader,
        key: &PollsterKey,
        resources: &[Resource],
        end: &mut PollEnd,
    ) -> Vec<Arc<str>> {
        let parts = &self.shared.parts;
        let tap = Tap::new(self.shared);
        let mut refused = Vec::new();
        if !resources.is_empty() {
            let stamp = naive(end.at).into();
            let mut out = SampleOut::new(&tap, stamp, self.shared.settings.batch_size);
            let reading =
                AssertUnwindSafe(reader.pollster.poll(&self.cycle, resources, &mut out)).catch_unwind();
            let panicked = |_| Err(PollError::Failed("it panicked; the log says where".to_owned()));
            let outcome = reading.await.unwrap_or_else(panicked);
            // What was read before something failed is handed on.
            let flushed = out.flush().await.map_err(PollError::from);
            end.samples = out.accepted();
            end.refused_samples = out.refused();
            for error in [outcome.err(), flushed.err()].into_iter().flatten() {
                end.failure = Some(error.to_string());
                if let PollError::Permanent { resources, .. } = error {
                    refused.extend(resources);
                }
            }
        }
        if let (Some(exporter), Some(exported)) = (&parts.exporter, tap.exported) {
            exporter.replace(key, &exported.into_inner());
        }
        refused
    }
}

/// Pollsters that come more than once.
fn repeated(task: &TaskPlan) -> HashMap<&str, Mutex<HashSet<Arc<str>>>> {
    let mut known = HashSet::new();
    let readers = task.sources.iter().flat_map(|source| &source.pollsters);
    let names = readers.map(|reader| reader.pollster.name());
    names.filter(|name| !known.insert(*name)).map(|name| (name, Mutex::default())).collect()
}

/// What samples pass on their way out: they get names and their source, and the exporter sees them.
struct Tap<'a> {
    shared: &'a Shared,
    exported: Option<Mutex<Vec<Sample>>>,
}

impl<'a> Tap<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, exported: shared.parts.exporter.as_ref().map(|_| Mutex::default()) }
    }
}

#[async_trait]
impl SampleSink for Tap<'_> {
    async fn accept(&self, mut samples: Vec<Sample>) -> Result<(), NotAccepted> {
        let Shared { parts, settings, .. } = self.shared;
        for sample in &mut samples {
            if &*sample.source == Sample::DEFAULT_SOURCE && sample.source != settings.sample_source {
                sample.source = Arc::clone(&settings.sample_source);
            }
        }
        if let Some(names) = &parts.names {
            names.fill(&mut samples).await;
        }
        if let Some(exported) = &self.exported {
            exported.lock().extend_from_slice(&samples);
        }
        parts.sink.accept(samples).await
    }
}
