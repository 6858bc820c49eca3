//! The signature of messages (spec ceilometer 1.5): HMAC-SHA256 over names and values, written as Python writes them.
//!
//! Lists are signed as the text of a Python list in which every text was made bytes first. It is so, so it stays so: what
//! upstream has signed must verify here, and the other way round.

use std::fmt;
use std::fmt::Write as _;

use nephometer_model::{Secret, python};
use ring::hmac;
use serde_json::{Map, Value};

/// The key of a message that holds its signature.
pub const SIGNATURE_KEY: &str = "message_signature";

/// Signs messages, and tells whether others have signed theirs with the same secret.
#[derive(Clone)]
pub struct Signer {
    /// None where the secret is empty: then signatures are empty, and every message is believed.
    key: Option<hmac::Key>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("signs", &self.key.is_some()).finish()
    }
}

impl Signer {
    /// A signer with `secret`. With an empty one nothing is signed and every message is believed.
    pub fn new(secret: &Secret) -> Self {
        let secret = secret.expose();
        Self { key: (!secret.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())) }
    }

    /// The signature of `message`, in lower-case hexadecimal, whether or not it has one already.
    pub fn sign(&self, message: &Map<String, Value>) -> String {
        let Some(key) = &self.key else { return String::new() };
        let tag = hmac::sign(key, &feed(message));
        tag.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether the signature that `message` carries is the right one. How long it takes does not depend on where they differ.
    pub fn verify(&self, message: &Map<String, Value>) -> bool {
        let Some(key) = &self.key else { return true };
        let carried = message.get(SIGNATURE_KEY).and_then(Value::as_str).and_then(bytes_of_hex);
        carried.is_some_and(|carried| hmac::verify(key, &feed(message), &carried).is_ok())
    }
}

/// Bytes of lower-case hexadecimal text.
fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// What is signed of a message: names and values of its leaves, one behind the other.
fn feed(message: &Map<String, Value>) -> Vec<u8> {
    let mut out = String::with_capacity(1024);
    walk(message, &mut String::new(), &mut out);
    out.into_bytes()
}

/// Writes the leaves of `map`, in the order of their keys; `outer` is the name of the map with a colon behind it.
fn walk(map: &Map<String, Value>, outer: &mut String, out: &mut String) {
    for (key, value) in sorted(map) {
        if outer.is_empty() && key == SIGNATURE_KEY && !value.is_object() {
            continue;
        }
        let length = outer.len();
        outer.push_str(key);
        if let Value::Object(inner) = value {
            outer.push(':');
            walk(inner, outer, out);
        } else {
            out.push_str(outer);
            match value {
                Value::String(text) => out.push_str(text),
                other => write_in_list(other, out),
            }
        }
        outer.truncate(length);
    }
}

/// Entries in the order of code points of their keys.
fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// Writes `value` as Python's `repr` writes it once texts are bytes and keys sorted.
fn write_in_list(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&python::float(float)),
            _ => {
                let _ = write!(out, "{number}");
            }
        },
        Value::String(text) => write_bytes_literal(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_in_list(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, value)) in sorted(map).into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_bytes_literal(key, out);
                out.push_str(": ");
                write_in_list(value, out);
            }
            out.push('}');
        }
    }
}

/// The UTF-8 of `text` as Python shows bytes.
fn write_bytes_literal(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { b'"' } else { b'\'' };
    out.push('b');
    out.push(char::from(quote));
    for byte in text.bytes() {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            _ if byte == quote => out.extend(['\\', char::from(byte)]),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(char::from(quote));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret() -> Signer {
        Signer::new(&Secret::new("secret"))
    }

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("{value} is no message") };
        map
    }

    fn fed(value: Value) -> String {
        String::from_utf8(feed(&map(value))).unwrap()
    }

    #[test]
    fn meters_are_signed_as_upstream_signs_them() {
        let message = map(json!({
            "source": "openstack", "counter_name": "cpu", "counter_type": "cumulative", "counter_unit": "ns",
            "counter_volume": 1000, "user_id": "u1", "user_name": null, "project_id": "p1", "project_name": null,
            "resource_id": "r1", "timestamp": "2026-01-02T03:04:05.678901",
            "resource_metadata": {"display_name": "vm", "flavor": {"id": "1", "vcpus": 2, "extra_specs": {}},
                "image": null, "tags": ["a", "b\u{e9}", {"k": 1.5, "a": true}]},
            "message_id": "11111111-1111-1111-1111-111111111111", "monotonic_time": 12.5,
        }));
        let expected = "93c07485cbb829dd88af3f58f7550bc2986f04a6d657b4d346ec5b2520ea13eb";
        assert_eq!(secret().sign(&message), expected);
        let text = String::from_utf8(feed(&message)).unwrap();
        assert!(
            text.contains(r"resource_metadata:tags[b'a', b'b\xc3\xa9', {b'a': True, b'k': 1.5}]source"),
            "{text}"
        );
    }

    #[test]
    fn events_and_messages_of_older_releases_are_too() {
        let event = map(json!({
            "message_id": "mid", "event_type": "compute.instance.create.end",
            "generated": "2026-01-02T03:04:05.678901",
            "traits": [["project_id", 1, "p1"], ["vcpus", 2, 2],
                ["launched_at", 4, "2026-01-02T03:04:05"], ["f", 3, 1.5]],
            "raw": {},
        }));
        let expected = "7cda6223e0b52a97594994350bb9229f494072a886cfa8a843a996ca173782fd";
        assert_eq!(secret().sign(&event), expected);
        let mut meter = map(json!({
            "source": "openstack", "counter_name": "cpu", "counter_type": "cumulative", "counter_unit": "ns",
            "counter_volume": 1.5, "user_id": null, "project_id": "p1", "resource_id": "r1",
            "timestamp": "2013-01-01T12:00:00", "message_id": "m-1",
            "resource_metadata": {"a": {"b": true}, "n": 3},
        }));
        let without = secret().sign(&meter);
        meter.insert("monotonic_time".to_owned(), Value::Null);
        assert_ne!(secret().sign(&meter), without);
    }

    #[test]
    fn texts_in_lists_show_as_bytes() {
        for (text, shown) in [
            ("it's", r#"b"it's""#),
            ("\"both' \\", r#"b'"both\' \\'"#),
            ("\t\n\r\u{0}\u{7f}", r"b'\t\n\r\x00\x7f'"),
            ("", "b''"),
        ] {
            assert_eq!(fed(json!({"a": [text]})), format!("a[{shown}]"));
        }
        assert_eq!(
            fed(json!({"a": [[], {}, null, 1e16, -0.0, 18446744073709551615_u64]})),
            "a[[], {}, None, 1e+16, -0.0, 18446744073709551615]"
        );
        assert_eq!(
            fed(json!({"b": 1, "a": {"y": {}, "x": "t", "message_signature": "kept"}})),
            "a:message_signaturekepta:xtb1"
        );
    }

    #[test]
    fn a_signature_holds_for_its_message_and_secret_alone() {
        let mut message = map(json!({"a": 1, "b": {"c": ["d", 1.0]}}));
        assert!(!secret().verify(&message));
        message.insert(SIGNATURE_KEY.to_owned(), secret().sign(&message).into());
        assert!(secret().verify(&message));
        assert!(!Signer::new(&Secret::new("other")).verify(&message));
        assert!(Signer::new(&Secret::new("")).verify(&message));
        assert_eq!(Signer::new(&Secret::new("")).sign(&message), "");
        for wrong in
            [json!("é"), json!(7), json!(""), json!("00"), json!(secret().sign(&message).to_uppercase())]
        {
            message.insert(SIGNATURE_KEY.to_owned(), wrong);
            assert!(!secret().verify(&message));
        }
        message.insert(SIGNATURE_KEY.to_owned(), secret().sign(&message).into());
        message.insert("a".to_owned(), json!(1.0));
        assert!(!secret().verify(&message));
    }
}
