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

/// Below this magnitude the digits of a whole number are its shortest form, and floats hold every one of them.
const WHOLE_LIMIT: f64 = (1_u64 << 53) as f64;

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

/// The two digits of `value`, which is below 100; of a larger one the last two.
#[inline]
pub fn two_digits(value: u64) -> [u8; 2] {
    PAIRS[(value % 100) as usize]
}

/// Writes `value` as Python's `repr` of a float; NaN and infinities as `NaN`, `Infinity`, `-Infinity`.
#[inline]
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    // The cast saturates, which the comparison then refuses; zero is not taken lest it lose its sign.
    let whole = value as i64;
    if whole as f64 == value && value.abs() < WHOLE_LIMIT && whole != 0 {
        write_whole(out, whole, b".0");
    } else {
        write_any_f64(out, value);
    }
}

fn write_any_f64(out: &mut Vec<u8>, value: f64) {
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
    if value.abs() < 1e-4 && value != 0.0 {
        write_small(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Writes the text of a number below 0.0001 as Python does: with an exponent, and that of two digits at least.
fn write_small(out: &mut Vec<u8>, text: &str) {
    if let Some((mantissa, exponent)) = text.split_once("e-") {
        out.extend_from_slice(mantissa.as_bytes());
        out.extend_from_slice(if exponent.len() < 2 { b"e-0" } else { b"e-" });
        out.extend_from_slice(exponent.as_bytes());
        return;
    }
    // What has no exponent is `0.0000ddd`.
    if text.starts_with('-') {
        out.push(b'-');
    }
    let digits = text.trim_start_matches(['-', '0', '.']).as_bytes();
    if let Some((first, rest)) = digits.split_first() {
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    }
    out.extend_from_slice(b"e-05");
}

/// Writes the digits of `value`, and `tail` (of two bytes at most) behind them.
#[inline]
fn write_whole(out: &mut Vec<u8>, value: i64, tail: &[u8]) {
    const LEN: usize = 24;
    // Twice the length, so that a copy of fixed length, which costs less than an exact one, can begin anywhere.
    let mut text = [0_u8; 2 * LEN];
    let mut at = LEN - tail.len();
    text[at..LEN].copy_from_slice(tail);
    let mut rest = value.unsigned_abs();
    while rest >= 10 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest > 0 || at == LEN - tail.len() {
        at -= 1;
        text[at] = b'0' + rest as u8;
    }
    if value < 0 {
        at -= 1;
        text[at] = b'-';
    }
    let end = out.len() + LEN - at;
    out.extend_from_slice(&text[at..at + LEN]);
    out.truncate(end);
}

/// Writes a whole number.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_whole(out, value, b"");
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

    /// Python's `repr`, made of as many digits as Rust finds to be needed; of two equally near texts the even one.
    fn repr(value: f64) -> String {
        let shortest = format!("{value:e}");
        let (mantissa, _) = shortest.split_once('e').unwrap();
        let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let shortest = format!("{value:.places$e}");
        let (mantissa, exponent) = shortest.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
        if value != 0.0 && !(-4..16).contains(&exponent) {
            let exponent_sign = if exponent < 0 { '-' } else { '+' };
            return format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs());
        }
        let digits = mantissa.replace('.', "");
        if exponent < 0 {
            let zeros = usize::try_from(-exponent - 1).unwrap();
            return format!("{sign}0.{}{digits}", "0".repeat(zeros));
        }
        let whole = usize::try_from(exponent).unwrap() + 1;
        let padded = format!("{digits:0<whole$}");
        let (whole, fraction) = padded.split_at(whole);
        format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
    }

    fn number() -> impl Strategy<Value = f64> {
        let decimal = (any::<i64>(), 0_u32..64, -12..3_i32)
            .prop_map(|(digits, shift, power)| (digits >> shift) as f64 * 10_f64.powi(power));
        prop_oneof![
            any::<f64>(),
            any::<u64>().prop_map(f64::from_bits),
            decimal,
            (0.1_f64..10.0, -8..20_i32).prop_map(|(mantissa, power)| mantissa * 10_f64.powi(power)),
            (any::<i64>(), 0_u32..64).prop_map(|(whole, shift)| (whole >> shift) as f64),
            (any::<i64>(), 0_u32..64).prop_map(|(whole, shift)| -((whole >> shift) as f64) / 3.0),
        ]
    }

    #[test]
    fn edges_of_the_quick_ways() {
        for power in 0..=63 {
            for step in [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0] {
                let value = 2_f64.powi(power) + step;
                assert_eq!((text_of(value), text_of(-value)), (repr(value), repr(-value)));
            }
        }
        for power in -8..20 {
            let value = 10_f64.powi(power);
            for bits in value.to_bits() - 3..value.to_bits() + 3 {
                let value = f64::from_bits(bits);
                assert_eq!((text_of(value), text_of(-value)), (repr(value), repr(-value)));
            }
        }
        for value in [0, 5, -5, 10, -99, 100, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn floats_are_pythons_and_round_trip(value in number()) {
            if value.is_finite() {
                let text = text_of(value);
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
                prop_assert_eq!(text, repr(value));
            }
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_their_digits(value: i64) {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
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
