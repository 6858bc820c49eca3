//! Lists of metrics.

use nephometer_model::Filter;

use super::fixtures::{metric, metric_numbers, mid, policy, prepare, resource, rid};
use super::paging::sort;
use crate::{Direction, IndexError, Indexer, MetricAccess, MetricQuery, NewMetric, NullOrder, Page, Sort};

/// Eight metrics: odd ones belong to resource 1 (of project p1), 2 and 4 to resource 2, 6 and 8 to none.
async fn populate(index: &dyn Indexer) {
    prepare(index).await;
    index.create_archive_policy(policy("high")).await.unwrap();
    for id in 1..=2 {
        let mut new = resource(id, "server");
        new.project_id = Some(format!("p{id}"));
        new.creator = Some(format!("x:q{id}"));
        index.create_resource(new).await.unwrap();
    }
    for number in 1..=8 {
        let owner = if number % 2 == 1 { Some(1) } else { (number < 6).then_some(2) };
        index
            .create_metric(NewMetric {
                creator: (number != 8).then(|| format!("user:c{}", number % 3)),
                unit: (number % 4 == 0).then(|| "s".to_owned()),
                name: (number != 6).then(|| format!("m{}", 9 - number)),
                policy_name: if number > 4 { "high" } else { "low" }.to_owned(),
                ..metric(number, owner, "")
            })
            .await
            .unwrap();
    }
}

async fn list(index: &dyn Indexer, query: MetricQuery) -> Vec<u128> {
    metric_numbers(&index.list_metrics(&query).await.unwrap())
}

/// All conditions of a query hold for each metric listed; without conditions all are.
pub async fn metric_lists_filter(index: &dyn Indexer) {
    populate(index).await;
    let none = MetricQuery::default;
    assert_eq!(list(index, none()).await, [1, 2, 3, 4, 5, 6, 7, 8]);
    let ids = || Some(vec![mid(7), mid(2), mid(99)]);
    assert_eq!(list(index, MetricQuery { ids: ids(), ..none() }).await, [2, 7]);
    assert!(list(index, MetricQuery { ids: Some(vec![]), ..none() }).await.is_empty());
    let names = Some(vec!["m7".to_owned(), "m1".to_owned(), "x".to_owned()]);
    assert_eq!(list(index, MetricQuery { names: names.clone(), ..none() }).await, [2, 8]);
    assert_eq!(list(index, MetricQuery { names, ids: ids(), ..none() }).await, [2]);
    let resource_ids = Some(vec![rid(2), rid(9)]);
    assert_eq!(list(index, MetricQuery { resource_ids, ..none() }).await, [2, 4]);
    assert_eq!(list(index, MetricQuery { unit: Some("s".to_owned()), ..none() }).await, [4, 8]);
    let policy_name = || Some("high".to_owned());
    assert_eq!(list(index, MetricQuery { policy_name: policy_name(), ..none() }).await, [5, 6, 7, 8]);
    let creator = Some("user:c1".to_owned());
    assert_eq!(list(index, MetricQuery { creator: creator.clone(), ..none() }).await, [1, 4, 7]);
    assert_eq!(list(index, MetricQuery { creator, policy_name: policy_name(), ..none() }).await, [7]);
    for unknown in ["", "S", "user:%"] {
        let unknown = || Some(unknown.to_owned());
        for query in [
            MetricQuery { unit: unknown(), ..none() },
            MetricQuery { creator: unknown(), ..none() },
            MetricQuery { policy_name: unknown(), ..none() },
        ] {
            assert!(list(index, query).await.is_empty());
        }
    }
}

/// Pages walk through any order once; nulls are largest unless told otherwise.
pub async fn metric_lists_are_paged(index: &dyn Indexer) {
    populate(index).await;
    let sorted = |sorts| MetricQuery { page: Page { sorts, ..Page::default() }, ..MetricQuery::default() };
    assert_eq!(list(index, sorted(vec![sort("name")])).await, [8, 7, 5, 4, 3, 2, 1, 6]);
    for key in ["id", "name", "unit", "creator", "resource_id", "archive_policy_name"] {
        for direction in [Direction::Ascending, Direction::Descending] {
            for nulls in [None, Some(NullOrder::First), Some(NullOrder::Last)] {
                let mut query = sorted(vec![Sort { key: key.to_owned(), direction, nulls }]);
                let whole = list(index, query.clone()).await;
                assert_eq!(whole.len(), 8);
                query.page.limit = Some(3);
                let mut walked = Vec::new();
                loop {
                    let page = index.list_metrics(&query).await.unwrap();
                    let Some(last) = page.last() else { break };
                    query.page.marker = Some(last.id.to_string());
                    walked.extend(metric_numbers(&page));
                }
                assert_eq!(walked, whole, "{key} {direction:?} {nulls:?}");
            }
        }
    }
    for marker in [mid(99).to_string(), "m1".to_owned()] {
        let page = Page { marker: Some(marker.clone()), ..Page::default() };
        let error = index.list_metrics(&MetricQuery { page, ..MetricQuery::default() }).await.unwrap_err();
        assert_eq!(error, IndexError::Pagination(format!("Invalid marker: `{marker}'")));
    }
    let error = index.list_metrics(&sorted(vec![sort("colour")])).await.unwrap_err();
    assert_eq!(error.to_string(), "Invalid pagination: `Sort key supplied is invalid: colour'");
}

/// A caller sees what its project created, and what belongs to resources that it sees.
pub async fn metric_lists_show_what_the_caller_may_see(index: &dyn Indexer) {
    populate(index).await;
    let access = |project: Option<&str>, resource_filter| MetricQuery {
        access: Some(MetricAccess { created_by_project_id: project.map(str::to_owned), resource_filter }),
        ..MetricQuery::default()
    };
    assert!(list(index, access(None, None)).await.is_empty());
    assert_eq!(list(index, access(Some("c1"), None)).await, [1, 4, 7]);
    assert!(list(index, access(Some("c_"), None)).await.is_empty());
    let p2 = || Some(Filter::eq_text("project_id", "p2"));
    assert_eq!(list(index, access(None, p2())).await, [2, 4]);
    assert_eq!(list(index, access(Some("c1"), p2())).await, [1, 2, 4, 7]);
    let q1 = Some(Filter::eq_text("created_by_project_id", "q1"));
    assert_eq!(list(index, access(None, q1)).await, [1, 3, 5, 7]);
    assert_eq!(list(index, access(None, Some(Filter::All))).await, [1, 2, 3, 4, 5, 7]);
    let mut narrowed = access(Some("c1"), p2());
    narrowed.policy_name = Some("high".to_owned());
    narrowed.page.limit = Some(5);
    assert_eq!(list(index, narrowed).await, [7]);
    let unknown = access(None, Some(Filter::eq_text("name", "x")));
    assert!(matches!(index.list_metrics(&unknown).await, Err(IndexError::NoSuchAttribute { .. })));
}
