//! What each namespace offers.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudReader};
use nephometer_model::Clock;
use nephometer_polling::central::{self, RadosGateway};
use nephometer_polling::compute::{self, ComputeParts};
use nephometer_polling::ipmi::{self, CommandRunner, IpmiSettings, IpmiTool};
use nephometer_polling::{LocalNode, Namespace, Plugins, snmp};

use crate::config::Config;

use super::dynamic;

/// Namespaces that have pollsters of their own.
pub(crate) const KNOWN: [&str; 3] = ["compute", "central", "ipmi"];

/// What namespaces are opened with.
pub(super) struct Opener<'a> {
    pub(super) config: &'a Config,
    pub(super) clock: &'a Arc<dyn Clock>,
    /// Where somebody can sign in.
    pub(super) cloud: Option<&'a Arc<dyn CloudReader>>,
    /// Whether what is not there is shown, too.
    pub(super) shows_all: bool,
}

impl Opener<'_> {
    /// The namespace `name`; of one that nobody knows there is nothing to poll, as upstream has it.
    pub(super) fn open(&self, name: &str) -> Result<Namespace> {
        let mut plugins = match name {
            "compute" => compute(self.config, self.cloud)?,
            "central" => with_machines(self.central()?),
            "ipmi" => ipmi(&self.config.ipmi),
            _ => Plugins::default(),
        };
        let cloud: Arc<dyn CloudReader> = match self.cloud {
            Some(cloud) => Arc::clone(cloud),
            None => Arc::new(NoCloud),
        };
        dynamic::add(&mut plugins, name, self.config, &cloud, self.clock)?;
        if !KNOWN.contains(&name) && plugins.pollsters.is_empty() {
            tracing::warn!("polling.namespaces: nothing is known of {name}");
        }
        plugins.discoveries.push(Arc::new(LocalNode::new(self.config.polling.host())));
        Ok(Namespace { name: name.into(), plugins })
    }

    /// The cloud's services; nothing where there is no cloud.
    fn central(&self) -> Result<Plugins> {
        let cloud = match self.cloud {
            Some(cloud) => Arc::clone(cloud),
            None if self.shows_all => Arc::new(NoCloud) as _,
            None => return Ok(Plugins::default()),
        };
        let Config { central, service_types, radosgw, .. } = self.config;
        let service_type = &service_types.radosgw;
        let gateway = if service_type.is_empty() && !self.shows_all {
            None
        } else {
            let clock = Arc::clone(self.clock);
            Some(
                RadosGateway::new(&radosgw.settings()?, service_type, Arc::clone(&cloud), clock)
                    .context("radosgw")?,
            )
        };
        Ok(central::plugins(&central.settings(service_types), &cloud, gateway))
    }
}

/// `plugins`, and the machines that polling.yaml names by their SNMP agents.
fn with_machines(mut plugins: Plugins) -> Plugins {
    plugins.pollsters.extend(snmp::plugins().pollsters);
    plugins
}

/// A cloud that nobody has signed in to.
struct NoCloud;

#[async_trait]
impl CloudReader for NoCloud {
    async fn endpoints(&self, _: &str) -> Result<Vec<String>, CloudError> {
        Ok(Vec::new())
    }

    async fn call(&self, _: &CloudCall) -> Result<CloudAnswer, CloudError> {
        Err(CloudError::NoService("service_credentials.auth_url is not set".to_owned()))
    }

    async fn project_id(&self) -> Result<Option<String>, CloudError> {
        Ok(None)
    }
}

/// This machine's sensors.
fn ipmi(settings: &IpmiSettings) -> Plugins {
    let tool: Arc<dyn CommandRunner> = Arc::new(IpmiTool::new(settings));
    ipmi::plugins(settings, &tool)
}

/// The guests of this host.
fn compute(config: &Config, cloud: Option<&Arc<dyn CloudReader>>) -> Result<Plugins> {
    let runtime_directory = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let inspector = compute::inspector(&config.compute, runtime_directory.as_deref());
    let parts = ComputeParts {
        host: config.polling.host(),
        inspector: Arc::new(inspector.context("compute.libvirt_uri")?),
        cloud: cloud.cloned(),
        nova_service_type: config.service_types.nova.clone(),
        user_metadata: config.user_metadata.clone(),
    };
    compute::plugins(&config.compute, parts).context("compute")
}
