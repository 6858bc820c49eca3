//! Search for points by their values.

use std::collections::HashMap;

use nephometer_drivers::AggregateRead;
use nephometer_model::{AggregationMethod, Metric, MetricId, Timespan, Timestamp};
use nephometer_series::{Grouping, Points, ValueExpression};

use crate::access::metric_target;
use crate::{Access, MeasureError, MetricError, MetricService, Series};

/// Which points to search for.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueSearch {
    /// The condition on values.
    pub predicate: ValueExpression,
    /// Name of the method by which metrics are read.
    pub method: String,
    /// Widths of the buckets; empty means all that each metric has.
    pub granularities: Vec<Timespan>,
    /// First point in time, rounded down to a bucket.
    pub start: Option<Timestamp>,
    /// End, exclusive, compared with the start of a bucket.
    pub stop: Option<Timestamp>,
}

impl ValueSearch {
    fn plan(&self, metric: &Metric) -> Result<Vec<AggregateRead>, MeasureError> {
        let mut granularities = match self.granularities.is_empty() {
            true => metric.policy.granularities_coarsest_first(),
            false => self.granularities.clone(),
        };
        granularities.sort_unstable_by(|a, b| b.cmp(a));
        granularities.dedup();
        let known = AggregationMethod::parse(&self.method);
        let known = known.filter(|method| metric.policy.methods.contains(*method));
        let read = |granularity: Timespan| {
            let method = known.filter(|_| metric.policy.item(granularity).is_some());
            let method = method.ok_or_else(|| MeasureError::SearchNotComputed {
                method: self.method.clone(),
                granularity,
            })?;
            Ok(AggregateRead {
                key: metric.key,
                policy: metric.policy.key,
                method,
                granularity,
                start: self.start,
                stop: self.stop,
            })
        };
        granularities.into_iter().map(read).collect()
    }

    fn select(&self, granularity: Timespan, points: &Points) -> Series {
        let matching = points.iter().filter(|(_, value)| self.predicate.matches(*value));
        Series { granularity: Grouping::Span(granularity), points: matching.collect() }
    }
}

impl MetricService {
    /// The metrics of these ids that exist, if the caller may search all of them.
    pub async fn searchable_metrics(
        &self,
        access: &Access<'_>,
        ids: &[MetricId],
    ) -> Result<Vec<Metric>, MetricError> {
        let mut found: HashMap<_, _> = self.metrics_map(ids).await?;
        let metrics: Vec<_> = ids.iter().filter_map(|id| found.remove(id)).collect();
        for metric in &metrics {
            access.require("search metric", &metric_target(metric, None))?;
        }
        Ok(metrics)
    }

    /// The points of each metric that match, coarsest granularity first.
    pub async fn search_values(
        &self,
        metrics: &[Metric],
        search: &ValueSearch,
    ) -> Result<Vec<(MetricId, Vec<Series>)>, MetricError> {
        let plans = metrics.iter().map(|metric| search.plan(metric)).collect::<Result<Vec<_>, _>>()?;
        let mut points = self.read_points(&plans.concat()).await?.into_iter();
        let answers = metrics.iter().zip(&plans).map(|(metric, plan)| {
            let series = plan
                .iter()
                .zip(points.by_ref())
                .map(|(read, points)| search.select(read.granularity, &points));
            (metric.id, series.collect())
        });
        Ok(answers.collect())
    }
}
