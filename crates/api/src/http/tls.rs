//! TLS for listeners: a certificate from files, read again when they change, with or without certificates of clients.
//!
//! Invariants: what is in use is complete and was checked; a bad new certificate changes nothing; a connection keeps
//! what it began with.

mod files;
mod validity;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nephometer_model::Clock;
use parking_lot::{Mutex, RwLock};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::lingering::{Lingering, Unread};
use files::Stamps;
pub use files::TlsError;
pub use validity::Validity;

/// First byte of everything that a client says in a handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// Time to tell a client why its handshake failed.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whose certificate clients must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// Nobody's.
    Unasked,
    /// One by an authority of this file (PEM), if any.
    MayProve(PathBuf),
    /// One by an authority of this file (PEM).
    MustProve(PathBuf),
}

/// Which versions are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    From12,
    /// 1.3 alone.
    From13,
}

/// TLS on one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate (PEM), and behind it those that lead to its authority.
    pub cert_file: PathBuf,
    /// Its key (PEM, not encrypted); may be the same file.
    pub key_file: PathBuf,
    /// Whether clients show certificates.
    pub clients: Clients,
    /// Which versions are spoken.
    pub versions: TlsVersions,
    /// Longest time from a connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// Protocols offered (ALPN), best first; none for a listener that speaks but one.
    pub protocols: &'static [&'static [u8]],
}

/// ALPN of a listener that speaks HTTP.
pub const HTTP_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What is in use.
struct Loaded {
    config: Arc<ServerConfig>,
    validity: Validity,
}

/// The files as they were last read, and as they were seen changing since.
#[derive(Default)]
struct Watched {
    tried: Stamps,
    changing: Option<Stamps>,
    failure: Option<String>,
}

/// TLS that follows its files.
pub struct Tls {
    settings: TlsSettings,
    clock: Arc<dyn Clock>,
    loaded: RwLock<Loaded>,
    watched: Mutex<Watched>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    handshakes: AtomicU64,
    failures: AtomicU64,
    reloads: AtomicU64,
}

/// How TLS of a listener fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsStatus {
    /// From when to when the certificate is good.
    pub validity: Validity,
    /// Seconds until it ends; negative where it has ended.
    pub left_seconds: i64,
    /// Whether it should have been renewed by now.
    pub is_ending: bool,
    /// Why the files as they are now were not taken.
    pub failure: Option<String>,
    /// Handshakes that succeeded.
    pub handshakes: u64,
    /// Those that did not.
    pub failed_handshakes: u64,
    /// How often changed files were taken.
    pub reloads: u64,
}

/// Why no TLS connection came about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client speaks, but not TLS; here is the connection, with all it has said.
    #[error("the client does not speak TLS")]
    Plain(Lingering<TcpStream>),
    /// The client was too slow.
    #[error("the handshake took too long")]
    Timeout,
    /// The client has gone, or the two cannot agree.
    #[error("{0}")]
    Failed(#[from] std::io::Error),
}

impl Tls {
    /// Reads and checks the files. A certificate that is out of date is used all the same; [`Self::status`] tells.
    pub fn open(settings: TlsSettings, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let tried = Stamps::of(&settings);
        let loaded = RwLock::new(files::load(&settings)?);
        let watched = Mutex::new(Watched { tried, ..Watched::default() });
        Ok(Self { settings, clock, loaded, watched, counts: Counts::default() })
    }

    /// Takes the files as they are now; where they cannot be used, what is in use stays in use. So it does where the new
    /// certificate is out of date.
    pub fn reload(&self) -> Result<(), TlsError> {
        let mut watched = self.watched.lock();
        let tried = Stamps::of(&self.settings);
        let taken = files::load(&self.settings).and_then(|new| {
            let is_good = new.validity.contains(self.now_seconds());
            if is_good { Ok(new) } else { Err(TlsError::OutOfDate(new.validity)) }
        });
        match taken {
            Ok(new) => {
                *self.loaded.write() = new;
                *watched = Watched { tried, ..Watched::default() };
                self.counts.reloads.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                // What is not good yet may be so at the next look, though the files stay the same.
                let tried = if matches!(error, TlsError::OutOfDate(_)) { Stamps::default() } else { tried };
                *watched = Watched { tried, changing: None, failure: Some(shown(&error)) };
                Err(error)
            }
        }
    }

    /// The same where the files have changed, and have not changed any more since the last call: a certificate and its
    /// key are replaced one after the other. Answers whether they were taken; what cannot be used is reported once.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let now = Stamps::of(&self.settings);
        let failure = {
            let mut watched = self.watched.lock();
            if now == watched.tried {
                watched.changing = None;
                return Ok(false);
            }
            if watched.changing.as_ref() != Some(&now) {
                watched.changing = Some(now);
                return Ok(false);
            }
            watched.failure.clone()
        };
        match self.reload() {
            Err(error) if failure == Some(shown(&error)) => Ok(false),
            taken => taken.map(|()| true),
        }
    }

    /// How it fares.
    pub fn status(&self) -> TlsStatus {
        let (validity, now) = (self.loaded.read().validity, self.now_seconds());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TlsStatus {
            validity,
            left_seconds: validity.not_after_seconds.saturating_sub(now),
            is_ending: validity.is_ending(now),
            failure: self.watched.lock().failure.clone(),
            handshakes: count(&self.counts.handshakes),
            failed_handshakes: count(&self.counts.failures),
            reloads: count(&self.counts.reloads),
        }
    }

    /// What it was told.
    pub fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    fn now_seconds(&self) -> i64 {
        self.clock.now().ns().div_euclid(1_000_000_000)
    }

    /// Shakes hands on a connection.
    pub async fn accept(&self, stream: TcpStream) -> Result<TlsStream<Lingering<TcpStream>>, HandshakeError> {
        self.accept_on(Lingering::new(stream, Unread::default())).await
    }

    pub(super) async fn accept_on(
        &self,
        stream: Lingering<TcpStream>,
    ) -> Result<TlsStream<Lingering<TcpStream>>, HandshakeError> {
        let config = Arc::clone(&self.loaded.read().config);
        let shaken = tokio::time::timeout(self.settings.handshake_timeout, shake(config, stream)).await;
        let shaken = shaken.unwrap_or(Err(HandshakeError::Timeout));
        let counter = if shaken.is_ok() { &self.counts.handshakes } else { &self.counts.failures };
        counter.fetch_add(1, Ordering::Relaxed);
        shaken
    }
}

/// An error with what caused it.
fn shown(error: &TlsError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

async fn shake(
    config: Arc<ServerConfig>,
    stream: Lingering<TcpStream>,
) -> Result<TlsStream<Lingering<TcpStream>>, HandshakeError> {
    let mut first = [0];
    // Looked at, not taken: who does not speak TLS is to be answered in its own language.
    let has_spoken = stream.socket().peek(&mut first).await? > 0;
    if has_spoken && first[0] != HANDSHAKE_RECORD {
        stream.leave_unread();
        return Err(HandshakeError::Plain(stream));
    }
    match TlsAcceptor::from(config).accept(stream).into_fallible().await {
        Ok(stream) => Ok(stream),
        Err((error, mut stream)) => {
            // The alert that says why is on its way; a reset would overtake it.
            let _ = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests;
