//! `serve`: every role in one process, from the lock of the data directory to the last flush.

use std::sync::Arc;

use anyhow::{Context, Result};
use nephometer_alarm::evaluate::Evaluator;
use nephometer_api::limits::Limits;
use nephometer_drivers::{AlarmStore, Indexer, MeasureStore, PolicyEnforcer};
use nephometer_model::{Clock, SystemClock};
use nephometer_openstack::policy::{ALARM_RULES, METRIC_RULES};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::alarms::Alarms;
use crate::certificates::Certificates;
use crate::cli::{GlobalArgs, ServeArgs};
use crate::config::{AuthMode, Config};
use crate::identity::Recognition;
use crate::logging;
use crate::policy_file::PolicyFile;
use crate::roles::{
    Handle, Shutdown, Stop, admin, alarm_api, alarm_expirer, bus_listener, evaluator, expirer, metric_api,
    notifier, reload, self_monitoring, statsd,
};
use crate::run_file::{DataDirLock, RunFile};
use crate::telemetry::Telemetry;
use crate::watcher::{Watched, Watcher};
use crate::wiring::Parts;

use super::{load_config, say};

/// Tasks that a busy thread runs before it looks for what has arrived meanwhile. Under full load a task is a large write
/// as a rule: with tokio's own 61 a small read would wait for milliseconds to be noticed.
const EVENT_INTERVAL: u32 = 7;

/// Runs until SIGTERM, SIGINT or the failure of a role.
pub(super) fn run(args: &ServeArgs, global: &GlobalArgs) -> Result<()> {
    let config = load_config(global)?;
    logging::start(&config.log)?;
    let lock = DataDirLock::acquire(&config.storage.data_dir)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().event_interval(EVENT_INTERVAL).build()?;
    runtime.block_on(serve(&config, args.hasten.unwrap_or_default(), &lock))
}

async fn serve(config: &Config, clock: SystemClock, lock: &DataDirLock) -> Result<()> {
    let mut signals = Signals::install()?;
    let parts = Parts::open(config, clock).await?;
    let outcome = run_roles(config, lock, &parts, &mut signals).await;
    parts.close().await.context("the last flush")?;
    tracing::info!("stopped");
    outcome
}

/// Starts the roles, says so, and stops them when a signal or the end of one of them asks for it.
async fn run_roles(config: &Config, lock: &DataDirLock, parts: &Parts, signals: &mut Signals) -> Result<()> {
    let (stop, shutdown) = Stop::new();
    let clock = Arc::clone(&parts.clock) as Arc<dyn Clock>;
    let certificates = Arc::new(Certificates::open(config, &clock)?);
    let mut roles = start_roles(config, parts, &certificates, &shutdown).await?;
    let outcome = match announce(config, lock, &roles, &certificates) {
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

fn announce(
    config: &Config,
    lock: &DataDirLock,
    roles: &[Handle],
    certificates: &Certificates,
) -> Result<()> {
    let run = run_file(roles, certificates)?;
    lock.write_run_file(&run)?;
    say(&greeting(config, roles, &run))
}

/// What several roles stand on.
struct Common<'a> {
    config: &'a Config,
    parts: &'a Parts,
    certificates: &'a Arc<Certificates>,
    recognition: Recognition,
    limits: Arc<Limits>,
    telemetry: Arc<Telemetry>,
    shutdown: &'a Shutdown,
}

async fn start_roles(
    config: &Config,
    parts: &Parts,
    certificates: &Arc<Certificates>,
    shutdown: &Shutdown,
) -> Result<Vec<Handle>> {
    let clock = Arc::clone(&parts.clock) as Arc<dyn Clock>;
    let recognition = Recognition::open(config, Arc::clone(&clock))?;
    recognition.greet_keystone();
    let limits = Arc::new(Limits::new(config.limits.settings(), Arc::clone(&clock)));
    let telemetry = Arc::new(Telemetry::new(clock));
    let common = Common { config, parts, certificates, recognition, limits, telemetry, shutdown };
    let policy = Arc::new(PolicyFile::load(&METRIC_RULES, &config.policy)?);
    let alarm_policy = Arc::new(PolicyFile::load(&ALARM_RULES, &config.alarm_policy)?);
    let enforcer = Arc::clone(&alarm_policy) as Arc<dyn PolicyEnforcer>;
    let alarms = Alarms::build(config, parts, common.recognition.session.as_ref(), enforcer)?;
    let mut roles = Vec::new();
    if config.expirer.is_wanted() {
        let service = Arc::clone(&parts.service);
        roles.push(expirer::start(service, &config.expirer, shutdown.clone()).await?);
    }
    roles.push(common.metric_api(Arc::clone(&policy) as Arc<dyn PolicyEnforcer>).await?);
    let watcher = common.watcher(alarms.evaluator.as_ref());
    roles.extend(common.alarms(alarms).await?);
    if !config.admin.listen.is_empty() {
        let tls = certificates.of("admin");
        roles.push(admin::start(Arc::clone(&watcher), &config.admin.listen, tls, shutdown.clone()).await?);
    }
    roles.extend(common.measurers(watcher).await?);
    roles.push(reload::start([policy, alarm_policy], Arc::clone(certificates), shutdown.clone())?);
    Ok(roles)
}

impl Common<'_> {
    fn watcher(&self, evaluator: Option<&Evaluator>) -> Arc<Watcher> {
        let parts = self.parts;
        Arc::new(Watcher::new(Watched {
            telemetry: Arc::clone(&self.telemetry),
            indexer: Arc::clone(&parts.index) as Arc<dyn Indexer>,
            store: Arc::clone(&parts.engine) as Arc<dyn MeasureStore>,
            service: Arc::clone(&parts.service),
            alarms: Arc::clone(&parts.index) as Arc<dyn AlarmStore>,
            evaluator: evaluator.map(Evaluator::handle),
            keystone: self.recognition.keystone.clone(),
            limits: Arc::clone(&self.limits),
            certificates: Arc::clone(self.certificates),
            clock: Arc::clone(&parts.clock) as Arc<dyn Clock>,
        }))
    }

    async fn metric_api(&self, enforcer: Arc<dyn PolicyEnforcer>) -> Result<Handle> {
        let deps = metric_api::Deps {
            service: Arc::clone(&self.parts.service),
            authenticator: Arc::clone(&self.recognition.authenticator),
            enforcer,
            limits: Arc::clone(&self.limits),
            telemetry: Arc::clone(&self.telemetry),
            tls: self.certificates.of("metric_api"),
        };
        metric_api::start(deps, &self.config.metric_api, self.shutdown.clone()).await
    }

    /// What decides, tells and forgets, and the alarm API, as far as they are wanted.
    async fn alarms(&self, alarms: Alarms) -> Result<Vec<Handle>> {
        let store = Arc::clone(&self.parts.index) as Arc<dyn AlarmStore>;
        let clock = Arc::clone(&self.parts.clock) as Arc<dyn Clock>;
        let mut roles = vec![alarm_expirer::start(store, clock, &self.config.alarm, self.shutdown.clone())];
        if let Some(dispatcher) = alarms.dispatcher {
            roles.push(notifier::start(dispatcher, self.shutdown.clone()));
        }
        for inbox in alarms.inboxes {
            roles.push(bus_listener::start(inbox, self.shutdown.clone()));
        }
        if let Some(evaluator) = alarms.evaluator {
            roles.push(evaluator::start(evaluator, self.shutdown.clone()));
        }
        let settings = &self.config.alarm_api;
        if settings.is_on() {
            let deps = alarm_api::Deps {
                service: alarms.service,
                authenticator: Arc::clone(&self.recognition.of_alarms),
                limits: Arc::clone(&self.limits),
                ids: Arc::clone(&self.parts.clock) as _,
                telemetry: Arc::clone(&self.telemetry),
                tls: self.certificates.of("alarm_api"),
            };
            roles.push(alarm_api::start(deps, settings, self.shutdown.clone()).await?);
        }
        Ok(roles)
    }

    /// What brings measures in by itself, as far as it is wanted.
    async fn measurers(&self, watcher: Arc<Watcher>) -> Result<Vec<Handle>> {
        let Self { config, parts, shutdown, .. } = self;
        let mut roles = Vec::new();
        if config.statsd.enabled {
            let service = Arc::clone(&parts.service);
            let tls = self.certificates.of("statsd");
            roles.push(statsd::start(service, &config.statsd, tls, (*shutdown).clone()).await?);
        }
        if config.self_monitoring.enabled {
            let data_dir = config.storage.data_dir.clone();
            let deps = self_monitoring::Deps { service: Arc::clone(&parts.service), watcher, data_dir };
            roles.push(self_monitoring::start(deps, &config.self_monitoring, (*shutdown).clone()));
        }
        Ok(roles)
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

fn address(roles: &[Handle], name: &str) -> Option<std::net::SocketAddr> {
    roles.iter().find(|role| role.name == name).and_then(|role| role.address)
}

fn run_file(roles: &[Handle], certificates: &Certificates) -> Result<RunFile> {
    Ok(RunFile {
        tls: roles
            .iter()
            .map(|role| role.name.to_owned())
            .filter(|name| certificates.of(name).is_some())
            .collect(),
        pid: std::process::id(),
        metric_api: address(roles, "metric_api").context("the metric API has an address")?,
        alarm_api: address(roles, "alarm_api"),
        admin: address(roles, "admin"),
    })
}

/// What a person who started the program wants to know.
fn greeting(config: &Config, roles: &[Handle], run: &RunFile) -> String {
    let mut text = format!(
        "Nephometer {} is ready; its data is in {}\n",
        env!("CARGO_PKG_VERSION"),
        config.storage.data_dir.display()
    );
    let statsd = if config.statsd.udp { "statsd (UDP and TCP)" } else { "statsd (TCP)" };
    let lines = [
        ("metric_api", "metric API (Gnocchi v1)", "/"),
        ("alarm_api", "alarm API (Aodh v2)", "/"),
        ("statsd", statsd, ""),
        ("admin", "own metrics", "/metrics"),
    ];
    for (name, title, path) in lines {
        if let Some(address) = address(roles, name) {
            let scheme = if path.is_empty() { String::new() } else { format!("{}://", run.scheme(name)) };
            text.push_str(&format!("  {title:<24} {scheme}{address}{path}\n"));
        }
    }
    let next = match config.metric_api.auth_mode {
        AuthMode::Keystone => {
            "python-openstackclient gnocchiclient && openstack metric resource list".to_owned()
        }
        _ => format!("gnocchiclient && gnocchi --endpoint {} resource list", run.metric_api_url()),
    };
    text.push_str(&format!("Next:  pip install {next}\n"));
    text
}
