//! `aodh.conf`.

use super::common;
use super::document::Document;
use super::upstream::Fate::{Gone, Key, Mapped};
use super::upstream::Form::{Boolean, Integer, Natural, Number, Text};
use super::upstream::{Row, Source, Upstream, list, row};

const NO_WORKERS: &str = "one process uses all processors; several share the alarms by leases in the index";
const NO_COORDINATION: &str =
    "evaluators share the alarms by leases in the index; nothing else coordinates them";
const AT_ONCE: &str = "changes of event alarms count at once";
const REPEATED: &str = "a message is repeated until it is taken or given up: alarm_notifier.max_attempts, longest_pause_seconds, give_up_after_seconds";
const USER: &str = "the user of [keystone_authtoken] asks the other services, too";
const RETIRED: &str = "upstream retired it";
const BUS: &str = "connections to the message bus are managed by the program";
const DATABASE: &str = "connections to the index are managed by the program";

/// Aodh.
pub(super) const AODH: Upstream = Upstream {
    name: "aodh",
    release: "Aodh 22",
    tables: &[OWN, RETIRED_OPTIONS, common::LOGGING, common::SERVICE, common::AUTHTOKEN],
    special,
};

const OWN: &[Row] = &[
    row("DEFAULT", "record_history", "true", Key("alarm", "record_history", Boolean)),
    row("DEFAULT", "event_alarm_cache_ttl", "60", Gone(AT_ONCE)),
    row(
        "DEFAULT",
        "additional_ingestion_lag",
        "0",
        Key("alarm", "additional_ingestion_lag_seconds", Natural),
    ),
    row("DEFAULT", "member_creation_time", "120", Key("alarm", "member_creation_time_seconds", Natural)),
    row("DEFAULT", "prometheus_disable_rbac", "false", Gone("upstream heeds it no more either")),
    row(
        "DEFAULT",
        "prometheus_project_label_name",
        "project",
        Key("alarm", "prometheus_project_label_name", Text),
    ),
    row("DEFAULT", "rest_notifier_certificate_file", "", Key("alarm_notifier", "certificate_file", Text)),
    row("DEFAULT", "rest_notifier_certificate_key", "", Key("alarm_notifier", "key_file", Text)),
    row("DEFAULT", "rest_notifier_ca_bundle_certificate_path", "", Key("alarm_notifier", "ca_file", Text)),
    row("DEFAULT", "rest_notifier_ssl_verify", "true", Key("alarm_notifier", "ssl_verify", Boolean)),
    row("DEFAULT", "rest_notifier_max_retries", "0", Gone(REPEATED)),
    row("DEFAULT", "notifier_topic", "alarming", Key("alarm_bus", "notifier_topic", Text)),
    row(
        "DEFAULT",
        "enable_evaluation_results_metrics",
        "false",
        Key("alarm", "enable_evaluation_results_metrics", Boolean),
    ),
    row("DEFAULT", "control_exchange", "aodh", Mapped),
    row("DEFAULT", "transport_url", "rabbit://", Mapped),
    row("DEFAULT", "graceful_shutdown_timeout", "60", Key("alarm_api", "stop_timeout_seconds", Number)),
    row("DEFAULT", "executor_thread_pool_size", "64", Gone(BUS)),
    row("DEFAULT", "rpc_response_timeout", "60", Gone(BUS)),
    row(
        "api",
        "paste_config",
        "api-paste.ini",
        Gone("middleware is built in; filters of one's own cannot be added"),
    ),
    row("api", "auth_mode", "keystone", Mapped),
    row(
        "api",
        "gnocchi_external_project_owner",
        "service",
        Key("alarm", "gnocchi_external_project_owner", Text),
    ),
    row("api", "gnocchi_external_domain_name", "Default", Key("alarm", "gnocchi_external_domain_name", Text)),
    row("api", "user_alarm_quota", "-1", Key("alarm", "user_alarm_quota", Integer)),
    row("api", "project_alarm_quota", "-1", Key("alarm", "project_alarm_quota", Integer)),
    row("api", "alarm_max_actions", "-1", Key("alarm", "alarm_max_actions", Integer)),
    row("coordination", "*", "", Gone(NO_COORDINATION)),
    row("database", "connection", "", Mapped),
    row("database", "alarm_history_time_to_live", "-1", Mapped),
    row(
        "database",
        "alarm_histories_delete_batch_size",
        "0",
        Gone("old history is removed in small steps, all of it"),
    ),
    row("database", "*", "", Gone(DATABASE)),
    row("evaluator", "workers", "1", Gone(NO_WORKERS)),
    row("evaluator", "evaluation_interval", "60", Key("alarm", "evaluation_interval_seconds", Natural)),
    row("listener", "workers", "1", Gone(NO_WORKERS)),
    row("listener", "event_alarm_topic", "alarm.all", Key("alarm_bus", "event_topic", Text)),
    row("listener", "batch_size", "1", Key("alarm_bus", "batch_size", Natural)),
    row("listener", "batch_timeout", "", Gone("messages are dealt with as they come")),
    row("notifier", "workers", "1", Gone(NO_WORKERS)),
    row(
        "notifier",
        "*",
        "",
        Gone(
            "messages reach the notifier through the index (alarm_notifier.concurrency says how many at a time)",
        ),
    ),
    row("service_credentials", "region_name", "", Mapped),
    row("service_credentials", "interface", "public", Mapped),
    row("service_credentials", "*", "", Gone(USER)),
    row(
        "service_types",
        "zaqar",
        "messaging",
        Gone("queues are those of the catalogue's service `messaging`"),
    ),
    row(
        "oslo_middleware",
        "enable_proxy_headers_parsing",
        "false",
        Key("alarm_api", "enable_proxy_headers_parsing", Boolean),
    ),
    row(
        "oslo_messaging_notifications",
        "transport_url",
        "",
        Gone("there is one bus: messaging.transport_url"),
    ),
    row("oslo_messaging_notifications", "driver", "", Mapped),
    row("oslo_messaging_notifications", "topics", "notifications", Mapped),
    row("oslo_messaging_notifications", "*", "", Gone("changes of alarms are told until the bus keeps them")),
    row("oslo_messaging_rabbit", "ssl", "false", Key("messaging", "ssl", Boolean)),
    row("oslo_messaging_rabbit", "ssl_ca_file", "", Key("messaging", "ssl_ca_file", Text)),
    row("oslo_messaging_rabbit", "ssl_cert_file", "", Key("messaging", "ssl_cert_file", Text)),
    row("oslo_messaging_rabbit", "ssl_key_file", "", Key("messaging", "ssl_key_file", Text)),
    row(
        "oslo_messaging_rabbit",
        "amqp_durable_queues",
        "false",
        Key("messaging", "amqp_durable_queues", Boolean),
    ),
    row("oslo_messaging_rabbit", "amqp_auto_delete", "false", Key("messaging", "amqp_auto_delete", Boolean)),
    row(
        "oslo_messaging_rabbit",
        "rabbit_quorum_queue",
        "false",
        Key("messaging", "rabbit_quorum_queue", Boolean),
    ),
    row(
        "oslo_messaging_rabbit",
        "rabbit_qos_prefetch_count",
        "0",
        Key("messaging", "rabbit_qos_prefetch_count", Natural),
    ),
    row(
        "oslo_messaging_rabbit",
        "heartbeat_timeout_threshold",
        "60",
        Key("messaging", "heartbeat_timeout_threshold_seconds", Natural),
    ),
    row("oslo_messaging_rabbit", "*", "", Gone(BUS)),
    row("profiler", "*", "", Gone("there is no profiler of requests over several services")),
];

/// Names of earlier releases that configurations still have.
const RETIRED_OPTIONS: &[Row] = &[
    row("DEFAULT", "evaluation_interval", "60", Key("alarm", "evaluation_interval_seconds", Natural)),
    row("DEFAULT", "event_alarm_topic", "alarm.all", Key("alarm_bus", "event_topic", Text)),
    row("DEFAULT", "user_alarm_quota", "-1", Key("alarm", "user_alarm_quota", Integer)),
    row("DEFAULT", "project_alarm_quota", "-1", Key("alarm", "project_alarm_quota", Integer)),
    row("DEFAULT", "alarm_max_actions", "-1", Key("alarm", "alarm_max_actions", Integer)),
    row("DEFAULT", "os_cacert", "", Gone(RETIRED)),
    row("DEFAULT", "heartbeat", "", Gone(RETIRED)),
    row(
        "DEFAULT",
        "http_timeout",
        "",
        Gone("upstream retired it; alarm_notifier.timeout_seconds bounds a webhook"),
    ),
    row("DEFAULT", "ipc_protocol", "", Gone(RETIRED)),
    row("DEFAULT", "notifier_rpc_topic", "", Gone(RETIRED)),
    row("api", "host", "0.0.0.0", Mapped),
    row("api", "port", "8042", Mapped),
    row("api", "pecan_debug", "", Gone(RETIRED)),
    row("api", "enable_combination_alarms", "", Gone(RETIRED)),
];

fn special(source: &Source<'_>, document: &mut Document) {
    common::index(source, document, ("database", "connection"));
    alarm_api(source, document);
    history(source, document);
    bus(source, document);
    changes(source, document);
    user(source, document);
    policy(source, document);
    common::log(source, document);
}

fn alarm_api(source: &Source<'_>, document: &mut Document) {
    let auth_mode = source.get_or_default("api", "auth_mode");
    let is_open = auth_mode != "keystone";
    let out = document.section("alarm_api");
    out.set("auth_mode", auth_mode, "[api] auth_mode");
    if source.sets_any("api", &["host", "port"]) {
        common::listen(source, document, "alarm_api", is_open);
    } else {
        out.comment("Aodh leaves it to its WSGI server where it listens. Ours listens here, unless another address is given.");
        out.propose("listen", "127.0.0.1:8042");
    }
    common::cors(source, document, "alarm_api");
}

fn history(source: &Source<'_>, document: &mut Document) {
    let from = "[database] alarm_history_time_to_live";
    let Some(text) = source.get("database", "alarm_history_time_to_live") else { return };
    let out = document.section("alarm");
    match text.parse::<i64>() {
        Ok(seconds) => out.set("history_time_to_live_seconds", seconds.max(0), from),
        Err(_) => out.comment(&format!("{from} = {text}: not understood, history is kept")),
    }
}

fn bus(source: &Source<'_>, document: &mut Document) {
    common::bus(source, document);
    if let Some(exchange) = source.get("DEFAULT", "control_exchange") {
        let out = document.section("alarm_bus");
        let from = "[DEFAULT] control_exchange";
        let senders = vec![exchange.clone().into(), toml::Value::from("ceilometer")];
        out.set("event_exchanges", senders, &format!("{from}, and Ceilometer's"));
        out.set("control_exchange", exchange, from);
    }
}

/// Topics on which changes of alarms are told: set where the bus is, else for a person to turn on with it.
fn changes(source: &Source<'_>, document: &mut Document) {
    let section = "oslo_messaging_notifications";
    let drivers = source.get_all(section, "driver");
    if !drivers.iter().flat_map(|text| text.split(',')).any(|name| name.trim().starts_with("messaging")) {
        return;
    }
    let from = "[oslo_messaging_notifications] driver, topics";
    let topics = list(&[source.get_or_default(section, "topics")]);
    let is_on = source.get("DEFAULT", "transport_url").is_some_and(|url| !url.contains('@'));
    let out = document.section("alarm_bus");
    if is_on {
        out.set("change_topics", topics, from);
    } else {
        out.comment(&format!(
            "{from}: changes of alarms are told there, once messaging.transport_url is set."
        ));
        out.propose("change_topics", topics);
    }
}

/// Where other services are, as the service user is told; who that is, is `[keystone_authtoken]`'s.
fn user(source: &Source<'_>, document: &mut Document) {
    for (option, key) in [("region_name", "region_name"), ("interface", "interface")] {
        let Some(text) = source.get("service_credentials", option) else { continue };
        let value = text.strip_suffix("URL").unwrap_or(&text).to_owned();
        document.section("keystone_authtoken").set(key, value, &format!("[service_credentials] {option}"));
    }
}

/// Aodh's releases until 22 go by earlier rules unless they are told otherwise.
fn policy(source: &Source<'_>, document: &mut Document) {
    common::policy(source, document, "alarm_policy");
    let unset = |option: &&&str| source.get("oslo_policy", option).is_none();
    let unset: Vec<&str> = ["enforce_new_defaults", "enforce_scope"].iter().filter(unset).copied().collect();
    if !unset.is_empty() {
        let out = document.section("alarm_policy");
        out.comment("Releases of Aodh until 22 go by earlier defaults (any role may do everything with its project's alarms).");
        out.comment("Where clients count on that, turn this on:");
        for key in unset {
            out.propose(key, false);
        }
    }
}
