//! The sections of the configuration that no other crate owns. `doc/nephometer.toml` explains each key to operators and
//! a test holds that file to these defaults. An empty text means "not set".

use std::path::PathBuf;
use std::time::Duration;

use nephometer_metric::{ExpirySettings, MetricSettings};
use nephometer_model::{AggregationMethod, MethodSet};
use nephometer_openstack::policy::PolicyOptions;
use serde::{Deserialize, Serialize};

use super::{HttpSection, TlsSection};

/// Where data lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StorageSection {
    /// Directory of everything this process keeps on disk; one process at a time.
    pub(crate) data_dir: PathBuf,
}

impl Default for StorageSection {
    fn default() -> Self {
        Self { data_dir: PathBuf::from("./nephometer-data") }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogSection {
    /// A level, or directives such as `info,nephometer_engine=debug`.
    pub(crate) level: String,
    /// How lines look.
    pub(crate) format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicySection {
    /// An oslo.policy file (YAML or JSON) that overrides the defaults; empty for none.
    pub(crate) file: String,
    /// Directories of further files.
    pub(crate) dirs: Vec<String>,
    /// Whether a token whose scope is none of the rule's is refused.
    pub(crate) enforce_scope: bool,
    /// Whether the defaults of earlier releases are forgotten.
    pub(crate) enforce_new_defaults: bool,
}

impl PolicySection {
    /// How strictly rules are taken.
    pub(crate) fn options(&self) -> PolicyOptions {
        let Self { enforce_scope, enforce_new_defaults, .. } = *self;
        PolicyOptions { enforce_scope, enforce_new_defaults }
    }
}

impl Default for PolicySection {
    fn default() -> Self {
        let PolicyOptions { enforce_scope, enforce_new_defaults } = PolicyOptions::default();
        Self { file: String::new(), dirs: Vec::new(), enforce_scope, enforce_new_defaults }
    }
}

/// How the metric API recognises its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthMode {
    /// `Authorization: basic`, the password does not matter.
    Basic,
    /// A header set by a trusted front end.
    RemoteUser,
    /// Keystone tokens, validated as `[keystone_authtoken]` says.
    Keystone,
}

/// The metric API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricApiSection {
    /// Address and port.
    pub(crate) listen: String,
    /// How callers are recognised.
    pub(crate) auth_mode: AuthMode,
    /// The header that `remoteuser` believes.
    pub(crate) remote_user_header: String,
    /// Whether it may listen beyond loopback, though neither `basic` nor `remoteuser` proves who asks.
    pub(crate) allow_insecure_listen: bool,
    /// Longest page of a list.
    pub(crate) max_limit: u64,
    /// How requests are taken.
    #[serde(flatten)]
    pub(crate) http: HttpSection,
    /// Whether and how it speaks TLS.
    #[serde(flatten)]
    pub(crate) tls: TlsSection,
}

impl Default for MetricApiSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8041".to_owned(),
            auth_mode: AuthMode::Basic,
            remote_user_header: "X-Remote-User".to_owned(),
            allow_insecure_listen: false,
            max_limit: 1000,
            http: HttpSection::default(),
            tls: TlsSection::default(),
        }
    }
}

/// The metric service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricSection {
    /// Whether an empty index receives upstream's policies and the rule `*`.
    pub(crate) create_default_policies: bool,
    /// Methods of a policy that names none.
    pub(crate) default_aggregation_methods: Vec<String>,
    /// How many metrics are remembered in memory for writing.
    pub(crate) cached_metrics: usize,
    /// Most points that one request may read from several metrics.
    pub(crate) max_points: usize,
}

impl MetricSection {
    /// What the service is told; errors with the first name that is no method.
    pub(crate) fn settings(&self) -> Result<MetricSettings, String> {
        let Self { cached_metrics, max_points, .. } = *self;
        Ok(MetricSettings { default_methods: self.methods()?, cached_metrics, max_points })
    }

    /// The default methods; errors with the first name that is none.
    pub(crate) fn methods(&self) -> Result<MethodSet, String> {
        let methods: Result<Vec<_>, _> = self
            .default_aggregation_methods
            .iter()
            .map(|name| AggregationMethod::parse(name).ok_or_else(|| name.clone()))
            .collect();
        methods.map(MethodSet::new)
    }
}

impl Default for MetricSection {
    fn default() -> Self {
        let MetricSettings { default_methods, cached_metrics, max_points } = MetricSettings::default();
        Self {
            create_default_policies: true,
            default_aggregation_methods: default_methods.iter().map(|method| method.to_string()).collect(),
            cached_metrics,
            max_points,
        }
    }
}

/// What the program tells about itself to operators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AdminSection {
    /// Address and port of `/metrics` and `/status`; empty for none.
    pub(crate) listen: String,
    /// Whether it may listen beyond loopback, where it tells everybody.
    pub(crate) allow_insecure_listen: bool,
    /// Whether and how it speaks TLS.
    #[serde(flatten)]
    pub(crate) tls: TlsSection,
}

impl Default for AdminSection {
    fn default() -> Self {
        let tls = TlsSection::default();
        Self { listen: "127.0.0.1:8049".to_owned(), allow_insecure_listen: false, tls }
    }
}

/// The host and this process as resources in their own store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SelfMonitoringSection {
    /// Whether they are measured.
    pub(crate) enabled: bool,
    /// How often.
    pub(crate) interval_seconds: u64,
}

impl Default for SelfMonitoringSection {
    fn default() -> Self {
        Self { enabled: true, interval_seconds: 5 }
    }
}

/// The statsd listeners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatsdSection {
    /// Whether TCP, and UDP unless told otherwise, are listened to.
    pub(crate) enabled: bool,
    /// Whether UDP is.
    pub(crate) udp: bool,
    /// Address and port of both.
    pub(crate) listen: String,
    /// Whether it may listen beyond loopback, where it takes from everybody.
    pub(crate) allow_insecure_listen: bool,
    /// The resource that the metrics belong to.
    pub(crate) resource_id: String,
    /// Who makes the resource and the metrics; empty for nobody.
    pub(crate) creator: String,
    /// Policy of new metrics; empty for what the archive policy rules say.
    pub(crate) archive_policy_name: String,
    /// How long values are accumulated.
    pub(crate) flush_delay_seconds: f64,
    /// Whether and how TCP speaks TLS.
    #[serde(flatten)]
    pub(crate) tls: TlsSection,
}

impl Default for StatsdSection {
    fn default() -> Self {
        Self {
            enabled: true,
            udp: true,
            listen: "127.0.0.1:8125".to_owned(),
            allow_insecure_listen: false,
            resource_id: "statsd".to_owned(),
            creator: "admin".to_owned(),
            archive_policy_name: String::new(),
            flush_delay_seconds: 10.0,
            tls: TlsSection::default(),
        }
    }
}

/// Resources that end and go by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExpirerSection {
    /// Resources without a measure for so long end; 0 for never.
    pub(crate) resource_inactive_after_seconds: u64,
    /// Resources that ended so long ago are deleted; 0 for never.
    pub(crate) resource_cleanup_after_seconds: u64,
    /// How often that is looked at.
    pub(crate) interval_seconds: u64,
}

impl ExpirerSection {
    /// Whether there is anything to do.
    pub(crate) fn is_wanted(&self) -> bool {
        self.expiry() != ExpirySettings::default()
    }

    /// What the service is told.
    pub(crate) fn expiry(&self) -> ExpirySettings {
        let after = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        ExpirySettings {
            inactive_after: after(self.resource_inactive_after_seconds),
            cleanup_after: after(self.resource_cleanup_after_seconds),
        }
    }
}

impl Default for ExpirerSection {
    fn default() -> Self {
        Self { resource_inactive_after_seconds: 0, resource_cleanup_after_seconds: 0, interval_seconds: 300 }
    }
}
