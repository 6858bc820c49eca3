//! The polling agent: asks what is on this host, or in the cloud, at the intervals of polling.yaml, which it follows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::header;
use futures::future::join_all;
use nephometer_api::{HttpSettings, serve};
use nephometer_drivers::LeaseStore;
use nephometer_polling::{AgentHandle, Exporter, Heartbeat, TEXT_FORMAT};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

use crate::collection::files::POLLING;
use crate::collection::{Collection, Definition, Extras, Outlet, Outlets};
use crate::stage::Stage;

use super::{Handle, Role, bind};

/// Where what waits to be published, and what pipelines remember, is in the data directory.
const SAMPLES_NAME: &str = "samples";
/// How often polling.yaml is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Few ask for what the exporter shows; more have to wait.
const MAX_CONNECTIONS: usize = 64;

/// Wanted where `polling.enabled` is.
pub(crate) static ROLE: Role = Role {
    name: "polling",
    stands_on: &[],
    is_wanted: |config| config.polling.enabled,
    start: |stage| Box::pin(start(stage)),
};

/// What runs beside the agent.
struct Beside {
    exporter: Option<Arc<Exporter>>,
    listeners: Vec<TcpListener>,
    heartbeat: Option<(Heartbeat, UnixListener)>,
}

/// Polls until the process stops.
async fn start(stage: &Stage<'_>) -> Result<Handle> {
    let settings = &stage.config.polling;
    let collection = Collection::open(stage.config, &stage.parts.clock)?;
    let (plan, definition) = collection.plan()?;
    tracing::info!(namespaces = settings.namespaces.join(","), "polling by {}", definition.place());
    let (beside, address) = Beside::open(stage).await?;
    let index = stage.parts.index.clone().map(|index| index as Arc<dyn LeaseStore>);
    let division = collection.division(index).await?;
    let extras = Extras {
        exporter: beside.exporter.clone(),
        heartbeat: beside.heartbeat.as_ref().map(|(heartbeat, _)| heartbeat.clone()),
    };
    let service = stage.parts.store.as_ref().map(|store| &store.service);
    let sink = Outlets { collection: &collection, service, directory: own_directory(stage) }.open()?;
    drop(stage.outlet.set(Arc::clone(&sink)));
    let (agent, handle) = collection.agent(plan, Arc::clone(&sink) as _, division, extras);
    drop(stage.polling.set(handle.clone()));
    let follower = Follower { collection, definition, agent: handle, sink };
    let (tls, shutdown) = (stage.certificates.of(ROLE.name), stage.shutdown.clone());
    Ok(Handle::spawn(ROLE.name, address, async move {
        let Beside { exporter, listeners, heartbeat } = beside;
        let serving = listeners.into_iter().map(|listener| {
            let router = show(exporter.clone().unwrap_or_default());
            let http = HttpSettings {
                max_connections: MAX_CONNECTIONS,
                stop_timeout: Duration::from_secs(1),
                ..HttpSettings::default()
            };
            let (tls, shutdown) = (tls.clone(), shutdown.clone());
            async move { serve(listener, tls, router, http, shutdown.requested()).await }
        });
        let told = async {
            match heartbeat {
                Some((heartbeat, listener)) => heartbeat.serve(listener).await,
                None => std::future::pending().await,
            }
        };
        let following = async {
            tokio::select! {
                ended = follower.follow() => ended,
                () = told => Ok(()),
                () = shutdown.requested() => Ok(()),
            }
        };
        let (followed, served, ()) =
            tokio::join!(following, join_all(serving), agent.run(shutdown.requested()));
        for served in served {
            served?;
        }
        followed
    }))
}

/// A place of this process's own: several may share a data directory.
fn own_directory(stage: &Stage<'_>) -> PathBuf {
    let mut namespaces = stage.config.polling.namespaces();
    namespaces.sort();
    let name = match &stage.parts.store {
        Some(_) => "serve".to_owned(),
        None => format!("polling-{}", namespaces.join("-")),
    };
    stage.config.storage.data_dir.join(SAMPLES_NAME).join(name)
}

impl Beside {
    /// Binds what is to listen, and where the exporter does.
    async fn open(stage: &Stage<'_>) -> Result<(Self, Option<SocketAddr>)> {
        let settings = &stage.config.polling;
        let mut beside = Self { exporter: None, listeners: Vec::new(), heartbeat: None };
        let mut first = None;
        if settings.enable_prometheus_exporter {
            beside.exporter = Some(Arc::default());
            for listen in &settings.prometheus_listen_addresses {
                let (listener, address) = bind("polling.prometheus_listen_addresses", listen).await?;
                first = first.or(Some(address));
                beside.listeners.push(listener);
            }
        }
        if let Some(directory) = settings.heartbeat_dir() {
            let path = Heartbeat::socket_path(directory, &settings.namespaces());
            let listener = Heartbeat::bind(&path).context("polling.heartbeat_socket_dir")?;
            beside.heartbeat = Some((Heartbeat::default(), listener));
        }
        Ok((beside, first))
    }
}

/// The exporter's text, whatever the path.
fn show(exporter: Arc<Exporter>) -> Router {
    Router::new().fallback(move || async move { ([(header::CONTENT_TYPE, TEXT_FORMAT)], exporter.render()) })
}

/// What was said last of something that is looked at again and again.
#[derive(Default)]
struct Complaint(Option<String>);

impl Complaint {
    /// Says what is wrong and what follows, unless that was said the last time.
    fn hear(&mut self, outcome: Result<()>, consequence: &str) {
        let said = self.0.take();
        let Err(error) = outcome else { return };
        let error = format!("{error:#}");
        if said.as_ref() != Some(&error) {
            tracing::error!("{error}; {consequence}");
        }
        self.0 = Some(error);
    }
}

/// Gives the agent new plans when polling.yaml changes.
struct Follower {
    collection: Collection,
    definition: Definition,
    agent: AgentHandle,
    sink: Arc<dyn Outlet>,
}

impl Follower {
    async fn follow(mut self) -> Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        let mut looks = tokio::time::interval(LOOK);
        let (mut of_polling, mut of_pipelines) = (Complaint::default(), Complaint::default());
        loop {
            tokio::select! {
                _ = hangups.recv() => {}
                _ = looks.tick() => {}
            }
            of_polling.hear(self.look(), "polling goes on as it was");
            of_pipelines.hear(self.sink.look().await, "pipelines go on as they were");
        }
    }

    fn look(&mut self) -> Result<()> {
        let definition = POLLING.find(&self.collection.config().polling.cfg_file)?;
        if definition == self.definition {
            return Ok(());
        }
        // A file with a mistake is told of once.
        self.definition = definition;
        self.agent.follow(self.collection.plan_of(&self.definition)?);
        tracing::info!("read {} again", self.definition.place());
        Ok(())
    }
}
