//! What can be set about pipelines.

use serde::{Deserialize, Serialize};

/// Bounds of what sinks with transformers remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineSettings {
    /// After so many seconds without a sample, what a transformer remembers of a meter of a resource is forgotten.
    pub idle_seconds: u64,
    /// Most meters of resources that a sink remembers; what has rested longest goes first.
    pub max_remembered: usize,
    /// Most samples of a sink that wait for its publishers. Beyond that, nothing is accepted.
    pub max_waiting_samples: usize,
    /// So many of the latest samples of a sink are recognised when they come again.
    pub replay_window_samples: usize,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            idle_seconds: 86_400,
            max_remembered: 1_000_000,
            max_waiting_samples: 100_000,
            replay_window_samples: 65_536,
        }
    }
}
