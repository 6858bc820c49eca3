//! Roles: parts of the program that run until they are told to stop. Each says in a file of its own what it stands on and
//! how it starts, owns its listener and its task, and reports its end through its [`Handle`]. Which of them run in a
//! process is the business of `services`.

pub(crate) mod admin;
pub(crate) mod alarm_api;
pub(crate) mod alarm_expirer;
pub(crate) mod bus_listener;
pub(crate) mod evaluator;
pub(crate) mod expirer;
pub(crate) mod measure_link;
pub(crate) mod metric_api;
pub(crate) mod notifier;
pub(crate) mod polling;
pub(crate) mod reload;
pub(crate) mod self_monitoring;
pub(crate) mod statsd;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Config, parse_listen};
use crate::stage::Stage;

/// What a role stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The measure store: this process holds the data directory, which one process at a time can.
    Store,
    /// The index: SQLite's file on this host, or PostgreSQL.
    Index,
    /// Measures to be read: those of the store in this process, else over `measure_link`, else of the Gnocchi that Keystone's
    /// catalogue names.
    Measures,
    /// The message bus.
    Bus,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "the measure store (holds storage.data_dir)",
            Self::Index => "the index",
            Self::Measures => "measures",
            Self::Bus => "the message bus",
        })
    }
}

/// A part of the program as it is known before it runs.
pub(crate) struct Role {
    /// Its name: of its handle, its listener, its section of the configuration.
    pub(crate) name: &'static str,
    /// All of this is there when it starts.
    pub(crate) stands_on: &'static [Ground],
    /// Whether the configuration wants it in a process that runs it only beside others.
    pub(crate) is_wanted: fn(&Config) -> bool,
    /// Starts it.
    pub(crate) start: for<'a> fn(&'a Stage<'a>) -> BoxFuture<'a, Result<Handle>>,
}

/// All roles in the order in which they start: what must not miss anything before what brings it, an evaluator before
/// the API that wakes it.
pub(crate) static ALL: [&Role; 14] = [
    &expirer::ROLE,
    &metric_api::ROLE,
    &measure_link::ROLE,
    &alarm_expirer::ROLE,
    &notifier::ROLE,
    &bus_listener::LISTENER,
    &bus_listener::NOTIFIER_INBOX,
    &evaluator::ROLE,
    &alarm_api::ROLE,
    &admin::ROLE,
    &statsd::ROLE,
    &polling::ROLE,
    &self_monitoring::ROLE,
    &reload::ROLE,
];

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
