//! Resource types with typed attributes, resources and their revisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{MetricId, ResourceId, Timestamp};

/// Type and limits of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum AttributeKind {
    /// Text with a length between the limits, in characters.
    String {
        /// Shortest length.
        min_length: u32,
        /// Longest length.
        max_length: u32,
    },
    /// A number between the limits.
    Number {
        /// Smallest value.
        min: Option<f64>,
        /// Largest value.
        max: Option<f64>,
    },
    /// A UUID.
    Uuid,
    /// True or false.
    Bool,
    /// A point in time.
    Datetime,
}

/// An attribute of a resource type.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Type and limits.
    #[serde(flatten)]
    pub kind: AttributeKind,
    /// Whether each resource of the type must have it.
    pub required: bool,
}

/// Where a resource type stands in its life; ours are always active, imported ones may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceTypeState {
    /// Usable.
    Active,
    /// Being made.
    Creating,
    /// Could not be made.
    CreationError,
    /// Being removed.
    Deleting,
    /// Could not be removed.
    DeletionError,
    /// Being changed.
    Updating,
    /// Could not be changed.
    UpdatingError,
}

/// A named schema of attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceType {
    /// Unique name; `generic` always exists and has no attributes.
    pub name: String,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
    /// Where it stands in its life.
    pub state: ResourceTypeState,
}

/// A value of an attribute; an absent or cleared attribute has none.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// Text.
    String(String),
    /// A number as it was written, so that integers stay integers in answers.
    Number(serde_json::Number),
    /// A UUID.
    Uuid(Uuid),
    /// True or false.
    Bool(bool),
    /// A point in time.
    Datetime(Timestamp),
}

/// Attribute values by name.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// Identity of a revision: a number that grows over all resources; the current one is -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision that is in force.
    pub const CURRENT: Self = Self(-1);
}

/// A thing observed, as it is now or as one past revision shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Identity.
    pub id: ResourceId,
    /// The id as the client gave it.
    pub original_resource_id: String,
    /// Name of its type.
    pub type_name: String,
    /// Who made it; with Keystone `user_id:project_id`.
    pub creator: Option<String>,
    /// Owner.
    pub user_id: Option<String>,
    /// Owning project.
    pub project_id: Option<String>,
    /// When it began to exist; microseconds.
    pub started_at: Timestamp,
    /// When it ended; microseconds.
    pub ended_at: Option<Timestamp>,
    /// When this revision began; microseconds.
    pub revision_start: Timestamp,
    /// When this revision ended; nothing for the current one.
    pub revision_end: Option<Timestamp>,
    /// Which revision this is.
    pub revision: Revision,
    /// Values of the type's attributes (empty where only common attributes were asked for).
    pub attributes: Attributes,
    /// Its metrics now, by name, sorted by name.
    pub metrics: Vec<(String, MetricId)>,
}
