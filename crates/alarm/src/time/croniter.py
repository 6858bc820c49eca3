#!/usr/bin/env python3
"""Makes croniter.tsv: what croniter 7.0.0, and upstream's use of it, says about random cron texts and times.

    pip install croniter==7.0.0 && python croniter.py > croniter.tsv
"""
import datetime
import random
import zoneinfo

from croniter import croniter

RND = random.Random(5)
UTC = datetime.timezone.utc
ZONES = ["", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo",
         "Africa/Casablanca"]
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()
# Changes of the clocks, around which it matters.
CHANGES = [("Europe/Berlin", "2026-03-29T01:00"), ("Europe/Berlin", "2026-10-25T01:00"),
           ("America/New_York", "2026-03-08T07:00"), ("America/New_York", "2026-11-01T06:00"),
           ("Australia/Lord_Howe", "2026-04-04T15:00"), ("Australia/Lord_Howe", "2026-10-03T15:30"),
           ("Africa/Casablanca", "2026-02-15T02:00"), ("Africa/Casablanca", "2026-03-22T02:00"),
           ("America/Sao_Paulo", "2018-11-04T03:00"), ("America/Sao_Paulo", "2018-02-18T02:00")]
FIXED = ["0 11 * * *", "3-57/2 3-12/2 * * *", "0 0 31 * *", "0 12 31 * *", "30 2 * * *", "0 2 * * sun", "*/15 * * * *",
         "0 0 29 2 *", "0 0 31 2 *", "30 1 * * *", "0 * * * *", "15 2 * 3,10 sun", "0 0 1 * fri", "0 0 31 2 fri",
         "0 0 31 2 fri#2", "0 0 15w * fri", "59 23 31 12 *", "0 0 * apr-jan *", "0 0 * * fri-mon", "0 0 * nov-feb/2 *",
         "59/15 * * * *", "5-5/3 * * * *", "0 0 1 1 * 30", "0 0 1 1 * 30 2027", "0 0 * * 1-7", "0 0 1-31 * 1",
         "0 0 1-31 * *", "0 0 */2 * mon"]
MOMENTS = ["2026-03-29T00:59:30", "2026-10-25T00:30:00", "2026-07-31T10:59:30", "2026-07-31T11:00:00",
           "2026-07-31T11:00:30.5", "2024-02-29T00:00:00"]


def within(start, zone, duration, now):
    """Upstream's rule for a time constraint."""
    local = now.astimezone(zoneinfo.ZoneInfo(zone)) if zone else now
    cron = croniter(start, local)
    cron.get_prev()
    exact = abs((local - cron.get_next(datetime.datetime)).total_seconds()) < 60
    latest = croniter(start, local).get_prev(datetime.datetime)
    return exact or latest <= local <= latest + datetime.timedelta(seconds=duration)


def micros(moment):
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(microseconds=1)


def item(low, high, names):
    def value():
        number = RND.randint(low, high)
        return names[number - low] if names and RND.random() < 0.4 else str(number)

    kind = RND.random()
    if kind < 0.45:
        return value()
    if kind < 0.65:
        return value() + "-" + value()
    if kind < 0.75:
        return "*/%d" % RND.randint(1, high)
    if kind < 0.85:
        return "%s/%d" % (value(), RND.randint(1, high))
    if kind < 0.95:
        return "%s-%s/%d" % (value(), value(), RND.randint(1, 9))
    return "*"


def field(low, high, names=None, star=0.4):
    if RND.random() < star:
        return "*"
    return ",".join(item(low, high, names) for _ in range(RND.choice([1, 1, 1, 2, 3])))


def text():
    if RND.random() < 0.04:
        return RND.choice(["@yearly", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@annually", "@reboot",
                           "@Daily"])
    fields = [field(0, 59, star=0.2), field(0, 23), field(1, 31, star=0.6), field(1, 12, MONTHS, 0.7),
              field(0, 7, WEEKDAYS + ["7"], 0.6)]
    special = RND.random()
    if special < 0.05:
        fields[2] = RND.choice(["l", "L", "15w", "W1", "1w", "31w", "l,15", "?", "1-l", "10-L/3"])
    elif special < 0.12:
        fields[4] = RND.choice(["fri#2", "1#5", "l5", "L1", "mon#1,wed#3", "?", "sun#1", "5#3", "l0", "7#2",
                                "mon-fri#1", "1,fri#2", "1#7", "sat#5"])
    if RND.random() < 0.15:
        fields.append(field(0, 59, star=0.2))
        if RND.random() < 0.3:
            fields.append(RND.choice(["2026", "2025-2030", "*", "1999", "2024,2027", "2026/2", "1970-2099/4"]))
    if RND.random() < 0.03:
        fields = fields[:RND.randint(1, 4)]
    if RND.random() < 0.04:
        fields[RND.randrange(len(fields))] = RND.choice(
            ["60", "x", "-1", "1-", "h", "5-3-1", "*/0", "1/0", "99-100", "jan", "1..2", "", "**", "mon-xyz", "0", "?"])
    return " ".join(fields)


def tell(start, zone, duration, now):
    try:
        croniter(start)
    except ValueError as error:
        print("bad", start, str(error).split("\n")[0], sep="\t")
        return
    local = now.astimezone(zoneinfo.ZoneInfo(zone)) if zone else now

    def found(method):
        try:
            return micros(getattr(croniter(start, local), method)(datetime.datetime))
        except ValueError:
            return "-"

    try:
        holds = str(within(start, zone, duration, now)).lower()
    except ValueError:
        holds = "-"
    print("at", start, zone, duration, micros(now), found("get_prev"), found("get_next"), holds, sep="\t")


def main():
    print("# What croniter 7.0.0 (and upstream's use of it) says: bad TEXT ERROR, or at TEXT ZONE DURATION_SECONDS NOW"
          " PREVIOUS NEXT WITHIN; times in microseconds.")
    for start in FIXED:
        for zone in ["", "Europe/Berlin"]:
            for moment in MOMENTS:
                now = datetime.datetime.fromisoformat(moment + "+00:00")
                tell(start, zone, RND.choice([0, 60, 3600, 86400]), now)
    for _ in range(1100):
        start = text()
        if RND.random() < 0.4:
            zone, change = RND.choice(CHANGES)
            change = datetime.datetime.fromisoformat(change + ":00+00:00")
            now = change + datetime.timedelta(seconds=RND.randint(-90000, 90000))
        else:
            zone = RND.choice(ZONES)
            now = datetime.datetime(2015, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=RND.randint(0, 20 * 365 * 86400))
        if RND.random() < 0.3:
            now = now.replace(second=0)
        if RND.random() < 0.3:
            now += datetime.timedelta(microseconds=RND.randint(0, 999999))
        tell(start, zone, RND.choice([0, 1, 60, 600, 3600, 7200, 86400]), now)


main()
