//! Listing what is to be polled.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::Cycle;

/// What a discovery knows of a resource beside its id.
#[derive(Clone)]
pub enum ResourceData {
    /// Nothing: a static resource of polling.yaml, an endpoint, a host. The id says all.
    Id,
    /// An object of a REST API.
    Json(Arc<Value>),
    /// What a discovery and the pollsters that use it have agreed upon.
    Typed(Arc<dyn Any + Send + Sync>),
}

/// Something that is polled.
#[derive(Clone)]
pub struct Resource {
    /// Its stable identity: by it work is divided among agents and a resource is recognised within a cycle.
    pub id: Arc<str>,
    /// What is known of it.
    pub data: ResourceData,
}

impl Resource {
    /// A resource that is no more than its id.
    pub fn from_id(id: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), data: ResourceData::Id }
    }

    /// An object of a REST API.
    pub fn from_json(id: impl Into<Arc<str>>, object: Value) -> Self {
        Self { id: id.into(), data: ResourceData::Json(Arc::new(object)) }
    }

    /// What a discovery of this crate found.
    pub fn typed<T: Any + Send + Sync>(id: impl Into<Arc<str>>, data: Arc<T>) -> Self {
        Self { id: id.into(), data: ResourceData::Typed(data) }
    }

    /// What a discovery found, where it is of that type.
    pub fn of<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        match &self.data {
            ResourceData::Typed(data) => Arc::clone(data).downcast().ok(),
            _ => None,
        }
    }

    /// The object of a REST API, where it is one.
    pub fn json(&self) -> Option<&Value> {
        match &self.data {
            ResourceData::Json(object) => Some(object),
            _ => None,
        }
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resource").field(&self.id).finish()
    }
}

/// Among whom a discovery's resources are divided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DiscoveryGroup {
    /// All agents of the namespace.
    Global,
    /// The agents of one host: it names the group.
    Host(String),
}

/// Why there is no list. It costs this cycle's samples, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The cloud has no such service: no reason for alarm.
    #[error("{0}")]
    NoService(String),
    /// It could not be listed this time.
    #[error("{0}")]
    Failed(String),
}

/// Lists what is to be polled.
#[async_trait]
pub trait Discovery: Send + Sync {
    /// The name that polling.yaml uses, `local_instances`.
    fn name(&self) -> &str;

    /// Among whom its resources are divided.
    fn group(&self) -> DiscoveryGroup {
        DiscoveryGroup::Global
    }

    /// Everything that there is, this time. `parameter` is what polling.yaml says behind the name (`endpoint:compute`). It
    /// is asked once a cycle for each parameter, however many pollsters use it.
    async fn discover(&self, cycle: &Cycle, parameter: Option<&str>)
    -> Result<Vec<Resource>, DiscoveryError>;
}
