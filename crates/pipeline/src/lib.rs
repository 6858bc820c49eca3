//! Samples on their way from whoever reads them to whoever stores them: sources choose, transformers compute, publishers
//! deliver, and nothing is given up before its target has taken it.
//!
//! A service: it stands on contracts of `drivers` and knows no adapter and no HTTP server. What computes (expressions,
//! paths, transformers) is pure.

pub mod expr;
pub mod message;
mod names;
pub mod path;
pub mod publish;
pub mod python_regex;
pub mod resources;
pub mod signature;
mod sink;
pub mod spool;

pub use names::{NameKind, NamePatterns, NamePatternsError};
pub use sink::{NotAccepted, PublishError, Publisher, RefusedSample, SampleSink};
