//! The metric service: ingestion, queries and aggregates over the contracts of `drivers`. Knows no HTTP and no adapter.

mod access;
mod error;
pub mod ingest;
mod invalid;
mod policies;
pub mod query;
mod rules;
mod service;

pub use access::{Access, split_creator};
pub use error::MetricError;
pub use invalid::{InvalidInput, Step};
pub use policies::{ArchivePolicyPatch, NewArchivePolicy, PolicyItemSpec};
pub use rules::choose_policy;
pub use service::{MetricService, MetricSettings};
