//! Points in time from text and numbers: seconds, ISO 8601, words, or relative to now.

use super::float::parse_float;
use super::iso::{IsoError, IsoReader};
use super::timespan::{offset_from_seconds, parse_offset};
use super::{NS_PER_SECOND, Timestamp, whole_ns};

/// Why a text or number is no point in time. The texts are upstream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// None of the forms, or not the form that the first element of the list has set.
    #[error("Unable to convert timestamps")]
    Unconvertible,
    /// Before 1970, or beyond what 64 bits of nanoseconds hold (upstream's arithmetic wraps round to before 1970).
    #[error("Timestamp must be after Epoch")]
    BeforeEpoch,
}

/// One timestamp as a client gives it. JSON's true and false count as the numbers one and zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeInput<'a> {
    /// A number.
    Number(f64),
    /// Text.
    Text(&'a str),
}

/// The form of a list of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// Seconds since the epoch.
    Seconds,
    /// ISO 8601, `now` or `today`.
    Iso,
    /// Spans of either sign, to be added to now.
    Relative,
}

impl TimeForm {
    /// The form that `first` sets for its list.
    pub fn of(first: TimeInput<'_>) -> Self {
        match first {
            TimeInput::Number(_) => Self::Seconds,
            TimeInput::Text(text) if parse_float(text).is_some() => Self::Seconds,
            TimeInput::Text(text) => match read_iso(&mut IsoReader::new(), text, Timestamp::default()) {
                Err(IsoError::Syntax) => Self::Relative,
                Ok(_) | Err(IsoError::OutOfRange) => Self::Iso,
            },
        }
    }

    /// Reads one element of a list of this form.
    ///
    /// A number among ISO texts is refused: upstream takes it as nanoseconds, or refuses it too if it has a
    /// fraction. Not-a-time and numbers too large for nanoseconds, which upstream stores as garbage, are refused.
    pub fn read(
        self,
        reader: &mut IsoReader,
        input: TimeInput<'_>,
        now: Timestamp,
    ) -> Result<Timestamp, TimestampError> {
        let unconvertible = TimestampError::Unconvertible;
        let ns = match (self, input) {
            (Self::Seconds, TimeInput::Number(seconds)) => whole_ns(seconds).ok_or(unconvertible)?,
            (Self::Seconds, TimeInput::Text(text)) => {
                parse_float(text).and_then(whole_ns).ok_or(unconvertible)?
            }
            (Self::Iso, TimeInput::Text(text)) => match read_iso(reader, text, now) {
                Ok(ns) => ns,
                Err(IsoError::Syntax) => return Err(unconvertible),
                Err(IsoError::OutOfRange) => return Err(TimestampError::BeforeEpoch),
            },
            (Self::Iso, TimeInput::Number(_)) => return Err(unconvertible),
            (Self::Relative, input) => {
                let offset = match input {
                    TimeInput::Number(seconds) => offset_from_seconds(seconds),
                    TimeInput::Text(text) => parse_offset(text),
                };
                let offset = offset.map_err(|_| unconvertible)?;
                now.ns().checked_add(offset.ns()).ok_or(TimestampError::BeforeEpoch)?
            }
        };
        if ns < 0 { Err(TimestampError::BeforeEpoch) } else { Ok(Timestamp::from_ns(ns)) }
    }
}

fn read_iso(reader: &mut IsoReader, text: &str, now: Timestamp) -> Result<i64, IsoError> {
    let second = now.ns() - now.ns().rem_euclid(NS_PER_SECOND);
    if text.eq_ignore_ascii_case("now") {
        return Ok(second);
    }
    if text.eq_ignore_ascii_case("today") {
        return Ok(second - second.rem_euclid(86_400 * NS_PER_SECOND));
    }
    reader.read_any(text)
}

/// The point in time that `text` names: seconds since the epoch (so `2015` is no year), ISO 8601 (without offset:
/// UTC), `now`, `today`, or a span relative to `now` (`-5 minutes`).
pub fn parse_timestamp(text: &str, now: Timestamp) -> Result<Timestamp, TimestampError> {
    let input = TimeInput::Text(text);
    TimeForm::of(input).read(&mut IsoReader::new(), input, now)
}

/// The points in time that `inputs` name. The first one decides the form of all of them.
pub fn parse_timestamps(inputs: &[TimeInput<'_>], now: Timestamp) -> Result<Vec<Timestamp>, TimestampError> {
    let Some(first) = inputs.first() else { return Ok(Vec::new()) };
    let form = TimeForm::of(*first);
    let mut reader = IsoReader::new();
    let mut before_epoch = None;
    let mut timestamps = Vec::with_capacity(inputs.len());
    for input in inputs {
        match form.read(&mut reader, *input, now) {
            Ok(timestamp) => timestamps.push(timestamp),
            // Upstream converts the whole list before it compares.
            Err(TimestampError::BeforeEpoch) => before_epoch = Some(TimestampError::BeforeEpoch),
            Err(error) => return Err(error),
        }
    }
    before_epoch.map_or(Ok(timestamps), Err)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ns(1_700_000_000_123_456_000);

    fn one(text: &str) -> Result<i64, TimestampError> {
        parse_timestamp(text, NOW).map(Timestamp::ns)
    }

    #[test]
    fn forms_of_one() {
        let second = NS_PER_SECOND;
        assert_eq!(one("2015"), Ok(2015 * second));
        assert_eq!(one("1420070400.1"), Ok(1_420_070_400_100_000_000));
        assert_eq!(one("2015-03-06T14:33:57"), Ok(1_425_652_437 * second));
        assert_eq!(one("-5 minutes"), Ok(NOW.ns() - 300 * second));
        assert_eq!(one("+2h"), Ok(NOW.ns() + 7200 * second));
        assert_eq!(one("10 minutes"), Ok(NOW.ns() + 600 * second));
        assert_eq!(one("now"), Ok(1_700_000_000 * second));
        assert_eq!(one("today"), Ok(1_699_920_000 * second));
        for text in ["", "foobar", "NaT", "nan", "inf", "1e11", "1420070400123456789", "5 months"] {
            assert_eq!(one(text), Err(TimestampError::Unconvertible), "{text}");
        }
        for text in ["-1", "1969-12-31", "2300-01-01", "-100 weeks, 2 days -", "-9000 weeks"] {
            let expected =
                if text.ends_with('-') { TimestampError::Unconvertible } else { TimestampError::BeforeEpoch };
            assert_eq!(one(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_first_decides() {
        let (number, iso, relative) = (
            TimeInput::Number(1_420_070_400.0),
            TimeInput::Text("2015-01-01"),
            TimeInput::Text("-5 minutes"),
        );
        let ok = |inputs: &[TimeInput<'_>]| parse_timestamps(inputs, NOW).is_ok();
        assert!(ok(&[]));
        assert!(ok(&[number, TimeInput::Text("12")]));
        assert!(ok(&[iso, iso, TimeInput::Text("2015")]));
        assert!(ok(&[relative, relative, TimeInput::Number(3.0)]));
        for refused in [[number, relative], [number, iso], [iso, number], [iso, relative], [relative, iso]] {
            assert_eq!(parse_timestamps(&refused, NOW), Err(TimestampError::Unconvertible));
        }
        let early = TimeInput::Number(-1.0);
        assert_eq!(parse_timestamps(&[early, iso], NOW), Err(TimestampError::Unconvertible));
        assert_eq!(parse_timestamps(&[early, number], NOW), Err(TimestampError::BeforeEpoch));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = parse_timestamp(&text, NOW);
        }
    }
}
