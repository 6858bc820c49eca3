//! What alarms watch besides our own measures: Prometheus, and the members of load balancers' pools.

use async_trait::async_trait;
use serde_json::Value;

use crate::MetricReadError;

/// Instant queries of a Prometheus API.
#[async_trait]
pub trait PrometheusReader: Send + Sync {
    /// The value of each series that `query` gives now, in the order of the answer. With `scope_to_project` every
    /// selector is narrowed to that project.
    async fn query(&self, query: &str, scope_to_project: Option<&str>) -> Result<Vec<f64>, MetricReadError>;
}

/// Why members of a pool are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolMembersError {
    /// The service does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The service answered with an error: the body of its answer.
    #[error("{0}")]
    Refused(String),
}

/// Members of load balancers' pools.
#[async_trait]
pub trait PoolMembers: Send + Sync {
    /// The pool's members as Octavia shows them (`created_at`, `admin_state_up`, `operating_status`, ...).
    async fn members(&self, pool_id: &str) -> Result<Vec<Value>, PoolMembersError>;
}
