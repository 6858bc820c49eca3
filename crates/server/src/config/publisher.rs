//! `[publisher]`: what publishers of samples have in common.

use anyhow::Result;
use nephometer_model::Secret;
use nephometer_pipeline::publish::PublisherSettings;
use nephometer_pipeline::spool::SpoolSettings;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::cloud::secret;

/// What upstream signs with unless it is told otherwise.
const UPSTREAMS_SECRET: &str = "change this for valid signing";

/// The keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PublisherSection {
    /// Signs samples that are sent as messages; empty for upstream's default.
    pub(crate) telemetry_secret: Secret,
    /// A file that holds it.
    pub(crate) telemetry_secret_file: String,
    /// Whether they are signed.
    pub(crate) sign: bool,
    /// Topic of `notifier://` unless the address names another.
    pub(crate) metering_topic: String,
    /// Topic of polled samples that go over the bus (`polling.deliver_by`).
    pub(crate) polling_topic: String,
    /// The exchange of both.
    pub(crate) control_exchange: String,
    /// Which meters belong to which resources.
    pub(crate) resources_definition_file: String,
    /// Bounds of the spools.
    pub(crate) spool: SpoolSettings,
}

impl Default for PublisherSection {
    fn default() -> Self {
        let PublisherSettings { metering_topic, control_exchange, spool, .. } = PublisherSettings::default();
        Self {
            telemetry_secret: Secret::default(),
            telemetry_secret_file: String::new(),
            sign: true,
            metering_topic,
            polling_topic: "notifications".to_owned(),
            control_exchange,
            resources_definition_file: String::new(),
            spool,
        }
    }
}

impl PublisherSection {
    /// What is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let spool = self.spool.problems().into_iter();
        spool.map(|(key, reason)| Problem::new(format!("publisher.spool.{key}: {reason}"))).collect()
    }

    /// What messages are signed with; nothing for unsigned ones. Reads the file.
    pub(crate) fn secret(&self) -> Result<Secret> {
        if !self.sign {
            return Ok(Secret::default());
        }
        let (file, given) = (&self.telemetry_secret_file, &self.telemetry_secret);
        let given = secret("publisher.telemetry_secret_file", file, given)?;
        Ok(if given.is_empty() { Secret::new(UPSTREAMS_SECRET) } else { given })
    }

    /// What publishers are told; `resources` is the file of resource definitions, empty for our own.
    pub(crate) fn settings(&self, resources: String) -> Result<PublisherSettings> {
        Ok(PublisherSettings {
            telemetry_secret: self.secret()?,
            metering_topic: self.metering_topic.clone(),
            control_exchange: self.control_exchange.clone(),
            resources_definition_file: resources,
            spool: self.spool.clone(),
        })
    }
}
