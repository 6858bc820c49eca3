//! How the service is.

use nephometer_drivers::{IndexCounts, StoreStatus};
use nephometer_model::PolicyTarget;

use crate::{Access, MetricError, MetricService};

impl MetricService {
    /// How the store is, for a caller who may know.
    pub fn status(&self, access: &Access<'_>) -> Result<StoreStatus, MetricError> {
        access.require("get status", &PolicyTarget::new())?;
        Ok(self.store.status())
    }

    /// How many policies, resources and metrics there are.
    pub async fn counts(&self) -> Result<IndexCounts, MetricError> {
        Ok(self.indexer.counts().await?)
    }
}
