//! Contracts between services and what they stand on, and the suites that show that an adapter keeps them.
//!
//! This crate may not do I/O and knows no SQL, no files and no HTTP server; adapters implement what stands here,
//! services use it, and neither knows the other.

mod auth;
mod catalog;
#[cfg(feature = "conformance")]
pub mod conformance;
mod index_error;
mod indexer;
mod measures;

pub use auth::{AuthError, Authenticator, BasicAuthenticator, PolicyEnforcer, RemoteUserAuthenticator};
pub use catalog::{
    CatalogChange, CatalogError, CatalogState, LateCount, PartCatalog, PartId, PartKind, PartRow,
    Quarantined, Tombstone,
};
pub use index_error::IndexError;
pub use indexer::{
    Direction, IndexCounts, Indexer, LifeQuery, LifeState, MetricAccess, MetricQuery, NewMetric, NewResource,
    NullOrder, Page, PolicyChange, ResourceChange, ResourceLife, ResourceMetric, ResourceQuery,
    ResourceTypeChange, Sort,
};
pub use measures::{
    AggregateRead, Aggregates, LateSpan, MeasureStore, SeriesRun, StoreError, StoreStatus, WriteBatch,
};
