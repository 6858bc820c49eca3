//! Resources and their revisions: made, changed, deleted, listed and searched.

use std::collections::BTreeMap;

use nephometer_drivers::{IndexError, NewResource, Page, ResourceChange, ResourceMetric, ResourceQuery};
use nephometer_model::{
    AttributeValue, Attributes, Filter, Metric, MetricId, PolicyTarget, Resource, ResourceId, ResourceType,
    Revision, Timestamp, parse_python_uuid,
};
use uuid::Uuid;

use crate::access::resource_target;
use crate::{Access, MetricError, MetricService, choose_policy};

/// A metric of a resource as a client names or describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricSpec {
    /// One that exists.
    Existing(MetricId),
    /// A new one.
    New {
        /// What it keeps; nothing lets the rules choose.
        policy_name: Option<String>,
        /// Its unit.
        unit: Option<String>,
    },
}

/// A resource as a client describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceSpec {
    /// Identity.
    pub id: ResourceId,
    /// The id as the client gave it.
    pub original_resource_id: String,
    /// Name of its type.
    pub type_name: String,
    /// Owner.
    pub user_id: Option<String>,
    /// Owning project.
    pub project_id: Option<String>,
    /// When it began; nothing means now.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Values, already checked against the type.
    pub attributes: Attributes,
    /// Metrics by name.
    pub metrics: BTreeMap<String, MetricSpec>,
}

/// What a client wants changed in a resource; absent parts stay. Outer `Option`: whether to change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourcePatch {
    /// Owner.
    pub user_id: Option<Option<String>>,
    /// Owning project.
    pub project_id: Option<Option<String>>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Option<Timestamp>>,
    /// Values, already checked against the type; nothing clears.
    pub attributes: BTreeMap<String, Option<AttributeValue>>,
    /// All metrics that it is to have.
    pub metrics: Option<BTreeMap<String, MetricSpec>>,
}

/// What a client wants listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceList {
    /// Of which type; `generic` means all.
    pub type_name: String,
    /// Which of them.
    pub filter: Filter,
    /// Past revisions too.
    pub history: bool,
    /// Attributes of each resource's own type.
    pub details: bool,
    /// Which page.
    pub page: Page,
}

/// The row after which a page of resources begins.
struct Marker {
    id: Uuid,
    /// Which of the resource's revisions, in lists of such.
    revision: Option<Revision>,
}

impl Marker {
    /// Reads the id of a resource, or `id@revision` where past revisions are listed too; nothing where it is neither.
    fn read(text: &str, history: bool) -> Option<Self> {
        if !history {
            return Some(Self { id: parse_python_uuid(text)?, revision: None });
        }
        let (id, revision) = text.split_once('@')?;
        Some(Self { id: parse_python_uuid(id)?, revision: Some(Revision(revision.parse().ok()?)) })
    }
}

/// What is said of a marker that names no row which the caller sees.
pub(crate) fn invalid_marker(text: &str) -> MetricError {
    IndexError::Pagination(format!("Invalid marker: `{text}'")).into()
}

/// Whole microseconds, which is what the index keeps.
fn whole_micros(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros())
}

/// The next point in time that the index can tell from this one: revisions are in order even where the clock is not.
pub(crate) fn just_after(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros().saturating_add(1))
}

/// A point in time as Python's `str` shows it.
fn shown(time: Timestamp) -> String {
    time.isoformat().replacen('T', " ", 1)
}

fn creation_target(spec: &ResourceSpec, creator: Option<&str>) -> PolicyTarget {
    let mut target = PolicyTarget::from([
        ("resource_type".to_owned(), spec.type_name.clone()),
        ("id".to_owned(), spec.id.to_string()),
        ("original_resource_id".to_owned(), spec.original_resource_id.clone()),
    ]);
    let more = [("user_id", &spec.user_id), ("project_id", &spec.project_id)];
    for (key, value) in more.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        target.insert(key.to_owned(), value.clone());
    }
    target.extend(creator.map(|creator| ("creator".to_owned(), creator.to_owned())));
    target
}

impl MetricService {
    /// Now, in the precision of resources.
    pub(crate) fn now_micros(&self) -> Timestamp {
        whole_micros(self.clock.now())
    }

    /// Turns descriptions of metrics into what the index makes: ids and policies are chosen, names checked.
    pub(crate) async fn resolve_metrics(
        &self,
        access: &Access<'_>,
        specs: BTreeMap<String, MetricSpec>,
    ) -> Result<BTreeMap<String, ResourceMetric>, MetricError> {
        let needs_rules =
            specs.values().any(|spec| matches!(spec, MetricSpec::New { policy_name: None, .. }));
        let rules = if needs_rules { self.indexer.archive_policy_rules().await? } else { Vec::new() };
        let mut resolved = BTreeMap::new();
        for (name, spec) in specs {
            if name.contains('/') {
                return Err(MetricError::SlashInMetricName);
            }
            let metric = match spec {
                MetricSpec::Existing(id) => ResourceMetric::Existing(id),
                MetricSpec::New { policy_name, unit } => {
                    let chosen =
                        policy_name.or_else(|| choose_policy(&rules, Some(&name)).map(str::to_owned));
                    let policy_name = chosen.ok_or_else(|| MetricError::NoRuleMatches(Some(name.clone())))?;
                    self.require_create_metric(
                        access,
                        Some(&name),
                        unit.as_deref(),
                        Some(&policy_name),
                        None,
                    )?;
                    ResourceMetric::New { id: self.new_metric_id(), unit, policy_name }
                }
            };
            resolved.insert(name, metric);
        }
        Ok(resolved)
    }

    /// Makes a resource with its metrics.
    pub async fn create_resource(
        &self,
        access: &Access<'_>,
        spec: ResourceSpec,
    ) -> Result<Resource, MetricError> {
        let now = self.now_micros();
        let started_at = spec.started_at.map_or(now, whole_micros);
        let ended_at = spec.ended_at.map(whole_micros);
        if ended_at.is_some_and(|ended_at| started_at > ended_at) {
            return Err(MetricError::EndBeforeStart);
        }
        access.require("create resource", &creation_target(&spec, access.creator()))?;
        let metrics = self.resolve_metrics(access, spec.metrics).await?;
        let new = NewResource {
            id: spec.id,
            original_resource_id: spec.original_resource_id,
            type_name: spec.type_name,
            creator: access.creator().map(str::to_owned),
            user_id: spec.user_id,
            project_id: spec.project_id,
            started_at,
            ended_at,
            revision_start: now,
            attributes: spec.attributes,
            metrics,
        };
        self.indexer.create_resource(new).await.map_err(|error| MetricError::from(error).into_reference())
    }

    /// One resource with its metrics, for a caller who may read it.
    pub async fn resource(
        &self,
        access: &Access<'_>,
        type_name: &str,
        id: ResourceId,
    ) -> Result<Resource, MetricError> {
        let resource = self.indexer.resource(type_name, id).await?;
        access.require_read("get resource", &resource)?;
        Ok(resource)
    }

    /// One resource, for a caller who may change it.
    pub async fn resource_for_update(
        &self,
        access: &Access<'_>,
        type_name: &str,
        id: ResourceId,
    ) -> Result<Resource, MetricError> {
        self.resource_under("update resource", access, type_name, id).await
    }

    /// One resource, for a caller who may delete it.
    pub async fn resource_for_delete(
        &self,
        access: &Access<'_>,
        type_name: &str,
        id: ResourceId,
    ) -> Result<Resource, MetricError> {
        self.resource_under("delete resource", access, type_name, id).await
    }

    /// One resource, where `rule` lets the caller act on it.
    async fn resource_under(
        &self,
        rule: &str,
        access: &Access<'_>,
        type_name: &str,
        id: ResourceId,
    ) -> Result<Resource, MetricError> {
        let resource = self.indexer.resource(type_name, id).await?;
        access.require(rule, &resource_target(&resource))?;
        Ok(resource)
    }

    /// Changes `current`, seen through `type_name`. With `only_this_revision` the change is refused where another one
    /// came first.
    pub async fn change_resource(
        &self,
        access: &Access<'_>,
        type_name: &str,
        current: &Resource,
        patch: ResourcePatch,
        only_this_revision: bool,
    ) -> Result<Resource, MetricError> {
        access.require("update resource", &resource_target(current))?;
        let started_at = patch.started_at.map(whole_micros);
        let ended_at = patch.ended_at.map(|ended_at| ended_at.map(whole_micros));
        let end = ended_at.unwrap_or(current.ended_at);
        if let Some(end) = end.filter(|end| started_at.unwrap_or(current.started_at) > *end) {
            return Err(MetricError::Index(IndexError::AttributeValueInvalid {
                resource_type: type_name.to_owned(),
                attribute: "ended_at".to_owned(),
                value: shown(end),
            }));
        }
        let metrics = match patch.metrics {
            Some(specs) => Some(self.resolve_metrics(access, specs).await?),
            None => None,
        };
        let change = ResourceChange {
            user_id: patch.user_id,
            project_id: patch.project_id,
            started_at,
            ended_at,
            attributes: patch.attributes,
            metrics,
            append_metrics: false,
            now: self.now_micros().max(just_after(current.revision_start)),
            expected_revision_start: only_this_revision.then_some(current.revision_start),
        };
        let changed = self.indexer.update_resource(type_name, current.id, change).await;
        changed.map_err(|error| MetricError::from(error).into_reference_to_metrics())
    }

    /// Adds metrics to `current`; returns all its metrics, the new ones first.
    pub async fn append_metrics(
        &self,
        access: &Access<'_>,
        type_name: &str,
        current: &Resource,
        specs: BTreeMap<String, MetricSpec>,
    ) -> Result<Vec<Metric>, MetricError> {
        let added: Vec<String> = specs.keys().cloned().collect();
        let change = ResourceChange {
            metrics: Some(self.resolve_metrics(access, specs).await?),
            append_metrics: true,
            now: self.now_micros(),
            ..ResourceChange::default()
        };
        let changed = self.indexer.update_resource(type_name, current.id, change).await;
        changed.map_err(|error| MetricError::from(error).into_reference_to_metrics())?;
        let mut metrics = self.metrics_of_resource(current.id).await?;
        metrics.sort_by_key(|metric| !metric.name.as_ref().is_some_and(|name| added.contains(name)));
        Ok(metrics)
    }

    /// Deletes a resource that [`MetricService::resource_for_delete`] has given.
    pub async fn delete_resource(&self, type_name: &str, resource: &Resource) -> Result<(), MetricError> {
        let metrics = self.indexer.delete_resource(type_name, resource.id).await?;
        self.forget_series(&metrics).await;
        Ok(())
    }

    /// Deletes all resources of a type that match and that the caller may delete; returns how many.
    pub async fn delete_resources(
        &self,
        access: &Access<'_>,
        type_name: &str,
        filter: Filter,
    ) -> Result<u64, MetricError> {
        if filter == Filter::All {
            return Err(MetricError::EmptyDeleteFilter);
        }
        let allowed = access.resource_filter("delete resources", Some(type_name), "")?;
        let (deleted, metrics) = self.indexer.delete_resources(type_name, &allowed.and(filter)).await?;
        self.forget_series(&metrics).await;
        Ok(deleted)
    }

    /// A page of the resources (or revisions) that `rule` lets the caller see.
    pub async fn list_resources(
        &self,
        access: &Access<'_>,
        rule: &str,
        list: ResourceList,
    ) -> Result<Vec<Resource>, MetricError> {
        let allowed = access.resource_filter(rule, Some(&list.type_name), "")?;
        self.require_visible_marker(&allowed, &list).await?;
        let query = ResourceQuery {
            type_name: list.type_name,
            filter: allowed.and(list.filter),
            history: list.history,
            details: list.details,
            with_metrics: true,
            page: list.page,
        };
        Ok(self.indexer.list_resources(&query).await?)
    }

    /// Refuses a marker that names a row which is not among those that are allowed: what comes after a row tells the values
    /// by which it is sorted. Other markers the index judges.
    async fn require_visible_marker(&self, allowed: &Filter, list: &ResourceList) -> Result<(), MetricError> {
        let Some(text) = list.page.marker.as_deref().filter(|_| *allowed != Filter::All) else {
            return Ok(());
        };
        let Some(marker) = Marker::read(text, list.history) else { return Ok(()) };
        let query = ResourceQuery {
            type_name: list.type_name.clone(),
            filter: allowed.clone().and(Filter::eq_text("id", &marker.id.to_string())),
            history: list.history,
            details: false,
            with_metrics: false,
            page: Page::default(),
        };
        let rows = self.indexer.list_resources(&query).await?;
        let named = |row: &Resource| marker.revision.is_none_or(|revision| row.revision == revision);
        if rows.iter().any(named) { Ok(()) } else { Err(invalid_marker(text)) }
    }

    /// A page of the revisions of one resource, for a caller who may read it.
    pub async fn resource_history(
        &self,
        access: &Access<'_>,
        type_name: &str,
        id: ResourceId,
        details: bool,
        page: Page,
    ) -> Result<Vec<Resource>, MetricError> {
        self.resource(access, type_name, id).await?;
        let of_another =
            |marker: &&String| Marker::read(marker, true).is_some_and(|marker| marker.id != id.0);
        if let Some(marker) = page.marker.as_ref().filter(of_another) {
            return Err(invalid_marker(marker));
        }
        let query = ResourceQuery {
            type_name: type_name.to_owned(),
            filter: Filter::eq_text("id", &id.to_string()),
            history: true,
            details,
            with_metrics: true,
            page,
        };
        Ok(self.indexer.list_resources(&query).await?)
    }

    /// The types of `resources` by name, for rendering attributes that have no value.
    pub async fn types_of(
        &self,
        resources: &[Resource],
    ) -> Result<BTreeMap<String, ResourceType>, MetricError> {
        let mut names: Vec<&str> = resources.iter().map(|resource| resource.type_name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if let [name] = names[..] {
            let resource_type = self.indexer.resource_type(name).await?;
            return Ok(BTreeMap::from([(name.to_owned(), resource_type)]));
        }
        let types = self.indexer.resource_types().await?;
        Ok(types.into_iter().map(|resource_type| (resource_type.name.clone(), resource_type)).collect())
    }
}
