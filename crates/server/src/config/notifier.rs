//! `[alarm_notifier]`: how messages of alarms reach their targets.

use std::path::PathBuf;
use std::time::Duration;

use nephometer_alarm::notify::{DispatcherSettings, NetworkError, Networks, WebhookSettings};
use serde::{Deserialize, Serialize};

use super::Problem;
use super::check::seconds_problem;

/// An attempt that is no webhook, such as one over a message queue, may take so long.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);
/// Networks of this host.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// The keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlarmNotifierSection {
    /// Whether this process delivers.
    pub(crate) enabled: bool,
    /// Attempts at a time.
    pub(crate) concurrency: usize,
    /// Attempts at a time at one host or service.
    pub(crate) concurrency_per_target: usize,
    /// A connection must come about within this.
    pub(crate) connect_timeout_seconds: f64,
    /// A webhook must have answered within this.
    pub(crate) timeout_seconds: f64,
    /// Attempts before a message is given up.
    pub(crate) max_attempts: u32,
    /// Longest pause between attempts.
    pub(crate) longest_pause_seconds: u64,
    /// Age at which a message is given up.
    pub(crate) give_up_after_seconds: u64,
    /// Networks, or addresses, that messages may go to though they are closed as a rule.
    pub(crate) allowed_networks: Vec<String>,
    /// Networks, or addresses, that messages must not go to.
    pub(crate) denied_networks: Vec<String>,
    /// The notifier's own certificate (PEM).
    pub(crate) certificate_file: String,
    /// Its key.
    pub(crate) key_file: String,
    /// Authorities of targets (PEM); empty for the system's.
    pub(crate) ca_file: String,
    /// Whether targets' certificates are checked.
    pub(crate) ssl_verify: bool,
}

impl Default for AlarmNotifierSection {
    fn default() -> Self {
        let DispatcherSettings {
            concurrency,
            concurrency_per_target,
            max_attempts,
            longest_pause,
            give_up_after,
            ..
        } = DispatcherSettings::default();
        Self {
            enabled: true,
            concurrency,
            concurrency_per_target,
            connect_timeout_seconds: 5.0,
            timeout_seconds: 30.0,
            max_attempts,
            longest_pause_seconds: longest_pause.as_secs(),
            give_up_after_seconds: give_up_after.as_secs(),
            allowed_networks: Vec::new(),
            denied_networks: Vec::new(),
            certificate_file: String::new(),
            key_file: String::new(),
            ca_file: String::new(),
            ssl_verify: true,
        }
    }
}

impl AlarmNotifierSection {
    /// What is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let key = |name: &str| format!("alarm_notifier.{name}");
        let mut problems: Vec<_> = [
            ("connect_timeout_seconds", self.connect_timeout_seconds),
            ("timeout_seconds", self.timeout_seconds),
        ]
        .into_iter()
        .filter_map(|(name, seconds)| seconds_problem(&key(name), seconds))
        .collect();
        for (name, value) in [
            ("concurrency", self.concurrency as u64),
            ("concurrency_per_target", self.concurrency_per_target as u64),
            ("max_attempts", self.max_attempts.into()),
            ("longest_pause_seconds", self.longest_pause_seconds),
            ("give_up_after_seconds", self.give_up_after_seconds),
        ] {
            if value == 0 {
                problems.push(Problem::new(format!("{}: must be at least 1", key(name))));
            }
        }
        for (name, allow, deny) in [
            ("allowed_networks", self.allowed_networks.as_slice(), [].as_slice()),
            ("denied_networks", &[], &self.denied_networks),
        ] {
            if let Err(error) = Networks::new(allow, deny) {
                problems.push(Problem::new(format!("{}: {error}", key(name))));
            }
        }
        problems
    }

    /// What the dispatcher is told.
    pub(crate) fn dispatcher(&self) -> DispatcherSettings {
        DispatcherSettings {
            concurrency: self.concurrency,
            concurrency_per_target: self.concurrency_per_target,
            attempt: Duration::from_secs_f64(self.timeout_seconds).max(LONGEST_ATTEMPT),
            max_attempts: self.max_attempts,
            longest_pause: Duration::from_secs(self.longest_pause_seconds),
            give_up_after: Duration::from_secs(self.give_up_after_seconds),
            ..DispatcherSettings::default()
        }
    }

    /// How webhooks are called. Where only callers on this host can have made the alarms (`local`), targets on it are open.
    ///
    /// # Errors
    /// A text that names no network.
    pub(crate) fn webhooks(&self, local: bool) -> Result<WebhookSettings, NetworkError> {
        let mut allowed = self.allowed_networks.clone();
        if local {
            allowed.extend(LOOPBACK.map(str::to_owned));
        }
        let file = |text: &String| (!text.is_empty()).then(|| PathBuf::from(text));
        Ok(WebhookSettings {
            certificate_file: file(&self.certificate_file),
            key_file: file(&self.key_file),
            ca_file: file(&self.ca_file),
            verify: self.ssl_verify,
            connect_timeout: Duration::from_secs_f64(self.connect_timeout_seconds),
            timeout: Duration::from_secs_f64(self.timeout_seconds),
            networks: Networks::new(&allowed, &self.denied_networks)?,
        })
    }
}
