//! How publishers write: measures by resource and name, with the policies, types and resources that they need. In one
//! process by plain calls, apart over a Gnocchi API.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nephometer_model::{Attribute, AttributeValue, NewArchivePolicy, Timestamp};
use serde_json::{Map, Value};

/// Attributes of a type of resource by name.
pub type TypeAttributes = BTreeMap<String, Attribute>;

/// Measures of one metric of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedMeasures {
    /// The resource, as its source names it.
    pub resource_id: String,
    /// The metric's name there.
    pub metric: String,
    /// The policy of a metric that is made for them; the store's rules decide where none is named.
    pub archive_policy: Option<String>,
    /// The unit of a metric that is made for them.
    pub unit: Option<String>,
    /// When and what.
    pub measures: Vec<(Timestamp, f64)>,
}

/// What became of something that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    New,
    /// It was there: it is left as it is.
    Existing,
}

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricWriteError {
    /// These resources do not exist, so that nothing of the request was stored.
    #[error("unknown resources: {}", .0.join(", "))]
    UnknownResources(Vec<String>),
    /// What is to be changed does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The service refuses for good: status and text of an HTTP API.
    #[error("{text} ({status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its description.
        text: String,
    },
    /// The service does not answer, or cannot take it now: the same request may succeed later.
    #[error("{0}")]
    Unavailable(String),
}

/// What becomes of an attribute of a resource type.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeChange {
    /// It is to be like this; resources that have none get `fill`.
    Set {
        /// Type, limits, need.
        attribute: Attribute,
        /// Must be there where the attribute becomes required.
        fill: Option<AttributeValue>,
    },
    /// It goes.
    Remove,
}

/// A metric service that publishers write to. Everything may be repeated: nothing counts twice.
#[async_trait]
pub trait MetricWriter: Send + Sync {
    /// Makes an archive policy.
    async fn create_archive_policy(&self, policy: &NewArchivePolicy) -> Result<Made, MetricWriteError>;

    /// The attributes of a type of resource; nothing where it does not exist.
    async fn resource_type(&self, name: &str) -> Result<Option<TypeAttributes>, MetricWriteError>;

    /// Makes a type of resource.
    async fn create_resource_type(
        &self,
        name: &str,
        attributes: &TypeAttributes,
    ) -> Result<Made, MetricWriteError>;

    /// Changes one attribute of a type of resource.
    async fn change_resource_type(
        &self,
        name: &str,
        attribute: &str,
        change: &AttributeChange,
    ) -> Result<(), MetricWriteError>;

    /// Stores measures; metrics that are missing are made, resources are not. All measures or none; acknowledged when it
    /// returns. Of a refused request no measure is stored; metrics that it named may have been made, and are empty.
    async fn write(&self, measures: &[NamedMeasures]) -> Result<(), MetricWriteError>;

    /// Makes a resource of a type from its attributes in Gnocchi's JSON forms, `id` among them.
    async fn create_resource(
        &self,
        resource_type: &str,
        attributes: &Map<String, Value>,
    ) -> Result<Made, MetricWriteError>;

    /// Changes attributes of a resource, `ended_at` among them.
    async fn change_resource(
        &self,
        resource_type: &str,
        id: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), MetricWriteError>;

    /// The ids of all resources of a type that a search in Gnocchi's JSON form finds.
    async fn search_resources(
        &self,
        resource_type: &str,
        query: &Value,
    ) -> Result<Vec<String>, MetricWriteError>;
}
