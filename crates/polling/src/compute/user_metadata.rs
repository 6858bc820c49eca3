//! What owners may write into samples: their server's metadata under reserved names (spec ceilometer 1.3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which of a server's metadata go into samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserMetadataRules {
    /// Names that begin so go in, without it.
    pub reserved_metadata_namespace: Vec<String>,
    /// These names go in as they are.
    pub reserved_metadata_keys: Vec<String>,
    /// Texts are cut to so many characters.
    pub reserved_metadata_length: usize,
}

impl Default for UserMetadataRules {
    fn default() -> Self {
        Self {
            reserved_metadata_namespace: vec!["metering.".to_owned()],
            reserved_metadata_keys: Vec::new(),
            reserved_metadata_length: 256,
        }
    }
}

impl UserMetadataRules {
    /// Adds `user_metadata` to a sample's metadata, where there is any. Names that it has already are left out, as upstream
    /// leaves them out.
    pub fn add(&self, server: &Map<String, Value>, metadata: &mut Map<String, Value>) {
        let prefixed = self.reserved_metadata_namespace.iter().flat_map(|prefix| {
            server.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix.as_str())?, value)))
        });
        let named = self.reserved_metadata_keys.iter().filter_map(|key| server.get_key_value(key));
        let named = named.map(|(name, value)| (name.as_str(), value));
        let mut chosen = Map::new();
        for (name, value) in prefixed.chain(named) {
            let name = name.replace('.', "_");
            if !metadata.contains_key(&name) {
                chosen.insert(name, self.cut(value));
            }
        }
        if !chosen.is_empty() {
            metadata.insert("user_metadata".to_owned(), Value::Object(chosen));
        }
    }

    fn cut(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                text.chars().take(self.reserved_metadata_length).collect::<String>().into()
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reserved_names_go_in_unless_they_are_taken() {
        let rules = UserMetadataRules {
            reserved_metadata_keys: vec!["role.of".to_owned(), "absent".to_owned()],
            reserved_metadata_length: 3,
            ..UserMetadataRules::default()
        };
        let server =
            json!({"metering.server.group": "äöüß", "metering.host": "x", "role.of": 5, "other": "y"});
        let mut metadata = json!({"host": "h"}).as_object().cloned().unwrap();
        rules.add(server.as_object().unwrap(), &mut metadata);
        assert_eq!(
            Value::from(metadata),
            json!({"host": "h", "user_metadata": {"server_group": "äöü", "role_of": 5}})
        );
        let mut none = Map::new();
        rules.add(&Map::new(), &mut none);
        assert!(none.is_empty());
    }
}
