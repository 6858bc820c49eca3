//! JSON as Python's standard encoder writes it, which clients and upstream's tests compare byte by byte: ASCII only,
//! `", "` and `": "` as separators, floats in shortest form always with a fraction or an exponent, NaN and infinities
//! as bare literals. Pieces write straight into a byte buffer, so long answers need no tree.

use std::io::Write as _;

use serde_json::{Map, Number, Value};

/// Writes `text` as a quoted string.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(bytes);
    } else {
        text.chars().for_each(|c| write_char(out, c));
    }
    out.push(b'"');
}

fn write_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        // Only ASCII passes this guard.
        ' '..='~' => out.push(c as u8),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(b"0123456789abcdef"[usize::from(*unit >> shift & 0xf)]);
                }
            }
        }
    }
}

/// Writes `value` as Python's `repr` of a float; NaN and infinities as `NaN`, `Infinity`, `-Infinity`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        let literal: &[u8] = match value {
            _ if value.is_nan() => b"NaN",
            _ if value > 0.0 => b"Infinity",
            _ => b"-Infinity",
        };
        out.extend_from_slice(literal);
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    let magnitude = value.abs();
    let plain = magnitude == 0.0 || (1e-4..1e16).contains(&magnitude);
    match text.contains('e') {
        false if plain => {
            out.extend_from_slice(text.as_bytes());
            if !text.contains('.') {
                out.extend_from_slice(b".0");
            }
        }
        true if plain => write_display(out, format_args!("{value:?}")),
        _ => write_exponent_form(out, text),
    }
}

/// Writes the shortest digits of `text`, in whatever notation, as one digit, a fraction, and an exponent with a sign
/// and at least two digits.
fn write_exponent_form(out: &mut Vec<u8>, text: &str) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mantissa = match mantissa.strip_prefix('-') {
        Some(positive) => {
            out.push(b'-');
            positive
        }
        None => mantissa,
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [0_u8; 32];
    let mut len = 0;
    let mut leading_zeros = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        match digit {
            b'0' if len == 0 => leading_zeros += 1,
            _ if len < digits.len() => {
                digits[len] = digit;
                len += 1;
            }
            _ => {}
        }
    }
    while len > 1 && digits[len - 1] == b'0' {
        len -= 1;
    }
    out.push(digits[0]);
    if len > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..len]);
    }
    let exponent = exponent.parse().unwrap_or(0) + whole.len() as i32 - 1 - leading_zeros;
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let exponent = exponent.unsigned_abs();
    for (place, always) in [(100, false), (10, true), (1, true)] {
        if always || exponent >= place {
            out.push(b"0123456789"[(exponent / place % 10) as usize]);
        }
    }
}

/// Writes a whole number.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_display(out, format_args!("{value}"));
}

fn write_display(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args).expect("writing to memory does not fail");
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    match number.as_f64() {
        Some(value) if number.is_f64() => write_f64(out, value),
        _ => write_display(out, format_args!("{number}")),
    }
}

/// Writes any value.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_str(out, text),
        Value::Array(items) => write_list(out, items, write_value),
        Value::Object(map) => write_object(out, map),
    }
}

fn write_object(out: &mut Vec<u8>, map: &Map<String, Value>) {
    out.push(b'{');
    for (position, (key, value)) in map.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write_str(out, key);
        out.extend_from_slice(b": ");
        write_value(out, value);
    }
    out.push(b'}');
}

/// Writes a list of anything that `write_item` can write.
pub fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write_item: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write_item(out, item);
    }
    out.push(b']');
}

/// Any value as bytes.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_value(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text_of(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_look_like_pythons() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (43.1, "43.1"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (0.000_123_4, "0.0001234"),
            (1e15, "1000000000000000.0"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (1.25e22, "1.25e+22"),
            (-1e300, "-1e+300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text_of(value), expected);
        }
    }

    #[test]
    fn separators_and_escapes_are_pythons() {
        let value = json!({"a": [1, 2.0, null, true], "✔ \"\\\n\u{7f}😀": {}});
        assert_eq!(
            String::from_utf8(to_vec(&value)).unwrap(),
            r#"{"a": [1, 2.0, null, true], "\u2714 \"\\\n\u007f\ud83d\ude00": {}}"#
        );
    }

    proptest! {
        #[test]
        fn floats_round_trip(value in any::<f64>()) {
            if value.is_finite() {
                let text = text_of(value);
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
                prop_assert!(text.contains('.') || text.contains('e'));
            }
        }

        #[test]
        fn large_and_small_floats_have_exponents(mantissa in 0.1_f64..10.0, power in prop_oneof![-300..-5_i32, 17..300_i32]) {
            let value = mantissa * 10_f64.powi(power);
            let shortest = format!("{value:e}");
            let (digits, exponent) = shortest.split_once('e').unwrap();
            let exponent: i32 = exponent.parse().unwrap();
            let sign = if exponent < 0 { '-' } else { '+' };
            prop_assert_eq!(text_of(value), format!("{digits}e{sign}{:02}", exponent.abs()));
        }

        #[test]
        fn strings_round_trip(text in any::<String>()) {
            let mut out = Vec::new();
            write_str(&mut out, &text);
            prop_assert!(out.is_ascii());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
