//! Resources of long lists, written without a tree in between: the same text as their bodies have.

use nephometer_metric::split_creator;
use nephometer_model::{AttributeValue, Resource, ResourceType, Timestamp};
use uuid::Uuid;

use crate::json::{write_f64, write_str};

/// What a key stands for.
#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    CreatedByProject,
    CreatedByUser,
    Creator,
    EndedAt,
    Id,
    Metrics,
    OriginalResourceId,
    ProjectId,
    RevisionEnd,
    RevisionStart,
    StartedAt,
    Type,
    UserId,
    Attribute(&'a str),
}

/// The keys of all resources of a type, in the order of a body.
pub(super) struct RowForm<'a>(Vec<(&'a str, Field<'a>)>);

impl<'a> RowForm<'a> {
    /// With the attributes of `resource_type` where they are to be shown; where `attrs` names keys only with these.
    pub(super) fn of(resource_type: Option<&'a ResourceType>, attrs: &[&str]) -> Self {
        let mut fields = vec![
            ("id", Field::Id),
            ("creator", Field::Creator),
            ("started_at", Field::StartedAt),
            ("revision_start", Field::RevisionStart),
            ("ended_at", Field::EndedAt),
            ("user_id", Field::UserId),
            ("project_id", Field::ProjectId),
            ("original_resource_id", Field::OriginalResourceId),
            ("type", Field::Type),
            ("revision_end", Field::RevisionEnd),
            ("created_by_user_id", Field::CreatedByUser),
            ("created_by_project_id", Field::CreatedByProject),
            ("metrics", Field::Metrics),
        ];
        let names = resource_type.into_iter().flat_map(|resource_type| resource_type.attributes.keys());
        fields.extend(names.map(|name| (name.as_str(), Field::Attribute(name))));
        fields.retain(|(key, _)| attrs.is_empty() || attrs.contains(key));
        Self(fields)
    }

    /// Writes one resource.
    pub(super) fn write(&self, out: &mut Vec<u8>, resource: &Resource) {
        let creator = split_creator(resource.creator.as_deref());
        out.push(b'{');
        for (position, (key, field)) in self.0.iter().enumerate() {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            write_str(out, key);
            out.extend_from_slice(b": ");
            match field {
                Field::CreatedByProject => write_text(out, creator.map(|(_, project)| project)),
                Field::CreatedByUser => write_text(out, creator.map(|(user, _)| user)),
                Field::Creator => write_text(out, resource.creator.as_deref()),
                Field::EndedAt => write_time(out, resource.ended_at),
                Field::Id => write_uuid(out, resource.id.0),
                Field::Metrics => write_metrics(out, resource),
                Field::OriginalResourceId => write_str(out, &resource.original_resource_id),
                Field::ProjectId => write_text(out, resource.project_id.as_deref()),
                Field::RevisionEnd => write_time(out, resource.revision_end),
                Field::RevisionStart => write_time(out, Some(resource.revision_start)),
                Field::StartedAt => write_time(out, Some(resource.started_at)),
                Field::Type => write_str(out, &resource.type_name),
                Field::UserId => write_text(out, resource.user_id.as_deref()),
                Field::Attribute(name) => write_attribute(out, resource.attributes.get(*name)),
            }
        }
        out.push(b'}');
    }
}

fn write_text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write_str(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    write_text(out, time.map(Timestamp::isoformat).as_deref());
}

fn write_uuid(out: &mut Vec<u8>, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    write_str(out, id.hyphenated().encode_lower(&mut text));
}

fn write_metrics(out: &mut Vec<u8>, resource: &Resource) {
    out.push(b'{');
    for (position, (name, id)) in resource.metrics.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write_str(out, name);
        out.extend_from_slice(b": ");
        write_uuid(out, id.0);
    }
    out.push(b'}');
}

fn write_attribute(out: &mut Vec<u8>, value: Option<&AttributeValue>) {
    match value {
        None => out.extend_from_slice(b"null"),
        Some(AttributeValue::String(text)) => write_str(out, text),
        Some(AttributeValue::Number(number)) => match number.as_f64() {
            Some(number) => write_f64(out, number),
            None => out.extend_from_slice(b"null"),
        },
        Some(AttributeValue::Uuid(id)) => write_uuid(out, *id),
        Some(AttributeValue::Bool(flag)) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Some(AttributeValue::Datetime(time)) => write_time(out, Some(*time)),
    }
}

#[cfg(test)]
mod tests {
    use nephometer_model::{
        Attribute, AttributeKind, MetricId, ResourceId, ResourceTypeState, Revision, Timestamp,
    };
    use serde_json::Value;

    use super::super::resource_form::body;
    use super::*;
    use crate::json::to_vec;

    fn resource(creator: Option<&str>) -> Resource {
        let number = |text: &str| AttributeValue::Number(serde_json::from_str(text).unwrap());
        Resource {
            id: ResourceId(Uuid::from_u128(0xabc << 64)),
            original_resource_id: "é \"x\"\n".to_owned(),
            type_name: "vm".to_owned(),
            creator: creator.map(str::to_owned),
            user_id: None,
            project_id: Some("p".to_owned()),
            started_at: Timestamp::from_micros(1_500_000),
            ended_at: Some(Timestamp::from_micros(-1)),
            revision_start: Timestamp::from_micros(2_000_000),
            revision_end: None,
            revision: Revision::CURRENT,
            attributes: [
                ("flavor", AttributeValue::String("m1".to_owned())),
                ("image", AttributeValue::Uuid(Uuid::from_u128(7))),
                ("number", number("4")),
                ("small", number("1e-7")),
                ("up", AttributeValue::Bool(true)),
                ("when", AttributeValue::Datetime(Timestamp::from_micros(5))),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            metrics: ["a", "b\\"].map(|name| (name.to_owned(), MetricId(Uuid::from_u128(3)))).into(),
        }
    }

    #[test]
    fn rows_are_what_bodies_are() {
        let attribute = Attribute { kind: AttributeKind::Bool, required: false };
        let names = ["flavor", "image", "number", "small", "up", "when", "zone", "absent"];
        let vm = ResourceType {
            name: "vm".to_owned(),
            attributes: names.map(|name| (name.to_owned(), attribute)).into(),
            state: ResourceTypeState::Active,
        };
        for creator in [None, Some("a"), Some("a:b"), Some("a:b:c")] {
            let resource = resource(creator);
            for resource_type in [None, Some(&vm)] {
                for attrs in [&[][..], &["id", "flavor", "nothing"]] {
                    let mut expected = body(&resource, resource_type);
                    expected.retain(|key, _| attrs.is_empty() || attrs.contains(&key.as_str()));
                    let mut out = Vec::new();
                    RowForm::of(resource_type, attrs).write(&mut out, &resource);
                    let expected = to_vec(&Value::Object(expected));
                    assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
                }
            }
        }
    }
}
