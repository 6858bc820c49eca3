//! The pollsters over recorded answers of real services, beside samples that real Ceilometer 27 made of the same cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudReader, CloudTarget};
use nephometer_model::{ManualClock, Sample, Timestamp};
use nephometer_pipeline::KeptSamples;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{CentralSettings, plugins};
use crate::{Cycle, DiscoveryError, Plugins, Resource, SampleOut};

const SWIFT: &str = "http://swift.test:8080";
const LAB: &str = "4167364ebdb64f15ad5cdeb3a37cd8f8";

/// A cloud that answers from a table: path with its query, status, headers, body.
#[derive(Default)]
struct Recorded {
    answers: BTreeMap<String, (u16, HeaderMap, String)>,
    asked: Mutex<Vec<String>>,
}

impl Recorded {
    fn with(mut self, path: &str, body: &str) -> Self {
        self.answers.insert(path.to_owned(), (200, HeaderMap::new(), body.to_owned()));
        self
    }

    fn with_status(
        mut self,
        path: &str,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        self.answers.insert(path.to_owned(), (status, headers.collect(), body.to_owned()));
        self
    }

    fn times(&self, path: &str) -> usize {
        self.asked.lock().iter().filter(|asked| *asked == path).count()
    }
}

#[async_trait]
impl CloudReader for Recorded {
    async fn endpoints(&self, service_type: &str) -> Result<Vec<String>, CloudError> {
        Ok(if service_type == "object-store" { vec![format!("{SWIFT}/v1/AUTH_admin")] } else { Vec::new() })
    }

    async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError> {
        let path = match &call.target {
            CloudTarget::Service { path, .. } => path.clone(),
            CloudTarget::Link(url) | CloudTarget::Configured(url) => url.trim_start_matches(SWIFT).to_owned(),
        };
        let query: Vec<_> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        self.asked.lock().push(path.clone());
        match self.answers.get(&path) {
            None => Err(CloudError::NoService(format!("nothing is recorded of {path}"))),
            Some((status, headers, body)) => {
                let body = body.clone().into();
                Ok(CloudAnswer { status: *status, headers: headers.clone(), body })
            }
        }
    }

    async fn project_id(&self) -> Result<Option<String>, CloudError> {
        Ok(None)
    }
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name))
    };
}

/// The cloud that Ceilometer polled, as its services showed it at about that time.
fn cloud() -> Recorded {
    let account = |objects, bytes, containers| {
        [
            ("x-account-object-count", objects),
            ("x-account-bytes-used", bytes),
            ("x-account-container-count", containers),
        ]
    };
    Recorded::default()
        .with("/v2/images", fixture!("images.json"))
        .with("/volumes/detail?all_tenants=True", fixture!("volumes.json"))
        .with("/snapshots/detail?all_tenants=True", fixture!("snapshots.json"))
        .with("/backups/detail?all_tenants=True", fixture!("backups.json"))
        .with("/scheduler-stats/get_pools?detail=True", fixture!("pools.json"))
        .with("/os-services", fixture!("volume-services.json"))
        .with("/v2.0/floatingips", fixture!("floatingips.json"))
        .with_status("/v2.0/vpn/vpnservices", 404, &[], fixture!("vpn-absent.json"))
        .with("/v2/lbaas/loadbalancers", fixture!("loadbalancers.json"))
        .with("/v2/zones", fixture!("zones.json"))
        .with(
            "/v2/zones/cc9fb999-0477-4824-a62e-55fd48cddd16/recordsets?limit=1",
            fixture!("recordsets.json"),
        )
        .with("/shares/detail?all_tenants=True&limit=1000", fixture!("shares.json"))
        .with("/domains", fixture!("domains.json"))
        .with("/projects?domain_id=default", fixture!("projects.json"))
        .with(
            "/v2/metrics?all_projects=true",
            r#"{"evaluation_results": [{"alarm_id": "a", "project_id": "p",
            "state_counters": {"ok": 1, "insufficient data": 0}}]}"#,
        )
        .with_status(&format!("/v1/AUTH_{LAB}"), 204, &account("2", "1101", "2"), "")
        .with_status(
            &format!("/v1/AUTH_{LAB}?format=json"),
            200,
            &account("2", "1101", "2"),
            r#"[{"name": "c1", "count": 1, "bytes": 1100, "storage_policy": "Policy-0"},
                {"name": "c2", "count": 1, "bytes": 1, "storage_policy": "Policy-0"}]"#,
        )
        .with_status("/v1/AUTH_0ae445f69f254debbb0f19fbd8c902d6", 204, &account("0", "0", "0"), "")
        .with_status("/v1/AUTH_0ae445f69f254debbb0f19fbd8c902d6?format=json", 404, &[], "")
        .with_status("/v1/AUTH_81a6b48f305d4bae88ce18a9feb462f6", 404, &[], "")
        .with_status("/v1/AUTH_81a6b48f305d4bae88ce18a9feb462f6?format=json", 404, &[], "")
        .with_status("/v1/AUTH_be5d60a5e9964c4e886981d4f98f6ea0", 403, &[], "no")
        .with_status("/v1/AUTH_be5d60a5e9964c4e886981d4f98f6ea0?format=json", 403, &[], "no")
}

struct Poll {
    plugins: Plugins,
    cycle: Cycle,
}

impl Poll {
    fn of(cloud: &Arc<Recorded>, settings: &CentralSettings) -> Self {
        let cloud = Arc::clone(cloud) as Arc<dyn CloudReader>;
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
        let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
        Self { plugins: plugins(settings, &cloud, None), cycle }
    }

    async fn discover(&self, name: &str) -> Result<Vec<Resource>, DiscoveryError> {
        let found = self.plugins.discoveries.iter().find(|discovery| discovery.name() == name).unwrap();
        found.discover(&self.cycle, None).await
    }

    /// The samples of a meter of everything that its own discovery finds.
    async fn meter(&self, name: &str) -> Vec<Sample> {
        let pollster = self.plugins.pollsters.iter().find(|pollster| pollster.name() == name).unwrap();
        let resources = self.discover(pollster.default_discovery().unwrap()).await.unwrap();
        self.read(name, &resources).await
    }

    async fn read(&self, name: &str, resources: &[Resource]) -> Vec<Sample> {
        let pollster = self.plugins.pollsters.iter().find(|pollster| pollster.name() == name).unwrap();
        let sink = KeptSamples::default();
        let mut out = SampleOut::new(&sink, "2026-11-20T08:30:00".into(), 2);
        pollster.poll(&self.cycle, resources, &mut out).await.unwrap();
        out.flush().await.unwrap();
        sink.take()
    }
}

/// What differs from upstream's sample: the cloud had moved on between the recordings, or the recording of the service was
/// made with an older microversion, which does not tell owners.
const DIFFERENT: &[(&str, &[&str])] = &[
    ("volume.snapshot.size", &["user_id"]),
    ("volume.backup.size", &["user_id", "project_id"]),
    ("volume.provider.pool.capacity.allocated", &["volume"]),
    ("dns.zone.serial", &["volume", "resource_metadata.serial", "resource_metadata.action"]),
];

#[tokio::test]
async fn samples_are_what_real_ceilometer_made_of_the_same_cloud() {
    let poll = Poll::of(&Arc::new(cloud()), &CentralSettings::default());
    let reference: Vec<Value> =
        fixture!("reference.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: BTreeSet<_> = reference.iter().map(|sample| sample["name"].as_str().unwrap()).collect();
    let mut compared = BTreeSet::new();
    for name in names.iter().filter(|name| !name.starts_with("alarm")) {
        for ours in poll.meter(name).await {
            let ours = Value::Object(ours.to_map());
            let same = |theirs: &&Value| {
                theirs["name"] == ours["name"] && theirs["resource_id"] == ours["resource_id"]
            };
            let Some(theirs) = reference.iter().find(same) else { continue };
            let mut theirs = theirs.clone();
            let different =
                DIFFERENT.iter().find(|(meter, _)| meter == name).map_or(&[][..], |(_, fields)| fields);
            for field in ["timestamp", "id"].iter().chain(different) {
                let pointer = format!("/{}", field.replace('.', "/"));
                *theirs.pointer_mut(&pointer).unwrap() = ours.pointer(&pointer).unwrap().clone();
            }
            assert_eq!(ours, theirs);
            compared.insert(*name);
        }
    }
    let missing: Vec<_> = names.iter().filter(|name| !compared.contains(*name)).collect();
    assert_eq!(missing, [&"alarm.evaluation_result"]);
}

#[tokio::test]
async fn what_upstreams_table_says_is_what_is_read() {
    let poll = Poll::of(&Arc::new(cloud()), &CentralSettings::default());
    let images = poll.meter("image.size").await;
    assert!(
        images.iter().all(|image| image.volume.as_f64().is_some()),
        "an image without data has no sample"
    );
    assert_eq!(images[0].metadata["is_protected"], json!(false));
    let volumes = poll.meter("volume.size").await;
    assert_eq!(
        (volumes[0].volume.to_json(), volumes[0].metadata["image_id"].clone()),
        (json!(3), Value::Null)
    );
    assert_eq!(volumes[0].project_id.as_deref(), Some("81a6b48f305d4bae88ce18a9feb462f6"));
    let total = poll.meter("volume.provider.pool.capacity.total").await;
    assert_eq!(total[0].volume.to_json(), json!("infinite"));
    // Nothing is promised of that pool.
    assert!(poll.meter("volume.provider.pool.capacity.provisioned").await.is_empty());
    assert!(poll.meter("volume.provider.pool.capacity.virtual_free").await.is_empty());
    let share = &poll.meter("manila.share.status").await[0];
    assert_eq!((share.volume.to_json(), share.metadata["protocol"].clone()), (json!(1), json!("NFS")));
    assert_eq!(poll.meter("dns.zone.recordsets").await[0].volume.to_json(), json!(3));
    let alarms = poll.meter("alarm.evaluation_result").await;
    assert_eq!(alarms.len(), 2);
    assert_eq!(alarms[1].metadata["alarm_state"], json!("insufficient data"));
}

#[tokio::test]
async fn an_extension_that_a_service_does_not_have_is_empty_and_a_service_that_is_not_there_is_told() {
    let poll = Poll::of(&Arc::new(cloud()), &CentralSettings::default());
    assert!(poll.discover("vpn_services").await.unwrap().is_empty());
    assert!(matches!(poll.discover("fw_services").await, Err(DiscoveryError::NoService(_))));
}

#[tokio::test]
async fn accounts_are_asked_once_a_cycle_and_one_that_refuses_costs_itself_alone() {
    let cloud = Arc::new(cloud());
    let poll = Poll::of(&cloud, &CentralSettings::default());
    for meter in ["storage.objects", "storage.objects.size", "storage.objects.containers"] {
        let samples = poll.meter(meter).await;
        // One project has no account, and one is refused.
        assert_eq!(samples.len(), 2, "{meter}");
    }
    assert_eq!(cloud.times(&format!("/v1/AUTH_{LAB}")), 1);
    assert_eq!(poll.meter("storage.containers.objects").await.len(), 2);
}

#[tokio::test]
async fn lists_are_read_page_by_page_to_their_end() {
    let counted = |offset: usize, count: usize| {
        let shares: Vec<_> =
            (offset..offset + count).map(|id| json!({"id": format!("{id}"), "size": 1})).collect();
        json!({ "shares": shares }).to_string()
    };
    let containers = |names: &[&str]| {
        let one = |name: &&str| json!({"name": name, "count": 1, "bytes": 1});
        Value::Array(names.iter().map(one).collect()).to_string()
    };
    let three = [("x-account-container-count", "3")];
    let cloud = Recorded::default()
        .with("/v2/images", fixture!("images-page1.json"))
        .with("/v2/images?limit=2&marker=0a6dc203-b4a9-4939-95e5-6436627b9356", fixture!("images-page2.json"))
        .with("/v2/images?limit=2&marker=d1ee7f86-b5b9-4112-9e31-0cbeee4f7c19", r#"{"images": []}"#)
        .with("/shares/detail?all_tenants=True&limit=1000", &counted(0, 1000))
        .with("/shares/detail?all_tenants=True&limit=1000&offset=1000", &counted(1000, 7))
        .with_status("/v1/AUTH_p?format=json", 200, &three, &containers(&["a", "b"]))
        .with_status("/v1/AUTH_p?format=json&marker=b", 200, &three, &containers(&["c"]));
    let poll = Poll::of(&Arc::new(cloud), &CentralSettings::default());
    assert_eq!(poll.discover("images").await.unwrap().len(), 4);
    assert_eq!(poll.discover("manila_shares").await.unwrap().len(), 1007);
    assert_eq!(poll.read("storage.containers.objects", &[Resource::from_id("p")]).await.len(), 3);
}

#[tokio::test]
async fn promises_of_pools_are_counted_as_upstream_counts_them() {
    let pool = |more: Value| {
        let mut capabilities = json!({"pool_name": "p", "total_capacity_gb": 105.5, "free_capacity_gb": 10,
            "reserved_percentage": 10, "provisioned_capacity_gb": 40, "allocated_capacity_gb": 30});
        capabilities.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Resource::from_json("h@b#p", json!({"name": "h@b#p", "capabilities": capabilities}))
    };
    let poll = Poll::of(&Arc::new(Recorded::default()), &CentralSettings::default());
    let free = |more| {
        let (poll, pool) = (&poll, pool(more));
        async move {
            let samples = poll.read("volume.provider.pool.capacity.virtual_free", &[pool]).await;
            samples.first().map(|sample| sample.volume.to_json())
        }
    };
    assert_eq!(free(json!({})).await, Some(json!(105.5 - 10.0 - 40.0)));
    let thin = json!({"thin_provisioning_support": true, "max_over_subscription_ratio": "20.0"});
    assert_eq!(free(thin).await, Some(json!(20.0 * 95.5 - 40.0)));
    assert_eq!(free(json!({"total_capacity_gb": "unknown"})).await, None);
    assert_eq!(free(json!({"provisioned_capacity_gb": 0})).await, None);
}

#[tokio::test]
async fn keys_of_connections_are_told_only_where_that_is_asked_for() {
    let connection = Resource::from_json("c", json!({"id": "c", "psk": "hunter2", "project_id": "p"}));
    for (publish_secrets, shown) in [(false, "***"), (true, "hunter2")] {
        let settings = CentralSettings { publish_secrets, ..CentralSettings::default() };
        let poll = Poll::of(&Arc::new(Recorded::default()), &settings);
        let samples = poll.read("network.services.vpn.connections", std::slice::from_ref(&connection)).await;
        assert_eq!(samples[0].metadata["psk"], json!(shown));
    }
}
