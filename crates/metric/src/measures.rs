//! Measures of metrics: written, read, deleted, counted where late.

mod batch;
mod error;
mod read;
mod resources;
mod write;

use nephometer_model::ResourceId;

pub use error::{MeasureError, UnknownResource};
pub use read::{MeasuresQuery, Series};
pub use resources::ResourceMeasures;
pub use write::WriteTarget;

use crate::{Access, MetricError, MetricService, MetricWithResource};

/// How a request names a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricAddress {
    /// By its id, as the client gave it.
    Id(String),
    /// By its name within a resource.
    Named {
        /// Type that the resource is seen through.
        type_name: String,
        /// The resource.
        resource: ResourceId,
        /// Name of the metric.
        name: String,
    },
}

impl MetricService {
    /// The metric at `address` with its resource, as the index has them.
    async fn addressed(&self, address: &MetricAddress) -> Result<MetricWithResource, MetricError> {
        match address {
            MetricAddress::Id(text) => self.find_metric(text).await,
            MetricAddress::Named { type_name, resource, name } => {
                self.find_named_metric(type_name, *resource, name).await
            }
        }
    }

    /// The metric at `address`, if `rule` lets the caller act on it.
    pub async fn allowed_metric(
        &self,
        access: &Access<'_>,
        rule: &str,
        address: &MetricAddress,
    ) -> Result<MetricWithResource, MetricError> {
        let found = self.addressed(address).await?;
        self.require_metric(access, rule, &found)?;
        Ok(found)
    }
}
