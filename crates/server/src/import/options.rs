//! Upstream's options and what becomes of each.

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// `render` makes keys of ours of it.
    Mapped,
    /// It has no counterpart, for this reason.
    Gone(&'static str),
}

const STDERR: &str = "logs go to the standard error stream; systemd or the container runtime keeps them";
const NO_WORKERS: &str =
    "there is no backlog and no metricd: a measure is readable when its write is acknowledged";
const NO_COORDINATION: &str = "nothing is coordinated between processes";
const STORAGE: &str = "measures are kept in storage.data_dir; data in Gnocchi's storage is not read";
const NO_UWSGI: &str = "the program serves HTTP itself";
const KEYSTONE: &str = "tokens are validated by Keystone itself and cached in this process";
const NO_AMQP1: &str = "collectd over AMQP 1.0 comes in a later version";
const CORS: &str = "methods and headers are those that upstream allows by default";
const HEALTH: &str = "/healthcheck is always there";
const DATABASE: &str = "connections to the index are managed by the program";

use Fate::{Gone, Mapped};

/// Section, option, upstream's default where other options may refer to it, fate. An option `*` stands for the others of
/// its section.
const OPTIONS: &[(&str, &str, &str, Fate)] = &[
    ("DEFAULT", "debug", "false", Mapped),
    ("DEFAULT", "verbose", "true", Mapped),
    ("DEFAULT", "log_dir", "", Gone(STDERR)),
    ("DEFAULT", "log_file", "", Gone(STDERR)),
    ("DEFAULT", "use_syslog", "false", Gone(STDERR)),
    ("DEFAULT", "use_journal", "false", Gone(STDERR)),
    ("DEFAULT", "syslog_log_facility", "user", Gone(STDERR)),
    ("DEFAULT", "coordination_url", "", Gone(NO_COORDINATION)),
    ("DEFAULT", "parallel_operations", "", Gone("the engine sizes its own threads (engine.read_threads)")),
    ("DEFAULT", "log_options", "true", Gone("`nephometer config show` prints the configuration")),
    ("DEFAULT", "graceful_shutdown_timeout", "60", Mapped),
    ("indexer", "url", "", Mapped),
    ("database", "*", "", Gone(DATABASE)),
    ("api", "host", "0.0.0.0", Mapped),
    ("api", "port", "8041", Mapped),
    ("api", "uwsgi_mode", "http", Gone(NO_UWSGI)),
    ("api", "uwsgi_path", "", Gone(NO_UWSGI)),
    (
        "api",
        "paste_config",
        "api-paste.ini",
        Gone("middleware is built in; filters of one's own cannot be added"),
    ),
    ("api", "auth_mode", "basic", Mapped),
    ("api", "max_limit", "1000", Mapped),
    ("api", "operation_timeout", "10", Gone("refresh and creation are immediate, nothing is waited for")),
    ("api", "refresh_timeout", "10", Gone("refresh and creation are immediate, nothing is waited for")),
    ("api", "enable_proxy_headers_parsing", "false", Mapped),
    ("metricd", "metric_inactive_after", "0", Mapped),
    ("metricd", "resource_cleanup_after", "0", Mapped),
    ("metricd", "*", "", Gone(NO_WORKERS)),
    ("storage", "driver", "file", Gone(STORAGE)),
    ("storage", "file_basepath", "/var/lib/gnocchi", Gone(STORAGE)),
    ("storage", "file_subdir_len", "2", Gone(STORAGE)),
    ("storage", "redis_url", "redis://localhost:6379/", Gone(STORAGE)),
    ("storage", "coordination_url", "", Gone(NO_COORDINATION)),
    (
        "storage",
        "aggregation_workers_number",
        "",
        Gone("the engine sizes its own threads (engine.read_threads)"),
    ),
    ("storage", "*", "", Gone(STORAGE)),
    (
        "incoming",
        "*",
        "",
        Gone("there is no incoming storage: measures go to the log and are readable at once"),
    ),
    ("statsd", "host", "0.0.0.0", Mapped),
    ("statsd", "port", "8125", Mapped),
    ("statsd", "resource_id", "", Mapped),
    ("statsd", "creator", "", Mapped),
    ("statsd", "archive_policy_name", "", Mapped),
    ("statsd", "flush_delay", "10", Mapped),
    ("amqp1d", "*", "", Gone(NO_AMQP1)),
    ("archive_policy", "default_aggregation_methods", "mean,min,max,sum,std,count", Mapped),
    ("oslo_policy", "policy_file", "policy.yaml", Mapped),
    ("oslo_policy", "policy_dirs", "policy.d", Mapped),
    (
        "oslo_policy",
        "policy_default_rule",
        "default",
        Gone("the rule called `default` decides for unknown rules"),
    ),
    ("oslo_policy", "enforce_scope", "true", Mapped),
    ("oslo_policy", "enforce_new_defaults", "true", Mapped),
    ("oslo_policy", "*", "", Gone("checks by another server are not supported")),
    ("keystone_authtoken", "*", "", Gone(KEYSTONE)),
    ("cors", "allowed_origin", "", Mapped),
    ("cors", "*", "", Gone(CORS)),
    ("healthcheck", "*", "", Gone(HEALTH)),
];

/// Options of `[keystone_authtoken]` that are ours as well, by the same names.
pub(super) const KEYSTONE_OPTIONS: &[(&str, Form)] = &[
    ("auth_type", Form::Text),
    ("auth_url", Form::Text),
    ("username", Form::Text),
    ("user_id", Form::Text),
    ("password", Form::Secret),
    ("token", Form::Secret),
    ("user_domain_id", Form::Text),
    ("user_domain_name", Form::Text),
    ("project_id", Form::Text),
    ("project_name", Form::Text),
    ("project_domain_id", Form::Text),
    ("project_domain_name", Form::Text),
    ("domain_id", Form::Text),
    ("domain_name", Form::Text),
    ("default_domain_id", Form::Text),
    ("default_domain_name", Form::Text),
    ("system_scope", Form::Text),
    ("trust_id", Form::Text),
    ("application_credential_id", Form::Text),
    ("application_credential_name", Form::Text),
    ("application_credential_secret", Form::Secret),
    ("cafile", Form::Text),
    ("certfile", Form::Text),
    ("keyfile", Form::Text),
    ("insecure", Form::Boolean),
    ("region_name", Form::Text),
    ("interface", Form::Text),
    ("http_connect_timeout", Form::Number),
    ("http_request_max_retries", Form::Integer),
    ("www_authenticate_uri", Form::Text),
    ("token_cache_time", Form::Integer),
    ("delay_auth_decision", Form::Boolean),
    ("service_token_roles", Form::List),
    ("service_token_roles_required", Form::Boolean),
];

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// Not at all: a file that is to hold it is proposed.
    Secret,
    Boolean,
    Integer,
    Number,
    List,
}

/// What becomes of an option; nothing where upstream has none of that name.
pub(super) fn fate(section: &str, option: &str) -> Option<Fate> {
    if section == "keystone_authtoken" && KEYSTONE_OPTIONS.iter().any(|(name, _)| *name == option) {
        return Some(Mapped);
    }
    let find = |name: &str| OPTIONS.iter().find(|(s, o, ..)| *s == section && *o == name);
    find(option).or_else(|| find("*")).map(|(.., fate)| *fate)
}

/// Upstream's default of an option.
pub(super) fn default_of(section: &str, option: &str) -> Option<&'static str> {
    OPTIONS.iter().find(|(s, o, ..)| *s == section && *o == option).map(|(_, _, default, _)| *default)
}

#[cfg(test)]
pub(super) fn mapped() -> impl Iterator<Item = (&'static str, &'static str)> {
    OPTIONS.iter().filter(|(.., fate)| *fate == Mapped).map(|(section, option, ..)| (*section, *option))
}
