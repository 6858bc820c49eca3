//! statsd's listeners: datagrams and lines on one address, accumulated and written as measures once an interval.

mod lines;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nephometer_api::http::tls::{HandshakeError, Tls};
use nephometer_metric::{MetricService, StatsdAccumulator, StatsdSink};
use nephometer_model::Clock;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::stage::Stage;
use lines::Lines;

use super::{Ground, Handle, Role, Shutdown, bind};

/// Different names that an interval may bring; further ones are dropped and counted.
const MAX_NAMES: usize = 100_000;
/// Connections at a time; more wait.
const MAX_CONNECTIONS: usize = 256;
/// A connection without a word is closed after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// The largest datagram there is.
const MAX_DATAGRAM_BYTES: usize = 65_536;
/// Pause after the system refuses a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Wanted where `statsd.enabled` is.
pub(crate) static ROLE: Role = Role {
    name: "statsd",
    stands_on: &[Ground::Store],
    is_wanted: |config| config.statsd.enabled,
    start: |stage| Box::pin(start(stage)),
};

/// Binds both sockets, makes the resource, and listens until the process stops; what has come by then is written.
async fn start(stage: &Stage<'_>) -> Result<Handle> {
    let service = Arc::clone(&stage.parts.store()?.service);
    let (settings, tls) = (&stage.config.statsd, stage.certificates.of(ROLE.name));
    let (tcp, address) = bind("statsd.listen", &settings.listen).await?;
    let udp = match settings.udp {
        true => Some(UdpSocket::bind(address).await.with_context(|| {
            format!("statsd.listen: cannot listen on {address} (UDP); set another address")
        })?),
        false => None,
    };
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (creator, policy) = (named(&settings.creator), named(&settings.archive_policy_name));
    let sink = service
        .open_statsd(&settings.resource_id, creator.as_deref(), policy.as_deref())
        .await
        .context("statsd.resource_id")?;
    let inbox = Arc::new(Inbox::new(Arc::clone(service.clock())));
    let mut ticks = interval(Duration::from_secs_f64(settings.flush_delay_seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let writer = Writer { service, sink, inbox, tls };
    Ok(Handle::spawn(ROLE.name, Some(address), writer.run(udp, tcp, ticks, stage.shutdown.clone())))
}

/// What has come since the last flush.
struct Inbox {
    clock: Arc<dyn Clock>,
    accumulator: Mutex<StatsdAccumulator>,
    mistakes: Mutex<Mistakes>,
}

/// Lines that could not be taken since the last flush: the first one, and how many.
#[derive(Default)]
struct Mistakes {
    count: u64,
    first: Option<String>,
}

impl Inbox {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let accumulator = Mutex::new(StatsdAccumulator::new(MAX_NAMES));
        Self { clock, accumulator, mistakes: Mutex::default() }
    }

    /// Takes whole lines.
    fn receive(&self, bytes: &[u8], from: SocketAddr) {
        let errors = self.accumulator.lock().receive(bytes, self.clock.now());
        for error in errors {
            self.mistake(format!("{from}: {error}"));
        }
    }

    fn mistake(&self, text: String) {
        let mut mistakes = self.mistakes.lock();
        mistakes.count += 1;
        mistakes.first.get_or_insert(text);
    }

    fn report_mistakes(&self) {
        let Mistakes { count, first } = std::mem::take(&mut *self.mistakes.lock());
        if let Some(first) = first {
            tracing::warn!(count, first, "statsd lines were not understood");
        }
    }
}

struct Writer {
    service: Arc<MetricService>,
    sink: StatsdSink,
    inbox: Arc<Inbox>,
    tls: Option<Arc<Tls>>,
}

impl Writer {
    async fn run(
        self,
        udp: Option<UdpSocket>,
        tcp: TcpListener,
        mut ticks: Interval,
        shutdown: Shutdown,
    ) -> Result<()> {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut datagram = vec![0; MAX_DATAGRAM_BYTES];
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                _ = ticks.tick() => self.flush().await,
                received = receive(udp.as_ref(), &mut datagram) => match received {
                    Ok((len, from)) => self.inbox.receive(&datagram[..len], from),
                    Err(error) => tracing::debug!(%error, "no datagram"),
                },
                accepted = accept(&tcp, &slots) => if let Some((stream, from, slot)) = accepted {
                    let (inbox, tls) = (Arc::clone(&self.inbox), self.tls.clone());
                    tokio::spawn(async move {
                        listen(stream, tls.as_deref(), from, &inbox).await;
                        drop(slot);
                    });
                },
            }
        }
        self.flush().await;
        Ok(())
    }

    /// Writes what has come; what could not be written for a reason that may pass is kept for the next time.
    async fn flush(&self) {
        self.inbox.report_mistakes();
        let flush = self.inbox.accumulator.lock().take();
        match self.service.flush_statsd(&self.sink, &flush).await {
            Ok(outcome) => {
                if let Some((name, reason)) = outcome.dropped.first() {
                    let dropped = outcome.dropped.len();
                    tracing::warn!(dropped, name, reason, "statsd values were dropped");
                }
            }
            Err(error) => {
                tracing::warn!(%error, names = flush.len(), "statsd values wait for the next flush");
                self.inbox.accumulator.lock().give_back(flush);
            }
        }
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(tcp: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match tcp.accept().await {
        Ok((stream, from)) => Some((stream, from, slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a statsd connection");
            tokio::time::sleep(ACCEPT_RETRY).await;
            None
        }
    }
}

/// The next datagram; never one where none are listened to.
async fn receive(udp: Option<&UdpSocket>, datagram: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
    match udp {
        Some(udp) => udp.recv_from(datagram).await,
        None => std::future::pending().await,
    }
}

/// Takes the lines of a connection, once hands are shaken where TLS is spoken.
async fn listen(stream: TcpStream, tls: Option<&Tls>, from: SocketAddr, inbox: &Inbox) {
    let Some(tls) = tls else { return read_lines(stream, from, inbox).await };
    match tls.accept(stream).await {
        Ok(stream) => read_lines(stream, from, inbox).await,
        Err(HandshakeError::Plain(_)) => {
            inbox.mistake(format!("{from}: lines without TLS on a port for TLS"))
        }
        Err(error) => tracing::debug!(%from, %error, "no TLS connection came about"),
    }
}

async fn read_lines(mut stream: impl AsyncRead + Unpin, from: SocketAddr, inbox: &Inbox) {
    let mut lines = Lines::default();
    loop {
        match timeout(IDLE_TIMEOUT, stream.read_buf(lines.buffer())).await {
            Err(_) | Ok(Err(_) | Ok(0)) => break,
            Ok(Ok(_)) => match lines.complete() {
                Ok(complete) => inbox.receive(&complete, from),
                Err(reason) => return inbox.mistake(format!("{from}: {reason}")),
            },
        }
    }
    inbox.receive(&lines.rest(), from);
}
