//! The HTTP clients: TLS as configured, and no connection to an address that is closed.

use std::error::Error as _;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::DeliveryFailure;
use nephometer_model::with_causes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Url};

use crate::notify::address::shown;
use crate::notify::{Closed, Networks};

/// Keep-alive connections are closed after being idle for so long.
const IDLE: Duration = Duration::from_secs(20);
/// Longest PEM file that is read, in bytes.
const MAX_PEM_BYTES: u64 = 16 << 20;

/// How webhooks are called. Names in `[DEFAULT]` of Aodh's settings: `rest_notifier_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// A file with the client's certificate (PEM), and its key unless that is in a file of its own.
    pub certificate_file: Option<PathBuf>,
    /// A file with the key (PEM) of the client's certificate.
    pub key_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of the authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether certificates of servers are checked where the address does not say.
    pub verify: bool,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an attempt may take, redirections included.
    pub timeout: Duration,
    /// Where messages may go.
    pub networks: Networks,
}

/// Why webhooks cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A file that cannot be read, or does not hold what it should.
    #[error("{} {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// A client that checks certificates, and one that does not.
pub(super) struct Clients {
    pub(super) settings: WebhookSettings,
    verifying: Client,
    trusting: Client,
}

impl Clients {
    pub(super) fn new(settings: WebhookSettings) -> Result<Self, WebhookError> {
        // Another part of the program may have been first; it is the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let built = match verifying(&settings)?.build() {
            // A small container may have no certificates at all, and need none.
            Err(error) if settings.ca_file.is_none() => {
                tracing::warn!(reason = with_causes(&error), "no certificate of the system is trusted");
                verifying(&settings)?.tls_certs_only([]).build()
            }
            built => built,
        };
        let tls = |error: reqwest::Error| WebhookError::Tls(with_causes(&error));
        let trusting = builder(&settings)?.tls_danger_accept_invalid_certs(true).build().map_err(tls)?;
        Ok(Self { verifying: built.map_err(tls)?, trusting, settings })
    }

    pub(super) fn client(&self, verify: bool) -> &Client {
        if verify { &self.verifying } else { &self.trusting }
    }

    /// Checks an address that stands in the URL itself: no name is resolved then.
    pub(super) fn check(&self, url: &Url) -> Result<(), DeliveryFailure> {
        let host = url.host_str().unwrap_or_default();
        let Ok(address) = host.trim_matches(['[', ']']).parse() else { return Ok(()) };
        let checked = self.settings.networks.check(address);
        checked.map_err(|closed| DeliveryFailure::Final(closed.to_string()))
    }
}

fn builder(settings: &WebhookSettings) -> Result<ClientBuilder, WebhookError> {
    let mut builder = Client::builder()
        .user_agent(concat!("nephometer/", env!("CARGO_PKG_VERSION")))
        // A proxy would connect where nobody has checked.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(IDLE)
        .dns_resolver(Arc::new(Resolver { networks: settings.networks.clone() }));
    if let Some(path) = &settings.certificate_file {
        let mut pem = read(path)?;
        if let Some(key) = &settings.key_file {
            pem.push(b'\n');
            pem.extend(read(key)?);
        }
        let wrong = |_| file(path, "with its key file, is no certificate and key in PEM form");
        builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
    }
    Ok(builder)
}

fn verifying(settings: &WebhookSettings) -> Result<ClientBuilder, WebhookError> {
    let builder = builder(settings)?;
    let Some(path) = &settings.ca_file else { return Ok(builder) };
    let authorities = Certificate::from_pem_bundle(&read(path)?).ok().filter(|found| !found.is_empty());
    let wrong = || file(path, "holds no certificate in PEM form");
    Ok(builder.tls_certs_only(authorities.ok_or_else(wrong)?))
}

fn file(path: &Path, reason: &str) -> WebhookError {
    WebhookError::File { path: path.to_owned(), reason: reason.to_owned() }
}

fn read(path: &Path) -> Result<Vec<u8>, WebhookError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_PEM_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| file(path, &format!("cannot be read: {error}")))?;
    Ok(bytes)
}

/// Resolves names by the system, and keeps the addresses that are open.
struct Resolver {
    networks: Networks,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.networks.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open = open_addresses(&networks, name.as_str(), found.map(|address| address.ip()))?;
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// Addresses of `host` that are open; where all are closed, why the first of them is.
fn open_addresses(
    networks: &Networks,
    host: &str,
    found: impl Iterator<Item = IpAddr>,
) -> Result<Vec<SocketAddr>, Closed> {
    let (mut open, mut first_closed) = (Vec::new(), None);
    for address in found {
        match networks.check(address) {
            Ok(()) => open.push(SocketAddr::new(address, 0)),
            Err(closed) => _ = first_closed.get_or_insert(closed),
        }
    }
    match first_closed {
        Some(closed) if open.is_empty() => Err(Closed { host: Some(host.to_owned()), ..closed }),
        _ => Ok(open),
    }
}

/// What an attempt failed by.
pub(super) fn failure(error: reqwest::Error, url: &Url) -> DeliveryFailure {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(closed) = inner.downcast_ref::<Closed>() {
            return DeliveryFailure::Final(closed.to_string());
        }
        cause = inner.source();
    }
    let reason = format!("{}: {}", shown(url), with_causes(&error));
    if error.is_builder() { DeliveryFailure::Final(reason) } else { DeliveryFailure::later(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_only_open_addresses_are_left() {
        let networks = Networks::new(&[], &[]).unwrap();
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let mixed = addresses(&["127.0.0.1", "192.0.2.1", "fe80::1"]);
        let open = open_addresses(&networks, "h", mixed.into_iter()).unwrap();
        assert_eq!(open, ["192.0.2.1:0".parse().unwrap()]);
        let inner = addresses(&["169.254.169.254", "::1"]);
        let closed = open_addresses(&networks, "meta.example", inner.into_iter()).unwrap_err();
        assert_eq!(
            closed.to_string(),
            "169.254.169.254 (the address of meta.example) is in the network 169.254.0.0/16, which is closed to \
             notifications"
        );
    }
}
