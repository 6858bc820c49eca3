//! Readings for alarms: the service as `drivers` wants it, asked by name and answered in bulk.

use std::collections::HashMap;

use async_trait::async_trait;
use nephometer_drivers::{
    AggregateRead, DataPoints, IndexError, MetricRead, MetricReadError, MetricReader, MetricSubject, Page,
    ResourceQuery, StoreError,
};
use nephometer_model::{
    AggregationMethod, Filter, Identity, Metric, MetricId, Resource, ResourceId, SeriesKey, Timestamp,
    parse_python_uuid,
};
use nephometer_series::Points;
use nephometer_series::matrix::CrossMethod;
use serde_json::Value;

use crate::operations::{Node, OperationsError, Reference};
use crate::query::parse_filter;
use crate::{
    Access, AggregatesQuery, Gaps, MeasureError, MeasuredSeries, MetricError, MetricService,
    MetricWithResource, ResourceSelection, split_creator,
};

/// A metric of a resource by its name.
type Named = (ResourceId, String);

/// What a resource is called that is seen through no certain type.
const ANY_TYPE: &str = "generic";

/// What a reading of one metric means in the store, or why it means nothing.
type Planned = Result<AggregateRead, MetricReadError>;

#[async_trait]
impl MetricReader for MetricService {
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>> {
        let mut answers: Vec<Option<Result<DataPoints, MetricReadError>>> = vec![None; reads.len()];
        let of_resources: Vec<_> = reads
            .iter()
            .enumerate()
            .filter_map(|(at, read)| match &read.subject {
                MetricSubject::OfResource { resource_id, metric } => Some((at, read, resource_id, metric)),
                _ => None,
            })
            .collect();
        let wanted: Vec<_> = of_resources.iter().map(|(_, read, id, name)| (*read, *id, *name)).collect();
        for ((at, ..), answer) in of_resources.iter().zip(self.read_named(&wanted).await) {
            answers[*at] = Some(answer);
        }
        for (read, answer) in reads.iter().zip(&mut answers) {
            if answer.is_none() {
                *answer = Some(self.read_together(read).await);
            }
        }
        answers.into_iter().flatten().collect()
    }

    async fn check(&self, read: &MetricRead) -> Result<(), MetricReadError> {
        let MetricSubject::OfResources { resource_type, search, .. } = &read.subject else { return Ok(()) };
        let selection = selection(resource_type, search, read.project_id.as_deref())?;
        let query = ResourceQuery {
            type_name: selection.type_name,
            filter: selection.filter,
            history: false,
            details: false,
            with_metrics: false,
            page: Page { limit: Some(1), ..Page::default() },
        };
        self.indexer.list_resources(&query).await.map(drop).map_err(|error| unread(&error.into()))
    }

    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError> {
        Ok(AggregationMethod::all().map(|method| method.to_string()).collect())
    }

    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>> {
        let mut named = Vec::new();
        for read in reads {
            if let MetricSubject::OfResource { resource_id, metric } = &read.subject {
                named.push((read, resource_id, metric));
            }
        }
        let mut found = self.named_metrics(&named).await.into_iter();
        let mut series = Vec::with_capacity(reads.len());
        for read in reads {
            series.push(match &read.subject {
                MetricSubject::OfResource { .. } => match found.next() {
                    Some(Ok(metric)) => Some(vec![metric.key]),
                    // It may come, and is then found by time.
                    _ => None,
                },
                MetricSubject::Metrics(ids) => self.keys_of(ids).await,
                MetricSubject::OfResources { metric, resource_type, search } => {
                    self.keys_found(read, metric, resource_type, search).await
                }
            });
        }
        series
    }
}

impl MetricService {
    /// Answers readings of single metrics, by one look into the index and one into the store.
    async fn read_named(
        &self,
        wanted: &[(&MetricRead, &String, &String)],
    ) -> Vec<Result<DataPoints, MetricReadError>> {
        let metrics = self.named_metrics(wanted).await;
        let planned: Vec<Planned> = metrics
            .into_iter()
            .zip(wanted)
            .map(|(metric, (read, ..))| metric.and_then(|metric| single_read(&metric, read)))
            .collect();
        let reads: Vec<_> = planned.iter().flatten().copied().collect();
        let mut points = match self.read_points(&reads).await {
            Ok(points) => points.into_iter(),
            Err(error) => {
                let error = unread(&error);
                return planned
                    .into_iter()
                    .map(|plan| Err(plan.err().unwrap_or_else(|| error.clone())))
                    .collect();
            }
        };
        planned.into_iter().map(|plan| plan.map(|_| data_points(points.next().unwrap_or_default()))).collect()
    }

    /// The metric of each of these, if there is one that the reading's project may see.
    async fn named_metrics(
        &self,
        wanted: &[(&MetricRead, &String, &String)],
    ) -> Vec<Result<Metric, MetricReadError>> {
        match self.look_up_named(wanted).await {
            Ok(metrics) => metrics,
            Err(error) => {
                let error = unread(&error.into());
                wanted.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn look_up_named(
        &self,
        wanted: &[(&MetricRead, &String, &String)],
    ) -> Result<Vec<Result<Metric, MetricReadError>>, IndexError> {
        let mut names: Vec<Option<Named>> = Vec::with_capacity(wanted.len());
        for (_, resource, name) in wanted {
            names.push(self.resource_called(resource).await?.map(|id| (id, (*name).clone())));
        }
        let mut unique: Vec<_> = names.iter().flatten().cloned().collect();
        unique.sort_unstable();
        unique.dedup();
        let found = match unique.is_empty() {
            true => Vec::new(),
            false => self.indexer.metrics_by_name(&unique).await?,
        };
        let metrics: HashMap<Named, Metric> = found
            .into_iter()
            .filter_map(|metric| Some(((metric.resource_id?, metric.name.clone()?), metric)))
            .collect();
        // Resources are looked at only where a metric alone does not answer.
        let asked: Vec<_> = names
            .iter()
            .zip(wanted)
            .filter_map(|(name, (read, ..))| {
                let name = name.as_ref()?;
                let metric = metrics.get(name);
                metric.is_none_or(|metric| !is_creators(metric, read.project_id.as_deref())).then_some(name.0)
            })
            .collect();
        let resources = self.resources_map(asked).await?;
        let judge = |(name, (read, ..)): (Option<Named>, &(&MetricRead, &String, &String))| {
            let Some(name) = name else { return Err(MetricReadError::NoSuchResource) };
            let resource = resources.get(&name.0);
            let project = read.project_id.as_deref();
            match metrics.get(&name) {
                Some(metric) if may_see(metric, resource, project) => Ok(metric.clone()),
                Some(_) => Err(MetricReadError::NoSuchResource),
                None if resource.is_some_and(|resource| owns(resource, project)) => {
                    Err(MetricReadError::NoSuchMetric)
                }
                None => Err(MetricReadError::NoSuchResource),
            }
        };
        Ok(names.into_iter().zip(wanted).map(judge).collect())
    }

    /// The resource of this id, or the one that was made under it where it is no UUID, whoever made it.
    async fn resource_called(&self, text: &str) -> Result<Option<ResourceId>, IndexError> {
        if let Some(id) = parse_python_uuid(text) {
            return Ok(Some(ResourceId(id)));
        }
        let query = ResourceQuery {
            type_name: ANY_TYPE.to_owned(),
            filter: Filter::eq_text("original_resource_id", text),
            history: false,
            details: false,
            with_metrics: false,
            page: Page { limit: Some(1), ..Page::default() },
        };
        Ok(self.indexer.list_resources(&query).await?.first().map(|resource| resource.id))
    }

    async fn resources_map(
        &self,
        mut ids: Vec<ResourceId>,
    ) -> Result<HashMap<ResourceId, Resource>, IndexError> {
        ids.sort_unstable();
        ids.dedup();
        let found = if ids.is_empty() { Vec::new() } else { self.indexer.resources_by_id(&ids).await? };
        Ok(found.into_iter().map(|resource| (resource.id, resource)).collect())
    }

    /// Answers a reading of several series as one.
    async fn read_together(&self, read: &MetricRead) -> Result<DataPoints, MetricReadError> {
        let across = CrossMethod::parse(&read.method).ok_or_else(|| MetricReadError::Refused {
            status: 400,
            text: format!("'{}' is not a reaggregation method", read.method),
        })?;
        let single = read.method.strip_prefix("rate:").unwrap_or(&read.method);
        let reference = |name: &String| Reference { name: name.clone(), method: single.to_owned() };
        let operations = |names: &[String]| {
            Node::Aggregate(across, vec![Node::Metric(names.iter().map(reference).collect())])
        };
        let query = AggregatesQuery {
            start: Some(read.start),
            stop: Some(read.stop),
            granularity: Some(read.granularity),
            gaps: Gaps::NeededOverlap(0.0),
        };
        let identity = Identity::default();
        let access = Access::internal(&identity);
        let measures = match &read.subject {
            MetricSubject::OfResource { resource_id, metric } => {
                return self.read_named(&[(read, resource_id, metric)]).await.swap_remove(0);
            }
            MetricSubject::Metrics(ids) => {
                self.require_visible(ids, read.project_id.as_deref()).await?;
                self.aggregate_metrics(&access, operations(ids), &query)
                    .await
                    .map_err(|error| unread(&error))?
                    .measures
            }
            MetricSubject::OfResources { metric, resource_type, search } => {
                let selection = selection(resource_type, search, read.project_id.as_deref())?;
                let node = operations(std::slice::from_ref(metric));
                let mut groups = self
                    .aggregate_resources(&access, &node, &selection, &query)
                    .await
                    .map_err(|error| unread(&error))?;
                groups.swap_remove(0).measures
            }
        };
        let MeasuredSeries::Aggregated(series) = measures else { return Ok(Vec::new()) };
        Ok(series.into_iter().next().map(|series| data_points(series.points)).unwrap_or_default())
    }

    /// Refuses unless `project` may see all of these metrics, as if those that it may not see were not there.
    async fn require_visible(&self, ids: &[String], project: Option<&str>) -> Result<(), MetricReadError> {
        let Some(project) = project else { return Ok(()) };
        let found = self.metrics_called(ids).await.map_err(|error| unread(&error))?;
        let sees =
            |found: &MetricWithResource| may_see(&found.metric, found.resource.as_ref(), Some(project));
        if found.iter().all(sees) { Ok(()) } else { Err(MetricReadError::NoSuchMetric) }
    }

    async fn metrics_called(&self, ids: &[String]) -> Result<Vec<MetricWithResource>, MetricError> {
        let mut ids: Vec<_> = ids.iter().filter_map(|id| parse_python_uuid(id)).map(MetricId).collect();
        ids.sort_unstable();
        ids.dedup();
        self.existing_metrics(&ids, MeasureError::UnknownMetrics).await
    }

    async fn keys_of(&self, ids: &[String]) -> Option<Vec<SeriesKey>> {
        let found = self.metrics_called(ids).await.ok()?;
        Some(found.iter().map(|found| found.metric.key).collect())
    }

    /// The series of the metric `name` of all resources that a search finds.
    async fn keys_found(
        &self,
        read: &MetricRead,
        name: &str,
        resource_type: &str,
        search: &Value,
    ) -> Option<Vec<SeriesKey>> {
        let selection = selection(resource_type, search, read.project_id.as_deref()).ok()?;
        let identity = Identity::default();
        let resources = self.selected(&Access::internal(&identity), &selection, false).await.ok()?;
        let named =
            |resource: &Resource| resource.metrics.iter().find(|(known, _)| known == name).map(|(_, id)| *id);
        let ids: Vec<_> = resources.iter().filter_map(named).collect();
        let metrics =
            if ids.is_empty() { Vec::new() } else { self.indexer.metrics_by_id(&ids).await.ok()? };
        Some(metrics.iter().map(|metric| metric.key).collect())
    }
}

/// What is read of one metric, if its policy has it.
fn single_read(metric: &Metric, read: &MetricRead) -> Planned {
    let method = AggregationMethod::parse(&read.method)
        .filter(|method| {
            metric.policy.methods.contains(*method) && metric.policy.item(read.granularity).is_some()
        })
        .ok_or(MetricReadError::NoSuchAggregate)?;
    Ok(AggregateRead {
        key: metric.key,
        policy: metric.policy.key,
        method,
        granularity: read.granularity,
        start: Some(read.start),
        stop: Some(read.stop),
    })
}

/// The resources that a search finds among those that `project` may see.
fn selection(
    resource_type: &str,
    search: &Value,
    project: Option<&str>,
) -> Result<ResourceSelection, MetricReadError> {
    let filter = parse_filter(search, None)
        .map_err(|error| MetricReadError::Refused { status: 400, text: format!("Invalid input: {error}") })?;
    let visible = project.map_or(Filter::All, |project| {
        Filter::Or(vec![
            Filter::eq_text("project_id", project),
            Filter::eq_text("created_by_project_id", project),
        ])
    });
    Ok(ResourceSelection {
        type_name: resource_type.to_owned(),
        filter: visible.and(filter),
        group_by: Vec::new(),
        use_history: false,
    })
}

/// Whether `project` (nothing: everybody) made the metric.
fn is_creators(metric: &Metric, project: Option<&str>) -> bool {
    project.is_none_or(|project| made_by(metric.creator.as_deref(), project))
}

fn made_by(creator: Option<&str>, project: &str) -> bool {
    split_creator(creator).is_some_and(|(_, of)| of == project)
}

/// Whether `project` owns or made the resource.
fn owns(resource: &Resource, project: Option<&str>) -> bool {
    project.is_none_or(|project| {
        resource.project_id.as_deref() == Some(project) || made_by(resource.creator.as_deref(), project)
    })
}

fn may_see(metric: &Metric, resource: Option<&Resource>, project: Option<&str>) -> bool {
    is_creators(metric, project) || resource.is_some_and(|resource| owns(resource, project))
}

fn data_points(points: Points) -> DataPoints {
    points.timestamps_ns.into_iter().map(Timestamp::from_ns).zip(points.values).collect()
}

/// The reason as evaluators sort them.
fn unread(error: &MetricError) -> MetricReadError {
    let text = error.to_string();
    match error {
        MetricError::NoSuchMetric(_)
        | MetricError::Index(IndexError::NoSuchMetric(_))
        | MetricError::Measure(
            MeasureError::UnknownMetrics(_)
            | MeasureError::Operations(OperationsError::UnknownMetrics(_) | OperationsError::NoMatch(_)),
        ) => MetricReadError::NoSuchMetric,
        MetricError::NoSuchResource(_) | MetricError::Index(IndexError::NoSuchResource(_)) => {
            MetricReadError::NoSuchResource
        }
        MetricError::Measure(
            MeasureError::MethodNotComputed { .. }
            | MeasureError::AggregationNotComputed { .. }
            | MeasureError::Operations(OperationsError::UnknownMethod(_)),
        ) => MetricReadError::NoSuchAggregate,
        MetricError::Store(StoreError::Busy { .. } | StoreError::Closed(_) | StoreError::Io(_))
        | MetricError::Index(IndexError::Unavailable(_) | IndexError::Internal(_)) => {
            MetricReadError::Unavailable(text)
        }
        _ => MetricReadError::Refused { status: 400, text },
    }
}
