//! Points and spans of time in whole nanoseconds, with upstream's grammars and renderings.

mod float;
mod iso;
mod parse;
mod timespan;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use float::parse_float;
pub use iso::IsoReader;
pub use parse::{TimeForm, TimeInput, TimestampError, parse_timestamp, parse_timestamps};
pub use timespan::{TimespanError, offset_from_seconds, parse_offset, parse_timespan, timespan_from_seconds};

/// Nanoseconds in a second.
pub const NS_PER_SECOND: i64 = 1_000_000_000;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A length of time in nanoseconds; a granularity or timespan is positive, an offset may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timespan(i64);

impl Timestamp {
    /// The point `ns` nanoseconds after the epoch.
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the epoch.
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// Microseconds since the epoch, the nearest: what the index stores. Seconds given as a float are some nanoseconds
    /// off, and upstream rounds too.
    pub const fn micros(self) -> i64 {
        self.0.saturating_add(500).div_euclid(1000)
    }

    /// The point `micros` microseconds after the epoch; saturates.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1000))
    }

    /// The start of the bucket of `width` that holds this point, counted from the epoch.
    pub const fn floor(self, width: Timespan) -> Self {
        Self(self.0 - self.0.rem_euclid(width.0))
    }

    /// ISO 8601 in UTC as Python's `isoformat` renders it: microseconds only where they are not zero, then `+00:00`.
    pub fn isoformat(self) -> String {
        let civil = self.civil();
        let micros = self.0.rem_euclid(NS_PER_SECOND) / 1000;
        let mut text = String::with_capacity("2014-01-03T02:02:02.000000+00:00".len());
        let part = |value: i8| u64::from(value.unsigned_abs());
        // Nanoseconds of 64 bits reach from 1677 to 2262.
        push_digits(&mut text, u64::from(civil.year().unsigned_abs()), 4);
        for (separator, value) in [
            ('-', civil.month()),
            ('-', civil.day()),
            ('T', civil.hour()),
            (':', civil.minute()),
            (':', civil.second()),
        ] {
            text.push(separator);
            push_digits(&mut text, part(value), 2);
        }
        if micros != 0 {
            text.push('.');
            push_digits(&mut text, micros.unsigned_abs(), 6);
        }
        text.push_str("+00:00");
        text
    }

    fn civil(self) -> jiff::civil::DateTime {
        let timestamp =
            jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        jiff::tz::Offset::UTC.to_datetime(timestamp)
    }
}

/// Adds the last `count` digits of `value`.
fn push_digits(text: &mut String, value: u64, count: u32) {
    for place in (0..count).rev() {
        let digit = value / 10_u64.pow(place) % 10;
        text.push(char::from_digit(digit as u32, 10).unwrap_or('0'));
    }
}

impl Timespan {
    /// A span of `ns` nanoseconds.
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// A span of whole seconds; saturates.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NS_PER_SECOND))
    }

    /// Nanoseconds.
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// Seconds as the REST API shows granularities.
    #[expect(clippy::cast_precision_loss, reason = "spans beyond 2^53 ns keep 15 digits, as upstream's do")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Rendered as Python renders a timedelta: `[D day[s], ]H:MM:SS[.ffffff]`.
    pub fn timedelta(self) -> String {
        let micros = self.0.div_euclid(1000);
        let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
        let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
        let mut text = match days {
            0 => String::new(),
            1 | -1 => format!("{days} day, "),
            _ => format!("{days} days, "),
        };
        text.push_str(&format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
        if fraction != 0 {
            text.push_str(&format!(".{fraction:06}"));
        }
        text
    }
}

/// `seconds` in nanoseconds, truncated; nothing where 64 bits do not hold them.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole_ns(seconds: f64) -> Option<i64> {
    let ns = seconds * 1e9;
    (ns.abs() < 9.223_372_036_854_775e18).then_some(ns as i64)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.isoformat())
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.timedelta())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_as_python() {
        for (ns, expected) in [
            (300 * NS_PER_SECOND, "0:05:00"),
            (30 * 86_400 * NS_PER_SECOND, "30 days, 0:00:00"),
            (86_400 * NS_PER_SECOND, "1 day, 0:00:00"),
            (3_600_000_000, "0:00:03.600000"),
            (3600 * NS_PER_SECOND, "1:00:00"),
        ] {
            assert_eq!(Timespan::from_ns(ns).timedelta(), expected);
        }
        assert_eq!(
            Timestamp::from_ns(1_388_714_522 * NS_PER_SECOND).isoformat(),
            "2014-01-03T02:02:02+00:00"
        );
        assert_eq!(Timestamp::from_ns(123_456_789).isoformat(), "1970-01-01T00:00:00.123456+00:00");
        assert_eq!(Timestamp::from_ns(-1).isoformat(), "1969-12-31T23:59:59.999999+00:00");
        assert_eq!(Timestamp::from_ns(i64::MIN).isoformat(), "1677-09-21T00:12:43.145224+00:00");
        assert_eq!(Timestamp::from_ns(i64::MAX).isoformat(), "2262-04-11T23:47:16.854775+00:00");
    }

    #[test]
    fn floors_before_the_epoch_too() {
        let width = Timespan::from_seconds(60);
        assert_eq!(Timestamp::from_ns(-1).floor(width).ns(), -60 * NS_PER_SECOND);
        assert_eq!(Timestamp::from_ns(61 * NS_PER_SECOND).floor(width).ns(), 60 * NS_PER_SECOND);
    }
}
