//! `udp://` and `tcp://`: signed messages in MessagePack, one a datagram, or each behind its length.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::Sample;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;

use super::address::Address;
use crate::message::to_message;
use crate::signature::Signer;
use crate::{PublishError, Publisher};

/// Where collectors listen.
const PORT: u16 = 4952;
/// Samples of a call: few, so that what is sent again after an error is little.
const AT_ONCE: usize = 100;

/// Host and port of the receiver.
struct Receiver {
    host: String,
    port: u16,
}

impl Receiver {
    fn of(address: &Address) -> Result<Self, String> {
        if address.host.is_empty() {
            return Err("it names no host".to_owned());
        }
        Ok(Self { host: address.host.clone(), port: address.port.unwrap_or(PORT) })
    }

    /// Its address, the one of IPv6 where it has both.
    async fn resolve(&self) -> Result<SocketAddr, PublishError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(later)?;
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|address| !address.is_ipv6());
        let none = || PublishError::Later(format!("{} has no address", self.host));
        found.first().copied().ok_or_else(none)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "an error is mapped where it arises")]
fn later(error: std::io::Error) -> PublishError {
    PublishError::Later(error.to_string())
}

fn packed(sample: &Sample, publisher_id: Option<&str>, signer: &Signer) -> Result<Vec<u8>, PublishError> {
    let message = to_message(sample, publisher_id, signer);
    rmp_serde::to_vec_named(&message).map_err(|error| PublishError::Refused(error.to_string()))
}

/// `udp://`. Nobody says whether datagrams arrive.
pub(super) struct UdpPublisher {
    name: String,
    receiver: Receiver,
    signer: Arc<Signer>,
}

impl UdpPublisher {
    pub(super) fn new(address: &Address, signer: Arc<Signer>) -> Result<Self, String> {
        Ok(Self { name: address.to_string(), receiver: Receiver::of(address)?, signer })
    }
}

#[async_trait]
impl Publisher for UdpPublisher {
    fn target(&self) -> &str {
        &self.name
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        let to = self.receiver.resolve().await?;
        let from = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(from).await.map_err(later)?;
        for sample in samples {
            let datagram = packed(sample, None, &self.signer)?;
            match socket.send_to(&datagram, to).await {
                Ok(_) => {}
                // It is longer than any datagram.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => {
                    return Err(PublishError::Refused(error.to_string()));
                }
                Err(error) => return Err(later(error)),
            }
        }
        Ok(())
    }
}

/// `tcp://`, over one connection. Nobody says whether what was sent was read.
pub(super) struct TcpPublisher {
    name: String,
    receiver: Receiver,
    /// What messages call their sender.
    publisher_id: String,
    signer: Arc<Signer>,
    connection: Mutex<Option<TcpStream>>,
}

impl TcpPublisher {
    pub(super) fn new(address: &Address, publisher_id: &str, signer: Arc<Signer>) -> Result<Self, String> {
        let (name, receiver) = (address.to_string(), Receiver::of(address)?);
        Ok(Self {
            name,
            receiver,
            publisher_id: publisher_id.to_owned(),
            signer,
            connection: Mutex::default(),
        })
    }

    async fn connect(&self) -> Result<TcpStream, PublishError> {
        let stream = TcpStream::connect(self.receiver.resolve().await?).await.map_err(later)?;
        stream.set_nodelay(true).map_err(later)?;
        Ok(stream)
    }
}

#[async_trait]
impl Publisher for TcpPublisher {
    fn target(&self) -> &str {
        &self.name
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        let mut bytes = Vec::new();
        for sample in samples {
            let message = packed(sample, Some(&self.publisher_id), &self.signer)?;
            bytes.extend((message.len() as u64).to_le_bytes());
            bytes.extend(message);
        }
        let mut place = self.connection.lock().await;
        // Taken, so that a call that fails or is given up leaves none in the middle of a message.
        if let Some(mut stream) = place.take().filter(is_open)
            && stream.write_all(&bytes).await.is_ok()
        {
            *place = Some(stream);
            return Ok(());
        }
        let mut stream = self.connect().await?;
        stream.write_all(&bytes).await.map_err(later)?;
        *place = Some(stream);
        Ok(())
    }
}

/// Whether the receiver has not closed a connection. It never says anything over it.
fn is_open(stream: &TcpStream) -> bool {
    let mut nothing = [0; 1];
    matches!(stream.try_read(&mut nothing), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
