//! Accounts and containers of Swift.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use nephometer_drivers::{CloudCall, CloudMethod, CloudReader, CloudTarget};
use nephometer_model::{Meter, Volume};
use serde_json::{Map, Value};

use super::accounts::{Reading, ask_all, gauge, sample};
use super::{CentralSettings, pages};
use crate::pollster::of_one_meter;
use crate::{Cycle, DiscoveryError, Plugins, PollError, Pollster, Resource, SampleOut};

/// Meters of accounts with the headers that tell them.
const OF_ACCOUNTS: [(&str, &str, &str); 3] = [
    ("storage.objects", "object", "x-account-object-count"),
    ("storage.objects.size", "B", "x-account-bytes-used"),
    ("storage.objects.containers", "container", "x-account-container-count"),
];
/// Meters of containers with the fields that tell them.
const OF_CONTAINERS: [(&str, &str, &str); 2] =
    [("storage.containers.objects", "object", "count"), ("storage.containers.objects.size", "B", "bytes")];

/// The meters of all projects' accounts.
pub(super) fn plugins(settings: &CentralSettings, cloud: &Arc<dyn CloudReader>) -> Plugins {
    let swift = Arc::new(Swift {
        cloud: Arc::clone(cloud),
        service_type: settings.service_types.swift.clone(),
        prefix: settings.reseller_prefix.clone(),
    });
    let pollster = |(name, unit, tells): (&str, &str, &'static str), of_containers| {
        let swift = Arc::clone(&swift);
        Arc::new(SwiftPollster { swift, meter: gauge(name, unit), tells, of_containers }) as Arc<dyn Pollster>
    };
    let accounts = OF_ACCOUNTS.into_iter().map(|row| pollster(row, false));
    let containers = OF_CONTAINERS.into_iter().map(|row| pollster(row, true));
    Plugins { pollsters: accounts.chain(containers).collect(), ..Plugins::default() }
}

/// The object store.
struct Swift {
    cloud: Arc<dyn CloudReader>,
    service_type: String,
    prefix: String,
}

/// What is known of an account: nothing where there is none.
type Known<T> = Result<Option<T>, DiscoveryError>;

impl Swift {
    /// Where a project's account is.
    async fn address(&self, project: &str) -> Result<String, DiscoveryError> {
        let endpoints = self.cloud.endpoints(&self.service_type).await?;
        let Some(endpoint) = endpoints.first() else {
            return Err(DiscoveryError::NoService(format!("the catalogue has no {}", self.service_type)));
        };
        let base = endpoint.split("/v1").next().unwrap_or_default().trim_end_matches('/');
        Ok(format!("{base}/v1/{}{}", self.prefix, pages::segment(project)))
    }

    /// The headers of an account.
    async fn head(&self, project: Arc<str>) -> Known<HeaderMap> {
        let address = self.address(&project).await?;
        let call = CloudCall { method: CloudMethod::Head, ..CloudCall::to(CloudTarget::Link(address)) };
        let answer = self.cloud.call(&call).await?;
        match answer.status {
            200..300 => Ok(Some(answer.headers)),
            404 => Ok(None),
            _ => Err(DiscoveryError::Failed(pages::refusal(&call, &answer))),
        }
    }

    /// All containers of an account; the server gives them by the page, and says how many there are.
    async fn containers(&self, project: Arc<str>) -> Known<Vec<Value>> {
        let address = self.address(&project).await?;
        let first = CloudCall::to(CloudTarget::Link(address)).query("format", "json");
        let (mut containers, mut call) = (Vec::new(), first.clone());
        loop {
            let answer = self.cloud.call(&call).await?;
            if answer.status == 404 {
                return Ok(None);
            }
            let total = header(&answer.headers, "x-account-container-count").unwrap_or(0);
            let page = match answer.status {
                204 => Vec::new(),
                _ => match pages::json(&call, &answer)? {
                    Value::Array(page) => page,
                    _ => return Err(DiscoveryError::Failed(format!("{project}: no list of containers"))),
                },
            };
            let last = page.last().and_then(|container| container["name"].as_str()).map(str::to_owned);
            containers.extend(page);
            match last {
                Some(last) if (containers.len() as u64) < total => {
                    call = first.clone().query("marker", &last)
                }
                _ => return Ok(Some(containers)),
            }
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// One meter of accounts or containers.
struct SwiftPollster {
    swift: Arc<Swift>,
    meter: Meter,
    /// The header or field with the reading.
    tells: &'static str,
    of_containers: bool,
}

impl SwiftPollster {
    /// What a project's account comes to.
    async fn read(&self, cycle: &Cycle, project: Arc<str>) -> Known<Vec<Reading>> {
        // All meters of a project in this round stand on the same answer.
        if self.of_containers {
            let key = format!("swift/containers/{project}");
            let known = cycle.shared(&key, || self.swift.containers(project)).await;
            let containers = known.as_ref().as_ref().map_err(Clone::clone)?;
            return Ok(containers
                .as_ref()
                .map(|all| all.iter().filter_map(|one| self.of_container(one)).collect()));
        }
        let known = cycle.shared(&format!("swift/head/{project}"), || self.swift.head(project)).await;
        let headers = known.as_ref().as_ref().map_err(Clone::clone)?;
        Ok(headers.as_ref().map(|all| header(all, self.tells).map(Reading::of_account).into_iter().collect()))
    }

    fn of_container(&self, container: &Value) -> Option<Reading> {
        let name = container["name"].as_str()?.to_owned();
        let policy = Map::from_iter([("storage_policy".to_owned(), container["storage_policy"].clone())]);
        let volume = Volume::from(container[self.tells].clone());
        Some(Reading { container: Some(name), volume, metadata: policy })
    }
}

#[async_trait]
impl Pollster for SwiftPollster {
    of_one_meter! {
        self,
        name: &self.meter.name,
        meter: self.meter,
        origin: if self.of_containers {
            "containers of each project's Swift account"
        } else {
            "each project's Swift account"
        },
        discovery: Some("tenant"),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        for (project, known) in ask_all(resources, |project| self.read(cycle, project)).await {
            match known {
                Ok(Some(readings)) => {
                    for reading in readings {
                        out.push(sample(cycle, &self.meter, &project, reading)).await?;
                    }
                }
                Ok(None) => tracing::debug!(meter = self.name(), %project, "has no account"),
                Err(DiscoveryError::NoService(reason)) => return Err(PollError::Failed(reason)),
                Err(DiscoveryError::Failed(reason)) => {
                    tracing::warn!(meter = self.name(), %project, reason, "not read");
                }
            }
        }
        Ok(())
    }
}
