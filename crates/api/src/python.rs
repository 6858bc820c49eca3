//! Values as Python prints them: error texts of upstream show containers by `repr`.

use serde_json::Value;

use crate::json;

/// `repr` of a string: single quotes unless only they occur inside; what cannot be printed is escaped.
pub fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() && u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

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
