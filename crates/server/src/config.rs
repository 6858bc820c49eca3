//! The whole configuration: one TOML file whose every key is also `--set section.key=value` and the environment variable
//! `NEPHOMETER__SECTION__KEY`. Each crate owns the settings of its own; this module composes them. Merging and checking
//! are pure and report every problem at once; opening files and sockets comes later.

mod alarm;
mod alarm_bus;
mod check;
mod cloud;
mod http;
mod index;
mod layers;
mod limits;
mod measure_link;
mod notifier;
mod pipeline;
mod polling;
mod publisher;
mod sections;
mod tls;

use std::fmt;

use nephometer_openstack::keystone::AuthtokenSettings;
use nephometer_openstack::messaging::MessagingSettings;
use nephometer_polling::central::ServiceTypes;
use nephometer_polling::compute::{ComputeSettings, UserMetadataRules};
use nephometer_polling::ipmi::IpmiSettings;
use serde::{Deserialize, Serialize};

pub(crate) use alarm::{AlarmApiSection, AlarmAuthMode, AlarmSection};
use alarm_bus::AlarmBusSection;
pub(crate) use alarm_bus::DeliverBy;
use check::is_loopback;
pub(crate) use check::parse_listen;
use cloud::{CentralSection, GnocchiSection, RadosgwSection, ServiceCredentialsSection};
pub(crate) use http::HttpSection;
pub(crate) use index::IndexPlace;
use index::IndexSection;
pub(crate) use layers::Layers;
use limits::LimitsSection;
use measure_link::MeasureLinkSection;
use notifier::AlarmNotifierSection;
use pipeline::PipelineSection;
pub(crate) use polling::{PollingSection, SamplesBy};
use publisher::PublisherSection;
use sections::{AdminSection, MetricSection, StorageSection};
pub(crate) use sections::{
    AuthMode, ExpirerSection, LogFormat, LogSection, MetricApiSection, PolicySection, SelfMonitoringSection,
    StatsdSection,
};
pub(crate) use tls::TlsSection;

/// The documented default file; a test holds it to [`Config::default`].
pub(crate) const DEFAULT_FILE: &str = include_str!("../../../doc/nephometer.toml");

/// Every setting of the program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) storage: StorageSection,
    pub(crate) index: IndexSection,
    pub(crate) engine: nephometer_engine::Settings,
    pub(crate) metric_api: MetricApiSection,
    pub(crate) alarm_api: AlarmApiSection,
    pub(crate) measure_link: MeasureLinkSection,
    pub(crate) keystone_authtoken: AuthtokenSettings,
    pub(crate) limits: LimitsSection,
    pub(crate) metric: MetricSection,
    pub(crate) alarm: AlarmSection,
    pub(crate) alarm_notifier: AlarmNotifierSection,
    pub(crate) messaging: MessagingSettings,
    pub(crate) alarm_bus: AlarmBusSection,
    pub(crate) policy: PolicySection,
    pub(crate) alarm_policy: PolicySection,
    pub(crate) polling: PollingSection,
    pub(crate) compute: ComputeSettings,
    pub(crate) user_metadata: UserMetadataRules,
    pub(crate) ipmi: IpmiSettings,
    pub(crate) pipeline: PipelineSection,
    pub(crate) publisher: PublisherSection,
    pub(crate) gnocchi: GnocchiSection,
    pub(crate) service_credentials: ServiceCredentialsSection,
    pub(crate) service_types: ServiceTypes,
    pub(crate) central: CentralSection,
    pub(crate) radosgw: RadosgwSection,
    pub(crate) statsd: StatsdSection,
    pub(crate) expirer: ExpirerSection,
    pub(crate) self_monitoring: SelfMonitoringSection,
    pub(crate) admin: AdminSection,
    pub(crate) log: LogSection,
}

/// One thing that is wrong with a configuration, as a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Config {
    /// Whether the alarm API asks Keystone who its callers are.
    pub(crate) fn alarms_ask_keystone(&self) -> bool {
        match self.alarm_api.auth_mode {
            AlarmAuthMode::Auto => self.metric_api.auth_mode == AuthMode::Keystone,
            AlarmAuthMode::Keystone => true,
            AlarmAuthMode::NoAuth => false,
        }
    }

    /// Whether Keystone is asked about anybody, so that this service is signed in to it.
    pub(crate) fn asks_keystone(&self) -> bool {
        self.metric_api.auth_mode == AuthMode::Keystone || self.alarms_ask_keystone()
    }

    /// Whether whoever makes alarms is on this host: the alarm API listens to nobody else, and no Keystone tells callers of
    /// elsewhere, behind a proxy, apart.
    pub(crate) fn alarms_are_local(&self) -> bool {
        let listen = parse_listen(&self.alarm_api.listen);
        listen.is_ok_and(|address| is_loopback(address.ip())) && !self.alarms_ask_keystone()
    }

    /// Merges and checks: the one way to a configuration that the program runs with.
    pub(crate) fn load(layers: Layers) -> Result<Self, Vec<Problem>> {
        let config = layers.merge()?;
        let problems = config.problems();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests;
