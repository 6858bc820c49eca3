//! Resources: what is kept, what is refused, revisions, deleting.

use std::collections::BTreeMap;

use nephometer_model::{AttributeValue, Attributes, Comparison, Filter, FilterValue, Revision, Timestamp};
use uuid::Uuid;

use super::fixtures::{
    at, attributes, change_at, change_project, compare, later, matching, metric, metric_numbers, mid, number,
    numbers, prepare, query, resource, rid, text,
};
use crate::conformance::NOW;
use crate::{IndexError, Indexer, NewResource, ResourceChange, ResourceMetric};

fn full(id: u128) -> NewResource {
    let mut new = resource(id, "server");
    new.original_resource_id = "Ünï/#1".to_owned();
    new.user_id = Some("u".to_owned());
    new.project_id = Some("p".to_owned());
    new.started_at = Timestamp::from_ns(1_234_567_891);
    new.ended_at = Some(at(2_000_000_000));
    new.attributes = attributes([
        ("name", text("ä \"b\" \\")),
        ("cpus", number("1.50")),
        ("image-id", AttributeValue::Uuid(Uuid::from_u128(77))),
        ("public", AttributeValue::Bool(false)),
        ("booted", AttributeValue::Datetime(Timestamp::from_ns(5_000_001_999))),
    ]);
    let new_metric =
        ResourceMetric::New { id: mid(1), unit: Some("%".to_owned()), policy_name: "low".to_owned() };
    new.metrics = BTreeMap::from([("cpu".to_owned(), new_metric)]);
    new
}

/// Everything given comes back; times are the nearest whole microseconds; metrics have the creator of the resource.
pub async fn resources_show_what_was_given(index: &dyn Indexer) {
    prepare(index).await;
    let made = index.create_resource(full(1)).await.unwrap();
    assert_eq!(made, index.resource("server", rid(1)).await.unwrap());
    assert_eq!((made.id, made.original_resource_id.as_str()), (rid(1), "Ünï/#1"));
    assert_eq!((made.type_name.as_str(), made.creator.as_deref()), ("server", Some("user:project")));
    assert_eq!((made.user_id.as_deref(), made.project_id.as_deref()), (Some("u"), Some("p")));
    assert_eq!(
        (made.started_at, made.ended_at),
        (Timestamp::from_micros(1_234_568), Some(at(2_000_000_000)))
    );
    assert_eq!((made.revision_start, made.revision_end, made.revision), (NOW, None, Revision::CURRENT));
    let mut expected = full(1).attributes;
    expected.insert("booted".to_owned(), AttributeValue::Datetime(Timestamp::from_micros(5_000_002)));
    assert_eq!(made.attributes, expected);
    assert_eq!(made.metrics, [("cpu".to_owned(), mid(1))]);
    let metrics = index.metrics_by_name(&[(rid(1), "cpu".to_owned())]).await.unwrap();
    assert_eq!(
        (metrics[0].creator.as_deref(), metrics[0].unit.as_deref()),
        (Some("user:project"), Some("%"))
    );
    let mut anonymous = resource(2, "generic");
    anonymous.creator = None;
    let made = index.create_resource(anonymous).await.unwrap();
    assert_eq!((made.creator, made.attributes, made.metrics), (None, Attributes::new(), Vec::new()));
}

/// `generic` shows any resource without its attributes, another type only its own.
pub async fn resources_are_seen_through_their_type(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(full(1)).await.unwrap();
    index.create_resource(resource(2, "generic")).await.unwrap();
    let seen = index.resource("generic", rid(1)).await.unwrap();
    assert_eq!((seen.type_name.as_str(), seen.attributes.len(), seen.metrics.len()), ("server", 0, 1));
    assert_eq!(index.resource("server", rid(2)).await.unwrap_err(), IndexError::NoSuchResource(rid(2)));
    let error = index.resource("none", rid(2)).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResourceType("none".to_owned()));
    let error = index.update_resource("server", rid(2), change_at(1)).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResource(rid(2)));
    assert_eq!(
        index.delete_resource("server", rid(2)).await.unwrap_err(),
        IndexError::NoSuchResource(rid(2))
    );
    let mut details = query("generic", Filter::All);
    for (wanted, with_metrics) in [(0, false), (5, true)] {
        details.details = wanted > 0;
        details.with_metrics = with_metrics;
        let listed = index.list_resources(&details).await.unwrap();
        let server = listed.iter().find(|resource| resource.id == rid(1)).unwrap();
        assert_eq!((server.attributes.len(), server.metrics.len()), (wanted, usize::from(with_metrics)));
    }
    assert_eq!(numbers(&index.list_resources(&query("server", Filter::All)).await.unwrap()), [1]);
}

/// Taken ids, unknown types, attributes and policies, and ends before starts are refused; nothing is left behind.
pub async fn resources_refuse_what_cannot_be(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "generic")).await.unwrap();
    let error = index.create_resource(resource(1, "server")).await.unwrap_err();
    assert_eq!(error, IndexError::ResourceAlreadyExists(rid(1)));
    let error = index.create_resource(resource(2, "none")).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResourceType("none".to_owned()));
    let mut new = full(2);
    new.ended_at = Some(at(0));
    assert_eq!(
        index.create_resource(new).await.unwrap_err().to_string(),
        "Value 1970-01-01 00:00:00+00:00 for attribute ended_at on resource type server is invalid"
    );
    let mut new = full(2);
    new.attributes.insert("other".to_owned(), text("x"));
    assert_eq!(
        index.create_resource(new).await.unwrap_err().to_string(),
        "Resource type server has no other attribute"
    );
    let mut new = full(2);
    new.attributes.insert("cpus".to_owned(), text("x"));
    assert!(matches!(index.create_resource(new).await, Err(IndexError::AttributeValueInvalid { .. })));
    let mut new = full(2);
    let unknown = ResourceMetric::New { id: mid(2), unit: None, policy_name: "none".to_owned() };
    new.metrics.insert("disk".to_owned(), unknown);
    let error = index.create_resource(new).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchArchivePolicy("none".to_owned()));
    let counts = index.counts().await.unwrap();
    assert_eq!((counts.resources, counts.metrics), (1, 0));
}

/// Lookups in bulk leave out what is unknown.
pub async fn resources_are_found_by_id(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(full(1)).await.unwrap();
    index.create_resource(resource(2, "generic")).await.unwrap();
    let found = index.resources_by_id(&[rid(2), rid(3), rid(1), rid(2)]).await.unwrap();
    let mut ids = numbers(&found);
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    assert!(found.iter().all(|resource| resource.attributes.is_empty() && resource.metrics.is_empty()));
    assert!(index.resources_by_id(&[]).await.unwrap().is_empty());
}

/// Deleting a resource deletes its history and metrics, and tells which these were.
pub async fn resources_go_with_all_they_have(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(full(1)).await.unwrap();
    index.create_resource(resource(2, "server")).await.unwrap();
    index.update_resource("server", rid(1), change_project(1, "q")).await.unwrap();
    let made = index.create_metric(metric(2, Some(1), "disk")).await.unwrap();
    index.create_metric(metric(3, Some(2), "disk")).await.unwrap();
    let gone = index.delete_resource("generic", rid(1)).await.unwrap();
    assert_eq!(metric_numbers(&gone), [1, 2]);
    assert_eq!(gone[1], made);
    let missing = IndexError::NoSuchResource(rid(1));
    assert_eq!(index.resource("generic", rid(1)).await.unwrap_err(), missing);
    assert_eq!(index.delete_resource("generic", rid(1)).await.unwrap_err(), missing);
    let found = index.metrics_by_id(&[mid(1), mid(2), mid(3)]).await.unwrap();
    assert_eq!(metric_numbers(&found), [3]);
    let mut history = query("server", Filter::All);
    history.history = true;
    assert_eq!(numbers(&index.list_resources(&history).await.unwrap()), [2]);
    index.create_resource(full(1)).await.unwrap();
}

/// A filter deletes matching resources of the type, wholly.
pub async fn resources_go_by_filter(index: &dyn Indexer) {
    prepare(index).await;
    for id in 1..=4 {
        let mut new = resource(id, if id == 4 { "generic" } else { "server" });
        new.project_id = Some(if id == 1 { "keep" } else { "drop" }.to_owned());
        index.create_resource(new).await.unwrap();
        index.create_metric(metric(id, Some(id), "cpu")).await.unwrap();
    }
    let filter = compare(Comparison::Eq, "project_id", FilterValue::Text("drop".to_owned()));
    let (count, metrics) = index.delete_resources("server", &filter).await.unwrap();
    assert_eq!((count, metric_numbers(&metrics)), (2, vec![2, 3]));
    assert_eq!(matching(index, "generic", Filter::All).await, [1, 4]);
    assert_eq!(index.delete_resources("server", &filter).await.unwrap(), (0, Vec::new()));
    assert_eq!(index.delete_resources("generic", &filter).await.unwrap().0, 1);
    let unknown = compare(Comparison::Eq, "colour", FilterValue::Null);
    assert!(matches!(
        index.delete_resources("server", &unknown).await,
        Err(IndexError::NoSuchAttribute { .. })
    ));
    let error = index.delete_resources("none", &filter).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResourceType("none".to_owned()));
    assert_eq!(index.counts().await.unwrap().metrics, 1);
}

async fn revisions(index: &dyn Indexer) -> usize {
    let mut history = query("generic", Filter::All);
    history.history = true;
    index.list_resources(&history).await.unwrap().len()
}

/// A revision is made iff something other than metrics differs.
pub async fn updates_make_revisions_of_differences_only(index: &dyn Indexer) {
    prepare(index).await;
    let before = index.create_resource(full(1)).await.unwrap();
    let same = ResourceChange {
        user_id: Some(Some("u".to_owned())),
        project_id: Some(Some("p".to_owned())),
        started_at: Some(Timestamp::from_ns(1_234_567_999)),
        ended_at: Some(Some(at(2_000_000_000))),
        attributes: BTreeMap::from([
            ("cpus".to_owned(), Some(number("1.5"))),
            ("booted".to_owned(), Some(AttributeValue::Datetime(Timestamp::from_ns(5_000_002_000)))),
        ]),
        ..change_at(1)
    };
    assert_eq!(index.update_resource("server", rid(1), same).await.unwrap(), before);
    let unchanged = index.update_resource("server", rid(1), change_at(1)).await.unwrap();
    assert_eq!(unchanged, before);
    let metrics = BTreeMap::from([(
        "disk".to_owned(),
        ResourceMetric::New { id: mid(2), unit: None, policy_name: "low".to_owned() },
    )]);
    let change = ResourceChange { metrics: Some(metrics), append_metrics: true, ..change_at(2) };
    let with_metrics = index.update_resource("server", rid(1), change).await.unwrap();
    assert_eq!((with_metrics.metrics.len(), with_metrics.revision_start), (2, NOW));
    assert_eq!(revisions(index).await, 1);

    let change = ResourceChange {
        user_id: Some(None),
        ended_at: Some(None),
        attributes: BTreeMap::from([("name".to_owned(), None), ("cpus".to_owned(), Some(number("2")))]),
        ..change_at(3)
    };
    let after = index.update_resource("server", rid(1), change).await.unwrap();
    assert_eq!((&after.user_id, after.ended_at, after.revision_start), (&None, None, later(3)));
    assert_eq!((after.attributes.get("name"), &after.attributes["cpus"]), (None, &number("2")));
    assert_eq!(after.attributes.len(), 4);
    assert_eq!(index.resource("server", rid(1)).await.unwrap(), after);
    let absent = compare(Comparison::Eq, "name", FilterValue::Null);
    assert_eq!(matching(index, "server", absent).await, [1]);
    let seen = index.update_resource("generic", rid(1), change_project(4, "q")).await.unwrap();
    assert_eq!((seen.project_id.as_deref(), seen.attributes.len()), (Some("q"), 0));
    assert_eq!(index.resource("server", rid(1)).await.unwrap().attributes, after.attributes);
    assert_eq!(revisions(index).await, 3);
}

/// A caller that looked at an older revision is told so.
pub async fn updates_respect_what_the_caller_saw(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(full(1)).await.unwrap();
    let guarded = |seconds, seen| ResourceChange {
        expected_revision_start: Some(seen),
        ..change_project(seconds, &format!("p{seconds}"))
    };
    index.update_resource("server", rid(1), guarded(1, NOW)).await.unwrap();
    let error = index.update_resource("server", rid(1), guarded(2, NOW)).await.unwrap_err();
    assert_eq!(error, IndexError::Changed);
    let after = index.update_resource("server", rid(1), guarded(3, later(1))).await.unwrap();
    assert_eq!(after.project_id.as_deref(), Some("p3"));
}

/// Whatever is wrong with an update, nothing of it is done.
pub async fn updates_that_fail_change_nothing(index: &dyn Indexer) {
    prepare(index).await;
    let before = index.create_resource(full(1)).await.unwrap();
    let metrics = |metric| Some(BTreeMap::from([("a".to_owned(), metric)]));
    let unknown_policy = ResourceMetric::New { id: mid(5), unit: None, policy_name: "none".to_owned() };
    for (change, expected) in [
        (
            ResourceChange { ended_at: Some(Some(at(0))), ..change_project(1, "q") },
            "Value 1970-01-01 00:00:00+00:00 for attribute ended_at on resource type server is invalid",
        ),
        (
            ResourceChange { metrics: metrics(ResourceMetric::Existing(mid(9))), ..change_project(1, "q") },
            "Metric 00000000-0000-0000-0000-00000000f009 does not exist",
        ),
        (
            ResourceChange { metrics: metrics(unknown_policy), ..change_project(1, "q") },
            "Archive policy none does not exist",
        ),
        (
            ResourceChange {
                attributes: BTreeMap::from([("colour".to_owned(), None)]),
                ..change_project(1, "q")
            },
            "Resource type server has no colour attribute",
        ),
    ] {
        let error = index.update_resource("server", rid(1), change).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(index.resource("server", rid(1)).await.unwrap(), before);
    assert_eq!(revisions(index).await, 1);
}
