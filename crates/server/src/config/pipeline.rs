//! `[pipeline]`: how samples go from whoever reads them to publishers.

use nephometer_pipeline::PipelineSettings;
use serde::{Deserialize, Serialize};

use super::Problem;

/// The keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PipelineSection {
    /// pipeline.yaml; empty for the first that is found.
    pub(crate) cfg_file: String,
    /// What transformers remember of a meter of a resource is forgotten after so long without a sample.
    pub(crate) idle_seconds: u64,
    /// Most meters of resources that a sink remembers.
    pub(crate) max_remembered: usize,
    /// Most samples of a sink that wait for its publishers.
    pub(crate) max_waiting_samples: usize,
    /// So many of the latest samples of a sink are recognised when they come again.
    pub(crate) replay_window_samples: usize,
}

impl Default for PipelineSection {
    fn default() -> Self {
        let PipelineSettings { idle_seconds, max_remembered, max_waiting_samples, replay_window_samples } =
            PipelineSettings::default();
        Self {
            cfg_file: String::new(),
            idle_seconds,
            max_remembered,
            max_waiting_samples,
            replay_window_samples,
        }
    }
}

impl PipelineSection {
    /// What is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let bounds = [
            ("idle_seconds", self.idle_seconds == 0),
            ("max_remembered", self.max_remembered == 0),
            ("max_waiting_samples", self.max_waiting_samples == 0),
        ];
        let wrong = bounds.into_iter().filter(|(_, is_zero)| *is_zero);
        wrong.map(|(key, _)| Problem::new(format!("pipeline.{key}: must be at least 1"))).collect()
    }

    /// What pipelines are told.
    pub(crate) fn settings(&self) -> PipelineSettings {
        PipelineSettings {
            idle_seconds: self.idle_seconds,
            max_remembered: self.max_remembered,
            max_waiting_samples: self.max_waiting_samples,
            replay_window_samples: self.replay_window_samples,
        }
    }
}
