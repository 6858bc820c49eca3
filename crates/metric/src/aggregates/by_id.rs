//! Operations over metrics that are named by id.

use std::collections::{BTreeSet, HashMap};

use nephometer_model::{MetricId, parse_python_uuid};

use super::{AggregatesQuery, MeasuredSeries, SeriesReference};
use crate::operations::{Node, OperationsError};
use crate::{Access, MeasureError, MetricError, MetricService, MetricWithResource};

/// What operations over metrics gave.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricAggregates {
    /// The series.
    pub measures: MeasuredSeries,
    /// The metrics read, each once.
    pub metrics: Vec<MetricWithResource>,
}

impl MetricService {
    /// Evaluates `node`, whose references are ids of metrics in any form of a UUID.
    pub async fn aggregate_metrics(
        &self,
        access: &Access<'_>,
        mut node: Node,
        query: &AggregatesQuery,
    ) -> Result<MetricAggregates, MetricError> {
        let given = node.references();
        if given.iter().any(|reference| parse_python_uuid(&reference.name).is_none()) {
            let given = given.into_iter().map(|reference| (reference.name, reference.method)).collect();
            return Err(MeasureError::from(OperationsError::InvalidReferences(given)).into());
        }
        node.rename(&|reference| {
            if let Some(id) = parse_python_uuid(&reference.name) {
                reference.name = id.to_string();
            }
        });
        let wanted = node.references();
        let mut ids: Vec<_> = wanted.iter().filter_map(|wanted| parse_python_uuid(&wanted.name)).collect();
        ids.sort_unstable();
        ids.dedup();
        let ids: Vec<_> = ids.into_iter().map(MetricId).collect();
        let unknown = |ids| OperationsError::UnknownMetrics(ids).into();
        let metrics = self.existing_metrics(&ids, unknown).await?;
        for found in &metrics {
            self.require_metric(access, "get metric", found)?;
        }
        let by_name: HashMap<_, _> =
            metrics.iter().map(|found| (found.metric.id.to_string(), found)).collect();
        let references: Vec<_> = wanted
            .iter()
            .filter_map(|wanted| {
                let found = by_name.get(&wanted.name)?;
                Some(SeriesReference {
                    lookup: wanted.name.clone(),
                    method: wanted.method.clone(),
                    metric: &found.metric,
                    resource: None,
                })
            })
            .collect();
        let measures = self.evaluate_references(&node, &references, query).await?;
        Ok(MetricAggregates { measures, metrics })
    }

    /// The metrics of these ids, in order, each once, with their resources; `unknown` says what is wrong where some do
    /// not exist.
    pub(crate) async fn existing_metrics(
        &self,
        ids: &[MetricId],
        unknown: impl FnOnce(Vec<String>) -> MeasureError,
    ) -> Result<Vec<MetricWithResource>, MetricError> {
        let mut found = self.metrics_map(ids).await?;
        let missing: BTreeSet<_> = ids.iter().filter(|id| !found.contains_key(id)).collect();
        if !missing.is_empty() {
            return Err(unknown(missing.into_iter().map(ToString::to_string).collect()).into());
        }
        let mut resource_ids: Vec<_> = found.values().filter_map(|metric| metric.resource_id).collect();
        resource_ids.sort_unstable();
        resource_ids.dedup();
        let resources = match resource_ids.is_empty() {
            true => Vec::new(),
            false => self.indexer.resources_by_id(&resource_ids).await?,
        };
        let by_id: HashMap<_, _> = resources.into_iter().map(|resource| (resource.id, resource)).collect();
        let metrics = ids.iter().filter_map(|id| found.remove(id)).map(|metric| MetricWithResource {
            resource: metric.resource_id.and_then(|id| by_id.get(&id)).cloned(),
            metric,
        });
        Ok(metrics.collect())
    }
}
