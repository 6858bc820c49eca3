//! Reading aggregates of one metric or of several.

use nephometer_drivers::{AggregateRead, LateSpan};
use nephometer_model::{AggregationMethod, Metric, MetricId, Timespan, Timestamp};
use nephometer_series::{Grouping, Points, resample};

use super::{MeasureError, MetricAddress};
use crate::{Access, MetricError, MetricService};

/// Series that the store is asked for at once, so that what is too much is noticed early.
const READS_AT_ONCE: usize = 1024;

/// Which aggregates of a metric to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuresQuery {
    /// Name of the method.
    pub method: String,
    /// Width of the buckets; nothing means all that the policy has, coarsest first.
    pub granularity: Option<Timespan>,
    /// First point in time, rounded down to a bucket.
    pub start: Option<Timestamp>,
    /// End, exclusive, compared with the start of a bucket.
    pub stop: Option<Timestamp>,
    /// What to regroup to; needs a granularity.
    pub resample: Option<Grouping>,
}

/// Aggregates of one metric at one granularity.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Width of the buckets.
    pub granularity: Grouping,
    /// Buckets in ascending order.
    pub points: Points,
}

impl MeasuresQuery {
    /// What to read of a metric, or why its policy does not have it.
    fn plan(&self, metric: &Metric) -> Result<Vec<AggregateRead>, MeasureError> {
        let method =
            AggregationMethod::parse(&self.method).filter(|method| metric.policy.methods.contains(*method));
        let method = method.ok_or_else(|| MeasureError::MethodNotComputed {
            metric: metric.id,
            method: self.method.clone(),
        })?;
        let granularities = match self.granularity {
            None => metric.policy.granularities_coarsest_first(),
            Some(granularity) if metric.policy.item(granularity).is_some() => vec![granularity],
            Some(granularity) => {
                return Err(MeasureError::AggregationNotComputed {
                    metric: metric.id,
                    method: self.method.clone(),
                    granularity,
                });
            }
        };
        let (start, stop) = self.stored_range(method);
        let read = |granularity| AggregateRead {
            key: metric.key,
            policy: metric.policy.key,
            method,
            granularity,
            start,
            stop,
        };
        Ok(granularities.into_iter().map(read).collect())
    }

    /// The range of stored aggregates that makes up whole groups of the range asked for. Differences of aggregates
    /// reach back to the one before, however far that is.
    fn stored_range(&self, method: AggregationMethod) -> (Option<Timestamp>, Option<Timestamp>) {
        let Some(grouping) = self.resample else { return (self.start, self.stop) };
        let start = self.start.filter(|_| !method.rate);
        let start = start.map(|start| Timestamp::from_ns(grouping.group(start.ns()).start_ns.max(0)));
        let stop = self.stop.and_then(|stop| {
            let last = grouping.group(stop.ns().saturating_sub(1)).last_ns;
            last.checked_add(1).map(Timestamp::from_ns)
        });
        (start, stop)
    }

    fn finish(&self, read: &AggregateRead, points: Points) -> Series {
        let Some(grouping) = self.resample else {
            return Series { granularity: Grouping::Span(read.granularity), points };
        };
        let mut points = resample(&points, grouping, read.method);
        let start = self.start.map(|start| grouping.group(start.ns()).start_ns);
        points.cut(start, self.stop.map(Timestamp::ns));
        Series { granularity: grouping, points }
    }
}

impl MetricService {
    /// Reads stored series, one answer each, in order; refuses where they have more points than one request may read.
    pub(crate) async fn read_points(&self, reads: &[AggregateRead]) -> Result<Vec<Points>, MetricError> {
        let mut points = Vec::with_capacity(reads.len());
        let mut left = self.settings.max_points;
        for some in reads.chunks(READS_AT_ONCE) {
            for answer in self.store.read(some.to_vec()).await? {
                left = left
                    .checked_sub(answer.values.len())
                    .ok_or(MeasureError::TooManyPoints(self.settings.max_points))?;
                points.push(Points { timestamps_ns: answer.timestamps_ns, values: answer.values });
            }
        }
        Ok(points)
    }

    /// Aggregates of a metric that the caller may read, coarsest granularity first.
    pub async fn read_measures(
        &self,
        metric: &Metric,
        query: &MeasuresQuery,
    ) -> Result<Vec<Series>, MetricError> {
        let reads = query.plan(metric)?;
        let points = self.read_points(&reads).await?;
        Ok(reads.iter().zip(points).map(|(read, points)| query.finish(read, points)).collect())
    }

    /// Aggregates of several metrics in one read, in the order of `ids`, each metric once.
    pub async fn read_many(
        &self,
        access: &Access<'_>,
        ids: &[MetricId],
        query: &MeasuresQuery,
    ) -> Result<Vec<(MetricId, Vec<Series>)>, MetricError> {
        let metrics = self.existing_metrics(ids, MeasureError::UnknownMetrics).await?;
        metrics.iter().try_for_each(|found| self.require_metric(access, "get measures", found))?;
        let plans = metrics.iter().map(|found| query.plan(&found.metric)).collect::<Result<Vec<_>, _>>()?;
        let mut points = self.read_points(&plans.concat()).await?.into_iter();
        let series = |plan: &Vec<AggregateRead>| {
            plan.iter().zip(points.by_ref()).map(|(read, points)| query.finish(read, points)).collect()
        };
        let series: Vec<Vec<Series>> = plans.iter().map(series).collect();
        Ok(metrics.iter().map(|found| found.metric.id).zip(series).collect())
    }

    /// Measures of a metric that came too late to count, by span, oldest first.
    pub async fn late_measures(
        &self,
        access: &Access<'_>,
        address: &MetricAddress,
    ) -> Result<Vec<LateSpan>, MetricError> {
        let found = self.allowed_metric(access, "get measures", address).await?;
        Ok(self.store.late(found.metric.key).await?)
    }
}
