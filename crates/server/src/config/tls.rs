//! TLS of a listener: the same keys in the section of each.

use std::path::PathBuf;
use std::time::Duration;

use nephometer_api::http::tls::{Clients, TlsSettings, TlsVersions};
use serde::{Deserialize, Serialize};

use super::Problem;

/// A client that has not shaken hands within this is let go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether clients have to show a certificate, where an authority for them is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientCertificates {
    /// Who has none is not served.
    #[default]
    Required,
    /// Who shows one must show a good one.
    Optional,
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OldestTls {
    /// 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// The keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TlsSection {
    /// The certificate (PEM), and those that lead to its authority; empty for no TLS.
    pub(crate) tls_cert_file: String,
    /// Its key (PEM); empty where it is in the same file.
    pub(crate) tls_key_file: String,
    /// The authorities of clients' certificates (PEM); empty where clients show none.
    pub(crate) tls_client_ca_file: String,
    /// Whether clients must show one.
    pub(crate) tls_client_certificates: ClientCertificates,
    /// The oldest version that is spoken.
    pub(crate) tls_min_version: OldestTls,
}

impl TlsSection {
    /// Whether TLS is spoken.
    pub(crate) fn is_on(&self) -> bool {
        !self.tls_cert_file.is_empty()
    }

    /// Whether only those are served who have proven who they are.
    pub(crate) fn proves_clients(&self) -> bool {
        self.is_on()
            && !self.tls_client_ca_file.is_empty()
            && self.tls_client_certificates == ClientCertificates::Required
    }

    /// What is wrong with the keys of `section`.
    pub(super) fn problems(&self, section: &str) -> Vec<Problem> {
        let files = [("tls_key_file", &self.tls_key_file), ("tls_client_ca_file", &self.tls_client_ca_file)];
        let idle = files.into_iter().filter(|(_, file)| !self.is_on() && !file.is_empty());
        idle.map(|(key, _)| {
            Problem::new(format!("{section}.{key}: is of no use without {section}.tls_cert_file"))
        })
        .collect()
    }

    /// What the listener is told, which speaks `protocols`; nothing where it speaks no TLS.
    pub(crate) fn settings(&self, protocols: &'static [&'static [u8]]) -> Option<TlsSettings> {
        let cert_file = self.is_on().then(|| PathBuf::from(&self.tls_cert_file))?;
        let ca_file = PathBuf::from(&self.tls_client_ca_file);
        let clients = match self.tls_client_certificates {
            _ if self.tls_client_ca_file.is_empty() => Clients::Unasked,
            ClientCertificates::Required => Clients::MustProve(ca_file),
            ClientCertificates::Optional => Clients::MayProve(ca_file),
        };
        let key_file = match self.tls_key_file.as_str() {
            "" => cert_file.clone(),
            key_file => PathBuf::from(key_file),
        };
        let versions = match self.tls_min_version {
            OldestTls::V12 => TlsVersions::From12,
            OldestTls::V13 => TlsVersions::From13,
        };
        let handshake_timeout = HANDSHAKE_TIMEOUT;
        Some(TlsSettings { cert_file, key_file, clients, versions, handshake_timeout, protocols })
    }
}
