//! Operations over metrics that are found by their resources and names.

use std::collections::HashMap;

use nephometer_drivers::{Direction, IndexError, Page, ResourceQuery, Sort};
use nephometer_model::{Filter, Metric, MetricId, Resource, glob_match};

use super::group::{group_names, grouped};
use super::{AggregatesQuery, GroupKey, MeasuredSeries, SeriesReference};
use crate::operations::{Node, OperationsError, Reference};
use crate::{Access, MeasureError, MetricError, MetricService};

/// Which resources, in what groups.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceSelection {
    /// Their type.
    pub type_name: String,
    /// Which of them.
    pub filter: Filter,
    /// Attributes to group by; without any all resources together give one answer.
    pub group_by: Vec<String>,
    /// Whether each revision of a resource counts in the group it belonged to at its time; needs `group_by`.
    pub use_history: bool,
}

/// What operations over the metrics of a group of resources gave.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceAggregates {
    /// What the resources have in common; empty without groups.
    pub group: GroupKey,
    /// The series.
    pub measures: MeasuredSeries,
    /// The resources that have matching metrics.
    pub resources: Vec<Resource>,
}

/// Metrics by id, and the references whose patterns select among them.
pub(super) struct Matcher {
    pub(super) references: Vec<Reference>,
    metrics: HashMap<MetricId, Metric>,
}

impl Matcher {
    /// The series of one resource that match.
    pub(super) fn series_of<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> impl Iterator<Item = SeriesReference<'a>> {
        self.references.iter().flat_map(move |reference| {
            let matching = resource.metrics.iter().filter(|(name, _)| glob_match(&reference.name, name));
            matching.filter_map(|(_, id)| {
                Some(SeriesReference {
                    lookup: reference.name.clone(),
                    method: reference.method.clone(),
                    metric: self.metrics.get(id)?,
                    resource: Some(resource),
                })
            })
        })
    }

    /// That no resource has a metric of any of the names.
    pub(super) fn no_match(&self) -> MetricError {
        let mut names: Vec<_> = self.references.iter().map(|reference| reference.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        MeasureError::from(OperationsError::NoMatch(names)).into()
    }
}

impl MetricService {
    /// Evaluates `node`, whose references are patterns of names, over the metrics of the resources selected that the
    /// caller may search. One answer for each group with matching metrics, or one for all without groups.
    pub async fn aggregate_resources(
        &self,
        access: &Access<'_>,
        node: &Node,
        selection: &ResourceSelection,
        query: &AggregatesQuery,
    ) -> Result<Vec<ResourceAggregates>, MetricError> {
        let names = group_names(&selection.group_by);
        if selection.use_history && !names.is_empty() {
            return self.aggregate_history(access, node, selection, query).await;
        }
        let resources = self.selected(access, selection, false).await?;
        let matcher = self.matcher(node, &resources).await?;
        let mut answers = Vec::new();
        for (group, members) in grouped(&resources, &names) {
            let references: Vec<_> =
                members.iter().flat_map(|resource| matcher.series_of(resource)).collect();
            if references.is_empty() {
                continue;
            }
            let measures = self.evaluate_references(node, &references, query).await?;
            answers.push(ResourceAggregates { group, measures, resources: owners(&references) });
        }
        if answers.is_empty() { Err(matcher.no_match()) } else { Ok(answers) }
    }

    /// The resources (or all their revisions) that are selected and that the caller may search, sorted by what they are
    /// grouped by.
    pub(crate) async fn selected(
        &self,
        access: &Access<'_>,
        selection: &ResourceSelection,
        history: bool,
    ) -> Result<Vec<Resource>, MetricError> {
        let sort = |key: String| Sort { key, direction: Direction::Ascending, nulls: None };
        let allowed = access.resource_filter("search resource", Some(&selection.type_name), "")?;
        let query = ResourceQuery {
            type_name: selection.type_name.clone(),
            filter: allowed.and(selection.filter.clone()),
            history,
            details: false,
            with_metrics: true,
            page: Page {
                sorts: group_names(&selection.group_by).into_iter().map(sort).collect(),
                ..Page::default()
            },
        };
        self.indexer.list_resources(&query).await.map_err(|error| match error {
            IndexError::NoSuchResourceType(name) => MeasureError::UnknownResourceType(name).into(),
            other => other.into(),
        })
    }

    /// The metrics of `resources` that `node` refers to.
    pub(super) async fn matcher(&self, node: &Node, resources: &[Resource]) -> Result<Matcher, MetricError> {
        let references = node.references();
        let wanted = |name: &str| references.iter().any(|reference| glob_match(&reference.name, name));
        let mut ids: Vec<_> = resources
            .iter()
            .flat_map(|resource| resource.metrics.iter())
            .filter(|(name, _)| wanted(name))
            .map(|(_, id)| *id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let metrics = self.metrics_map(&ids).await?;
        Ok(Matcher { references, metrics })
    }
}

/// The resources of these series, each once.
pub(super) fn owners(references: &[SeriesReference<'_>]) -> Vec<Resource> {
    let mut seen = std::collections::HashSet::new();
    let resources = references.iter().filter_map(|reference| reference.resource);
    resources.filter(|resource| seen.insert(resource.id)).cloned().collect()
}
