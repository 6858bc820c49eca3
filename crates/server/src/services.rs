//! Services: which roles a process runs. Each is a subcommand; `serve` is the one with all of them.

use std::fmt;

use anyhow::{Context as _, Result, bail};

use crate::config::Config;
use crate::roles::{
    self, Ground, Role, admin, alarm_api, alarm_expirer, bus_listener, evaluator, expirer, measure_link,
    metric_api, notifier, polling, reload, self_monitoring, statsd,
};

/// What a process is.
pub(crate) struct Service {
    /// The subcommand.
    pub(crate) name: &'static str,
    /// Roles that run whatever the configuration wants.
    core: &'static [&'static Role],
    /// Roles that run beside them where the configuration wants them.
    beside: &'static [&'static Role],
    /// Whether it runs beside others' work and waits most of the time: memory counts more than speed.
    pub(crate) spares_memory: bool,
}

/// Every role in one process.
pub(crate) static SERVE: Service =
    Service { name: "serve", core: &[&metric_api::ROLE], beside: &roles::ALL, spares_memory: false };

/// The APIs, and what must live beside the embedded store.
pub(crate) static API: Service = Service {
    name: "api",
    core: &[&metric_api::ROLE],
    beside: &[&alarm_api::ROLE, &measure_link::ROLE, &expirer::ROLE, &statsd::ROLE, &self_monitoring::ROLE],
    spares_memory: false,
};

/// The alarm API alone.
pub(crate) static ALARM_API: Service =
    Service { name: "alarm-api", core: &[&alarm_api::ROLE], beside: &[], spares_memory: false };

/// Decides alarms.
pub(crate) static EVALUATOR: Service =
    Service { name: "evaluator", core: &[&evaluator::ROLE], beside: &[], spares_memory: false };

/// Hears events.
pub(crate) static LISTENER: Service =
    Service { name: "listener", core: &[&bus_listener::LISTENER], beside: &[], spares_memory: false };

/// Carries messages, those of upstream's evaluators among them.
pub(crate) static NOTIFIER: Service = Service {
    name: "notifier",
    core: &[&notifier::ROLE],
    beside: &[&bus_listener::NOTIFIER_INBOX],
    spares_memory: false,
};

/// Forgets what is old of alarms.
pub(crate) static EXPIRER: Service =
    Service { name: "expirer", core: &[&alarm_expirer::ROLE], beside: &[], spares_memory: false };

/// Asks what is there.
pub(crate) static POLLING: Service =
    Service { name: "polling", core: &[&polling::ROLE], beside: &[], spares_memory: true };

/// All services.
pub(crate) static ALL: [&Service; 8] =
    [&SERVE, &API, &ALARM_API, &EVALUATOR, &LISTENER, &NOTIFIER, &EXPIRER, &POLLING];

/// In every process.
static EVERYWHERE: [&Role; 2] = [&admin::ROLE, &reload::ROLE];

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Service {
    /// Its roles under this configuration, in the order in which they start.
    pub(crate) fn roles(&self, config: &Config) -> Vec<&'static Role> {
        let is_in = |role: &Role, list: &[&Role]| list.iter().any(|other| other.name == role.name);
        let runs = |role: &Role| {
            let beside = is_in(role, self.beside) || is_in(role, &EVERYWHERE);
            is_in(role, self.core) || (beside && (role.is_wanted)(config))
        };
        roles::ALL.into_iter().filter(|role| runs(role)).collect()
    }

    /// What its roles stand on.
    pub(crate) fn grounds(&self, config: &Config) -> Vec<Ground> {
        let mut grounds = Vec::new();
        for ground in self.roles(config).iter().flat_map(|role| role.stands_on) {
            if !grounds.contains(ground) {
                grounds.push(*ground);
            }
        }
        grounds
    }

    /// Whether this process holds the data directory.
    pub(crate) fn has_store(&self, config: &Config) -> bool {
        self.grounds(config).contains(&Ground::Store)
    }

    /// Fails where the configuration lacks what the service stands on.
    pub(crate) fn check(&self, config: &Config) -> Result<()> {
        for role in self.roles(config) {
            for ground in role.stands_on {
                ground.check(self, config).with_context(|| format!("role {}", role.name))?;
            }
        }
        Ok(())
    }
}

impl Ground {
    /// Fails where the configuration has nothing of it for `service`; connects to nobody.
    fn check(self, service: &Service, config: &Config) -> Result<()> {
        match self {
            Self::Bus if !config.messaging.is_on() => {
                bail!("it hears the message bus: set messaging.transport_url")
            }
            Self::Index if !service.has_store(config) => config.index.check_shared(&config.storage.data_dir),
            Self::Measures
                if !service.has_store(config)
                    && !config.measure_link.leads_somewhere()
                    && !config.asks_keystone() =>
            {
                bail!(
                    "it reads measures that another process holds: set measure_link (listen there, url here), or have \
                     Keystone name a Gnocchi"
                )
            }
            _ => Ok(()),
        }
    }
}
