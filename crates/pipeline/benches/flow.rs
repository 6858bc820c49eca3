//! Samples through pipelines: as they are, and with rates computed, the journal's disk included.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use divan::Bencher;
use divan::counter::ItemsCount;
use nephometer_model::{Clock, Metadata, Meter, MeterType, Sample, SystemClock, Timestamp};
use nephometer_pipeline::expr::{Attributes, Expression, Names, Value as ExpressionValue};
use nephometer_pipeline::path::Path;
use nephometer_pipeline::{
    NameKind, PipelineConfig, PipelineSettings, Pipelines, PublishError, Publisher, SampleSink,
};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// Takes everything.
struct Taker(AtomicU64);

#[async_trait]
impl Publisher for Taker {
    fn target(&self) -> &str {
        "test://"
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        self.0.fetch_add(samples.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

const RESOURCES: usize = 1000;
const START_NS: i64 = 1_767_225_600_000_000_000;

/// A reading of every resource, at some second.
fn readings(second: i64) -> Vec<Sample> {
    let meter = Meter::new("cpu", MeterType::Cumulative, "ns");
    let Value::Object(metadata) = json!({
        "cpu_number": 2, "display_name": "vm", "host": "h", "flavor": {"name": "m1.small", "vcpus": 2, "ram": 2048},
        "status": "active", "image": {"id": "5b40e1ab-2d31-4d4b-9b1f-3f1d2d6a8f10"}, "os_type": "hvm",
    }) else {
        return Vec::new();
    };
    let metadata = Metadata::from(metadata);
    let timestamp: Arc<str> = Timestamp::from_ns(START_NS + second * 1_000_000_000).isoformat().into();
    (0..RESOURCES)
        .map(|resource| {
            let mut sample = Sample::new(&meter, second * 500_000_000, format!("{resource}-{second}"));
            sample.resource_id = Some(format!("resource-{resource}").into());
            sample.timestamp = Some(Arc::clone(&timestamp));
            sample.metadata = metadata.clone();
            sample
        })
        .collect()
}

fn through(bencher: Bencher<'_, '_>, config: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (Ok(runtime), Ok(directory)) = (runtime, tempfile::tempdir()) else { return };
    let _inside = runtime.enter();
    let Ok(config) = PipelineConfig::parse(config, NameKind::Meters) else { return };
    let taker: Arc<dyn Publisher> = Arc::new(Taker(AtomicU64::new(0)));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let started =
        Pipelines::start(&config, PipelineSettings::default(), directory.path(), clock, &mut |_| {
            Ok(Arc::clone(&taker))
        });
    let Ok(pipelines) = started else { return };
    let mut second = 0;
    bencher
        .counter(ItemsCount::new(RESOURCES))
        .with_inputs(|| {
            second += 10;
            readings(second)
        })
        .bench_local_values(|samples| runtime.block_on(pipelines.accept(samples)));
}

#[divan::bench]
fn everything_as_it_is(bencher: Bencher<'_, '_>) {
    through(bencher, nephometer_pipeline::DEFAULT_PIPELINE_YAML);
}

#[divan::bench]
fn rates_with_their_journal(bencher: Bencher<'_, '_>) {
    through(
        bencher,
        r#"
sources: [{name: cpu, meters: [cpu], sinks: [cpu]}]
sinks:
  - name: cpu
    transformers:
      - name: rate_of_change
        parameters:
          target: {name: cpu_util, unit: "%", type: gauge, scale: "100.0 / (10**9 * (resource_metadata.cpu_number or 1))"}
    publishers: ["test://"]
"#,
    );
}

#[divan::bench]
fn a_scale(bencher: Bencher<'_, '_>) {
    let samples = readings(0);
    let Ok(expression) = Expression::compile("100.0 / (10**9 * (resource_metadata.cpu_number or 1))") else {
        return;
    };
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        let metadata = ExpressionValue::Namespace(Some(Attributes::Metadata(&samples[0].metadata)));
        let names = Names(vec![("resource_metadata", metadata)]);
        expression.evaluate(&names).is_ok()
    });
}

#[divan::bench]
fn an_attribute(bencher: Bencher<'_, '_>) {
    let samples = readings(0);
    let Ok(path) = Path::compile("resource_metadata.(instance_host|host)") else { return };
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| path.first_of_sample(&samples[0]).is_ok());
}
