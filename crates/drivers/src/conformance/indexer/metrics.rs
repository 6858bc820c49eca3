//! Metrics: making, finding, deleting.

use std::collections::HashSet;

use nephometer_model::{ResourceId, SeriesKey};
use uuid::Uuid;

use super::fixtures::{metric, metric_numbers, mid, policy, prepare, resource, rid};
use crate::{IndexCounts, IndexError, Indexer, NewMetric};

/// A metric keeps what it was given.
pub async fn metrics_are_kept_as_given(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "server")).await.unwrap();
    let mut new = metric(1, Some(1), "cpu.útil");
    new.unit = Some("°C".to_owned());
    let made = index.create_metric(new).await.unwrap();
    assert_eq!((made.id, made.name.as_deref(), made.unit.as_deref()), (mid(1), Some("cpu.útil"), Some("°C")));
    assert_eq!((made.creator.as_deref(), made.resource_id), (Some("user:project"), Some(rid(1))));
    assert_eq!(made.policy, index.archive_policy("low").await.unwrap());
    let resource = index.resources_by_id(&[rid(1)]).await.unwrap().pop();
    assert_eq!(index.metric_with_resource(mid(1)).await.unwrap(), Some((made.clone(), resource)));
    assert_eq!(index.metrics_by_id(&[mid(1)]).await.unwrap(), [made]);
    let bare = NewMetric { creator: None, name: None, ..metric(2, None, "") };
    let made = index.create_metric(bare).await.unwrap();
    assert_eq!(index.metric_with_resource(mid(2)).await.unwrap(), Some((made.clone(), None)));
    assert_eq!(index.metric_with_resource(mid(3)).await.unwrap(), None);
    assert_eq!((made.creator, made.name, made.unit, made.resource_id), (None, None, None, None));
}

/// Names are unique within a resource; what a metric refers to must be there.
pub async fn metrics_refuse_what_cannot_be(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "server")).await.unwrap();
    index.create_resource(resource(2, "server")).await.unwrap();
    index.create_metric(metric(1, Some(1), "cpu")).await.unwrap();
    index.create_metric(metric(2, Some(2), "cpu")).await.unwrap();
    index.create_metric(metric(3, None, "cpu")).await.unwrap();
    index.create_metric(metric(4, None, "cpu")).await.unwrap();
    let error = index.create_metric(metric(5, Some(1), "cpu")).await.unwrap_err();
    assert_eq!(error, IndexError::NamedMetricAlreadyExists("cpu".to_owned()));
    let error = index.create_metric(metric(1, None, "other")).await.unwrap_err();
    assert_eq!(error, IndexError::NamedMetricAlreadyExists("other".to_owned()));
    let error = index.create_metric(metric(5, Some(9), "cpu")).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResource(rid(9)));
    let unknown = NewMetric { policy_name: "none".to_owned(), ..metric(5, None, "cpu") };
    let error = index.create_metric(unknown).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchArchivePolicy("none".to_owned()));
    let gone = index.delete_metric(mid(1)).await.unwrap();
    assert_eq!((gone.id, gone.resource_id), (mid(1), Some(rid(1))));
    let error = index.delete_metric(mid(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "Metric 00000000-0000-0000-0000-00000000f001 does not exist");
    index.create_metric(metric(5, Some(1), "cpu")).await.unwrap();
}

/// Making many gives those that are there, in the order of the request, and makes each missing one once.
pub async fn metrics_are_made_once(index: &dyn Indexer) {
    prepare(index).await;
    index.create_archive_policy(policy("high")).await.unwrap();
    index.create_resource(resource(1, "server")).await.unwrap();
    index.create_resource(resource(2, "generic")).await.unwrap();
    let there = index.create_metric(metric(1, Some(1), "cpu")).await.unwrap();
    let loose = index.create_metric(metric(2, None, "loose")).await.unwrap();
    let made = index
        .create_or_get_metrics(vec![
            metric(11, Some(1), "disk"),
            NewMetric { policy_name: "high".to_owned(), ..metric(12, Some(1), "cpu") },
            NewMetric { policy_name: "high".to_owned(), ..metric(13, Some(2), "cpu") },
            metric(14, Some(2), "cpu"),
            metric(15, None, "cpu"),
            metric(2, None, "again"),
        ])
        .await
        .unwrap();
    assert_eq!(metric_numbers(&made), [11, 1, 13, 13, 15, 2]);
    assert_eq!((&made[1], &made[5]), (&there, &loose));
    assert_eq!((made[2].policy.name.as_str(), made[3].policy.name.as_str()), ("high", "high"));
    let keys: HashSet<SeriesKey> = made.iter().map(|metric| metric.key).collect();
    assert_eq!(keys.len(), 5);
    assert_eq!(index.counts().await.unwrap().metrics, 5);
    let again = index.create_or_get_metrics(vec![metric(16, Some(2), "cpu")]).await.unwrap();
    assert_eq!(again, [made[2].clone()]);
    assert!(index.create_or_get_metrics(Vec::new()).await.unwrap().is_empty());
}

/// One unknown resource or policy, and none is made.
pub async fn metrics_are_made_all_or_none(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "server")).await.unwrap();
    let unknown = || NewMetric { policy_name: "none".to_owned(), ..metric(3, Some(1), "c") };
    let news = vec![metric(1, Some(1), "a"), metric(2, Some(9), "b"), unknown()];
    let error = index.create_or_get_metrics(news).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResource(rid(9)));
    let news = vec![metric(1, Some(1), "a"), unknown(), metric(2, Some(9), "b")];
    let error = index.create_or_get_metrics(news).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchArchivePolicy("none".to_owned()));
    index.create_metric(metric(5, None, "taken")).await.unwrap();
    let news = vec![metric(1, Some(1), "a"), metric(5, Some(1), "new")];
    let error = index.create_or_get_metrics(news).await.unwrap_err();
    assert_eq!(error, IndexError::NamedMetricAlreadyExists("new".to_owned()));
    assert_eq!(index.counts().await.unwrap().metrics, 1);
}

/// Thousands are made and found at once, by id and by name; unknown ones are left out.
pub async fn metrics_are_found_in_bulk(index: &dyn Indexer) {
    prepare(index).await;
    for id in 1..=20 {
        index.create_resource(resource(id, "generic")).await.unwrap();
    }
    let name = |number: u128| format!("m{}", number / 20);
    let news = (0..3000).map(|number| metric(number, Some(number % 20 + 1), &name(number)));
    let made = index.create_or_get_metrics(news.collect()).await.unwrap();
    assert_eq!(metric_numbers(&made), (0..3000).collect::<Vec<_>>());
    let mut ids: Vec<_> = made.iter().map(|metric| metric.id).collect();
    ids.push(mid(99_999));
    ids.push(mid(7));
    let mut found = index.metrics_by_id(&ids).await.unwrap();
    found.sort_by_key(|metric| metric.id);
    assert_eq!(found, made);
    let mut pairs: Vec<(ResourceId, String)> =
        (0..3000).map(|number| (rid(number % 20 + 1), name(number))).collect();
    pairs.push((rid(1), "unknown".to_owned()));
    pairs.push((ResourceId(Uuid::from_u128(99)), "m0".to_owned()));
    let mut found = index.metrics_by_name(&pairs).await.unwrap();
    found.sort_by_key(|metric| metric.id);
    assert_eq!(found, made);
    assert!(index.metrics_by_id(&[]).await.unwrap().is_empty());
    assert!(index.metrics_by_name(&[]).await.unwrap().is_empty());
}

/// A metric that is made again is another series, and keys grow.
pub async fn metric_keys_are_never_used_again(index: &dyn Indexer) {
    prepare(index).await;
    let mut newest = None;
    for _ in 0..3 {
        let made = index.create_metric(metric(1, None, "cpu")).await.unwrap();
        assert!(newest < Some(made.key));
        newest = Some(made.key);
        assert_eq!(index.delete_metric(mid(1)).await.unwrap().key, made.key);
    }
}

/// Counts are of what is there now.
pub async fn everything_is_counted(index: &dyn Indexer) {
    assert_eq!(index.counts().await.unwrap(), IndexCounts::default());
    prepare(index).await;
    for id in 1..=3 {
        index.create_resource(resource(id, "server")).await.unwrap();
        index.create_metric(metric(id, Some(id), "cpu")).await.unwrap();
    }
    index.delete_resource("server", rid(1)).await.unwrap();
    let expected = IndexCounts { metrics: 2, resources: 2, archive_policies: 1 };
    assert_eq!(index.counts().await.unwrap(), expected);
}
