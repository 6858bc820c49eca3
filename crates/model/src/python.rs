//! Values as Python prints them: texts of upstream show numbers by `str` and containers by `repr`.

use serde_json::Value;

use crate::json;

/// `text` quoted as `repr` quotes it.
pub fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if c == quote => quoted.extend(['\\', c]),
            _ if !is_printable(c) => quoted.push_str(&escape(c)),
            _ => quoted.push(c),
        }
    }
    quoted.push(quote);
    quoted
}

/// Whether Python shows a character as it is: it is no control, no separator but the space, and no format mark.
fn is_printable(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

fn escape(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// `repr`, and `str`, of a float: as in JSON, but `nan`, `inf` and `-inf`.
pub fn float(value: f64) -> String {
    match value {
        _ if value.is_nan() => "nan".to_owned(),
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        _ => {
            let mut out = Vec::new();
            json::write_f64(&mut out, value);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

/// `repr` of a value as Python's JSON reader would build it.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
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

/// `json.dumps` of a value.
pub fn dumps(value: &Value) -> String {
    // The writer writes ASCII.
    String::from_utf8(json::to_vec(value)).unwrap_or_default()
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
        assert_eq!(repr_str("it's"), "\"it's\"");
        assert_eq!(repr_str("a'b\"c\n"), "'a\\'b\"c\\n'");
        assert_eq!(repr_str("\u{85}\u{a0}\u{ad}é\u{2028}\u{7f}"), r"'\x85\xa0\xadé\u2028\x7f'");
        assert_eq!(str(&json!("plain")), "plain");
        assert_eq!(dumps(&json!({"é": [1.0, 2]})), r#"{"\u00e9": [1.0, 2]}"#);
    }

    #[test]
    fn floats_show_as_python_shows_them() {
        for (value, text) in [
            (8.0, "8.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-5, "1e-05"),
            (1e16, "1e+16"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
