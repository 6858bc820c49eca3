//! How long things take with many resources and metrics. Not a test of anything by itself: run it with
//! `NEPHOMETER_SCALE=100000 cargo test --release -p nephometer-index-sql scale -- --ignored --nocapture`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, StreamExt};
use nephometer_drivers::conformance::NOW;
use nephometer_drivers::{
    Direction, Indexer, MetricAccess, MetricQuery, NewMetric, NewResource, Page, ResourceQuery, Sort,
};
use nephometer_index_sql::SqlIndex;
use nephometer_model::{
    ArchivePolicy, Attribute, AttributeKind, AttributeValue, Comparison, Filter, FilterValue, MetricId,
    ResourceId, ResourceType, ResourceTypeState, Timestamp,
};
use uuid::Uuid;

use crate::support;

const METRICS: u128 = 10;

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

async fn timed<T, E: std::fmt::Debug>(
    what: &str,
    size: impl Fn(&T) -> usize,
    mut work: impl AsyncFnMut() -> Result<T, E>,
) {
    let mut best = f64::INFINITY;
    let mut rows = 0;
    for _ in 0..3 {
        #[expect(clippy::disallowed_methods, reason = "a measurement")]
        let start = Instant::now();
        rows = size(&work().await.unwrap());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{what:50} {:9.1} ms  {rows} rows", best * 1e3);
}

async fn populate(index: &Arc<SqlIndex>, resources: u128) {
    index.create_archive_policy(ArchivePolicy::upstream_defaults().swap_remove(1)).await.unwrap();
    index.create_resource_type(instance_type()).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let start = Instant::now();
    stream::iter(0..resources)
        .for_each_concurrent(64, |number| async move {
            index.create_resource(resource(number)).await.unwrap();
        })
        .await;
    let seconds = start.elapsed().as_secs_f64();
    println!("{resources} resources made in {seconds:.1} s");
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let start = Instant::now();
    for first in (0..resources).step_by(1000) {
        let owners = first..(first + 1000).min(resources);
        let news = owners.flat_map(|owner| (0..METRICS).map(move |number| metric(owner, number)));
        index.create_or_get_metrics(news.collect()).await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{} metrics made in {seconds:.1} s", resources * METRICS);
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

async fn measure_resources(index: &SqlIndex) {
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
    for (what, query) in [
        ("first page", list(Filter::All, Some(1000), &[])),
        ("first page of generic", generic),
        ("second page", second_page),
        ("page by id", list(Filter::All, Some(1000), &[("id", ascending)])),
        ("page by started_at desc", list(Filter::All, Some(1000), &[("started_at", Direction::Descending)])),
        ("page by project", list(Filter::All, Some(1000), &[("project_id", ascending)])),
        ("page by host (attribute)", list(Filter::All, Some(1000), &[("host", ascending)])),
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
    ] {
        timed(what, Vec::len, async || index.list_metrics(&query).await).await;
    }
    timed("counts", |_| 1, async || index.counts().await).await;
    let one = ResourceId(scattered(some(5)));
    timed("one resource", |_| 1, async || index.resource("instance", one).await).await;
    timed("one metric", Vec::len, async || index.metrics_by_id(&ids[..1]).await).await;
}

async fn measure(index: SqlIndex) {
    let resources =
        std::env::var("NEPHOMETER_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let index = Arc::new(index);
    populate(&index, resources).await;
    measure_resources(&index).await;
    measure_metrics(&index, resources).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sqlite_scale() {
    measure(support::sqlite().await.index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn postgres_scale() {
    measure(support::postgres().await.index).await;
}
