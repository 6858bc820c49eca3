//! Numbers written as text, as Python's `float()` reads them.

/// The number that `text` spells: white space around it, underscores between digits, `inf`, `infinity` and `nan` in
/// any case are fine; nothing where it is no number.
pub fn parse_float(text: &str) -> Option<f64> {
    let trimmed = text.trim();
    if !trimmed.contains('_') {
        return trimmed.parse().ok();
    }
    let bytes = trimmed.as_bytes();
    let between_digits = |at: usize| {
        at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    };
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && !between_digits(at)) {
        return None;
    }
    trimmed.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_float;

    #[test]
    fn reads_what_python_reads() {
        for (text, expected) in [
            ("12", Some(12.0)),
            (" 1e3\n", Some(1000.0)),
            ("1_000.5", Some(1000.5)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("+inf", Some(f64::INFINITY)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("1_.5", None),
            ("", None),
            (".", None),
            ("0x10", None),
            ("1 2", None),
        ] {
            assert_eq!(parse_float(text), expected, "{text}");
        }
        assert!(parse_float("NaN").is_some_and(f64::is_nan));
    }
}
