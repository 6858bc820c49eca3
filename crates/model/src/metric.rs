//! Metrics.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ArchivePolicy, MetricId, ResourceId, SeriesKey};

/// Whether a metric is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricStatus {
    /// In use.
    Active,
    /// Deleted; its data is being removed.
    Delete,
}

/// The entity that holds aggregates.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Public identity.
    pub id: MetricId,
    /// Storage identity.
    pub key: SeriesKey,
    /// Name, unique within its resource.
    pub name: Option<String>,
    /// Unit of its values.
    pub unit: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// The resource it belongs to.
    pub resource_id: Option<ResourceId>,
    /// What it keeps.
    pub policy: Arc<ArchivePolicy>,
}
