//! `[alarm]` and `[alarm_api]`: what alarms do, and how clients reach them.

use std::time::Duration;

use nephometer_alarm::evaluate::{EvaluatorSettings, Recording};
use nephometer_alarm::service::AlarmSettings;
use serde::{Deserialize, Serialize};

use super::{HttpSection, Problem, TlsSection};

/// Alarms and their evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlarmSection {
    /// Whether changes are recorded.
    pub(crate) record_history: bool,
    /// Most alarms of a project without a quota of its own; −1 for no limit.
    pub(crate) project_alarm_quota: i64,
    /// Most alarms of a user in all projects; −1 for no limit.
    pub(crate) user_alarm_quota: i64,
    /// Most actions of each list of an alarm; −1 for no limit.
    pub(crate) alarm_max_actions: i64,
    /// Whether evaluations are counted by alarm and outcome.
    pub(crate) enable_evaluation_results_metrics: bool,
    /// Records of history are removed at this age; 0 for never.
    pub(crate) history_time_to_live_seconds: u64,
    /// Messages that were given up are forgotten so long afterwards; 0 for never.
    pub(crate) dead_messages_time_to_live_seconds: u64,
    /// Silences are removed so long after their end; 0 for never.
    pub(crate) silences_time_to_live_seconds: u64,
    /// How long messages to actions that ask for groups wait for each other where the action does not say.
    pub(crate) group_window_seconds: u32,
    /// Whether this process evaluates alarms.
    pub(crate) evaluate: bool,
    /// Every alarm is evaluated once in so many seconds at least.
    pub(crate) evaluation_interval_seconds: u32,
    /// Windows reach back that much further.
    pub(crate) additional_ingestion_lag_seconds: u32,
    /// Members of load balancers are left out so long after they were made.
    pub(crate) member_creation_time_seconds: u32,
    /// The label by which series of Prometheus say their project; queries of tenants are narrowed by it.
    pub(crate) prometheus_project_label_name: String,
    /// The project under which collectors store what they measure of all projects.
    pub(crate) gnocchi_external_project_owner: String,
    /// The domain of that project.
    pub(crate) gnocchi_external_domain_name: String,
}

impl Default for AlarmSection {
    fn default() -> Self {
        Self {
            record_history: true,
            project_alarm_quota: -1,
            user_alarm_quota: -1,
            alarm_max_actions: -1,
            enable_evaluation_results_metrics: false,
            history_time_to_live_seconds: 0,
            dead_messages_time_to_live_seconds: 604_800,
            silences_time_to_live_seconds: 604_800,
            group_window_seconds: 30,
            evaluate: true,
            evaluation_interval_seconds: 60,
            additional_ingestion_lag_seconds: 0,
            member_creation_time_seconds: 120,
            prometheus_project_label_name: "project".to_owned(),
            gnocchi_external_project_owner: "service".to_owned(),
            gnocchi_external_domain_name: "Default".to_owned(),
        }
    }
}

impl AlarmSection {
    /// What is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |key: &str, reason: &str| problems.push(Problem::new(format!("alarm.{key}: {reason}")));
        for (key, value) in [
            ("project_alarm_quota", self.project_alarm_quota),
            ("user_alarm_quota", self.user_alarm_quota),
            ("alarm_max_actions", self.alarm_max_actions),
        ] {
            if value < -1 {
                say(key, "must be at least -1, which stands for no limit");
            }
        }
        if !(1..=86_400).contains(&self.evaluation_interval_seconds) {
            say("evaluation_interval_seconds", "must lie between 1 and 86400");
        }
        if !(1..=3600).contains(&self.group_window_seconds) {
            say("group_window_seconds", "must lie between 1 and 3600");
        }
        if self.additional_ingestion_lag_seconds > 86_400 {
            say("additional_ingestion_lag_seconds", "must be at most 86400");
        }
        problems
    }

    /// What the service is told. Changes are told on the bus if `announce`.
    pub(crate) fn service(&self, announce: bool) -> AlarmSettings {
        // Nothing below −1 passes the checks, and −1 is no limit.
        let limit = |value: i64| u64::try_from(value).ok();
        AlarmSettings {
            record_history: self.record_history,
            announce,
            // Upstream takes 0 for no limit here, and for none at all in quotas.
            max_actions: usize::try_from(self.alarm_max_actions).ok().filter(|max| *max > 0),
            project_quota: limit(self.project_alarm_quota),
            user_quota: limit(self.user_alarm_quota),
            counts_evaluations: self.enable_evaluation_results_metrics,
            evaluation_interval_seconds: self.evaluation_interval_seconds,
            ingestion_lag_seconds: self.additional_ingestion_lag_seconds.into(),
        }
    }

    /// What the evaluator is told.
    pub(crate) fn evaluator(&self) -> EvaluatorSettings {
        EvaluatorSettings {
            interval_seconds: self.evaluation_interval_seconds,
            ingestion_lag_seconds: self.additional_ingestion_lag_seconds.into(),
            member_grace_seconds: self.member_creation_time_seconds.into(),
            counters: self.enable_evaluation_results_metrics,
            ..EvaluatorSettings::default()
        }
    }

    /// How verdicts are recorded. Changes are told on the bus if `announce`.
    pub(crate) fn recording(&self, announce: bool) -> Recording {
        let group_window = Duration::from_secs(self.group_window_seconds.into());
        Recording { history: self.record_history, announce, group_window, ..Recording::default() }
    }
}

/// How the alarm API's callers are recognised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlarmAuthMode {
    /// By Keystone where the metric API does so, else by what they say.
    #[default]
    Auto,
    /// By Keystone's tokens.
    Keystone,
    /// By what they say in `X-User-Id`, `X-Project-Id` and `X-Roles`.
    NoAuth,
}

/// The alarm API's listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlarmApiSection {
    /// Address and port; empty for none.
    pub(crate) listen: String,
    /// How callers are recognised.
    pub(crate) auth_mode: AlarmAuthMode,
    /// Whether it may listen beyond loopback, though `noauth` does not prove who asks.
    pub(crate) allow_insecure_listen: bool,
    /// How requests are taken.
    #[serde(flatten)]
    pub(crate) http: HttpSection,
    /// Whether and how it speaks TLS.
    #[serde(flatten)]
    pub(crate) tls: TlsSection,
}

impl Default for AlarmApiSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8042".to_owned(),
            auth_mode: AlarmAuthMode::Auto,
            allow_insecure_listen: false,
            http: HttpSection { max_body_bytes: 1 << 20, ..HttpSection::default() },
            tls: TlsSection::default(),
        }
    }
}

impl AlarmApiSection {
    /// Whether it is served.
    pub(crate) fn is_on(&self) -> bool {
        !self.listen.is_empty()
    }
}
