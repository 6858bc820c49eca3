//! Patterns found in all ways there are, against a plain reading of them: wildcards, escapes, case, and what is not ASCII.

use std::collections::BTreeMap;

use nephometer_drivers::{Indexer, NewResource, Page, ResourceChange};
use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, Comparison, FilterValue, ResourceId, ResourceType,
    ResourceTypeState,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::tests::{open_postgres, open_sqlite};
use super::*;
use crate::SqlIndex;

const RESOURCES: usize = 48;

/// Texts in which patterns with and without words find something.
fn text() -> impl Strategy<Value = String> {
    let parts = [
        "ab",
        "abc",
        "ABC",
        "a",
        "B",
        "%",
        "_",
        "\\",
        "é",
        "É",
        "été",
        "日本語",
        "-",
        " ",
        "77",
        "777",
        "x_y",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..5).prop_map(|parts| parts.concat())
}

fn pattern() -> impl Strategy<Value = String> {
    let parts = [
        "%", "%", "%", "_", "\\%", "\\_", "\\\\", "ab", "abc", "ABC", "a", "B", "é", "été", "日本", "-",
        "77", "777", "x\\_y", "\\a",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..6).prop_map(|parts| parts.concat())
}

fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && matches(&text[1..], rest)
        }
    }
}

fn is_like(text: &str, pattern: &str) -> bool {
    matches(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>())
}

/// A resource of which `few` is one of five texts, and `many` one of its own; either may be missing.
fn resource(number: usize, texts: &[Option<String>]) -> NewResource {
    let id = ResourceId(Uuid::from_u128(number as u128 + 1));
    let few = texts[number % 5].clone();
    let values = [("few", few), ("many", texts[number].clone())];
    let attributes = values
        .into_iter()
        .filter_map(|(name, text)| text.map(|text| (name.to_owned(), AttributeValue::String(text))));
    NewResource {
        id,
        original_resource_id: id.to_string(),
        type_name: "vm".to_owned(),
        creator: None,
        user_id: None,
        project_id: None,
        started_at: Timestamp::from_micros(7),
        ended_at: None,
        revision_start: Timestamp::from_micros(7),
        attributes: attributes.collect(),
        metrics: BTreeMap::default(),
    }
}

/// A filter, and what holds for the resources that it finds.
type Case<'a> = (Filter, Box<dyn Fn(&NewResource) -> bool + 'a>);

/// Filters that a pattern is in; in some with another one.
fn cases<'a>(pattern: &'a str, other: &'a str) -> [Case<'a>; 5] {
    let like = |name: &str, pattern: &str| {
        Filter::Compare(Comparison::Like, name.to_owned(), FilterValue::Text(pattern.to_owned()))
    };
    let has = |resource: &NewResource, name: &str, pattern: &str| {
        let value = resource.attributes.get(name);
        matches!(value, Some(AttributeValue::String(text)) if is_like(text, pattern))
    };
    [
        (like("few", pattern), Box::new(move |one| has(one, "few", pattern))),
        (like("many", pattern), Box::new(move |one| has(one, "many", pattern))),
        (
            like("few", pattern).and(like("many", other)),
            Box::new(move |one| has(one, "few", pattern) && has(one, "many", other)),
        ),
        (
            Filter::Or(vec![like("few", pattern), like("many", other)]),
            Box::new(move |one| has(one, "few", pattern) || has(one, "many", other)),
        ),
        (
            Filter::Not(Box::new(like("many", pattern))),
            Box::new(move |one| one.attributes.contains_key("many") && !has(one, "many", pattern)),
        ),
    ]
}

async fn populate(index: &SqlIndex, resources: &[NewResource]) {
    let kind = AttributeKind::String { min_length: 0, max_length: 99 };
    let attributes = ["few", "many"].map(|name| (name.to_owned(), Attribute { kind, required: false }));
    let state = ResourceTypeState::Active;
    let vm = ResourceType { name: "vm".to_owned(), attributes: attributes.into(), state };
    index.create_resource_type(vm).await.unwrap();
    let mut gone = Vec::new();
    for (number, resource) in resources.iter().enumerate() {
        // Some were something else before, and some others were there.
        let before = &resources[(number * 7 + 3) % resources.len()];
        let first = if number.is_multiple_of(3) { &before.attributes } else { &resource.attributes };
        index.create_resource(NewResource { attributes: first.clone(), ..resource.clone() }).await.unwrap();
        if number.is_multiple_of(3) {
            let value = |name: &str| (name.to_owned(), resource.attributes.get(name).cloned());
            let attributes = ["few", "many"].map(value).into();
            let change =
                ResourceChange { attributes, now: Timestamp::from_micros(7), ..ResourceChange::default() };
            index.update_resource("vm", resource.id, change).await.unwrap();
        }
        if number.is_multiple_of(4) {
            let id = ResourceId(Uuid::from_u128(1000 + number as u128));
            index.create_resource(NewResource { id, ..before.clone() }).await.unwrap();
            gone.push(id);
        }
    }
    for id in gone {
        index.delete_resource("vm", id).await.unwrap();
    }
}

/// How many rows SQLite's index of trigrams has too many or too few for one of them, whatever waits aside.
async fn misplaced(session: &mut dyn Session, trigram: &str) -> Result<i64, Failure> {
    if session.dialect() == Dialect::Postgres {
        return Ok(0);
    }
    let indexed = "SELECT rowid FROM resource_trigram WHERE resource_trigram MATCH '\"' || $1 || '\"'";
    let there =
        "SELECT attribute_pk << 40 | resource_pk FROM resource_attribute WHERE text LIKE '%' || $1 || '%'";
    let waiting = "SELECT row FROM trigram_change";
    let sql = format!(
        "SELECT (SELECT count(*) FROM ({indexed} EXCEPT {there} EXCEPT {waiting})) \
              + (SELECT count(*) FROM ({there} EXCEPT {indexed} EXCEPT {waiting}))"
    );
    query_one(session, &sql, &[trigram.into()]).await?.int()
}

async fn check(index: &SqlIndex, texts: &[Option<String>], patterns: &[String]) -> Result<(), TestCaseError> {
    let resources: Vec<NewResource> = (0..RESOURCES).map(|number| resource(number, texts)).collect();
    populate(index, &resources).await;
    for trigram in ["abc", "777", "été", "日本語"] {
        let misplaced =
            index.read(trigram.to_owned(), |session, trigram| Box::pin(misplaced(session, trigram)));
        prop_assert_eq!(misplaced.await.unwrap(), 0, "{} {:?}", trigram, texts);
    }
    let pairs = patterns.iter().zip(patterns.iter().skip(1));
    for (filter, holds) in pairs.flat_map(|(pattern, other)| cases(pattern, other)) {
        let expected = resources.iter().filter(|resource| holds(resource)).map(|resource| resource.id);
        let expected: Vec<ResourceId> = expected.collect();
        for limit in [None, Some(3), Some(100)] {
            let query = ResourceQuery {
                type_name: "vm".to_owned(),
                filter: filter.clone(),
                history: false,
                details: true,
                with_metrics: false,
                page: Page { limit, ..Page::default() },
            };
            let found = index.list_resources(&query).await.unwrap();
            let found: Vec<ResourceId> = found.into_iter().map(|resource| resource.id).collect();
            let most = limit.map_or(RESOURCES, |limit| usize::try_from(limit).unwrap());
            prop_assert_eq!(&found, &expected[..expected.len().min(most)], "{:?} {:?}", filter, texts);
        }
    }
    Ok(())
}

fn run<G>(open: impl AsyncFn() -> (SqlIndex, G)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let texts = prop::collection::vec(prop::option::weighted(0.9, text()), RESOURCES);
    let outcome =
        TestRunner::new(config).run(&(texts, prop::collection::vec(pattern(), 12)), |(texts, patterns)| {
            runtime.block_on(async {
                let (index, _kept) = open().await;
                check(&index, &texts, &patterns).await
            })
        });
    outcome.unwrap();
}

#[test]
fn sqlite_finds_what_patterns_match() {
    run(async || {
        let directory = tempfile::tempdir().unwrap();
        (open_sqlite(&directory), directory)
    });
}

#[test]
fn postgres_finds_what_patterns_match() {
    run(async || (open_postgres().await, ()));
}
