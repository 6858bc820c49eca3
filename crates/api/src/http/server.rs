//! The accept loop: HTTP/1.1 and HTTP/2 on one port, a bound on connections, no patience for slow heads, a stop that
//! lets running requests finish.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Most headers of one request.
const MAX_HEADERS: usize = 100;
/// Most bytes that a request's head may take.
const MAX_HEAD_BYTES: usize = 256 * 1024;
/// Pause after the system refuses a connection (usually for want of file descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

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

/// Serves `router` on `listener` until `shutdown` is ready, then finishes what runs.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: HttpSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let builder = Arc::new(connection_builder(settings));
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
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
        let Some(io) = prepare(stream) else { continue };
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.stop_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still running when the time to stop was over");
    }
    Ok(())
}

fn connection_builder(settings: HttpSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.header_timeout)
        .max_header_list_size(64 * 1024)
        .max_concurrent_streams(256);
    builder
}

fn prepare(stream: TcpStream) -> Option<TokioIo<TcpStream>> {
    match stream.set_nodelay(true) {
        Ok(()) => Some(TokioIo::new(stream)),
        Err(error) => {
            tracing::debug!(%error, "connection is gone already");
            None
        }
    }
}
