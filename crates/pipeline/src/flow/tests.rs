//! Pipelines at work: order, refusals, restarts, changes of the configuration.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nephometer_model::{ManualClock, Meter, MeterType, Volume};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{NameKind, PublishError};

const START_NS: i64 = 1_767_225_600_000_000_000;

/// A target that may be down.
#[derive(Default)]
struct Target {
    name: String,
    got: Mutex<Vec<Sample>>,
    down: AtomicBool,
}

#[async_trait]
impl Publisher for Target {
    fn target(&self) -> &str {
        &self.name
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        if self.down.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(PublishError::Later("it is down".to_owned()));
        }
        tokio::task::yield_now().await;
        self.got.lock().extend_from_slice(samples);
        Ok(())
    }
}

impl Target {
    fn set_down(&self, down: bool) {
        self.down.store(down, std::sync::atomic::Ordering::SeqCst);
    }

    fn volumes(&self) -> Vec<(String, f64)> {
        let got = self.got.lock();
        got.iter().map(|sample| (sample.resource_id.clone().unwrap().to_string(), rounded(sample))).collect()
    }
}

/// A volume without what arithmetic has left behind its sixth digit.
fn rounded(sample: &Sample) -> f64 {
    (sample.volume.as_f64().unwrap() * 1e6).round() / 1e6
}

/// Targets by address, made when they are asked for.
#[derive(Default)]
struct Targets(Mutex<Vec<(String, Arc<Target>)>>);

impl Targets {
    fn get(&self, address: &str) -> Arc<Target> {
        let mut known = self.0.lock();
        if let Some((_, target)) = known.iter().find(|(name, _)| name == address) {
            return Arc::clone(target);
        }
        let target = Arc::new(Target { name: address.to_owned(), ..Target::default() });
        known.push((address.to_owned(), Arc::clone(&target)));
        target
    }
}

struct World {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    targets: Targets,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(START_NS)));
        Self { directory: tempfile::tempdir().unwrap(), clock, targets: Targets::default() }
    }

    fn start(&self, config: &str) -> Pipelines {
        let config = PipelineConfig::parse(config, NameKind::Meters).unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let settings = PipelineSettings { max_waiting_samples: 50, ..PipelineSettings::default() };
        let mut load = |address: &str| Ok(self.targets.get(address) as Arc<dyn Publisher>);
        Pipelines::start(&config, settings, self.directory.path(), clock, &mut load).unwrap()
    }

    async fn reload(&self, pipelines: &Pipelines, config: &str) {
        let config = PipelineConfig::parse(config, NameKind::Meters).unwrap();
        let mut load = |address: &str| Ok(self.targets.get(address) as Arc<dyn Publisher>);
        pipelines.reload(&config, &mut load).await.unwrap();
    }
}

fn cpu(resource: &str, second: i64, volume: impl Into<Volume>) -> Sample {
    let meter = Meter::new("cpu", MeterType::Cumulative, "ns");
    let mut sample = Sample::new(&meter, volume, format!("{resource}-{second}"));
    sample.resource_id = Some(resource.into());
    sample.timestamp = Some(Timestamp::from_ns(START_NS + second * 1_000_000_000).isoformat().into());
    let Value::Object(metadata) = json!({"cpu_number": 2}) else { unreachable!() };
    sample.metadata = metadata.into();
    sample
}

const CPU_UTIL: &str = r#"
sources:
  - {name: all, meters: ["*"], sinks: [plain]}
  - {name: cpu, meters: [cpu], sinks: [rates]}
sinks:
  - {name: plain, publishers: ["a://", "b://"]}
  - name: rates
    transformers:
      - name: rate_of_change
        parameters:
          target: {name: cpu_util, unit: "%", type: gauge, scale: "100.0 / (10**9 * (resource_metadata.cpu_number or 1))"}
    publishers: ["rates://"]
"#;

#[tokio::test]
async fn samples_go_where_sources_send_them() {
    let world = World::new();
    let pipelines = world.start(CPU_UTIL);
    let mut memory = cpu("r", 0, 7_i64);
    (memory.name, memory.id) = ("memory".into(), "m".into());
    let mut no_volume = cpu("r", 1, 0_i64);
    no_volume.volume = Volume::Other(Value::Null);
    let mut text = cpu("r", 2, 0_i64);
    text.volume = Volume::Other(json!("much"));
    pipelines
        .accept(vec![memory, cpu("r", 0, 0_i64), no_volume, text, cpu("r", 10, 10_000_000_000_i64)])
        .await
        .unwrap();
    pipelines.delivered().await;
    assert_eq!(world.targets.get("a://").got.lock().len(), 3);
    assert_eq!(world.targets.get("b://").got.lock().len(), 3);
    assert_eq!(world.targets.get("rates://").volumes(), [("r".to_owned(), 50.0)]);
    let counts = pipelines.counts().await;
    assert_eq!(
        (&*counts[0].pipelines[0].pipeline, counts[0].pipelines[0].received, counts[0].sent),
        ("all:plain", 5, 6)
    );
    let dropped: Vec<_> = counts[1].dropped.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(dropped, [("no_volume", 1), ("not_a_number", 1), ("no_predecessor", 1)]);
    assert_eq!(
        (&*counts[1].pipelines[0].pipeline, counts[1].remembered, counts[1].waiting),
        ("cpu:rates", 1, 0)
    );
}

#[tokio::test]
async fn a_target_that_is_down_holds_nobody_else_up() {
    let world = World::new();
    let pipelines = world.start(CPU_UTIL);
    let (a, b, rates) = (world.targets.get("a://"), world.targets.get("b://"), world.targets.get("rates://"));
    // Without a spool nothing is accepted that some target has not; what is brought again is told by its id.
    b.set_down(true);
    let refused = pipelines.accept(vec![cpu("r", 0, 0_i64)]).await.unwrap_err();
    assert_eq!(refused.to_string(), "b://: it is down");
    assert_eq!(a.got.lock().len(), 1);
    b.set_down(false);
    pipelines.accept(vec![cpu("r", 0, 0_i64)]).await.unwrap();
    // What was computed waits in order for its target, and is no reason to refuse anything until it is much.
    rates.set_down(true);
    let mut accepted = 0;
    for second in 1..100 {
        if pipelines.accept(vec![cpu("r", second, second * 2_000_000_000)]).await.is_err() {
            break;
        }
        accepted += 1;
    }
    assert_eq!((accepted, pipelines.counts().await[1].waiting), (50, 50));
    rates.set_down(false);
    pipelines.delivered().await;
    assert_eq!(rates.volumes(), vec![("r".to_owned(), 100.0); 50]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cpu_util_is_right_with_many_workers_and_after_restarts() {
    const RESOURCES: i64 = 40;
    let world = World::new();
    for part in 0..3 {
        let pipelines = Arc::new(world.start(CPU_UTIL));
        let workers = (0..RESOURCES).map(|resource| {
            let pipelines = Arc::clone(&pipelines);
            tokio::spawn(async move {
                for second in part * 10..part * 10 + 10 {
                    let burnt = second * 10_000_000 * (resource + 1);
                    let batch = || vec![cpu(&format!("r{resource}"), second, burnt)];
                    // Whoever comes while much waits comes again.
                    while pipelines.accept(batch()).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        // What is not delivered when the process ends is delivered by the next one.
        if part == 2 {
            pipelines.delivered().await;
        }
        Arc::into_inner(pipelines).unwrap().stop().await;
    }
    let rates = world.targets.get("rates://");
    let got = rates.got.lock();
    let ids: BTreeSet<_> = got.iter().map(|sample| Arc::clone(&sample.id)).collect();
    assert_eq!(ids.len(), usize::try_from(RESOURCES * 29).unwrap());
    for sample in got.iter() {
        let resource: f64 = sample.resource_id.as_deref().unwrap()[1..].parse().unwrap();
        assert!((sample.volume.as_f64().unwrap() - 0.5 * (resource + 1.0)).abs() < 1e-9, "{sample:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_has_stopped_has_let_the_disk_go() {
    let world = World::new();
    for second in 0..100 {
        let pipelines = Arc::new(world.start(CPU_UTIL));
        let accepting = Arc::clone(&pipelines);
        let accepted = tokio::spawn(async move { accepting.accept(vec![cpu("r", second, 0_i64)]).await });
        // The task ends, and leaves behind what it has begun on another thread.
        tokio::task::yield_now().await;
        accepted.abort();
        drop(accepted.await);
        Arc::into_inner(pipelines).unwrap().stop().await;
    }
}

#[tokio::test]
async fn what_comes_again_counts_once() {
    let world = World::new();
    let pipelines = world.start(CPU_UTIL);
    let batch = || vec![cpu("r", 0, 0_i64), cpu("r", 10, 5_000_000_000_i64)];
    pipelines.accept(batch()).await.unwrap();
    pipelines.accept(batch()).await.unwrap();
    pipelines.stop().await;
    let pipelines = world.start(CPU_UTIL);
    pipelines.accept(batch()).await.unwrap();
    pipelines.accept(vec![cpu("r", 20, 10_000_000_000_i64)]).await.unwrap();
    pipelines.delivered().await;
    let got = world.targets.get("rates://");
    let by_id: std::collections::BTreeMap<_, _> =
        got.got.lock().iter().map(|sample| (sample.id.to_string(), rounded(sample))).collect();
    assert_eq!(by_id.values().copied().collect::<Vec<_>>(), [25.0, 25.0]);
}

const HOLDING: &str = r#"
sources: [{name: s, meters: ["*"], sinks: [k]}]
sinks:
  - name: k
    transformers:
      - {name: aggregator, parameters: {retention_time: 60}}
      - {name: unit_conversion, parameters: {target: {scale: 10}}}
    publishers: ["old://"]
"#;

#[tokio::test]
async fn time_passes_without_samples() {
    let world = World::new();
    let pipelines = world.start(HOLDING);
    pipelines.accept(vec![cpu("r", 0, 3_i64)]).await.unwrap();
    pipelines.pass_time().await.unwrap();
    assert!(world.targets.get("old://").volumes().is_empty());
    pipelines.stop().await;
    let pipelines = world.start(HOLDING);
    world.clock.advance_ns(61_000_000_000);
    pipelines.pass_time().await.unwrap();
    pipelines.delivered().await;
    assert_eq!(world.targets.get("old://").volumes(), [("r".to_owned(), 30.0)]);
}

#[tokio::test]
async fn a_new_configuration_loses_nothing() {
    let world = World::new();
    let pipelines = world.start(HOLDING);
    pipelines.accept(vec![cpu("r", 0, 3_i64)]).await.unwrap();
    // The same again, and a sink beside it: what is held stays held.
    let more = format!(
        "{}\n  - {{name: other, publishers: ['new://']}}",
        HOLDING.replace("sinks: [k]}", "sinks: [k, other]}")
    );
    world.reload(&pipelines, &more).await;
    assert_eq!(pipelines.counts().await[0].remembered, 2);
    // The publisher and the transformer are gone: what was held goes on the way it would have gone.
    world.targets.get("old://").set_down(true);
    let changed = CPU_UTIL.replace("rates", "k");
    world.reload(&pipelines, &changed).await;
    pipelines.accept(vec![cpu("r", 10, 3_i64)]).await.unwrap();
    pipelines.accept(vec![cpu("r", 20, 4_000_000_003_i64)]).await.unwrap();
    world.targets.get("old://").set_down(false);
    pipelines.delivered().await;
    assert_eq!(world.targets.get("old://").volumes(), [("r".to_owned(), 30.0)]);
    assert_eq!(world.targets.get("k://").volumes(), [("r".to_owned(), 20.0)]);
    assert!(world.targets.get("new://").volumes().is_empty());
    // A configuration that cannot be changes nothing.
    let config = PipelineConfig::parse(HOLDING, NameKind::Meters).unwrap();
    let mut load = |address: &str| {
        Err(PipelineError::Publisher { target: address.to_owned(), reason: "no such scheme".to_owned() })
    };
    let error = pipelines.reload(&config, &mut load).await.unwrap_err();
    assert_eq!(error.to_string(), "Unable to load publisher old://: no such scheme");
    pipelines.accept(vec![cpu("r", 30, 4_000_000_003_i64)]).await.unwrap();
}
