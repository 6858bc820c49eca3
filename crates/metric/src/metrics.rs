//! Metrics: made, listed, shown and deleted, by id or as a resource's metric of a name.

use nephometer_drivers::{IndexError, MetricQuery, NewMetric};
use nephometer_model::{Metric, MetricId, PolicyTarget, Resource, ResourceId, parse_python_uuid};

use crate::access::{metric_target, resource_target};
use crate::resources::invalid_marker;
use crate::{Access, MetricError, MetricService};

/// A metric as a client describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewMetricSpec {
    /// The resource that gets it, with the id as the client gave it.
    pub resource: Option<(String, ResourceId)>,
    /// Name, needed with a resource.
    pub name: Option<String>,
    /// Unit of its values.
    pub unit: Option<String>,
    /// What it keeps; nothing lets the rules choose.
    pub policy_name: Option<String>,
}

/// A metric with the resource it belongs to (without attributes and metrics), which rules may ask about.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricWithResource {
    /// The metric.
    pub metric: Metric,
    /// Its resource.
    pub resource: Option<Resource>,
}

impl MetricService {
    /// Refuses unless the caller may make such a metric.
    pub(crate) fn require_create_metric(
        &self,
        access: &Access<'_>,
        name: Option<&str>,
        unit: Option<&str>,
        policy_name: Option<&str>,
        resource: Option<&(String, ResourceId)>,
    ) -> Result<(), MetricError> {
        let mut target = PolicyTarget::new();
        let mut put = |key: &str, value: Option<&str>| {
            target.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        };
        put("creator", access.creator());
        put("name", name);
        put("unit", unit);
        put("archive_policy_name", policy_name);
        put("resource_id", resource.map(|(_, id)| id.to_string()).as_deref());
        put("original_resource_id", resource.map(|(original, _)| original.as_str()));
        access.require("create metric", &target)
    }

    /// Makes a metric.
    pub async fn create_metric(
        &self,
        access: &Access<'_>,
        spec: NewMetricSpec,
    ) -> Result<Metric, MetricError> {
        let name = spec.name.as_deref();
        if name.is_some_and(|name| name.contains('/')) {
            return Err(MetricError::SlashInMetricName);
        }
        let policy_name = match spec.policy_name.clone() {
            Some(policy_name) => policy_name,
            None => self.policy_for_metric(name).await?,
        };
        if let Some((_, resource_id)) = spec.resource {
            if name.is_none() {
                return Err(MetricError::MetricNeedsName);
            }
            let resource = self.indexer.resources_by_id(&[resource_id]).await?.pop();
            let resource = resource.ok_or(IndexError::NoSuchResource(resource_id))?;
            access.require("update resource", &resource_target(&resource))?;
        }
        let (unit, given) = (spec.unit.as_deref(), spec.policy_name.as_deref());
        self.require_create_metric(access, name, unit, given, spec.resource.as_ref())?;
        let new = NewMetric {
            id: self.new_metric_id(),
            creator: access.creator().map(str::to_owned),
            resource_id: spec.resource.map(|(_, id)| id),
            name: spec.name,
            unit: spec.unit,
            policy_name,
        };
        self.indexer.create_metric(new).await.map_err(|error| match error {
            IndexError::NamedMetricAlreadyExists(name) => MetricError::NamedMetricTaken(name),
            IndexError::NoSuchArchivePolicy(_) => MetricError::Reference(error),
            other => other.into(),
        })
    }

    /// The metric of an id as the client gave it, without asking rules.
    pub async fn find_metric(&self, text: &str) -> Result<MetricWithResource, MetricError> {
        let unknown = || MetricError::Index(IndexError::NoSuchMetric(text.to_owned()));
        let id = parse_python_uuid(text).map(MetricId).ok_or_else(unknown)?;
        let (metric, resource) = self.indexer.metric_with_resource(id).await?.ok_or_else(unknown)?;
        Ok(MetricWithResource { metric, resource })
    }

    /// The metric called `name` of a resource, without asking rules. The type matters only where there is no such
    /// metric, for what is said to be missing.
    pub async fn find_named_metric(
        &self,
        type_name: &str,
        resource_id: ResourceId,
        name: &str,
    ) -> Result<MetricWithResource, MetricError> {
        if type_name != "generic" {
            self.indexer.resource_type(type_name).await?;
        }
        let found = self.indexer.metrics_by_name(&[(resource_id, name.to_owned())]).await?.pop();
        match found {
            Some(metric) => self.with_resource(metric).await,
            None => {
                self.indexer.resource(type_name, resource_id).await?;
                Err(IndexError::NoSuchMetric(name.to_owned()).into())
            }
        }
    }

    async fn with_resource(&self, metric: Metric) -> Result<MetricWithResource, MetricError> {
        let resource = match metric.resource_id {
            Some(id) => self.indexer.resources_by_id(&[id]).await?.pop(),
            None => None,
        };
        Ok(MetricWithResource { metric, resource })
    }

    /// Refuses unless `rule` lets the caller act on the metric.
    pub fn require_metric(
        &self,
        access: &Access<'_>,
        rule: &str,
        found: &MetricWithResource,
    ) -> Result<(), MetricError> {
        access.require(rule, &metric_target(&found.metric, found.resource.as_ref()))
    }

    /// A page of the metrics that match and that the caller may see.
    pub async fn list_metrics(
        &self,
        access: &Access<'_>,
        mut query: MetricQuery,
    ) -> Result<Vec<Metric>, MetricError> {
        query.access = access.metric_filter("list metric")?;
        self.require_listed_marker(&query).await?;
        Ok(self.indexer.list_metrics(&query).await?)
    }

    /// Refuses a marker that names a metric which the caller may not list: what comes after it tells the values by which
    /// it is sorted. Other markers the index judges.
    async fn require_listed_marker(&self, query: &MetricQuery) -> Result<(), MetricError> {
        let Some(text) = query.page.marker.as_deref().filter(|_| query.access.is_some()) else {
            return Ok(());
        };
        let Some(id) = parse_python_uuid(text) else { return Ok(()) };
        let (ids, access) = (Some(vec![MetricId(id)]), query.access.clone());
        let named = MetricQuery { ids, access, ..MetricQuery::default() };
        if self.indexer.list_metrics(&named).await?.is_empty() { Err(invalid_marker(text)) } else { Ok(()) }
    }

    /// All metrics of a resource, by name.
    pub async fn metrics_of_resource(&self, id: ResourceId) -> Result<Vec<Metric>, MetricError> {
        let query = MetricQuery { resource_ids: Some(vec![id]), ..MetricQuery::default() };
        let mut metrics = self.indexer.list_metrics(&query).await?;
        metrics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(metrics)
    }

    /// Deletes a metric: gone at once, its data in the background.
    pub async fn delete_metric(
        &self,
        access: &Access<'_>,
        found: &MetricWithResource,
    ) -> Result<(), MetricError> {
        self.require_metric(access, "delete metric", found)?;
        let metric = self.indexer.delete_metric(found.metric.id).await?;
        self.forget_series(&[metric]).await;
        Ok(())
    }

    /// Tells the store that these series are gone. The index has remembered them in the same transaction, so a failure
    /// costs time and nothing else.
    pub(crate) async fn forget_series(&self, metrics: &[Metric]) {
        if metrics.is_empty() {
            return;
        }
        let keys: Vec<_> = metrics.iter().map(|metric| metric.key).collect();
        if let Err(error) = self.store.delete_series(&keys).await {
            tracing::warn!(%error, series = keys.len(), "data of deleted metrics will be removed later");
        }
    }
}
