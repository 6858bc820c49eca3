//! Nova's API, as far as guests of one host are concerned: its servers, their flavors and images.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use nephometer_drivers::{CloudCall, CloudError, CloudReader};
use nephometer_model::{Clock, Timestamp, python};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::common::Common;
use super::instance::{Instance, VM_STATE};
use super::settings::ComputeSettings;
use super::user_metadata::UserMetadataRules;
use crate::DiscoveryError;

const NS_IN_A_SECOND: u64 = 1_000_000_000;
/// More pages than any host has servers: a listing that does not end is given up.
const MAX_PAGES: usize = 1000;
/// Attributes of images that samples have elsewhere, or not at all.
const NOT_IMAGE_META: [&str; 6] = ["id", "name", "metadata", "kernel_id", "ramdisk_id", "tags"];

/// What stands in a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Nova, seen by one host.
pub(super) struct Nova {
    cloud: Arc<dyn CloudReader>,
    service_type: String,
    host: Arc<str>,
    common: Arc<Common>,
    listed: Mutex<Listed>,
    extra: Mutex<Extra>,
    flavor_ids: Mutex<Option<(u64, HashMap<String, String>)>>,
}

/// Guests that Nova has listed.
#[derive(Default)]
struct Listed {
    instances: BTreeMap<String, Arc<Instance>>,
    /// When it was asked last, on both clocks, and when for all.
    asked: Option<(u64, Timestamp)>,
    asked_for_all_ns: Option<u64>,
}

/// Servers of guests that libvirt lists.
#[derive(Default)]
struct Extra {
    servers: HashMap<Uuid, Known>,
    asked_ns: Option<u64>,
}

/// What only Nova's API knows of a guest; perhaps nothing.
#[derive(Clone, Default)]
pub(super) struct Known(Option<Arc<Value>>);

impl Known {
    pub(super) fn metadata(&self) -> Option<&Map<String, Value>> {
        self.0.as_ref()?.get("metadata")?.as_object()
    }

    pub(super) fn flavor_id(&self) -> Option<&str> {
        self.0.as_ref()?.pointer("/flavor/id")?.as_str()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

/// What is looked up while servers are described; each once.
#[derive(Default)]
struct Lookups {
    flavors: HashMap<String, Option<Value>>,
    images: HashMap<String, Option<Value>>,
}

impl Nova {
    pub(super) fn new(cloud: Arc<dyn CloudReader>, service_type: String, host: Arc<str>) -> Self {
        Self {
            cloud,
            service_type,
            host,
            common: Arc::default(),
            listed: Mutex::default(),
            extra: Mutex::default(),
            flavor_ids: Mutex::default(),
        }
    }

    /// The guests of the host. Nova is asked for what has changed since it was last asked, and now and then for all.
    pub(super) async fn instances(
        &self,
        clock: &dyn Clock,
        settings: &ComputeSettings,
        rules: &UserMetadataRules,
    ) -> Result<Vec<Arc<Instance>>, DiscoveryError> {
        let mut listed = self.listed.lock().await;
        let (now_ns, now) = (clock.monotonic_ns(), clock.now_micros());
        let is_old = |asked_ns: u64, limit_seconds: u64| {
            now_ns.saturating_sub(asked_ns) >= limit_seconds.saturating_mul(NS_IN_A_SECOND)
        };
        let due = listed.asked.is_none_or(|(at, _)| is_old(at, settings.resource_update_interval_seconds));
        if due {
            let all =
                listed.asked_for_all_ns.is_none_or(|at| is_old(at, settings.resource_cache_expiry_seconds));
            let since = listed.asked.filter(|_| !all).map(|(_, at)| at.isoformat());
            let servers = self.list_servers(since.as_deref()).await?;
            let changed = self.described(servers, rules).await?;
            if all {
                listed.instances.clear();
                listed.asked_for_all_ns = Some(now_ns);
            }
            for (id, instance) in changed {
                match instance {
                    Some(instance) => drop(listed.instances.insert(id, instance)),
                    None => drop(listed.instances.remove(&id)),
                }
            }
            listed.asked = Some((now_ns, now));
        }
        Ok(listed.instances.values().cloned().collect())
    }

    /// Servers as guests; those that are deleted or broken as none.
    async fn described(
        &self,
        servers: Vec<Value>,
        rules: &UserMetadataRules,
    ) -> Result<Vec<(String, Option<Arc<Instance>>)>, DiscoveryError> {
        let mut lookups = Lookups::default();
        let mut described = Vec::with_capacity(servers.len());
        for server in servers {
            let Value::Object(mut server) = server else { continue };
            let Some(id) = server.get("id").and_then(Value::as_str).map(str::to_owned) else { continue };
            let state = server.get(VM_STATE).and_then(Value::as_str);
            if matches!(state, Some("deleted" | "error")) {
                described.push((id, None));
                continue;
            }
            self.add_flavor(&mut server, &mut lookups).await?;
            self.add_image(&mut server, &mut lookups).await?;
            match Instance::from_server(&server, rules, &self.common) {
                Ok(instance) => described.push((id, Some(Arc::new(instance)))),
                Err(reason) => tracing::warn!(server = id, reason, "a server of Nova's is not metered"),
            }
        }
        Ok(described)
    }

    async fn add_flavor(
        &self,
        server: &mut Map<String, Value>,
        lookups: &mut Lookups,
    ) -> Result<(), DiscoveryError> {
        let Some(flavor) = server.get_mut("flavor").and_then(Value::as_object_mut) else { return Ok(()) };
        let Some(id) = flavor.get("id").and_then(Value::as_str).map(str::to_owned) else { return Ok(()) };
        if !lookups.flavors.contains_key(&id) {
            let found = self.get(&self.service_type, &format!("/flavors/{}", segment(&id)), "flavor").await?;
            lookups.flavors.insert(id.clone(), found);
        }
        let found = lookups.flavors.get(&id).and_then(Option::as_ref);
        let name = found.and_then(|found| found.get("name")).cloned();
        flavor.insert("name".to_owned(), name.unwrap_or_else(|| format!("unknown-id-{id}").into()));
        let sizes = [
            ("vcpus", "vcpus"),
            ("ram", "ram"),
            ("disk", "disk"),
            ("ephemeral", "OS-FLV-EXT-DATA:ephemeral"),
        ];
        for (name, of_nova) in sizes {
            let size = found.and_then(|found| found.get(of_nova)).cloned();
            flavor.insert(name.to_owned(), size.unwrap_or_else(|| 0.into()));
        }
        Ok(())
    }

    async fn add_image(
        &self,
        server: &mut Map<String, Value>,
        lookups: &mut Lookups,
    ) -> Result<(), DiscoveryError> {
        let image = server.get("image").and_then(|image| image.get("id")).and_then(Value::as_str);
        let Some(id) = image.map(str::to_owned) else {
            for name in ["image", "kernel_id", "ramdisk_id"] {
                server.insert(name.to_owned(), Value::Null);
            }
            return Ok(());
        };
        if !lookups.images.contains_key(&id) {
            let found = self.get("image", &format!("/v2/images/{}", segment(&id)), "").await?;
            lookups.images.insert(id.clone(), found);
        }
        let found = lookups.images.get(&id).and_then(Option::as_ref).and_then(Value::as_object);
        let of = |name: &str| found.and_then(|found| found.get(name)).cloned();
        if let Some(image) = server.get_mut("image").and_then(Value::as_object_mut) {
            let name = of("name").unwrap_or_else(|| format!("unknown-id-{id}").into());
            image.insert("name".to_owned(), name);
        }
        for name in ["kernel_id", "ramdisk_id"] {
            server.insert(name.to_owned(), of(name).unwrap_or_default());
        }
        if let Some(found) = found {
            let mut meta = Map::from_iter([("base_image_ref".to_owned(), id.into())]);
            let rest = found
                .iter()
                .filter(|(name, value)| !NOT_IMAGE_META.contains(&name.as_str()) && !value.is_null());
            meta.extend(rest.map(|(name, value)| (name.clone(), python::str(value).into())));
            server.insert("image_meta".to_owned(), meta.into());
        }
        Ok(())
    }

    /// What Nova says of guests that libvirt lists: one listing for all, again when it is old or does not know one of them.
    /// Where Nova has no answer, what it said before goes on.
    pub(super) async fn servers(
        &self,
        clock: &dyn Clock,
        settings: &ComputeSettings,
        guests: &[Uuid],
    ) -> HashMap<Uuid, Known> {
        let mut extra = self.extra.lock().await;
        let now_ns = clock.monotonic_ns();
        let limit_ns = settings.extra_metadata_expiry_seconds.saturating_mul(NS_IN_A_SECOND);
        let is_old = extra.asked_ns.is_none_or(|at| now_ns.saturating_sub(at) >= limit_ns);
        if is_old || guests.iter().any(|guest| !extra.servers.contains_key(guest)) {
            match self.list_servers(None).await {
                Ok(servers) => {
                    // A guest that Nova does not know is asked for again when the list is old, not each time.
                    let mut fresh: HashMap<_, _> =
                        guests.iter().map(|guest| (*guest, Known::default())).collect();
                    for server in servers {
                        let id =
                            server.get("id").and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
                        let Some(id) = id else { continue };
                        let known = match extra.servers.get(&id) {
                            Some(Known(Some(before))) if **before == server => {
                                Known(Some(Arc::clone(before)))
                            }
                            _ => Known(Some(Arc::new(server))),
                        };
                        fresh.insert(id, known);
                    }
                    extra.servers = fresh;
                    extra.asked_ns = Some(now_ns);
                }
                Err(error) => {
                    tracing::warn!(%error, "Nova does not tell servers' metadata: samples go without news of it")
                }
            }
        }
        extra.servers.clone()
    }

    /// The id of the flavor of that name, or the name where Nova knows none or does not answer.
    pub(super) async fn flavor_id(
        &self,
        clock: &dyn Clock,
        settings: &ComputeSettings,
        name: &str,
    ) -> String {
        let mut kept = self.flavor_ids.lock().await;
        let now_ns = clock.monotonic_ns();
        let limit_ns = settings.extra_metadata_expiry_seconds.saturating_mul(NS_IN_A_SECOND);
        if kept.as_ref().is_none_or(|(at, _)| now_ns.saturating_sub(*at) >= limit_ns) {
            let query = [("is_public", "None")];
            match self.list("/flavors/detail", "flavors", &query).await {
                Ok(flavors) => {
                    let pair = |flavor: &Value| {
                        let text = |name: &str| flavor.get(name).and_then(Value::as_str).map(str::to_owned);
                        text("name").zip(text("id"))
                    };
                    *kept = Some((now_ns, flavors.iter().filter_map(pair).collect()));
                }
                Err(error) => {
                    tracing::warn!(%error, "Nova does not list flavors: their names stand for their ids");
                    let ids = kept.take().map(|(_, ids)| ids).unwrap_or_default();
                    *kept = Some((now_ns, ids));
                }
            }
        }
        let found = kept.as_ref().and_then(|(_, ids)| ids.get(name));
        found.cloned().unwrap_or_else(|| name.to_owned())
    }

    async fn list_servers(&self, since: Option<&str>) -> Result<Vec<Value>, DiscoveryError> {
        let mut query = vec![("host", &*self.host), ("all_tenants", "True")];
        query.extend(since.map(|since| ("changes-since", since)));
        self.list("/servers/detail", "servers", &query).await
    }

    /// Everything that a listing has, page by page.
    async fn list(
        &self,
        path: &str,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, DiscoveryError> {
        let mut all: Vec<Value> = Vec::new();
        let mut seen = HashSet::new();
        let links = format!("{key}_links");
        for _ in 0..MAX_PAGES {
            let marker =
                all.last().and_then(|last| last.get("id")).and_then(Value::as_str).map(str::to_owned);
            let mut call = CloudCall::get(&self.service_type, path);
            for (name, value) in query {
                call = call.query(name, value);
            }
            if let Some(marker) = &marker {
                call = call.query("marker", marker);
            }
            let body = self
                .ask(&call)
                .await?
                .ok_or_else(|| DiscoveryError::Failed(format!("Nova has no {path}")))?;
            let next = body.get(&links).and_then(Value::as_array).is_some_and(|links| {
                links.iter().any(|link| link.get("rel").and_then(Value::as_str) == Some("next"))
            });
            let page = body.get(key).and_then(Value::as_array).cloned();
            let page =
                page.ok_or_else(|| DiscoveryError::Failed(format!("Nova's answer to {path} has no {key}")))?;
            let before = all.len();
            // A server that moves between pages while they are read may come twice.
            all.extend(page.into_iter().filter(|item| {
                item.get("id").and_then(Value::as_str).is_some_and(|id| seen.insert(id.to_owned()))
            }));
            if !next || all.len() == before {
                return Ok(all);
            }
        }
        Err(DiscoveryError::Failed(format!("Nova's list {path} does not end")))
    }

    /// One object, or none where there is none. `key` is what it is wrapped in, if it is.
    async fn get(&self, service_type: &str, path: &str, key: &str) -> Result<Option<Value>, DiscoveryError> {
        let answer = self.ask(&CloudCall::get(service_type, path)).await?;
        Ok(answer
            .map(|mut body| if key.is_empty() { body } else { body[key].take() })
            .filter(Value::is_object))
    }

    async fn ask(&self, call: &CloudCall) -> Result<Option<Value>, DiscoveryError> {
        let failed = |reason: String| DiscoveryError::Failed(format!("{reason} ({:?})", call.target));
        let answer = self.cloud.call(call).await.map_err(|error| match error {
            CloudError::NoService(reason) => DiscoveryError::NoService(reason),
            other => failed(other.to_string()),
        })?;
        match answer.status {
            200..=299 => {
                serde_json::from_slice(&answer.body).map(Some).map_err(|error| failed(error.to_string()))
            }
            404 => Ok(None),
            status => {
                let text = String::from_utf8_lossy(&answer.body);
                let text: String = text.chars().take(200).collect();
                Err(failed(format!("status {status}: {text}")))
            }
        }
    }
}

/// An id as a segment of a path.
fn segment(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, SEGMENT).to_string()
}
