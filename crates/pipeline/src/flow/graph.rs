//! A configuration with its publishers: what samples go through.

use std::borrow::Cow;
use std::sync::Arc;

use futures::future::join_all;
use nephometer_model::{Sample, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use super::counts::{Counters, SinkCounts, Tally};
use super::{LoadPublisher, PipelineError};
use crate::config::{PipelineConfig, pipeline_name};
use crate::run::{self, Outcomes};
use crate::store::Store;
use crate::transform::{DropReason, Transformer, check_volume};
use crate::{NamePatterns, NotAccepted, Publisher};

/// By what a publisher is known on disk: its address may hold secrets.
type TargetKey = Arc<str>;

pub(super) struct Graph {
    pub(super) sinks: Vec<Arc<SinkRun>>,
    /// By address.
    publishers: Vec<(String, Arc<dyn Publisher>)>,
}

/// A sink at work.
pub(super) struct SinkRun {
    pub(super) name: Arc<str>,
    /// Sources that name it, with the names of the pipelines that this makes.
    sources: Vec<(Arc<str>, NamePatterns)>,
    pub(super) chain: Vec<Transformer>,
    /// Whether any of its transformers remembers.
    pub(super) remembers: bool,
    pub(super) publishers: Vec<(TargetKey, Arc<dyn Publisher>)>,
    pub(super) counters: Arc<Counters>,
}

/// What a sink has chosen of a batch.
pub(super) struct Chosen<'s> {
    pub(super) samples: Cow<'s, [Sample]>,
    pub(super) tally: Tally,
}

impl Graph {
    /// Makes what `config` describes; publishers and counters that `old` has are used again.
    pub(super) fn build(
        config: &PipelineConfig,
        old: Option<&Self>,
        load: &mut LoadPublisher<'_>,
    ) -> Result<Self, PipelineError> {
        let mut publishers: Vec<(String, Arc<dyn Publisher>)> = Vec::new();
        let mut sinks = Vec::new();
        for sink in &config.sinks {
            let mut targets: Vec<(TargetKey, Arc<dyn Publisher>)> = Vec::new();
            for address in &sink.publishers {
                let known = |list: &[(String, Arc<dyn Publisher>)]| {
                    list.iter()
                        .find(|(known, _)| known == address)
                        .map(|(_, publisher)| Arc::clone(publisher))
                };
                let publisher = match known(&publishers).or_else(|| known(&old?.publishers)) {
                    Some(publisher) => publisher,
                    None => load(address)?,
                };
                if known(&publishers).is_none() {
                    publishers.push((address.clone(), Arc::clone(&publisher)));
                }
                let key: TargetKey = format!("{:016x}", xxh3_64(address.as_bytes())).into();
                if !targets.iter().any(|(known, _)| *known == key) {
                    targets.push((key, publisher));
                }
            }
            let sources = config.sources.iter().filter(|source| source.sinks.contains(&sink.name));
            let before = old.and_then(|old| old.sinks.iter().find(|known| known.name == sink.name));
            sinks.push(Arc::new(SinkRun {
                name: Arc::clone(&sink.name),
                sources: sources
                    .map(|source| (pipeline_name(&source.name, &sink.name), source.names.clone()))
                    .collect(),
                remembers: sink.transformers.iter().any(Transformer::remembers),
                chain: sink.transformers.clone(),
                publishers: targets,
                counters: before.map(|sink| Arc::clone(&sink.counters)).unwrap_or_default(),
            }));
        }
        Ok(Self { sinks, publishers })
    }
}

impl SinkRun {
    pub(super) fn identities(&self) -> Vec<u64> {
        self.chain.iter().enumerate().map(|(at, transformer)| transformer.identity(at)).collect()
    }

    pub(super) fn target_keys(&self) -> Vec<Arc<str>> {
        self.publishers.iter().map(|(key, _)| Arc::clone(key)).collect()
    }

    /// Whether the transformer holds samples only until others of their resource come.
    pub(super) fn waits_by_resource(&self, identity: u64) -> bool {
        let mut chain = self.chain.iter().enumerate();
        chain.any(|(at, transformer)| transformer.identity(at) == identity && transformer.waits_by_resource())
    }

    /// The samples that a source of this sink chooses and that have a volume; nothing where it chooses none. A sample that
    /// several sources choose comes once.
    pub(super) fn choose<'s>(&self, samples: &'s [Sample]) -> Option<Chosen<'s>> {
        let mut tally = Tally::default();
        let mut kept = Vec::with_capacity(samples.len());
        // Samples of one meter stand side by side as a rule.
        let mut last: Option<(&str, Option<&Arc<str>>)> = None;
        for (at, sample) in samples.iter().enumerate() {
            let pipeline = match last {
                Some((name, pipeline)) if name == &*sample.name => pipeline,
                _ => {
                    let mut sources = self.sources.iter();
                    sources.find(|(_, names)| names.matches(&sample.name)).map(|(pipeline, _)| pipeline)
                }
            };
            last = Some((&sample.name, pipeline));
            let Some(pipeline) = pipeline else { continue };
            tally.receive(pipeline);
            match check_volume(sample) {
                Ok(()) => kept.push(at),
                Err(reason) => {
                    warn_of_volume(sample, reason);
                    tally.drops.push(reason);
                }
            }
        }
        if tally.received.is_empty() {
            return None;
        }
        let samples = if kept.len() == samples.len() {
            Cow::Borrowed(samples)
        } else {
            Cow::Owned(kept.into_iter().map(|at| samples[at].clone()).collect())
        };
        Some(Chosen { samples, tally })
    }

    /// Publishes what a sink that remembers nothing makes of its samples.
    pub(super) async fn publish(&self, chosen: Chosen<'_>, now: Timestamp) -> Result<(), NotAccepted> {
        let mut tally = chosen.tally;
        let made;
        let samples: &[Sample] = if self.chain.is_empty() {
            &chosen.samples
        } else {
            let outcomes =
                run::batch(&self.chain, &std::collections::HashMap::new(), chosen.samples.into_owned(), now);
            tally.drops.extend(outcomes.drops);
            made = outcomes.samples;
            &made
        };
        if !samples.is_empty() {
            let publishing = self.publishers.iter().map(|(_, publisher)| self.publish_to(publisher, samples));
            let refusals: Vec<String> =
                join_all(publishing).await.into_iter().filter_map(Result::err).collect();
            if !refusals.is_empty() {
                return Err(NotAccepted(refusals.join("; ")));
            }
        }
        self.counters.add(&tally);
        Ok(())
    }

    async fn publish_to(&self, publisher: &Arc<dyn Publisher>, samples: &[Sample]) -> Result<(), String> {
        let result = publisher.publish(samples).await;
        self.counters.published(&self.name, publisher.target(), samples.len(), result)
    }

    /// Counts what became of a batch.
    pub(super) fn count(&self, tally: &Tally, outcomes: &Outcomes, replayed: usize) {
        self.counters.add(tally);
        self.counters.drop_all(&outcomes.drops);
        self.counters.drop_many(DropReason::Replayed, replayed as u64);
    }

    pub(super) fn counts(&self, store: &Store) -> SinkCounts {
        let (waiting, remembered) = if self.remembers { store.counts(&self.name) } else { (0, 0) };
        self.counters.read(&self.name, waiting, remembered)
    }
}

fn warn_of_volume(sample: &Sample, reason: DropReason) {
    let (meter, volume) = (&sample.name, sample.volume.to_json());
    let resource = sample.resource_id.as_deref().unwrap_or("None");
    let timestamp = sample.timestamp.as_deref().unwrap_or("None");
    if reason == DropReason::NoVolume {
        tracing::warn!(
            "metering data {meter} for {resource} @ {timestamp} has no volume (volume: None), the sample will be dropped"
        );
    } else {
        let volume = nephometer_model::python::str(&volume);
        tracing::warn!(
            "metering data {meter} for {resource} @ {timestamp} has volume which is not a number (volume: {volume}), \
             the sample will be dropped"
        );
    }
}
