//! Definition files as PyYAML would read them: keys keep their kind, because readings are looked up among them.

use std::fmt;

use nephometer_model::python;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// A value of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Null,
    /// A truth value, a number, or a text.
    Scalar(Json),
    List(Vec<Yaml>),
    Map(Vec<(Yaml, Yaml)>),
}

impl Yaml {
    /// The data of a text. `y` and `n` are texts, as they are for PyYAML; so are `yes`, `no`, `on` and `off`, which are not.
    /// Errors show nothing of the text: there may be credentials in it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! {
            with_snippet: false,
            legacy_octal_numbers: true,
            strict_booleans: true,
        };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
    }

    /// What a map has under a text; the last one of several, and nothing where it is null.
    pub(super) fn get(&self, name: &str) -> Option<&Yaml> {
        let Self::Map(entries) = self else { return None };
        let found = entries.iter().rev().find(|(key, _)| key.as_str() == Some(name));
        found.map(|(_, value)| value).filter(|value| **value != Self::Null)
    }

    /// Puts `value` under a text where a map has nothing there.
    pub(super) fn set_default(&mut self, name: &str, value: Option<&Yaml>) {
        let is_there = self.get(name).is_some();
        if let (false, Some(value), Self::Map(entries)) = (is_there, value, self) {
            entries.push((Self::text(name), value.clone()));
        }
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Scalar(Json::String(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Scalar(Json::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether Python takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Scalar(Json::Bool(value)) => *value,
            Self::Scalar(Json::Number(number)) => number.as_f64() != Some(0.0),
            Self::Scalar(Json::String(text)) => !text.is_empty(),
            Self::Scalar(_) => true,
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
        }
    }

    /// As JSON has it; keys become texts.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Scalar(value) => value.clone(),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(entries) => {
                let entry = |(key, value): &(Self, Self)| (python::str(&key.to_json()), value.to_json());
                Json::Object(entries.iter().map(entry).collect::<Map<_, _>>())
            }
        }
    }

    /// The name of its type in Python's texts.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Scalar(Json::Bool(_)) => "bool",
            Self::Scalar(Json::Number(number)) if number.is_f64() => "float",
            Self::Scalar(Json::Number(_)) => "int",
            Self::Scalar(_) => "str",
            Self::List(_) => "list",
            Self::Map(_) => "dict",
        }
    }
}

/// As `str` shows it.
impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&python::str(&self.to_json()))
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Yaml, E> {
        let number =
            Number::from_f64(value).ok_or_else(|| E::custom(format!("{value} is no number of data")))?;
        Ok(Yaml::Scalar(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Yaml::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_keep_their_kind() {
        let read: Yaml = Yaml::parse("{1: one, '1': text, true: yes, 2.5: ~, a: [x, {b: -3}]}").unwrap();
        let Yaml::Map(entries) = &read else { panic!("{read:?}") };
        let keys: Vec<_> = entries.iter().map(|(key, _)| key.to_json()).collect();
        assert_eq!(keys, [json!(1), json!("1"), json!(true), json!(2.5), json!("a")]);
        assert_eq!(read.get("a").map(Yaml::to_json), Some(json!(["x", {"b": -3}])));
        assert_eq!(read.get("b"), None);
    }

    #[test]
    fn what_is_missing_is_filled_in_and_what_is_there_stays() {
        let mut read = Yaml::parse("{a: 1, b: ~}").unwrap();
        read.set_default("a", Some(&Yaml::text("x")));
        read.set_default("b", Some(&Yaml::text("x")));
        read.set_default("c", None);
        assert_eq!(
            (read.get("a").unwrap().to_string(), read.get("b").unwrap().to_string()),
            ("1".into(), "x".into())
        );
        assert!(read.get("c").is_none() && read.is_true() && !Yaml::List(Vec::new()).is_true());
    }
}
