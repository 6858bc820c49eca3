//! Runs the roles of a service in this process: from the lock of the data directory, where one of them stands on it, to the
//! last flush.

mod greeting;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use nephometer_model::{Clock, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::certificates::Certificates;
use crate::cli::GlobalArgs;
use crate::config::Config;
use crate::roles::{Handle, Stop};
use crate::run_file::{DataDirLock, Place, RunFile};
use crate::services::Service;
use crate::stage::Stage;
use crate::wiring::Parts;
use crate::{logging, memory};

use super::{load_config, say};

/// Tasks that a busy thread runs before it looks for what has arrived meanwhile. Under full load a task is a large write
/// as a rule: with tokio's own 61 a small read would wait for milliseconds to be noticed.
const EVENT_INTERVAL: u32 = 7;

/// Runs `service` until SIGTERM, SIGINT or the failure of a role.
pub(super) fn run(service: &'static Service, clock: SystemClock, global: &GlobalArgs) -> Result<()> {
    let config = load_config(global)?;
    logging::start(&config.log)?;
    let process = Process { service, config: &config };
    let data_dir = &config.storage.data_dir;
    service.check(&config).with_context(|| format!("`{}` cannot run", service.name))?;
    let lock = service.has_store(&config).then(|| DataDirLock::acquire(data_dir)).transpose()?;
    let place = match &lock {
        Some(_) => Place::of_holder(data_dir),
        None => Place::beside(data_dir, service.name),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if service.spares_memory {
        memory::give_back_soon();
        // Each thread keeps some for itself.
        runtime.worker_threads(1);
    }
    let runtime = runtime.enable_all().event_interval(EVENT_INTERVAL).build()?;
    runtime.block_on(process.serve(clock, &place))
}

/// What this process is.
struct Process<'a> {
    service: &'static Service,
    config: &'a Config,
}

impl Process<'_> {
    async fn serve(&self, clock: SystemClock, place: &Place) -> Result<()> {
        let mut signals = Signals::install()?;
        let parts = Parts::open(self.config, clock, &self.service.grounds(self.config)).await?;
        let outcome = self.run_roles(place, &parts, &mut signals).await;
        parts.close().await.context("the last flush")?;
        tracing::info!("stopped");
        outcome
    }

    /// Starts the roles, says so, and stops them when a signal or the end of one of them asks for it.
    async fn run_roles(&self, place: &Place, parts: &Parts, signals: &mut Signals) -> Result<()> {
        let (stop, shutdown) = Stop::new();
        let clock = Arc::clone(&parts.clock) as Arc<dyn Clock>;
        let wanted = self.service.roles(self.config);
        let certificates = Arc::new(Certificates::open(self.config, &clock, &wanted)?);
        let stage = Stage::build(self.config, parts, certificates, shutdown)?;
        let mut roles = Vec::with_capacity(wanted.len());
        for role in wanted {
            roles.push((role.start)(&stage).await?);
        }
        let outcome = match self.announce(place, &roles, &stage.certificates) {
            Ok(()) => until_stopped(&mut roles, signals).await,
            failed => failed,
        };
        stop.request();
        tracing::info!("stopping");
        for role in &mut roles {
            if let Err(error) = role.ended().await {
                tracing::error!("{error:#}");
            }
        }
        outcome
    }

    fn announce(&self, place: &Place, roles: &[Handle], certificates: &Certificates) -> Result<()> {
        let run = self.run_file(roles, certificates);
        place.write(&run)?;
        say(&greeting::greeting(self.config, roles, &run))
    }

    fn run_file(&self, roles: &[Handle], certificates: &Certificates) -> RunFile {
        RunFile {
            service: self.service.name.to_owned(),
            roles: roles.iter().map(|role| role.name.to_owned()).collect(),
            tls: roles
                .iter()
                .map(|role| role.name.to_owned())
                .filter(|name| certificates.of(name).is_some())
                .collect(),
            pid: std::process::id(),
            metric_api: address(roles, "metric_api"),
            alarm_api: address(roles, "alarm_api"),
            admin: address(roles, "admin"),
        }
    }
}

/// What asks the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

/// Waits for a signal, or for a role that ends though nobody told it to.
async fn until_stopped(roles: &mut [Handle], signals: &mut Signals) -> Result<()> {
    let ends = roles.iter_mut().map(|role| Box::pin(role.ended()));
    tokio::select! {
        _ = signals.terminate.recv() => Ok(()),
        _ = signals.interrupt.recv() => Ok(()),
        (ended, ..) = futures::future::select_all(ends) => ended.context("a role ended before it was told to"),
    }
}

fn address(roles: &[Handle], name: &str) -> Option<SocketAddr> {
    roles.iter().find(|role| role.name == name).and_then(|role| role.address)
}
