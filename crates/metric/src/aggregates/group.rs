//! Groups of resources that share the values of some attributes.

use std::collections::HashMap;

use nephometer_model::{AttributeValue, Resource, Revision};

/// Attributes by name, sorted, each once, with the value that all resources of a group share.
pub type GroupKey = Vec<(String, Option<AttributeValue>)>;

/// The names to group by: sorted, each once.
pub(super) fn group_names(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

/// A resource's value of a common attribute or of one of its type.
fn value(resource: &Resource, name: &str) -> Option<AttributeValue> {
    let text = |text: &str| Some(AttributeValue::String(text.to_owned()));
    let time = |time| Some(AttributeValue::Datetime(time));
    match name {
        "id" => Some(AttributeValue::Uuid(resource.id.0)),
        "original_resource_id" => text(&resource.original_resource_id),
        "type" => text(&resource.type_name),
        "creator" => resource.creator.as_deref().and_then(text),
        "user_id" => resource.user_id.as_deref().and_then(text),
        "project_id" => resource.project_id.as_deref().and_then(text),
        "started_at" => time(resource.started_at),
        "ended_at" => resource.ended_at.and_then(time),
        "revision_start" => time(resource.revision_start),
        "revision_end" => resource.revision_end.and_then(time),
        "revision" => {
            let Revision(number) = resource.revision;
            Some(AttributeValue::Number(number.into()))
        }
        name => resource.attributes.get(name).cloned(),
    }
}

/// `resources` by the values of the attributes `names`, groups and members in the order in which they come.
pub(super) fn grouped<'a>(resources: &'a [Resource], names: &[String]) -> Vec<(GroupKey, Vec<&'a Resource>)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<(GroupKey, Vec<&Resource>)> = Vec::new();
    for resource in resources {
        let key: GroupKey = names.iter().map(|name| (name.clone(), value(resource, name))).collect();
        let place = *places.entry(format!("{key:?}")).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, members)) => members.push(resource),
            None => groups.push((key, vec![resource])),
        }
    }
    groups
}
