//! What a cycle over a large cloud costs: `cloud_scale` measures two sizes, each in a process of its own, and holds them to their
//! bars; `cloud_scale dynamic|all SERVERS PORTS CYCLES` measures one. Objects are recorded ones under other ids, in pages as
//! Nova, Neutron and Cinder make them; making them is part of what is measured.
//!
//! Dynamic pollsters read servers and ports. With `all`, the built-in pollsters of the namespace `central` read volumes (as many
//! as servers) and floating addresses (a fifth of that) beside them, of which each cycle has lists.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudReader, CloudTarget};
use nephometer_model::{Clock, Sample, SystemClock};
use nephometer_pipeline::{NotAccepted, SampleSink};
use nephometer_polling::central::{self, CentralSettings};
use nephometer_polling::dynamic::{self, DynamicDefinitions};
use nephometer_polling::{Agent, AgentParts, AgentSettings, Division, Namespace, Plan, PollingConfig};

/// Sizes that are measured: servers and ports.
const SIZES: [(&str, &str); 2] = [("2000", "10000"), ("10000", "50000")];
const CYCLES: &str = "5";
/// The most CPU that a cycle may take, in seconds.
const MAX_CPU_SECONDS: f64 = 5.0;
/// How much more memory the larger cloud may take where it is read page by page, and a later cycle than the first, in MiB.
const MAX_GROWTH_MIB: u64 = 16;
/// Objects of a page, the services' own limit.
const PAGE: usize = 1000;
const COMPUTE: &str = "http://nova.test/v2.1";
const NETWORK: &str = "http://neutron.test";
/// Bytes of a page of memory, and ticks of a second of CPU, on Linux.
const MEMORY_PAGE: u64 = 4096;
const TICKS: f64 = 100.0;

const DEFINITIONS: &str = r#"
- name: dynamic.server.vcpus
  sample_type: gauge
  unit: vcpu
  endpoint_type: compute
  url_path: servers/detail?all_tenants=true
  headers: {x-openstack-nova-api-version: "2.90"}
  response_entries_key: servers
  next_sample_url_attribute: "servers_links | value[0]['href']"
  value_attribute: flavor.vcpus
  project_id_attribute: tenant_id
  metadata_fields: [name, status, flavor.original_name, "OS-EXT-SRV-ATTR:host", "addresses | len(value)"]
- name: dynamic.server.status
  sample_type: gauge
  unit: status
  endpoint_type: compute
  url_path: servers/detail?all_tenants=true
  response_entries_key: servers
  next_sample_url_attribute: "servers_links | value[0]['href']"
  value_attribute: status
  value_mapping: {ACTIVE: 1, SHUTOFF: 0, ERROR: 2}
  project_id_attribute: tenant_id
- name: dynamic.port.status
  sample_type: gauge
  unit: status
  endpoint_type: network
  url_path: v2.0/ports
  response_entries_key: ports
  next_sample_url_attribute: "ports_links | [l['href'] for l in value if l['rel'] == 'next'] | value[0] if value else None"
  value_attribute: status
  value_mapping: {ACTIVE: 1, DOWN: 0}
  metadata_fields: [network_id, device_id, mac_address]
"#;
const DYNAMIC: &str = "sources: [{name: all, interval: 300, meters: ['dynamic.*']}]";
const ALL: &str =
    "sources: [{name: all, interval: 300, meters: ['dynamic.*', 'volume.*', 'ip.floating', 'image.*']}]";

/// Objects of one kind.
struct Collection {
    key: &'static str,
    address: &'static str,
    count: usize,
    template: &'static str,
}

struct Cloud {
    collections: Vec<Collection>,
}

impl Cloud {
    fn new(servers: usize, ports: usize) -> Self {
        let collection = |key, address, count, template| Collection { key, address, count, template };
        let volume = include_str!("fixtures/volume.json");
        let floating = include_str!("fixtures/floatingip.json");
        Self {
            collections: vec![
                collection(
                    "servers",
                    "http://nova.test/v2.1/servers/detail",
                    servers,
                    include_str!("fixtures/server.json"),
                ),
                collection(
                    "ports",
                    "http://neutron.test/v2.0/ports",
                    ports,
                    include_str!("fixtures/port.json"),
                ),
                collection("volumes", "/volumes/detail", servers, volume),
                collection("floatingips", "/v2.0/floatingips", servers / 5, floating),
                collection("images", "/v2/images", 0, ""),
                collection("snapshots", "/snapshots/detail", 0, ""),
                collection("backups", "/backups/detail", 0, ""),
                collection("pools", "/scheduler-stats/get_pools", 0, ""),
                collection("services", "/os-services", 0, ""),
            ],
        }
    }
}

impl Collection {
    /// The page behind `marker`, the number of an object.
    fn page(&self, marker: usize) -> String {
        let end = (marker + PAGE).min(self.count);
        let mut body = format!("{{\"{}\": [", self.key);
        for number in marker..end {
            if number > marker {
                body.push_str(", ");
            }
            let id = format!("00000000-0000-4000-8000-{number:012}");
            body.push_str(&self.template.replace("{id}", &id));
        }
        body.push(']');
        if end < self.count {
            let href = format!("{}?limit={PAGE}&marker={end}", self.address);
            body.push_str(&format!(
                ", \"{}_links\": [{{\"rel\": \"next\", \"href\": \"{href}\"}}]",
                self.key
            ));
        }
        body.push('}');
        body
    }
}

#[async_trait]
impl CloudReader for Cloud {
    async fn endpoints(&self, service_type: &str) -> Result<Vec<String>, CloudError> {
        Ok(match service_type {
            "compute" => vec![COMPUTE.to_owned()],
            "network" => vec![NETWORK.to_owned()],
            _ => Vec::new(),
        })
    }

    async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError> {
        let asked = match &call.target {
            CloudTarget::Service { path, .. } => path,
            CloudTarget::Link(url) | CloudTarget::Configured(url) => url,
        };
        let (address, query) = asked.split_once('?').unwrap_or((asked, ""));
        let of_query = query.split('&').find_map(|part| part.strip_prefix("marker="));
        let of_call = call.query.iter().find(|(name, _)| name == "marker").map(|(_, value)| value.as_str());
        let marker = of_query.or(of_call).and_then(|text| text.parse().ok()).unwrap_or(0);
        let found = self.collections.iter().find(|collection| collection.address == address);
        let found = found.ok_or_else(|| CloudError::NoService(format!("nothing is at {asked}")))?;
        Ok(CloudAnswer { status: 200, headers: http::HeaderMap::new(), body: found.page(marker).into() })
    }

    async fn project_id(&self) -> Result<Option<String>, CloudError> {
        Ok(None)
    }
}

#[derive(Default)]
struct Counted(AtomicU64);

#[async_trait]
impl SampleSink for Counted {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        self.0.fetch_add(samples.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn agent(cloud: Cloud, sink: Arc<Counted>, polling: &str) -> Result<Agent> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("scale.yaml"), DEFINITIONS)?;
    let definitions = DynamicDefinitions::load(&[directory.path().to_owned()], &["central".to_owned()])?;
    ensure!(definitions.problems.is_empty(), "{:?}", definitions.problems);
    let clock = Arc::new(SystemClock::new());
    let by = Arc::clone(&clock) as Arc<dyn Clock>;
    let cloud = Arc::new(cloud) as Arc<dyn CloudReader>;
    let mut plugins = central::plugins(&CentralSettings::default(), &cloud, None);
    let defined = dynamic::plugins(&definitions, "central", &cloud, &by)?;
    plugins.pollsters.extend(defined.pollsters);
    let namespaces = [Namespace { name: "central".into(), plugins }];
    let plan = Plan::new(&PollingConfig::parse(polling)?, &namespaces);
    let parts = AgentParts {
        sink,
        clock: Arc::clone(&by),
        ids: clock,
        division: Division::alone(by),
        exporter: None,
        names: None,
        heartbeat: None,
    };
    Ok(Agent::new(parts, AgentSettings::default(), plan).0)
}

/// Seconds of CPU that this process has used.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().context("a process")?.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or_default()).sum();
    Ok(ticks as f64 / TICKS)
}

/// Resident memory now, and the most that it has been, in MiB.
fn memory_mib() -> Result<(u64, u64)> {
    let resident = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = resident.split_whitespace().nth(1).context("a process")?.parse()?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a process")?;
    let most: u64 = most.trim().trim_end_matches(" kB").parse()?;
    Ok(((pages * MEMORY_PAGE) >> 20, most >> 10))
}

fn measure(polling: &str, servers: usize, ports: usize, cycles: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sink = Arc::new(Counted::default());
    let agent = agent(Cloud::new(servers, ports), Arc::clone(&sink), polling)?;
    println!("{servers} servers, {ports} ports ({} MiB before the first cycle):", memory_mib()?.0);
    let mut first = None;
    for cycle in 1..=cycles {
        let before = cpu_seconds()?;
        let outcomes = runtime.block_on(agent.once());
        let failures: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.failure.as_deref()).collect();
        ensure!(failures.is_empty(), "{failures:?}");
        let samples = sink.0.swap(0, Ordering::Relaxed);
        let (resident, most) = memory_mib()?;
        let cpu = cpu_seconds()? - before;
        println!(
            "  cycle {cycle}: {samples} samples, {cpu:.2} s CPU, {resident} MiB resident, {most} MiB at most"
        );
        ensure!(cpu <= MAX_CPU_SECONDS, "a cycle takes more than {MAX_CPU_SECONDS} s");
        let first = *first.get_or_insert(most);
        ensure!(most <= first + MAX_GROWTH_MIB, "memory grows from cycle to cycle");
    }
    Ok(())
}

/// Measures in a process of its own; the most memory that it took, in MiB.
fn apart(what: &str, servers: &str, ports: &str) -> Result<u64> {
    let output = Command::new(std::env::current_exe()?).args([what, servers, ports, CYCLES]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{what}: {text}");
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let most = text.trim_end().strip_suffix(" MiB at most").and_then(|text| text.rsplit(' ').next());
    Ok(most.context("a line about memory")?.parse()?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["dynamic", servers, ports, cycles] => {
            measure(DYNAMIC, servers.parse()?, ports.parse()?, cycles.parse()?)
        }
        ["all", servers, ports, cycles] => measure(ALL, servers.parse()?, ports.parse()?, cycles.parse()?),
        _ => {
            let [small, large] = SIZES;
            let few = apart("dynamic", small.0, small.1)?;
            let many = apart("dynamic", large.0, large.1)?;
            ensure!(many <= few + MAX_GROWTH_MIB, "memory grows with the cloud: {few} MiB, {many} MiB");
            for (servers, ports) in SIZES {
                apart("all", servers, ports)?;
            }
            println!("within the bars");
            Ok(())
        }
    }
}
