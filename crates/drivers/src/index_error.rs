//! Why the index could not do it. Texts are upstream's where clients match them.

use nephometer_model::ResourceId;

/// Why the index could not do it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IndexError {
    /// No such metric, named as the caller named it.
    #[error("Metric {0} does not exist")]
    NoSuchMetric(String),
    /// No such resource.
    #[error("Resource {0} does not exist")]
    NoSuchResource(ResourceId),
    /// No such resource type.
    #[error("Resource type {0} does not exist")]
    NoSuchResourceType(String),
    /// No such archive policy.
    #[error("Archive policy {0} does not exist")]
    NoSuchArchivePolicy(String),
    /// No such archive policy rule.
    #[error("Archive policy rule {0} does not exist")]
    NoSuchArchivePolicyRule(String),
    /// The name is taken.
    #[error("Archive policy {0} already exists")]
    ArchivePolicyAlreadyExists(String),
    /// The name is taken.
    #[error("Archive policy rule {0} already exists")]
    ArchivePolicyRuleAlreadyExists(String),
    /// The id is taken.
    #[error("Resource {0} already exists")]
    ResourceAlreadyExists(ResourceId),
    /// The name is taken.
    #[error("Resource type {0} already exists")]
    ResourceTypeAlreadyExists(String),
    /// The resource has a metric of that name.
    #[error("Named metric {0} already exists")]
    NamedMetricAlreadyExists(String),
    /// Metrics or rules use it.
    #[error("Archive policy {0} is still in use")]
    ArchivePolicyInUse(String),
    /// Resources use it.
    #[error("Resource type {0} is still in use")]
    ResourceTypeInUse(String),
    /// The type has no attribute of that name.
    #[error("Resource type {resource_type} has no {attribute} attribute")]
    NoSuchAttribute {
        /// The type searched.
        resource_type: String,
        /// The attribute asked for.
        attribute: String,
    },
    /// A value that contradicts another one of the resource.
    #[error("Value {value} for attribute {attribute} on resource type {resource_type} is invalid")]
    AttributeValueInvalid {
        /// Its type.
        resource_type: String,
        /// The attribute.
        attribute: String,
        /// The value as upstream would print it.
        value: String,
    },
    /// A value that an attribute cannot be compared with.
    #[error("Invalid value: `{value}' for field `{field}'")]
    QueryValue {
        /// The attribute.
        field: String,
        /// The value.
        value: String,
    },
    /// An operator that an attribute does not know.
    #[error("Invalid value: {0}")]
    QueryOperator(String),
    /// A bad marker, sort key or direction.
    #[error("Invalid pagination: `{0}'")]
    Pagination(String),
    /// The resource changed since the caller looked at it.
    #[error("the resource has changed meanwhile")]
    Changed,
    /// The database does not answer or is overloaded: try again later.
    #[error("the index is unavailable: {0}")]
    Unavailable(String),
    /// Anything else; not for the client's eyes.
    #[error("index: {0}")]
    Internal(String),
}
