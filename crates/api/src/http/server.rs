//! The accept loop: HTTP/1.1 and HTTP/2 on one port, with TLS or without, a bound on connections, no patience for slow
//! handshakes and heads, a stop that lets running requests finish.

mod request;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::address::Transport;
use super::lingering::{Lingering, Unread};
use super::tls::{HandshakeError, Tls};
use request::Requests;

/// Most headers of one request.
const MAX_HEADERS: usize = 100;
/// Most bytes that a request's head may take.
const MAX_HEAD_BYTES: usize = 256 * 1024;
/// Pause after the system refuses a connection (usually for want of file descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// What who speaks plain HTTP to a TLS port is told.
const SPEAK_TLS: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 61\r\n\
                         Connection: close\r\n\r\nThis port speaks HTTPS: let the address begin with https://.\n";

/// How connections are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpSettings {
    /// Most connections at a time; more wait in the system's queue.
    pub max_connections: usize,
    /// Longest time for a request's head to arrive, also while a kept connection is idle.
    pub header_timeout: Duration,
    /// How long running requests may take to finish after a stop.
    pub stop_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            header_timeout: Duration::from_secs(75),
            stop_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves `router` on `listener` until `shutdown` is ready, then finishes what runs. Where `tls` is given, nothing is
/// served without it.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    settings: HttpSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let (stop, stopping) = watch::channel(false);
    let http = Arc::new(Http { builder: connection_builder(settings), tls, router, stopping });
    tokio::pin!(shutdown);
    loop {
        let slot = tokio::select! {
            () = &mut shutdown => break,
            slot = Arc::clone(&slots).acquire_owned() => slot.map_err(io::Error::other)?,
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let (http, watcher) = (Arc::clone(&http), graceful.watcher());
        tokio::spawn(async move {
            http.serve_one(stream, peer, watcher).await;
            drop(slot);
        });
    }
    drop(listener);
    stop.send_replace(true);
    if tokio::time::timeout(settings.stop_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still running when the time to stop was over");
    }
    Ok(())
}

/// What all connections share.
struct Http {
    builder: Builder<TokioExecutor>,
    tls: Option<Arc<Tls>>,
    router: Router,
    stopping: watch::Receiver<bool>,
}

impl Http {
    /// One connection from its first byte to its last.
    async fn serve_one(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        if let Err(error) = stream.set_nodelay(true) {
            return tracing::debug!(%peer, %error, "connection is gone already");
        }
        let unread = Unread::default();
        let stream = Lingering::new(stream, unread.clone());
        let requests =
            |transport| Requests { router: self.router.clone(), transport, unread: unread.clone() };
        let Some(tls) = &self.tls else {
            return self.speak(stream, requests(Transport::Plain), peer, watcher).await;
        };
        let mut stopping = self.stopping.clone();
        let shaken = tokio::select! {
            shaken = tls.accept_on(stream) => shaken,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match shaken {
            Ok(stream) => self.speak(stream, requests(Transport::Tls), peer, watcher).await,
            Err(HandshakeError::Plain(mut stream)) => {
                tracing::debug!(%peer, "plain HTTP on a port for HTTPS");
                // A client that is gone already needs no explanation.
                let _ = stream.write_all(SPEAK_TLS.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
            Err(error) => tracing::debug!(%peer, %error, "no TLS connection came about"),
        }
    }

    async fn speak<S>(&self, stream: S, requests: Requests, peer: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = TowerToHyperService::new(requests);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

/// Answers are not held back for others that are asked for in one piece (`pipeline_flush`): hyper would then never send one
/// while something of the request lies in its buffer unread, which is just what a refusal leaves there.
fn connection_builder(settings: HttpSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.header_timeout)
        .max_header_list_size(64 * 1024)
        .max_concurrent_streams(256);
    builder
}
