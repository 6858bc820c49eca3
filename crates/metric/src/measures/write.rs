//! Writing measures of one metric, and judging who may write.

use std::sync::Weak;

use nephometer_drivers::{SeriesRun, WriteBatch};
use nephometer_model::{Metric, MetricId, Timestamp, parse_python_uuid};

use super::{MeasureError, MetricAddress};
use crate::access::creator_target;
use crate::cache::{AskedBy, CachedMetric};
use crate::ingest::Measures;
use crate::{Access, MetricError, MetricService};

/// The rule that guards writing.
pub(super) const POST_MEASURES: &str = "post measures";

/// A metric that the caller may write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteTarget {
    metric: CachedMetric,
}

impl MetricService {
    /// The metric at `address` if the caller may write measures to it: from memory where it is there and the rule
    /// looks at nothing but who made the metric.
    pub async fn writable_metric(
        &self,
        access: &Access<'_>,
        address: &MetricAddress,
    ) -> Result<WriteTarget, MetricError> {
        if access.judges_by_creator(POST_MEASURES)
            && let Some(metric) = self.cached(address)
        {
            self.require_cached(access, &[metric])?;
            return Ok(WriteTarget { metric });
        }
        let generation = self.cache.generation();
        let found = self.allowed_metric(access, POST_MEASURES, address).await?;
        let asked = match address {
            MetricAddress::Id(_) => AskedBy::Id,
            MetricAddress::Named { .. } => AskedBy::Name,
        };
        Ok(WriteTarget { metric: self.cache.enter(&found.metric, asked, generation) })
    }

    fn cached(&self, address: &MetricAddress) -> Option<CachedMetric> {
        match address {
            MetricAddress::Id(text) => self.cache.get(MetricId(parse_python_uuid(text)?)),
            MetricAddress::Named { resource, name, .. } => {
                self.cache.get_named([(*resource, name.as_str())].into_iter()).pop().flatten()
            }
        }
    }

    /// Refuses unless the caller may write to these metrics from memory, judged once for each creator.
    pub(super) fn require_cached(
        &self,
        access: &Access<'_>,
        metrics: &[CachedMetric],
    ) -> Result<(), MetricError> {
        let mut creators: Vec<_> = metrics.iter().map(|metric| metric.creator).collect();
        creators.sort_unstable();
        creators.dedup();
        creators.into_iter().try_for_each(|creator| {
            let creator = self.cache.creator(creator);
            access.require(POST_MEASURES, &creator_target(creator.as_deref()))
        })
    }

    /// Stores measures of one metric; they are durable and visible when this returns. None at all is fine.
    pub async fn write_measures(&self, target: WriteTarget, measures: Measures) -> Result<(), MetricError> {
        let len = u32::try_from(measures.len()).unwrap_or(u32::MAX);
        self.store_runs(vec![(target.metric, len)], measures).await
    }

    /// Stores measures whose owners are known; runs without measures are left out. Resources that had ended before
    /// their measures are open again when this returns.
    pub(crate) async fn store_runs(
        &self,
        runs: Vec<(CachedMetric, u32)>,
        measures: Measures,
    ) -> Result<(), MetricError> {
        if measures.is_empty() {
            return Ok(());
        }
        let restored = self.cache.endings.restored_by(&runs, &measures.timestamps_ns);
        let runs = runs
            .into_iter()
            .filter(|(_, len)| *len > 0)
            .map(|(metric, len)| SeriesRun { key: metric.key, policy: metric.policy, len })
            .collect();
        let batch = WriteBatch { runs, timestamps_ns: measures.timestamps_ns, values: measures.values };
        // First, so that an error means that nothing was stored.
        for (resource, newest) in restored {
            self.restore(resource, newest).await?;
        }
        if self.observers.read().is_empty() {
            return Ok(self.store.write(batch).await?);
        }
        let written = batch.runs.clone();
        self.store.write(batch).await?;
        for observer in self.observers.read().iter().filter_map(Weak::upgrade) {
            observer.written(&written);
        }
        Ok(())
    }

    /// Deletes the measures of a metric in `[start, stop)`; a missing end is open, but not both.
    pub async fn delete_measures(
        &self,
        metric: &Metric,
        start: Option<Timestamp>,
        stop: Option<Timestamp>,
    ) -> Result<(), MetricError> {
        if start.is_none() && stop.is_none() {
            return Err(MeasureError::UnboundedDelete.into());
        }
        let start = start.unwrap_or(Timestamp::from_ns(0));
        let stop = stop.unwrap_or(Timestamp::from_ns(i64::MAX));
        Ok(self.store.delete_span(metric.key, start, stop).await?)
    }
}
