//! Behaviours of a [`MetricWriter`](crate::MetricWriter), read back through a [`MetricReader`](crate::MetricReader) of the
//! same service. They share one service, whose clock runs: each uses names of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, NewArchivePolicy, PolicyItemSpec, Timespan, Timestamp,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    AttributeChange, DataPoints, Made, MetricRead, MetricReadError, MetricReader, MetricSubject,
    MetricWriteError, MetricWriter, NamedMeasures, TypeAttributes,
};

/// Calls the macro `$callback` with the names of all behaviours of
/// [`conformance::metric_writer`](crate::conformance::metric_writer), each an async function over a `&Service`.
#[macro_export]
macro_rules! for_each_metric_writer_behaviour {
    ($callback:ident) => {
        $callback! {
            policies_are_made_once
            types_are_made_once_and_change
            resources_are_made_once
            resources_change_and_end_and_are_found
            measures_make_their_metrics_and_count_once
            measures_of_unknown_resources_are_all_refused
            measures_that_cannot_be_are_refused
        }
    };
}

/// A service, by its writer and its reader, and what lets it digest what was written.
pub struct Service {
    /// Writes.
    pub writer: Arc<dyn MetricWriter>,
    /// Reads.
    pub reader: Arc<dyn MetricReader>,
    /// How long the service may take to show what it has acknowledged.
    pub shows_within: Duration,
    /// Waits a little.
    pub pause: fn() -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// When the measures of these tests begin: 2025-11-20T00:00:00Z.
const BEGIN: Timestamp = Timestamp::from_ns(1_763_596_800_000_000_000);
const TEXT: Attribute =
    Attribute { kind: AttributeKind::String { min_length: 0, max_length: 255 }, required: false };

fn policy(name: &str) -> NewArchivePolicy {
    let item = PolicyItemSpec {
        granularity: Some(Timespan::from_seconds(60)),
        points: None,
        timespan: Some(Timespan::from_seconds(86_400 * 400)),
    };
    let methods = Some(vec!["sum".to_owned(), "rate:mean".to_owned()]);
    NewArchivePolicy { name: name.to_owned(), back_window: 0, methods, definition: vec![item] }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn measures(resource: &str, metric: &str, policy: &str, values: &[f64]) -> NamedMeasures {
    let at = |number: usize| {
        Timestamp::from_ns(BEGIN.ns() + i64::try_from(number).unwrap_or_default() * 10_000_000_000)
    };
    NamedMeasures {
        resource_id: resource.to_owned(),
        metric: metric.to_owned(),
        archive_policy: Some(policy.to_owned()),
        unit: Some("B".to_owned()),
        measures: values.iter().enumerate().map(|(number, value)| (at(number), *value)).collect(),
    }
}

impl Service {
    async fn read(&self, resource: &str, metric: &str) -> Result<DataPoints, MetricReadError> {
        let read = MetricRead {
            subject: MetricSubject::OfResource {
                resource_id: resource.to_owned(),
                metric: metric.to_owned(),
            },
            method: "sum".to_owned(),
            granularity: Timespan::from_seconds(60),
            start: BEGIN,
            stop: Timestamp::from_ns(BEGIN.ns() + 3_600_000_000_000),
            project_id: None,
        };
        self.reader.read(vec![read]).await.pop().unwrap()
    }

    /// Waits until a metric reads as expected.
    async fn shows(&self, resource: &str, metric: &str, sums: &[f64]) {
        let minute = |number: usize| BEGIN.ns() + i64::try_from(number).unwrap_or_default() * 60_000_000_000;
        let expected: DataPoints =
            sums.iter().enumerate().map(|(number, sum)| (Timestamp::from_ns(minute(number)), *sum)).collect();
        let mut seen = self.read(resource, metric).await;
        for _ in 0..self.shows_within.as_millis() / 100 {
            if seen.as_ref() == Ok(&expected) {
                return;
            }
            (self.pause)().await;
            seen = self.read(resource, metric).await;
        }
        assert_eq!(seen, Ok(expected), "{metric} of {resource}");
    }

    /// Makes sure that nothing was stored in a metric, whether it exists or not. Whatever is stored shows only after
    /// some time: what is written to another metric of the resource now shows first.
    async fn has_nothing(&self, resource: &str, metric: &str, policy: &str) {
        let after = [measures(resource, "written-after", policy, &[8.0])];
        assert_eq!(self.writer.write(&after).await, Ok(()));
        self.shows(resource, "written-after", &[8.0]).await;
        let read = self.read(resource, metric).await;
        let nothing = match &read {
            Ok(points) => points.is_empty(),
            Err(error) => *error == MetricReadError::NoSuchMetric,
        };
        assert!(nothing, "{metric} of {resource}: {read:?}");
    }

    async fn make_resource(&self, id: &str) {
        let made = self.writer.create_resource("generic", &fields(json!({"id": id}))).await;
        assert_eq!(made, Ok(Made::New));
    }
}

fn is_bad_request<T: std::fmt::Debug>(outcome: Result<T, MetricWriteError>) -> bool {
    match outcome {
        Err(MetricWriteError::Refused { status, text }) => status == 400 && !text.is_empty(),
        other => panic!("{other:?}"),
    }
}

/// A policy that is there stays as it is.
pub async fn policies_are_made_once(service: &Service) {
    let mut new = policy("made-once");
    assert_eq!(service.writer.create_archive_policy(&new).await, Ok(Made::New));
    new.back_window = 5;
    assert_eq!(service.writer.create_archive_policy(&new).await, Ok(Made::Existing));
    new.name = "impossible".to_owned();
    new.definition[0].timespan = Some(Timespan::from_seconds(1));
    assert!(is_bad_request(service.writer.create_archive_policy(&new).await));
}

/// Attributes are set, changed and removed one by one.
pub async fn types_are_made_once_and_change(service: &Service) {
    let writer = &service.writer;
    assert_eq!(writer.resource_type("changing").await, Ok(None));
    let needed = Attribute { required: true, ..TEXT };
    let mut attributes = TypeAttributes::from([("name".to_owned(), needed)]);
    assert_eq!(writer.create_resource_type("changing", &attributes).await, Ok(Made::New));
    assert_eq!(writer.create_resource_type("changing", &attributes).await, Ok(Made::Existing));
    let id = Attribute { kind: AttributeKind::Uuid, required: false };
    let number = Attribute { kind: AttributeKind::Number { min: None, max: Some(5.5) }, required: false };
    let time = Attribute { kind: AttributeKind::Datetime, required: false };
    for (name, attribute, fill) in [
        ("name", TEXT, None),
        ("host", needed, Some(AttributeValue::String(String::new()))),
        ("image", id, None),
        ("count", number, None),
        ("since", time, None),
    ] {
        let change = AttributeChange::Set { attribute, fill };
        assert_eq!(writer.change_resource_type("changing", name, &change).await, Ok(()), "{name}");
        attributes.insert(name.to_owned(), attribute);
    }
    assert_eq!(writer.change_resource_type("changing", "name", &AttributeChange::Remove).await, Ok(()));
    attributes.remove("name");
    assert_eq!(writer.resource_type("changing").await, Ok(Some(attributes)));
    let unfilled = AttributeChange::Set { attribute: needed, fill: None };
    assert!(is_bad_request(writer.change_resource_type("changing", "more", &unfilled).await));
    let absent = writer.change_resource_type("absent", "name", &unfilled).await;
    assert!(matches!(absent, Err(MetricWriteError::NotFound(_))), "{absent:?}");
}

/// A resource has what its type requires and nothing that its type does not know.
pub async fn resources_are_made_once(service: &Service) {
    let writer = &service.writer;
    let needed = Attribute { required: true, ..TEXT };
    let attributes = TypeAttributes::from([("name".to_owned(), needed)]);
    writer.create_resource_type("strict", &attributes).await.unwrap();
    let id = Uuid::from_u128(0x5001).to_string();
    let make = async |value: Value| writer.create_resource("strict", &fields(value)).await;
    assert!(is_bad_request(make(json!({"id": id})).await));
    assert!(is_bad_request(make(json!({"id": id, "name": "n", "colour": "red"})).await));
    assert!(is_bad_request(make(json!({"id": id, "name": 5})).await));
    let whole = json!({"id": id, "name": "é", "user_id": "u", "project_id": "p"});
    assert_eq!(make(whole.clone()).await, Ok(Made::New));
    assert_eq!(make(whole).await, Ok(Made::Existing));
    let slashes = make(json!({"id": "of no/uuid", "name": "n"})).await;
    assert!(slashes.is_err(), "slashes are not supported");
    assert_eq!(make(json!({"id": "of-no-uuid", "name": "n"})).await, Ok(Made::New));
    let absent = writer.create_resource("absent", &fields(json!({"id": id}))).await;
    assert!(matches!(absent, Err(MetricWriteError::NotFound(_))), "{absent:?}");
}

/// What ends a resource is a change like others.
pub async fn resources_change_and_end_and_are_found(service: &Service) {
    let writer = &service.writer;
    let attributes = TypeAttributes::from([
        ("of".to_owned(), Attribute { kind: AttributeKind::Uuid, required: true }),
        ("name".to_owned(), TEXT),
    ]);
    writer.create_resource_type("part", &attributes).await.unwrap();
    let whole = Uuid::from_u128(0x6000).to_string();
    for number in 1..=3_u128 {
        let id = Uuid::from_u128(0x6000 + number).to_string();
        let made = writer.create_resource("part", &fields(json!({"id": id, "of": whole}))).await;
        assert_eq!(made, Ok(Made::New));
    }
    let search = json!({"=": {"of": whole}});
    let mut found = writer.search_resources("part", &search).await.unwrap();
    found.sort();
    let expected: Vec<_> = (1..=3).map(|number| Uuid::from_u128(0x6000 + number).to_string()).collect();
    assert_eq!(found, expected);
    let change = fields(json!({"name": "x", "project_id": "p", "ended_at": "2030-01-01T00:00:00"}));
    assert_eq!(writer.change_resource("part", &found[0], &change).await, Ok(()));
    assert_eq!(writer.change_resource("part", &found[0], &change).await, Ok(()));
    let ended =
        json!({"and": [{"=": {"of": whole}}, {"=": {"name": "x"}}, {">": {"ended_at": "2029-01-01"}}]});
    assert_eq!(writer.search_resources("part", &ended).await, Ok(vec![found[0].clone()]));
    assert!(is_bad_request(
        writer.change_resource("part", &found[0], &fields(json!({"colour": "red"}))).await
    ));
    let nobody = Uuid::from_u128(0x6999).to_string();
    let absent = writer.change_resource("part", &nobody, &change).await;
    assert!(matches!(absent, Err(MetricWriteError::NotFound(_))), "{absent:?}");
    assert!(is_bad_request(writer.search_resources("part", &json!({"~": 1})).await));
}

/// The same measures twice are the same as once; a metric that is there keeps its policy.
pub async fn measures_make_their_metrics_and_count_once(service: &Service) {
    service.writer.create_archive_policy(&policy("counted")).await.unwrap();
    let [first, second] = [Uuid::from_u128(0x7001).to_string(), "counted-by_name".to_owned()];
    service.make_resource(&first).await;
    service.make_resource(&second).await;
    let request = [
        measures(&first, "disk.read", "counted", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0]),
        measures(&second, "disk.read", "counted", &[0.5]),
        measures(&first, "with space %", "counted", &[7.0]),
    ];
    for _ in 0..3 {
        assert_eq!(service.writer.write(&request).await, Ok(()));
    }
    service.shows(&first, "disk.read", &[21.0, 100.0]).await;
    service.shows(&second, "disk.read", &[0.5]).await;
    service.shows(&first, "with space %", &[7.0]).await;
    let other_policy = [measures(&first, "disk.read", "no-such-policy", &[1.0])];
    assert_eq!(service.writer.write(&other_policy).await, Ok(()));
    assert_eq!(service.writer.write(&[]).await, Ok(()));
}

/// One resource that is missing, and no measure is stored: its id is told as it was given.
pub async fn measures_of_unknown_resources_are_all_refused(service: &Service) {
    service.writer.create_archive_policy(&policy("unknown")).await.unwrap();
    let known = Uuid::from_u128(0x8001).to_string();
    service.make_resource(&known).await;
    let unknown = [Uuid::from_u128(0x8002).to_string(), "unknown-by_name".to_owned()];
    let request = [
        measures(&known, "m", "unknown", &[1.0]),
        measures(&unknown[0], "m", "unknown", &[1.0]),
        measures(&unknown[1], "m", "unknown", &[1.0]),
        measures(&unknown[1], "n", "unknown", &[1.0]),
    ];
    match service.writer.write(&request).await {
        Err(MetricWriteError::UnknownResources(mut ids)) => {
            ids.sort();
            assert_eq!(ids, unknown);
        }
        other => panic!("{other:?}"),
    }
    service.has_nothing(&known, "m", "unknown").await;
    service.make_resource(&unknown[0]).await;
    service.make_resource(&unknown[1]).await;
    assert_eq!(service.writer.write(&request).await, Ok(()));
    service.shows(&unknown[1], "n", &[1.0]).await;
}

/// A metric that cannot be made is refused for good, with no measure stored.
pub async fn measures_that_cannot_be_are_refused(service: &Service) {
    service.writer.create_archive_policy(&policy("refusing")).await.unwrap();
    let resource = Uuid::from_u128(0x9001).to_string();
    service.make_resource(&resource).await;
    let mut long_unit = measures(&resource, "unit", "refusing", &[1.0]);
    long_unit.unit = Some("x".repeat(40));
    let good = || measures(&resource, "good", "refusing", &[1.0]);
    // Gnocchi's own database trips over it: what cannot be stored looks like what cannot be now.
    assert!(service.writer.write(&[good(), long_unit]).await.is_err());
    let no_policy = measures(&resource, "m", "no-such-policy", &[1.0]);
    assert!(is_bad_request(service.writer.write(&[good(), no_policy]).await));
    service.has_nothing(&resource, "good", "refusing").await;
}
