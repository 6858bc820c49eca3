//! Resource types.

use std::collections::BTreeMap;

use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, Comparison, Filter, FilterValue, ResourceType,
};

use super::fixtures::{
    attribute, attributes, change_project, compare, matching, number, prepare, query, resource, rid,
    server_type, string_attribute, text,
};
use crate::{IndexError, Indexer, ResourceTypeChange};

fn named(name: &str) -> ResourceType {
    ResourceType { name: name.to_owned(), ..server_type() }
}

/// Attributes keep kind, limits and whether they are required; `generic` is always there.
pub async fn types_are_kept_as_given(index: &dyn Indexer) {
    let generic = index.resource_type("generic").await.unwrap();
    assert!(generic.attributes.is_empty());
    let mut made = named("Zone");
    made.attributes.insert(
        "flavor".to_owned(),
        Attribute { kind: AttributeKind::String { min_length: 2, max_length: 7 }, required: true },
    );
    assert_eq!(index.create_resource_type(made.clone()).await.unwrap(), made);
    assert_eq!(index.resource_type("Zone").await.unwrap(), made);
    let other = index.create_resource_type(named("a type")).await.unwrap();
    assert_eq!(index.resource_types().await.unwrap(), [made, other, generic]);
    let error = index.create_resource_type(named("Zone")).await.unwrap_err();
    assert_eq!(error, IndexError::ResourceTypeAlreadyExists("Zone".to_owned()));
    let error = index.create_resource_type(named("generic")).await.unwrap_err();
    assert_eq!(error, IndexError::ResourceTypeAlreadyExists("generic".to_owned()));
    assert_eq!(
        index.resource_type("zone").await.unwrap_err().to_string(),
        "Resource type zone does not exist"
    );
}

/// Resources keep their type; a type can be made again.
pub async fn types_in_use_stay(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "server")).await.unwrap();
    for name in ["server", "generic"] {
        let error = index.delete_resource_type(name).await.unwrap_err();
        assert_eq!(error, IndexError::ResourceTypeInUse(name.to_owned()));
    }
    index.delete_resource("server", rid(1)).await.unwrap();
    index.delete_resource_type("server").await.unwrap();
    let missing = IndexError::NoSuchResourceType("server".to_owned());
    assert_eq!(index.delete_resource_type("server").await.unwrap_err(), missing);
    assert_eq!(index.create_resource(resource(1, "server")).await.unwrap_err(), missing);
    index.create_resource_type(server_type()).await.unwrap();
    index.create_resource(resource(1, "server")).await.unwrap();
}

fn set(name: &str, attribute: Attribute, fill: Option<AttributeValue>) -> ResourceTypeChange {
    let set = BTreeMap::from([(name.to_owned(), (attribute, fill))]);
    ResourceTypeChange { remove: Vec::new(), set }
}

/// Values of `name` in the present and in the history of all servers.
async fn values(index: &dyn Indexer, name: &str) -> Vec<Option<AttributeValue>> {
    let mut query = query("server", Filter::All);
    query.history = true;
    query.page.sorts = vec![super::paging::sort("id"), super::paging::sort("revision_start")];
    let resources = index.list_resources(&query).await.unwrap();
    resources.iter().map(|resource| resource.attributes.get(name).cloned()).collect()
}

/// New attributes fill what is there, in the history too, and are searched; without a fill they are empty.
pub async fn types_gain_attributes(index: &dyn Indexer) {
    prepare(index).await;
    index.create_resource(resource(1, "server")).await.unwrap();
    index.update_resource("server", rid(1), change_project(1, "p")).await.unwrap();
    index.create_resource(resource(2, "server")).await.unwrap();
    let strange = "a \"quoted\" $.name'";
    let changed = index
        .update_resource_type("server", set(strange, string_attribute(), Some(text("filled \"so\""))))
        .await
        .unwrap();
    assert_eq!(changed, index.resource_type("server").await.unwrap());
    assert_eq!(changed.attributes.len(), 6);
    assert_eq!(values(index, strange).await, vec![Some(text("filled \"so\"")); 3]);
    let filled = compare(Comparison::Eq, strange, FilterValue::Text("filled \"so\"".to_owned()));
    assert_eq!(matching(index, "server", filled).await, [1, 2]);
    index.update_resource_type("server", set("spare", string_attribute(), None)).await.unwrap();
    assert_eq!(values(index, "spare").await, vec![None; 3]);
    let change = set("x", string_attribute(), Some(number("1")));
    assert!(matches!(
        index.update_resource_type("server", change).await,
        Err(IndexError::AttributeValueInvalid { .. })
    ));
    assert!(!index.resource_type("server").await.unwrap().attributes.contains_key("x"));
    let error = index.update_resource_type("serve", ResourceTypeChange::default()).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchResourceType("serve".to_owned()));
}

/// Removed attributes are gone everywhere; one of the same name may be of another kind.
pub async fn types_lose_attributes(index: &dyn Indexer) {
    prepare(index).await;
    let mut new = resource(1, "server");
    new.attributes = attributes([("name", text("a")), ("cpus", number("2"))]);
    index.create_resource(new).await.unwrap();
    index.update_resource("server", rid(1), change_project(1, "p")).await.unwrap();
    let mut change = set("name", attribute(AttributeKind::Number { min: None, max: None }), None);
    change.remove = vec!["name".to_owned(), "booted".to_owned()];
    let changed = index.update_resource_type("server", change).await.unwrap();
    assert_eq!(changed.attributes.keys().collect::<Vec<_>>(), ["cpus", "image-id", "name", "public"]);
    assert_eq!(values(index, "name").await, vec![None; 2]);
    assert_eq!(values(index, "cpus").await, vec![Some(number("2")); 2]);
    let absent = compare(Comparison::Eq, "name", FilterValue::Null);
    assert_eq!(matching(index, "server", absent).await, [1]);
    let change = ResourceTypeChange { remove: vec!["booted".to_owned()], set: BTreeMap::new() };
    let error = index.update_resource_type("server", change).await.unwrap_err();
    assert_eq!(error.to_string(), "Resource type server has no booted attribute");
}

/// Changing a known attribute fills only rows without a value, and numbers keep their spelling.
pub async fn types_fill_only_what_is_empty(index: &dyn Indexer) {
    prepare(index).await;
    let spellings = ["7", "7.0", "1e300", "-0.0"];
    for (id, literal) in (1..).zip(spellings) {
        let mut new = resource(id, "server");
        new.attributes = attributes([("cpus", number(literal))]);
        index.create_resource(new).await.unwrap();
    }
    index.create_resource(resource(5, "server")).await.unwrap();
    let kind = AttributeKind::Number { min: None, max: Some(1e308) };
    let changed =
        index.update_resource_type("server", set("cpus", attribute(kind), Some(number("3")))).await.unwrap();
    assert_eq!(changed.attributes["cpus"].kind, kind);
    index.update_resource_type("server", set("name", string_attribute(), Some(text("n")))).await.unwrap();
    let expected: Vec<_> = spellings.iter().chain(&["3"]).map(|literal| Some(number(literal))).collect();
    assert_eq!(values(index, "cpus").await, expected);
    assert_eq!(values(index, "name").await, vec![Some(text("n")); 5]);
}
