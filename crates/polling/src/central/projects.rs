//! Projects, and addresses of services, as what is polled.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{CloudCall, CloudReader};
use serde_json::Value;

use super::{CentralSettings, pages};
use crate::{Cycle, Discovery, DiscoveryError, Plugins, Resource};

/// `tenant` and `endpoint`.
pub(super) fn plugins(settings: &CentralSettings, cloud: &Arc<dyn CloudReader>) -> Plugins {
    let projects = Projects { cloud: Arc::clone(cloud), only_enabled: settings.ignore_disabled_projects };
    let endpoints = Endpoints { cloud: Arc::clone(cloud) };
    Plugins { discoveries: vec![Arc::new(projects), Arc::new(endpoints)], ..Plugins::default() }
}

/// Every project of every domain.
struct Projects {
    cloud: Arc<dyn CloudReader>,
    only_enabled: bool,
}

impl Projects {
    async fn list(&self, path: &str, key: &str, domain: Option<&str>) -> Result<Vec<Value>, DiscoveryError> {
        let mut call = CloudCall::get("identity", path);
        if let Some(domain) = domain {
            call = call.query("domain_id", domain);
        }
        if self.only_enabled {
            call = call.query("enabled", "true");
        }
        pages::read_all(self.cloud.as_ref(), call, key, None).await
    }
}

#[async_trait]
impl Discovery for Projects {
    fn name(&self) -> &str {
        "tenant"
    }

    async fn discover(&self, _: &Cycle, _: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        let mut projects = Vec::new();
        for domain in self.list("/domains", "domains", None).await? {
            let Some(domain) = domain["id"].as_str() else { continue };
            projects.extend(self.list("/projects", "projects", Some(domain)).await?);
        }
        let resources = projects.into_iter().filter_map(|project| {
            let id = project["id"].as_str()?.to_owned();
            Some(Resource::from_json(id, project))
        });
        Ok(resources.collect())
    }
}

/// The addresses of the type of service that polling.yaml names.
struct Endpoints {
    cloud: Arc<dyn CloudReader>,
}

#[async_trait]
impl Discovery for Endpoints {
    fn name(&self) -> &str {
        "endpoint"
    }

    async fn discover(&self, _: &Cycle, parameter: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        let Some(service_type) = parameter.filter(|text| !text.is_empty()) else {
            let reason = "`endpoint` wants the type of a service, as in `endpoint:compute`";
            return Err(DiscoveryError::Failed(reason.to_owned()));
        };
        let urls = self.cloud.endpoints(service_type).await?;
        if urls.is_empty() {
            tracing::warn!(service_type, "the catalogue has no such endpoint");
        }
        Ok(urls.into_iter().map(Resource::from_id).collect())
    }
}
