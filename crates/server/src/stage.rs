//! What the roles of this process stand on: built once from the configuration, as far as one of them needs it.

use std::sync::{Arc, OnceLock};

use anyhow::Result;
use nephometer_api::limits::Limits;
use nephometer_drivers::{AlarmStore, Indexer, MeasureStore};
use nephometer_link::Link;
use nephometer_model::Clock;
use nephometer_openstack::policy::{ALARM_RULES, METRIC_RULES};
use nephometer_polling::AgentHandle;
use tokio::sync::Notify;

use crate::certificates::Certificates;
use crate::collection::Outlet;
use crate::config::Config;
use crate::identity::Recognition;
use crate::policy_file::PolicyFile;
use crate::roles::Shutdown;
use crate::telemetry::Telemetry;
use crate::watcher::{AtAlarms, Watched, WatchedStore, Watcher};
use crate::wiring::Parts;

/// See above.
pub(crate) struct Stage<'a> {
    pub(crate) config: &'a Config,
    pub(crate) parts: &'a Parts,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) recognition: Recognition,
    pub(crate) limits: Arc<Limits>,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Rules of the metric API.
    pub(crate) policy: Arc<PolicyFile>,
    /// Rules of the alarm API.
    pub(crate) alarm_policy: Arc<PolicyFile>,
    /// To the process that holds the measure store, where this one does not and another is configured.
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) watcher: Arc<Watcher>,
    /// Woken when there is something to deliver.
    pub(crate) deliveries: Arc<Notify>,
    /// The polling agent, where this process has one.
    pub(crate) polling: Arc<OnceLock<AgentHandle>>,
    /// What samples of this process go out by.
    pub(crate) outlet: Arc<OnceLock<Arc<dyn Outlet>>>,
    /// What works at alarms in this process.
    pub(crate) at_alarms: Arc<AtAlarms>,
    pub(crate) shutdown: Shutdown,
}

impl<'a> Stage<'a> {
    /// Reads the files of rules; asks nobody but Keystone, in the background.
    pub(crate) fn build(
        config: &'a Config,
        parts: &'a Parts,
        certificates: Arc<Certificates>,
        shutdown: Shutdown,
    ) -> Result<Self> {
        let clock = Arc::clone(&parts.clock) as Arc<dyn Clock>;
        let recognition = Recognition::open(config, Arc::clone(&clock))?;
        recognition.greet_keystone();
        let limits = Arc::new(Limits::new(config.limits.settings(), Arc::clone(&clock)));
        let telemetry = Arc::new(Telemetry::new(Arc::clone(&clock)));
        let polling = Arc::new(OnceLock::new());
        let outlet = Arc::new(OnceLock::new());
        let at_alarms = Arc::new(AtAlarms::default());
        let store = parts.store.as_ref().map(|store| WatchedStore {
            store: Arc::clone(&store.engine) as Arc<dyn MeasureStore>,
            service: Arc::clone(&store.service),
            indexer: Arc::clone(&store.index) as Arc<dyn Indexer>,
        });
        let link = match parts.store {
            Some(_) => None,
            None => config.measure_link.open()?.map(Arc::new),
        };
        let watcher = Watcher::new(Watched {
            telemetry: Arc::clone(&telemetry),
            store,
            alarms: parts.index.clone().map(|index| index as Arc<dyn AlarmStore>),
            at_alarms: Arc::clone(&at_alarms),
            polling: Arc::clone(&polling),
            outlet: Arc::clone(&outlet),
            link: link.clone(),
            keystone: recognition.keystone.clone(),
            limits: Arc::clone(&limits),
            certificates: Arc::clone(&certificates),
            clock,
        });
        Ok(Self {
            config,
            parts,
            certificates,
            recognition,
            limits,
            telemetry,
            policy: Arc::new(PolicyFile::load(&METRIC_RULES, &config.policy)?),
            alarm_policy: Arc::new(PolicyFile::load(&ALARM_RULES, &config.alarm_policy)?),
            link,
            watcher: Arc::new(watcher),
            deliveries: Arc::default(),
            polling,
            outlet,
            at_alarms,
            shutdown,
        })
    }

    /// The time.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.parts.clock) as Arc<dyn Clock>
    }

    /// Alarms in the index, where the role that asks stands on it.
    pub(crate) fn alarm_store(&self) -> Result<Arc<dyn AlarmStore>> {
        Ok(Arc::clone(self.parts.index()?) as Arc<dyn AlarmStore>)
    }
}
