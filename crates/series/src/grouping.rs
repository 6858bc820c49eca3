//! Spans of time that become one point: equal widths counted from the epoch, or periods of the calendar.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::Offset;
use nephometer_model::Timespan;

const NS_PER_DAY: i64 = 86_400_000_000_000;

/// Periods of the Gregorian calendar in UTC. (Gnocchi's REST behaviour, `resample` of measures.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Calendar {
    /// `Y`: from the first of January.
    Year,
    /// `H`: from the first of January or July.
    HalfYear,
    /// `Q`: from the first of January, April, July or October.
    Quarter,
    /// `M`: from the first of a month.
    Month,
    /// `W`: from Sunday.
    Week,
}

/// How points are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grouping {
    /// Buckets of one width, `[n × width, (n + 1) × width)` from the epoch. The width is positive.
    Span(Timespan),
    /// Periods of the calendar.
    Calendar(Calendar),
}

/// One group: both ends belong to it, in nanoseconds since the epoch, cut at the ends of the 64-bit range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The first nanosecond, which is the timestamp of the group's point.
    pub start_ns: i64,
    /// The last nanosecond.
    pub last_ns: i64,
}

impl Calendar {
    /// The period that upstream calls `letter`.
    pub fn parse(letter: &str) -> Option<Self> {
        Some(match letter {
            "Y" => Self::Year,
            "H" => Self::HalfYear,
            "Q" => Self::Quarter,
            "M" => Self::Month,
            "W" => Self::Week,
            _ => return None,
        })
    }

    /// Upstream's letter.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Year => "Y",
            Self::HalfYear => "H",
            Self::Quarter => "Q",
            Self::Month => "M",
            Self::Week => "W",
        }
    }

    fn group(self, timestamp_ns: i64) -> Group {
        let day = timestamp_ns.div_euclid(NS_PER_DAY);
        let months = match self {
            Self::Week => {
                // Day 0 was a Thursday, the fifth day of a week that starts on Sunday.
                let start = day - (day + 4).rem_euclid(7);
                return Group::of_days(start, start + 7);
            }
            Self::Month => 1,
            Self::Quarter => 3,
            Self::HalfYear => 6,
            Self::Year => 12,
        };
        let date = civil_date(timestamp_ns);
        let first = (date.month() - 1) / months * months + 1;
        let (next_year, next_month) =
            if first + months > 12 { (date.year() + 1, 1) } else { (date.year(), first + months) };
        Group::of_days(day_number(date.year(), first), day_number(next_year, next_month))
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

impl Grouping {
    /// The group that holds `timestamp_ns`.
    pub fn group(self, timestamp_ns: i64) -> Group {
        match self {
            Self::Calendar(calendar) => calendar.group(timestamp_ns),
            Self::Span(width) => {
                let width = width.ns().max(1);
                let into = timestamp_ns.rem_euclid(width);
                Group {
                    start_ns: timestamp_ns.saturating_sub(into),
                    last_ns: timestamp_ns.saturating_add(width - 1 - into),
                }
            }
        }
    }

    /// The group that holds `timestamp_ns`, which is later than `before`; free of division when it follows at once.
    pub(crate) fn group_after(self, before: Group, timestamp_ns: i64) -> Group {
        if let Self::Span(width) = self {
            let width = width.ns().max(1);
            // Later than `before.last_ns`, so that the difference cannot wrap as an unsigned number.
            if timestamp_ns.wrapping_sub(before.last_ns).cast_unsigned() <= width.cast_unsigned() {
                return Group { start_ns: before.last_ns + 1, last_ns: before.last_ns.saturating_add(width) };
            }
        }
        self.group(timestamp_ns)
    }
}

impl From<Timespan> for Grouping {
    fn from(width: Timespan) -> Self {
        Self::Span(width)
    }
}

impl Group {
    /// From the start of day `first` to the end of the day before `next`, days counted from the epoch.
    fn of_days(first: i64, next: i64) -> Self {
        Self {
            start_ns: first.saturating_mul(NS_PER_DAY),
            last_ns: next.checked_mul(NS_PER_DAY).map_or(i64::MAX, |end| end - 1),
        }
    }
}

fn civil_date(timestamp_ns: i64) -> Date {
    let timestamp = jiff::Timestamp::from_nanosecond(i128::from(timestamp_ns))
        .expect("every 64-bit count of nanoseconds lies in the years 1677 to 2262");
    Offset::UTC.to_datetime(timestamp).date()
}

/// Days from the epoch to the first day of a month.
fn day_number(year: i16, month: i8) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.duration_until(jiff::civil::date(year, month, 1)).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calendar() -> impl Strategy<Value = Calendar> {
        prop::sample::select(vec![
            Calendar::Year,
            Calendar::HalfYear,
            Calendar::Quarter,
            Calendar::Month,
            Calendar::Week,
        ])
    }

    fn start(letter: &str, day: &str) -> String {
        let ns = format!("{day}T12:34:56Z").parse::<jiff::Timestamp>().unwrap().as_nanosecond();
        let group = Calendar::parse(letter).unwrap().group(i64::try_from(ns).unwrap());
        civil_date(group.start_ns).to_string()
    }

    #[test]
    fn calendar_periods_start_where_upstream_starts_them() {
        for (letter, day, expected) in [
            ("Y", "2015-12-31", "2015-01-01"),
            ("H", "2015-06-30", "2015-01-01"),
            ("H", "2015-07-01", "2015-07-01"),
            ("Q", "2016-02-29", "2016-01-01"),
            ("Q", "2015-10-06", "2015-10-01"),
            ("M", "2016-02-29", "2016-02-01"),
            ("W", "2015-03-06", "2015-03-01"),
            ("W", "2015-03-07", "2015-03-01"),
            ("W", "2015-03-08", "2015-03-08"),
            ("W", "1969-12-31", "1969-12-28"),
            ("M", "1969-12-31", "1969-12-01"),
        ] {
            assert_eq!(start(letter, day), expected, "{letter} {day}");
        }
        assert_eq!(Calendar::parse("D"), None);
    }

    #[test]
    fn the_ends_of_time_have_groups() {
        for grouping in [Grouping::Calendar(Calendar::Year), Grouping::Span(Timespan::from_seconds(300))] {
            assert_eq!(grouping.group(i64::MIN).start_ns, i64::MIN);
            assert_eq!(grouping.group(i64::MAX).last_ns, i64::MAX);
        }
    }

    proptest! {
        #[test]
        fn groups_tile_the_line(calendar in calendar(), ns: i64) {
            let group = calendar.group(ns);
            prop_assert!(group.start_ns <= ns && ns <= group.last_ns);
            prop_assert_eq!(calendar.group(group.start_ns), group);
            prop_assert_eq!(calendar.group(group.last_ns), group);
            if group.last_ns < i64::MAX {
                prop_assert_eq!(calendar.group(group.last_ns + 1).start_ns, group.last_ns + 1);
            }
        }

        #[test]
        fn the_short_way_to_the_next_group_is_the_long_way(width in 1..i64::MAX, ns: i64, step in 1..i64::MAX) {
            let grouping = Grouping::Span(Timespan::from_ns(width));
            let group = grouping.group(ns);
            prop_assert!(group.start_ns <= ns && ns <= group.last_ns);
            if let Some(later) = group.last_ns.checked_add(step) {
                prop_assert_eq!(grouping.group_after(group, later), grouping.group(later));
            }
        }
    }
}
