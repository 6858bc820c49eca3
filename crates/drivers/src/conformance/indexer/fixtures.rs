//! What the behaviours start from.

use std::collections::BTreeMap;

use nephometer_model::{
    ArchivePolicy, Attribute, AttributeKind, AttributeValue, Attributes, Comparison, Filter, FilterValue,
    MethodSet, Metric, MetricId, PolicyItem, PolicyKey, Resource, ResourceId, ResourceType,
    ResourceTypeState, SeriesKey, Timespan, Timestamp,
};
use uuid::Uuid;

use crate::conformance::NOW;
use crate::{Indexer, NewMetric, NewResource, Page, ResourceChange, ResourceQuery};

pub(super) fn rid(number: u128) -> ResourceId {
    ResourceId(Uuid::from_u128(number))
}

pub(super) fn mid(number: u128) -> MetricId {
    MetricId(Uuid::from_u128(0xf000 + number))
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// [`NOW`] and some seconds.
pub(super) fn later(seconds: i64) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + seconds * 1_000_000)
}

pub(super) fn policy(name: &str) -> ArchivePolicy {
    ArchivePolicy {
        key: PolicyKey(0),
        name: name.to_owned(),
        back_window: 2,
        definition: vec![
            PolicyItem { granularity: Timespan::from_seconds(3600), points: None },
            PolicyItem { granularity: Timespan::from_ns(514_285_714_285), points: Some(7) },
        ],
        methods: MethodSet::upstream_default(),
    }
}

pub(super) fn resource(number: u128, type_name: &str) -> NewResource {
    NewResource {
        id: rid(number),
        original_resource_id: format!("original {number}"),
        type_name: type_name.to_owned(),
        creator: Some("user:project".to_owned()),
        user_id: None,
        project_id: None,
        started_at: at(1000),
        ended_at: None,
        revision_start: NOW,
        attributes: Attributes::new(),
        metrics: BTreeMap::new(),
    }
}

pub(super) fn metric(number: u128, resource: Option<u128>, name: &str) -> NewMetric {
    NewMetric {
        id: mid(number),
        creator: Some("user:project".to_owned()),
        resource_id: resource.map(rid),
        name: Some(name.to_owned()),
        unit: None,
        policy_name: "low".to_owned(),
    }
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::String(value.to_owned())
}

pub(super) fn number(literal: &str) -> AttributeValue {
    AttributeValue::Number(serde_json::from_str(literal).unwrap())
}

pub(super) fn attributes<const N: usize>(values: [(&str, AttributeValue); N]) -> Attributes {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn attribute(kind: AttributeKind) -> Attribute {
    Attribute { kind, required: false }
}

pub(super) fn string_attribute() -> Attribute {
    attribute(AttributeKind::String { min_length: 0, max_length: 255 })
}

/// A type called `server` with an attribute of each kind, called `name`, `cpus`, `image-id`, `public`, `booted`.
pub(super) fn server_type() -> ResourceType {
    let attributes = [
        ("name", string_attribute()),
        ("cpus", attribute(AttributeKind::Number { min: Some(0.5), max: None })),
        ("image-id", attribute(AttributeKind::Uuid)),
        ("public", attribute(AttributeKind::Bool)),
        ("booted", attribute(AttributeKind::Datetime)),
    ];
    ResourceType {
        name: "server".to_owned(),
        attributes: attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into(),
        state: ResourceTypeState::Active,
    }
}

/// Makes the policy `low` and the type `server`.
pub(super) async fn prepare(index: &dyn Indexer) {
    index.create_archive_policy(policy("low")).await.unwrap();
    index.create_resource_type(server_type()).await.unwrap();
}

pub(super) fn query(type_name: &str, filter: Filter) -> ResourceQuery {
    ResourceQuery {
        type_name: type_name.to_owned(),
        filter,
        history: false,
        details: false,
        with_metrics: false,
        page: Page::default(),
    }
}

pub(super) fn compare(comparison: Comparison, name: &str, value: FilterValue) -> Filter {
    Filter::Compare(comparison, name.to_owned(), value)
}

pub(super) fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

/// Numbers of the resources of a list.
pub(super) fn numbers(resources: &[Resource]) -> Vec<u128> {
    resources.iter().map(|resource| resource.id.0.as_u128()).collect()
}

/// Numbers of the metrics of a list.
pub(super) fn metric_numbers(metrics: &[Metric]) -> Vec<u128> {
    metrics.iter().map(|metric| metric.id.0.as_u128() - 0xf000).collect()
}

/// Sorted numbers of the resources of a type that match.
pub(super) async fn matching(index: &dyn Indexer, type_name: &str, filter: Filter) -> Vec<u128> {
    let mut found = numbers(&index.list_resources(&query(type_name, filter)).await.unwrap());
    found.sort_unstable();
    found
}

/// A change at a time after [`NOW`], to be completed.
pub(super) fn change_at(seconds: i64) -> ResourceChange {
    ResourceChange { now: later(seconds), ..ResourceChange::default() }
}

pub(super) fn change_project(seconds: i64, project: &str) -> ResourceChange {
    ResourceChange { project_id: Some(Some(project.to_owned())), ..change_at(seconds) }
}

/// Makes five metrics and deletes four of them in each way there is; gives the keys of these in order.
pub(in crate::conformance) async fn delete_some_metrics(index: &dyn Indexer) -> Vec<SeriesKey> {
    prepare(index).await;
    for id in 1..=3 {
        index.create_resource(resource(id, "server")).await.unwrap();
    }
    let news = [(1, None), (2, Some(1)), (3, Some(1)), (4, Some(2)), (5, Some(3))];
    let news = news.map(|(id, owner)| metric(id, owner, &format!("m{id}")));
    let made = index.create_or_get_metrics(news.into()).await.unwrap();
    index.delete_metric(mid(1)).await.unwrap();
    index.delete_resource("generic", rid(1)).await.unwrap();
    let filter = Filter::eq_text("id", &rid(2).to_string());
    index.delete_resources("server", &filter).await.unwrap();
    made[..4].iter().map(|metric| metric.key).collect()
}
