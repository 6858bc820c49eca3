//! Roles: parts of the program that run until they are told to stop. Each starts in a file of its own, owns its listener
//! and its task, and reports its end through its [`Handle`].

pub(crate) mod admin;
pub(crate) mod alarm_api;
pub(crate) mod alarm_expirer;
pub(crate) mod bus_listener;
pub(crate) mod evaluator;
pub(crate) mod expirer;
pub(crate) mod metric_api;
pub(crate) mod notifier;
pub(crate) mod reload;
pub(crate) mod self_monitoring;
pub(crate) mod statsd;

use std::future::Future;
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::parse_listen;

/// Tells roles to stop.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

/// A role's ear for [`Stop`].
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Stop {
    /// A pair of both.
    pub(crate) fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Tells them; from now on [`Shutdown::requested`] is ready.
    pub(crate) fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Ready when the role is to stop, also when nobody is left to tell it.
    pub(crate) async fn requested(&self) {
        let mut receiver = self.0.clone();
        let _ = receiver.wait_for(|stop| *stop).await;
    }
}

/// A running role.
#[derive(Debug)]
pub(crate) struct Handle {
    /// Its name, for logs and errors.
    pub(crate) name: &'static str,
    /// Where it listens, if it does.
    pub(crate) address: Option<SocketAddr>,
    task: Option<JoinHandle<Result<()>>>,
}

impl Handle {
    /// Starts `work` as the role `name`.
    fn spawn(
        name: &'static str,
        address: Option<SocketAddr>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        Self { name, address, task: Some(tokio::spawn(work)) }
    }

    /// Waits until the role has ended, and says how it ended to the first who asks; errors and panics name the role.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let ended = task.await.unwrap_or_else(|_| Err(anyhow!("it panicked; the log says where")));
        self.task = None;
        ended.with_context(|| format!("role {}", self.name))
    }
}

/// Binds the address of a configuration key.
async fn bind(key: &str, listen: &str) -> Result<(TcpListener, SocketAddr)> {
    let address = parse_listen(listen).map_err(anyhow::Error::msg)?;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("{key}: cannot listen on {address}; another address can be set with --set {key}=…")
    })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
