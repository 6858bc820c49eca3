//! Operations over the history of resources: each revision counts in the group it belonged to, for its time.
//!
//! Operations are evaluated for each revision by itself; then values are scaled by the part of their bucket that the
//! revision lasted, and added up by timestamp and granularity.

use std::collections::HashMap;

use nephometer_model::{Comparison, Filter, FilterValue, Resource, ResourceId, Revision, Timestamp};
use nephometer_series::{Grouping, WindowedSum};

use super::by_resource::{Matcher, owners};
use super::group::{group_names, grouped};
use super::{AggregatesQuery, MeasuredSeries, ResourceAggregates, ResourceSelection};
use crate::operations::{Node, OperationsError};
use crate::{Access, MeasureError, MetricError, MetricService, Series};

/// A span of time; missing ends are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    start: Option<Timestamp>,
    stop: Option<Timestamp>,
}

impl Window {
    fn is_empty(self) -> bool {
        matches!((self.start, self.stop), (Some(start), Some(stop)) if start >= stop)
    }
}

/// The resources of which a revision touches the range asked for, where that has two ends.
fn period(query: &AggregatesQuery) -> Filter {
    let (Some(start), Some(stop)) = (query.start, query.stop) else { return Filter::All };
    let compare =
        |comparison, attribute: &str, value| Filter::Compare(comparison, attribute.to_owned(), value);
    Filter::And(vec![
        compare(Comparison::Lt, "revision_start", FilterValue::Time(stop)),
        Filter::Or(vec![
            compare(Comparison::Ge, "revision_end", FilterValue::Time(start)),
            compare(Comparison::Eq, "revision_end", FilterValue::Null),
        ]),
    ])
}

/// The time for which each revision counts: the first one of a resource since the start of the range, others since
/// they began; all until they ended.
fn windows(revisions: &[Resource], query: &AggregatesQuery) -> HashMap<(ResourceId, Revision), Window> {
    let mut order: Vec<&Resource> = revisions.iter().collect();
    order.sort_by_key(|resource| (resource.id, resource.revision_start));
    let mut last = None;
    let window = |resource: &&Resource| {
        let is_first = last.replace(resource.id) != Some(resource.id);
        let began = if is_first { None } else { Some(resource.revision_start) };
        let start = began.into_iter().chain(query.start).max();
        let stop = resource.revision_end.into_iter().chain(query.stop).min();
        ((resource.id, resource.revision), Window { start, stop })
    };
    order.iter().map(window).collect()
}

impl MetricService {
    pub(super) async fn aggregate_history(
        &self,
        access: &Access<'_>,
        node: &Node,
        selection: &ResourceSelection,
        query: &AggregatesQuery,
    ) -> Result<Vec<ResourceAggregates>, MetricError> {
        let mut selection = selection.clone();
        selection.filter = period(query).and(selection.filter);
        let revisions = self.selected(access, &selection, true).await?;
        let matcher = self.matcher(node, &revisions).await?;
        let windows = windows(&revisions, query);
        let mut answers = Vec::new();
        for (group, members) in grouped(&revisions, &group_names(&selection.group_by)) {
            let mut sum = WindowedSum::default();
            let mut resources: Vec<Resource> = Vec::new();
            for revision in members {
                let window = windows.get(&(revision.id, revision.revision)).copied();
                let Some(window) = window.filter(|window| !window.is_empty()) else { continue };
                let owner = self.add_revision(&mut sum, node, &matcher, revision, window, query).await?;
                resources.extend(owner.filter(|owner| resources.iter().all(|known| known.id != owner.id)));
            }
            let span = |(granularity, points)| Series { granularity: Grouping::Span(granularity), points };
            let series: Vec<_> = sum.into_points().map(span).collect();
            if series.iter().any(|series| !series.points.is_empty()) {
                let measures = MeasuredSeries::Aggregated(series);
                answers.push(ResourceAggregates { group, measures, resources });
            }
        }
        if answers.is_empty() { Err(matcher.no_match()) } else { Ok(answers) }
    }

    /// Adds what one revision contributes; answers its resource where that has matching metrics.
    async fn add_revision(
        &self,
        sum: &mut WindowedSum,
        node: &Node,
        matcher: &Matcher,
        revision: &Resource,
        window: Window,
        query: &AggregatesQuery,
    ) -> Result<Option<Resource>, MetricError> {
        let references: Vec<_> = matcher.series_of(revision).collect();
        if references.is_empty() {
            return Ok(None);
        }
        let query = AggregatesQuery { start: window.start, stop: window.stop, ..*query };
        let MeasuredSeries::Aggregated(series) = self.evaluate_references(node, &references, &query).await?
        else {
            return Err(MeasureError::from(OperationsError::HistoryNeedsAggregate).into());
        };
        for series in series {
            if let Grouping::Span(granularity) = series.granularity {
                let (start, stop) = (window.start.map(Timestamp::ns), window.stop.map(Timestamp::ns));
                sum.add(granularity, &series.points, start, stop);
            }
        }
        Ok(owners(&references).pop())
    }
}
