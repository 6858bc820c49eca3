//! The times that a cron text names, before and after a point in time, across changes of the clocks, as croniter finds
//! them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Span;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use nephometer_model::Timestamp;

use super::cron::{Cron, DAY, Field, MONTH, Nth, WEEKDAY};

const MINUTE: usize = 0;
const HOUR: usize = 1;
const SECOND: usize = 5;
const YEAR: usize = 6;

/// Further away than this there is nothing to be found.
const MAX_YEARS: i16 = 50;

/// A point in time as a clock of some zone shows it; whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moment {
    wall: DateTime,
    offset: Offset,
}

impl Moment {
    /// `now` on a clock of `zone`.
    pub(super) fn at(now: Timestamp, zone: &TimeZone) -> Option<Self> {
        let instant = jiff::Timestamp::from_microsecond(now.ns().div_euclid(1000)).ok()?;
        let offset = zone.to_offset(instant);
        Some(Self { wall: offset.to_datetime(instant), offset })
    }

    /// Nanoseconds that a clock on the wall shows to have passed since `earlier`.
    pub(super) fn wall_ns_since(&self, earlier: &Self) -> i128 {
        self.wall.duration_since(earlier.wall).as_nanos()
    }

    /// Microseconds since the epoch.
    #[cfg(test)]
    pub(super) fn micros(&self) -> i64 {
        self.offset.to_timestamp(self.wall).unwrap().as_microsecond()
    }

    /// What a clock that never changes shows.
    fn instant(&self) -> DateTime {
        self.wall.saturating_sub(Span::new().seconds(self.offset.seconds()))
    }
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Back,
    Forward,
}

impl Way {
    /// Whether `a` lies further that way than `b`.
    fn further<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        if self == Self::Back { a < b } else { a > b }
    }
}

fn next_day(date: Date, way: Way) -> Option<Date> {
    if way == Way::Back { date.yesterday().ok() } else { date.tomorrow().ok() }
}

fn next_month(date: Date, way: Way) -> Option<Date> {
    next_day(if way == Way::Back { date.first_of_month() } else { date.last_of_month() }, way)
}

/// The working day of a month that is nearest to `day`, in the same month.
fn nearest_working_day(date: Date, day: u32) -> i8 {
    let last = date.days_in_month();
    let day = i8::try_from(day).map_or(last, |day| day.min(last));
    let weekday = date.with().day(day).build().map_or(0, |date| date.weekday().to_monday_zero_offset());
    match weekday {
        5 if day > 1 => day - 1,
        5 => day + 2,
        6 if day < last => day + 1,
        6 => day - 2,
        _ => day,
    }
}

/// The values that a field allows, from `from` on that way.
fn values(field: &Field, from: u32, max: u32, way: Way) -> Vec<u32> {
    let fits = |value: &u32| field.allows(*value);
    match way {
        Way::Back => (0..=from.min(max)).rev().filter(fits).collect(),
        Way::Forward => (from..=max).filter(fits).collect(),
    }
}

impl Cron {
    /// The last time that the text names before `now`; nothing where there is none within fifty years.
    pub(super) fn previous(&self, now: &Moment, zone: &TimeZone) -> Option<Moment> {
        self.found(now, zone, Way::Back)
    }

    /// The first time that the text names after `now`; nothing where there is none within fifty years.
    pub(super) fn next(&self, now: &Moment, zone: &TimeZone) -> Option<Moment> {
        self.found(now, zone, Way::Forward)
    }

    /// Day and weekday both restricted mean either; a `#` or `W` holds on both sides.
    fn found(&self, now: &Moment, zone: &TimeZone, way: Way) -> Option<Moment> {
        if self.fields[DAY].any || self.fields[WEEKDAY].any {
            return self.found_by(now, zone, way);
        }
        let without = |field: usize| {
            let mut cron = self.clone();
            cron.fields[field] = Field { any: true, ..Field::default() };
            cron.found_by(now, zone, way)
        };
        let (by_day, by_weekday) = (without(WEEKDAY), without(DAY));
        let separate = self.nth.is_empty() && self.nearest_weekday.is_none();
        match (by_day, by_weekday) {
            (Some(a), Some(b)) => Some(if way.further(&a.wall, &b.wall) { b } else { a }),
            (one, other) if separate => one.or(other),
            _ => None,
        }
    }

    fn found_by(&self, now: &Moment, zone: &TimeZone, way: Way) -> Option<Moment> {
        let mut wall = self.after(now.wall, way)?;
        let (mut found, mut exists) = on_clock(wall, now, zone, way)?;
        let follows = |moment: &Moment| way.further(&moment.instant(), &now.instant());
        if !exists && (!follows(&found) || self.fields[HOUR].any) {
            while !exists {
                wall = self.after(wall, way)?;
                (found, exists) = on_clock(wall, now, zone, way)?;
            }
        }
        if found.offset == now.offset {
            return Some(found);
        }
        // The clocks change between: by the other offset something may lie nearer.
        let change = found.offset.seconds() - now.offset.seconds();
        let wall = self.after(now.wall.checked_add(Span::new().seconds(change)).ok()?, way)?;
        let (other, exists) = on_clock(wall, now, zone, way)?;
        let nearer = exists && follows(&other) && way.further(&found.instant(), &other.instant());
        Some(if nearer { other } else { found })
    }

    /// The first time on the wall that the text names after `wall` that way.
    fn after(&self, wall: DateTime, way: Way) -> Option<DateTime> {
        let unit = if self.has_seconds() { Span::new().seconds(1) } else { Span::new().minutes(1) };
        let from = match way {
            Way::Back => wall.checked_sub(Span::new().microseconds(1)),
            Way::Forward => wall.checked_add(unit),
        }
        .ok()?;
        let second = if self.has_seconds() { from.second() } else { 0 };
        let from = from.with().second(second).subsec_nanosecond(0).build().ok()?;
        if let Some(found) = self.on_day(from.date(), Some(from), way) {
            return Some(found);
        }
        let mut date = next_day(from.date(), way)?;
        while (date.year() - from.year()).abs() <= MAX_YEARS {
            if !self.month_fits(date)? {
                date = next_month(date, way)?;
                continue;
            }
            if let Some(found) = self.on_day(date, None, way) {
                return Some(found);
            }
            date = next_day(date, way)?;
        }
        None
    }

    /// Whether year and month are allowed; nothing (an unusable date) cannot be.
    fn month_fits(&self, date: Date) -> Option<bool> {
        let year = u32::try_from(date.year()).ok()?;
        let month = u32::try_from(date.month()).ok()?;
        Some(self.fields[MONTH].allows(month) && self.fields.get(YEAR).is_none_or(|years| years.allows(year)))
    }

    fn day_fits(&self, date: Date) -> bool {
        let day = u32::try_from(date.day()).unwrap_or(0);
        let days = &self.fields[DAY];
        let day_fits = match self.nearest_weekday {
            Some(wanted) => nearest_working_day(date, wanted) == date.day(),
            None => days.allows(day) || (days.last && date.day() == date.days_in_month()),
        };
        let weekday = u32::try_from(date.weekday().to_sunday_zero_offset()).unwrap_or(0);
        let weekday_fits = match self.nth.is_empty() {
            true => self.fields[WEEKDAY].allows(weekday),
            false => nth_fits(&self.nth, weekday, date),
        };
        day_fits && weekday_fits
    }

    /// The first time of a day, or from `from` on, that way.
    fn on_day(&self, date: Date, from: Option<DateTime>, way: Way) -> Option<DateTime> {
        if !self.month_fits(date)? || !self.day_fits(date) {
            return None;
        }
        let part = |value: i8| u32::try_from(value).unwrap_or(0);
        let end = |max: u32| if way == Way::Back { max } else { 0 };
        let (first_hour, first_minute, first_second) = from.map_or((end(23), end(59), end(59)), |from| {
            (part(from.hour()), part(from.minute()), part(from.second()))
        });
        for hour in values(&self.fields[HOUR], first_hour, 23, way) {
            let same_hour = hour == first_hour;
            let from_minute = if same_hour { first_minute } else { end(59) };
            for minute in values(&self.fields[MINUTE], from_minute, 59, way) {
                let same_minute = same_hour && minute == first_minute;
                let from_second = if same_minute { first_second } else { end(59) };
                let second = match self.fields.get(SECOND) {
                    Some(field) => values(field, from_second, 59, way).first().copied(),
                    None => Some(0),
                };
                if let Some(second) = second {
                    let [hour, minute, second] = [hour, minute, second].map(|value| i8::try_from(value).ok());
                    return Some(date.at(hour?, minute?, second?, 0));
                }
            }
        }
        None
    }
}

fn nth_fits(nth: &BTreeMap<u32, BTreeSet<Nth>>, weekday: u32, date: Date) -> bool {
    let Some(wanted) = nth.get(&weekday) else { return false };
    let number = u32::try_from((date.day() - 1) / 7 + 1).unwrap_or(0);
    let last = date.day() + 7 > date.days_in_month();
    wanted.contains(&Nth::Of(number)) || (last && wanted.contains(&Nth::Last))
}

/// A time on the wall as a point in time, and whether the clock ever shows it: where it does not, the first that it shows
/// after. Of two with the same time the nearer to `now` that follows it.
fn on_clock(wall: DateTime, now: &Moment, zone: &TimeZone, way: Way) -> Option<(Moment, bool)> {
    let mut shown = wall;
    let mut exists = true;
    loop {
        let offset = match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { .. } => {
                exists = false;
                shown = shown.checked_add(Span::new().minutes(1)).ok()?;
                continue;
            }
            AmbiguousOffset::Fold { before, after } => {
                let (near, far) = if way == Way::Back { (after, before) } else { (before, after) };
                let moment = Moment { wall: shown, offset: near };
                if way.further(&moment.instant(), &now.instant()) { near } else { far }
            }
        };
        return Some((Moment { wall: shown, offset }, exists));
    }
}
