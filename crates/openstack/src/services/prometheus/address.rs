//! Where Prometheus is, as its OpenStack client is told: `prometheus.yaml` and the `PROMETHEUS_*` variables.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::keystone::Url;

const FILE: &str = "prometheus.yaml";

/// The address of a Prometheus API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusAddress {
    /// Its address, without `/api/v1`.
    pub url: Url,
    /// A file with the certificates (PEM) of the authorities that are trusted.
    pub ca_file: Option<PathBuf>,
}

/// Why the address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Prometheus's address: {0}")]
pub struct PrometheusAddressError(String);

#[derive(Default, Deserialize)]
struct Written {
    host: Option<String>,
    port: Option<Value>,
    ca_cert: Option<String>,
    root_path: Option<String>,
}

impl PrometheusAddress {
    /// What the first `prometheus.yaml` among `directories` says, and over it the variables `PROMETHEUS_HOST`, `_PORT`,
    /// `_CA_CERT` and `_ROOT_PATH`. Nothing where host or port are missing. With a certificate it is spoken to over TLS.
    ///
    /// # Errors
    /// A file that cannot be read, or what is no address.
    pub fn find(
        directories: &[PathBuf],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, PrometheusAddressError> {
        let file = directories.iter().map(|directory| directory.join(FILE)).find(|path| path.exists());
        let written = file.map(|path| read(&path)).transpose()?.unwrap_or_default();
        let port = written.port.map(|port| port.as_str().map_or_else(|| port.to_string(), str::to_owned));
        let said =
            |name: &str, written: Option<String>| variable(name).or(written).filter(|text| !text.is_empty());
        let host = said("PROMETHEUS_HOST", written.host);
        let (Some(host), Some(port)) = (host, said("PROMETHEUS_PORT", port)) else { return Ok(None) };
        let ca_file = said("PROMETHEUS_CA_CERT", written.ca_cert).map(PathBuf::from);
        let root = said("PROMETHEUS_ROOT_PATH", written.root_path).unwrap_or_default();
        let scheme = if ca_file.is_some() { "https" } else { "http" };
        let is_bare_v6 = host.contains(':') && !host.starts_with('[');
        let host = if is_bare_v6 { format!("[{host}]") } else { host };
        let text = format!("{scheme}://{host}:{port}/{}", root.trim_start_matches('/'));
        let url = Url::parse(&text).map_err(|error| PrometheusAddressError(format!("{text}: {error}")))?;
        Ok(Some(Self { url, ca_file }))
    }
}

fn read(path: &Path) -> Result<Written, PrometheusAddressError> {
    let wrong = |reason: String| PrometheusAddressError(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_variables_say_where() {
        let directory = tempfile::tempdir().unwrap();
        let places = [directory.path().join("no such"), directory.path().to_owned()];
        let none = |_: &str| None;
        assert_eq!(PrometheusAddress::find(&places, none), Ok(None));
        let file = directory.path().join(FILE);
        std::fs::write(&file, "host: prom\nport: 9090\nroot_path: /a/b\n").unwrap();
        let found = PrometheusAddress::find(&places, none).unwrap().unwrap();
        assert_eq!((found.url.as_str(), found.ca_file), ("http://prom:9090/a/b", None));
        let variables = |name: &str| match name {
            "PROMETHEUS_HOST" => Some("::1".to_owned()),
            "PROMETHEUS_CA_CERT" => Some("/ca".to_owned()),
            _ => None,
        };
        let found = PrometheusAddress::find(&places, variables).unwrap().unwrap();
        assert_eq!((found.url.as_str(), found.ca_file), ("https://[::1]:9090/a/b", Some("/ca".into())));
        std::fs::write(&file, "host: [").unwrap();
        assert!(PrometheusAddress::find(&places, none).is_err());
    }
}
