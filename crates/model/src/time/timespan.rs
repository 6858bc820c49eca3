//! Spans of time from text and numbers: seconds, unit words, clock forms.

use super::{Timespan, float::parse_float};

/// Why a text or number is no span of time. The texts are upstream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimespanError {
    /// Null where a span is due.
    #[error("Invalid timespan")]
    Null,
    /// Neither a number nor in one of the forms, or beyond what 64 bits of nanoseconds hold.
    #[error("Unable to parse timespan")]
    Unparsable,
    /// Zero or negative.
    #[error("Timespan must be positive")]
    NotPositive,
}

/// Digits kept behind the point while fractions of units are added exactly.
const SCALE: i128 = 1_000_000_000_000_000_000;
/// No single number may be larger: it would not fit into nanoseconds, and sums stay far from overflow.
const MAX_NUMBER: i128 = 10_000_000_000_000;

/// A positive span. Accepted are seconds as Python's `float()` reads them (`60`, `0.5`, `1e3`); unit words in the
/// order weeks, days, hours, minutes, seconds with decimals and optional separators (`1 day, 2h30m`, `1.5 hours`);
/// and clocks (`:30`, `1:30`, `1:00:00`, `1w 2d 3:04:05`, `2:03:04:05`). Case does not matter; `M` is a minute.
pub fn parse_timespan(text: &str) -> Result<Timespan, TimespanError> {
    positive(parse_offset(text)?)
}

/// A span of either sign, for times relative to another: as [`parse_timespan`], with an optional sign in front.
pub fn parse_offset(text: &str) -> Result<Timespan, TimespanError> {
    if let Some(seconds) = parse_float(text) {
        return offset_from_seconds(seconds);
    }
    let unsigned = text.trim_start();
    let (negative, unsigned) = match unsigned.as_bytes().first() {
        Some(b'-') => (true, &unsigned[1..]),
        Some(b'+') => (false, &unsigned[1..]),
        _ => (false, unsigned),
    };
    let unsigned = unsigned.trim();
    let seconds = units(unsigned).or_else(|| clock(unsigned)).ok_or(TimespanError::Unparsable)?;
    offset_from_seconds(if negative { -seconds } else { seconds })
}

/// The positive span of so many seconds, truncated to whole nanoseconds.
pub fn timespan_from_seconds(seconds: f64) -> Result<Timespan, TimespanError> {
    positive(offset_from_seconds(seconds)?)
}

/// The span of so many seconds, of either sign, truncated to whole nanoseconds.
pub fn offset_from_seconds(seconds: f64) -> Result<Timespan, TimespanError> {
    super::whole_ns(seconds).map(Timespan::from_ns).ok_or(TimespanError::Unparsable)
}

fn positive(span: Timespan) -> Result<Timespan, TimespanError> {
    if span.ns() > 0 { Ok(span) } else { Err(TimespanError::NotPositive) }
}

/// A number of the text: its exact value times [`SCALE`] and how it was written.
#[derive(Clone, Copy)]
struct Number<'a> {
    scaled: i128,
    text: &'a str,
}

impl<'a> Number<'a> {
    /// `text` consists of digits and points.
    fn read(text: &'a str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        if whole > MAX_NUMBER {
            return None;
        }
        let mut scaled = whole * SCALE;
        let mut weight = SCALE / 10;
        for digit in fraction.bytes() {
            scaled += i128::from(digit - b'0') * weight;
            weight /= 10;
        }
        Some(Self { scaled, text })
    }

    fn is_whole(self) -> bool {
        self.text.bytes().all(|byte| byte.is_ascii_digit())
    }

    fn float(self) -> f64 {
        self.text.parse().unwrap_or(f64::NAN)
    }
}

/// Seconds per unit, with the words for it, longest unit first.
const UNITS: [(u32, &[&str]); 5] = [
    (604_800, &["w", "wk", "wks", "week", "weeks"]),
    (86_400, &["d", "dy", "dys", "day", "days"]),
    (3600, &["h", "hr", "hrs", "hour", "hours"]),
    (60, &["m", "min", "mins", "minute", "minutes"]),
    (1, &["s", "sec", "secs", "second", "seconds"]),
];

/// Reads numbers with units from the front of `text`, in the order of `units`; returns them and what is left.
fn leading_units<'a>(text: &'a str, units: &[(u32, &[&str])]) -> (Vec<(u32, Number<'a>)>, &'a str) {
    let mut found = Vec::new();
    let mut rest = text;
    for (seconds, words) in units {
        let Some((number, after)) = number_and_word(rest, words) else { continue };
        found.push((*seconds, number));
        rest = after.trim_start();
        if *seconds != 1 {
            rest = rest.strip_prefix([',', '/']).unwrap_or(rest).trim_start();
        }
    }
    (found, rest)
}

fn number_and_word<'a>(text: &'a str, words: &[&str]) -> Option<(Number<'a>, &'a str)> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let after = text[digits..].trim_start();
    let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (word, rest) = after.split_at(letters);
    let known = words.iter().any(|known| known.eq_ignore_ascii_case(word));
    if digits == 0 || !known { None } else { Some((Number::read(&text[..digits])?, rest)) }
}

/// `1 week, 2 days 3h4m5.5s`: any of the units, in order.
fn units(text: &str) -> Option<f64> {
    let (found, rest) = leading_units(text, &UNITS);
    if found.is_empty() || !rest.is_empty() {
        return None;
    }
    Some(sum_seconds(&found))
}

/// Fractions of seconds are added as floats; without them fractions of larger units are added exactly and cut to
/// whole seconds.
#[expect(clippy::cast_precision_loss, reason = "spans that fit into nanoseconds are far below 2^53 seconds")]
fn sum_seconds(parts: &[(u32, Number<'_>)]) -> f64 {
    let fractional_seconds = parts.iter().any(|(unit, number)| *unit == 1 && !number.is_whole());
    if fractional_seconds {
        return parts.iter().map(|(unit, number)| f64::from(*unit) * number.float()).sum();
    }
    let scaled: i128 = parts.iter().map(|(unit, number)| i128::from(*unit) * number.scaled).sum();
    (scaled / SCALE) as f64
}

/// `:SS`, `M:SS`, `[W weeks] [D days] H:MM:SS`, `D:HH:MM:SS` or `D-HH:MM:SS`; seconds may have a fraction.
fn clock(text: &str) -> Option<f64> {
    let (mut parts, rest) = leading_units(text, &UNITS[..2]);
    let with_units = !parts.is_empty();
    let (days, rest) = match rest.split_once('-') {
        Some((days, rest)) => (Some(days), rest),
        None => (None, rest),
    };
    let mut fields: Vec<&str> = rest.split(':').collect();
    if let Some(days) = days {
        fields.insert(0, days);
    }
    let dashed = days.is_some();
    let widths: &[std::ops::RangeInclusive<usize>] = match fields.len() {
        2 if fields[0].is_empty() && !with_units && !dashed => &[0..=0, 2..=2],
        2 if !with_units && !dashed => &[1..=2, 2..=2],
        3 if !dashed => &[1..=usize::MAX, 2..=2, 2..=2],
        4 if !with_units => &[1..=usize::MAX, 2..=2, 2..=2, 2..=2],
        _ => return None,
    };
    let last = fields.len() - 1;
    for (position, (field, width)) in fields.iter().zip(widths).enumerate() {
        let (whole, fraction) = if position == last { split_fraction(field)? } else { (*field, "") };
        let digits = whole.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !width.contains(&whole.len()) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let unit = [1, 60, 3600, 86_400][last - position];
        if !field.is_empty() {
            parts.push((unit, Number::read(field)?));
        }
    }
    Some(sum_seconds(&parts))
}

/// The part before and after a point; a point needs digits behind it.
fn split_fraction(field: &str) -> Option<(&str, &str)> {
    match field.split_once('.') {
        Some((_, "")) => None,
        Some(parts) => Some(parts),
        None => Some((field, "")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::NS_PER_SECOND;

    #[test]
    fn reads_upstreams_forms() {
        for (text, seconds) in [
            ("60", 60.0),
            ("0.5", 0.5),
            ("1 minute", 60.0),
            ("1M", 60.0),
            ("1 day, 2h30m", 95_400.0),
            ("1.5 hours", 5400.0),
            ("4.1m", 246.0),
            ("1.01m", 60.0),
            ("1.2 seconds", 1.2),
            ("2 weeks/3dys", 1_468_800.0),
            (":22", 22.0),
            ("1:30", 90.0),
            ("1:00:00", 3600.0),
            ("1w 2d 3:04:05", 788_645.0),
            ("2:03:04:05.5", 183_845.5),
            ("2-03:04:05", 183_845.0),
            ("1 week,", 604_800.0),
            ("  5  min ", 300.0),
        ] {
            let span = parse_timespan(text);
            assert_eq!(span.map(Timespan::seconds), Ok(seconds), "{text}");
        }
        for text in [
            "",
            " ",
            "foo",
            "1 month",
            "1.2.3 h",
            ".",
            "5 s,",
            "3m 2h",
            "1:2",
            "100:00",
            "inf",
            "nan",
            "1:00:00.",
            "1-2:03",
            "99999999999999 w",
            "-",
            "1y",
            "12 34",
            "1h:30",
            "1e30",
        ] {
            assert_eq!(parse_timespan(text), Err(TimespanError::Unparsable), "{text}");
        }
        assert_eq!(parse_timespan("0"), Err(TimespanError::NotPositive));
        assert_eq!(parse_timespan("-1 minute"), Err(TimespanError::NotPositive));
        assert_eq!(parse_offset("- 1 minute"), Ok(Timespan::from_seconds(-60)));
        assert_eq!(parse_offset("+2h"), Ok(Timespan::from_seconds(7200)));
        assert_eq!(parse_offset("0"), Ok(Timespan::from_ns(0)));
        assert_eq!(timespan_from_seconds(0.1), Ok(Timespan::from_ns(NS_PER_SECOND / 10)));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = parse_offset(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(text in "[0-9wdhms:.,/ +-]{0,24}") {
            let _ = parse_offset(&text);
        }
    }
}
