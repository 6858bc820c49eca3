//! Guests by Nova's API: page by page, with what changed, and what only it knows of libvirt's guests.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudReader, CloudTarget};
use nephometer_model::Volume;
use nephometer_polling::DiscoveryError;
use nephometer_polling::compute::{ComputeSettings, DiscoveryMethod};
use nephometer_testkit::libvirt::{FakeDomain, FakeLibvirt};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{Bench, one};

/// A Nova and a Glance that give two servers a page.
#[derive(Default)]
struct Cloud {
    servers: Mutex<Vec<Value>>,
    asked: Mutex<Vec<String>>,
    away: Mutex<bool>,
}

#[async_trait]
impl CloudReader for Cloud {
    async fn endpoints(&self, _: &str) -> Result<Vec<String>, CloudError> {
        Ok(Vec::new())
    }

    async fn project_id(&self) -> Result<Option<String>, CloudError> {
        Ok(None)
    }

    async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError> {
        if *self.away.lock() {
            return Err(CloudError::Unavailable("connection refused".to_owned()));
        }
        let CloudTarget::Service { service_type, path } = &call.target else { panic!("{:?}", call.target) };
        let query: HashMap<_, _> = call.query.iter().cloned().collect();
        let marker = query.get("marker").cloned();
        let since = if query.contains_key("changes-since") { " since" } else { "" };
        self.asked.lock().push(format!("{service_type}{path}{since}"));
        let body = match path.as_str() {
            "/servers/detail" => {
                assert_eq!((query["host"].as_str(), query["all_tenants"].as_str()), ("lablv", "True"));
                let servers = self.servers.lock();
                let at =
                    marker.map_or(0, |id| servers.iter().position(|server| server["id"] == *id).unwrap() + 1);
                let page: Vec<_> = servers[at..].iter().take(2).cloned().collect();
                let more = at + page.len() < servers.len();
                let links =
                    if more { json!([{"rel": "next", "href": "http://wrong/"}]) } else { Value::Null };
                json!({"servers": page, "servers_links": links})
            }
            "/flavors/f1" => {
                json!({"flavor": {"id": "f1", "name": "m1.lab", "vcpus": 1, "ram": 128, "disk": 10,
                "OS-FLV-EXT-DATA:ephemeral": 2}})
            }
            "/flavors/detail" => json!({"flavors": [{"id": "f1", "name": "m1.lab"}]}),
            "/v2/images/i1" => {
                json!({"id": "i1", "name": "cirros", "container_format": "bare", "min_disk": 1,
                "protected": false, "owner": null, "kernel_id": "k1", "tags": []})
            }
            _ => return Ok(answer(404, json!({"itemNotFound": {}}))),
        };
        Ok(answer(200, body))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "literals")]
fn answer(status: u16, body: Value) -> CloudAnswer {
    CloudAnswer { status, headers: http::HeaderMap::new(), body: Bytes::from(body.to_string()) }
}

fn server(number: u32, vm_state: &str) -> Value {
    json!({
        "id": format!("02eacd57-1358-4614-b3af-19e9{number:08x}"),
        "name": "web", "status": "ACTIVE", "tenant_id": "p", "user_id": "u", "hostId": "h",
        "flavor": {"id": "f1", "links": []},
        "image": {"id": "i1", "links": [{"rel": "bookmark", "href": "http://nova/images/i1"}]},
        "metadata": {"metering.stack": "s1", "role": "web"},
        "OS-EXT-AZ:availability_zone": "nova",
        "OS-EXT-SRV-ATTR:host": "lablv",
        "OS-EXT-SRV-ATTR:instance_name": format!("instance-{number:08x}"),
        "OS-EXT-STS:task_state": null,
        "OS-EXT-STS:vm_state": vm_state,
    })
}

fn bench(settings: &ComputeSettings, domains: u32, servers: Vec<Value>) -> (Bench, Arc<Cloud>) {
    let cloud = Arc::new(Cloud { servers: Mutex::new(servers), ..Cloud::default() });
    let daemon = FakeLibvirt::start((0..domains).map(FakeDomain::numbered).collect()).unwrap();
    (Bench::new(daemon, settings, Some(Arc::clone(&cloud) as _)), cloud)
}

fn naive() -> ComputeSettings {
    ComputeSettings { instance_discovery_method: DiscoveryMethod::Naive, ..ComputeSettings::default() }
}

#[tokio::test]
async fn servers_are_listed_to_the_last_page_and_described() {
    let servers: Vec<_> =
        (0..5).map(|number| server(number, if number == 3 { "error" } else { "active" })).collect();
    let (bench, cloud) = bench(&naive(), 5, servers);
    let samples = bench.all(10).await;
    assert_eq!(samples["cpu"].len(), 4);
    assert_eq!(samples["disk.root.size"][0].volume, Volume::Int(8));
    let asked = cloud.asked.lock().clone();
    assert_eq!(asked.iter().filter(|call| call.ends_with("/servers/detail")).count(), 3);
    assert_eq!(asked.iter().filter(|call| call.contains("/flavors/")).count(), 1);
    let sample = &samples["cpu"][0];
    assert_eq!((sample.project_id.as_deref(), sample.user_id.as_deref()), (Some("p"), Some("u")));
    let metadata = sample.metadata.to_json();
    let wanted = json!({
        "display_name": "web", "name": "instance-00000000", "instance_id": "02eacd57-1358-4614-b3af-19e900000000",
        "instance_type": "m1.lab", "host": "h", "instance_host": "lablv",
        "flavor": {"id": "f1", "links": [], "name": "m1.lab", "vcpus": 1, "ram": 128, "disk": 10, "ephemeral": 2},
        "status": "active", "state": "active", "task_state": null,
        "image": {"id": "i1", "links": [{"rel": "bookmark", "href": "http://nova/images/i1"}], "name": "cirros"},
        "image_ref": "i1", "image_ref_url": "http://nova/images/i1",
        "image_meta": {"base_image_ref": "i1", "container_format": "bare", "min_disk": "1", "protected": "False"},
        "OS-EXT-AZ:availability_zone": "nova", "kernel_id": "k1", "ramdisk_id": null,
        "vcpus": 1, "memory_mb": 128, "disk_gb": 10, "ephemeral_gb": 2, "root_gb": 8,
        "user_metadata": {"stack": "s1"}, "cpu_number": 1,
    });
    assert_eq!(metadata, wanted);
}

#[tokio::test]
async fn later_cycles_ask_for_changes_and_now_and_then_for_all() {
    let settings = ComputeSettings { resource_cache_expiry_seconds: 25, ..naive() };
    let (bench, cloud) = bench(&settings, 3, vec![server(0, "active"), server(1, "active")]);
    assert_eq!(bench.all(10).await["cpu"].len(), 2);
    *cloud.servers.lock() = vec![server(1, "deleted"), server(2, "active")];
    cloud.asked.lock().clear();
    assert_eq!(bench.all(10).await["cpu"].len(), 2);
    assert_eq!(cloud.asked.lock()[0], "compute/servers/detail since");
    // A server that went elsewhere shows in no list of changes.
    assert_eq!(bench.all(10).await["cpu"].len(), 2);
    assert_eq!(bench.all(10).await["cpu"].len(), 1);
    let last = cloud.asked.lock().iter().rfind(|call| call.contains("/servers")).cloned();
    assert_eq!(last.as_deref(), Some("compute/servers/detail"));
    *cloud.away.lock() = true;
    assert!(matches!(bench.resources(&bench.cycle(10)).await, Err(DiscoveryError::Failed(_))));
}

#[tokio::test]
async fn a_server_that_nobody_knows_more_of_has_its_ids() {
    let mut unknown = server(0, "active");
    unknown["flavor"]["id"] = json!("gone/1");
    unknown["image"] = json!("");
    let (bench, _) = bench(&naive(), 1, vec![unknown]);
    let samples = bench.all(10).await;
    let metadata = &samples["cpu"][0].metadata;
    assert_eq!(metadata["instance_type"], "unknown-id-gone/1");
    assert_eq!((&metadata["image"], &metadata["kernel_id"]), (&Value::Null, &Value::Null));
    assert_eq!(metadata.get("image_meta"), None);
    assert_eq!(one(&samples, "disk.root.size"), Volume::Int(0));
}

#[tokio::test]
async fn what_only_nova_knows_of_guests_is_listed_once_and_expires() {
    let settings = ComputeSettings { fetch_extra_metadata: true, ..ComputeSettings::default() };
    let (bench, cloud) = bench(&settings, 3, (0..3).map(|number| server(number, "active")).collect());
    let samples = bench.all(10).await;
    assert_eq!(samples["cpu"].len(), 3);
    assert!(samples["cpu"].iter().all(|sample| sample.metadata["user_metadata"] == json!({"stack": "s1"})));
    cloud.asked.lock().clear();
    cloud.servers.lock()[1]["metadata"] = json!({"metering.stack": "s2"});
    bench.all(595).await;
    assert_eq!(*cloud.asked.lock(), Vec::<String>::new());
    *cloud.away.lock() = true;
    let stale = bench.all(10).await;
    assert_eq!(stale["cpu"][1].metadata["user_metadata"], json!({"stack": "s1"}));
    *cloud.away.lock() = false;
    let fresh = bench.all(10).await;
    assert_eq!(fresh["cpu"][1].metadata["user_metadata"], json!({"stack": "s2"}));
}

#[tokio::test]
async fn flavors_without_an_id_are_looked_up_by_name() {
    let settings = ComputeSettings { fetch_extra_metadata: true, ..ComputeSettings::default() };
    let (bench, cloud) = bench(&settings, 1, Vec::new());
    let without = bench.daemon.domains()[0].xml.replace(" id=\"ce760496-213e-4e3d-a077-4c0a8829e45c\"", "");
    bench.daemon.domains()[0].xml = without;
    let samples = bench.all(10).await;
    assert_eq!(samples["cpu"][0].metadata["flavor"]["id"], "f1");
    assert_eq!(samples["cpu"][0].metadata.get("user_metadata"), None);
    bench.all(10).await;
    assert_eq!(cloud.asked.lock().iter().filter(|call| call.ends_with("/flavors/detail")).count(), 1);
}
