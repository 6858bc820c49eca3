//! What it costs to publish samples into the metric service of the same process: polling cycles of a cloud of 800 instances
//! with 15 meters each. `cargo bench -p nephometer-api --bench publish`. What is measured is CPU time of all threads.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking and reads the clock"
)]

use std::sync::Arc;
use std::time::Instant;

use nephometer_metric::LocalMetricWriter;
use nephometer_model::{Identity, Meter, MeterType, Sample};
use nephometer_pipeline::Publisher as _;
use nephometer_pipeline::publish::{GnocchiOptions, GnocchiPublisher, ProjectFilter};
use nephometer_pipeline::resources::{DEFAULT_DEFINITIONS, ResourceDefinitions};
use nephometer_testkit::app::TestApp;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::runtime::Runtime;
use uuid::Uuid;

const INSTANCES: u128 = 800;
const CYCLES: u32 = 21;
const METERS: [&str; 15] = [
    "cpu",
    "vcpus",
    "memory",
    "memory.usage",
    "memory.available",
    "memory.resident",
    "memory.swap.in",
    "memory.swap.out",
    "power.state",
    "disk.root.size",
    "disk.ephemeral.size",
    "perf.cpu.cycles",
    "perf.instructions",
    "perf.cache.references",
    "perf.cache.misses",
];

/// The samples of one cycle, each instance's with metadata of its own.
fn cycle(number: u32) -> Vec<Sample> {
    let meters = METERS.map(|name| Meter::new(name, MeterType::Gauge, "B"));
    let timestamp: Arc<str> = format!("2026-01-01T{:02}:{:02}:00.5", number / 60 % 24, number % 60).into();
    let of_instance = |instance: u128| {
        let metadata = json!({"display_name": "vm", "host": "c", "instance_host": "c1", "flavor": {"id": "1", "name": "m1",
            "vcpus": 2, "ram": 2048, "disk": 20, "ephemeral": 0, "swap": 0}, "image": {"id": "i"}, "image_ref": "i",
            "status": "active", "state": "running", "user_metadata": {"server_group": "g"}, "task_state": "", "vcpus": 2});
        let metadata = Arc::new(metadata.as_object().unwrap().clone());
        let id: Arc<str> = Uuid::from_u128(instance + 1).to_string().into();
        meters.clone().map(|meter| {
            let mut sample = Sample::new(&meter, f64::from(number), "an-id");
            (sample.resource_id, sample.timestamp) = (Some(Arc::clone(&id)), Some(Arc::clone(&timestamp)));
            (sample.project_id, sample.metadata) = (Some("p".into()), Arc::clone(&metadata));
            sample
        })
    };
    (0..INSTANCES).flat_map(of_instance).collect()
}

fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Cycles of resources that are known: what a publisher does day after day.
fn main() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::start()).unwrap();
    let identity = Identity { creator: Some("admin".to_owned()), ..Identity::default() };
    let publisher = GnocchiPublisher::new(
        "gnocchi://".to_owned(),
        Arc::new(LocalMetricWriter::new(Arc::clone(&app.service), identity)),
        Arc::new(ResourceDefinitions::parse(DEFAULT_DEFINITIONS).unwrap()),
        GnocchiOptions::default(),
        ProjectFilter::off(),
        app.clock.clone(),
    );
    let publish = |number: u32| {
        let samples = cycle(number);
        let (cpu, wall) = (cpu_ns(), Instant::now());
        runtime.block_on(publisher.publish(&samples)).unwrap();
        let of_sample = |ns: f64| ns / samples.len() as f64 / 1000.0;
        (of_sample((cpu_ns() - cpu) as f64), of_sample(wall.elapsed().as_nanos() as f64))
    };
    let (cpu, wall) = publish(0);
    println!("resources and metrics are made: {cpu:.2} us of CPU a sample, {wall:.2} us");
    let mut cycles: Vec<_> = (1..=CYCLES).map(publish).collect();
    cycles.sort_by(|first, second| first.0.total_cmp(&second.0));
    let (cpu, wall) = cycles[cycles.len() / 2];
    println!("resources and metrics are known: {cpu:.2} us of CPU a sample, {wall:.2} us");
}
