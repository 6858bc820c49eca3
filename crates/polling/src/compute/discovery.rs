//! `local_instances`: the guests of this host, by the hypervisor or by Nova.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha224};
use uuid::Uuid;

use super::common::Common;
use super::host::{Guest, Host};
use super::instance::{INSTANCE_HOST, INSTANCE_NAME, Instance, VM_STATE};
use super::nova::{Known, Nova};
use super::settings::{ComputeSettings, DiscoveryMethod};
use super::user_metadata::UserMetadataRules;
use crate::libvirt::{Description, LibvirtError, NovaFlavor, NovaMetadata};
use crate::{Cycle, Discovery, DiscoveryError, DiscoveryGroup, Resource};

/// The discovery's name in polling.yaml.
pub(super) const LOCAL_INSTANCES: &str = "local_instances";

/// The discovery that the settings ask for.
pub(super) fn local_instances(
    settings: &ComputeSettings,
    host_name: Arc<str>,
    host: Arc<Host>,
    nova: Option<Nova>,
    rules: UserMetadataRules,
) -> Arc<dyn Discovery> {
    let by_nova = settings.instance_discovery_method != DiscoveryMethod::LibvirtMetadata;
    match nova {
        Some(nova) if by_nova => Arc::new(ByNova { host_name, settings: settings.clone(), nova, rules }),
        nova => Arc::new(ByLibvirt {
            host_name,
            settings: settings.clone(),
            host,
            nova,
            rules,
            common: Arc::default(),
            known: Mutex::default(),
            said: Mutex::default(),
            was_there: AtomicBool::new(false),
        }),
    }
}

/// Guests by Nova's API.
struct ByNova {
    host_name: Arc<str>,
    settings: ComputeSettings,
    nova: Nova,
    rules: UserMetadataRules,
}

#[async_trait]
impl Discovery for ByNova {
    fn name(&self) -> &str {
        LOCAL_INSTANCES
    }

    fn group(&self) -> DiscoveryGroup {
        DiscoveryGroup::Host(self.host_name.to_string())
    }

    async fn discover(&self, cycle: &Cycle, _: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        let instances = self.nova.instances(cycle.clock(), &self.settings, &self.rules).await?;
        Ok(instances
            .into_iter()
            .map(|instance| Resource::typed(Arc::clone(&instance.id), instance))
            .collect())
    }
}

/// Guests by the hypervisor and what Nova has written into their metadata.
struct ByLibvirt {
    host_name: Arc<str>,
    settings: ComputeSettings,
    host: Arc<Host>,
    nova: Option<Nova>,
    rules: UserMetadataRules,
    common: Arc<Common>,
    /// Guests as they were made the last time, with what they were made of.
    known: Mutex<HashMap<Uuid, (MadeOf, Arc<Instance>)>>,
    /// Domains of which it was said already that they are not metered.
    said: Mutex<HashSet<Uuid>>,
    /// Whether there was a hypervisor since the start: where there never was one, there is nothing to meter, and nothing wrong.
    was_there: AtomicBool,
}

/// What a guest's samples say depends on this.
#[derive(Clone)]
struct MadeOf {
    description: Arc<Description>,
    name: String,
    state: Option<i64>,
    flavor_id: String,
    extra: Known,
}

impl PartialEq for MadeOf {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.description, &other.description)
            && (&self.name, self.state, &self.flavor_id) == (&other.name, other.state, &other.flavor_id)
            && self.extra.is_same(&other.extra)
    }
}

#[async_trait]
impl Discovery for ByLibvirt {
    fn name(&self) -> &str {
        LOCAL_INSTANCES
    }

    fn group(&self) -> DiscoveryGroup {
        DiscoveryGroup::Host(self.host_name.to_string())
    }

    async fn discover(&self, cycle: &Cycle, _: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        let guests = self.host.guests(cycle).await;
        let guests = guests.as_ref().as_ref().map_err(|error| match error {
            LibvirtError::Connect { is_absent: true, .. } if !self.was_there.load(Ordering::Relaxed) => {
                DiscoveryError::NoService(error.to_string())
            }
            _ => DiscoveryError::Failed(error.to_string()),
        })?;
        self.was_there.store(true, Ordering::Relaxed);
        let servers = self.servers(cycle, guests.keys()).await;
        let mut resources = Vec::with_capacity(guests.len());
        let mut known = HashMap::with_capacity(guests.len());
        for (uuid, guest) in guests {
            let extra = servers.get(uuid).cloned().unwrap_or_default();
            match self.instance(cycle, *uuid, guest, extra).await {
                Ok((made_of, instance)) => {
                    resources.push(Resource::typed(Arc::clone(&instance.id), Arc::clone(&instance)));
                    known.insert(*uuid, (made_of, instance));
                }
                Err(reason) => self.say(*uuid, guest, &reason),
            }
        }
        *self.known.lock() = known;
        self.said.lock().retain(|uuid| guests.contains_key(uuid));
        // The hypervisor's order means nothing; this one is the same each time.
        resources.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(resources)
    }
}

impl ByLibvirt {
    /// What Nova's API alone knows of the guests, where it is to be asked. Without an answer, samples go without it.
    async fn servers(
        &self,
        cycle: &Cycle,
        guests: impl Iterator<Item = &Uuid> + Send,
    ) -> HashMap<Uuid, Known> {
        match &self.nova {
            Some(nova) if self.settings.fetch_extra_metadata => {
                let guests: Vec<_> = guests.copied().collect();
                nova.servers(cycle.clock(), &self.settings, &guests).await
            }
            _ => HashMap::new(),
        }
    }

    async fn instance(
        &self,
        cycle: &Cycle,
        uuid: Uuid,
        guest: &Guest,
        extra: Known,
    ) -> Result<(MadeOf, Arc<Instance>), String> {
        let description = guest.description.as_ref().map_err(ToString::to_string)?;
        let nova = description.nova.as_ref().ok_or("it has no metadata of Nova")?;
        let nova = nova.as_ref().map_err(|reason| format!("its metadata of Nova: {reason}"))?;
        let flavor_id = self.flavor_id(cycle, &nova.flavor, &extra).await;
        let made_of = MadeOf {
            description: Arc::clone(description),
            name: guest.domain.name.clone(),
            state: guest.now.stats.state,
            flavor_id,
            extra,
        };
        if let Some((_, instance)) = self.known.lock().get(&uuid).filter(|(of, _)| *of == made_of) {
            return Ok((made_of, Arc::clone(instance)));
        }
        let server = self.server(uuid, &made_of, nova);
        let instance = Instance::from_server(&server, &self.rules, &self.common)?;
        Ok((made_of, Arc::new(instance)))
    }

    /// Newer Novas write it; else it is asked for, where Nova can be asked, or the flavor's name stands for it.
    async fn flavor_id(&self, cycle: &Cycle, flavor: &NovaFlavor, extra: &Known) -> String {
        if let Some(id) = &flavor.id {
            return id.clone();
        }
        if let Some(id) = extra.flavor_id() {
            return id.to_owned();
        }
        match &self.nova {
            Some(nova) => nova.flavor_id(cycle.clock(), &self.settings, &flavor.name).await,
            None => flavor.name.clone(),
        }
    }

    /// The guest in the form of Nova's servers.
    fn server(&self, uuid: Uuid, of: &MadeOf, nova: &NovaMetadata) -> Map<String, Value> {
        let (vm_state, status) = states(of.state);
        let flavor = &nova.flavor;
        let mut flavor_object = json!({
            "id": of.flavor_id,
            "name": flavor.name,
            "vcpus": flavor.vcpus,
            "ram": flavor.memory_mib,
            "disk": flavor.disk_gib,
            "ephemeral": flavor.ephemeral_gib,
            "swap": flavor.swap_mib,
        });
        if let Some(specs) = &flavor.extra_specs {
            flavor_object["extra_specs"] = specs.clone().into();
        }
        let host_id = Sha224::digest(format!("{}{}", nova.project_id, self.host_name));
        let host_id: String = host_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut server = Map::new();
        let mut put = |name: &str, value: Value| drop(server.insert(name.to_owned(), value));
        put("id", uuid.to_string().into());
        put("name", nova.name.as_deref().map_or(Value::Null, Value::from));
        put("flavor", flavor_object);
        put("image", nova.image.root.clone().unwrap_or_default());
        if let Some(meta) = &nova.image.meta {
            put("image_meta", meta.clone().into());
        }
        put("os_type", of.description.os_type.as_deref().map_or(Value::Null, Value::from));
        put("architecture", of.description.architecture.as_deref().map_or(Value::Null, Value::from));
        put(INSTANCE_NAME, of.name.clone().into());
        put(INSTANCE_HOST, (*self.host_name).into());
        put(VM_STATE, vm_state.map_or(Value::Null, Value::from));
        put("tenant_id", (*nova.project_id).into());
        put("user_id", (*nova.user_id).into());
        put("hostId", host_id.into());
        put("status", status.into());
        put("metadata", of.extra.metadata().cloned().unwrap_or_default().into());
        server
    }

    fn say(&self, uuid: Uuid, guest: &Guest, reason: &str) {
        let gone = matches!(&guest.description, Err(error) if error.is_no_domain());
        if !gone && self.said.lock().insert(uuid) {
            tracing::warn!(domain = guest.domain.name, %uuid, reason, "a domain is not metered (said once)");
        }
    }
}

/// Nova's words for libvirt's states: what it calls `vm_state`, and the server's status.
fn states(state: Option<i64>) -> (Option<&'static str>, &'static str) {
    match state {
        Some(0) => (Some("pending"), "building"),
        Some(1 | 2) => (Some("running"), "active"),
        Some(3) => (Some("paused"), "paused"),
        Some(4 | 5) => (Some("shutdown"), "stopped"),
        Some(6) => (Some("crashed"), "error"),
        Some(7) => (Some("suspended"), "suspended"),
        _ => (None, ""),
    }
}
