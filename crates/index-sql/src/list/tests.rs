//! Pages found in all ways there are, against whole lists, which are sorted; here few rows count as many.

use std::sync::Arc;

use nephometer_drivers::{Direction, Indexer, NewResource, NullOrder, Page};
use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, Attributes, Comparison, FilterValue, ManualClock, ResourceId,
    ResourceType, ResourceTypeState,
};
use nephometer_testkit::postgres::Postgres;
use uuid::Uuid;

use super::*;
use crate::{PostgresSettings, SqlIndex, SqliteSettings};

const RESOURCES: u128 = 60;

fn resource(number: u128) -> NewResource {
    // Zones of 1, 5 and 20 resources; the others have none.
    let zone = match number % RESOURCES {
        0 => Some("a"),
        1..=5 => Some("b"),
        6..=25 => Some("c"),
        _ => None,
    };
    let text = |text: &str| AttributeValue::String(text.to_owned());
    let mut attributes = Attributes::from([("rack".to_owned(), text(&format!("r{}", number % 4)))]);
    attributes.extend(zone.map(|zone| ("zone".to_owned(), text(zone))));
    let id = ResourceId(Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)));
    let second = i64::try_from(number).unwrap() % 9;
    NewResource {
        id,
        original_resource_id: id.to_string(),
        type_name: "vm".to_owned(),
        creator: None,
        user_id: None,
        project_id: (!number.is_multiple_of(3)).then(|| format!("p{}", number % 5)),
        started_at: Timestamp::from_micros(second),
        ended_at: number.is_multiple_of(7).then(|| Timestamp::from_micros(10 + second)),
        revision_start: Timestamp::from_micros(100 - second),
        attributes,
        metrics: Default::default(),
    }
}

pub(super) async fn populate(index: &SqlIndex) {
    let kind = AttributeKind::String { min_length: 0, max_length: 9 };
    let attributes = ["zone", "rack"].map(|name| (name.to_owned(), Attribute { kind, required: false }));
    let state = ResourceTypeState::Active;
    let vm = ResourceType { name: "vm".to_owned(), attributes: attributes.into(), state };
    index.create_resource_type(vm).await.unwrap();
    for number in 0..RESOURCES {
        index.create_resource(resource(number)).await.unwrap();
    }
}

fn filters() -> Vec<Filter> {
    let zone = |zone: &str| Filter::eq_text("zone", zone);
    let rack = || Filter::Compare(Comparison::Gt, "rack".to_owned(), FilterValue::Text("r0".to_owned()));
    let like = |name: &str, pattern: &str| {
        Filter::Compare(Comparison::Like, name.to_owned(), FilterValue::Text(pattern.to_owned()))
    };
    vec![
        Filter::All,
        zone("a"),
        zone("b"),
        zone("c"),
        zone("c").and(Filter::eq_text("rack", "r1")),
        zone("b").and(rack()),
        rack(),
        zone("c").and(Filter::Or(vec![zone("c"), zone("a")])),
        Filter::Or(vec![zone("c"), zone("b")]),
        Filter::Or(vec![zone("a"), Filter::eq_text("project_id", "p1"), Filter::eq_text("rack", "r0")]),
        Filter::Or(vec![zone("a"), Filter::eq_text("rack", "r0")]),
        Filter::Compare(Comparison::Eq, "zone".to_owned(), FilterValue::Null),
        like("zone", "_").and(rack()),
        like("zone", "%a%"),
        Filter::Or(vec![like("zone", "a"), Filter::eq_text("project_id", "p4")]),
        Filter::In("zone".to_owned(), vec![FilterValue::Text("b".to_owned()), FilterValue::Null]),
        Filter::Not(Box::new(zone("c"))),
        zone("c").and(Filter::eq_text("project_id", "p1")),
    ]
}

fn orders() -> Vec<Vec<Sort>> {
    let mut orders = vec![Vec::new()];
    for key in ["zone", "rack", "project_id", "ended_at", "started_at", "id"] {
        for direction in [Direction::Ascending, Direction::Descending] {
            for nulls in [None, Some(NullOrder::First), Some(NullOrder::Last)] {
                let first = Sort { key: key.to_owned(), direction, nulls };
                orders.push(vec![first.clone()]);
                let second = Sort { key: "ended_at".to_owned(), direction, nulls: None };
                orders.push(vec![first, second]);
            }
        }
    }
    orders
}

async fn pages_are_the_whole_list(index: &SqlIndex) {
    populate(index).await;
    for filter in filters() {
        for sorts in orders() {
            let page = Page { limit: None, marker: None, sorts };
            let mut query = ResourceQuery {
                type_name: "vm".to_owned(),
                filter: filter.clone(),
                history: false,
                details: true,
                with_metrics: false,
                page,
            };
            let whole = index.list_resources(&query).await.unwrap();
            query.page.limit = Some(7);
            let mut walked = Vec::new();
            loop {
                let page = index.list_resources(&query).await.unwrap();
                let Some(last) = page.last() else { break };
                query.page.marker = Some(last.id.to_string());
                walked.extend(page);
            }
            assert_eq!(walked, whole, "{:?} {:?}", query.filter, query.page.sorts);
        }
    }
}

pub(super) fn open_sqlite(directory: &tempfile::TempDir) -> SqlIndex {
    let settings = SqliteSettings::at(directory.path().join("index.sqlite"));
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
    SqlIndex::open_sqlite(&settings, clock).unwrap()
}

pub(super) async fn open_postgres() -> SqlIndex {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().unwrap().fresh_database().unwrap());
    let settings = PostgresSettings { connections: 1, ..PostgresSettings::at(url.await.unwrap()) };
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
    SqlIndex::connect_postgres(&settings, clock).await.unwrap()
}

#[tokio::test]
async fn pages_of_sqlite_are_the_whole_list_however_they_are_found() {
    let directory = tempfile::tempdir().unwrap();
    pages_are_the_whole_list(&open_sqlite(&directory)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_postgres_are_the_whole_list_however_they_are_found() {
    pages_are_the_whole_list(&open_postgres().await).await;
}
