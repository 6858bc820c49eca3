//! The index: archive policies and rules, resource types, resources with revisions, metrics.
//!
//! Searches, sorts, pages and permission filters happen inside the database. Each method is one transaction.
//! Times of resources are kept in whole microseconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::{
    ArchivePolicy, ArchivePolicyRule, Attribute, AttributeValue, Attributes, Filter, MethodSet, Metric,
    MetricId, PolicyItem, Resource, ResourceId, ResourceType, SeriesKey, Timestamp,
};

use crate::IndexError;

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Where rows without a value go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullOrder {
    /// Before all others.
    First,
    /// After all others.
    Last,
}

/// One sort key. Without an explicit null order nulls are largest (last when ascending), on every database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// Column or attribute.
    pub key: String,
    /// Which way.
    pub direction: Direction,
    /// Explicit null order.
    pub nulls: Option<NullOrder>,
}

/// A page of a list. The index appends tie-breakers: metrics `id`; resources `id` and, with history, `revision`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows; nothing means all.
    pub limit: Option<u64>,
    /// Start after this row: a metric id, a resource id, or with history `id@revision`.
    pub marker: Option<String>,
    /// Sort keys; empty means the list's default order (metrics `id`; resources `revision_start`, `started_at`).
    pub sorts: Vec<Sort>,
}

/// What resources to list.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceQuery {
    /// The type whose resources are meant; `generic` means all of them.
    pub type_name: String,
    /// Which of them; may name attributes of the type.
    pub filter: Filter,
    /// Past revisions too.
    pub history: bool,
    /// Attributes of each resource's own type even where `generic` is listed.
    pub details: bool,
    /// Load the metrics of each resource.
    pub with_metrics: bool,
    /// Which page.
    pub page: Page,
}

/// Which metrics a caller may see whose rows are filtered: those that it created or whose resource it may see.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricAccess {
    /// Metrics whose creator belongs to this project.
    pub created_by_project_id: Option<String>,
    /// Metrics of resources (common attributes only) that match; nothing means none by this way.
    pub resource_filter: Option<Filter>,
}

/// What metrics to list: all conditions hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricQuery {
    /// One of these ids.
    pub ids: Option<Vec<MetricId>>,
    /// One of these names.
    pub names: Option<Vec<String>>,
    /// Belongs to one of these resources.
    pub resource_ids: Option<Vec<ResourceId>>,
    /// Exactly this unit.
    pub unit: Option<String>,
    /// This policy.
    pub policy_name: Option<String>,
    /// This creator.
    pub creator: Option<String>,
    /// Permission filter.
    pub access: Option<MetricAccess>,
    /// Which page.
    pub page: Page,
}

/// A metric to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMetric {
    /// Its identity.
    pub id: MetricId,
    /// Who makes it.
    pub creator: Option<String>,
    /// The resource it belongs to; then it must have a name.
    pub resource_id: Option<ResourceId>,
    /// Its name.
    pub name: Option<String>,
    /// Its unit.
    pub unit: Option<String>,
    /// What it keeps.
    pub policy_name: String,
}

/// A named metric of a resource that is made or changed.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceMetric {
    /// A metric that exists, active and of the same creator as the resource: moved to it under the name.
    Existing(MetricId),
    /// A new metric of the resource's creator.
    New {
        /// Its identity.
        id: MetricId,
        /// Its unit.
        unit: Option<String>,
        /// What it keeps.
        policy_name: String,
    },
}

/// A resource to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResource {
    /// Identity.
    pub id: ResourceId,
    /// The id as the client gave it.
    pub original_resource_id: String,
    /// Its type.
    pub type_name: String,
    /// Who makes it.
    pub creator: Option<String>,
    /// Owner.
    pub user_id: Option<String>,
    /// Owning project.
    pub project_id: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Now: start of the first revision.
    pub revision_start: Timestamp,
    /// Attribute values, already checked against the type.
    pub attributes: Attributes,
    /// Its metrics by name.
    pub metrics: BTreeMap<String, ResourceMetric>,
}

/// What is to change in a resource; absent parts stay. Outer `Option`: whether to change; inner: the value or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceChange {
    /// Owner.
    pub user_id: Option<Option<String>>,
    /// Owning project.
    pub project_id: Option<Option<String>>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Option<Timestamp>>,
    /// Attribute values, already checked against the type; nothing clears.
    pub attributes: BTreeMap<String, Option<AttributeValue>>,
    /// Metrics by name.
    pub metrics: Option<BTreeMap<String, ResourceMetric>>,
    /// Whether `metrics` are added to what is there, or replace it (metrics not named are detached).
    pub append_metrics: bool,
    /// Now: start of the new revision. One is made iff something other than metrics really differs.
    pub now: Timestamp,
    /// Refuse with [`IndexError::Changed`] where the current revision began at another time.
    pub expected_revision_start: Option<Timestamp>,
}

/// What is to change in an archive policy. The caller has checked what its dialect allows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyChange {
    /// New definitions.
    pub definition: Option<Vec<PolicyItem>>,
    /// New back window.
    pub back_window: Option<u64>,
    /// New methods.
    pub methods: Option<MethodSet>,
}

/// What is to change in a resource type: first removals, then additions (of new names) and changes (of known ones).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceTypeChange {
    /// Attributes to drop, with their values in resources and history.
    pub remove: Vec<String>,
    /// Attributes to add or change, with the value that resources and history rows without one receive.
    pub set: BTreeMap<String, (Attribute, Option<AttributeValue>)>,
}

/// Whose lives to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifeState {
    /// Resources that have not ended and have not changed since `unchanged_since`, in the order of their ids.
    Open {
        /// Their current revision began before this.
        unchanged_since: Timestamp,
    },
    /// Resources that have ended, in the order of their ends and then of their ids.
    Ended {
        /// They ended before this.
        before: Timestamp,
    },
}

/// A page of lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeQuery {
    /// Whose.
    pub state: LifeState,
    /// Start after the resource with this end and id, which need not exist any more.
    pub after: Option<(Option<Timestamp>, ResourceId)>,
    /// At most so many.
    pub limit: u64,
    /// Load the series of each resource.
    pub with_series: bool,
}

/// What expiry must know of a resource of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLife {
    /// Which one.
    pub id: ResourceId,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Start of its current revision.
    pub revision_start: Timestamp,
    /// The series of its metrics, ascending.
    pub series: Vec<SeriesKey>,
}

/// How many of each there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexCounts {
    /// Active metrics.
    pub metrics: u64,
    /// Resources.
    pub resources: u64,
    /// Archive policies.
    pub archive_policies: u64,
}

/// Archive policies and rules, resource types, resources, metrics.
#[async_trait]
pub trait Indexer: Send + Sync {
    /// Makes a policy (its `key` is ignored and allotted) and returns it.
    async fn create_archive_policy(&self, policy: ArchivePolicy) -> Result<Arc<ArchivePolicy>, IndexError>;
    /// One policy.
    async fn archive_policy(&self, name: &str) -> Result<Arc<ArchivePolicy>, IndexError>;
    /// All policies, by name.
    async fn archive_policies(&self) -> Result<Vec<Arc<ArchivePolicy>>, IndexError>;
    /// Changes a policy and returns it.
    async fn update_archive_policy(
        &self,
        name: &str,
        change: PolicyChange,
    ) -> Result<Arc<ArchivePolicy>, IndexError>;
    /// Deletes a policy that nothing uses.
    async fn delete_archive_policy(&self, name: &str) -> Result<(), IndexError>;

    /// Makes a rule; its policy must exist.
    async fn create_archive_policy_rule(&self, rule: ArchivePolicyRule) -> Result<(), IndexError>;
    /// One rule.
    async fn archive_policy_rule(&self, name: &str) -> Result<ArchivePolicyRule, IndexError>;
    /// All rules in matching order: pattern descending by code point, then name ascending.
    async fn archive_policy_rules(&self) -> Result<Vec<ArchivePolicyRule>, IndexError>;
    /// Renames a rule.
    async fn rename_archive_policy_rule(
        &self,
        name: &str,
        new_name: &str,
    ) -> Result<ArchivePolicyRule, IndexError>;
    /// Deletes a rule.
    async fn delete_archive_policy_rule(&self, name: &str) -> Result<(), IndexError>;

    /// Makes a resource type.
    async fn create_resource_type(&self, resource_type: ResourceType) -> Result<ResourceType, IndexError>;
    /// One type.
    async fn resource_type(&self, name: &str) -> Result<ResourceType, IndexError>;
    /// All types, by name.
    async fn resource_types(&self) -> Result<Vec<ResourceType>, IndexError>;
    /// Changes a type and the rows of it.
    async fn update_resource_type(
        &self,
        name: &str,
        change: ResourceTypeChange,
    ) -> Result<ResourceType, IndexError>;
    /// Deletes a type that no resource and no revision uses; `generic` is always in use.
    async fn delete_resource_type(&self, name: &str) -> Result<(), IndexError>;

    /// Makes a resource with its metrics.
    async fn create_resource(&self, resource: NewResource) -> Result<Resource, IndexError>;
    /// One resource with its metrics, seen through `type_name`: `generic` shows common attributes of any resource,
    /// another type only its own resources.
    async fn resource(&self, type_name: &str, id: ResourceId) -> Result<Resource, IndexError>;
    /// Changes a resource; see [`ResourceChange`].
    async fn update_resource(
        &self,
        type_name: &str,
        id: ResourceId,
        change: ResourceChange,
    ) -> Result<Resource, IndexError>;
    /// Deletes a resource, its history and its metrics; returns the ids of those metrics.
    async fn delete_resource(&self, type_name: &str, id: ResourceId) -> Result<Vec<Metric>, IndexError>;
    /// Deletes all resources of a type that match, wholly; returns how many, and their metrics.
    async fn delete_resources(
        &self,
        type_name: &str,
        filter: &Filter,
    ) -> Result<(u64, Vec<Metric>), IndexError>;
    /// A page of resources (or revisions).
    async fn list_resources(&self, query: &ResourceQuery) -> Result<Vec<Resource>, IndexError>;
    /// A page of the lives of resources.
    async fn list_lives(&self, query: &LifeQuery) -> Result<Vec<ResourceLife>, IndexError>;

    /// Makes a metric.
    async fn create_metric(&self, metric: NewMetric) -> Result<Metric, IndexError>;
    /// Makes many metrics in one transaction; where (resource, name) is taken the answer is the metric that is there.
    /// Errors with the first unknown resource or policy and makes none.
    async fn create_or_get_metrics(&self, metrics: Vec<NewMetric>) -> Result<Vec<Metric>, IndexError>;
    /// A page of metrics.
    async fn list_metrics(&self, query: &MetricQuery) -> Result<Vec<Metric>, IndexError>;
    /// The metrics of these ids, in any order; unknown ones are left out.
    async fn metrics_by_id(&self, ids: &[MetricId]) -> Result<Vec<Metric>, IndexError>;
    /// A metric with its resource, without the resource's attributes and metrics; nothing where there is no such metric.
    async fn metric_with_resource(
        &self,
        id: MetricId,
    ) -> Result<Option<(Metric, Option<Resource>)>, IndexError>;
    /// The metrics of these names in these resources, in any order; unknown ones are left out.
    async fn metrics_by_name(&self, names: &[(ResourceId, String)]) -> Result<Vec<Metric>, IndexError>;
    /// Which of these resources exist, with their current state but without attributes and metrics.
    async fn resources_by_id(&self, ids: &[ResourceId]) -> Result<Vec<Resource>, IndexError>;
    /// Deletes a metric at once and marks its series dead in the same transaction; returns what it was.
    async fn delete_metric(&self, id: MetricId) -> Result<Metric, IndexError>;

    /// How many of each there are.
    async fn counts(&self) -> Result<IndexCounts, IndexError>;
}
