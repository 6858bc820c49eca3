//! Values as Python prints them: error texts of upstream show containers by `repr`.

use serde_json::Value;

use crate::json;

/// `repr` of a string.
pub use nephometer_metric::python_str as repr_str;

/// `repr` of a value as Python's JSON reader would build it.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => {
            let mut out = Vec::new();
            json::write_f64(&mut out, number.as_f64().unwrap_or_default());
            String::from_utf8_lossy(&out).into_owned()
        }
        Value::Number(number) => number.to_string(),
        Value::String(text) => repr_str(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}: {}", repr_str(key), repr(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// `str` of a value: as [`repr`], but strings as they are.
pub fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_show_as_python_shows_them() {
        let value = json!({"cause": "Invalid input", "reason": "it's", "detail": ["x", 1, 2.0, null, true]});
        assert_eq!(
            repr(&value),
            r#"{'cause': 'Invalid input', 'reason': "it's", 'detail': ['x', 1, 2.0, None, True]}"#
        );
        assert_eq!(repr_str("a'b\"c"), r#"'a\'b"c'"#);
        assert_eq!(str(&json!("plain")), "plain");
    }
}
