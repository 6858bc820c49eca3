//! Maps whose entries expressions reach as attributes.

use nephometer_model::Metadata;
use serde_json::{Map, Value};

/// Where attributes are.
#[derive(Debug, Clone, Copy)]
pub enum Attributes<'a> {
    /// In a map of JSON.
    Map(&'a Map<String, Value>),
    /// In what is known of a sample's resource.
    Metadata(&'a Metadata),
}

impl<'a> Attributes<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        match self {
            Self::Map(map) => map.get(name),
            Self::Metadata(metadata) => metadata.get(name),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        match self {
            Self::Map(map) => map.is_empty(),
            Self::Metadata(metadata) => metadata.is_empty(),
        }
    }

    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Map(map) => Value::Object(map.clone()),
            Self::Metadata(metadata) => metadata.to_json(),
        }
    }
}

impl PartialEq for Attributes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}
