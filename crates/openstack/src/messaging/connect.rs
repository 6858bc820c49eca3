//! Connections to one of several servers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use nephometer_model::Secret;

use super::settings::{MessagingError, MessagingSettings};
use super::transport::{TransportHost, TransportUrl};

/// A server that has not answered for so long is passed over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// So long a good-bye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the servers of a transport URL.
#[derive(Debug)]
pub(super) struct Connector {
    settings: MessagingSettings,
    url: TransportUrl,
    /// What the server shows people as the connection's name.
    name: String,
    /// The server that is tried first.
    next: AtomicUsize,
}

impl Connector {
    /// A connector whose connections are called `name` at the server. Nothing is opened yet.
    pub(super) fn new(settings: &MessagingSettings, name: &str) -> Result<Self, MessagingError> {
        settings.check()?;
        let url = settings.url()?;
        Ok(Self { settings: settings.clone(), url, name: name.to_owned(), next: AtomicUsize::new(0) })
    }

    pub(super) const fn settings(&self) -> &MessagingSettings {
        &self.settings
    }

    /// A connection to the first server that takes it; every server is tried once. The error says what each one did.
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let tls = self.tls().await?;
        let hosts = &self.url.hosts;
        let first = self.next.load(Ordering::Relaxed);
        let mut errors = Vec::new();
        for step in 0..hosts.len() {
            let at = (first + step) % hosts.len();
            let host = &hosts[at];
            match self.connect_to(host, &tls).await {
                Ok(connection) => {
                    // When this one breaks, the next one is more likely to be well.
                    self.next.store(at + 1, Ordering::Relaxed);
                    tracing::info!(
                        host = host.host,
                        port = host.port,
                        name = self.name,
                        "message bus: connected"
                    );
                    return Ok(connection);
                }
                Err(error) => errors.push(format!("{}:{}: {error}", host.host, host.port)),
            }
        }
        Err(Secret::black_out(
            &errors.join("; "),
            &hosts.iter().map(|host| &host.password).collect::<Vec<_>>(),
        ))
    }

    async fn connect_to(&self, host: &TransportHost, tls: &OwnedTLSConfig) -> Result<Connection, String> {
        let uri = AMQPUri {
            scheme: if self.url.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: host.user.clone(),
                    password: host.password.expose().to_owned(),
                },
                host: host.host.clone(),
                port: host.port,
            },
            vhost: self.url.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(self.settings.heartbeat_timeout_threshold_seconds),
                ..AMQPQueryString::default()
            },
        };
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
        let connect = Connection::connect_uri_with_config(uri, properties, tls.clone(), runtime);
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
        }
    }

    /// Read anew for each connection, so that renewed files count.
    async fn tls(&self) -> Result<OwnedTLSConfig, String> {
        let read = async |path: &str| {
            tokio::fs::read(path).await.map_err(|error| format!("{path} cannot be read: {error}"))
        };
        let mut tls = OwnedTLSConfig::default();
        if !self.settings.ssl_ca_file.is_empty() {
            let path = &self.settings.ssl_ca_file;
            let text = String::from_utf8(read(path).await?).map_err(|_| format!("{path} is no PEM file"))?;
            tls.cert_chain = Some(text);
        }
        if !self.settings.ssl_cert_file.is_empty() {
            let pem = read(&self.settings.ssl_cert_file).await?;
            let key = read(&self.settings.ssl_key_file).await?;
            tls.identity = Some(OwnedIdentity::PKCS8 { pem, key });
        }
        Ok(tls)
    }
}

/// Says good-bye; a server that is away need not answer.
pub(super) async fn close(connection: &Connection) {
    drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close(200, "stopped".into())).await);
}
