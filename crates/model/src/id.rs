//! Identities of metrics, resources and stored series.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Namespace under which ids that are no UUIDs become UUIDs (upstream's constant, clients rely on it).
const RESOURCE_NAMESPACE: Uuid = Uuid::from_u128(0x0a7a15ff_aa13_4ac2_897c_9bdf30ce175b);

/// The longest external resource id that can be transformed, in characters.
pub const MAX_ORIGINAL_RESOURCE_ID_CHARS: usize = 289;

/// Public identity of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricId(pub Uuid);

/// Public identity of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(pub Uuid);

impl std::fmt::Display for MetricId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Storage identity of a metric's series: small, dense, allotted by the index in order of creation and never used
/// again. Parts are sorted by it, so metrics that were created together lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesKey(pub u64);

/// Storage identity of an archive policy, allotted by the index and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyKey(pub u32);

/// Why a text cannot name a resource. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceIdError {
    /// The id contains a slash and could not be addressed.
    #[error("'/' is not supported in resource id")]
    Slash,
    /// The id is no UUID and too long to be transformed.
    #[error("transformable resource id >{MAX_ORIGINAL_RESOURCE_ID_CHARS} max allowed characters")]
    TooLong,
}

/// The resource id that `value` names for `creator`: itself where it is a UUID in any form that Python's parser
/// takes (case, dashes, braces and `urn:uuid:` do not matter), else a version-5 UUID of value and creator.
pub fn resource_id_from(value: &str, creator: Option<&str>) -> Result<ResourceId, ResourceIdError> {
    if value.contains('/') {
        return Err(ResourceIdError::Slash);
    }
    if let Some(uuid) = parse_python_uuid(value) {
        return Ok(ResourceId(uuid));
    }
    if value.chars().count() > MAX_ORIGINAL_RESOURCE_ID_CHARS {
        return Err(ResourceIdError::TooLong);
    }
    let name = format!("{value}\0{}", creator.unwrap_or("\0"));
    Ok(ResourceId(Uuid::new_v5(&RESOURCE_NAMESPACE, name.as_bytes())))
}

/// Parses what Python's `uuid.UUID(text)` parses: `urn:` and `uuid:` removed, braces stripped, dashes dropped
/// wherever they stand, then exactly 32 hexadecimal digits.
pub fn parse_python_uuid(text: &str) -> Option<Uuid> {
    let stripped = text.replace("urn:", "").replace("uuid:", "");
    let mut digits = [0_u8; 32];
    let mut len = 0;
    for byte in stripped.trim_matches(['{', '}']).bytes() {
        if byte == b'-' {
            continue;
        }
        if len == 32 || !byte.is_ascii_hexdigit() {
            return None;
        }
        digits[len] = byte;
        len += 1;
    }
    if len != 32 {
        return None;
    }
    let value = u128::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
    Some(Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_upstreams_ids() {
        for (value, creator, expected) in [
            ("foobar", "foobar", "2fbfbb20-8d56-5e1e-afb9-b3007da11fdf"),
            ("1.2.3.4", "foobar", "a9c729cc-d1b0-5e6b-b5ba-8b5a7f45f1fc"),
            ("foobar", "admin", "b4d568e4-7af1-5aec-ac3f-9c09fa3685a9"),
            ("conflict", "admin", "da19a545-af76-5081-9a88-f370baab66c6"),
            ("myvalue", "admin", "6b9e2039-98d0-5d8d-9153-2d7491cf13e5"),
        ] {
            assert_eq!(resource_id_from(value, Some(creator)).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn takes_uuids_as_python_does() {
        let id = "75c44741-cc60-4033-804e-2d3098c7d2e9";
        for form in [
            "75C44741-CC60-4033-804E-2D3098C7D2E9",
            "75c44741cc604033804e2d3098c7d2e9",
            "{75c44741-cc60-4033-804e-2d3098c7d2e9}",
            "urn:uuid:75c44741-cc60-4033-804e-2d3098c7d2e9",
        ] {
            assert_eq!(resource_id_from(form, None).unwrap().to_string(), id);
        }
    }

    #[test]
    fn refuses_slashes_and_long_ids() {
        assert_eq!(resource_id_from("a/b", None), Err(ResourceIdError::Slash));
        assert!(resource_id_from(&"é".repeat(289), None).is_ok());
        assert_eq!(resource_id_from(&"é".repeat(290), None), Err(ResourceIdError::TooLong));
    }
}
