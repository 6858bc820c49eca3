//! What an operator decides about publishers.

use nephometer_model::Secret;
use serde::{Deserialize, Serialize};

use crate::spool::SpoolSettings;

/// Settings of all publishers; what one of them does otherwise stands in its address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherSettings {
    /// Signs what is sent as meter messages, so that receivers who know it can tell who sent it. Empty: nothing is signed.
    pub telemetry_secret: Secret,
    /// What `notifier://` calls its messages, and the topic that they go to unless the address names others.
    pub metering_topic: String,
    /// The exchange that notifications go to.
    pub control_exchange: String,
    /// Which metrics belong to which resources; empty: the program's own definitions.
    pub resources_definition_file: String,
    /// Bounds of the spools.
    pub spool: SpoolSettings,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            telemetry_secret: Secret::new("change this for valid signing"),
            metering_topic: "metering".to_owned(),
            control_exchange: "ceilometer".to_owned(),
            resources_definition_file: String::new(),
            spool: SpoolSettings::default(),
        }
    }
}
