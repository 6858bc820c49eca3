//! Volumes, snapshots, backups, pools and services of Cinder.

use nephometer_drivers::CloudCall;
use nephometer_model::Volume;
use serde_json::{Value, json};

use super::object::{Field, ObjectMeter, Reading, Source, field};
use super::{Area, Listing, Page, ServiceTypes};

/// The version of the API whose fields the meters know; it shows owners of snapshots and backups.
const MICROVERSION: &str = "volume 3.64";

/// What Cinder lists, and its meters.
pub(super) fn area(services: &ServiceTypes) -> Area {
    let get = |path| CloudCall::get(&services.cinder, path).header("OpenStack-API-Version", MICROVERSION);
    let of_all = |path| get(path).query("all_tenants", "True");
    let pools = get("/scheduler-stats/get_pools").query("detail", "True");
    let service_id =
        |service: &Value| Some(format!("{}@{}", service["binary"].as_str()?, service["host"].as_str()?));
    let pool_id = |pool: &Value| super::listing::text(pool, "name");
    let listings = vec![
        Listing::new("volumes", of_all("/volumes/detail"), "volumes"),
        Listing::new("volume_snapshots", of_all("/snapshots/detail"), "snapshots"),
        Listing::new("volume_backups", of_all("/backups/detail"), "backups"),
        Listing { page: Page::Only, id: pool_id, ..Listing::new("volume_pools", pools, "pools") },
        Listing {
            page: Page::Only,
            id: service_id,
            ..Listing::new("volume_services", get("/os-services"), "services")
        },
    ];
    Area { listings, meters: METERS }
}

const VOLUME: &[Field] = &[
    ("name", Source::Same),
    ("status", Source::Same),
    ("volume_type", Source::Same),
    ("volume_type_id", Source::Same),
    ("availability_zone", Source::Same),
    ("os-vol-host-attr:host", Source::Same),
    ("migration_status", Source::Same),
    ("attachments", Source::Same),
    ("snapshot_id", Source::Same),
    ("source_volid", Source::Same),
    ("image_id", Source::Made(|volume| volume["volume_image_metadata"]["image_id"].clone())),
    ("instance_id", Source::Made(|volume| volume["attachments"][0]["server_id"].clone())),
];

const SNAPSHOT: &[Field] = &[
    ("name", Source::Same),
    ("volume_id", Source::Same),
    ("status", Source::Same),
    ("description", Source::Same),
    ("metadata", Source::Same),
    ("os-extended-snapshot-attributes:progress", Source::Same),
];

const BACKUP: &[Field] = &[
    ("name", Source::Same),
    ("is_incremental", Source::Same),
    ("object_count", Source::Same),
    ("container", Source::Same),
    ("volume_id", Source::Same),
    ("status", Source::Same),
    ("description", Source::Same),
];

/// Gnocchi's type of these resources asks for `provider`.
const POOL: &[Field] = &[
    ("pool_name", Source::Made(|pool| pool["capabilities"]["pool_name"].clone())),
    ("provider", Source::Made(provider)),
];

const SERVICE: &[Field] =
    &[("binary", Source::Same), ("host", Source::Same), ("status", Source::Same), ("zone", Source::Same)];

/// The back end of a pool that is called `host@backend#pool`.
fn provider(pool: &Value) -> Value {
    pool["name"].as_str().map_or(Value::Null, |name| json!(name.split('#').next()))
}

const fn pool(name: &'static str, volume: fn(&Value) -> Reading) -> ObjectMeter {
    let (unit, discovery) = ("GiB", "volume_pools");
    ObjectMeter { name, unit, discovery, volume, project: &[], user: None, metadata: POOL }
}

const METERS: &[ObjectMeter] = &[
    ObjectMeter {
        name: "volume.size",
        unit: "GiB",
        discovery: "volumes",
        volume: |volume| field(volume, "size"),
        project: &["os-vol-tenant-attr:tenant_id"],
        user: Some("user_id"),
        metadata: VOLUME,
    },
    ObjectMeter {
        name: "volume.snapshot.size",
        unit: "GiB",
        discovery: "volume_snapshots",
        volume: |snapshot| field(snapshot, "size"),
        project: &["os-extended-snapshot-attributes:project_id"],
        user: Some("user_id"),
        metadata: SNAPSHOT,
    },
    ObjectMeter {
        name: "volume.backup.size",
        unit: "GiB",
        discovery: "volume_backups",
        volume: |backup| field(backup, "size"),
        project: &["os-backup-project-attr:project_id"],
        user: Some("user_id"),
        metadata: BACKUP,
    },
    pool("volume.provider.pool.capacity.total", |pool| field(&pool["capabilities"], "total_capacity_gb")),
    pool("volume.provider.pool.capacity.free", |pool| field(&pool["capabilities"], "free_capacity_gb")),
    pool("volume.provider.pool.capacity.allocated", |pool| {
        field(&pool["capabilities"], "allocated_capacity_gb")
    }),
    pool("volume.provider.pool.capacity.provisioned", promised),
    pool("volume.provider.pool.capacity.virtual_free", virtual_free),
    ObjectMeter {
        name: "volume.service.health",
        unit: "health",
        discovery: "volume_services",
        volume: health,
        project: &[],
        user: None,
        metadata: SERVICE,
    },
];

/// What is promised of a pool, where anything is.
fn provisioned(pool: &Value) -> Option<Result<(Volume, f64), String>> {
    let value = &pool["capabilities"]["provisioned_capacity_gb"];
    match value.as_f64() {
        None if value.is_null() => None,
        None => Some(Err(format!("provisioned_capacity_gb is {value}, which is no number"))),
        Some(0.0) => None,
        Some(number) => Some(Ok((Volume::from(value.clone()), number))),
    }
}

fn promised(pool: &Value) -> Reading {
    provisioned(pool).transpose().map(|found| found.map(|(volume, _)| volume))
}

/// How much may still be promised: `ratio * (total - reserved) - provisioned`, the ratio being 1 without thin provisioning.
fn virtual_free(pool: &Value) -> Reading {
    let Some(provisioned) = provisioned(pool) else { return Ok(None) };
    let (_, provisioned) = provisioned?;
    let capabilities = &pool["capabilities"];
    let total = &capabilities["total_capacity_gb"];
    let total = total.as_f64().ok_or_else(|| format!("total_capacity_gb is {total}, which is no number"))?;
    let reserved = (capabilities["reserved_percentage"].as_f64().unwrap_or(0.0) / 100.0 * total).floor();
    let ratio = match truthy(&capabilities["thin_provisioning_support"]) {
        true => Volume::from(capabilities["max_over_subscription_ratio"].clone()).as_f64().unwrap_or(1.0),
        false => 1.0,
    };
    Ok(Some(Volume::Float(ratio * (total - reserved) - provisioned)))
}

fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
        && value.as_f64() != Some(0.0)
        && value.as_str() != Some("")
}

fn health(service: &Value) -> Reading {
    match service["state"].as_str() {
        Some("up") => Ok(Some(Volume::Int(1))),
        Some("down") => Ok(Some(Volume::Int(0))),
        _ => Err(format!(
            "Unknown service state '{}' for {}@{}",
            service["state"].as_str().unwrap_or_default(),
            service["binary"].as_str().unwrap_or_default(),
            service["host"].as_str().unwrap_or_default()
        )),
    }
}
