//! What is known of a resource, as its samples share it: a map in the order of its source, perhaps over another one.

use std::fmt;
use std::ops::Index;
use std::sync::{Arc, Weak};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A map of JSON that is made once and shared then. Parts of a resource say little more than the resource: theirs may
/// stand on its metadata, of which they take no copy.
#[derive(Clone, Default)]
pub struct Metadata(Arc<Layer>);

/// Knows metadata again without keeping it.
#[derive(Clone, Debug, Default)]
pub struct WeakMetadata(Weak<Layer>);

/// A field whose name and value are others' as well.
pub type SharedField = (Arc<str>, Arc<Value>);

#[derive(Default)]
struct Layer {
    /// What counts where this layer says nothing.
    below: Option<Metadata>,
    fields: Fields,
}

enum Fields {
    /// As a source gave them.
    Own(Map<String, Value>),
    /// A tenth of the memory, where many resources have the same names and values.
    Shared(Box<[SharedField]>),
}

impl Default for Fields {
    fn default() -> Self {
        Self::Own(Map::new())
    }
}

impl Fields {
    fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Own(map) => map.get(name),
            Self::Shared(fields) => fields.iter().find(|(of, _)| **of == *name).map(|(_, value)| &**value),
        }
    }

    fn each<'a>(&'a self, mut take: impl FnMut(&'a str, &'a Value)) {
        match self {
            Self::Own(map) => map.iter().for_each(|(name, value)| take(name, value)),
            Self::Shared(fields) => fields.iter().for_each(|(name, value)| take(name, value)),
        }
    }
}

impl Metadata {
    /// `fields` over what `below` says, if there is that.
    pub fn of_shared(below: Option<&Self>, fields: impl IntoIterator<Item = SharedField>) -> Self {
        let fields = Fields::Shared(fields.into_iter().collect());
        Self(Arc::new(Layer { below: below.cloned(), fields }))
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let own = self.0.fields.get(name);
        own.or_else(|| self.0.below.as_ref()?.get(name))
    }

    /// All fields. What is replaced stays in its place.
    pub fn fields(&self) -> Vec<(&str, &Value)> {
        let mut all = self.0.below.as_ref().map(Self::fields).unwrap_or_default();
        let below = all.len();
        self.0.fields.each(|name, value| match all[..below].iter_mut().find(|(known, _)| *known == name) {
            Some(replaced) => replaced.1 = value,
            None => all.push((name, value)),
        });
        all
    }

    /// Names of all fields.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields().into_iter().map(|(name, _)| name)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        let own = match &self.0.fields {
            Fields::Own(map) => map.is_empty(),
            Fields::Shared(fields) => fields.is_empty(),
        };
        own && self.0.below.as_ref().is_none_or(Self::is_empty)
    }

    /// A copy as a map of JSON.
    pub fn to_map(&self) -> Map<String, Value> {
        self.fields().into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        Value::Object(self.to_map())
    }

    /// Whether both are the same piece of memory, so that what was found in one is in the other.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where it is in memory: different as long as both are there.
    pub fn place(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// To know it again by.
    pub fn downgrade(&self) -> WeakMetadata {
        WeakMetadata(Arc::downgrade(&self.0))
    }
}

impl WeakMetadata {
    /// Whether it was made of `metadata`.
    pub fn is(&self, metadata: &Metadata) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&metadata.0))
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(map: Map<String, Value>) -> Self {
        Self(Arc::new(Layer { below: None, fields: Fields::Own(map) }))
    }
}

/// A field that must be there.
impl Index<&str> for Metadata {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

/// By what they say, in whatever order.
impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        let fields = self.fields();
        self.is(other)
            || fields.len() == other.fields().len()
                && fields.iter().all(|(name, value)| other.get(name) == Some(*value))
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.fields()).finish()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields())
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(json: &Value) -> Metadata {
        json.as_object().cloned().unwrap_or_default().into()
    }

    fn over(below: &Metadata, json: &Value) -> Metadata {
        let fields = of(json).to_map();
        Metadata::of_shared(Some(below), fields.into_iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_part_says_what_its_resource_says_and_more() {
        let guest = of(&json!({"name": "instance-1", "host": "h", "vcpus": 2}));
        let nic = over(&guest, &json!({"mac": "aa", "name": "tap1"}));
        assert_eq!(
            nic.to_map(),
            *json!({"name": "tap1", "host": "h", "vcpus": 2, "mac": "aa"}).as_object().unwrap()
        );
        assert_eq!(nic.keys().collect::<Vec<_>>(), ["name", "host", "vcpus", "mac"]);
        assert_eq!((&nic["name"], &nic["vcpus"], nic.get("x")), (&json!("tap1"), &json!(2), None));
        assert_eq!(guest["name"], "instance-1");
        assert_eq!(serde_json::to_string(&nic).unwrap(), nic.to_json().to_string());
    }

    #[test]
    fn what_is_equal_need_not_be_the_same() {
        let guest = of(&json!({"a": 1, "b": 2}));
        let (other, part) =
            (of(&json!({"b": 2, "a": 1})), over(&of(&json!({"a": 0, "b": 2})), &json!({"a": 1})));
        assert!(guest == other && part == guest && !guest.is(&other));
        assert!(guest != of(&json!({"a": 1})) && guest != of(&json!({"a": 1, "c": 2})));
        assert!(guest.downgrade().is(&guest.clone()) && !guest.downgrade().is(&other));
        assert!(
            Metadata::default().is_empty()
                && !part.is_empty()
                && over(&Metadata::default(), &json!({})).is_empty()
        );
        let read: Metadata = serde_json::from_value(part.to_json()).unwrap();
        assert_eq!(read, guest);
    }
}
