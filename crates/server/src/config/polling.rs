//! `[polling]`: what this host's agent asks of what, and where it tells of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nephometer_polling::{AgentSettings, BlacklistSettings};
use serde::{Deserialize, Serialize};

use super::check::is_loopback;
use super::{Problem, TlsSection, parse_listen};
use crate::host;

/// Where samples go from the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SamplesBy {
    /// Through the pipeline in this process: to `gnocchi://`.
    #[default]
    Pipeline,
    /// Over the message bus, to whoever runs the pipelines there.
    Bus,
    /// Nowhere: the exporter alone shows them.
    Exporter,
}

/// The keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PollingSection {
    /// Whether `serve` polls.
    pub(crate) enabled: bool,
    /// What is polled: `compute`, `central`, `ipmi`.
    pub(crate) namespaces: Vec<String>,
    /// polling.yaml; empty for the first that is found.
    pub(crate) cfg_file: String,
    /// Directories with files that define pollsters; those that are not there hold none.
    pub(crate) pollsters_definitions_dirs: Vec<String>,
    /// This host's name; empty for what the system calls it.
    pub(crate) host: String,
    /// What samples say they come from.
    pub(crate) sample_source: String,
    /// Where samples go.
    pub(crate) deliver_by: SamplesBy,
    /// So many samples are handed on together.
    pub(crate) batch_size: usize,
    /// How many pollsters of a source run side by side; 0 for all.
    pub(crate) threads_to_process_pollsters: usize,
    /// Over how much of an interval the agents' cycles are spread; 0 for none.
    pub(crate) jitter_seconds: u64,
    /// How long a resource that cannot be read is left alone at first.
    pub(crate) blacklist_seconds: u64,
    /// How long at most.
    pub(crate) blacklist_max_seconds: u64,
    /// Whether agents of one namespace divide the work among them, where the index is PostgreSQL.
    pub(crate) divide_work: bool,
    /// Agents whose prefixes differ divide nothing among them.
    pub(crate) partitioning_group_prefix: String,
    /// Whether names of projects and users are looked up.
    pub(crate) identity_name_discovery: bool,
    /// The directory of the heartbeat socket; empty for none.
    pub(crate) heartbeat_socket_dir: String,
    /// Whether the last samples are shown to Prometheus.
    pub(crate) enable_prometheus_exporter: bool,
    /// Where.
    pub(crate) prometheus_listen_addresses: Vec<String>,
    /// Whether that may be beyond loopback, where it tells everybody.
    pub(crate) allow_insecure_listen: bool,
    /// Whether and how it speaks TLS.
    #[serde(flatten)]
    pub(crate) tls: TlsSection,
}

impl Default for PollingSection {
    fn default() -> Self {
        let BlacklistSettings { first, longest } = BlacklistSettings::default();
        Self {
            enabled: true,
            namespaces: ["compute", "central"].map(str::to_owned).to_vec(),
            cfg_file: String::new(),
            pollsters_definitions_dirs: ["/etc/nephometer/pollsters.d", "/etc/ceilometer/pollsters.d"]
                .map(str::to_owned)
                .to_vec(),
            host: String::new(),
            sample_source: "openstack".to_owned(),
            deliver_by: SamplesBy::default(),
            batch_size: 50,
            threads_to_process_pollsters: 4,
            jitter_seconds: 86_400,
            blacklist_seconds: first.as_secs(),
            blacklist_max_seconds: longest.as_secs(),
            divide_work: true,
            partitioning_group_prefix: String::new(),
            identity_name_discovery: false,
            heartbeat_socket_dir: String::new(),
            enable_prometheus_exporter: false,
            prometheus_listen_addresses: vec!["127.0.0.1:9101".to_owned()],
            allow_insecure_listen: false,
            tls: TlsSection::default(),
        }
    }
}

impl PollingSection {
    /// What is wrong with the section; `has_bus` says whether there is a message bus.
    pub(super) fn problems(&self, has_bus: bool) -> Vec<Problem> {
        let mut problems = self.tls.problems("polling");
        let mut say = |text: String| problems.push(Problem::new(format!("polling.{text}")));
        if self.enable_prometheus_exporter {
            for text in &self.prometheus_listen_addresses {
                match parse_listen(text) {
                    Err(reason) => say(format!("prometheus_listen_addresses: {reason}")),
                    Ok(address) if is_loopback(address.ip()) => {}
                    Ok(_) if self.allow_insecure_listen || self.tls.proves_clients() => {}
                    Ok(address) => say(format!(
                        "prometheus_listen_addresses: it tells everybody, and {address} is not loopback; let clients \
                         show certificates (polling.tls_client_ca_file), or set polling.allow_insecure_listen=true if \
                         only those can reach it who may"
                    )),
                }
            }
        }
        if self.deliver_by == SamplesBy::Bus && !has_bus {
            say("deliver_by: `bus` needs messaging.transport_url".to_owned());
        }
        if self.deliver_by == SamplesBy::Exporter && !self.enable_prometheus_exporter {
            say("deliver_by: `exporter` needs enable_prometheus_exporter=true".to_owned());
        }
        if self.blacklist_max_seconds < self.blacklist_seconds {
            say("blacklist_max_seconds: must be at least blacklist_seconds".to_owned());
        }
        problems
    }

    /// This host's name.
    pub(crate) fn host(&self) -> Arc<str> {
        match self.host.as_str() {
            "" => host::facts().hostname.into(),
            named => named.into(),
        }
    }

    /// Namespaces, each once.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        let mut namespaces: Vec<String> = Vec::new();
        for name in &self.namespaces {
            if namespaces.contains(name) {
                tracing::warn!("polling.namespaces: {name} is named twice");
            } else {
                namespaces.push(name.clone());
            }
        }
        namespaces
    }

    /// What the agent is told.
    pub(crate) fn agent(&self) -> AgentSettings {
        let mut namespaces = self.namespaces();
        namespaces.sort();
        let source = if self.sample_source.is_empty() { "openstack" } else { &self.sample_source };
        AgentSettings {
            identity: format!("{} {}", self.host(), namespaces.join("-")),
            jitter: Duration::from_secs(self.jitter_seconds),
            pollsters_at_once: self.threads_to_process_pollsters,
            // With 0 upstream sends each sample alone.
            batch_size: self.batch_size.max(1),
            blacklist: BlacklistSettings {
                first: Duration::from_secs(self.blacklist_seconds),
                longest: Duration::from_secs(self.blacklist_max_seconds),
            },
            sample_source: source.into(),
        }
    }

    /// Where the heartbeat socket is, if it is.
    pub(crate) fn heartbeat_dir(&self) -> Option<&Path> {
        (!self.heartbeat_socket_dir.is_empty()).then(|| Path::new(&self.heartbeat_socket_dir))
    }
}
