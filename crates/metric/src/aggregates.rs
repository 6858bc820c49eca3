//! Aggregates across series: operations over metrics named by id, or found by resource, grouped, over their history.

mod by_id;
mod by_resource;
mod group;
mod history;
mod legacy;
mod search;

use std::collections::HashMap;

use nephometer_drivers::AggregateRead;
use nephometer_model::{AggregationMethod, Metric, MetricId, Resource, ResourceId, Timespan, Timestamp};
use nephometer_series::matrix::{Fill, Matrix};
use nephometer_series::{Grouping, Points};

pub use by_id::MetricAggregates;
pub use by_resource::{ResourceAggregates, ResourceSelection};
pub use group::GroupKey;
pub use legacy::CrossQuery;
pub use search::ValueSearch;

use crate::operations::{Evaluated, Node, OperationsError, SeriesName, evaluate};
use crate::{MeasureError, MetricError, MetricService, Series, offload};

/// Range, granularity and treatment of gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AggregatesQuery {
    /// First point in time, rounded down to a bucket.
    pub start: Option<Timestamp>,
    /// End, exclusive, compared with the start of a bucket.
    pub stop: Option<Timestamp>,
    /// Width of the buckets; nothing means all that the series have in common.
    pub granularity: Option<Timespan>,
    /// What becomes of timestamps where a series has no value.
    pub gaps: Gaps,
}

/// What becomes of timestamps where a series has no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gaps {
    /// They are filled.
    Fill(Fill),
    /// At most so many percent of the timestamps may lack a value; those beyond the overlap are cut off.
    NeededOverlap(f64),
}

/// Series that operations gave.
#[derive(Debug, Clone, PartialEq)]
pub enum MeasuredSeries {
    /// One made of all.
    Aggregated(Vec<Series>),
    /// One for each metric and method.
    Each(Vec<OwnedSeries>),
}

/// The series of a metric by one method.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedSeries {
    /// The metric.
    pub metric: MetricId,
    /// The resource it was found by, and its name there.
    pub resource: Option<(ResourceId, String)>,
    /// Name of the method.
    pub method: String,
    /// Its points, coarsest granularity first.
    pub series: Vec<Series>,
}

/// A series that operations read.
struct SeriesReference<'a> {
    /// The name by which operations refer to it: an id or a pattern.
    lookup: String,
    /// Name of the method.
    method: String,
    metric: &'a Metric,
    resource: Option<&'a Resource>,
}

impl SeriesReference<'_> {
    /// The series as errors about granularities name it.
    fn shown(&self) -> SeriesName {
        let name = match (self.resource, &self.metric.name) {
            (Some(_), Some(name)) => name.clone(),
            _ => self.metric.id.to_string(),
        };
        (name, self.method.clone())
    }

    fn lookup_key(&self) -> SeriesName {
        (self.lookup.clone(), self.method.clone())
    }

    fn owned(&self) -> OwnedSeries {
        let name = || self.metric.name.clone().unwrap_or_default();
        OwnedSeries {
            metric: self.metric.id,
            resource: self.resource.map(|resource| (resource.id, name())),
            method: self.method.clone(),
            series: Vec::new(),
        }
    }
}

/// Granularities that all of these metrics have, coarsest first.
fn common_granularities(metrics: &[&Metric]) -> Vec<Timespan> {
    let Some((first, rest)) = metrics.split_first() else { return Vec::new() };
    let mut common = first.policy.granularities_coarsest_first();
    common.retain(|granularity| rest.iter().all(|metric| metric.policy.item(*granularity).is_some()));
    common
}

/// What to read, reference by reference within each granularity.
struct Plan {
    granularities: Vec<Timespan>,
    methods: Vec<AggregationMethod>,
}

impl Plan {
    fn of(references: &[SeriesReference<'_>], query: &AggregatesQuery) -> Result<Self, OperationsError> {
        let granularities = match query.granularity {
            Some(granularity) => vec![granularity],
            None => {
                let metrics: Vec<_> = references.iter().map(|reference| reference.metric).collect();
                common_granularities(&metrics)
            }
        };
        if granularities.is_empty() {
            let shown = references.iter().map(SeriesReference::shown).collect();
            return Err(OperationsError::NoGranularityMatch(shown));
        }
        let mut methods = Vec::with_capacity(references.len());
        let mut missing = Vec::new();
        for reference in references {
            let policy = &reference.metric.policy;
            let method =
                AggregationMethod::parse(&reference.method).filter(|method| policy.methods.contains(*method));
            let Some(method) = method else {
                let series = (reference.metric.id.to_string(), reference.method.clone());
                return Err(OperationsError::UnknownMethod(series));
            };
            methods.push(method);
            let lacking = granularities.iter().find(|granularity| policy.item(**granularity).is_none());
            missing.extend(lacking.map(|granularity| (reference.shown(), *granularity)));
        }
        if missing.is_empty() {
            Ok(Self { granularities, methods })
        } else {
            Err(OperationsError::MissingGranularities(missing))
        }
    }

    fn reads(&self, references: &[SeriesReference<'_>], query: &AggregatesQuery) -> Vec<AggregateRead> {
        let read = |granularity: Timespan| {
            references.iter().zip(&self.methods).map(move |(reference, method)| AggregateRead {
                key: reference.metric.key,
                policy: reference.metric.policy.key,
                method: *method,
                granularity,
                start: query.start,
                stop: query.stop,
            })
        };
        self.granularities.iter().flat_map(|granularity| read(*granularity)).collect()
    }
}

/// How many cells these series make side by side; refuses more than `max_points`.
fn cells(series: &[Points], max_points: usize) -> Result<usize, MeasureError> {
    let Some((first, rest)) = series.split_first() else { return Ok(0) };
    let aligned = rest.iter().all(|points| points.timestamps_ns == first.timestamps_ns);
    let mut rows = if aligned { first.len() } else { series.iter().map(Points::len).sum() };
    if !aligned && rows.saturating_mul(series.len()) > max_points {
        let mut all: Vec<i64> =
            series.iter().flat_map(|points| points.timestamps_ns.iter().copied()).collect();
        // Stable sorting merges runs that are sorted already.
        all.sort();
        all.dedup();
        rows = all.len();
    }
    let cells = rows.saturating_mul(series.len());
    if cells > max_points { Err(MeasureError::TooManyPoints(max_points)) } else { Ok(cells) }
}

/// Evaluates `node` over the series of one granularity.
fn evaluate_at(
    node: &Node,
    granularity: Timespan,
    series: &[Points],
    names: &[SeriesName],
    query: &AggregatesQuery,
) -> Result<Evaluated, OperationsError> {
    let granularity = Grouping::Span(granularity);
    let matrix = match query.gaps {
        Gaps::Fill(fill) => Matrix::align(granularity, series, fill),
        Gaps::NeededOverlap(needed) => {
            let mut matrix = Matrix::align(granularity, series, Fill::Null);
            matrix
                .require_overlap(needed, query.start.is_some(), query.stop.is_some())
                .map_err(|error| OperationsError::Overlap { error, series: names.to_vec() })?;
            matrix
        }
    };
    evaluate(node, &matrix, names)
}

impl AggregatesQuery {
    fn shows_gaps(&self) -> bool {
        !matches!(self.gaps, Gaps::Fill(fill) if fill.drops_gaps())
    }

    fn column(&self, matrix: &Matrix, column: usize) -> Series {
        let points = matrix.points(column, !self.shows_gaps()).collect();
        Series { granularity: matrix.granularity, points }
    }
}

impl MetricService {
    /// Reads the series of `references` and evaluates `node` over them, granularity by granularity.
    async fn evaluate_references(
        &self,
        node: &Node,
        references: &[SeriesReference<'_>],
        query: &AggregatesQuery,
    ) -> Result<MeasuredSeries, MetricError> {
        let plan = Plan::of(references, query).map_err(MeasureError::from)?;
        let points = self.read_points(&plan.reads(references, query)).await?;
        let names: Vec<_> = references.iter().map(SeriesReference::lookup_key).collect();
        let mut aggregated = Vec::new();
        let mut each: Vec<_> = references.iter().map(SeriesReference::owned).collect();
        let mut is_aggregated = false;
        for (granularity, points) in plan.granularities.iter().zip(points.chunks(references.len())) {
            let cells = cells(points, self.settings.max_points)?;
            let result = offload(cells, || evaluate_at(node, *granularity, points, &names, query));
            let result = result.map_err(MeasureError::from)?;
            is_aggregated = result.aggregated;
            if is_aggregated {
                aggregated.push(query.column(&result.matrix, 0));
            } else {
                for (column, owned) in each.iter_mut().enumerate() {
                    owned.series.push(query.column(&result.matrix, column));
                }
            }
        }
        Ok(if is_aggregated { MeasuredSeries::Aggregated(aggregated) } else { MeasuredSeries::Each(each) })
    }

    /// The metrics of these ids that exist, by id.
    async fn metrics_map(&self, ids: &[MetricId]) -> Result<HashMap<MetricId, Metric>, MetricError> {
        let metrics = if ids.is_empty() { Vec::new() } else { self.indexer.metrics_by_id(ids).await? };
        Ok(metrics.into_iter().map(|metric| (metric.id, metric)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_that_make_many_cells_are_refused() {
        let series = |start: i64| (0..10).map(|at| (start + at, 1.0)).collect::<Points>();
        let aligned = [series(0), series(0), series(0)];
        assert_eq!(cells(&aligned, 30), Ok(30));
        assert_eq!(cells(&aligned, 29), Err(MeasureError::TooManyPoints(29)));
        let overlapping = [series(0), series(0), series(5)];
        assert_eq!(cells(&overlapping, 45), Ok(45));
        let apart = [series(0), series(100), series(200)];
        assert_eq!(cells(&apart, 89), Err(MeasureError::TooManyPoints(89)));
        assert_eq!(cells(&[], 0), Ok(0));
    }
}
