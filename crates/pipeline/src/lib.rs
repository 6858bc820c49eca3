//! Samples on their way from whoever reads them to whoever stores them: sources choose, transformers compute, publishers
//! deliver, and nothing is given up before its target has taken it.
//!
//! A service: it stands on contracts of `drivers` and knows no adapter and no HTTP server. What computes (expressions,
//! paths, transformers) is pure.

mod config;
pub mod expr;
mod flow;
pub mod message;
mod names;
pub mod path;
pub mod publish;
pub mod python_regex;
pub mod resources;
mod run;
pub mod signature;
mod sink;
pub mod spool;
mod store;
mod transform;

pub use config::{DEFAULT_PIPELINE_YAML, PipelineConfig, PipelineConfigError, Sink, Source};
pub use flow::{LoadPublisher, PipelineCounts, PipelineError, PipelineSettings, Pipelines, SinkCounts};
pub use names::{NameKind, NamePatterns, NamePatternsError};
pub use sink::{KeptSamples, NotAccepted, PublishError, Publisher, RefusedSample, SampleSink};
pub use store::StoreError;
pub use transform::{DropReason, Transformer, TransformerError};
