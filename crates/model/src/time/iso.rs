//! ISO 8601 points in time as NumPy reads them, fast for long runs of neighbouring times.

use super::NS_PER_SECOND;

/// Why a text is no usable ISO time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IsoError {
    /// Not in the grammar, or a field out of its range.
    Syntax,
    /// A date that nanoseconds since 1970 in 64 bits cannot hold.
    OutOfRange,
}

/// Reads ISO times; remembers the last date, because a run of measures mostly stays within one day.
///
/// Accepted are `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, then `T` or one space and `HH`, `HH:MM` or `HH:MM:SS` with a fraction
/// of up to 18 digits (nanoseconds are kept), then `Z`, `±HH`, `±HHMM` or `±HH:MM` where there is an hour. Without an
/// offset it is UTC.
#[derive(Debug, Clone, Default)]
pub struct IsoReader {
    date: [u8; 10],
    date_seconds: i64,
}

impl IsoReader {
    /// A reader that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nanoseconds since the epoch for a full date and time with optional fraction and offset; nothing where `text`
    /// is shorter, unusual, wrong or out of range: then the slow grammar decides.
    #[inline]
    pub fn read_ns(&mut self, text: &[u8]) -> Option<i64> {
        if text.len() < 19 || !matches!(text[10], b'T' | b' ') || text[13] != b':' || text[16] != b':' {
            return None;
        }
        if text[..10] != self.date {
            self.remember(text[..10].try_into().ok()?)?;
        }
        let (hour, minute, second) = (two(text, 11)?, two(text, 14)?, two(text, 17)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut at = 19;
        let mut fraction_ns = 0;
        if text.get(at) == Some(&b'.') {
            (fraction_ns, at) = fraction(text, at + 1)?;
        }
        let offset = offset_seconds(&text[at..])?;
        let seconds = self.date_seconds + hour * 3600 + minute * 60 + second - offset;
        seconds.checked_mul(NS_PER_SECOND)?.checked_add(fraction_ns)
    }

    #[cold]
    fn remember(&mut self, date: [u8; 10]) -> Option<()> {
        let dashes = date[4] == b'-' && date[7] == b'-';
        let (year, month, day) = (two(&date, 0)? * 100 + two(&date, 2)?, two(&date, 5)?, two(&date, 8)?);
        if !dashes {
            return None;
        }
        self.date_seconds = days_from_civil(year, month, day)? * 86_400;
        self.date = date;
        Some(())
    }

    /// Any form of the grammar, in nanoseconds since the epoch.
    pub(crate) fn read_any(&mut self, text: &str) -> Result<i64, IsoError> {
        let bytes = text.trim_ascii_start().as_bytes();
        if let Some(ns) = self.read_ns(bytes) {
            return Ok(ns);
        }
        read_slow(bytes)
    }
}

fn read_slow(bytes: &[u8]) -> Result<i64, IsoError> {
    let syntax = IsoError::Syntax;
    let (date, clock) = match bytes.iter().position(|byte| matches!(byte, b'T' | b' ')) {
        Some(at) if at == 10 => (&bytes[..at], Some(&bytes[at + 1..])),
        Some(_) => return Err(syntax),
        None => (bytes, None),
    };
    let field = |at: usize| two(date, at).ok_or(syntax);
    let (year, month, day) = match date.len() {
        4 => (field(0)? * 100 + field(2)?, 1, 1),
        7 if date[4] == b'-' => (field(0)? * 100 + field(2)?, field(5)?, 1),
        10 if date[4] == b'-' && date[7] == b'-' => (field(0)? * 100 + field(2)?, field(5)?, field(8)?),
        _ => return Err(syntax),
    };
    let days = days_from_civil(year, month, day).ok_or(syntax)?;
    let (seconds, fraction_ns) = clock.map_or(Some((0, 0)), read_clock).ok_or(syntax)?;
    (days * 86_400 + seconds)
        .checked_mul(NS_PER_SECOND)
        .and_then(|ns| ns.checked_add(fraction_ns))
        .ok_or(IsoError::OutOfRange)
}

/// Seconds of the day less the offset, and nanoseconds of the second.
fn read_clock(text: &[u8]) -> Option<(i64, i64)> {
    let hour = two(text, 0).filter(|hour| *hour < 24)?;
    let (mut seconds, mut fraction_ns, mut at) = (hour * 3600, 0, 2);
    for weight in [60, 1] {
        if text.get(at) != Some(&b':') {
            break;
        }
        seconds += two(text, at + 1).filter(|field| *field < 60)? * weight;
        at += 3;
        if weight == 1 && text.get(at) == Some(&b'.') {
            (fraction_ns, at) = fraction(text, at + 1)?;
        }
    }
    Some((seconds - offset_seconds(&text[at..])?, fraction_ns))
}

/// Nanoseconds of up to 18 digits from `at`, and where they end.
#[inline]
fn fraction(text: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut ns = 0;
    let mut weight = NS_PER_SECOND / 10;
    let mut end = at;
    while let Some(digit) = text.get(end).filter(|byte| byte.is_ascii_digit()) {
        ns += i64::from(digit - b'0') * weight;
        weight /= 10;
        end += 1;
    }
    (end - at <= 18).then_some((ns, end))
}

/// Seconds east of UTC of what follows a time: nothing, `Z`, `±HH`, `±HHMM`, `±HH:MM`; white space may follow.
#[inline]
fn offset_seconds(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text == b"Z" || text == b"+00:00" {
        return Some(0);
    }
    let text = if matches!(text[0], b'+' | b'-' | b'Z') { text.trim_ascii_end() } else { text };
    let sign = match text[0] {
        b'+' => 1,
        b'-' => -1,
        b'Z' if text.len() == 1 => return Some(0),
        _ => return None,
    };
    let minutes = match text.len() {
        3 => 0,
        5 => two(text, 3)?,
        6 if text[3] == b':' => two(text, 4)?,
        _ => return None,
    };
    let hours = two(text, 1)?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Two digits at `at`.
#[inline]
fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar; nothing where there is no such day.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    // Years counted from March put the leap day last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<i64, IsoError> {
        IsoReader::new().read_any(text)
    }

    #[test]
    fn reads_numpys_forms() {
        let base = 1_425_652_437 * NS_PER_SECOND; // 2015-03-06T14:33:57Z
        for (text, expected) in [
            ("2015-03-06T14:33:57", base),
            ("2015-03-06 14:33:57", base),
            ("2015-03-06T14:33:57.", base),
            ("2015-03-06T14:33:57.123456789", base + 123_456_789),
            ("2015-03-06T14:33:57.5Z", base + 500_000_000),
            ("2015-03-06T16:33:57+02", base),
            ("2015-03-06T16:33:57+0200", base),
            ("2015-03-06T16:33:57+02:00 ", base),
            ("  2015-03-06T12:03:57-02:30", base),
            ("2015-03-06T14:33", base - 57 * NS_PER_SECOND),
            ("2015-03-06T14+02:30", base - (57 + 33 * 60 + 9000) * NS_PER_SECOND),
            ("1970", 0),
            ("2015-03", 1_425_168_000 * NS_PER_SECOND),
            ("2015-03-06", 1_425_600_000 * NS_PER_SECOND),
            ("1969-12-31T23:59:59.9", -100_000_000),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in [
            "2015-3-1",
            "2015-03-06  14",
            "2015-03-06T1433",
            "2015-03-06T14:3",
            "2015-03-06T14:33:60",
            "2015-03-06T24:00",
            "2015-03-06T14:33:57.1234567890123456789",
            "2015-03-06T14:33:57z",
            "2015-03-06T14:33:57 Z",
            "2015-03-06T14:33:57+2",
            "2015-03-06T14:33:57+02:3",
            "2015-03-06Z",
            "2015-03-06 ",
            "2015-03-06T",
            "2015-03-06t14:33",
            "2015-02-29",
            "2015-03-06T14:33:57+24:00",
            "2015-00-10",
            "2015-13-01",
            "2015-",
            "2015-03-",
            "20150306",
            "2015-03-06T14:33:",
            "",
            "now",
        ] {
            assert_eq!(read(text), Err(IsoError::Syntax), "{text}");
        }
        assert_eq!(read("2300-01-01"), Err(IsoError::OutOfRange));
        assert_eq!(read("2262-04-11T23:47:16.854775807"), Ok(i64::MAX));
        assert_eq!(read("2262-04-11T23:47:16.854775808"), Err(IsoError::OutOfRange));
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(seconds in 0_i64..9_000_000_000, ns in 0_i64..NS_PER_SECOND, digits in 0_usize..10) {
            let ns = ns - ns % 10_i64.pow(u32::try_from(9 - digits.min(9)).unwrap());
            let stamp = jiff::Timestamp::new(seconds, i32::try_from(ns).unwrap()).unwrap();
            let mut reader = IsoReader::new();
            for text in [format!("{stamp:.digits$}"), stamp.to_string()] {
                let expected = stamp.as_nanosecond();
                let read = reader.read_ns(text.as_bytes()).map(i128::from);
                prop_assert_eq!(read, Some(expected), "{}", text);
                prop_assert_eq!(read_slow(text.as_bytes()).map(i128::from), Ok(expected));
            }
        }

        #[test]
        fn fast_and_slow_agree(text in "20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?(Z|[+-][0-2][0-9]:?[0-6][0-9])?") {
            prop_assert_eq!(IsoReader::new().read_ns(text.as_bytes()), read_slow(text.as_bytes()).ok());
        }

        #[test]
        fn never_panics(text in "[0-9TZ:. +-]{0,32}") {
            let _ = read(&text);
        }
    }
}
