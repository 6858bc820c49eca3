//! How the message bus is reached and what is declared there. Names and defaults follow oslo.messaging's
//! `[oslo_messaging_rabbit]`.

use nephometer_model::Secret;
use serde::{Deserialize, Serialize};

use super::transport::{TransportUrl, TransportUrlError};

/// Why the bus cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessagingError {
    /// The transport URL.
    #[error("transport_url: {0}")]
    Url(#[from] TransportUrlError),
    /// Two settings that exclude or need each other, or a value out of bounds.
    #[error("{0}")]
    Setting(&'static str),
}

/// The cloud's message bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessagingSettings {
    /// `rabbit://user:password@host:port,…/vhost`; empty for no bus.
    pub transport_url: Secret,
    /// Whether TLS is spoken, where the URL does not say so itself by `?ssl=`. Certificates are always verified.
    pub ssl: bool,
    /// PEM file of authorities that are trusted beside the system's; empty for none.
    pub ssl_ca_file: String,
    /// PEM file of the certificate that is shown; empty for none.
    pub ssl_cert_file: String,
    /// PEM file of its key.
    pub ssl_key_file: String,
    /// Whether exchanges and queues outlive a restart of the server, where they are made by us.
    pub amqp_durable_queues: bool,
    /// Whether they vanish when nobody uses them.
    pub amqp_auto_delete: bool,
    /// Whether queues are replicated ones; they are durable then.
    pub rabbit_quorum_queue: bool,
    /// Most messages that the server hands out before the first of them is acknowledged.
    pub rabbit_qos_prefetch_count: u16,
    /// A connection over which nothing has come for so long is given up.
    pub heartbeat_timeout_threshold_seconds: u16,
}

impl Default for MessagingSettings {
    fn default() -> Self {
        Self {
            transport_url: Secret::default(),
            ssl: false,
            ssl_ca_file: String::new(),
            ssl_cert_file: String::new(),
            ssl_key_file: String::new(),
            amqp_durable_queues: false,
            amqp_auto_delete: false,
            rabbit_quorum_queue: false,
            rabbit_qos_prefetch_count: 100,
            heartbeat_timeout_threshold_seconds: 60,
        }
    }
}

impl MessagingSettings {
    /// Whether there is a bus.
    pub fn is_on(&self) -> bool {
        !self.transport_url.is_empty()
    }

    /// What is wrong; nothing where there is no bus.
    ///
    /// # Errors
    /// The first thing that is.
    pub fn check(&self) -> Result<(), MessagingError> {
        if self.is_on() {
            self.url()?;
        }
        if self.ssl_cert_file.is_empty() != self.ssl_key_file.is_empty() {
            return Err(MessagingError::Setting("ssl_cert_file and ssl_key_file must be set together"));
        }
        if self.rabbit_qos_prefetch_count == 0 {
            return Err(MessagingError::Setting("rabbit_qos_prefetch_count must be at least 1"));
        }
        if self.rabbit_quorum_queue && self.amqp_auto_delete {
            return Err(MessagingError::Setting("queues of rabbit_quorum_queue cannot be amqp_auto_delete"));
        }
        Ok(())
    }

    pub(super) fn url(&self) -> Result<TransportUrl, TransportUrlError> {
        TransportUrl::parse(&self.transport_url, self.ssl)
    }

    /// Whether exchanges and queues are declared as durable.
    pub(super) const fn durable(&self) -> bool {
        self.amqp_durable_queues || self.rabbit_quorum_queue
    }
}
