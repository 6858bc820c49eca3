//! Accounts and buckets of a Ceph cluster's gateway, by its admin API.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nephometer_drivers::CloudReader;
use nephometer_model::{Clock, Meter, Volume};
use reqwest::{Certificate, Url};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::RadosGatewaySettings;
use super::accounts::{Reading, ask_all, gauge, sample};
use super::signature::{Keys, sign};
use crate::pollster::of_one_meter;
use crate::{Cycle, DiscoveryError, Plugins, PollError, Pollster, Resource, SampleOut};

/// How long the gateway may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why the gateway cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RadosGatewayError {
    /// The file with authorities.
    #[error("cafile: {0}")]
    Authorities(String),
    /// The client cannot be made.
    #[error("no HTTP client for the gateway: {0}")]
    Client(String),
}

/// A gateway's admin API.
pub struct RadosGateway {
    client: reqwest::Client,
    keys: Keys,
    implicit_tenants: bool,
    cloud: Arc<dyn CloudReader>,
    service_type: String,
    endpoint: OnceCell<Url>,
    clock: Arc<dyn Clock>,
}

impl RadosGateway {
    /// The gateway that `cloud` has in its catalogue under `service_type`, asked with the keys of `settings`. Reads the
    /// file with authorities.
    pub fn new(
        settings: &RadosGatewaySettings,
        service_type: &str,
        cloud: Arc<dyn CloudReader>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RadosGatewayError> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(settings.insecure);
        if !settings.cafile.is_empty() && !settings.insecure {
            builder = builder.tls_certs_only(authorities(Path::new(&settings.cafile))?);
        }
        let client = builder.build().map_err(|error| RadosGatewayError::Client(error.to_string()))?;
        let keys = Keys { access: settings.access_key.clone(), secret: settings.secret_key.clone() };
        let (implicit_tenants, service_type) = (settings.implicit_tenants, service_type.to_owned());
        Ok(Self { client, keys, implicit_tenants, cloud, service_type, endpoint: OnceCell::new(), clock })
    }

    /// The address of the admin API.
    async fn admin(&self) -> Result<&Url, DiscoveryError> {
        let find = || async {
            let endpoints = self.cloud.endpoints(&self.service_type).await?;
            let none = || DiscoveryError::NoService(format!("the catalogue has no {}", self.service_type));
            let mut url: Url = endpoints
                .first()
                .ok_or_else(none)?
                .parse()
                .map_err(|error| DiscoveryError::Failed(format!("the gateway's address: {error}")))?;
            url.set_path("/admin/");
            Ok(url)
        };
        self.endpoint.get_or_try_init(find).await
    }

    /// The JSON of `path` about a project's user; nothing where the gateway knows no such user.
    async fn ask(
        &self,
        path: &str,
        more: &[(&str, &str)],
        project: &str,
    ) -> Result<Option<Value>, DiscoveryError> {
        let failed =
            |reason: String| DiscoveryError::Failed(format!("the gateway's {path} of {project}: {reason}"));
        let mut url = self.admin().await?.join(path).map_err(|error| failed(error.to_string()))?;
        let user = if self.implicit_tenants { format!("{project}${project}") } else { project.to_owned() };
        url.query_pairs_mut().extend_pairs(more).append_pair("uid", &user);
        let headers =
            sign(&self.keys, &url, self.clock.now()).ok_or_else(|| failed("it cannot be signed".into()))?;
        let request = self.client.get(url).headers(headers).header(http::header::ACCEPT, "application/json");
        let answer = request.send().await.map_err(|error| failed(error.without_url().to_string()))?;
        let status = answer.status();
        if status == http::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = answer.bytes().await.map_err(|error| failed(error.without_url().to_string()))?;
        if !status.is_success() {
            return Err(failed(format!("RGW AdminOps API returned {status}")));
        }
        if body.is_empty() {
            return Ok(Some(Value::Object(Map::new())));
        }
        serde_json::from_slice(&body).map(Some).map_err(|error| failed(error.to_string()))
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, RadosGatewayError> {
    let wrong = |reason: String| RadosGatewayError::Authorities(format!("{}: {reason}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate in PEM form".into())) } else { Ok(found) }
}

/// Name of the pollster, name and unit of the meter, what its readings are made of.
type Row = (&'static str, &'static str, &'static str, What);

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Objects,
    Bytes,
    Buckets,
    ObjectsOfBuckets,
    BytesOfBuckets,
    Requests,
}

const ROWS: [Row; 6] = [
    ("radosgw.objects", "radosgw.objects", "object", What::Objects),
    ("radosgw.objects.size", "radosgw.objects.size", "B", What::Bytes),
    ("radosgw.objects.containers", "radosgw.objects.containers", "object", What::Buckets),
    ("radosgw.containers.objects", "radosgw.containers.objects", "object", What::ObjectsOfBuckets),
    ("radosgw.containers.objects.size", "radosgw.containers.objects.size", "B", What::BytesOfBuckets),
    ("radosgw.usage", "radosgw.api.request", "request", What::Requests),
];

/// The meters of all projects' users.
pub(super) fn plugins(gateway: RadosGateway) -> Plugins {
    let gateway = Arc::new(gateway);
    let pollster = |(name, meter, unit, what): Row| {
        let gateway = Arc::clone(&gateway);
        Arc::new(GatewayPollster { gateway, name, meter: gauge(meter, unit), what }) as Arc<dyn Pollster>
    };
    Plugins { pollsters: ROWS.into_iter().map(pollster).collect(), ..Plugins::default() }
}

struct GatewayPollster {
    gateway: Arc<RadosGateway>,
    name: &'static str,
    meter: Meter,
    what: What,
}

type Known = Result<Option<Value>, DiscoveryError>;

impl GatewayPollster {
    async fn read(&self, cycle: &Cycle, project: Arc<str>) -> Result<Vec<Reading>, DiscoveryError> {
        let gateway = &self.gateway;
        let of_usage = self.what == What::Requests;
        let key = format!("radosgw/{}/{project}", if of_usage { "usage" } else { "bucket" });
        let known: Arc<Known> = cycle
            .shared(&key, || async move {
                match of_usage {
                    true => gateway.ask("usage", &[], &project).await,
                    false => gateway.ask("bucket", &[("stats", "true")], &project).await,
                }
            })
            .await;
        match known.as_ref() {
            Ok(Some(answer)) => Ok(readings(self.what, answer)),
            Ok(None) => Ok(Vec::new()),
            Err(error) => Err(error.clone()),
        }
    }
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Readings from the answer about a user's buckets, or about his requests.
fn readings(what: What, answer: &Value) -> Vec<Reading> {
    let buckets = answer.as_array().map_or(&[][..], Vec::as_slice);
    let usages = || {
        buckets.iter().flat_map(|bucket| bucket["usage"].as_object().into_iter().flat_map(|all| all.values()))
    };
    let total = |of: fn(&Value) -> i64| vec![Reading::of_account(usages().map(of).sum::<i64>())];
    let objects = |usage: &Value| number(&usage["num_objects"]);
    let bytes = |usage: &Value| number(&usage["size_kb"]).saturating_mul(1024);
    match what {
        What::Objects => total(objects),
        What::Bytes => total(bytes),
        What::Buckets => vec![Reading::of_account(buckets.len() as u64)],
        What::ObjectsOfBuckets => of_buckets(buckets, objects),
        What::BytesOfBuckets => of_buckets(buckets, bytes),
        What::Requests => {
            let summary = answer["summary"].as_array().map_or(&[][..], Vec::as_slice);
            let requests: i64 = summary.iter().map(|user| number(&user["total"]["ops"])).sum();
            vec![Reading::of_account(requests)]
        }
    }
}

/// A reading for each bucket and class of its usage.
fn of_buckets(buckets: &[Value], of: fn(&Value) -> i64) -> Vec<Reading> {
    let of_bucket = |bucket: &Value| -> Vec<Reading> {
        let container = bucket["bucket"].as_str().map(str::to_owned);
        let usages = bucket["usage"].as_object().into_iter().flat_map(|all| all.values());
        let reading =
            |usage| Reading { container: container.clone(), ..Reading::of_account(Volume::Int(of(usage))) };
        usages.map(reading).collect()
    };
    buckets.iter().flat_map(of_bucket).collect()
}

#[async_trait]
impl Pollster for GatewayPollster {
    of_one_meter! {
        self,
        name: self.name,
        meter: self.meter,
        origin: "each project's user at the Ceph gateway's admin API",
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
                Ok(readings) => {
                    for reading in readings {
                        out.push(sample(cycle, &self.meter, &project, reading)).await?;
                    }
                }
                Err(DiscoveryError::NoService(reason)) => return Err(PollError::Failed(reason)),
                Err(DiscoveryError::Failed(reason)) => {
                    tracing::warn!(meter = self.name, %project, reason, "not read");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Value {
        let text = match name {
            "bucket" => include_str!("fixtures/radosgw-bucket.json"),
            _ => include_str!("fixtures/radosgw-usage.json"),
        };
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_real_gateways_answers_are_read() {
        let (buckets, usage) = (fixture("bucket"), fixture("usage"));
        let volumes = |what, answer| -> Vec<Volume> {
            readings(what, answer).into_iter().map(|reading| reading.volume).collect()
        };
        assert_eq!(volumes(What::Objects, &buckets), [Volume::Int(3)]);
        assert_eq!(volumes(What::Bytes, &buckets), [Volume::Int(6 * 1024)]);
        assert_eq!(volumes(What::Buckets, &buckets), [Volume::Int(2)]);
        // The second bucket is empty: it has no class of usage.
        assert_eq!(volumes(What::ObjectsOfBuckets, &buckets), [Volume::Int(3)]);
        assert_eq!(readings(What::BytesOfBuckets, &buckets)[0].container.as_deref(), Some("bucket1"));
        assert_eq!(volumes(What::Requests, &usage), [Volume::Int(7)]);
        assert_eq!(volumes(What::Objects, &Value::Array(Vec::new())), [Volume::Int(0)]);
    }
}
