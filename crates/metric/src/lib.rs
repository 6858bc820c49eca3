//! The metric service: ingestion, queries and aggregates over the contracts of `drivers`. Knows no HTTP and no adapter.

mod access;
mod aggregates;
mod cache;
mod error;
mod expiry;
pub mod influxdb;
pub mod ingest;
mod invalid;
mod measures;
mod metrics;
mod offload;
pub mod operations;
mod policies;
pub mod prometheus;
pub mod query;
mod reader;
mod resource_types;
mod resources;
mod rules;
mod service;
mod statsd;
mod status;
mod watch;
mod writer;

pub use nephometer_model::{NewArchivePolicy, PolicyItemSpec};
pub use nephometer_series::matrix::{Fill, OperationError};
pub use nephometer_series::{Calendar, Grouping, Points};

pub use access::{Access, split_creator};
pub use aggregates::{
    AggregatesQuery, CrossQuery, Gaps, GroupKey, MeasuredSeries, MetricAggregates, OwnedSeries,
    ResourceAggregates, ResourceSelection, ValueSearch,
};
pub use cache::CacheStatus;
pub use error::MetricError;
pub use expiry::{Expirer, ExpiryOutcome, ExpirySettings};
pub use invalid::{InvalidInput, Step, python_str};
pub use measures::{
    MeasureError, MeasuresQuery, MetricAddress, ResourceMeasures, Series, UnknownResource, WriteTarget,
};
pub use metrics::{MetricWithResource, NewMetricSpec};
pub use offload::offload;
pub use policies::ArchivePolicyPatch;
pub use resource_types::{AttributeSpec, kind_name};
pub use resources::{MetricSpec, ResourceList, ResourcePatch, ResourceSpec};
pub use rules::choose_policy;
pub use service::{MetricService, MetricSettings};
pub use statsd::{StatsdAccumulator, StatsdFlush, StatsdLineError, StatsdOutcome, StatsdSink};
pub use writer::LocalMetricWriter;
