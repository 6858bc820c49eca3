//! Options that upstream's programs share, and what is made of them.

use std::path::Path;

use nephometer_model::SecretUrl;
use toml::Value;

use super::document::Document;
use super::upstream::Fate::{Gone, Key, Mapped};
use super::upstream::Form::{Boolean, Integer, List, Number, Secret, Text};
use super::upstream::{Row, Source, list, parse_bool, row};

const STDERR: &str = "logs go to the standard error stream; systemd or the container runtime keeps them";
const KEYSTONE: &str = "tokens are validated by Keystone itself and cached in this process";
const USER: &str = "keystone_authtoken";

/// What every program has.
pub(super) const LOGGING: &[Row] = &[
    row("DEFAULT", "debug", "false", Mapped),
    row("DEFAULT", "verbose", "true", Mapped),
    row("DEFAULT", "log_dir", "", Gone(STDERR)),
    row("DEFAULT", "log_file", "", Gone(STDERR)),
    row("DEFAULT", "log_config_append", "", Gone(STDERR)),
    row("DEFAULT", "use_stderr", "false", Gone(STDERR)),
    row("DEFAULT", "use_syslog", "false", Gone(STDERR)),
    row("DEFAULT", "use_journal", "false", Gone(STDERR)),
    row("DEFAULT", "use_json", "false", Gone("log.format = \"json\" makes each line an object")),
    row("DEFAULT", "default_log_levels", "", Gone("log.level may name parts of the program")),
    row("DEFAULT", "syslog_log_facility", "user", Gone(STDERR)),
    row("DEFAULT", "log_options", "true", Gone("`nephometer config show` prints the configuration")),
];

/// What every API has.
pub(super) const SERVICE: &[Row] = &[
    row("cors", "allowed_origin", "", Mapped),
    row("cors", "*", "", Gone("methods and headers are those that upstream allows by default")),
    row("healthcheck", "*", "", Gone("/healthcheck is always there")),
    row("oslo_policy", "policy_file", "policy.yaml", Mapped),
    row("oslo_policy", "policy_dirs", "policy.d", Mapped),
    row("oslo_policy", "enforce_scope", "true", Mapped),
    row("oslo_policy", "enforce_new_defaults", "true", Mapped),
    row(
        "oslo_policy",
        "policy_default_rule",
        "default",
        Gone("the rule called `default` decides for unknown rules"),
    ),
    row("oslo_policy", "*", "", Gone("checks by another server are not supported")),
];

/// The service user and what concerns its callers' tokens. Secrets stay where they are: what is printed here may end up in
/// any file, and in terminals.
pub(super) const AUTHTOKEN: &[Row] = &[
    row(USER, "auth_type", "", Key(USER, "auth_type", Text)),
    row(USER, "auth_section", "", Mapped),
    row(USER, "auth_url", "", Key(USER, "auth_url", Text)),
    row(USER, "username", "", Key(USER, "username", Text)),
    row(USER, "user_id", "", Key(USER, "user_id", Text)),
    row(USER, "password", "", Key(USER, "password", Secret)),
    row(USER, "token", "", Key(USER, "token", Secret)),
    row(USER, "user_domain_id", "", Key(USER, "user_domain_id", Text)),
    row(USER, "user_domain_name", "", Key(USER, "user_domain_name", Text)),
    row(USER, "project_id", "", Key(USER, "project_id", Text)),
    row(USER, "project_name", "", Key(USER, "project_name", Text)),
    row(USER, "project_domain_id", "", Key(USER, "project_domain_id", Text)),
    row(USER, "project_domain_name", "", Key(USER, "project_domain_name", Text)),
    row(USER, "domain_id", "", Key(USER, "domain_id", Text)),
    row(USER, "domain_name", "", Key(USER, "domain_name", Text)),
    row(USER, "default_domain_id", "", Key(USER, "default_domain_id", Text)),
    row(USER, "default_domain_name", "", Key(USER, "default_domain_name", Text)),
    row(USER, "system_scope", "", Key(USER, "system_scope", Text)),
    row(USER, "trust_id", "", Key(USER, "trust_id", Text)),
    row(USER, "application_credential_id", "", Key(USER, "application_credential_id", Text)),
    row(USER, "application_credential_name", "", Key(USER, "application_credential_name", Text)),
    row(USER, "application_credential_secret", "", Key(USER, "application_credential_secret", Secret)),
    row(USER, "cafile", "", Key(USER, "cafile", Text)),
    row(USER, "certfile", "", Key(USER, "certfile", Text)),
    row(USER, "keyfile", "", Key(USER, "keyfile", Text)),
    row(USER, "insecure", "", Key(USER, "insecure", Boolean)),
    row(USER, "region_name", "", Key(USER, "region_name", Text)),
    row(USER, "interface", "", Key(USER, "interface", Text)),
    row(USER, "http_connect_timeout", "", Key(USER, "http_connect_timeout", Number)),
    row(USER, "http_request_max_retries", "", Key(USER, "http_request_max_retries", Integer)),
    row(USER, "www_authenticate_uri", "", Key(USER, "www_authenticate_uri", Text)),
    row(USER, "token_cache_time", "", Key(USER, "token_cache_time", Integer)),
    row(USER, "delay_auth_decision", "", Key(USER, "delay_auth_decision", Boolean)),
    row(USER, "service_token_roles", "", Key(USER, "service_token_roles", List)),
    row(USER, "service_token_roles_required", "", Key(USER, "service_token_roles_required", Boolean)),
    row(USER, "*", "", Gone(KEYSTONE)),
];

/// The database of an index of ours, beside the one that `url` of `[section] option` names.
pub(super) fn index(source: &Source<'_>, document: &mut Document, (section, option): (&str, &str)) {
    let Some(url) = source.get(section, option) else { return };
    let out = document.section("index");
    out.comment(&format!(
        "[{section}] {option}: the index needs a database of its own, empty at first; upstream's tables are not used."
    ));
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("postgresql") => {
            out.comment("Make one beside upstream's and name it here; without it the index is SQLite in storage.data_dir.");
            let url = SecretUrl::new(format!("postgresql://{rest}"));
            let shown = url.to_string();
            if shown != url.expose() {
                out.comment(
                    "Its password is not repeated here: put one into a file, and name that as password_file.",
                );
            }
            out.propose("url", shown);
        }
        Some((scheme, _)) => out.comment(&format!(
            "{scheme} is not supported: SQLite in storage.data_dir is used, or PostgreSQL."
        )),
        None => out.comment("The value is no URL: SQLite in storage.data_dir is used."),
    }
}

/// Where rules are; relative paths start where the file is.
pub(super) fn policy(source: &Source<'_>, document: &mut Document, ours: &'static str) {
    const SECTION: &str = "oslo_policy";
    let options = ["policy_file", "policy_dirs", "enforce_scope", "enforce_new_defaults"];
    if !source.sets_any(SECTION, &options) {
        return;
    }
    let out = document.section(ours);
    let directory = Path::new(source.path).parent().unwrap_or(Path::new(""));
    let absolute = |path: &String| directory.join(path).display().to_string();
    if let Some(file) = source.get(SECTION, "policy_file") {
        out.set("file", absolute(&file), "[oslo_policy] policy_file, which must exist");
    }
    let dirs = source.get_all(SECTION, "policy_dirs");
    if !dirs.is_empty() {
        let dirs: Vec<Value> = dirs.iter().map(|dir| absolute(dir).into()).collect();
        out.set("dirs", dirs, "[oslo_policy] policy_dirs");
    }
    for key in ["enforce_scope", "enforce_new_defaults"] {
        let Some(text) = source.get(SECTION, key) else { continue };
        match parse_bool(&text) {
            Some(value) => out.set(key, value, &format!("[oslo_policy] {key}")),
            None => out.comment(&format!("[oslo_policy] {key} = {text}: not understood")),
        }
    }
}

/// Where the message bus is.
pub(super) fn bus(source: &Source<'_>, document: &mut Document) {
    if let Some(url) = source.get("DEFAULT", "transport_url") {
        let out = document.section("messaging");
        if url.contains('@') {
            out.comment(
                "[DEFAULT] transport_url is not repeated here, for its password: give it as \
                 NEPHOMETER__MESSAGING__TRANSPORT_URL, or in a file that only this program may read.",
            );
            out.propose("transport_url", "rabbit://…");
        } else {
            out.set("transport_url", url, "[DEFAULT] transport_url");
        }
    }
}

/// Web pages that may call the API of section `ours`.
pub(super) fn cors(source: &Source<'_>, document: &mut Document, ours: &'static str) {
    let origins = list(&source.get_all("cors", "allowed_origin"));
    if !origins.is_empty() {
        document.section(ours).set("cors_allowed_origins", origins, "[cors] allowed_origin");
    }
}

/// How much is logged.
pub(super) fn log(source: &Source<'_>, document: &mut Document) {
    let set = |option| source.get("DEFAULT", option).and_then(|text| parse_bool(&text));
    let level = match (set("debug"), set("verbose")) {
        (Some(true), _) => "debug",
        (_, Some(false)) => "warn",
        _ => return,
    };
    document.section("log").set("level", level, "[DEFAULT] debug, verbose");
}

/// Where the API of section `ours` listens, if the file says that. `is_open`: whoever reaches it is believed.
pub(super) fn listen(source: &Source<'_>, document: &mut Document, ours: &'static str, is_open: bool) {
    let port = source.get_or_default("api", "port");
    let out = document.section(ours);
    match source.get("api", "host") {
        None => out.set(
            "listen",
            format!("127.0.0.1:{port}"),
            "[api] host is not set; upstream's default is every address, ours is loopback.",
        ),
        Some(host) => {
            out.set("listen", address(&host, &port), "[api] host, port");
            if is_open && !is_loopback(&host) {
                out.set(
                    "allow_insecure_listen",
                    true,
                    "Whoever reaches this address may claim to be anybody, as upstream has it. Better listen on loopback behind a front end.",
                );
            }
        }
    }
}

pub(super) fn address(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
