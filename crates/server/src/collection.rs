//! Builds what polling stands on: what the namespaces offer, the plan, the agent.

pub(crate) mod dynamic;
pub(crate) mod files;
mod namespaces;
mod outlet;
mod piped;
mod sinks;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use nephometer_drivers::{CloudReader, LeaseStore};
use nephometer_model::{Clock, IdSource as _, SystemClock};
use nephometer_openstack::keystone::Session;
use nephometer_openstack::services::CloudSession;
use nephometer_pipeline::SampleSink;
use nephometer_polling::{
    Agent, AgentHandle, AgentParts, Division, Exporter, Heartbeat, IdentityNames, Namespace, Plan,
    PollingConfig,
};

use crate::config::{Config, IndexPlace};
use crate::wiring::open_index;

pub(crate) use files::Definition;
pub(crate) use namespaces::KNOWN;
use namespaces::Opener;
pub(crate) use outlet::{Outlet, OutletCounts};
pub(crate) use piped::parsed;
pub(crate) use sinks::Outlets;

/// What an agent of this configuration can ask.
pub(crate) struct Collection {
    config: Arc<Config>,
    clock: Arc<SystemClock>,
    session: Option<Arc<Session>>,
    cloud: Option<Arc<dyn CloudReader>>,
    namespaces: Vec<Namespace>,
}

/// What an agent has beside where its samples go.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) exporter: Option<Arc<Exporter>>,
    pub(crate) heartbeat: Option<Heartbeat>,
}

impl Collection {
    /// What can be polled. Reads definitions; connects to nobody.
    pub(crate) fn open(config: &Config, clock: &Arc<SystemClock>) -> Result<Self> {
        Self::with(config, clock, false)
    }

    /// What could be polled, were everything there.
    pub(crate) fn open_to_show(config: &Config, clock: &Arc<SystemClock>) -> Result<Self> {
        Self::with(config, clock, true)
    }

    fn with(config: &Config, clock: &Arc<SystemClock>, shows_all: bool) -> Result<Self> {
        let by = Arc::clone(clock) as Arc<dyn Clock>;
        let session = config.service_credentials.open(&by)?;
        let pace = config.service_credentials.pace();
        let cloud = session.clone().map(|session| {
            Arc::new(CloudSession::new(session, Arc::clone(&by), pace)) as Arc<dyn CloudReader>
        });
        let opener = Opener { config, clock: &by, cloud: cloud.as_ref(), shows_all };
        let names = config.polling.namespaces();
        let namespaces = names.iter().map(|name| opener.open(name)).collect::<Result<_>>()?;
        Ok(Self { config: Arc::new(config.clone()), clock: Arc::clone(clock), session, cloud, namespaces })
    }

    /// What it was opened with.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// What the namespaces offer.
    pub(crate) fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    /// What the configuration's polling.yaml makes of them, and where that is.
    pub(crate) fn plan(&self) -> Result<(Plan, Definition)> {
        let definition = files::POLLING.find(&self.config.polling.cfg_file)?;
        let plan = self.plan_of(&definition)?;
        Ok((plan, definition))
    }

    /// What a polling.yaml makes of them.
    pub(crate) fn plan_of(&self, definition: &Definition) -> Result<Plan> {
        let config = PollingConfig::parse(&definition.text).with_context(|| definition.place())?;
        Ok(Plan::new(&config, &self.namespaces))
    }

    /// An agent that follows `plan` and hands samples to `sink`.
    pub(crate) fn agent(
        &self,
        plan: Plan,
        sink: Arc<dyn SampleSink>,
        division: Division,
        extras: Extras,
    ) -> (Agent, AgentHandle) {
        let clock = || Arc::clone(&self.clock) as Arc<dyn Clock>;
        let cloud = self.cloud.clone().filter(|_| self.config.polling.identity_name_discovery);
        let parts = AgentParts {
            sink,
            clock: clock(),
            ids: Arc::clone(&self.clock) as _,
            division,
            exporter: extras.exporter,
            names: cloud.map(|cloud| IdentityNames::new(cloud, clock())),
            heartbeat: extras.heartbeat,
        };
        Agent::new(parts, self.config.polling.agent(), plan)
    }

    /// How work is divided: among all agents that share a PostgreSQL, else not at all. `index` is what this process has
    /// open already.
    pub(crate) async fn division(&self, index: Option<Arc<dyn LeaseStore>>) -> Result<Division> {
        let Self { config, clock, .. } = self;
        let is_shared = matches!(config.index.open(&config.storage.data_dir)?, IndexPlace::Postgres(_));
        if !config.polling.divide_work || !is_shared {
            return Ok(Division::alone(Arc::clone(clock) as _));
        }
        let store = match index {
            Some(index) => index,
            None => Arc::new(open_index(config, clock).await?) as _,
        };
        let prefix = &config.polling.partitioning_group_prefix;
        Ok(Division::among(store, Arc::clone(clock) as _, clock.uuid(), prefix))
    }
}
