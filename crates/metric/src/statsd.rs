//! statsd: lines are accumulated for an interval, then every name becomes one measure of a metric of one resource.
//!
//! Pure but for [`MetricService::flush_statsd`]: sockets and timers are the caller's.

mod accumulator;
mod line;

use std::collections::{HashMap, HashSet};

use nephometer_drivers::IndexError;
use nephometer_model::{Identity, ResourceId, resource_id_from};

pub use accumulator::{StatsdAccumulator, StatsdFlush};
pub use line::StatsdLineError;

use crate::cache::AskedBy;
use crate::ingest::{Measures, NamedRun};
use crate::{Access, InvalidInput, MeasureError, MetricError, MetricService, ResourceSpec};

/// Where statsd's measures go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsdSink {
    resource: ResourceId,
    identity: Identity,
    policy_name: Option<String>,
}

/// What became of a flush.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatsdOutcome {
    /// How many measures were stored.
    pub stored: usize,
    /// Names whose measures were dropped, and why.
    pub dropped: Vec<(String, String)>,
}

impl MetricService {
    /// Makes the resource that statsd's metrics belong to, unless it is there. `creator` makes it and its metrics;
    /// without `policy_name` archive policy rules choose.
    pub async fn open_statsd(
        &self,
        resource_id: &str,
        creator: Option<&str>,
        policy_name: Option<&str>,
    ) -> Result<StatsdSink, MetricError> {
        let id = resource_id_from(resource_id, creator)
            .map_err(|error| MeasureError::from(InvalidInput::new(error.to_string())))?;
        let identity = Identity { creator: creator.map(str::to_owned), ..Identity::default() };
        let spec = ResourceSpec {
            id,
            original_resource_id: resource_id.to_owned(),
            type_name: "generic".to_owned(),
            user_id: None,
            project_id: None,
            started_at: None,
            ended_at: None,
            attributes: Default::default(),
            metrics: Default::default(),
        };
        match self.create_resource(&Access::internal(&identity), spec).await {
            Ok(_) | Err(MetricError::Index(IndexError::ResourceAlreadyExists(_))) => {}
            Err(error) => return Err(error),
        }
        Ok(StatsdSink { resource: id, identity, policy_name: policy_name.map(str::to_owned) })
    }

    /// Stores a flush; metrics that are missing are made. A name for which none can be made is dropped by itself. An
    /// error means that nothing was stored: the flush may be given back to the accumulator.
    pub async fn flush_statsd(
        &self,
        sink: &StatsdSink,
        flush: &StatsdFlush,
    ) -> Result<StatsdOutcome, MetricError> {
        let mut outcome = StatsdOutcome::default();
        if flush.is_empty() {
            return Ok(outcome);
        }
        let generation = self.cache.generation();
        let names = || flush.measures().map(|(name, _, _)| (sink.resource, name));
        let mut known = self.cache.get_named(names());
        if known.iter().any(Option::is_none) {
            let wanted: Vec<_> = names().map(|(id, name)| (id, name.to_owned())).collect();
            let mut found = self.indexer.metrics_by_name(&wanted).await?;
            let there: HashSet<_> = found.iter().filter_map(|metric| metric.name.as_deref()).collect();
            let missing: Vec<_> = wanted.iter().filter(|(_, name)| !there.contains(name.as_str())).collect();
            let made = self.make_statsd(sink, missing.iter().map(|(_, name)| name), &mut outcome).await?;
            found.extend(made);
            let by_name: HashMap<_, _> =
                found.iter().filter_map(|metric| Some((metric.name.as_deref()?, metric))).collect();
            for (place, (_, name)) in known.iter_mut().zip(names()) {
                *place = by_name.get(name).map(|metric| self.cache.enter(metric, AskedBy::Name, generation));
            }
        }
        let mut measures = Measures::default();
        let mut runs = Vec::new();
        for (metric, (_, timestamp, value)) in known.into_iter().zip(flush.measures()) {
            let Some(metric) = metric else { continue };
            runs.push((metric, 1));
            measures.timestamps_ns.push(timestamp.ns());
            measures.values.push(value);
        }
        outcome.stored = runs.len();
        self.store_runs(runs, measures).await?;
        Ok(outcome)
    }

    async fn make_statsd<'a>(
        &self,
        sink: &StatsdSink,
        names: impl Iterator<Item = &'a String>,
        outcome: &mut StatsdOutcome,
    ) -> Result<Vec<nephometer_model::Metric>, MetricError> {
        let access = Access::internal(&sink.identity);
        let rules = self.indexer.archive_policy_rules().await?;
        let mut new = Vec::new();
        for name in names {
            let policy_name = sink.policy_name.as_deref().map(Into::into);
            let spec = NamedRun { name: name.as_str().into(), policy_name, unit: None, len: 1 };
            match self.new_named_metric(&access, sink.resource, name, Some(&spec), access.creator(), &rules) {
                Ok(metric) => new.push(metric),
                Err(error) => outcome.dropped.push((name.clone(), error.to_string())),
            }
        }
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = new.iter().filter_map(|metric| metric.name.clone()).collect();
        match self.indexer.create_or_get_metrics(new).await {
            Err(error @ (IndexError::NoSuchArchivePolicy(_) | IndexError::NoSuchResource(_))) => {
                outcome.dropped.extend(names.into_iter().map(|name| (name, error.to_string())));
                Ok(Vec::new())
            }
            made => Ok(made?),
        }
    }
}
