//! One aggregate of several metrics, as older clients ask for it.

use nephometer_drivers::IndexError;
use nephometer_model::{AggregationMethod, Filter, Metric, MetricId, Timespan, Timestamp};
use nephometer_series::Grouping;
use nephometer_series::matrix::CrossMethod;

use super::common_granularities;
use super::group::{group_names, grouped};
use super::{AggregatesQuery, Gaps, GroupKey, MeasuredSeries, ResourceSelection, SeriesReference};
use crate::access::metric_target;
use crate::operations::{Node, OperationsError, Reference};
use crate::{Access, MeasureError, MeasuresQuery, MetricError, MetricService, Series};

/// How to aggregate several metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossQuery {
    /// Name of the method by which each metric is read.
    pub method: String,
    /// Name of the method across metrics; nothing means the same.
    pub reaggregation: Option<String>,
    /// Width of the buckets; nothing means all that the metrics have in common.
    pub granularity: Option<Timespan>,
    /// First point in time, rounded down to a bucket.
    pub start: Option<Timestamp>,
    /// End, exclusive, compared with the start of a bucket.
    pub stop: Option<Timestamp>,
    /// What becomes of timestamps where a metric has no value.
    pub gaps: Gaps,
    /// What to regroup each metric to before; needs a granularity.
    pub resample: Option<Grouping>,
}

impl CrossQuery {
    /// That all metrics have what is asked for; answers the method.
    fn check(&self, metrics: &[&Metric]) -> Result<AggregationMethod, MeasureError> {
        let missing = |metric: &Metric, granularity| MeasureError::AggregationNotComputed {
            metric: metric.id,
            method: self.method.clone(),
            granularity,
        };
        match self.granularity {
            Some(granularity) => {
                let lacking = metrics.iter().find(|metric| metric.policy.item(granularity).is_none());
                lacking.map_or(Ok(()), |metric| Err(missing(metric, granularity)))?;
            }
            None if common_granularities(metrics).is_empty() => {
                let names = metrics.iter().map(|metric| (metric.id.to_string(), self.method.clone()));
                return Err(OperationsError::NoGranularityMatch(names.collect()).into());
            }
            None => {}
        }
        let method = AggregationMethod::parse(&self.method);
        let lacking = |metric: &&&Metric| method.is_none_or(|method| !metric.policy.methods.contains(method));
        if let Some(metric) = metrics.iter().find(lacking) {
            let first =
                metric.policy.definition.first().map_or(Timespan::from_ns(0), |item| item.granularity);
            return Err(missing(metric, first));
        }
        Ok(method.unwrap_or(AggregationMethod::MEAN))
    }

    /// The operations that the request stands for.
    fn operations(&self, metrics: &[&Metric]) -> Result<Node, MeasureError> {
        let method = self.check(metrics)?;
        let name = self.reaggregation.as_ref().unwrap_or(&self.method);
        let across =
            CrossMethod::parse(name).ok_or_else(|| OperationsError::UnknownReaggregation(name.clone()))?;
        let reference =
            |metric: &&Metric| Reference { name: metric.id.to_string(), method: self.method.clone() };
        let read = Node::Metric(metrics.iter().map(reference).collect());
        let read = match self.resample {
            Some(grouping) => Node::Resample(method, grouping, Box::new(read)),
            None => read,
        };
        Ok(Node::Aggregate(across, vec![read]))
    }
}

impl MetricService {
    /// One aggregate of the metrics of these ids, each counted once.
    pub async fn cross_metrics(
        &self,
        access: &Access<'_>,
        ids: &[MetricId],
        query: &CrossQuery,
    ) -> Result<Vec<Series>, MetricError> {
        let mut unique = ids.to_vec();
        unique.sort_unstable();
        unique.dedup();
        let found = self.metrics_map(&unique).await?;
        if let Some(missing) = unique.iter().find(|id| !found.contains_key(id)) {
            return Err(MetricError::NoSuchMetric(*missing));
        }
        let metrics: Vec<_> = unique.iter().filter_map(|id| found.get(id)).collect();
        self.cross(access, &metrics, query).await
    }

    async fn cross(
        &self,
        access: &Access<'_>,
        metrics: &[&Metric],
        query: &CrossQuery,
    ) -> Result<Vec<Series>, MetricError> {
        for metric in metrics {
            access.require("get metric", &metric_target(metric, None))?;
        }
        match metrics {
            [] => Ok(Vec::new()),
            [metric] => {
                let query = MeasuresQuery {
                    method: query.method.clone(),
                    granularity: query.granularity,
                    start: query.start,
                    stop: query.stop,
                    resample: query.resample,
                };
                self.read_measures(metric, &query).await
            }
            metrics => self.cross_several(metrics, query).await,
        }
    }

    async fn cross_several(
        &self,
        metrics: &[&Metric],
        query: &CrossQuery,
    ) -> Result<Vec<Series>, MetricError> {
        let node = query.operations(metrics)?;
        let reference = |metric: &&'_ Metric| (metric.id.to_string(), query.method.clone());
        let references: Vec<_> = metrics
            .iter()
            .map(|metric| {
                let (lookup, method) = reference(metric);
                SeriesReference { lookup, method, metric, resource: None }
            })
            .collect();
        let range = AggregatesQuery {
            start: query.start,
            stop: query.stop,
            granularity: query.granularity,
            gaps: query.gaps,
        };
        match self.evaluate_references(&node, &references, &range).await? {
            MeasuredSeries::Aggregated(series) => Ok(series),
            MeasuredSeries::Each(_) => Ok(Vec::new()),
        }
    }

    /// One aggregate of the metrics called `name` of each group of resources; without `group_by` one for all.
    pub async fn cross_resources(
        &self,
        access: &Access<'_>,
        type_name: &str,
        filter: Filter,
        name: &str,
        group_by: &[String],
        query: &CrossQuery,
    ) -> Result<Vec<(GroupKey, Vec<Series>)>, MetricError> {
        let selection = ResourceSelection {
            type_name: type_name.to_owned(),
            filter,
            group_by: group_by.to_vec(),
            use_history: false,
        };
        let resources = self.selected(access, &selection, false).await.map_err(|error| match error {
            MetricError::Index(IndexError::Pagination(_)) => MeasureError::GroupBy.into(),
            other => other,
        })?;
        let named = |resource: &nephometer_model::Resource| {
            resource.metrics.iter().find(|(known, _)| known == name).map(|(_, id)| *id)
        };
        let ids: Vec<_> = resources.iter().filter_map(named).collect();
        let metrics = self.metrics_map(&ids).await?;
        let mut answers = Vec::new();
        for (group, members) in grouped(&resources, &group_names(group_by)) {
            let metrics: Vec<_> =
                members.iter().filter_map(|resource| metrics.get(&named(resource)?)).collect();
            answers.push((group, self.cross(access, &metrics, query).await?));
        }
        Ok(answers)
    }
}
