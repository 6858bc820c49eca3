//! Many at once: nobody's work is lost, doubled, or done by halves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use nephometer_drivers::conformance::NOW;
use nephometer_drivers::{IndexError, Indexer, NewMetric, NewResource, Page, ResourceChange, ResourceQuery};
use nephometer_index_sql::SqlIndex;
use nephometer_model::{ArchivePolicy, Attributes, Filter, MetricId, ResourceId, Timestamp};
use uuid::Uuid;

use crate::support;

fn resource(number: u128) -> NewResource {
    NewResource {
        id: ResourceId(Uuid::from_u128(number)),
        original_resource_id: number.to_string(),
        type_name: "generic".to_owned(),
        creator: Some("a:b".to_owned()),
        user_id: None,
        project_id: None,
        started_at: NOW,
        ended_at: None,
        revision_start: NOW,
        attributes: Attributes::new(),
        metrics: BTreeMap::new(),
    }
}

fn metric(id: u128, resource: u128, name: String) -> NewMetric {
    NewMetric {
        id: MetricId(Uuid::from_u128(id)),
        creator: Some(format!("creator {}", id % 7)),
        resource_id: Some(ResourceId(Uuid::from_u128(resource))),
        name: Some(name),
        unit: None,
        policy_name: "low".to_owned(),
    }
}

/// Runs `work` for 16 callers at once.
async fn crowd<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    index: &Arc<SqlIndex>,
    work: impl Fn(Arc<SqlIndex>, u128) -> F,
) -> Vec<T> {
    let callers = (0..16).map(|caller| tokio::spawn(work(Arc::clone(index), caller)));
    join_all(callers).await.into_iter().map(Result::unwrap).collect()
}

async fn all_get_the_same_metrics(index: &Arc<SqlIndex>) {
    for number in 0..10 {
        index.create_resource(resource(number)).await.unwrap();
    }
    let made = crowd(index, |index, caller| async move {
        let mut keys = BTreeSet::new();
        for round in 0..4 {
            let wanted = (0..50).map(|number| {
                let id = ((caller + 1) * 1000 + round * 100 + number) << 32;
                metric(id, number % 10, format!("m{}", number + round * 10))
            });
            let made = index.create_or_get_metrics(wanted.collect()).await.unwrap();
            keys.extend(made.iter().map(|metric| metric.key));
        }
        keys
    })
    .await;
    assert!(made.iter().all(|keys| *keys == made[0]));
    assert_eq!(made[0].len(), 80);
    assert_eq!(index.counts().await.unwrap().metrics, 80);
}

async fn one_of_many_makes_a_resource(index: &Arc<SqlIndex>) {
    let made = crowd(index, |index, _| async move { index.create_resource(resource(99)).await }).await;
    assert_eq!(made.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let taken = Err(IndexError::ResourceAlreadyExists(ResourceId(Uuid::from_u128(99))));
    assert_eq!(made.iter().filter(|outcome| **outcome == taken).count(), 15);
}

fn change(caller: u128, second: i64) -> ResourceChange {
    ResourceChange {
        user_id: Some(Some(caller.to_string())),
        now: Timestamp::from_micros(NOW.micros() + second),
        ..ResourceChange::default()
    }
}

async fn each_change_is_a_revision(index: &Arc<SqlIndex>) {
    let id = ResourceId(Uuid::from_u128(99));
    let guarded = crowd(index, move |index, caller| async move {
        let guarded = ResourceChange { expected_revision_start: Some(NOW), ..change(caller, 1) };
        index.update_resource("generic", id, guarded).await
    })
    .await;
    assert_eq!(guarded.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    crowd(index, move |index, caller| async move {
        index.update_resource("generic", id, change(caller + 100, 2)).await.unwrap();
    })
    .await;
    let query = ResourceQuery {
        type_name: "generic".to_owned(),
        filter: Filter::eq_text("id", &id.to_string()),
        history: true,
        details: false,
        with_metrics: false,
        page: Page::default(),
    };
    let history = index.list_resources(&query).await.unwrap();
    let users: BTreeSet<_> = history.iter().map(|revision| revision.user_id.clone()).collect();
    assert_eq!((history.len(), users.len()), (18, 18));
}

async fn deletes_and_creations_do_not_mix(index: &Arc<SqlIndex>) {
    crowd(index, |index, caller| async move {
        for round in 0..5_u128 {
            let id = ResourceId(Uuid::from_u128(round));
            if caller % 2 == 0 {
                let made = metric((caller + 50) << 64 | round, round, format!("x{caller}"));
                match index.create_metric(made).await {
                    Ok(_) | Err(IndexError::NoSuchResource(_)) => {}
                    other => panic!("{other:?}"),
                }
            } else {
                match index.delete_resource("generic", id).await {
                    Ok(_) | Err(IndexError::NoSuchResource(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    })
    .await;
    let query = nephometer_drivers::MetricQuery::default();
    let left = index.list_metrics(&query).await.unwrap();
    assert!(left.iter().all(|metric| metric.resource_id.is_some_and(|id| id.0.as_u128() >= 5)));
}

async fn check(index: SqlIndex) {
    let index = Arc::new(index);
    let low = ArchivePolicy::upstream_defaults().swap_remove(1);
    index.create_archive_policy(low).await.unwrap();
    all_get_the_same_metrics(&index).await;
    one_of_many_makes_a_resource(&index).await;
    each_change_is_a_revision(&index).await;
    deletes_and_creations_do_not_mix(&index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_serves_a_crowd() {
    let fresh = support::sqlite().await;
    check(fresh.index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_serves_a_crowd() {
    let fresh = support::postgres().await;
    check(fresh.index).await;
}
