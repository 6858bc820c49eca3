//! Points on the wire: `["2015-03-06T14:33:57+00:00", 60.0, 43.1]`, written without a tree in between.

use nephometer_metric::Grouping;
use nephometer_model::time::NS_PER_SECOND;

use crate::json::{two_digits, write_f64, write_str};

const SECONDS_PER_DAY: i64 = 86_400;

/// A row's beginning up to its granularity; date and time are filled in.
const BLANK: &[u8] = b", [\"0000-00-00T00:00:00+00:00\", ";
/// Room for that and the longest granularity. Copies of a fixed length cost less than exact ones.
const HEAD_BYTES: usize = 64;
/// Where in it are the comma's end, the date and the time of day.
const ROW: usize = 2;
const DATE: usize = 4;
const TIME: usize = 15;

/// Writes the rows of a series. Neighbouring timestamps share most of their text: only what may differ is renewed.
pub(super) struct RowWriter {
    /// Of the latest row: all before its value, then nothing of use.
    head: [u8; HEAD_BYTES],
    head_len: usize,
    /// Days since the epoch that the date in `head` stands for.
    day: i64,
}

impl RowWriter {
    pub(super) fn new() -> Self {
        let mut writer = Self { head: [b' '; HEAD_BYTES], head_len: 0, day: 0 };
        writer.head[..BLANK.len()].copy_from_slice(BLANK);
        writer.set_day(0);
        writer
    }

    /// Rows are of this granularity from now on: seconds, or the letter of a period of the calendar.
    pub(super) fn begin(&mut self, granularity: Grouping) {
        let mut text = Vec::with_capacity(HEAD_BYTES);
        match granularity {
            Grouping::Span(span) => write_f64(&mut text, span.seconds()),
            Grouping::Calendar(calendar) => write_str(&mut text, calendar.letter()),
        }
        text.extend_from_slice(b", ");
        self.head_len = BLANK.len() + text.len();
        self.head[BLANK.len()..self.head_len].copy_from_slice(&text);
    }

    /// Writes the row of one point; a comma before it unless it is the `first` of a list.
    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, timestamp_ns: i64, value: f64, first: bool) {
        self.set_time(timestamp_ns);
        if first {
            out.extend_from_slice(&self.head[ROW..self.head_len]);
        } else {
            let end = out.len() + self.head_len;
            out.extend_from_slice(&self.head);
            out.truncate(end);
        }
        write_f64(out, value);
        out.push(b']');
    }

    /// In whole seconds, as upstream shows the timestamps of measures.
    #[inline]
    fn set_time(&mut self, timestamp_ns: i64) {
        let seconds = timestamp_ns.div_euclid(NS_PER_SECOND);
        let mut second = seconds.wrapping_sub(self.day * SECONDS_PER_DAY);
        if !(0..SECONDS_PER_DAY).contains(&second) {
            second = seconds.rem_euclid(SECONDS_PER_DAY);
            self.set_day(seconds.div_euclid(SECONDS_PER_DAY));
        }
        let second = second as u32;
        let minute = second / 60;
        let clock = &mut self.head[TIME..TIME + 8];
        clock[..2].copy_from_slice(&two_digits((minute / 60).into()));
        clock[3..5].copy_from_slice(&two_digits((minute % 60).into()));
        clock[6..].copy_from_slice(&two_digits((second % 60).into()));
    }

    #[cold]
    fn set_day(&mut self, day: i64) {
        self.day = day;
        let (year, month, day) = civil(day);
        let date = &mut self.head[DATE..DATE + 10];
        date[..2].copy_from_slice(&two_digits(year / 100));
        date[2..4].copy_from_slice(&two_digits(year));
        date[5..7].copy_from_slice(&two_digits(month));
        date[8..].copy_from_slice(&two_digits(day));
    }
}

/// Year, month and day of the Gregorian calendar, `day` days after the epoch. 64 bits of nanoseconds stay within the
/// years 1677 to 2262. Years are counted from March here, so that a leap day is the last of its year.
fn civil(day: i64) -> (u64, u64, u64) {
    /// Days from the first of March of year 0 to the epoch.
    const EPOCH: i64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = day.saturating_add(EPOCH).max(0).cast_unsigned();
    let (era, of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month < 3), month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use nephometer_metric::Calendar;
    use nephometer_model::{Timespan, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn row(writer: &mut RowWriter, timestamp_ns: i64, value: f64, first: bool) -> String {
        let mut out = Vec::new();
        writer.write(&mut out, timestamp_ns, value, first);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_look_like_upstreams() {
        let mut writer = RowWriter::new();
        writer.begin(Grouping::Span(Timespan::from_seconds(60)));
        let at = 1_425_652_437 * NS_PER_SECOND + 999_999_999;
        assert_eq!(row(&mut writer, at, 43.1, true), r#"["2015-03-06T14:33:57+00:00", 60.0, 43.1]"#);
        assert_eq!(row(&mut writer, at, 43.1, false), r#", ["2015-03-06T14:33:57+00:00", 60.0, 43.1]"#);
        writer.begin(Grouping::Calendar(Calendar::Week));
        assert_eq!(row(&mut writer, 0, f64::NAN, true), r#"["1970-01-01T00:00:00+00:00", "W", NaN]"#);
        assert_eq!(row(&mut writer, -1, 1.0, true), r#"["1969-12-31T23:59:59+00:00", "W", 1.0]"#);
    }

    #[test]
    fn every_day_has_its_date() {
        let days = i64::MIN.div_euclid(SECONDS_PER_DAY * NS_PER_SECOND) + 1
            ..=i64::MAX.div_euclid(SECONDS_PER_DAY * NS_PER_SECOND);
        for day in days {
            let (year, month, of_month) = civil(day);
            let expected = Timestamp::from_ns(day * SECONDS_PER_DAY * NS_PER_SECOND).isoformat();
            assert_eq!(format!("{year:04}-{month:02}-{of_month:02}T00:00:00+00:00"), expected);
        }
    }

    proptest! {
        #[test]
        fn times_are_isoformat(start: i64, steps in prop::collection::vec(prop_oneof![Just(1_i64), -100..100_000_i64, any::<i64>()], 1..20)) {
            let mut writer = RowWriter::new();
            writer.begin(Grouping::Span(Timespan::from_seconds(1)));
            let mut at = start;
            for step in steps {
                at = at.wrapping_add(step.wrapping_mul(NS_PER_SECOND));
                let seconds = at.div_euclid(NS_PER_SECOND);
                // The first second of all begins before 64 bits of nanoseconds do.
                if let Some(whole_ns) = seconds.checked_mul(NS_PER_SECOND) {
                    let expected = format!("[\"{}\", 1.0, 0.5]", Timestamp::from_ns(whole_ns).isoformat());
                    prop_assert_eq!(row(&mut writer, at, 0.5, true), expected);
                }
            }
        }
    }
}
