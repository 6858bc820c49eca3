//! `gnocchi.conf`.

use super::common::{self, address, is_loopback};
use super::document::Document;
use super::upstream::Fate::{Gone, Key, Mapped};
use super::upstream::Form::{Boolean, Integer, List, Natural, Number, Text};
use super::upstream::{Row, Source, Upstream, row};

const NO_WORKERS: &str =
    "there is no backlog and no metricd: a measure is readable when its write is acknowledged";
const NO_COORDINATION: &str = "nothing is coordinated between processes";
const STORAGE: &str = "measures are kept in storage.data_dir; data in Gnocchi's storage is not read";
const NO_UWSGI: &str = "the program serves HTTP itself";
const NO_AMQP1: &str = "collectd over AMQP 1.0 comes in a later version";
const DATABASE: &str = "connections to the index are managed by the program";
const THREADS: &str = "the engine sizes its own threads (engine.read_threads)";
const IMMEDIATE: &str = "refresh and creation are immediate, nothing is waited for";

/// Gnocchi.
pub(super) const GNOCCHI: Upstream = Upstream {
    name: "gnocchi",
    release: "Gnocchi 4.7",
    tables: &[OWN, common::LOGGING, common::SERVICE, common::AUTHTOKEN],
    special,
};

const OWN: &[Row] = &[
    row("DEFAULT", "coordination_url", "", Gone(NO_COORDINATION)),
    row("DEFAULT", "parallel_operations", "", Gone(THREADS)),
    row("DEFAULT", "graceful_shutdown_timeout", "60", Key("metric_api", "stop_timeout_seconds", Number)),
    row("indexer", "url", "", Mapped),
    row("database", "*", "", Gone(DATABASE)),
    row("api", "host", "0.0.0.0", Mapped),
    row("api", "port", "8041", Mapped),
    row("api", "uwsgi_mode", "http", Gone(NO_UWSGI)),
    row("api", "uwsgi_path", "", Gone(NO_UWSGI)),
    row(
        "api",
        "paste_config",
        "api-paste.ini",
        Gone("middleware is built in; filters of one's own cannot be added"),
    ),
    row("api", "auth_mode", "basic", Mapped),
    row("api", "max_limit", "1000", Key("metric_api", "max_limit", Integer)),
    row("api", "operation_timeout", "10", Gone(IMMEDIATE)),
    row("api", "refresh_timeout", "10", Gone(IMMEDIATE)),
    row(
        "api",
        "enable_proxy_headers_parsing",
        "false",
        Key("metric_api", "enable_proxy_headers_parsing", Boolean),
    ),
    row("metricd", "metric_inactive_after", "0", Key("expirer", "resource_inactive_after_seconds", Natural)),
    row("metricd", "resource_cleanup_after", "0", Key("expirer", "resource_cleanup_after_seconds", Natural)),
    row("metricd", "*", "", Gone(NO_WORKERS)),
    row("storage", "driver", "file", Gone(STORAGE)),
    row("storage", "file_basepath", "/var/lib/gnocchi", Gone(STORAGE)),
    row("storage", "file_subdir_len", "2", Gone(STORAGE)),
    row("storage", "redis_url", "redis://localhost:6379/", Gone(STORAGE)),
    row("storage", "coordination_url", "", Gone(NO_COORDINATION)),
    row("storage", "aggregation_workers_number", "", Gone(THREADS)),
    row("storage", "*", "", Gone(STORAGE)),
    row(
        "incoming",
        "*",
        "",
        Gone("there is no incoming storage: measures go to the log and are readable at once"),
    ),
    row("statsd", "host", "0.0.0.0", Mapped),
    row("statsd", "port", "8125", Mapped),
    row("statsd", "resource_id", "", Mapped),
    row("statsd", "creator", "", Key("statsd", "creator", Text)),
    row("statsd", "archive_policy_name", "", Key("statsd", "archive_policy_name", Text)),
    row("statsd", "flush_delay", "10", Key("statsd", "flush_delay_seconds", Number)),
    row("amqp1d", "*", "", Gone(NO_AMQP1)),
    row(
        "archive_policy",
        "default_aggregation_methods",
        "mean,min,max,sum,std,count",
        Key("metric", "default_aggregation_methods", List),
    ),
];

fn special(source: &Source<'_>, document: &mut Document) {
    common::index(source, document, ("indexer", "url"));
    let auth_mode = source.get_or_default("api", "auth_mode");
    let is_open = auth_mode != "keystone";
    document.section("metric_api").set("auth_mode", auth_mode, "[api] auth_mode");
    common::listen(source, document, "metric_api", is_open);
    common::cors(source, document, "metric_api");
    common::policy(source, document, "policy");
    common::log(source, document);
    statsd(source, document);
}

fn statsd(source: &Source<'_>, document: &mut Document) {
    let out = document.section("statsd");
    let Some(resource_id) = source.get("statsd", "resource_id") else {
        out.set("enabled", false, "[statsd] resource_id is not set, so gnocchi-statsd could not run.");
        return;
    };
    out.set("enabled", true, "[statsd] resource_id is set. Runs in the same process as everything else.");
    out.set("resource_id", resource_id, "[statsd] resource_id");
    let host = source.get_or_default("statsd", "host");
    out.set("listen", address(&host, &source.get_or_default("statsd", "port")), "[statsd] host, port");
    if !is_loopback(&host) {
        out.set("allow_insecure_listen", true, "statsd knows no authentication.");
    }
    // Ours has other defaults.
    for option in ["creator", "archive_policy_name"] {
        if source.get("statsd", option).is_none() {
            out.set(option, "", &format!("[statsd] {option} is not set"));
        }
    }
}
