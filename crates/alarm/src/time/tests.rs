//! Against croniter's own answers, and the cases of upstream's tests.

use jiff::civil::DateTime;

use super::*;

fn time(text: &str) -> Timestamp {
    let wall: DateTime = text.parse().unwrap();
    let instant = TimeZone::UTC.to_timestamp(wall).unwrap();
    Timestamp::from_micros(instant.as_microsecond())
}

fn constraint(start: &str, duration_seconds: i64, timezone: &str) -> TimeConstraint {
    TimeConstraint {
        name: "t".to_owned(),
        description: String::new(),
        start: start.to_owned(),
        duration_seconds,
        timezone: timezone.to_owned(),
    }
}

#[test]
fn as_croniter() {
    let mut wrong = Vec::new();
    for line in include_str!("croniter.tsv").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let fine = match *columns.as_slice() {
            ["bad", text, error] => {
                let ours = Cron::parse(text).map_err(|error| error.to_string());
                ours.is_err_and(|ours| error.starts_with(&ours))
            }
            ["at", text, zone_name, duration, now, previous, next, within] => {
                let (cron, zone) = (Cron::parse(text), zone(zone_name).unwrap());
                let now = Timestamp::from_micros(now.parse().unwrap());
                let moment = Moment::at(now, &zone).unwrap();
                let shown = |found: Option<Moment>| {
                    found.map_or_else(|| "-".to_owned(), |found| found.micros().to_string())
                };
                let windows = Windows::new(&[constraint(text, duration.parse().unwrap(), zone_name)]);
                let holds = windows.as_ref().is_ok_and(|windows| windows.hold(now));
                cron.is_ok_and(|cron| {
                    shown(cron.previous(&moment, &zone)) == previous
                        && shown(cron.next(&moment, &zone)) == next
                }) && (within == "-" || holds.to_string() == within)
            }
            _ => false,
        };
        if !fine {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn without_constraints_always() {
    assert!(Windows::default().hold(time("2014-01-01T00:00:00")));
}

#[test]
fn windows_open_up_to_a_minute_early_and_close_on_time() {
    let windows = Windows::new(&[constraint("0 11 * * *", 0, "")]).unwrap();
    for (now, holds) in [
        ("2014-01-01T10:59:00", false),
        ("2014-01-01T10:59:01", true),
        ("2014-01-01T10:59:30", true),
        ("2014-01-01T11:00:00", true),
        ("2014-01-01T11:00:30", false),
    ] {
        assert_eq!(windows.hold(time(now)), holds, "{now}");
    }
    let hour = Windows::new(&[constraint("0 11 * * *", 3600, "")]).unwrap();
    assert!(hour.hold(time("2014-01-01T12:00:00")) && !hour.hold(time("2014-01-01T12:00:01")));
}

#[test]
fn one_constraint_that_holds_is_enough_and_zones_count() {
    let both = [constraint("0 11 * * *", 3600, ""), constraint("0 12 * * *", 3600, "Europe/Ljubljana")];
    let windows = Windows::new(&both).unwrap();
    for (now, holds) in
        [("2014-01-01T10:30:00", false), ("2014-01-01T11:30:00", true), ("2014-01-01T12:30:00", false)]
    {
        assert_eq!(windows.hold(time(now)), holds, "{now}");
    }
    let summer = Windows::new(&both[1..]).unwrap();
    assert!(summer.hold(time("2014-07-01T10:30:00")) && !summer.hold(time("2014-07-01T11:30:00")));
}

#[test]
fn what_is_wrong_is_told_in_upstreams_words() {
    let error = |start, zone| Windows::new(&[constraint(start, 1, zone)]).unwrap_err().to_string();
    assert_eq!(error("0 11 * * *", "Mars/Olympus"), "Timezone Mars/Olympus is not valid");
    assert_eq!(error("0 11 * * *", "europe/berlin"), "Timezone europe/berlin is not valid");
    assert_eq!(error("11 * *", ""), "Exactly 5, 6 or 7 columns has to be specified for iterator expression.");
}

#[test]
fn stored_constraints_that_cannot_be_understood_never_hold() {
    assert!(Windows::of_stored(&[constraint("x", 1, "")]).is_none());
    assert!(Windows::of_stored(&[]).is_some());
    let some = Windows::of_stored(&[constraint("* * * * *", 60, ""), constraint("x", 1, "")]).unwrap();
    assert!(some.hold(time("2014-01-01T00:00:00")));
}

#[test]
fn a_random_value_stays() {
    let cron = Cron::parse("R R(2-5) * * *").unwrap();
    assert_eq!(cron, Cron::parse("R R(2-5) * * *").unwrap());
    for (text, error) in [
        ("R(5-2) * * * *", "Range end must be greater than range begin"),
        ("R(0-99) * * * *", "[r(0-99)] is not acceptable, out of range"),
        ("R/0 * * * *", "Bad expression: r/0"),
        ("H * * * *", "Hashed definitions must include hash_id"),
    ] {
        assert_eq!(Cron::parse(text).unwrap_err().to_string(), error);
    }
    assert!(Cron::parse("R/15 R(2-20)/3 R * *").is_ok());
}
