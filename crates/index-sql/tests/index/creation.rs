//! What making metrics and resources costs. Not a test of anything by itself: run it with
//! `NEPHOMETER_CREATE=3600000 cargo test --release -p nephometer-index-sql sqlite_creation -- --ignored --nocapture`.
//! `NEPHOMETER_CREATE_IN` names a directory on the disk to measure, `NEPHOMETER_CREATE_URL` a database of PostgreSQL without
//! rows, whose server's time has to be read elsewhere. CPU time is the whole process'.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, StreamExt};
use nephometer_drivers::conformance::NOW;
use nephometer_drivers::{Indexer, NewMetric, NewResource, ResourceMetric};
use nephometer_index_sql::{PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::{
    ArchivePolicy, Attribute, AttributeKind, AttributeValue, MetricId, OrderedIds, ResourceId, ResourceType,
    ResourceTypeState, Timestamp,
};
use uuid::Uuid;

use crate::support;

/// Metrics of a resource that batches make,
const METRICS: usize = 20;
/// and in how large batches.
const BATCH: usize = 1000;
/// Requests at a time, where each makes one thing.
const AT_A_TIME: usize = 32;

fn scattered(number: usize) -> Uuid {
    Uuid::from_u128((number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn moment(number: usize) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + i64::try_from(number).unwrap() * 500)
}

fn metric(ids: &OrderedIds, number: usize) -> NewMetric {
    NewMetric {
        id: MetricId(ids.next(moment(number / METRICS), scattered(number))),
        creator: Some("a member:of a project".to_owned()),
        resource_id: Some(ResourceId(scattered(number / METRICS))),
        name: Some(format!("some.metric.{}", number % METRICS)),
        unit: Some("B".to_owned()),
        policy_name: "low".to_owned(),
    }
}

fn resource(ids: &OrderedIds, number: usize, metrics: usize) -> NewResource {
    let now = moment(number);
    let id = scattered(number);
    let attributes = [
        ("host", format!("host-{}", number / 50)),
        ("flavor", format!("flavor-{}", number % 10)),
        ("display_name", format!("instance number {number}")),
    ];
    let new = |number: usize| ResourceMetric::New {
        id: MetricId(ids.next(now, scattered(number))),
        unit: Some("B".to_owned()),
        policy_name: "low".to_owned(),
    };
    NewResource {
        id: ResourceId(id),
        original_resource_id: id.to_string(),
        type_name: "instance".to_owned(),
        creator: Some("a member:of a project".to_owned()),
        user_id: Some(format!("{:032x}", number / 50)),
        project_id: Some(format!("{:032x}", number / 100)),
        started_at: now,
        ended_at: None,
        revision_start: now,
        attributes: attributes.map(|(name, text)| (name.to_owned(), AttributeValue::String(text))).into(),
        metrics: (0..metrics).map(|number| (format!("some.metric.{number}"), new(number))).collect(),
    }
}

/// Processor time of this process so far, in microseconds, and what it had written to the disk, in bytes.
fn spent() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
    (ticks * 10_000.0, written.parse().unwrap())
}

async fn measured(what: &str, things: usize, work: impl Future<Output = ()>) {
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let (start, (cpu, written)) = (Instant::now(), spent());
    work.await;
    let (seconds, (cpu_now, written_now)) = (start.elapsed().as_secs_f64(), spent());
    let things = things as f64;
    println!(
        "{what:40} {:9.0}/s  {:7.1} us CPU  {:8.0} bytes written each",
        things / seconds,
        (cpu_now - cpu) / things,
        (written_now - written) / things,
    );
}

async fn prepare(index: &SqlIndex) {
    index.create_archive_policy(ArchivePolicy::upstream_defaults().swap_remove(1)).await.unwrap();
    let kind = AttributeKind::String { min_length: 0, max_length: 255 };
    let attribute = |name: &str| (name.to_owned(), Attribute { kind, required: false });
    let instance = ResourceType {
        name: "instance".to_owned(),
        attributes: BTreeMap::from(["host", "flavor", "display_name"].map(attribute)),
        state: ResourceTypeState::Active,
    };
    index.create_resource_type(instance).await.unwrap();
}

async fn create(index: &Arc<SqlIndex>, metrics: usize) {
    prepare(index).await;
    let ids = OrderedIds::default();
    let resources = metrics.div_ceil(METRICS);
    let made = stream::iter(0..resources).for_each_concurrent(AT_A_TIME, |number| {
        let new = resource(&ids, number, 0);
        async { drop(index.create_resource(new).await.unwrap()) }
    });
    measured("resources without metrics", resources, made).await;
    let step = BATCH * 100;
    for first in (0..metrics).step_by(step) {
        let numbers = first..(first + step).min(metrics);
        let what = format!("metrics by the thousand, from {first}");
        measured(&what, numbers.len(), async {
            for first in numbers.step_by(BATCH) {
                let news = (first..(first + BATCH).min(metrics)).map(|number| metric(&ids, number));
                index.create_or_get_metrics(news.collect()).await.unwrap();
            }
        })
        .await;
    }
    let single = (metrics / 20).min(20_000);
    let made = stream::iter(0..single).for_each_concurrent(AT_A_TIME, |number| {
        let new = NewMetric { name: Some(format!("other {number}")), ..metric(&ids, number) };
        async { drop(index.create_metric(new).await.unwrap()) }
    });
    measured("metrics one by one", single, made).await;
    let made = stream::iter(resources..resources + single).for_each_concurrent(AT_A_TIME, |number| {
        let new = resource(&ids, number, 4);
        async { drop(index.create_resource(new).await.unwrap()) }
    });
    measured("resources with four metrics", single, made).await;
}

fn wanted() -> usize {
    std::env::var("NEPHOMETER_CREATE").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sqlite_creation() {
    let parent = std::env::var("NEPHOMETER_CREATE_IN").unwrap_or_else(|_| ".".to_owned());
    let directory = tempfile::tempdir_in(Path::new(&parent)).unwrap();
    let settings = SqliteSettings::at(directory.path().join("index.sqlite"));
    let index = Arc::new(SqlIndex::open_sqlite(&settings, support::clock()).unwrap());
    create(&index, wanted()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn postgres_creation() {
    let url = match std::env::var("NEPHOMETER_CREATE_URL") {
        Ok(url) => url,
        Err(_) => support::fresh_postgres().await,
    };
    let settings = PostgresSettings { connections: 4, ..PostgresSettings::at(url) };
    let index = Arc::new(SqlIndex::connect_postgres(&settings, support::clock()).await.unwrap());
    create(&index, wanted()).await;
}
