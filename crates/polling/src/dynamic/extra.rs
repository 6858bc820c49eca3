//! Extra metadata: what further questions about each sample are answered with.

use std::sync::LazyLock;
use std::time::Duration;

use nephometer_pipeline::expr::Expression;
use serde_json::{Map, Value as Json};

use super::definition::Definition;
use super::error::DefinitionError;
use super::options::{self, Options};
use super::yaml::Yaml;

/// One of a definition's `extra_metadata_fields`.
#[derive(Debug, Clone)]
pub(super) struct Extra {
    pub(super) definition: Definition,
    /// Entries that have one of these parts are not asked about.
    skip: Vec<Json>,
    /// Whether its resources are discovered, as other pollsters' are.
    pub(super) is_discovered: bool,
}

impl Extra {
    /// Those of the definition `parent`: a list, or a single one. What they do not say of themselves is as the parent has
    /// it; answers are kept for `cache_for` unless they say otherwise.
    pub(super) fn read_all(parent: &Yaml, cache_for: Duration) -> Result<Vec<Self>, DefinitionError> {
        match parent.get("extra_metadata_fields") {
            Some(Yaml::List(fields)) => {
                fields.iter().map(|field| Self::read(field, parent, cache_for)).collect()
            }
            Some(field) if field.is_true() => Ok(vec![Self::read(field, parent, cache_for)?]),
            _ => Ok(Vec::new()),
        }
    }

    fn read(field: &Yaml, parent: &Yaml, cache_for: Duration) -> Result<Self, DefinitionError> {
        let Yaml::Map(_) = field else {
            return Err(DefinitionError::Form {
                field: "extra_metadata_fields",
                wanted: "a map, or a list of maps",
                value: field.to_string(),
            });
        };
        let mut map = field.clone();
        for inherited in ["extra_metadata_fields_skip", "sample_type", "unit"] {
            map.set_default(inherited, parent.get(inherited));
        }
        let value = field.get("value").or_else(|| parent.get("value_attribute"));
        map.set_default("value_attribute", value);
        let wrong = |error| DefinitionError::Extra {
            name: options::shown(field.get("name")),
            error: Box::new(error),
        };
        let definition = Definition::read_with(&map, cache_for).map_err(wrong)?;
        let skip = Options(&map).extra_skip().map_err(wrong)?;
        let is_discovered = map.get("endpoint_type").is_some_and(Yaml::is_true);
        Ok(Self { definition, skip, is_discovered })
    }

    /// Whether nothing is asked about `entry`.
    pub(super) fn is_skipped(&self, entry: &Json) -> bool {
        self.skip.iter().any(|part| is_part(part, entry))
    }
}

/// Whether `whole` is equal to `part`, or has all that is in it.
fn is_part(part: &Json, whole: &Json) -> bool {
    match (part, whole) {
        (Json::Object(part), Json::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| is_part(value, found)))
        }
        _ => equal(part, whole),
    }
}

/// Whether Python takes two values for equal.
pub(super) fn equal(a: &Json, b: &Json) -> bool {
    static EQUAL: LazyLock<Expression> =
        LazyLock::new(|| Expression::compile("a == b").expect("it is an expression"));
    match (a, b) {
        (Json::String(a), Json::String(b)) => a == b,
        (Json::Null, Json::Null) => true,
        _ => EQUAL.evaluate_json(&[("a", a), ("b", b)]) == Ok(Json::Bool(true)),
    }
}

/// What has been captured for one sample so far.
pub(super) struct Captured {
    /// By names of pollsters and keys of their metadata.
    pub(super) fields: Json,
    /// By names of pollsters: value and metadata.
    pub(super) by_name: Json,
}

impl Captured {
    pub(super) fn new() -> Self {
        Self { fields: Json::Object(Map::new()), by_name: Json::Object(Map::new()) }
    }

    /// Adds what a pollster has read. What it does not know takes nothing away.
    pub(super) fn add(&mut self, name: &str, value: Json, metadata: Map<String, Json>) {
        let (Json::Object(fields), Json::Object(by_name)) = (&mut self.fields, &mut self.by_name) else {
            return;
        };
        fields.insert(name.to_owned(), value.clone());
        for (key, field) in &metadata {
            if !(field.is_null() && fields.contains_key(key)) {
                fields.insert(key.clone(), field.clone());
            }
        }
        let read = [("value".to_owned(), value), ("metadata".to_owned(), Json::Object(metadata))];
        by_name.insert(name.to_owned(), Json::Object(Map::from_iter(read)));
    }

    /// The fields.
    pub(super) fn into_fields(self) -> Map<String, Json> {
        match self.fields {
            Json::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_found_as_upstream_finds_them() {
        let entry = json!({"status": "SHELVED", "n": 1, "flavor": {"id": "m1", "extra": {"a": [1, 2]}}});
        for (part, is_in) in [
            (json!({"status": "SHELVED"}), true),
            (json!({"n": 1.0, "flavor": {"id": "m1"}}), true),
            (json!({"n": true}), true),
            (json!({"flavor": {"extra": {"a": [1, 2]}}}), true),
            (json!({"flavor": {"extra": {"a": [1]}}}), false),
            (json!({"status": "ACTIVE"}), false),
            (json!({"nothing": null}), false),
        ] {
            assert_eq!(is_part(&part, &entry), is_in, "{part}");
        }
    }

    #[test]
    fn what_is_not_known_takes_nothing_away() {
        let mut captured = Captured::new();
        let map = |value: Json| value.as_object().unwrap().clone();
        captured.add("flavor", json!(1), map(json!({"vcpus": 2, "disk": null})));
        captured.add("flavor2", json!(3), map(json!({"vcpus": null, "ram": 4})));
        assert_eq!(captured.by_name["flavor"]["metadata"]["vcpus"], json!(2));
        let fields = json!({"flavor": 1, "vcpus": 2, "disk": null, "flavor2": 3, "ram": 4});
        assert_eq!(Json::Object(captured.into_fields()), fields);
    }
}
