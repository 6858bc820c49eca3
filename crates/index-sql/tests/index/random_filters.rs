//! Random filters over random resources and their history: what SQL finds is what a plain reading of the rules finds.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use nephometer_drivers::conformance::NOW;
use nephometer_drivers::{Indexer, NewResource, Page, ResourceChange, ResourceQuery};
use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, Attributes, Comparison, Filter, FilterValue, Resource,
    ResourceId, ResourceType, ResourceTypeState, Timestamp,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::support;

fn micros(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// A value as comparisons see it.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Plain {
    Text(String),
    Number(f64),
    Id(Uuid),
}

fn time(value: Timestamp) -> Plain {
    Plain::Number(value.micros() as f64)
}

fn field(resource: &Resource, name: &str) -> Option<Plain> {
    let part = |after: bool| {
        let (user, project) = resource.creator.as_deref()?.split_once(':')?;
        Some(Plain::Text(if after { project } else { user }.to_owned()))
    };
    match name {
        "id" => Some(Plain::Id(resource.id.0)),
        "type" => Some(Plain::Text(resource.type_name.clone())),
        "creator" => resource.creator.clone().map(Plain::Text),
        "created_by_user_id" => part(false),
        "created_by_project_id" => part(true),
        "user_id" => resource.user_id.clone().map(Plain::Text),
        "project_id" => resource.project_id.clone().map(Plain::Text),
        "original_resource_id" => Some(Plain::Text(resource.original_resource_id.clone())),
        "started_at" => Some(time(resource.started_at)),
        "ended_at" => resource.ended_at.map(time),
        "revision_start" => Some(time(resource.revision_start)),
        "revision_end" => resource.revision_end.map(time),
        "revision" => Some(Plain::Number(resource.revision.0 as f64)),
        "lifespan" => {
            let span = resource.ended_at?.micros() - resource.started_at.micros();
            Some(Plain::Number(span as f64))
        }
        attribute => match resource.attributes.get(attribute)? {
            AttributeValue::String(text) => Some(Plain::Text(text.clone())),
            AttributeValue::Number(number) => number.as_f64().map(Plain::Number),
            AttributeValue::Uuid(id) => Some(Plain::Id(*id)),
            AttributeValue::Bool(value) => Some(Plain::Number(f64::from(u8::from(*value)))),
            AttributeValue::Datetime(value) => Some(time(*value)),
        },
    }
}

/// The value of a filter in the terms of a field.
fn plain(name: &str, value: &FilterValue) -> Option<Plain> {
    Some(match value {
        FilterValue::Null => return None,
        FilterValue::Bool(value) => Plain::Number(f64::from(u8::from(*value))),
        FilterValue::Time(value) => time(*value),
        FilterValue::Integer(value) if name == "lifespan" => Plain::Number(*value as f64 * 1e6),
        FilterValue::Integer(value) => Plain::Number(*value as f64),
        FilterValue::Number(value) => Plain::Number(*value),
        FilterValue::Text(text) if name == "id" || name == "image" => Plain::Id(text.parse().unwrap()),
        FilterValue::Text(text) => Plain::Text(text.clone()),
    })
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && like(&text[1..], rest)
        }
    }
}

fn compare(comparison: Comparison, have: &Plain, want: &Plain) -> bool {
    let order = have.partial_cmp(want).unwrap();
    match comparison {
        Comparison::Eq => order == Ordering::Equal,
        Comparison::Ne => order != Ordering::Equal,
        Comparison::Lt => order == Ordering::Less,
        Comparison::Le => order != Ordering::Greater,
        Comparison::Gt => order == Ordering::Greater,
        Comparison::Ge => order != Ordering::Less,
        Comparison::Like => {
            let (Plain::Text(have), Plain::Text(want)) = (have, want) else { panic!("like is for texts") };
            like(&have.chars().collect::<Vec<_>>(), &want.chars().collect::<Vec<_>>())
        }
    }
}

/// Whether all parts hold.
fn all(parts: &[Option<bool>]) -> Option<bool> {
    if parts.contains(&Some(false)) {
        return Some(false);
    }
    (!parts.contains(&None)).then_some(true)
}

/// Whether a filter holds; nothing means unknown.
fn holds(resource: &Resource, filter: &Filter) -> Option<bool> {
    match filter {
        Filter::All => Some(true),
        Filter::Not(inner) => holds(resource, inner).map(|known| !known),
        Filter::And(parts) => all(&parts.iter().map(|part| holds(resource, part)).collect::<Vec<_>>()),
        Filter::Or(parts) => {
            let opposites: Vec<_> =
                parts.iter().map(|part| holds(resource, part).map(|known| !known)).collect();
            all(&opposites).map(|none| !none)
        }
        Filter::Compare(comparison, name, value) => {
            let have = field(resource, name);
            let creator = name.starts_with("created_by");
            if *value == FilterValue::Null {
                let absent = if creator { resource.creator.is_none() } else { have.is_none() };
                return match comparison {
                    Comparison::Eq => Some(absent),
                    Comparison::Ne => Some(!absent),
                    _ => None,
                };
            }
            let want = plain(name, value)?;
            match (have, comparison) {
                // A creator without colon has no user and no project, which differ from any.
                (None, Comparison::Ne) if creator => resource.creator.as_ref().map(|_| true),
                (None, _) if creator => resource.creator.as_ref().map(|_| false),
                (None, Comparison::Ne) => Some(true),
                (None, _) => None,
                (Some(have), _) => Some(compare(*comparison, &have, &want)),
            }
        }
        Filter::In(_, values) if values.is_empty() => Some(false),
        Filter::In(name, values) => {
            let have = field(resource, name);
            let known: Vec<_> = values.iter().filter_map(|value| plain(name, value)).collect();
            let have_null = known.len() < values.len();
            match have {
                _ if known.is_empty() => None,
                None => None,
                Some(have) if known.contains(&have) => Some(true),
                Some(_) => (!have_null).then_some(false),
            }
        }
    }
}

const TEXTS: [&str; 8] = ["a", "A", "ab", "b_", "%", "é", "", "aé%"];

fn id(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number) << 64)
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(&TEXTS).prop_map(str::to_owned)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let name = prop::option::of(word().prop_map(AttributeValue::String));
    let cpus = prop::option::of((-2_i32..3).prop_map(|number| AttributeValue::Number(number.into())));
    let image = prop::option::of((0_u8..4).prop_map(|number| AttributeValue::Uuid(id(number))));
    let public = prop::option::of(any::<bool>().prop_map(AttributeValue::Bool));
    let booted = prop::option::of((0_i64..4).prop_map(|at| AttributeValue::Datetime(micros(at))));
    (name, cpus, image, public, booted).prop_map(|(name, cpus, image, public, booted)| {
        [("name", name), ("cpus", cpus), ("image", image), ("public", public), ("booted", booted)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    })
}

fn creator() -> impl Strategy<Value = Option<String>> {
    let creators = [None, Some("a"), Some("a:b"), Some("ab:a"), Some("%:b_"), Some("é:é")];
    prop::sample::select(creators.to_vec()).prop_map(|creator| creator.map(str::to_owned))
}

fn resource() -> impl Strategy<Value = NewResource> {
    let owners = (creator(), prop::option::of(word()), prop::option::of(word()), word());
    (owners, 0_i64..4, prop::option::of(4_i64..8), attributes(), any::<bool>()).prop_map(
        |((creator, user_id, project_id, original), start, end, attributes, typed)| NewResource {
            id: ResourceId(Uuid::nil()),
            original_resource_id: original,
            type_name: if typed { "a" } else { "ab" }.to_owned(),
            creator,
            user_id,
            project_id,
            started_at: micros(start),
            ended_at: end.map(micros),
            revision_start: NOW,
            attributes,
            metrics: BTreeMap::new(),
        },
    )
}

/// A change of the resource of some number.
fn change() -> impl Strategy<Value = (usize, ResourceChange)> {
    (0_usize..8, prop::option::of(word()), prop::option::of(4_i64..8), attributes()).prop_map(
        |(at, project, end, attributes)| {
            let change = ResourceChange {
                project_id: Some(project),
                ended_at: Some(end.map(micros)),
                attributes: attributes.into_iter().map(|(name, value)| (name, Some(value))).collect(),
                ..ResourceChange::default()
            };
            (at, change)
        },
    )
}

fn values_of(name: &'static str) -> BoxedStrategy<FilterValue> {
    let text = |text: &str| FilterValue::Text(text.to_owned());
    match name {
        "id" | "image" => (0_u8..6).prop_map(|number| FilterValue::Text(id(number).to_string())).boxed(),
        "cpus" => prop_oneof![
            (-3_i64..4).prop_map(FilterValue::Integer),
            (-3_i32..4).prop_map(|number| FilterValue::Number(f64::from(number) / 2.0)),
        ]
        .boxed(),
        "public" => any::<bool>().prop_map(FilterValue::Bool).boxed(),
        "lifespan" => (0_i64..8).prop_map(FilterValue::Integer).boxed(),
        "revision" => (-1_i64..6).prop_map(FilterValue::Integer).boxed(),
        "started_at" | "ended_at" | "booted" => {
            (0_i64..8).prop_map(|at| FilterValue::Time(micros(at))).boxed()
        }
        "revision_start" | "revision_end" => {
            (-1_i64..12).prop_map(|at| FilterValue::Time(Timestamp::from_micros(NOW.micros() + at))).boxed()
        }
        "creator" => creator().prop_map(move |creator| text(creator.as_deref().unwrap_or("a:%"))).boxed(),
        _ => word().prop_map(FilterValue::Text).boxed(),
    }
}

const NAMES: [&str; 17] = [
    "name",
    "cpus",
    "image",
    "public",
    "booted",
    "id",
    "type",
    "creator",
    "created_by_user_id",
    "created_by_project_id",
    "user_id",
    "project_id",
    "original_resource_id",
    "started_at",
    "ended_at",
    "revision_start",
    "lifespan",
];

fn leaf(history: bool) -> impl Strategy<Value = Filter> {
    let mut names = NAMES.to_vec();
    if history {
        names.extend(["revision", "revision_end"]);
    }
    let ordered =
        [Comparison::Eq, Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];
    prop::sample::select(names).prop_flat_map(move |name| {
        let creator = name.starts_with("created_by");
        let comparisons = if creator { ordered[..2].to_vec() } else { ordered.to_vec() };
        let value = prop_oneof![6 => values_of(name), 1 => Just(FilterValue::Null)];
        let compare = (prop::sample::select(comparisons), value.clone())
            .prop_map(move |(comparison, value)| Filter::Compare(comparison, name.to_owned(), value));
        let among =
            prop::collection::vec(value, 0..4).prop_map(move |values| Filter::In(name.to_owned(), values));
        let texts = ["name", "user_id", "project_id", "original_resource_id", "type", "creator"];
        let patterns = ["%", "_", "a%", "%\\%", "_\\_", "%é%", "A_", "%:%"];
        let like = prop::sample::select(patterns.to_vec()).prop_map(move |pattern| {
            Filter::Compare(Comparison::Like, name.to_owned(), FilterValue::Text(pattern.to_owned()))
        });
        match (creator, texts.contains(&name)) {
            (true, _) => compare.boxed(),
            (_, true) => prop_oneof![4 => compare, 1 => among, 2 => like].boxed(),
            _ => prop_oneof![4 => compare, 1 => among].boxed(),
        }
    })
}

fn filter(history: bool) -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![30 => leaf(history), 1 => Just(Filter::All)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

fn resource_type(name: &str) -> ResourceType {
    let kinds = [
        ("name", AttributeKind::String { min_length: 0, max_length: 255 }),
        ("cpus", AttributeKind::Number { min: None, max: None }),
        ("image", AttributeKind::Uuid),
        ("public", AttributeKind::Bool),
        ("booted", AttributeKind::Datetime),
    ];
    let attribute =
        |(name, kind): (&str, AttributeKind)| (name.to_owned(), Attribute { kind, required: false });
    ResourceType {
        name: name.to_owned(),
        attributes: kinds.map(attribute).into(),
        state: ResourceTypeState::Active,
    }
}

type Case = (Vec<NewResource>, Vec<(usize, ResourceChange)>, Vec<Filter>, Vec<Filter>);

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(resource(), 1..10),
        prop::collection::vec(change(), 0..10),
        prop::collection::vec(filter(false), 60),
        prop::collection::vec(filter(true), 60),
    )
}

fn query(type_name: &str, filter: &Filter, history: bool) -> ResourceQuery {
    ResourceQuery {
        type_name: type_name.to_owned(),
        filter: filter.clone(),
        history,
        details: true,
        with_metrics: false,
        page: Page::default(),
    }
}

async fn populate(index: &dyn Indexer, resources: Vec<NewResource>, changes: Vec<(usize, ResourceChange)>) {
    for name in ["a", "ab"] {
        index.create_resource_type(resource_type(name)).await.unwrap();
    }
    let mut types = Vec::new();
    for (number, new) in (0..).zip(resources) {
        types.push(new.type_name.clone());
        index.create_resource(NewResource { id: ResourceId(id(number)), ..new }).await.unwrap();
    }
    for (second, (at, change)) in (1..).zip(changes) {
        let at = at % types.len();
        let change = ResourceChange { now: Timestamp::from_micros(NOW.micros() + second), ..change };
        let target = ResourceId(id(u8::try_from(at).unwrap()));
        index.update_resource(&types[at], target, change).await.unwrap();
    }
}

async fn check(
    index: &dyn Indexer,
    (resources, changes, present, history): Case,
) -> Result<(), TestCaseError> {
    populate(index, resources, changes).await;
    for (filters, history) in [(present, false), (history, true)] {
        let all = index.list_resources(&query("a", &Filter::All, history)).await.unwrap();
        for filter in filters {
            let expected: Vec<_> =
                all.iter().filter(|resource| holds(resource, &filter) == Some(true)).cloned().collect();
            let found = index.list_resources(&query("a", &filter, history)).await.unwrap();
            prop_assert_eq!(found, expected, "{:?}", filter);
        }
    }
    Ok(())
}

fn run(open: impl AsyncFn() -> support::Fresh) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&case(), |case| {
        runtime.block_on(async {
            let fresh = open().await;
            check(&fresh.index, case).await
        })
    });
    outcome.unwrap();
}

#[test]
fn sqlite_finds_what_the_rules_find() {
    run(support::sqlite);
}

#[test]
fn postgres_finds_what_the_rules_find() {
    run(support::postgres);
}
