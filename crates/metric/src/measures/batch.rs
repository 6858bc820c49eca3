//! Writing measures of many metrics in one request: all of it or nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use nephometer_drivers::{IndexError, NewMetric};
use nephometer_model::{ArchivePolicyRule, Metric, MetricId, Resource, ResourceId};

use super::write::POST_MEASURES;
use super::{MeasureError, UnknownResource};
use crate::access::{creator_target, metric_target, resource_target};
use crate::cache::{AskedBy, CachedMetric};
use crate::ingest::{MetricBatch, NamedRun, ResourceBatch};
use crate::rules::choose_policy;
use crate::{Access, InvalidInput, MetricError, MetricService};

/// The rule that guards giving a resource more metrics.
const UPDATE_RESOURCE: &str = "update resource";
/// The rule that guards seeing a resource.
const GET_RESOURCE: &str = "get resource";
/// Metrics that one transaction of the index makes: between those of a large request other writes have their turn.
const MADE_AT_A_TIME: usize = 2000;
/// Longest unit, in characters.
const MAX_UNIT_CHARS: usize = 31;
/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 255;

/// What becomes of metrics that a batch names and that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Creation {
    /// They are an error.
    Never,
    /// The caller makes them.
    ByCaller,
    /// They count as made by the creator of their resource.
    ByOwner,
}

impl MetricService {
    /// Stores measures of metrics named by id.
    pub async fn write_metric_batch(
        &self,
        access: &Access<'_>,
        batch: MetricBatch,
    ) -> Result<(), MetricError> {
        let cached = if access.judges_by_creator(POST_MEASURES) {
            self.cache.get_all(batch.runs.iter().map(|(id, _)| *id))
        } else {
            vec![None; batch.runs.len()]
        };
        let metrics = self.batch_by_id(access, &batch, cached).await?;
        let runs = metrics.into_iter().zip(batch.runs.iter().map(|(_, len)| *len)).collect();
        self.store_runs(runs, batch.measures).await
    }

    /// The metrics of a batch in order, if all exist and the caller may write to all of them. Those that are not
    /// `cached` are looked up.
    async fn batch_by_id(
        &self,
        access: &Access<'_>,
        batch: &MetricBatch,
        cached: Vec<Option<CachedMetric>>,
    ) -> Result<Vec<CachedMetric>, MetricError> {
        let runs = batch.runs.iter().zip(&cached);
        let unseen: BTreeSet<MetricId> =
            runs.filter(|(_, cached)| cached.is_none()).map(|((id, _), _)| *id).collect();
        let from_memory: Vec<_> = cached.iter().copied().flatten().collect();
        if unseen.is_empty() {
            self.require_cached(access, &from_memory)?;
            return Ok(from_memory);
        }
        let generation = self.cache.generation();
        let ids: Vec<_> = unseen.iter().copied().collect();
        let found = self.indexer.metrics_by_id(&ids).await?;
        let enter = |metric| self.cache.enter(metric, AskedBy::Id, generation);
        let entered: HashMap<_, _> = found.iter().map(|metric| (metric.id, enter(metric))).collect();
        let missing: Vec<_> =
            unseen.iter().filter(|id| !entered.contains_key(id)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Err(MeasureError::UnknownMetrics(missing).into());
        }
        self.require_cached(access, &from_memory)?;
        require_found(access, &found)?;
        let runs = batch.runs.iter().zip(cached);
        Ok(runs.filter_map(|((id, _), cached)| cached.or_else(|| entered.get(id).copied())).collect())
    }

    /// Stores measures of metrics named by resource and name. With `create` metrics that are missing are made first, by
    /// archive policy rules where the request names no policy, of resources that the caller may change or that were made for
    /// its project. None is made where any cannot be. Very many are made in
    /// parts: should the index fail between two of them (or a resource go away), those made before stay, without
    /// measures, and the request, made again, finds them and goes on.
    pub async fn write_resource_batch(
        &self,
        access: &Access<'_>,
        batch: ResourceBatch<'_>,
        create: bool,
    ) -> Result<(), MetricError> {
        let creation = if create { Creation::ByCaller } else { Creation::Never };
        self.write_resource_runs(access, batch, creation).await
    }

    pub(super) async fn write_resource_runs(
        &self,
        access: &Access<'_>,
        batch: ResourceBatch<'_>,
        creation: Creation,
    ) -> Result<(), MetricError> {
        let by_creator = access.judges_by_creator(POST_MEASURES);
        let cached = if by_creator { self.cache.get_named(names(&batch)) } else { Vec::new() };
        let metrics = if by_creator && cached.iter().all(Option::is_some) {
            let metrics: Vec<_> = cached.into_iter().flatten().collect();
            self.require_cached(access, &metrics)?;
            metrics
        } else {
            self.batch_by_name(access, &batch, creation).await?
        };
        let lens = batch.resources.iter().flat_map(|resource| resource.runs.iter().map(|run| run.len));
        let runs = metrics.into_iter().zip(lens).collect();
        self.store_runs(runs, batch.measures).await
    }

    /// The metrics of a batch in order, from the index.
    async fn batch_by_name(
        &self,
        access: &Access<'_>,
        batch: &ResourceBatch<'_>,
        creation: Creation,
    ) -> Result<Vec<CachedMetric>, MetricError> {
        let generation = self.cache.generation();
        let wanted: BTreeSet<_> = names(batch).map(|(resource, name)| (resource, name.to_owned())).collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        if wanted.iter().any(|(_, name)| name.contains('\0')) {
            let invalid = InvalidInput::new("NUL characters are not supported").under("name");
            return Err(MeasureError::from(invalid).into());
        }
        let mut found = self.indexer.metrics_by_name(&wanted).await?;
        let missing = without(wanted, &found);
        if !missing.is_empty() {
            if creation == Creation::Never {
                return Err(unknown_names(&missing).into());
            }
            found.extend(self.make_missing(access, batch, &missing, creation).await?);
        }
        let enter = |metric| self.cache.enter(metric, AskedBy::Name, generation);
        let entered: HashMap<_, _> =
            found.iter().filter_map(|metric| Some((named(metric)?, enter(metric)))).collect();
        let lost: Vec<_> = names(batch)
            .filter(|name| !entered.contains_key(name))
            .map(|(resource, name)| (resource, name.to_owned()))
            .collect();
        if !lost.is_empty() {
            return Err(unknown_names(&lost).into());
        }
        require_found(access, &found)?;
        Ok(names(batch).filter_map(|name| entered.get(&name).copied()).collect())
    }

    /// Makes the metrics of a batch that are missing; none is made where any of them cannot be.
    async fn make_missing(
        &self,
        access: &Access<'_>,
        batch: &ResourceBatch<'_>,
        missing: &[(ResourceId, String)],
        creation: Creation,
    ) -> Result<Vec<Metric>, MetricError> {
        let owners = self.require_resources(batch, missing).await?;
        if creation == Creation::ByCaller {
            require_changeable(access, owners.values())?;
        }
        let mut specs: HashMap<(ResourceId, &str), &NamedRun<'_>> = HashMap::new();
        for resource in &batch.resources {
            for run in &resource.runs {
                specs.entry((resource.id, run.name.as_ref())).or_insert(run);
            }
        }
        let rules = self.indexer.archive_policy_rules().await?;
        let new = missing
            .iter()
            .map(|(resource, name)| {
                let spec = specs.get(&(*resource, name.as_str())).copied();
                let owner = || owners.get(resource).and_then(|owner| owner.creator.as_deref());
                let creator = if creation == Creation::ByOwner { owner() } else { access.creator() };
                self.new_named_metric(access, *resource, name, spec, creator, &rules)
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.create_in_parts(new).await.map_err(|error| MetricError::from(error).into_reference())
    }

    async fn create_in_parts(&self, news: Vec<NewMetric>) -> Result<Vec<Metric>, IndexError> {
        if news.len() <= MADE_AT_A_TIME {
            return self.indexer.create_or_get_metrics(news).await;
        }
        // The first part must not be made where the index would refuse the last.
        let policies = self.indexer.archive_policies().await?;
        let names: HashSet<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
        if let Some(new) = news.iter().find(|new| !names.contains(new.policy_name.as_str())) {
            return Err(IndexError::NoSuchArchivePolicy(new.policy_name.clone()));
        }
        let mut made = Vec::with_capacity(news.len());
        let mut rest = news.into_iter();
        while rest.len() > 0 {
            let part = rest.by_ref().take(MADE_AT_A_TIME).collect();
            made.extend(self.indexer.create_or_get_metrics(part).await?);
        }
        Ok(made)
    }

    /// The resources of `missing`, if all exist; else names those that do not, in the order of the batch.
    async fn require_resources(
        &self,
        batch: &ResourceBatch<'_>,
        missing: &[(ResourceId, String)],
    ) -> Result<HashMap<ResourceId, Resource>, MetricError> {
        let wanted: BTreeSet<_> = missing.iter().map(|(resource, _)| *resource).collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let existing = self.indexer.resources_by_id(&wanted).await?;
        let existing: HashMap<_, _> = existing.into_iter().map(|resource| (resource.id, resource)).collect();
        let mut reported: HashSet<ResourceId> = HashSet::new();
        let unknown: Vec<_> = batch
            .resources
            .iter()
            .filter(|resource| {
                wanted.binary_search(&resource.id).is_ok() && !existing.contains_key(&resource.id)
            })
            .filter(|resource| reported.insert(resource.id))
            .map(|resource| UnknownResource {
                id: resource.id,
                original_id: resource.original_id.to_string(),
            })
            .collect();
        if unknown.is_empty() { Ok(existing) } else { Err(MeasureError::UnknownResources(unknown).into()) }
    }

    /// A metric of a resource to be made, if its name and unit can be, a policy is found, and the caller may.
    pub(crate) fn new_named_metric(
        &self,
        access: &Access<'_>,
        resource: ResourceId,
        name: &str,
        spec: Option<&NamedRun<'_>>,
        creator: Option<&str>,
        rules: &[ArchivePolicyRule],
    ) -> Result<NewMetric, MetricError> {
        let too_long = |limit: usize, key: &str| {
            let message = format!("length of value must be at most {limit}");
            MetricError::from(MeasureError::from(InvalidInput::new(message).under(key)))
        };
        let unit = spec.and_then(|spec| spec.unit.as_deref());
        if unit.is_some_and(|unit| unit.chars().count() > MAX_UNIT_CHARS) {
            return Err(too_long(MAX_UNIT_CHARS, "unit"));
        }
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(too_long(MAX_NAME_CHARS, "name"));
        }
        if name.contains('/') {
            return Err(MetricError::SlashInMetricName);
        }
        let given = spec.and_then(|spec| spec.policy_name.as_deref());
        let chosen = given.or_else(|| choose_policy(rules, Some(name)));
        let policy_name = chosen.ok_or_else(|| MetricError::NoRuleMatches(Some(name.to_owned())))?;
        self.require_create_metric(access, Some(name), unit, given, None)?;
        Ok(NewMetric {
            id: self.new_metric_id(),
            creator: creator.map(str::to_owned),
            resource_id: Some(resource),
            name: Some(name.to_owned()),
            unit: unit.map(str::to_owned),
            policy_name: policy_name.to_owned(),
        })
    }
}

/// Refuses unless the caller may write to each of these metrics, once for each creator where only creators count.
fn require_found(access: &Access<'_>, found: &[Metric]) -> Result<(), MetricError> {
    if access.judges_by_creator(POST_MEASURES) {
        let creators: BTreeSet<_> = found.iter().map(|metric| metric.creator.as_deref()).collect();
        return creators
            .into_iter()
            .try_for_each(|creator| access.require(POST_MEASURES, &creator_target(creator)));
    }
    found.iter().try_for_each(|metric| access.require(POST_MEASURES, &metric_target(metric, None)))
}

/// Refuses unless the caller may change each of these resources, or it was made for the caller's project and the caller
/// may see it. Callers who see all rows may, as upstream has it for everybody.
fn require_changeable<'a>(
    access: &Access<'_>,
    mut resources: impl Iterator<Item = &'a Resource>,
) -> Result<(), MetricError> {
    if !access.is_confined() {
        return Ok(());
    }
    resources.try_for_each(|resource| match access.require(UPDATE_RESOURCE, &resource_target(resource)) {
        Err(_) if access.is_of_project(resource) => access.require(GET_RESOURCE, &resource_target(resource)),
        outcome => outcome,
    })
}

/// Resource and name of every run, in order.
fn names<'a>(batch: &'a ResourceBatch<'_>) -> impl Iterator<Item = (ResourceId, &'a str)> {
    batch
        .resources
        .iter()
        .flat_map(|resource| resource.runs.iter().map(move |run| (resource.id, run.name.as_ref())))
}

fn named(metric: &Metric) -> Option<(ResourceId, &str)> {
    Some((metric.resource_id?, metric.name.as_deref()?))
}

/// The names that are not among `found`.
fn without(wanted: Vec<(ResourceId, String)>, found: &[Metric]) -> Vec<(ResourceId, String)> {
    let known: HashSet<_> = found.iter().filter_map(named).collect();
    wanted.into_iter().filter(|(resource, name)| !known.contains(&(*resource, name.as_str()))).collect()
}

fn unknown_names(names: &[(ResourceId, String)]) -> MeasureError {
    let mut unknown: Vec<_> = names.iter().map(|(resource, name)| format!("{resource}/{name}")).collect();
    unknown.sort_unstable();
    unknown.dedup();
    MeasureError::UnknownMetrics(unknown)
}
