//! The machine itself, as its management controller knows it: sensors, and what Intel's Node Manager measures. Asked
//! through `ipmitool`, whose output upstream's meters are defined by.

mod node_manager;
mod raw;
mod readings;
mod sensors;
mod tool;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::{Plugins, PollError, Pollster, Resource};

pub use tool::{CommandError, CommandRunner, IpmiTool};

/// How the controller is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IpmiSettings {
    /// The program with the arguments that come before all others (`sudo`; interface, address and user of a controller that
    /// is asked over the network).
    pub command: Vec<String>,
    /// How long one answer may take, in seconds: sensors are slow.
    pub timeout_seconds: u64,
    /// After more failures than that in a row a meter is left alone for a time; negative for never.
    pub polling_retry: i32,
    /// How often Intel's Node Manager is told to start before it is taken for absent.
    pub node_manager_init_retry: u32,
}

impl Default for IpmiSettings {
    fn default() -> Self {
        Self {
            command: vec!["ipmitool".to_owned()],
            timeout_seconds: 60,
            polling_retry: 3,
            node_manager_init_retry: 3,
        }
    }
}

/// Everything that the controller behind `runner` can be asked.
pub fn plugins(settings: &IpmiSettings, runner: &Arc<dyn CommandRunner>) -> Plugins {
    let sensors = sensors::pollsters(runner, settings);
    let node_manager = node_manager::pollsters(runner, settings);
    Plugins {
        pollsters: sensors.chain(node_manager).collect::<Vec<Arc<dyn Pollster>>>(),
        ..Plugins::default()
    }
}

/// Failures in a row of one meter.
struct Patience {
    retries: Option<u32>,
    failures: AtomicU32,
}

impl Patience {
    fn new(settings: &IpmiSettings) -> Self {
        Self { retries: u32::try_from(settings.polling_retry).ok(), failures: AtomicU32::new(0) }
    }

    fn restored(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// What a failure means: one more, or the end of patience with what was asked.
    fn failed(&self, resources: &[Resource], error: &CommandError) -> PollError {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let is_final = matches!(error, CommandError::Absent(_))
            || self.retries.is_some_and(|retries| failures > retries);
        if !is_final {
            return PollError::Failed(error.to_string());
        }
        self.restored();
        let resources = resources.iter().map(|resource| Arc::clone(&resource.id)).collect();
        PollError::Permanent { resources, reason: format!("{error}; failed {failures} times in a row") }
    }
}

#[cfg(test)]
mod tests;
