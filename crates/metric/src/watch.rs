//! The index as the service uses it: every change that makes a cached metric untrue is followed by forgetting it,
//! before the caller hears of the change.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{
    IndexCounts, IndexError, Indexer, LifeQuery, MetricQuery, NewMetric, NewResource, PolicyChange,
    ResourceChange, ResourceLife, ResourceMetric, ResourceQuery, ResourceTypeChange,
};
use nephometer_model::{
    ArchivePolicy, ArchivePolicyRule, Filter, Metric, MetricId, Resource, ResourceId, ResourceType,
};

use crate::cache::MetricCache;

/// An index whose changes are followed in a cache.
pub(crate) struct WatchedIndexer {
    inner: Arc<dyn Indexer>,
    cache: Arc<MetricCache>,
}

impl WatchedIndexer {
    pub(crate) fn new(inner: Arc<dyn Indexer>, cache: Arc<MetricCache>) -> Self {
        Self { inner, cache }
    }

    /// The metrics that a request takes from where they are now.
    async fn moved<'a>(
        &self,
        metrics: impl Iterator<Item = &'a ResourceMetric>,
    ) -> Result<Vec<Metric>, IndexError> {
        let ids: Vec<MetricId> = metrics
            .filter_map(|metric| match metric {
                ResourceMetric::Existing(id) => Some(*id),
                ResourceMetric::New { .. } => None,
            })
            .collect();
        if ids.is_empty() { Ok(Vec::new()) } else { self.inner.metrics_by_id(&ids).await }
    }

    /// Runs a change that may set the end of a resource, and remembers where it stands.
    async fn follow_end(
        &self,
        id: ResourceId,
        change: impl Future<Output = Answer<Resource>>,
    ) -> Answer<Resource> {
        let endings = &self.cache.endings;
        if !endings.is_watching() {
            return change.await;
        }
        let _alone = endings.change(id).await;
        let resource = change.await?;
        match resource.ended_at {
            Some(_) => self.cache.end(&resource),
            None => endings.remove([id]),
        }
        Ok(resource)
    }
}

type Answer<T> = Result<T, IndexError>;

#[async_trait]
impl Indexer for WatchedIndexer {
    async fn create_archive_policy(&self, policy: ArchivePolicy) -> Answer<Arc<ArchivePolicy>> {
        self.inner.create_archive_policy(policy).await
    }

    async fn archive_policy(&self, name: &str) -> Answer<Arc<ArchivePolicy>> {
        self.inner.archive_policy(name).await
    }

    async fn archive_policies(&self) -> Answer<Vec<Arc<ArchivePolicy>>> {
        self.inner.archive_policies().await
    }

    async fn update_archive_policy(&self, name: &str, change: PolicyChange) -> Answer<Arc<ArchivePolicy>> {
        self.inner.update_archive_policy(name, change).await
    }

    async fn delete_archive_policy(&self, name: &str) -> Answer<()> {
        self.inner.delete_archive_policy(name).await
    }

    async fn create_archive_policy_rule(&self, rule: ArchivePolicyRule) -> Answer<()> {
        self.inner.create_archive_policy_rule(rule).await
    }

    async fn archive_policy_rule(&self, name: &str) -> Answer<ArchivePolicyRule> {
        self.inner.archive_policy_rule(name).await
    }

    async fn archive_policy_rules(&self) -> Answer<Vec<ArchivePolicyRule>> {
        self.inner.archive_policy_rules().await
    }

    async fn rename_archive_policy_rule(&self, name: &str, new_name: &str) -> Answer<ArchivePolicyRule> {
        self.inner.rename_archive_policy_rule(name, new_name).await
    }

    async fn delete_archive_policy_rule(&self, name: &str) -> Answer<()> {
        self.inner.delete_archive_policy_rule(name).await
    }

    async fn create_resource_type(&self, resource_type: ResourceType) -> Answer<ResourceType> {
        self.inner.create_resource_type(resource_type).await
    }

    async fn resource_type(&self, name: &str) -> Answer<ResourceType> {
        self.inner.resource_type(name).await
    }

    async fn resource_types(&self) -> Answer<Vec<ResourceType>> {
        self.inner.resource_types().await
    }

    async fn update_resource_type(&self, name: &str, change: ResourceTypeChange) -> Answer<ResourceType> {
        self.inner.update_resource_type(name, change).await
    }

    async fn delete_resource_type(&self, name: &str) -> Answer<()> {
        self.inner.delete_resource_type(name).await
    }

    async fn create_resource(&self, resource: NewResource) -> Answer<Resource> {
        let moved = self.moved(resource.metrics.values()).await?;
        let result = self.follow_end(resource.id, self.inner.create_resource(resource)).await;
        if !moved.is_empty() {
            self.cache.forget(&moved);
        }
        result
    }

    async fn resource(&self, type_name: &str, id: ResourceId) -> Answer<Resource> {
        self.inner.resource(type_name, id).await
    }

    async fn update_resource(
        &self,
        type_name: &str,
        id: ResourceId,
        change: ResourceChange,
    ) -> Answer<Resource> {
        let Some(metrics) = &change.metrics else {
            let sets_end = change.ended_at.is_some();
            let update = self.inner.update_resource(type_name, id, change);
            return if sets_end { self.follow_end(id, update).await } else { update.await };
        };
        let moved = self.moved(metrics.values()).await?;
        let before =
            if change.append_metrics { None } else { Some(self.inner.resource(type_name, id).await?) };
        let result = self.follow_end(id, self.inner.update_resource(type_name, id, change)).await;
        if !moved.is_empty() {
            self.cache.forget(&moved);
        }
        if let Some(before) = before {
            self.cache.forget_names(before.metrics.iter().map(|(name, _)| (id, name.as_str())));
        }
        result
    }

    async fn delete_resource(&self, type_name: &str, id: ResourceId) -> Answer<Vec<Metric>> {
        let metrics = self.inner.delete_resource(type_name, id).await?;
        self.cache.forget(&metrics);
        self.cache.endings.remove([id]);
        Ok(metrics)
    }

    async fn delete_resources(&self, type_name: &str, filter: &Filter) -> Answer<(u64, Vec<Metric>)> {
        let (count, metrics) = self.inner.delete_resources(type_name, filter).await?;
        self.cache.forget(&metrics);
        self.cache.endings.remove(metrics.iter().filter_map(|metric| metric.resource_id));
        Ok((count, metrics))
    }

    async fn list_resources(&self, query: &ResourceQuery) -> Answer<Vec<Resource>> {
        self.inner.list_resources(query).await
    }

    async fn list_lives(&self, query: &LifeQuery) -> Answer<Vec<ResourceLife>> {
        self.inner.list_lives(query).await
    }

    async fn create_metric(&self, metric: NewMetric) -> Answer<Metric> {
        self.inner.create_metric(metric).await
    }

    async fn create_or_get_metrics(&self, metrics: Vec<NewMetric>) -> Answer<Vec<Metric>> {
        self.inner.create_or_get_metrics(metrics).await
    }

    async fn list_metrics(&self, query: &MetricQuery) -> Answer<Vec<Metric>> {
        self.inner.list_metrics(query).await
    }

    async fn metrics_by_id(&self, ids: &[MetricId]) -> Answer<Vec<Metric>> {
        self.inner.metrics_by_id(ids).await
    }

    async fn metric_with_resource(&self, id: MetricId) -> Answer<Option<(Metric, Option<Resource>)>> {
        self.inner.metric_with_resource(id).await
    }

    async fn metrics_by_name(&self, names: &[(ResourceId, String)]) -> Answer<Vec<Metric>> {
        self.inner.metrics_by_name(names).await
    }

    async fn resources_by_id(&self, ids: &[ResourceId]) -> Answer<Vec<Resource>> {
        self.inner.resources_by_id(ids).await
    }

    async fn delete_metric(&self, id: MetricId) -> Answer<Metric> {
        let metric = self.inner.delete_metric(id).await?;
        self.cache.forget([&metric]);
        Ok(metric)
    }

    async fn counts(&self) -> Answer<IndexCounts> {
        self.inner.counts().await
    }
}
