//! Pages and orders of resources.

use nephometer_model::{AttributeValue, Comparison, Filter, FilterValue, Timestamp};

use super::fixtures::{at, attributes, compare, later, number, numbers, prepare, query, resource, rid, text};
use crate::{Direction, IndexError, Indexer, NullOrder, ResourceQuery, Sort};

pub(super) fn sort(key: &str) -> Sort {
    Sort { key: key.to_owned(), direction: Direction::Ascending, nulls: None }
}

fn descending(key: &str) -> Sort {
    Sort { direction: Direction::Descending, ..sort(key) }
}

fn nulls(sort: Sort, order: NullOrder) -> Sort {
    Sort { nulls: Some(order), ..sort }
}

async fn populate(index: &dyn Indexer) {
    prepare(index).await;
    for id in 1..=9_u128 {
        let number = i64::try_from(id).unwrap();
        let mut new = resource(id, "server");
        new.revision_start = later(10 - number / 2);
        new.started_at = at(100 + number % 3);
        new.ended_at = (id % 4 != 0).then(|| at(200 - number));
        new.user_id =
            (id % 3 != 0).then(|| ["b", "a", "C", "é"][usize::try_from(id % 4).unwrap()].to_owned());
        new.creator = (id != 5).then(|| format!("u{}:p", id % 2));
        if id % 3 != 1 {
            new.attributes = attributes([
                ("name", text(["x", "Y", "z"][usize::try_from(id % 3).unwrap()])),
                ("cpus", self::number(&(id % 2).to_string())),
                ("booted", AttributeValue::Datetime(Timestamp::from_micros(-number))),
            ]);
        }
        index.create_resource(new).await.unwrap();
    }
}

async fn all(index: &dyn Indexer, sorts: Vec<Sort>) -> Vec<u128> {
    let mut query = query("server", Filter::All);
    query.page.sorts = sorts;
    numbers(&index.list_resources(&query).await.unwrap())
}

/// Walks through a list page by page.
async fn walk(index: &dyn Indexer, mut query: ResourceQuery, limit: u64) -> Vec<u128> {
    query.page.limit = Some(limit);
    let mut walked = Vec::new();
    loop {
        let page = index.list_resources(&query).await.unwrap();
        assert!(page.len() as u64 <= limit);
        let Some(last) = page.last() else { return walked };
        query.page.marker = Some(last.id.to_string());
        walked.extend(numbers(&page));
    }
}

/// Every order, in every page size, shows each resource once and in the order of the whole list.
pub async fn pages_walk_through_everything(index: &dyn Indexer) {
    populate(index).await;
    let default = all(index, vec![]).await;
    assert_eq!(default, all(index, vec![sort("revision_start"), sort("started_at"), sort("id")]).await);
    assert_eq!(default, [9, 8, 6, 7, 4, 5, 3, 2, 1]);
    let keys = [
        "id",
        "type",
        "creator",
        "started_at",
        "revision_start",
        "ended_at",
        "user_id",
        "project_id",
        "original_resource_id",
        "name",
        "cpus",
        "booted",
        "image-id",
        "public",
    ];
    for key in keys {
        for direction in [Direction::Ascending, Direction::Descending] {
            for order in [None, Some(NullOrder::First), Some(NullOrder::Last)] {
                let first = Sort { key: key.to_owned(), direction, nulls: order };
                let sorts = vec![first, descending("started_at")];
                let whole = all(index, sorts.clone()).await;
                assert_eq!(whole.len(), 9);
                let mut query = query("server", Filter::All);
                query.page.sorts = sorts;
                for limit in [1, 4] {
                    assert_eq!(walk(index, query.clone(), limit).await, whole, "{:?}", query.page.sorts);
                }
            }
        }
    }
    let filter = compare(Comparison::Ne, "user_id", FilterValue::Text("a".to_owned()));
    let mut filtered = query("server", filter);
    filtered.page.sorts = vec![descending("user_id")];
    let whole = numbers(&index.list_resources(&filtered).await.unwrap());
    assert_eq!(walk(index, filtered, 2).await, whole);
}

/// Nulls are the largest values unless told otherwise; texts go by code point.
pub async fn pages_put_nulls_where_they_belong(index: &dyn Indexer) {
    populate(index).await;
    // Users: 1 a, 2 C, 3 -, 4 b, 5 a, 6 -, 7 é, 8 b, 9 -.
    assert_eq!(all(index, vec![sort("user_id")]).await, [2, 1, 5, 4, 8, 7, 3, 6, 9]);
    assert_eq!(all(index, vec![descending("user_id")]).await, [3, 6, 9, 7, 4, 8, 1, 5, 2]);
    let first = nulls(sort("user_id"), NullOrder::First);
    assert_eq!(all(index, vec![first, descending("id")]).await, [9, 6, 3, 2, 5, 1, 8, 4, 7]);
    let last = nulls(descending("user_id"), NullOrder::Last);
    assert_eq!(all(index, vec![last]).await, [7, 4, 8, 1, 5, 2, 3, 6, 9]);
    assert_eq!(all(index, vec![descending("id")]).await, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(all(index, vec![sort("creator"), sort("id")]).await, [2, 4, 6, 8, 1, 3, 7, 9, 5]);
}

/// Attributes of the type sort by their values.
pub async fn pages_sort_by_attributes(index: &dyn Indexer) {
    populate(index).await;
    // Names: 2 z, 3 x, 5 z, 6 x, 8 z, 9 x, others none.
    assert_eq!(all(index, vec![sort("name")]).await, [3, 6, 9, 2, 5, 8, 1, 4, 7]);
    assert_eq!(all(index, vec![descending("cpus"), descending("id")]).await, [7, 4, 1, 9, 5, 3, 8, 6, 2]);
    let booted = nulls(sort("booted"), NullOrder::First);
    assert_eq!(all(index, vec![booted]).await, [1, 4, 7, 9, 8, 6, 5, 3, 2]);
}

/// Unknown keys and markers are refused in upstream's words.
pub async fn pages_refuse_bad_keys_and_markers(index: &dyn Indexer) {
    populate(index).await;
    index.create_resource(resource(20, "generic")).await.unwrap();
    for key in ["colour", "lifespan", "revision", "revision_end", "metrics", "created_by_user_id", "id; DROP"]
    {
        let mut query = query("server", Filter::All);
        query.page.sorts = vec![sort(key)];
        let error = index.list_resources(&query).await.unwrap_err();
        let expected = format!("Invalid pagination: `Sort key supplied is invalid: {key}'");
        assert_eq!(error.to_string(), expected);
    }
    for marker in [rid(99).to_string(), rid(20).to_string(), "x".to_owned(), String::new()] {
        let mut query = query("server", Filter::All);
        query.page.marker = Some(marker.clone());
        let error = index.list_resources(&query).await.unwrap_err();
        assert_eq!(error, IndexError::Pagination(format!("Invalid marker: `{marker}'")));
    }
    let mut query = query("generic", Filter::All);
    query.page.sorts = vec![sort("name")];
    assert!(matches!(index.list_resources(&query).await, Err(IndexError::Pagination(_))));
}
