//! How long things take with many resources and metrics; CPU time is this process'
//! or, where `NEPHOMETER_SCALE_PID` is the database server's process, the server's. Not a test of anything by itself: run it with
//! `NEPHOMETER_SCALE=1000000 cargo test --release -p nephometer-index-sql sqlite_scale -- --ignored --nocapture`.
//! With `NEPHOMETER_SCALE_FILE` the SQLite file is kept there, and measured as it is where it exists already; so is the
//! database of PostgreSQL that `NEPHOMETER_SCALE_URL` names.

mod bulk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nephometer_drivers::conformance::NOW;
use nephometer_drivers::{
    Direction, Indexer, MetricAccess, MetricQuery, NewMetric, NewResource, Page, ResourceQuery, Sort,
};
use nephometer_index_sql::{PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::{
    ArchivePolicy, Attribute, AttributeKind, AttributeValue, Comparison, Filter, FilterValue, MetricId,
    ResourceId, ResourceType, ResourceTypeState, Timestamp,
};
use uuid::Uuid;

use crate::support;

/// Metrics of each resource.
const METRICS: u128 = 4;

/// Scatters numbers over all UUIDs, as random ids would be.
fn scattered(number: u128) -> Uuid {
    Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn resource(number: u128) -> NewResource {
    let project = format!("{:032x}", number / 100);
    let attributes = [
        ("host", AttributeValue::String(format!("host-{}", number % 1000))),
        ("flavor", AttributeValue::String(format!("flavor-{}", number % 10))),
        ("display_name", AttributeValue::String(format!("instance number {number}"))),
        ("vcpus", AttributeValue::Number(u32::try_from(number % 64).unwrap().into())),
        ("image", AttributeValue::Uuid(scattered(number % 50))),
        (
            "launched",
            AttributeValue::Datetime(Timestamp::from_micros(i64::try_from(number).unwrap() * 1_000_000)),
        ),
    ];
    NewResource {
        id: ResourceId(scattered(number)),
        original_resource_id: scattered(number).to_string(),
        type_name: "instance".to_owned(),
        creator: Some(format!("{:032x}:{:032x}", number % 5, number % 7)),
        user_id: Some(format!("{:032x}", number / 50)),
        project_id: Some(project),
        started_at: Timestamp::from_micros(NOW.micros() + i64::try_from(number).unwrap()),
        ended_at: None,
        revision_start: Timestamp::from_micros(NOW.micros() + i64::try_from(number).unwrap()),
        attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
        metrics: BTreeMap::new(),
    }
}

fn metric(owner: u128, number: u128) -> NewMetric {
    NewMetric {
        id: MetricId(scattered((owner + 1) << 64 | number)),
        creator: Some(format!("{:032x}:{:032x}", owner % 5, owner % 7)),
        resource_id: Some(ResourceId(scattered(owner))),
        name: Some(format!("some.metric.{number}")),
        unit: Some("B".to_owned()),
        policy_name: "low".to_owned(),
    }
}

fn instance_type() -> ResourceType {
    let text = AttributeKind::String { min_length: 0, max_length: 255 };
    let kinds = [
        ("host", text),
        ("flavor", text),
        ("display_name", text),
        ("vcpus", AttributeKind::Number { min: None, max: None }),
        ("image", AttributeKind::Uuid),
        ("launched", AttributeKind::Datetime),
    ];
    let attribute =
        |(name, kind): (&str, AttributeKind)| (name.to_owned(), Attribute { kind, required: false });
    ResourceType {
        name: "instance".to_owned(),
        attributes: kinds.map(attribute).into(),
        state: ResourceTypeState::Active,
    }
}

/// Processor time so far of this process, or of what the process `NEPHOMETER_SCALE_PID` has started and still runs.
fn cpu_seconds() -> f64 {
    let files: Vec<PathBuf> = match std::env::var("NEPHOMETER_SCALE_PID") {
        Err(_) => std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|entry| entry.path()).collect(),
        Ok(server) => {
            let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
            children.split_whitespace().map(|child| Path::new("/proc").join(child)).collect()
        }
    };
    let times = files.iter().filter_map(|file| std::fs::read_to_string(file.join("schedstat")).ok());
    times.map(|time| time.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9).sum()
}

async fn timed<T, E: std::fmt::Debug>(
    what: &str,
    size: impl Fn(&T) -> usize,
    mut work: impl AsyncFnMut() -> Result<T, E>,
) {
    let mut best = f64::INFINITY;
    let mut rows = 0;
    let mut least_cpu = f64::INFINITY;
    for _ in 0..3 {
        #[expect(clippy::disallowed_methods, reason = "a measurement")]
        let (start, cpu) = (Instant::now(), cpu_seconds());
        rows = size(&work().await.unwrap());
        best = best.min(start.elapsed().as_secs_f64());
        least_cpu = least_cpu.min(cpu_seconds() - cpu);
    }
    println!("{what:50} {:9.1} ms {:9.1} ms CPU  {rows} rows", best * 1e3, least_cpu * 1e3);
}

async fn prepare(index: &SqlIndex) {
    index.create_archive_policy(ArchivePolicy::upstream_defaults().swap_remove(1)).await.unwrap();
    index.create_resource_type(instance_type()).await.unwrap();
}

fn metrics_of(owner: u128) -> Vec<NewMetric> {
    (0..METRICS).map(|number| metric(owner, number)).collect()
}

fn list(filter: Filter, limit: Option<u64>, sorts: &[(&str, Direction)]) -> ResourceQuery {
    let sorts = sorts.iter().map(|(key, direction)| Sort {
        key: (*key).to_owned(),
        direction: *direction,
        nulls: None,
    });
    ResourceQuery {
        type_name: "instance".to_owned(),
        filter,
        history: false,
        details: true,
        with_metrics: true,
        page: Page { limit, marker: None, sorts: sorts.collect() },
    }
}

async fn measure_resources(index: &SqlIndex, resources: u128) {
    let text = |name: &str, text: &str| Filter::eq_text(name, text);
    let above =
        |name: &str, value: f64| Filter::Compare(Comparison::Gt, name.to_owned(), FilterValue::Number(value));
    let project = format!("{:032x}", 5);
    let member = Filter::Or(vec![
        text("project_id", &project),
        text("created_by_project_id", &format!("{:032x}", 0xdead)),
    ]);
    let ascending = Direction::Ascending;
    let mut generic = list(Filter::All, Some(1000), &[]);
    generic.type_name = "generic".to_owned();
    let mut second_page = list(Filter::All, Some(1000), &[]);
    let first = index.list_resources(&second_page).await.unwrap();
    second_page.page.marker = first.last().map(|resource| resource.id.to_string());
    let mut history = list(text("id", &scattered(77).to_string()), Some(1000), &[]);
    history.history = true;
    let sorted_after = |key: &str, number: u128| {
        let mut page = list(Filter::All, Some(1000), &[(key, ascending)]);
        page.page.marker = Some(scattered(number).to_string());
        page
    };
    let equal =
        |name: &str, value: f64| Filter::Compare(Comparison::Eq, name.to_owned(), FilterValue::Number(value));
    for (what, query) in [
        ("first page", list(Filter::All, Some(1000), &[])),
        ("first page of generic", generic),
        ("second page", second_page),
        ("page by id", list(Filter::All, Some(1000), &[("id", ascending)])),
        ("page by started_at desc", list(Filter::All, Some(1000), &[("started_at", Direction::Descending)])),
        ("page by project", list(Filter::All, Some(1000), &[("project_id", ascending)])),
        ("page by host (attribute)", list(Filter::All, Some(1000), &[("host", ascending)])),
        ("page by host, from the middle", sorted_after("host", resources / 2)),
        ("page by display_name, from the middle", sorted_after("display_name", resources / 2)),
        ("page by vcpus desc", list(Filter::All, Some(1000), &[("vcpus", Direction::Descending)])),
        ("page by launched, from the middle", sorted_after("launched", resources / 2)),
        ("page by project, from the middle", sorted_after("project_id", resources / 2)),
        ("page by started_at, from the middle", sorted_after("started_at", resources / 2)),
        ("page by host where vcpus =", list(equal("vcpus", 7.0), Some(1000), &[("host", ascending)])),
        ("10,000 where vcpus =", list(equal("vcpus", 7.0), Some(10_000), &[])),
        ("a member's page", list(member, Some(1000), &[])),
        ("host = (one in 1000)", list(text("host", "host-7"), Some(1000), &[])),
        (
            "host like",
            list(
                Filter::Compare(Comparison::Like, "host".to_owned(), FilterValue::Text("%-77_".to_owned())),
                Some(1000),
                &[],
            ),
        ),
        (
            "display_name like (one in 100,000)",
            list(
                Filter::Compare(
                    Comparison::Like,
                    "display_name".to_owned(),
                    FilterValue::Text("%99999%".to_owned()),
                ),
                Some(1000),
                &[],
            ),
        ),
        (
            "10,000 ids and names, any of them",
            list(
                Filter::Or(
                    (0..5000)
                        .flat_map(|number| {
                            let id = scattered(number * 11).to_string();
                            [text("id", &id), text("display_name", &format!("instance number {number}"))]
                        })
                        .collect(),
                ),
                Some(1000),
                &[],
            ),
        ),
        ("flavor = (one in 10), page", list(text("flavor", "flavor-3"), Some(1000), &[])),
        ("flavor = (one in 10), all", list(text("flavor", "flavor-3"), None, &[])),
        ("flavor = and vcpus >", list(text("flavor", "flavor-3").and(above("vcpus", 61.0)), Some(1000), &[])),
        ("not flavor =", list(Filter::Not(Box::new(text("flavor", "flavor-3"))), Some(1000), &[])),
        ("vcpus > (most), page", list(above("vcpus", 3.0), Some(1000), &[])),
        ("history of one", history),
    ] {
        timed(what, Vec::len, async || index.list_resources(&query).await).await;
    }
}

async fn measure_metrics(index: &SqlIndex, resources: u128) {
    let some = |number: u128| number.wrapping_mul(7919) % resources;
    let ids: Vec<_> = (0..1000).map(|number| metric(some(number), number % METRICS).id).collect();
    timed("1000 metrics by id", Vec::len, async || index.metrics_by_id(&ids).await).await;
    let names: Vec<_> = (0..1000)
        .map(|number| (ResourceId(scattered(some(number))), format!("some.metric.{}", number % METRICS)))
        .collect();
    timed("1000 metrics by name", Vec::len, async || index.metrics_by_name(&names).await).await;
    let known: Vec<_> = (0..1000).map(|number| metric(some(number), number % METRICS)).collect();
    timed("1000 metrics create_or_get, all there", Vec::len, async || {
        index.create_or_get_metrics(known.clone()).await
    })
    .await;
    let page = || Page { limit: Some(1000), ..Page::default() };
    let access = MetricAccess {
        created_by_project_id: Some(format!("{:032x}", 3)),
        resource_filter: Some(Filter::eq_text("project_id", &format!("{:032x}", 5))),
    };
    let owner_of = |share: u128| {
        let projects = (0..resources * share / 100_000).map(|number| {
            FilterValue::Text(format!("{:032x}", number.wrapping_mul(7919) % (resources / 100)))
        });
        let resource_filter = Some(Filter::In("project_id".to_owned(), projects.collect()));
        let access = MetricAccess { created_by_project_id: None, resource_filter };
        MetricQuery { access: Some(access), page: page(), ..MetricQuery::default() }
    };
    for (what, query) in [
        ("page of metrics", MetricQuery { page: page(), ..MetricQuery::default() }),
        (
            "page of metrics by name",
            MetricQuery {
                names: Some(vec!["some.metric.3".to_owned()]),
                page: page(),
                ..MetricQuery::default()
            },
        ),
        (
            "page of metrics by creator",
            MetricQuery { creator: metric(3, 0).creator, page: page(), ..MetricQuery::default() },
        ),
        (
            "page of metrics of a member",
            MetricQuery { access: Some(access), page: page(), ..MetricQuery::default() },
        ),
        ("page of metrics, member with 0.5 % of resources", owner_of(5)),
        ("page of metrics, member with 2 % of resources", owner_of(20)),
        ("page of metrics, member with 5 % of resources", owner_of(50)),
    ] {
        timed(what, Vec::len, async || index.list_metrics(&query).await).await;
    }
    timed("counts", |_| 1, async || index.counts().await).await;
    let one = ResourceId(scattered(some(5)));
    timed("one resource", |_| 1, async || index.resource("instance", one).await).await;
    timed("one metric", Vec::len, async || index.metrics_by_id(&ids[..1]).await).await;
}

fn resources_wanted() -> u128 {
    std::env::var("NEPHOMETER_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

async fn measure(index: &SqlIndex) {
    let resources = u128::from(index.counts().await.unwrap().resources);
    measure_resources(index, resources).await;
    measure_metrics(index, resources).await;
}

async fn populate_sqlite(path: &Path, resources: u128) {
    prepare(&SqlIndex::open_sqlite(&SqliteSettings::at(path), support::clock()).unwrap()).await;
    bulk::sqlite(path, &mut bulk::Maker::new(&resource, &metrics_of), resources);
}

async fn open_postgres(url: &str, resources: u128) -> SqlIndex {
    let index = SqlIndex::connect_postgres(&PostgresSettings::at(url), support::clock()).await.unwrap();
    if index.counts().await.unwrap().resources == 0 {
        prepare(&index).await;
        bulk::postgres(url, &mut bulk::Maker::new(&resource, &metrics_of), resources).await;
    }
    index
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sqlite_scale() {
    let directory = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("NEPHOMETER_SCALE_FILE").map(std::path::PathBuf::from);
    let path = kept.unwrap_or_else(|| directory.path().join("index.sqlite"));
    if !path.exists() {
        populate_sqlite(&path, resources_wanted()).await;
    }
    measure(&SqlIndex::open_sqlite(&SqliteSettings::at(path), support::clock()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn postgres_scale() {
    let url = match std::env::var("NEPHOMETER_SCALE_URL") {
        Ok(url) => url,
        Err(_) => support::fresh_postgres().await,
    };
    measure(&open_postgres(&url, resources_wanted()).await).await;
}

/// What was written past the API is what the API makes.
async fn check_bulk(made: &SqlIndex, bulk: &SqlIndex, resources: u128) {
    prepare(made).await;
    for number in 0..resources {
        made.create_resource(resource(number)).await.unwrap();
    }
    for number in 0..resources {
        made.create_or_get_metrics(metrics_of(number)).await.unwrap();
    }
    for query in [
        list(Filter::All, None, &[]),
        list(Filter::eq_text("flavor", "flavor-3"), None, &[("host", Direction::Descending)]),
        list(Filter::eq_text("image", &scattered(7).to_string()), None, &[("id", Direction::Ascending)]),
    ] {
        let expected = made.list_resources(&query).await.unwrap();
        assert!(!expected.is_empty());
        assert_eq!(bulk.list_resources(&query).await.unwrap(), expected);
    }
    let all = MetricQuery::default();
    assert_eq!(bulk.list_metrics(&all).await.unwrap(), made.list_metrics(&all).await.unwrap());
    let next = resources + 1;
    bulk.create_resource(resource(next)).await.unwrap();
    bulk.create_or_get_metrics(metrics_of(next)).await.unwrap();
}

#[tokio::test]
async fn bulk_is_as_if_made_by_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bulk.sqlite");
    populate_sqlite(&path, 60).await;
    let bulk = SqlIndex::open_sqlite(&SqliteSettings::at(path), support::clock()).unwrap();
    check_bulk(&support::sqlite().await.index, &bulk, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_is_as_if_made_by_postgres() {
    let bulk = open_postgres(&support::fresh_postgres().await, 60).await;
    check_bulk(&support::postgres().await.index, &bulk, 60).await;
}
