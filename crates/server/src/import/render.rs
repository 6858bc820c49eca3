//! Our TOML from upstream's options.

use std::fmt::Write as _;
use std::path::Path;

use nephometer_model::SecretUrl;
use toml::Value;

use super::ini::Ini;
use super::options::{Fate, Form, KEYSTONE_OPTIONS, default_of, fate};

/// Writes the configuration: sections of ours with the options they come from, then what has no counterpart.
pub(super) fn render(name: &str, ini: &Ini) -> String {
    let mut out = Out(format!(
        "# Made by `nephometer config import` from {name}. Keys that are not here have their defaults:\n\
         # `nephometer config default` shows them all.\n"
    ));
    index(ini, &mut out);
    metric_api(ini, &mut out);
    keystone(ini, &mut out);
    rest(name, ini, &mut out);
    statsd(ini, &mut out);
    expirer(ini, &mut out);
    no_counterpart(ini, &mut out);
    out.0
}

struct Out(String);

impl Out {
    fn section(&mut self, name: &str) {
        let _ = write!(self.0, "\n[{name}]\n");
    }

    fn comment(&mut self, text: &str) {
        let _ = writeln!(self.0, "# {}", text.replace('\n', " "));
    }

    fn key(&mut self, key: &str, value: impl Into<Value>) {
        let _ = writeln!(self.0, "{key} = {}", value.into());
    }

    /// A key of which a person must decide whether it is right.
    fn proposed(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "#{key} = {}", Value::from(value));
    }
}

fn index(ini: &Ini, out: &mut Out) {
    let Some(url) = ini.get("indexer", "url") else { return };
    out.section("index");
    out.comment("[indexer] url: the index needs a database of its own, empty at first; Gnocchi's tables are not used.");
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("postgresql") => {
            out.comment("Make one beside Gnocchi's and name it here; without it the index is SQLite in storage.data_dir.");
            let url = SecretUrl::new(format!("postgresql://{rest}"));
            let shown = url.to_string();
            if shown != url.expose() {
                out.comment(
                    "Its password is not repeated here: put one into a file, and name that as password_file.",
                );
            }
            out.proposed("url", &shown);
        }
        Some((scheme, _)) => {
            out.comment(&format!(
                "{scheme} is not supported: SQLite in storage.data_dir is used, or PostgreSQL."
            ));
        }
        None => out.comment("The value is no URL: SQLite in storage.data_dir is used."),
    }
}

fn metric_api(ini: &Ini, out: &mut Out) {
    out.section("metric_api");
    let auth_mode = ini.get("api", "auth_mode").unwrap_or_else(|| "basic".to_owned());
    out.comment("[api] auth_mode");
    let is_open = auth_mode != "keystone";
    out.key("auth_mode", auth_mode);
    listen(ini, is_open, out);
    integer(ini, out, ("api", "max_limit"), "max_limit");
    boolean(ini, out, ("api", "enable_proxy_headers_parsing"), "enable_proxy_headers_parsing");
    let origins: Vec<Value> = ini
        .get_all("cors", "allowed_origin")
        .iter()
        .flat_map(|origins| origins.split(','))
        .map(|origin| Value::from(origin.trim()))
        .collect();
    if !origins.is_empty() {
        out.comment("[cors] allowed_origin");
        out.key("cors_allowed_origins", Value::Array(origins));
    }
    number(ini, out, ("DEFAULT", "graceful_shutdown_timeout"), "stop_timeout_seconds");
}

/// The service user and what concerns its callers' tokens. Secrets stay where they are: what is printed here may end up in
/// any file, and in terminals.
fn keystone(ini: &Ini, out: &mut Out) {
    const SECTION: &str = "keystone_authtoken";
    let given: Vec<_> =
        KEYSTONE_OPTIONS.iter().filter(|(name, _)| ini.get(SECTION, name).is_some()).collect();
    if given.is_empty() {
        return;
    }
    out.section(SECTION);
    for (name, form) in given {
        match form {
            Form::Secret => {
                out.comment(&format!(
                    "{name} is not repeated here: put it into a file that only this program may read, and name that"
                ));
                out.proposed(&format!("{name}_file"), &format!("/etc/nephometer/{name}"));
            }
            Form::Text => out.key(name, ini.get(SECTION, name).unwrap_or_default()),
            Form::Boolean => boolean(ini, out, (SECTION, name), name),
            Form::Integer => integer(ini, out, (SECTION, name), name),
            Form::Number => number(ini, out, (SECTION, name), name),
            Form::List => {
                let all = ini.get_all(SECTION, name);
                let items = all.iter().flat_map(|text| text.split(',')).map(|item| Value::from(item.trim()));
                out.key(name, Value::Array(items.collect()));
            }
        }
    }
}

fn listen(ini: &Ini, is_open: bool, out: &mut Out) {
    let port = ini.get("api", "port").unwrap_or_else(|| "8041".to_owned());
    match ini.get("api", "host") {
        None => {
            out.comment("[api] host is not set; upstream's default is every address, ours is loopback.");
            out.key("listen", format!("127.0.0.1:{port}"));
        }
        Some(host) => {
            out.comment("[api] host, port");
            out.key("listen", address(&host, &port));
            if is_open && !is_loopback(&host) {
                out.comment("Whoever reaches this address may claim to be anybody. Listen on loopback behind a front end, or");
                out.comment("keep what Gnocchi did by leaving this in.");
                out.key("allow_insecure_listen", true);
            }
        }
    }
}

/// Where rules are; relative paths start where gnocchi.conf is.
fn policy(name: &str, ini: &Ini, out: &mut Out) {
    const SECTION: &str = "oslo_policy";
    let options = ["policy_file", "policy_dirs", "enforce_scope", "enforce_new_defaults"];
    if options.iter().all(|option| ini.get(SECTION, option).is_none()) {
        return;
    }
    out.section("policy");
    let directory = Path::new(name).parent().unwrap_or(Path::new(""));
    let absolute = |path: &String| directory.join(path).display().to_string();
    if let Some(file) = ini.get(SECTION, "policy_file") {
        out.comment("[oslo_policy] policy_file, which must exist");
        out.key("file", absolute(&file));
    }
    let dirs = ini.get_all(SECTION, "policy_dirs");
    if !dirs.is_empty() {
        out.comment("[oslo_policy] policy_dirs");
        out.key("dirs", Value::Array(dirs.iter().map(|dir| Value::from(absolute(dir))).collect()));
    }
    boolean(ini, out, (SECTION, "enforce_scope"), "enforce_scope");
    boolean(ini, out, (SECTION, "enforce_new_defaults"), "enforce_new_defaults");
}

fn rest(name: &str, ini: &Ini, out: &mut Out) {
    if let Some(methods) = ini.get("archive_policy", "default_aggregation_methods") {
        out.section("metric");
        out.comment("[archive_policy] default_aggregation_methods");
        let methods = methods.split(',').map(|method| Value::from(method.trim())).collect();
        out.key("default_aggregation_methods", Value::Array(methods));
    }
    policy(name, ini, out);
    let set = |option| ini.get("DEFAULT", option).and_then(|text| parse_bool(&text));
    let level = match (set("debug"), set("verbose")) {
        (Some(true), _) => "debug",
        (_, Some(false)) => "warn",
        _ => return,
    };
    out.section("log");
    out.comment("[DEFAULT] debug, verbose");
    out.key("level", level);
}

fn statsd(ini: &Ini, out: &mut Out) {
    out.section("statsd");
    let Some(resource_id) = ini.get("statsd", "resource_id") else {
        out.comment("[statsd] resource_id is not set, so gnocchi-statsd could not run.");
        out.key("enabled", false);
        return;
    };
    out.comment("[statsd] resource_id is set. Runs in the same process as everything else.");
    out.key("enabled", true);
    out.key("resource_id", resource_id);
    let or_default = |option| {
        ini.get("statsd", option)
            .unwrap_or_else(|| default_of("statsd", option).unwrap_or_default().to_owned())
    };
    out.comment("[statsd] host, port");
    let host = or_default("host");
    out.key("listen", address(&host, &or_default("port")));
    if !is_loopback(&host) {
        out.key("allow_insecure_listen", true);
    }
    out.comment("[statsd] creator, archive_policy_name");
    out.key("creator", or_default("creator"));
    out.key("archive_policy_name", or_default("archive_policy_name"));
    number(ini, out, ("statsd", "flush_delay"), "flush_delay_seconds");
}

fn expirer(ini: &Ini, out: &mut Out) {
    let options = [
        (("metricd", "metric_inactive_after"), "resource_inactive_after_seconds"),
        (("metricd", "resource_cleanup_after"), "resource_cleanup_after_seconds"),
    ];
    if options.iter().all(|((section, option), _)| ini.get(section, option).is_none()) {
        return;
    }
    out.section("expirer");
    for (from, key) in options {
        typed(ini, out, from, key, |text| text.parse::<u32>().ok().map(i64::from));
    }
}

/// Values are not repeated here: they may be secrets.
fn no_counterpart(ini: &Ini, out: &mut Out) {
    let mut lines = Vec::new();
    for entry in ini.entries() {
        let reason = match fate(&entry.section, &entry.option) {
            Some(Fate::Mapped) => continue,
            Some(Fate::Gone(reason)) => reason,
            None => "Gnocchi 4.7 has no such option",
        };
        lines.push(format!("[{}] {}: {reason}", entry.section, entry.option));
    }
    if !lines.is_empty() {
        out.0.push('\n');
        out.comment("Without counterpart:");
        for line in lines {
            out.comment(&line);
        }
    }
}

fn address(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

fn integer(ini: &Ini, out: &mut Out, from: (&str, &str), key: &str) {
    typed(ini, out, from, key, |text| text.parse::<i64>().ok());
}

fn boolean(ini: &Ini, out: &mut Out, from: (&str, &str), key: &str) {
    typed(ini, out, from, key, parse_bool);
}

fn number(ini: &Ini, out: &mut Out, from: (&str, &str), key: &str) {
    typed(ini, out, from, key, |text| text.parse::<f64>().ok());
}

fn typed<T: Into<Value>>(
    ini: &Ini,
    out: &mut Out,
    (section, option): (&str, &str),
    key: &str,
    parse: impl Fn(&str) -> Option<T>,
) {
    let Some(text) = ini.get(section, option) else { return };
    match parse(&text) {
        Some(value) => {
            out.comment(&format!("[{section}] {option}"));
            out.key(key, value);
        }
        None => {
            out.comment(&format!("[{section}] {option} = {text}: not understood, {key} keeps its default"))
        }
    }
}
