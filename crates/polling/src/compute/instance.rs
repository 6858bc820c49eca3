//! A guest as Nova knows it, and the metadata of its samples (spec ceilometer 4.4). Both discoveries describe it in the form of
//! Nova's servers.

use std::sync::Arc;

use nephometer_model::{Metadata, Meter, Sample, Volume};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::common::Common;
use super::user_metadata::UserMetadataRules;
use crate::libvirt::{Description, Nic};

/// Properties of a server that samples have where the server has them.
const OPTIONAL_PROPERTIES: [&str; 6] =
    ["reservation_id", "architecture", "OS-EXT-AZ:availability_zone", "kernel_id", "os_type", "ramdisk_id"];
pub(super) const INSTANCE_NAME: &str = "OS-EXT-SRV-ATTR:instance_name";
pub(super) const INSTANCE_HOST: &str = "OS-EXT-SRV-ATTR:host";
pub(super) const VM_STATE: &str = "OS-EXT-STS:vm_state";

/// A guest: whose it is, and what its samples say of it.
pub(super) struct Instance {
    pub(super) id: Arc<str>,
    pub(super) uuid: Uuid,
    name: Option<String>,
    project_id: Option<Arc<str>>,
    user_id: Option<Arc<str>>,
    pub(super) root_gib: i64,
    pub(super) ephemeral_gib: i64,
    metadata: Metadata,
    common: Arc<Common>,
    /// The parts of each kind as they were asked for last.
    parts: Mutex<[Option<PartsOf>; Kind::COUNT]>,
}

/// What parts were made of, and they.
type PartsOf = (Kind, Arc<[Part]>);

/// A kind of parts, and what they are made of.
#[derive(Clone)]
pub(super) enum Kind {
    /// The vCPUs together, so many.
    Vcpus(u64),
    /// Each block device.
    Disks(Arc<Description>),
    /// Each interface.
    Nics(Arc<Description>),
}

impl Kind {
    const COUNT: usize = 3;

    fn place(&self) -> usize {
        match self {
            Self::Vcpus(_) => 0,
            Self::Disks(_) => 1,
            Self::Nics(_) => 2,
        }
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Vcpus(a), Self::Vcpus(b)) => a == b,
            (Self::Disks(a), Self::Disks(b)) | (Self::Nics(a), Self::Nics(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A part of a guest that has samples of its own.
pub(super) struct Part {
    /// The hypervisor's name of it; none for the vCPUs.
    pub(super) device: Box<str>,
    resource_id: Arc<str>,
    metadata: Metadata,
}

impl Instance {
    /// A guest by Nova's form of servers. Errors say what is missing or wrong.
    pub(super) fn from_server(
        server: &Map<String, Value>,
        rules: &UserMetadataRules,
        common: &Arc<Common>,
    ) -> Result<Self, String> {
        let text = |name: &str| server.get(name).and_then(Value::as_str);
        let id: Arc<str> = text("id").ok_or("it has no id")?.into();
        let uuid = Uuid::parse_str(&id).map_err(|error| format!("its id `{id}` is no UUID: {error}"))?;
        let flavor = server.get("flavor").and_then(Value::as_object).ok_or("it has no flavor")?;
        let gib = |name: &str| {
            let size = flavor.get(name).unwrap_or(&Value::Null);
            let whole = size.as_i64().or_else(|| size.as_str()?.trim().parse().ok());
            whole.ok_or_else(|| format!("its flavor's {name} is {size}"))
        };
        let (disk_gib, ephemeral_gib) = (gib("disk")?, gib("ephemeral")?);
        let root_gib = disk_gib.saturating_sub(ephemeral_gib);
        let mut metadata = describe(server, flavor, root_gib);
        if let Some(owners) = server.get("metadata").and_then(Value::as_object) {
            rules.add(owners, &mut metadata);
        }
        Ok(Self {
            uuid,
            id,
            name: text(INSTANCE_NAME).map(str::to_owned),
            project_id: text("tenant_id").map(|id| common.texts.share(id)),
            user_id: text("user_id").map(|id| common.texts.share(id)),
            root_gib,
            ephemeral_gib,
            metadata: Metadata::of_shared(
                None,
                metadata.iter().map(|(name, value)| (common.texts.share(name), common.values.share(value))),
            ),
            common: Arc::clone(common),
            parts: Mutex::default(),
        })
    }

    /// A sample of the guest itself.
    pub(super) fn sample(&self, meter: &Meter, volume: Volume, id: String) -> Sample {
        self.sample_of(meter, volume, id, &self.id, &self.metadata)
    }

    /// A sample of one of its parts.
    pub(super) fn part_sample(&self, meter: &Meter, volume: Volume, id: String, part: &Part) -> Sample {
        self.sample_of(meter, volume, id, &part.resource_id, &part.metadata)
    }

    fn sample_of(
        &self,
        meter: &Meter,
        volume: Volume,
        id: String,
        resource_id: &Arc<str>,
        metadata: &Metadata,
    ) -> Sample {
        Sample {
            user_id: self.user_id.clone(),
            project_id: self.project_id.clone(),
            resource_id: Some(Arc::clone(resource_id)),
            metadata: metadata.clone(),
            ..Sample::new(meter, volume, id)
        }
    }

    /// Its parts of a kind.
    pub(super) fn parts(&self, kind: &Kind) -> Arc<[Part]> {
        let kept = &mut self.parts.lock()[kind.place()];
        if let Some((_, parts)) = kept.as_ref().filter(|(of, _)| of == kind) {
            return Arc::clone(parts);
        }
        let parts: Arc<[Part]> = match kind {
            Kind::Vcpus(number) => [self.vcpus(*number)].into(),
            Kind::Disks(of) => of.disks.iter().map(|disk| self.disk(&disk.device)).collect(),
            Kind::Nics(of) => of.nics.iter().map(|nic| self.nic(nic)).collect(),
        };
        *kept = Some((kind.clone(), Arc::clone(&parts)));
        parts
    }

    fn vcpus(&self, number: u64) -> Part {
        Part {
            device: Box::default(),
            resource_id: Arc::clone(&self.id),
            metadata: self.with([("cpu_number", self.value(number))]),
        }
    }

    fn disk(&self, device: &str) -> Part {
        Part {
            device: device.into(),
            resource_id: format!("{}-{device}", self.id).into(),
            metadata: self.with([("disk_name", self.value(device))]),
        }
    }

    fn nic(&self, nic: &Nic) -> Part {
        let named = || format!("{}-{}-{}", self.name.as_deref().unwrap_or("None"), self.id, nic.device);
        let metadata = self.with([
            // Upstream's name of the device takes the place of the guest's.
            ("name", self.value(&*nic.device)),
            ("mac", self.value(nic.mac.as_deref())),
            ("fref", self.value(nic.filter.as_deref())),
            ("parameters", Arc::clone(&nic.parameters)),
            ("vnic_name", self.value(nic.filter.as_deref().unwrap_or(&nic.device))),
        ]);
        Part {
            device: nic.device.clone(),
            resource_id: nic.filter.clone().unwrap_or_else(|| named().into()),
            metadata,
        }
    }

    /// Its metadata with `more`.
    fn with<const N: usize>(&self, more: [(&str, Arc<Value>); N]) -> Metadata {
        let more = more.into_iter().map(|(name, value)| (self.common.texts.share(name), value));
        Metadata::of_shared(Some(&self.metadata), more)
    }

    fn value(&self, value: impl Into<Value>) -> Arc<Value> {
        self.common.values.share(&value.into())
    }
}

fn describe(server: &Map<String, Value>, flavor: &Map<String, Value>, root_gib: i64) -> Map<String, Value> {
    let of = |name: &str| server.get(name).cloned().unwrap_or_else(|| "".into());
    let size = |name: &str| flavor.get(name).cloned().unwrap_or_default();
    let status = server.get("status").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let image = server.get("image").filter(|image| image.is_object());
    let image_field = |name: &str| image.and_then(|image| image.get(name)).cloned().unwrap_or_default();
    let url = image.and_then(|image| image.pointer("/links/0/href")).cloned().unwrap_or_default();
    let mut metadata = Map::new();
    let mut put = |name: &str, value: Value| drop(metadata.insert(name.to_owned(), value));
    put("display_name", server.get("name").cloned().unwrap_or_default());
    put("name", of(INSTANCE_NAME));
    put("instance_id", of("id"));
    put("instance_type", flavor.get("name").cloned().unwrap_or_default());
    put("host", of("hostId"));
    put("instance_host", of(INSTANCE_HOST));
    put("flavor", Value::Object(flavor.clone()));
    put("status", status.into());
    put("state", of(VM_STATE));
    put("task_state", of("OS-EXT-STS:task_state"));
    put("image", image.cloned().unwrap_or_default());
    put("image_ref", image_field("id"));
    put("image_ref_url", url);
    if let Some(meta) =
        server.get("image_meta").filter(|meta| meta.as_object().is_some_and(|map| !map.is_empty()))
    {
        put("image_meta", meta.clone());
    }
    for name in OPTIONAL_PROPERTIES {
        if let Some(value) = server.get(name) {
            put(name, value.clone());
        }
    }
    put("vcpus", size("vcpus"));
    put("memory_mb", size("ram"));
    put("disk_gb", size("disk"));
    put("ephemeral_gb", size("ephemeral"));
    put("root_gb", root_gib.into());
    metadata
}
