//! `gnocchi_resources.yaml`: which type of resource a metric belongs to, by which policy it is kept, and what of a sample
//! becomes an attribute; and the policies and types that are made for it.

mod attribute;
mod read;
#[cfg(test)]
mod tests;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use nephometer_drivers::{Made, MetricWriteError, MetricWriter};
use nephometer_model::NewArchivePolicy;
use serde_json::{Map, Value};

pub use types::Upgraded;

use attribute::AttributeSource;

/// The definitions that the program brings with it.
pub const DEFAULT_DEFINITIONS: &str = include_str!("resources/gnocchi_resources.yaml");

/// A definitions file that cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the resource definitions are no YAML, or not what they should be: {0}")]
pub struct DefinitionsError(String);

/// What a definitions file says.
#[derive(Debug)]
pub struct ResourceDefinitions {
    archive_policies: Vec<NewArchivePolicy>,
    default_policy: String,
    resources: Vec<ResourceDefinition>,
    /// By metric: the last definition that lists it.
    metrics: HashMap<String, MetricPlace>,
    problems: Vec<String>,
}

/// A metric's definition.
#[derive(Debug)]
struct MetricPlace {
    resource: usize,
    archive_policy: Option<String>,
}

/// One type of resource.
#[derive(Debug)]
pub struct ResourceDefinition {
    resource_type: String,
    archive_policy: Option<String>,
    attributes: Vec<(Arc<str>, AttributeSource)>,
}

/// Where samples of a meter go.
#[derive(Debug, Clone, Copy)]
pub struct MetricDefinition<'a> {
    /// The resource that they are of.
    pub resource: &'a ResourceDefinition,
    /// The policy that the file gives the metric itself.
    own_policy: Option<&'a str>,
    default_policy: &'a str,
}

impl ResourceDefinitions {
    /// Reads a file. A definition in it that is wrong costs only itself and is among the [`problems`](Self::problems).
    ///
    /// # Errors
    /// It is no YAML, or no map.
    pub fn parse(text: &str) -> Result<Self, DefinitionsError> {
        read::definitions(text).map_err(DefinitionsError)
    }

    /// What is wrong with single definitions, which do not count.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Where samples called `name` go; nothing where no definition lists it.
    pub fn metric(&self, name: &str) -> Option<MetricDefinition<'_>> {
        let place = self.metrics.get(name)?;
        let resource = self.resources.get(place.resource)?;
        let own_policy = place.archive_policy.as_deref();
        Some(MetricDefinition { resource, own_policy, default_policy: &self.default_policy })
    }

    /// Makes what is missing of archive policies and types of resources. May be repeated.
    pub async fn upgrade(&self, writer: &dyn MetricWriter) -> Result<Upgraded, MetricWriteError> {
        types::upgrade(writer, self.create_archive_policies(writer).await?).await
    }

    async fn create_archive_policies(&self, writer: &dyn MetricWriter) -> Result<Upgraded, MetricWriteError> {
        let mut done = Upgraded::default();
        for policy in &self.archive_policies {
            if writer.create_archive_policy(policy).await? == Made::New {
                done.archive_policies.push(policy.name.clone());
            }
        }
        Ok(done)
    }
}

impl MetricDefinition<'_> {
    /// The policy of a metric that is made; `wanted` is the publisher's own.
    pub fn archive_policy<'a>(&'a self, wanted: Option<&'a str>) -> &'a str {
        let of_resource = self.resource.archive_policy.as_deref();
        of_resource.or(wanted).or(self.own_policy).unwrap_or(self.default_policy)
    }
}

impl ResourceDefinition {
    /// Its name.
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// Whether its resources have no attributes of their own.
    pub fn has_no_attributes(&self) -> bool {
        self.attributes.is_empty()
    }

    /// Whether attributes come from a sample's metadata alone, so that samples that share it share them.
    pub fn reads_metadata_alone(&self) -> bool {
        self.attributes.iter().all(|(_, source)| source.reads_metadata_alone())
    }

    /// Attributes of a resource as a sample has them; those that it does not have are left out.
    pub fn attributes(&self, sample: &Value) -> Map<String, Value> {
        let values = self
            .attributes
            .iter()
            .filter_map(|(name, source)| Some((name.to_string(), source.value(sample)?)));
        values.collect()
    }
}
