//! Writing measures that bring their resources with them: what is missing is made.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use nephometer_drivers::IndexError;
use nephometer_model::{Attributes, Resource, ResourceId, ResourceType, resource_id_from};

use super::MeasureError;
use super::batch::Creation;
use crate::access::resource_target;
use crate::ingest::{Measures, NamedRun, ResourceBatch, ResourceRuns};
use crate::{Access, InvalidInput, MetricError, MetricService, ResourceSpec};

/// Measures of the metrics of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceMeasures {
    /// The id that the source gives it.
    pub original_id: String,
    /// Attributes for it if it must be made.
    pub attributes: Attributes,
    /// Measures by name of the metric.
    pub metrics: BTreeMap<String, Measures>,
}

impl ResourceMeasures {
    /// How many measures there are, of all metrics.
    pub fn len(&self) -> usize {
        self.metrics.values().map(Measures::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.metrics.values().all(Measures::is_empty)
    }
}

impl MetricService {
    /// Stores measures of resources of one type. Resources that are missing are made by the caller, metrics that are
    /// missing by their resource's creator, as archive policy rules choose.
    pub async fn write_resources(
        &self,
        access: &Access<'_>,
        type_name: &str,
        resources: Vec<ResourceMeasures>,
    ) -> Result<(), MetricError> {
        let resource_type = match self.indexer.resource_type(type_name).await {
            Err(IndexError::NoSuchResourceType(name)) => {
                return Err(MeasureError::UnknownResourceType(name).into());
            }
            found => found?,
        };
        let ids = resources.iter().map(|resource| {
            resource_id_from(&resource.original_id, access.creator())
                .map_err(|error| MeasureError::from(InvalidInput::new(error.to_string())))
        });
        let ids: Vec<_> = ids.collect::<Result<_, _>>()?;
        let existing = self.existing_resources(access, type_name, &ids).await?;
        let missing = || ids.iter().zip(&resources).filter(|(id, _)| !existing.contains_key(id));
        self.check_creations(access, &resource_type, missing()).await?;
        for (id, resource) in missing() {
            self.make_resource(access, type_name, *id, resource).await?;
        }
        self.write_resource_runs(access, batch(&ids, resources), Creation::ByOwner).await
    }

    /// Those of the resources that exist: all are of the type, and the caller may change them.
    async fn existing_resources(
        &self,
        access: &Access<'_>,
        type_name: &str,
        ids: &[ResourceId],
    ) -> Result<HashMap<ResourceId, Resource>, MetricError> {
        let existing = self.indexer.resources_by_id(ids).await?;
        for resource in &existing {
            if resource.type_name != type_name {
                return Err(MeasureError::ResourceOfOtherType(resource.id).into());
            }
            access.require("update resource", &resource_target(resource))?;
        }
        Ok(existing.into_iter().map(|resource| (resource.id, resource)).collect())
    }

    /// Refuses before anything is made if a resource lacks an attribute or one of its metrics cannot be made.
    async fn check_creations(
        &self,
        access: &Access<'_>,
        resource_type: &ResourceType,
        missing: impl Iterator<Item = (&ResourceId, &ResourceMeasures)>,
    ) -> Result<(), MetricError> {
        let rules = self.indexer.archive_policy_rules().await?;
        for (id, resource) in missing {
            let mut required = resource_type.attributes.iter().filter(|(_, attribute)| attribute.required);
            if let Some((name, _)) = required.find(|(name, _)| !resource.attributes.contains_key(*name)) {
                return Err(MeasureError::from(InvalidInput::key("required key not provided", name)).into());
            }
            for name in resource.metrics.keys() {
                self.new_named_metric(access, *id, name, None, access.creator(), &rules)?;
            }
        }
        Ok(())
    }

    /// Makes a resource without metrics; one that somebody else has made meanwhile must be of the type.
    async fn make_resource(
        &self,
        access: &Access<'_>,
        type_name: &str,
        id: ResourceId,
        resource: &ResourceMeasures,
    ) -> Result<(), MetricError> {
        let spec = ResourceSpec {
            id,
            original_resource_id: resource.original_id.clone(),
            type_name: type_name.to_owned(),
            user_id: None,
            project_id: None,
            started_at: None,
            ended_at: None,
            attributes: resource.attributes.clone(),
            metrics: BTreeMap::new(),
        };
        match self.create_resource(access, spec).await {
            Ok(_) => Ok(()),
            Err(MetricError::Index(IndexError::ResourceAlreadyExists(_))) => {
                self.existing_resources(access, type_name, &[id]).await.map(|_| ())
            }
            Err(error) => Err(error),
        }
    }
}

fn batch(ids: &[ResourceId], resources: Vec<ResourceMeasures>) -> ResourceBatch<'static> {
    let mut batch = ResourceBatch::default();
    for (id, resource) in ids.iter().zip(resources) {
        let mut runs = Vec::with_capacity(resource.metrics.len());
        for (name, measures) in resource.metrics {
            let len = u32::try_from(measures.len()).unwrap_or(u32::MAX);
            batch.measures.timestamps_ns.extend(measures.timestamps_ns);
            batch.measures.values.extend(measures.values);
            runs.push(NamedRun { name: Cow::Owned(name), policy_name: None, unit: None, len });
        }
        let original_id = Cow::Owned(resource.original_id);
        batch.resources.push(ResourceRuns { original_id, id: *id, runs });
    }
    batch
}
