//! The host itself as a resource.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Cycle, Discovery, DiscoveryError, DiscoveryGroup, Resource};

/// Lists the host by its name.
#[derive(Debug, Clone)]
pub struct LocalNode {
    host: Arc<str>,
}

impl LocalNode {
    /// The host that is called so.
    pub fn new(host: impl Into<Arc<str>>) -> Self {
        Self { host: host.into() }
    }
}

#[async_trait]
impl Discovery for LocalNode {
    fn name(&self) -> &str {
        "local_node"
    }

    fn group(&self) -> DiscoveryGroup {
        DiscoveryGroup::Host(format!("LocalNode-{}", self.host))
    }

    async fn discover(&self, _: &Cycle, _: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        Ok(vec![Resource::from_id(Arc::clone(&self.host))])
    }
}
