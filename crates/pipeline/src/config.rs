//! pipeline.yaml (spec ceilometer 8, ceilometer-v2 4.1): sources choose samples by the names of their meters, sinks compute
//! and publish them. Files of all releases are read; what is wrong with one is said in upstream's words.

mod read;

use std::sync::Arc;

use crate::NamePatterns;
use crate::transform::Transformer;

/// The pipelines of a program that has no pipeline.yaml.
pub const DEFAULT_PIPELINE_YAML: &str = include_str!("config/pipeline.yaml");

/// A checked pipeline.yaml.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// What goes where, in the file's order.
    pub sources: Vec<Source>,
    /// Where it goes, in the file's order.
    pub sinks: Vec<Sink>,
}

/// Chooses samples, or events.
#[derive(Debug, Clone)]
pub struct Source {
    /// Unlike that of any other source.
    pub name: Arc<str>,
    /// What it chooses.
    pub names: NamePatterns,
    /// Names of sinks, each of which exists.
    pub sinks: Vec<Arc<str>>,
}

/// Computes and publishes what sources choose. All sources that name it share it, and what it remembers.
#[derive(Debug, Clone)]
pub struct Sink {
    /// Unlike that of any other sink.
    pub name: Arc<str>,
    /// What is computed, in order.
    pub transformers: Vec<Transformer>,
    /// Addresses of publishers, each with a scheme.
    pub publishers: Vec<String>,
}

/// Why a file is no pipeline.yaml.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineConfigError {
    /// It is no YAML.
    #[error("{0}")]
    Yaml(String),
    /// It says what cannot be.
    #[error("Pipeline {part}: {reason}")]
    Invalid {
        /// The part of it, as Python prints it.
        part: String,
        /// Why.
        reason: String,
    },
}

/// The name of the pipeline that a source and a sink make.
pub(crate) fn pipeline_name(source: &str, sink: &str) -> Arc<str> {
    if source == sink { source.into() } else { format!("{source}:{sink}").into() }
}

#[cfg(test)]
mod tests;
