//! Revisions.

use std::collections::BTreeMap;

use nephometer_model::{Comparison, Filter, FilterValue, Resource, Revision};

use super::fixtures::{
    attributes, change_at, change_project, compare, later, metric, mid, not, number, numbers, prepare, query,
    resource, rid, text,
};
use super::paging::sort;
use crate::conformance::NOW;
use crate::{IndexError, Indexer, ResourceChange, ResourceQuery};

fn history(type_name: &str, filter: Filter) -> ResourceQuery {
    ResourceQuery { history: true, ..query(type_name, filter) }
}

fn rename(seconds: i64, name: &str) -> ResourceChange {
    let attributes = BTreeMap::from([("name".to_owned(), Some(text(name)))]);
    ResourceChange { attributes, ..change_at(seconds) }
}

fn revisions(resources: &[Resource]) -> Vec<(u128, i64)> {
    resources.iter().map(|resource| (resource.id.0.as_u128(), resource.revision.0)).collect()
}

/// Revisions are numbered from 1 over all resources; the current one is -1.
pub async fn history_numbers_revisions_globally(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "server")).await.unwrap();
    index.create_resource(resource(2, "generic")).await.unwrap();
    index.update_resource("server", rid(1), change_project(1, "a")).await.unwrap();
    index.update_resource("generic", rid(2), change_project(2, "b")).await.unwrap();
    index.update_resource("generic", rid(1), change_project(3, "c")).await.unwrap();
    let mut all = history("generic", Filter::All);
    all.page.sorts = vec![sort("revision")];
    let listed = index.list_resources(&all).await.unwrap();
    assert_eq!(revisions(&listed), [(1, -1), (2, -1), (1, 1), (2, 2), (1, 3)]);
    all.page.sorts.clear();
    let listed = index.list_resources(&all).await.unwrap();
    assert_eq!(revisions(&listed), [(1, 1), (2, 2), (1, 3), (2, -1), (1, -1)]);
}

/// Each revision shows the state of its time, whichever type the change went through, and the present metrics.
pub async fn history_shows_each_revision(index: &dyn Indexer) {
    prepare(index).await;
    let mut new = resource(1, "server");
    new.attributes = attributes([("name", text("first")), ("cpus", number("1"))]);
    index.create_resource(new).await.unwrap();
    index.update_resource("server", rid(1), rename(1, "second")).await.unwrap();
    index.update_resource("generic", rid(1), change_project(2, "p")).await.unwrap();
    let ended = ResourceChange { ended_at: Some(Some(later(9))), ..change_at(3) };
    index.update_resource("server", rid(1), ended).await.unwrap();
    index.create_metric(metric(1, Some(1), "cpu")).await.unwrap();
    let mut query = history("server", Filter::All);
    query.with_metrics = true;
    let listed = index.list_resources(&query).await.unwrap();
    let summary: Vec<_> = listed
        .iter()
        .map(|seen| {
            let name = seen.attributes["name"].clone();
            (name, seen.project_id.as_deref(), seen.ended_at, seen.revision_start, seen.revision_end)
        })
        .collect();
    assert_eq!(
        summary,
        [
            (text("first"), None, None, NOW, Some(later(1))),
            (text("second"), None, None, later(1), Some(later(2))),
            (text("second"), Some("p"), None, later(2), Some(later(3))),
            (text("second"), Some("p"), Some(later(9)), later(3), None),
        ]
    );
    assert!(listed.iter().all(|seen| seen.metrics == [("cpu".to_owned(), mid(1))]));
    assert!(listed.iter().all(|seen| seen.attributes["cpus"] == number("1")));
    assert_eq!(listed[3].revision, Revision::CURRENT);
    query.type_name = "generic".to_owned();
    let listed = index.list_resources(&query).await.unwrap();
    assert_eq!((listed.len(), listed[0].attributes.len()), (4, 0));
}

/// Filters mean the same for revisions as for the present, under or and not too.
pub async fn history_is_searched_like_the_present(index: &dyn Indexer) {
    prepare(index).await;
    let mut new = resource(1, "server");
    new.attributes = attributes([("name", text("f1")), ("cpus", number("1"))]);
    index.create_resource(new).await.unwrap();
    index.update_resource("server", rid(1), rename(1, "f2")).await.unwrap();
    let more = BTreeMap::from([("cpus".to_owned(), Some(number("8"))), ("name".to_owned(), None)]);
    let change = ResourceChange { attributes: more, ..change_project(2, "p") };
    index.update_resource("server", rid(1), change).await.unwrap();
    index.create_resource(resource(2, "server")).await.unwrap();
    let named = |name: &str| compare(Comparison::Eq, "name", FilterValue::Text(name.to_owned()));
    let in_project = |project: &str| Filter::eq_text("project_id", project);
    for (filter, expected) in [
        (named("f1"), vec![(1, 1)]),
        (Filter::Or(vec![named("f1"), in_project("zz")]), vec![(1, 1)]),
        (Filter::Or(vec![named("f2"), in_project("p")]), vec![(1, -1), (1, 2)]),
        (not(named("f1")), vec![(1, 2)]),
        (not(Filter::Or(vec![named("f1"), named("f2")])), vec![]),
        (compare(Comparison::Ne, "name", FilterValue::Text("f1".to_owned())), vec![(1, -1), (1, 2), (2, -1)]),
        (compare(Comparison::Eq, "name", FilterValue::Null), vec![(1, -1), (2, -1)]),
        (compare(Comparison::Gt, "cpus", FilterValue::Number(0.0)), vec![(1, -1), (1, 1), (1, 2)]),
        (Filter::In("cpus".to_owned(), vec![FilterValue::Integer(8)]), vec![(1, -1)]),
        (compare(Comparison::Eq, "revision", FilterValue::Integer(2)), vec![(1, 2)]),
        (compare(Comparison::Eq, "revision_end", FilterValue::Null), vec![(1, -1), (2, -1)]),
        (
            Filter::Or(vec![
                compare(Comparison::Eq, "revision_end", FilterValue::Null),
                compare(Comparison::Ge, "revision_end", FilterValue::Time(later(2))),
            ]),
            vec![(1, -1), (1, 2), (2, -1)],
        ),
        (not(compare(Comparison::Gt, "revision_end", FilterValue::Time(later(1)))), vec![(1, 1)]),
    ] {
        let mut found = revisions(&index.list_resources(&history("server", filter.clone())).await.unwrap());
        found.sort_unstable();
        assert_eq!(found, expected, "{filter:?}");
    }
}

/// Pages of history go by `id@revision`.
pub async fn history_is_paged(index: &dyn Indexer) {
    prepare(index).await;
    for id in [2, 1] {
        index.create_resource(resource(id, "server")).await.unwrap();
        for second in 1..4 {
            index
                .update_resource("server", rid(id), change_project(second, &second.to_string()))
                .await
                .unwrap();
        }
    }
    for sorts in [vec![], vec![sort("project_id")], vec![sort("revision_end")], vec![sort("id")]] {
        let mut query = history("server", Filter::All);
        query.page.sorts = sorts;
        let whole = index.list_resources(&query).await.unwrap();
        assert_eq!(whole.len(), 8);
        let mut walked = Vec::new();
        query.page.limit = Some(3);
        loop {
            let page = index.list_resources(&query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.page.marker = Some(format!("{}@{}", last.id, last.revision.0));
            walked.extend(page);
        }
        assert_eq!(walked, whole);
    }
    let mut query = history("server", Filter::All);
    for marker in [rid(1).to_string(), format!("{}@99", rid(1)), format!("{}@x", rid(1)), "@1".to_owned()] {
        query.page.marker = Some(marker.clone());
        let error = index.list_resources(&query).await.unwrap_err();
        assert_eq!(error, IndexError::Pagination(format!("Invalid marker: `{marker}'")));
    }
    query.page.marker = None;
    query.filter = Filter::eq_text("id", &rid(1).to_string());
    assert_eq!(numbers(&index.list_resources(&query).await.unwrap()), [1, 1, 1, 1]);
}
