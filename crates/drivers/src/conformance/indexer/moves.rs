//! Metrics of resources: moved, replaced, appended.

use std::collections::BTreeMap;

use nephometer_model::MetricId;

use super::fixtures::{change_at, metric, mid, prepare, resource, rid};
use crate::{IndexError, Indexer, NewMetric, ResourceChange, ResourceMetric};

fn named<const N: usize>(metrics: [(&str, ResourceMetric); N]) -> BTreeMap<String, ResourceMetric> {
    metrics.into_iter().map(|(name, metric)| (name.to_owned(), metric)).collect()
}

fn existing(number: u128) -> ResourceMetric {
    ResourceMetric::Existing(mid(number))
}

fn fresh(number: u128) -> ResourceMetric {
    ResourceMetric::New { id: mid(number), unit: None, policy_name: "low".to_owned() }
}

async fn set<const N: usize>(
    index: &dyn Indexer,
    resource: u128,
    append: bool,
    metrics: [(&str, ResourceMetric); N],
) -> Result<Vec<(String, MetricId)>, IndexError> {
    let change = ResourceChange { metrics: Some(named(metrics)), append_metrics: append, ..change_at(1) };
    index.update_resource("generic", rid(resource), change).await.map(|resource| resource.metrics)
}

fn list<const N: usize>(metrics: [(&str, u128); N]) -> Vec<(String, MetricId)> {
    metrics.map(|(name, number)| (name.to_owned(), mid(number))).into()
}

/// A metric that exists is taken over, whatever resource and name it had.
pub async fn metrics_move_between_resources(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "generic")).await.unwrap();
    let loose = index.create_metric(metric(1, None, "loose")).await.unwrap();
    index.create_metric(metric(2, Some(1), "bound")).await.unwrap();
    let mut new = resource(2, "server");
    new.metrics = named([("b", existing(1)), ("a", existing(2)), ("c", fresh(3))]);
    let made = index.create_resource(new).await.unwrap();
    assert_eq!(made.metrics, list([("a", 2), ("b", 1), ("c", 3)]));
    assert_eq!(made, index.resource("server", rid(2)).await.unwrap());
    assert!(index.resource("generic", rid(1)).await.unwrap().metrics.is_empty());
    let moved = &index.metrics_by_id(&[mid(1)]).await.unwrap()[0];
    assert_eq!((moved.resource_id, moved.name.as_deref()), (Some(rid(2)), Some("b")));
    assert_eq!((moved.key, &moved.policy), (loose.key, &loose.policy));
    let mut twice = resource(3, "generic");
    twice.metrics = named([("x", existing(1)), ("y", existing(1)), ("z", existing(2))]);
    let made = index.create_resource(twice).await.unwrap();
    assert_eq!(made.metrics, list([("y", 1), ("z", 2)]));
    assert_eq!(made, index.resource("generic", rid(3)).await.unwrap());
}

/// Replacing detaches what is not named; appending keeps it, and refuses names that are taken.
pub async fn metrics_are_replaced_or_appended(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "generic")).await.unwrap();
    let shown = set(index, 1, true, [("a", fresh(1)), ("b", fresh(2))]).await.unwrap();
    assert_eq!(shown, list([("a", 1), ("b", 2)]));
    assert_eq!(
        set(index, 1, true, [("a", fresh(3))]).await.unwrap_err(),
        IndexError::NamedMetricAlreadyExists("a".to_owned())
    );
    assert_eq!(
        set(index, 1, true, [("a", existing(2))]).await.unwrap_err(),
        IndexError::NamedMetricAlreadyExists("a".to_owned())
    );
    assert_eq!(set(index, 1, true, [("a", existing(1))]).await.unwrap(), shown);
    assert_eq!(set(index, 1, true, [("c", fresh(3))]).await.unwrap(), list([("a", 1), ("b", 2), ("c", 3)]));
    assert_eq!(
        set(index, 1, false, [("B", existing(2)), ("a", fresh(4))]).await.unwrap(),
        list([("B", 2), ("a", 4)])
    );
    let detached = &index.metrics_by_id(&[mid(1)]).await.unwrap()[0];
    assert_eq!((detached.resource_id, detached.name.as_deref()), (None, Some("a")));
    assert!(set(index, 1, false, []).await.unwrap().is_empty());
    assert_eq!(index.counts().await.unwrap().metrics, 4);
}

/// Only metrics of the resource's own creator are taken over.
pub async fn metrics_of_others_are_not_moved(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "generic")).await.unwrap();
    let mut anonymous = resource(2, "generic");
    anonymous.creator = None;
    index.create_resource(anonymous).await.unwrap();
    for (number, creator) in [(1, Some("other:project")), (2, None), (3, Some("user:project"))] {
        let creator = creator.map(str::to_owned);
        index.create_metric(NewMetric { creator, ..metric(number, None, "m") }).await.unwrap();
    }
    for (resource, metric, allowed) in
        [(1, 1, false), (1, 2, false), (1, 3, true), (2, 1, false), (2, 3, false), (2, 2, true)]
    {
        let outcome = set(index, resource, true, [("m", existing(metric))]).await;
        match allowed {
            true => assert_eq!(outcome.unwrap(), list([("m", metric)])),
            false => assert_eq!(outcome.unwrap_err(), IndexError::NoSuchMetric(mid(metric).to_string())),
        }
    }
}
