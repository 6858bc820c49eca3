//! Contracts between services and what they stand on, and the suites that show that an adapter keeps them.
//!
//! This crate may not do I/O and knows no SQL, no files and no HTTP server; adapters implement what stands here,
//! services use it, and neither knows the other.

mod alarm_actions;
mod alarm_sources;
mod alarms;
mod auth;
mod catalog;
mod cloud;
#[cfg(feature = "conformance")]
pub mod conformance;
mod index_error;
mod indexer;
mod leases;
mod measures;
mod messaging;
mod metric_reader;
mod metric_writer;
mod write_watch;

pub use alarm_actions::{
    DeliveryFailure, MessageQueues, QueueAccess, QueueMessage, StackHealer, TrustTokens, UnhealthyMembers,
};
pub use alarm_sources::{PoolMembers, PoolMembersError, PrometheusReader};
pub use alarms::{
    ALARM_SHARES, AlarmFilter, AlarmLimits, AlarmNews, AlarmStore, AlarmStoreError, AlarmValue, Applied,
    BUS_ACTION, ChangeRecord, Delivery, DeliveryEnd, DeliveryGroup, EVALUATORS, NOTIFIERS, NewDelivery,
    OutboxCounts, Silence, Transition, share_of,
};
pub use auth::{
    AuthError, Authenticator, BasicAuthenticator, ClaimedIdentityAuthenticator, PolicyEnforcer,
    RemoteUserAuthenticator,
};
pub use catalog::{
    CatalogChange, CatalogError, CatalogState, LateCount, PartCatalog, PartId, PartKind, PartRow,
    Quarantined, Tombstone,
};
pub use cloud::{CloudAnswer, CloudCall, CloudError, CloudMethod, CloudReader, CloudTarget};
pub use index_error::IndexError;
pub use indexer::{
    Direction, IndexCounts, Indexer, LifeQuery, LifeState, MetricAccess, MetricQuery, NewMetric, NewResource,
    NullOrder, Page, PolicyChange, ResourceChange, ResourceLife, ResourceMetric, ResourceQuery,
    ResourceTypeChange, Sort,
};
pub use leases::{Fence, Lease, LeaseStore};
pub use measures::{
    AggregateRead, Aggregates, LateSpan, MeasureStore, SeriesRun, StoreError, StoreStatus, WriteBatch,
};
pub use messaging::{
    BusCounts, BusMessage, Destination, MessageHandler, MessageSink, MessageSource, NotHandled, NotSent,
    Subscription, UntilStopped,
};
pub use metric_reader::{
    DataPoints, MetricRead, MetricReadError, MetricReader, MetricSubject, WriteFeed, WriteObserver,
};
pub use metric_writer::{
    AttributeChange, Made, MetricWriteError, MetricWriter, NamedMeasures, TypeAttributes,
};
pub use write_watch::{WatchChanges, WriteWatch, Written};
