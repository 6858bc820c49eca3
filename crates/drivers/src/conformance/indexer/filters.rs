//! Filters: each kind of attribute, and three-valued logic.

use nephometer_model::{AttributeValue, Comparison, Filter, FilterValue, Timestamp};
use uuid::Uuid;

use super::fixtures::{
    at, attributes, compare, later, matching, not, number, prepare, query, resource, rid, text,
};
use crate::conformance::NOW;
use crate::{IndexError, Indexer};

use Comparison::{Eq, Ge, Gt, Le, Like, Lt, Ne};

fn t(value: &str) -> FilterValue {
    FilterValue::Text(value.to_owned())
}

fn n(value: f64) -> FilterValue {
    FilterValue::Number(value)
}

fn among<const N: usize>(name: &str, values: [FilterValue; N]) -> Filter {
    Filter::In(name.to_owned(), values.into())
}

/// Five servers and a generic resource. The fifth server has no optional value at all.
async fn populate(index: &dyn Indexer) {
    prepare(index).await;
    for (id, name, cpus, public, owner, ended) in [
        (1_u128, "web-1", "1", true, "alice", Some(1010)),
        (2, "Web_2", "2.5", false, "Bob", Some(4600)),
        (3, "100%", "16", true, "alice", None),
        (4, "été", "-3", false, "éve", None),
    ] {
        let mut new = resource(id, "server");
        new.user_id = Some(owner.to_owned());
        new.project_id = (id % 2 == 1).then(|| format!("p{id}"));
        new.started_at = at(1000 + i64::try_from(id).unwrap());
        new.ended_at = ended.map(at);
        new.revision_start = later(i64::try_from(id).unwrap());
        new.creator = Some(format!("{owner}:project-{}", id % 2));
        new.attributes = attributes([
            ("name", text(name)),
            ("cpus", number(cpus)),
            ("image-id", AttributeValue::Uuid(Uuid::from_u128(id << 100))),
            ("public", AttributeValue::Bool(public)),
            (
                "booted",
                AttributeValue::Datetime(Timestamp::from_micros(i64::try_from(id).unwrap() * 500_000)),
            ),
        ]);
        index.create_resource(new).await.unwrap();
    }
    let mut bare = resource(5, "server");
    bare.creator = None;
    index.create_resource(bare).await.unwrap();
    let mut generic = resource(6, "generic");
    generic.creator = Some("basic".to_owned());
    index.create_resource(generic).await.unwrap();
}

async fn check<const N: usize>(index: &dyn Indexer, filter: Filter, expected: [u128; N]) {
    let found = matching(index, "server", filter.clone()).await;
    assert_eq!(found, expected, "{filter:?}");
}

/// Texts compare by code point; other values as upstream spells them.
pub async fn filters_on_texts(index: &dyn Indexer) {
    populate(index).await;
    for name in ["name", "user_id"] {
        check(index, compare(Eq, name, FilterValue::Null), [5]).await;
        check(index, compare(Ne, name, FilterValue::Null), [1, 2, 3, 4]).await;
    }
    check(index, compare(Eq, "name", t("web-1")), [1]).await;
    check(index, compare(Ne, "name", t("web-1")), [2, 3, 4, 5]).await;
    check(index, compare(Eq, "name", t("WEB-1")), []).await;
    check(index, compare(Lt, "name", t("a")), [2, 3]).await;
    check(index, compare(Le, "name", t("web-1")), [1, 2, 3]).await;
    check(index, compare(Gt, "name", t("web-1")), [4]).await;
    check(index, compare(Ge, "name", t("web-1")), [1, 4]).await;
    check(index, compare(Ge, "user_id", t("a")), [1, 3, 4]).await;
    check(index, compare(Ne, "user_id", t("alice")), [2, 4, 5]).await;
    check(index, compare(Gt, "name", n(100.0)), [1, 2, 4]).await;
    check(index, among("name", [t("été"), t("web-1"), t("x")]), [1, 4]).await;
    check(index, among("user_id", [t("Bob"), FilterValue::Bool(true)]), [2]).await;
    check(index, compare(Eq, "original_resource_id", t("original 3")), [3]).await;
    let mut new = resource(7, "server");
    new.attributes = attributes([("name", text("1.0")), ("cpus", number("7"))]);
    new.user_id = Some("True".to_owned());
    index.create_resource(new).await.unwrap();
    check(index, compare(Eq, "name", n(1.0)), [7]).await;
    check(index, compare(Eq, "name", FilterValue::Integer(1)), []).await;
    check(index, compare(Eq, "user_id", FilterValue::Bool(true)), [7]).await;
}

/// Numbers compare as floats, booleans with booleans and their names.
pub async fn filters_on_numbers_and_booleans(index: &dyn Indexer) {
    populate(index).await;
    check(index, compare(Eq, "cpus", n(2.5)), [2]).await;
    check(index, compare(Eq, "cpus", FilterValue::Integer(16)), [3]).await;
    check(index, compare(Eq, "cpus", t("1e0")), [1]).await;
    check(index, compare(Ne, "cpus", n(1.0)), [2, 3, 4, 5]).await;
    check(index, compare(Lt, "cpus", FilterValue::Integer(2)), [1, 4]).await;
    check(index, compare(Ge, "cpus", n(2.5)), [2, 3]).await;
    check(index, compare(Gt, "cpus", n(f64::NEG_INFINITY)), [1, 2, 3, 4]).await;
    check(index, among("cpus", [n(1.0), FilterValue::Integer(-3)]), [1, 4]).await;
    check(index, compare(Eq, "cpus", FilterValue::Null), [5]).await;
    check(index, compare(Eq, "public", FilterValue::Bool(true)), [1, 3]).await;
    check(index, compare(Eq, "public", t("true")), [1, 3]).await;
    check(index, compare(Ne, "public", FilterValue::Bool(true)), [2, 4, 5]).await;
    check(index, among("public", [FilterValue::Bool(false)]), [2, 4]).await;
}

/// Times compare in microseconds, with times, seconds and texts; spans with spans.
pub async fn filters_on_times_and_spans(index: &dyn Indexer) {
    populate(index).await;
    check(index, compare(Eq, "started_at", FilterValue::Time(at(1002))), [2]).await;
    check(index, compare(Gt, "started_at", FilterValue::Integer(1002)), [3, 4]).await;
    check(index, compare(Le, "started_at", t("1970-01-01T00:16:41")), [1, 5]).await;
    check(index, compare(Ge, "revision_start", FilterValue::Time(later(3))), [3, 4]).await;
    check(index, compare(Lt, "started_at", t("-1 day")), [1, 2, 3, 4, 5]).await;
    check(index, compare(Gt, "revision_start", t("+2 seconds")), [3, 4]).await;
    check(index, compare(Eq, "revision_start", FilterValue::Time(NOW)), [5]).await;
    check(index, compare(Eq, "ended_at", FilterValue::Null), [3, 4, 5]).await;
    check(index, compare(Ne, "ended_at", FilterValue::Time(at(1010))), [2, 3, 4, 5]).await;
    check(index, compare(Lt, "ended_at", n(4600.5)), [1, 2]).await;
    check(index, compare(Eq, "booted", n(1.5)), [3]).await;
    check(index, compare(Ge, "booted", t("1970-01-01T00:00:01Z")), [2, 3, 4]).await;
    check(index, among("booted", [FilterValue::Integer(1), FilterValue::Integer(2)]), [2, 4]).await;
    check(index, compare(Lt, "lifespan", t("1 hour")), [1, 2]).await;
    check(index, compare(Lt, "lifespan", t("59 minutes")), [1]).await;
    check(index, compare(Eq, "lifespan", FilterValue::Integer(9)), [1]).await;
    check(index, not(compare(Eq, "lifespan", n(9.0))), [2]).await;
}

/// UUIDs are taken in any spelling and ordered by their bytes; types by name.
pub async fn filters_on_uuids_and_types(index: &dyn Indexer) {
    populate(index).await;
    let spelled = Uuid::from_u128(2 << 100).simple().to_string().to_uppercase();
    check(index, compare(Eq, "image-id", t(&spelled)), [2]).await;
    check(index, compare(Gt, "image-id", t(&spelled)), [3, 4]).await;
    check(index, among("image-id", [t(&spelled), t(&Uuid::from_u128(4 << 100).to_string())]), [2, 4]).await;
    check(index, compare(Eq, "id", t(&rid(3).to_string())), [3]).await;
    check(index, compare(Ne, "id", t(&rid(3).to_string())), [1, 2, 4, 5]).await;
    check(index, compare(Le, "id", t(&rid(2).to_string())), [1, 2]).await;
    check(index, among("id", [t(&rid(1).to_string()), t(&rid(9).to_string())]), [1]).await;
    check(index, compare(Eq, "type", t("server")), [1, 2, 3, 4, 5]).await;
    for (filter, expected) in [
        (compare(Eq, "type", t("generic")), vec![6]),
        (compare(Ne, "type", t("generic")), vec![1, 2, 3, 4, 5]),
        (compare(Like, "type", t("%er%")), vec![1, 2, 3, 4, 5, 6]),
        (among("type", [t("generic"), t("none")]), vec![6]),
        (not(among("type", [t("generic")])), vec![1, 2, 3, 4, 5]),
        (compare(Eq, "type", FilterValue::Null), vec![]),
    ] {
        assert_eq!(matching(index, "generic", filter).await, expected);
    }
}

/// The creator as a whole, and the user and project it is made of.
pub async fn filters_on_creators(index: &dyn Indexer) {
    populate(index).await;
    let mut new = resource(7, "server");
    new.creator = Some("a:b:project-1".to_owned());
    index.create_resource(new).await.unwrap();
    check(index, compare(Eq, "creator", t("alice:project-1")), [1, 3]).await;
    check(index, compare(Ne, "creator", t("alice:project-1")), [2, 4, 5, 7]).await;
    check(index, compare(Eq, "creator", FilterValue::Null), [5]).await;
    check(index, compare(Like, "creator", t("%:project-0")), [2, 4]).await;
    check(index, compare(Eq, "created_by_user_id", t("alice")), [1, 3]).await;
    check(index, compare(Ne, "created_by_user_id", t("alice")), [2, 4, 7]).await;
    check(index, compare(Like, "created_by_user_id", t("%l%")), [1, 3]).await;
    check(index, compare(Eq, "created_by_project_id", t("project-1")), [1, 3, 7]).await;
    check(index, compare(Eq, "created_by_project_id", t("b:project-1")), [7]).await;
    check(index, compare(Ne, "created_by_project_id", t("project-1")), [2, 4]).await;
    check(index, not(compare(Eq, "created_by_project_id", t("project-1"))), [2, 4]).await;
    check(index, compare(Eq, "created_by_project_id", t("project__")), []).await;
    check(index, compare(Eq, "created_by_project_id", t("%")), []).await;
    check(index, compare(Like, "created_by_project_id", t("project__")), [1, 2, 3, 4, 7]).await;
    for value in ["basic", ""] {
        let filter = compare(Eq, "created_by_user_id", t(value));
        assert!(!matching(index, "generic", filter).await.contains(&6));
    }
    let error = index
        .list_resources(&query("server", compare(Lt, "created_by_project_id", t("x"))))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "Invalid value: `x' for field `created_by_project_id'");
}

/// NOT of what is unknown is unknown, at any depth.
pub async fn filters_keep_unknown_unknown(index: &dyn Indexer) {
    populate(index).await;
    for name in ["name", "user_id"] {
        let value = if name == "name" { "web-1" } else { "Bob" };
        let (hit, rest) = if name == "name" { (1, [2, 3, 4]) } else { (2, [1, 3, 4]) };
        check(index, not(compare(Eq, name, t(value))), rest).await;
        check(index, not(compare(Ne, name, t(value))), [hit]).await;
        check(index, not(not(compare(Eq, name, t(value)))), [hit]).await;
        check(index, not(compare(Eq, name, FilterValue::Null)), [1, 2, 3, 4]).await;
        check(index, not(among(name, [t(value)])), rest).await;
        check(index, among(name, [t(value), FilterValue::Null]), [hit]).await;
        check(index, not(among(name, [t(value), FilterValue::Null])), []).await;
        check(index, compare(Lt, name, FilterValue::Null), []).await;
        check(index, not(compare(Lt, name, FilterValue::Null)), []).await;
        check(index, not(compare(Like, name, t("%"))), []).await;
    }
    check(index, not(compare(Lt, "cpus", n(2.0))), [2, 3]).await;
    check(index, not(compare(Ge, "cpus", n(2.0))), [1, 4]).await;
    check(index, not(compare(Eq, "public", FilterValue::Bool(true))), [2, 4]).await;
    check(index, not(compare(Le, "ended_at", n(1010.0))), [2]).await;
    check(index, not(compare(Eq, "creator", t("alice:project-1"))), [2, 4]).await;
}

/// And, or, not over different kinds of attributes; empty ones hold for all or none.
pub async fn filters_combine(index: &dyn Indexer) {
    populate(index).await;
    let public = || compare(Eq, "public", FilterValue::Bool(true));
    let alice = || compare(Eq, "user_id", t("alice"));
    let large = || compare(Gt, "cpus", n(2.0));
    check(index, Filter::And(vec![public(), large()]), [3]).await;
    check(index, Filter::Or(vec![alice(), large()]), [1, 2, 3]).await;
    check(index, not(Filter::And(vec![alice(), large()])), [1, 2, 4]).await;
    check(index, not(Filter::Or(vec![alice(), large()])), [4]).await;
    check(index, Filter::And(vec![not(large()), Filter::Or(vec![alice(), not(public())])]), [1, 4]).await;
    check(index, Filter::And(vec![]), [1, 2, 3, 4, 5]).await;
    check(index, Filter::Or(vec![]), []).await;
    check(index, not(Filter::All), []).await;
    check(index, among("name", []), []).await;
    check(index, not(among("name", [])), [1, 2, 3, 4, 5]).await;
    let many = (0..1500).map(|value| compare(Eq, "cpus", n(f64::from(value)))).collect();
    check(index, Filter::Or(many), [1, 3]).await;
    let mut deep = alice();
    for _ in 0..200 {
        deep = not(Filter::And(vec![not(deep)]));
    }
    check(index, deep, [1, 3]).await;
}

/// Unknown attributes and values without meaning are told by name.
pub async fn filters_refuse_what_has_no_meaning(index: &dyn Indexer) {
    populate(index).await;
    for (filter, expected) in [
        (compare(Eq, "colour", t("x")), "Resource type server has no colour attribute"),
        (
            compare(Eq, "revision_end", FilterValue::Null),
            "Resource type server has no revision_end attribute",
        ),
        (compare(Eq, "cpus", t("abc")), "Invalid value: `abc' for field `cpus'"),
        (among("cpus", [t("1"), t("it's")]), "Invalid value: `['1', \"it's\"]' for field `cpus'"),
        (
            compare(Gt, "started_at", t("yesterday-ish")),
            "Invalid value: `yesterday-ish' for field `started_at'",
        ),
        (compare(Eq, "id", t("nope")), "Invalid value: `nope' for field `id'"),
        (compare(Eq, "image-id", FilterValue::Integer(3)), "Invalid value: `3' for field `image-id'"),
        (compare(Eq, "public", t("maybe")), "Invalid value: `maybe' for field `public'"),
        (compare(Lt, "lifespan", t("long")), "Invalid value: `long' for field `lifespan'"),
        (compare(Like, "cpus", t("1%")), "Invalid value: `1%' for field `cpus'"),
        (compare(Like, "name", t("a\\")), "Invalid value: `a\\' for field `name'"),
    ] {
        let error = index.list_resources(&query("server", filter)).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let filter = compare(Eq, "name", t("web-1"));
    let error = index.list_resources(&query("generic", filter)).await.unwrap_err();
    let attribute = "name".to_owned();
    assert_eq!(error, IndexError::NoSuchAttribute { resource_type: "generic".to_owned(), attribute });
    let error = index.list_resources(&query("none", Filter::All)).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResourceType("none".to_owned()));
}

/// `%` is any text, `_` any character, `\` takes their meaning away; case matters.
pub async fn patterns_are_case_sensitive(index: &dyn Indexer) {
    populate(index).await;
    check(index, compare(Like, "name", t("web%")), [1]).await;
    check(index, compare(Like, "name", t("%b__")), [1, 2]).await;
    check(index, compare(Like, "name", t("%\\_%")), [2]).await;
    check(index, compare(Like, "name", t("%\\%")), [3]).await;
    check(index, compare(Like, "name", t("_t_")), [4]).await;
    check(index, compare(Like, "name", t("ÉTÉ")), []).await;
    check(index, not(compare(Like, "name", t("%e%"))), [3, 4]).await;
    check(index, compare(Like, "user_id", t("B%")), [2]).await;
    check(index, compare(Like, "user_id", t("b%")), []).await;
}
