//! What of a sample an attribute is.

use std::borrow::Cow;

use serde_json::Value;

use crate::path::Path;

/// Where an attribute's value comes from.
#[derive(Debug)]
pub(super) struct AttributeSource {
    path: Path,
}

impl AttributeSource {
    /// Reads the definition of attribute `name`.
    pub(super) fn parse(name: &str, given: &Value) -> Result<Self, String> {
        let text = given.as_str().ok_or_else(|| format!("{name}: {given} is no path"))?;
        let path = Path::compile(text).map_err(|error| format!("{name}: {text} is no path: {error}"))?;
        Ok(Self { path })
    }

    /// Whether it looks at a sample's metadata only.
    pub(super) fn reads_metadata_alone(&self) -> bool {
        self.path.stays_below("resource_metadata")
    }

    /// The value in a sample; nothing where it has none, or null, or its path cannot be followed there.
    pub(super) fn value(&self, sample: &Value) -> Option<Value> {
        match self.path.first(sample) {
            Ok(found) => found.map(Cow::into_owned),
            Err(error) => {
                tracing::debug!(path = self.path.text(), "an attribute has no value: {error}");
                None
            }
        }
    }
}
