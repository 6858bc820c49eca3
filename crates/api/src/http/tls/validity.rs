//! From when to when a certificate is good. rustls checks that of others but does not tell it of one's own, and a parser
//! of all of X.509 would be a dozen crates for two dates.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A certificate should have been renewed when less than this is left of it, in seconds (three weeks),
const ENDING_SECONDS: i64 = 21 * 86_400;
/// or less than this part of its life, where that is shorter.
const ENDING_SHARE: i64 = 5;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when to when a certificate is good, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before_seconds: i64,
    /// Its last second.
    pub not_after_seconds: i64,
}

impl Validity {
    /// That of a certificate in DER (RFC 5280, section 4.1).
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (tag, whole, _) = element(certificate)?;
        let (inner_tag, mut rest, _) = element(whole)?;
        if (tag, inner_tag) != (SEQUENCE, SEQUENCE) {
            return None;
        }
        if rest.first() == Some(&VERSION) {
            rest = element(rest)?.2;
        }
        // Serial number, algorithm of the signature, issuer.
        for _ in 0..3 {
            rest = element(rest)?.2;
        }
        let (SEQUENCE, times, _) = element(rest)? else { return None };
        let (tag, not_before, rest) = element(times)?;
        let not_before_seconds = seconds(tag, not_before)?;
        let (tag, not_after, _) = element(rest)?;
        Some(Self { not_before_seconds, not_after_seconds: seconds(tag, not_after)? })
    }

    /// Whether it is good now.
    pub fn contains(&self, now_seconds: i64) -> bool {
        (self.not_before_seconds..=self.not_after_seconds).contains(&now_seconds)
    }

    /// Whether it should have been renewed by now.
    pub fn is_ending(&self, now_seconds: i64) -> bool {
        let life = self.not_after_seconds.saturating_sub(self.not_before_seconds);
        self.not_after_seconds.saturating_sub(now_seconds) < ENDING_SECONDS.min(life / ENDING_SHARE)
    }

    /// Its first second as text.
    pub fn not_before(&self) -> String {
        text(self.not_before_seconds)
    }

    /// Its last second as text.
    pub fn not_after(&self) -> String {
        text(self.not_after_seconds)
    }
}

/// Tag and content of the element that `bytes` begin with, and what comes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn seconds(tag: u8, content: &[u8]) -> Option<i64> {
    let digits = content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0_i16, |n, digit| n * 10 + i16::from(digit - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = number(&digits[..2]);
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let mut pairs = rest.chunks(2).map(|pair| i8::try_from(number(pair)).unwrap_or(i8::MAX));
    let mut next = || pairs.next();
    let when = DateTime::new(year, next()?, next()?, next()?, next()?, next()?, 0).ok()?;
    // The last day of 9999 stands for "no end", and is more than a timestamp holds.
    Some(when.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()).as_second())
}

fn text(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (GENERALIZED_TIME, "20261120010203Z", Some(1_795_136_523)),
            (GENERALIZED_TIME, "99991231235959Z", Some(Timestamp::MAX.as_second())),
            (GENERALIZED_TIME, "20261320010203Z", None),
            (GENERALIZED_TIME, "20261120010203", None),
            (UTC_TIME, "20261120010203Z", None),
            (UTC_TIME, "7001010000-0Z", None),
        ] {
            assert_eq!(seconds(tag, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn whatever_the_bytes_nothing_panics() {
        proptest::proptest!(|(bytes: Vec<u8>)| { let _ = Validity::of(&bytes); });
        assert_eq!(Validity::of(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn an_end_is_near_in_measure_of_the_life() {
        let day = 86_400;
        let year = Validity { not_before_seconds: 0, not_after_seconds: 365 * day };
        assert!(!year.is_ending(340 * day) && year.is_ending(345 * day));
        let week = Validity { not_before_seconds: 0, not_after_seconds: 7 * day };
        assert!(!week.is_ending(5 * day) && week.is_ending(6 * day));
        assert!(year.contains(0) && year.contains(365 * day) && !year.contains(366 * day));
    }
}
