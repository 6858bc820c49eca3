//! The operators' listener: `/metrics` as OpenMetrics text and `/status` as JSON.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use nephometer_api::{HttpSettings, serve};
use tokio::net::TcpListener;

use crate::config::parse_listen;
use crate::stage::Stage;
use crate::watcher::Watcher;

use super::{Handle, Role, bind};

/// Media type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Few ask here; more have to wait.
const MAX_CONNECTIONS: usize = 64;

/// Part of every process whose `admin.listen` is not empty.
pub(crate) static ROLE: Role = Role {
    name: "admin",
    stands_on: &[],
    is_wanted: |config| !config.admin.listen.is_empty(),
    start: |stage| Box::pin(start(stage)),
};

/// Binds the address and serves until the process stops.
async fn start(stage: &Stage<'_>) -> Result<Handle> {
    let (listener, address) = bind_or_next(&stage.config.admin.listen).await?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(Arc::clone(&stage.watcher));
    let (tls, shutdown) = (stage.certificates.of(ROLE.name), stage.shutdown.clone());
    let http = HttpSettings {
        max_connections: MAX_CONNECTIONS,
        stop_timeout: Duration::from_secs(1),
        ..HttpSettings::default()
    };
    Ok(Handle::spawn(ROLE.name, Some(address), async move {
        Ok(serve(listener, tls, router, http, shutdown.requested()).await?)
    }))
}

/// Binds the address, or a free port of it where another process has the port: a second server on a host must not fail
/// for want of a port that nobody's requests depend on; `nephometer status` finds it by its run file.
async fn bind_or_next(listen: &str) -> Result<(TcpListener, SocketAddr)> {
    let error = match bind("admin.listen", listen).await {
        Ok(bound) => return Ok(bound),
        Err(error) => error,
    };
    let in_use = error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::AddrInUse);
    let mut address = parse_listen(listen).map_err(anyhow::Error::msg)?;
    if !in_use {
        return Err(error);
    }
    address.set_port(0);
    let (listener, bound) = bind("admin.listen", &address.to_string()).await?;
    tracing::warn!("{listen} is taken; /metrics and /status are at {bound}");
    Ok((listener, bound))
}

async fn metrics(State(watcher): State<Arc<Watcher>>) -> Response {
    match watcher.telemetry().render(&watcher.look().await) {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status(State(watcher): State<Arc<Watcher>>) -> Response {
    Json(watcher.look().await).into_response()
}
