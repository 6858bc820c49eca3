//! What a person who started the program wants to know.

use crate::config::{AuthMode, Config};
use crate::roles::Handle;
use crate::run_file::RunFile;

use super::address;

/// The text.
pub(super) fn greeting(config: &Config, roles: &[Handle], run: &RunFile) -> String {
    let mut text = format!("Nephometer {} is ready", env!("CARGO_PKG_VERSION"));
    text.push_str(&match run.metric_api {
        Some(_) => format!("; its data is in {}\n", config.storage.data_dir.display()),
        None => format!(" as {}\n", run.service),
    });
    let statsd = if config.statsd.udp { "statsd (UDP and TCP)" } else { "statsd (TCP)" };
    let lines = [
        ("metric_api", "metric API (Gnocchi v1)", "/"),
        ("alarm_api", "alarm API (Aodh v2)", "/"),
        ("measure_link", "measures for evaluators", "/"),
        ("statsd", statsd, ""),
        ("admin", "own metrics", "/metrics"),
    ];
    for (name, title, path) in lines {
        if let Some(address) = address(roles, name) {
            let scheme = if path.is_empty() { String::new() } else { format!("{}://", run.scheme(name)) };
            text.push_str(&format!("  {title:<24} {scheme}{address}{path}\n"));
        }
    }
    let Some(url) = run.metric_api_url() else { return text };
    let next = match config.metric_api.auth_mode {
        AuthMode::Keystone => {
            "python-openstackclient gnocchiclient && openstack metric resource list".to_owned()
        }
        _ => format!("gnocchiclient && gnocchi --endpoint {url} resource list"),
    };
    text.push_str(&format!("Next:  pip install {next}\n"));
    text
}
