//! `gnocchi://`: samples become measures of a metric service, in this process or over its API.
//!
//! What a call needs is made on the way: archive policies and types of resources before the first, resources when the
//! service does not know them, metrics by the service itself. Attributes that change are written; what a sample does not
//! say about a resource changes nothing. Everything may be repeated, so a call that fails in between is simply made again.

mod attributes;
mod call;
mod filter;
mod group;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use nephometer_drivers::{MetricWriteError, MetricWriter};
use nephometer_model::{Clock, Sample};
use parking_lot::Mutex;

use self::attributes::KnownAttributes;
pub use self::filter::{ProjectFilter, ProjectToFilter};
use self::group::Groups;
use crate::resources::ResourceDefinitions;
use crate::{PublishError, Publisher, RefusedSample};

/// Names of meters that are told of once; after so many others they are told of no more.
const MAX_TOLD: usize = 10_000;

/// What a `gnocchi://` address says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GnocchiOptions {
    /// The policy of all metrics, unless a definition insists on its own.
    pub archive_policy: Option<String>,
}

/// See the module.
pub struct GnocchiPublisher {
    target: String,
    writer: Arc<dyn MetricWriter>,
    definitions: Arc<ResourceDefinitions>,
    options: GnocchiOptions,
    filter: ProjectFilter,
    clock: Arc<dyn Clock>,
    known: KnownAttributes,
    prepared: AtomicBool,
    /// Meters that no definition lists.
    told: Mutex<HashSet<Arc<str>>>,
}

impl GnocchiPublisher {
    /// Publishes to `writer`; `target` is what logs call it.
    pub fn new(
        target: String,
        writer: Arc<dyn MetricWriter>,
        definitions: Arc<ResourceDefinitions>,
        options: GnocchiOptions,
        filter: ProjectFilter,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (known, prepared, told) =
            (KnownAttributes::new(Arc::clone(&clock)), false.into(), Mutex::default());
        Self { target, writer, definitions, options, filter, clock, known, prepared, told }
    }

    /// Makes policies and types once. Where the service does not let us, others must have made them.
    async fn prepare(&self) -> Result<(), PublishError> {
        if self.prepared.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.definitions.upgrade(self.writer.as_ref()).await {
            Ok(done) if done.is_empty() => {}
            Ok(done) => tracing::info!(
                publisher = self.target,
                policies = done.archive_policies.join(" "),
                types = done.resource_types.join(" "),
                attributes = done.attributes.join(" "),
                "the metric service is prepared for samples"
            ),
            Err(MetricWriteError::Unavailable(reason)) => return Err(PublishError::Later(reason)),
            Err(error) => tracing::error!(
                publisher = self.target, %error,
                "the metric service cannot be prepared for samples; samples whose policies and types are there are stored"
            ),
        }
        self.prepared.store(true, Ordering::Release);
        Ok(())
    }

    /// Says once that nobody has said where samples of a meter belong.
    fn tell_unmapped(&self, name: &Arc<str>) {
        let mut told = self.told.lock();
        if told.len() < MAX_TOLD && told.insert(Arc::clone(name)) {
            tracing::warn!(publisher = self.target, "metric {name} is not handled by Gnocchi");
        }
    }
}

#[async_trait]
impl Publisher for GnocchiPublisher {
    fn target(&self) -> &str {
        &self.target
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        self.prepare().await?;
        let filtered = self.filter.project_id().await.map_err(PublishError::Later)?;
        let mut refused = Vec::new();
        let groups = Groups::of(self, samples, filtered.as_deref(), &mut refused);
        refused.extend(self.write(groups).await?);
        refused.sort_unstable_by_key(|refused: &RefusedSample| refused.index);
        refused.dedup_by_key(|refused| refused.index);
        if refused.is_empty() { Ok(()) } else { Err(PublishError::SomeRefused(refused)) }
    }
}
