//! Points on the wire: `["2015-03-06T14:33:57+00:00", 60.0, 43.1]`, written without a tree in between.

use nephometer_metric::{Grouping, Series};
use nephometer_model::Timestamp;
use nephometer_model::time::NS_PER_SECOND;

use crate::json::{write_f64, write_list, write_str};

const SECONDS_PER_DAY: i64 = 86_400;

/// Writes timestamps in whole seconds, as upstream shows those of measures; remembers the last day.
struct TimeWriter {
    day: Option<i64>,
    /// `"YYYY-MM-DDT`.
    date: Vec<u8>,
}

impl TimeWriter {
    fn new() -> Self {
        Self { day: None, date: Vec::new() }
    }

    fn write(&mut self, out: &mut Vec<u8>, timestamp_ns: i64) {
        let seconds = timestamp_ns.div_euclid(NS_PER_SECOND);
        let (day, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        if self.day != Some(day) {
            self.day = Some(day);
            let midnight =
                Timestamp::from_ns(day.saturating_mul(SECONDS_PER_DAY * NS_PER_SECOND)).isoformat();
            self.date.clear();
            self.date.push(b'"');
            self.date.extend_from_slice(&midnight.as_bytes()[..11]);
        }
        out.extend_from_slice(&self.date);
        let mut clock = *b"00:00:00+00:00\"";
        for (at, field) in [(0, second / 3600), (3, second / 60 % 60), (6, second % 60)] {
            clock[at] += digit(field / 10);
            clock[at + 1] += digit(field % 10);
        }
        out.extend_from_slice(&clock);
    }
}

fn digit(value: i64) -> u8 {
    u8::try_from(value).unwrap_or_default()
}

/// Writes the points of all series as one list of `[timestamp, granularity, value]`.
pub(super) fn write_series(out: &mut Vec<u8>, series: &[Series]) {
    let points: usize = series.iter().map(|series| series.points.len()).sum();
    out.reserve(points * 56 + 2);
    let mut times = TimeWriter::new();
    let mut first = true;
    out.push(b'[');
    for series in series {
        let granularity = granularity(series.granularity);
        for (timestamp_ns, value) in series.points.iter() {
            out.extend_from_slice(if first { b"[" } else { b", [" });
            first = false;
            times.write(out, timestamp_ns);
            out.extend_from_slice(&granularity);
            write_f64(out, value);
            out.push(b']');
        }
    }
    out.push(b']');
}

/// The middle of a triple, separators included: seconds, or the letter of a period of the calendar.
fn granularity(granularity: Grouping) -> Vec<u8> {
    let mut text = b", ".to_vec();
    match granularity {
        Grouping::Span(span) => write_f64(&mut text, span.seconds()),
        Grouping::Calendar(calendar) => write_str(&mut text, calendar.letter()),
    }
    text.extend_from_slice(b", ");
    text
}

/// An object of series by name.
pub(super) fn write_named_series<'a, K: AsRef<str>>(
    out: &mut Vec<u8>,
    named: impl IntoIterator<Item = (K, &'a [Series])>,
) {
    write_entries(out, named, write_series);
}

/// An object whose values `write_value` writes.
pub(super) fn write_entries<K: AsRef<str>, T>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = (K, T)>,
    mut write_value: impl FnMut(&mut Vec<u8>, T),
) {
    let start = out.len();
    write_list(out, entries, |out, (key, value)| {
        write_str(out, key.as_ref());
        out.extend_from_slice(b": ");
        write_value(out, value);
    });
    out[start] = b'{';
    if let Some(last) = out.last_mut() {
        *last = b'}';
    }
}

#[cfg(test)]
mod tests {
    use nephometer_metric::{Calendar, Points};
    use nephometer_model::Timespan;

    use super::*;

    fn written(granularity: Grouping, points: &[(i64, f64)]) -> String {
        let points: Points = points.iter().map(|(second, value)| (second * NS_PER_SECOND, *value)).collect();
        let mut out = Vec::new();
        write_series(&mut out, &[Series { granularity, points }]);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn triples_look_like_upstreams() {
        let minute = Grouping::Span(Timespan::from_seconds(60));
        assert_eq!(
            written(minute, &[(1_425_652_437, 43.1), (1_425_686_400, f64::NAN)]),
            r#"[["2015-03-06T14:33:57+00:00", 60.0, 43.1], ["2015-03-07T00:00:00+00:00", 60.0, NaN]]"#
        );
        let week = Grouping::Calendar(Calendar::Week);
        assert_eq!(written(week, &[(0, 1.0)]), r#"[["1970-01-01T00:00:00+00:00", "W", 1.0]]"#);
        assert_eq!(written(minute, &[]), "[]");
        let mut out = Vec::new();
        write_named_series(&mut out, [("a", &[][..]), ("b\"", &[][..])]);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a": [], "b\"": []}"#);
        let mut out = Vec::new();
        write_named_series::<&str>(&mut out, []);
        assert_eq!(out, b"{}");
    }

    proptest::proptest! {
        #[test]
        fn times_are_isoformat(seconds in 0_i64..9_000_000_000, step in 0_i64..100_000) {
            let mut out = Vec::new();
            let mut writer = TimeWriter::new();
            for seconds in [seconds, seconds + step] {
                out.clear();
                writer.write(&mut out, seconds * NS_PER_SECOND + 5);
                let expected = format!("\"{}\"", Timestamp::from_ns(seconds * NS_PER_SECOND).isoformat());
                proptest::prop_assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
            }
        }
    }
}
