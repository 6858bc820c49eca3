//! Texts that must not be seen: passwords, tokens, secrets of application credentials, addresses with a password in them.
//! They leave by `expose` only; whatever prints a structure that holds them prints something else in their place.

mod url;

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

pub use url::SecretUrl;

/// What stands in place of a secret wherever one would be shown.
const HIDDEN: &str = "(secret)";

/// A secret text; empty means "not set". Neither `Debug` nor serialization shows it: an empty one is written as an
/// empty text, any other as `(secret)`. Reading takes text (and whole numbers, as text), and refuses anything else
/// without repeating it. Its memory is overwritten when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// What a file that holds nothing but a secret says: its text without the line ends after it.
    pub fn from_file_text(text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        Self::new(text.trim_end_matches(['\r', '\n']))
    }

    /// The text itself: only for what goes over the wire to the service that it belongs to.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with every one of `secrets` blacked out, as it is and as JSON would write it.
    pub fn black_out(text: &str, secrets: &[&Self]) -> String {
        let mut clean = text.to_owned();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            let escaped = Zeroizing::new(serde_json::Value::from(secret.expose()).to_string());
            clean = clean.replace(secret.expose(), HIDDEN).replace(&escaped[1..escaped.len() - 1], HIDDEN);
        }
        clean
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(not set)" } else { HIDDEN })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Secret, E> {
                Ok(Secret::new(number.to_string()))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Secret, E> {
                Ok(Secret::new(number.to_string()))
            }
            // The usual messages repeat what they refuse.
            fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
                Err(E::custom("a secret must be a text: put it in quotes"))
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
                Err(E::custom("a secret must be a text: put it in quotes"))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "(secret)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"(secret)\"");
        assert_eq!(serde_json::to_string(&Secret::default()).unwrap(), "\"\"");
        assert_eq!(Secret::black_out("no hunter2 here, hunter2", &[&secret]), "no (secret) here, (secret)");
        let quoted = Secret::new("hun\"ter");
        assert_eq!(Secret::black_out("{\"hun\\\"ter\"}", &[&quoted]), "{\"(secret)\"}");
        assert_eq!(Secret::from_file_text(" hunter2\r\n\n").expose(), " hunter2");
    }

    #[test]
    fn refuses_without_repeating() {
        assert_eq!(serde_json::from_str::<Secret>("12345").unwrap().expose(), "12345");
        for wrong in ["12.25", "true", "[\"hunter2\"]", "{\"hunter2\": 1}"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("12.25"), "{error}");
        }
    }
}
