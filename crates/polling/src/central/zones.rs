//! Zones of Designate.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{CloudCall, CloudReader};
use nephometer_model::{Meter, Volume};
use serde_json::Value;

use super::codes::{ZONE, code};
use super::object::{Field, ObjectMeter, ObjectPollster, Source, field_or_zero};
use super::{Area, Listing, ServiceTypes, pages};
use crate::{Cycle, DiscoveryError, Plugins, PollError, Pollster, Resource, SampleOut};

/// The header by which an administrator sees the zones of all projects.
const ALL_PROJECTS: (&str, &str) = ("X-Auth-All-Projects", "True");

/// What Designate lists, and the meters that the list tells.
pub(super) fn area(services: &ServiceTypes) -> Area {
    let call = CloudCall::get(&services.designate, "/v2/zones").header(ALL_PROJECTS.0, ALL_PROJECTS.1);
    Area { listings: vec![Listing::new("dns_zones", call, "zones")], meters: METERS }
}

/// The meter for which each zone is asked.
pub(super) fn plugins(services: &ServiceTypes, cloud: &Arc<dyn CloudReader>) -> Plugins {
    let recordsets = Recordsets {
        cloud: Arc::clone(cloud),
        service_type: services.designate.clone(),
        pollster: ObjectPollster::new(&RECORDSETS),
    };
    Plugins { pollsters: vec![Arc::new(recordsets)], ..Plugins::default() }
}

const FIELDS: &[Field] = &[
    ("name", Source::Same),
    ("email", Source::Same),
    ("ttl", Source::Same),
    ("description", Source::Same),
    ("type", Source::Same),
    ("status", Source::Same),
    ("action", Source::Same),
    ("serial", Source::Same),
    ("pool_id", Source::Same),
];

const fn meter(
    name: &'static str,
    unit: &'static str,
    volume: fn(&Value) -> super::object::Reading,
) -> ObjectMeter {
    let (discovery, project) = ("dns_zones", &["project_id"]);
    ObjectMeter { name, unit, discovery, volume, project, user: None, metadata: FIELDS }
}

const METERS: &[ObjectMeter] = &[
    meter("dns.zone.status", "status", |zone| code(zone, "status", ZONE)),
    meter("dns.zone.ttl", "second", |zone| field_or_zero(zone, "ttl")),
    meter("dns.zone.serial", "serial", |zone| field_or_zero(zone, "serial")),
];

/// Its reading is not in the listed zone.
static RECORDSETS: ObjectMeter = meter("dns.zone.recordsets", "recordset", |_| Ok(None));

/// Counts the record sets of zones.
struct Recordsets {
    cloud: Arc<dyn CloudReader>,
    service_type: String,
    pollster: ObjectPollster,
}

impl Recordsets {
    /// How many a zone has: the service says it beside any page; where it does not, they are read.
    async fn count(&self, zone_id: &str) -> Result<usize, DiscoveryError> {
        let path = format!("/v2/zones/{}/recordsets", pages::segment(zone_id));
        let all = CloudCall::get(&self.service_type, &path).header(ALL_PROJECTS.0, ALL_PROJECTS.1);
        let one = all.clone().query("limit", "1");
        let body = pages::json(&one, &self.cloud.call(&one).await?)?;
        if let Some(total) = body["metadata"]["total_count"].as_u64() {
            return Ok(usize::try_from(total).unwrap_or(usize::MAX));
        }
        Ok(pages::read_all(self.cloud.as_ref(), all, "recordsets", None).await?.len())
    }
}

#[async_trait]
impl Pollster for Recordsets {
    fn name(&self) -> &str {
        self.pollster.name()
    }

    fn meters(&self) -> Vec<Meter> {
        self.pollster.meters()
    }

    fn origin(&self) -> &str {
        "dns_zones, a request for each zone"
    }

    fn default_discovery(&self) -> Option<&str> {
        self.pollster.default_discovery()
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        for resource in resources {
            let Some(zone) = resource.json() else { continue };
            match self.count(&resource.id).await {
                Ok(count) => {
                    let volume = Volume::Int(i64::try_from(count).unwrap_or(i64::MAX));
                    out.push(self.pollster.sample(cycle, resource, zone, volume)).await?;
                }
                Err(DiscoveryError::NoService(reason)) => return Err(PollError::Failed(reason)),
                Err(DiscoveryError::Failed(reason)) => {
                    tracing::warn!(meter = self.name(), zone = %resource.id, reason, "not read");
                }
            }
        }
        Ok(())
    }
}
