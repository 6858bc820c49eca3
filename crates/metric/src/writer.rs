//! What publishers of this process write: the service as `drivers` wants it, by plain calls.

mod values;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{
    AttributeChange, IndexError, Made, MetricWriteError, MetricWriter, NamedMeasures, Page, StoreError,
    TypeAttributes,
};
use nephometer_model::{Identity, NewArchivePolicy, ResourceId, resource_id_from};
use serde_json::{Map, Value};

use crate::ingest::{NamedRun, ResourceBatch, ResourceRuns};
use crate::query::parse_filter;
use crate::{Access, AttributeSpec, InvalidInput, MeasureError, MetricError, MetricService, ResourceList};

/// Resources of a page while all that match are gathered.
const PAGE: u64 = 1000;

/// Writes to the service of this process as `identity`, who may do everything.
pub struct LocalMetricWriter {
    service: Arc<MetricService>,
    identity: Identity,
}

impl LocalMetricWriter {
    /// What is made counts as made by `identity`.
    pub fn new(service: Arc<MetricService>, identity: Identity) -> Self {
        Self { service, identity }
    }

    fn access(&self) -> Access<'_> {
        Access::internal(&self.identity)
    }

    fn resource_id(&self, text: &str) -> Result<ResourceId, MetricWriteError> {
        let id = resource_id_from(text, self.identity.creator.as_deref());
        id.map_err(|error| refused(400, InvalidInput::key(error.to_string(), text).to_string()))
    }

    /// Columns of all measures, and whose they are.
    fn batch<'a>(&self, measures: &'a [NamedMeasures]) -> Result<ResourceBatch<'a>, MetricWriteError> {
        let mut batch = ResourceBatch::default();
        let mut places: HashMap<&str, usize> = HashMap::new();
        // Runs follow the order of resources, so measures of one resource are brought together first.
        let mut grouped: Vec<Vec<&'a NamedMeasures>> = Vec::new();
        for named in measures {
            let place = *places.entry(&named.resource_id).or_insert_with(|| {
                grouped.push(Vec::new());
                grouped.len() - 1
            });
            grouped[place].push(named);
        }
        for of_resource in grouped {
            let Some(first) = of_resource.first().copied() else { continue };
            let id = self.resource_id(&first.resource_id)?;
            let mut runs = Vec::with_capacity(of_resource.len());
            for named in of_resource {
                let (times, values) = (&mut batch.measures.timestamps_ns, &mut batch.measures.values);
                times.extend(named.measures.iter().map(|(time, _)| time.ns()));
                values.extend(named.measures.iter().map(|(_, value)| *value));
                runs.push(NamedRun {
                    name: Cow::Borrowed(&named.metric),
                    policy_name: named.archive_policy.as_deref().map(Cow::Borrowed),
                    unit: named.unit.as_deref().map(Cow::Borrowed),
                    len: u32::try_from(named.measures.len()).unwrap_or(u32::MAX),
                });
            }
            batch.resources.push(ResourceRuns { original_id: Cow::Borrowed(&first.resource_id), id, runs });
        }
        Ok(batch)
    }
}

#[async_trait]
impl MetricWriter for LocalMetricWriter {
    async fn create_archive_policy(&self, policy: &NewArchivePolicy) -> Result<Made, MetricWriteError> {
        made(self.service.create_archive_policy(&self.access(), policy.clone()).await)
    }

    async fn resource_type(&self, name: &str) -> Result<Option<TypeAttributes>, MetricWriteError> {
        match self.service.schema_of(name).await {
            Ok(found) => Ok(Some(found.attributes)),
            Err(MetricError::Index(IndexError::NoSuchResourceType(_))) => Ok(None),
            Err(error) => Err(unwritten(&error)),
        }
    }

    async fn create_resource_type(
        &self,
        name: &str,
        attributes: &TypeAttributes,
    ) -> Result<Made, MetricWriteError> {
        made(self.service.create_resource_type(&self.access(), name, attributes.clone()).await)
    }

    async fn change_resource_type(
        &self,
        name: &str,
        attribute: &str,
        change: &AttributeChange,
    ) -> Result<(), MetricWriteError> {
        let current = self.service.schema_of(name).await.map_err(|error| unwritten(&error))?;
        let spec = |attribute| AttributeSpec { attribute, fill: None };
        let mut next: std::collections::BTreeMap<_, _> =
            current.attributes.iter().map(|(name, attribute)| (name.clone(), spec(*attribute))).collect();
        match change {
            AttributeChange::Remove => drop(next.remove(attribute)),
            AttributeChange::Set { attribute: wanted, fill } => {
                let wanted = AttributeSpec { attribute: *wanted, fill: fill.clone() };
                next.insert(attribute.to_owned(), wanted);
            }
        }
        let changed = self.service.change_resource_type(&self.access(), &current, next).await;
        changed.map(drop).map_err(|error| unwritten(&error))
    }

    async fn write(&self, measures: &[NamedMeasures]) -> Result<(), MetricWriteError> {
        let batch = self.batch(measures)?;
        let written = self.service.write_resource_batch(&self.access(), batch, true).await;
        written.map_err(|error| unwritten(&error))
    }

    async fn create_resource(
        &self,
        resource_type: &str,
        attributes: &Map<String, Value>,
    ) -> Result<Made, MetricWriteError> {
        let schema = self.service.schema_of(resource_type).await.map_err(|error| unwritten(&error))?;
        let now = self.service.clock().now();
        let spec = values::new_resource(&schema, attributes, self.identity.creator.as_deref(), now);
        let spec = spec.map_err(|invalid| refused(400, invalid.to_string()))?;
        made(self.service.create_resource(&self.access(), spec).await)
    }

    async fn change_resource(
        &self,
        resource_type: &str,
        id: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), MetricWriteError> {
        let schema = self.service.schema_of(resource_type).await.map_err(|error| unwritten(&error))?;
        let now = self.service.clock().now();
        let patch = values::patch(&schema, attributes, now);
        let patch = patch.map_err(|invalid| refused(400, invalid.to_string()))?;
        let (access, id) = (self.access(), self.resource_id(id)?);
        let current = self.service.resource_for_update(&access, resource_type, id).await;
        let current = current.map_err(|error| unwritten(&error))?;
        let changed = self.service.change_resource(&access, resource_type, &current, patch, false).await;
        changed.map(drop).map_err(|error| unwritten(&error))
    }

    async fn search_resources(
        &self,
        resource_type: &str,
        query: &Value,
    ) -> Result<Vec<String>, MetricWriteError> {
        let filter = parse_filter(query, self.identity.creator.as_deref());
        let filter = filter.map_err(|invalid| refused(400, invalid.to_string()))?;
        let mut ids: Vec<String> = Vec::new();
        loop {
            let page = Page { limit: Some(PAGE), marker: ids.last().cloned(), ..Page::default() };
            let list = ResourceList {
                type_name: resource_type.to_owned(),
                filter: filter.clone(),
                history: false,
                details: false,
                page,
            };
            let rows = self.service.list_resources(&self.access(), "search resource", list).await;
            let rows = rows.map_err(|error| unwritten(&error))?;
            let last = (rows.len() as u64) < PAGE;
            ids.extend(rows.into_iter().map(|row| row.id.to_string()));
            if last {
                return Ok(ids);
            }
        }
    }
}

fn refused(status: u16, text: String) -> MetricWriteError {
    MetricWriteError::Refused { status, text }
}

/// What is there already is as good as made.
fn made<T>(outcome: Result<T, MetricError>) -> Result<Made, MetricWriteError> {
    match outcome {
        Ok(_) => Ok(Made::New),
        Err(MetricError::Index(
            IndexError::ArchivePolicyAlreadyExists(_)
            | IndexError::ResourceTypeAlreadyExists(_)
            | IndexError::ResourceAlreadyExists(_),
        )) => Ok(Made::Existing),
        Err(error) => Err(unwritten(&error)),
    }
}

/// The service's refusal as contracts say it.
fn unwritten(error: &MetricError) -> MetricWriteError {
    let text = error.to_string();
    match error {
        MetricError::Measure(MeasureError::UnknownResources(unknown)) => {
            let ids = unknown.iter().map(|resource| resource.original_id.clone());
            MetricWriteError::UnknownResources(ids.collect())
        }
        MetricError::Store(StoreError::Busy { .. } | StoreError::Closed(_) | StoreError::Io(_))
        | MetricError::Index(
            IndexError::Unavailable(_) | IndexError::Internal(_) | IndexError::Changed,
        )
        // Somebody else made or deleted a metric meanwhile.
        | MetricError::Measure(MeasureError::UnknownMetrics(_)) => MetricWriteError::Unavailable(text),
        MetricError::Index(
            IndexError::NoSuchResource(_)
            | IndexError::NoSuchResourceType(_)
            | IndexError::NoSuchArchivePolicy(_),
        )
        | MetricError::NoSuchResource(_) => MetricWriteError::NotFound(text),
        MetricError::Forbidden(_) => refused(403, text),
        _ => refused(400, text),
    }
}
