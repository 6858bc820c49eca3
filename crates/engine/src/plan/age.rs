//! When a part is looked at: whether so much of it has come of age that it is worth writing it again.
//!
//! What comes of age is counted from the newest measure of each series. Of a part whose series are measured all the time
//! it does so when the wall clock has moved on by some policy's span since; of one that was imported, when newer measures
//! of the same series have arrived, whatever the time. So a part is looked at when either clock, that on the wall or the
//! newest measure of its sack, shows that a span has ended; and beyond that ever more seldom, because series may go on
//! at any time. A look takes milliseconds ([`super::share`]); that nothing has come of it is remembered for as long as
//! the program runs.

use std::collections::BTreeSet;

use nephometer_drivers::{PartKind, PartRow};

/// Parts younger than this share of the partition width are left to merge with their like: half a day where that is four.
const YOUTHS_PER_PARTITION: i64 = 8;
/// Looks at one part are this share of the partition width apart, or more: an hour and a half where that is four days.
const LOOKS_PER_PARTITION: i64 = 64;

/// Where both clocks of a sack stand, in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The clock on the wall.
    pub(crate) now_ns: i64,
    /// The newest measure of any series, but never after now.
    pub(crate) newest_ns: i64,
}

/// What is remembered of looks at a part that found too little, and of the merge that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looks {
    /// When the first one was, by the wall.
    since_ns: i64,
    /// When the last one was.
    last: Moment,
}

impl Looks {
    /// After a look at `moment`; `before` is what was known until then.
    pub(crate) fn after(before: Option<Self>, moment: Moment) -> Self {
        Self { since_ns: before.map_or(moment.now_ns, |looks| looks.since_ns), last: moment }
    }

    /// Of what a merge at `moment` has just freed of all that was of age. It rests as long as a partition is wide: by then
    /// the next one has come of age and takes small rests along.
    pub(crate) fn rest(moment: Moment, partition_ns: i64) -> Self {
        Self { since_ns: moment.now_ns.saturating_sub(partition_ns.saturating_mul(2)), last: moment }
    }

    /// The one that began earlier.
    pub(crate) fn earlier(self, other: Self) -> Self {
        if other.since_ns < self.since_ns { other } else { self }
    }
}

/// The spans after which something may come of age, and what passes for one partition.
pub(super) struct Horizons {
    pub(super) spans_ns: BTreeSet<i64>,
    pub(super) partition_ns: i64,
}

impl Horizons {
    /// Whether a look at the part of `row` is due at `moment`.
    pub(super) fn is_due(&self, row: &PartRow, looks: Option<Looks>, moment: Moment) -> bool {
        let Moment { now_ns, newest_ns } = moment;
        if !self.is_old(row, now_ns) {
            return false;
        }
        let Some(Looks { since_ns, last }) = looks else { return true };
        let gap_ns = self.partition_ns / LOOKS_PER_PARTITION;
        let has_moved = |from_ns, to_ns: i64| to_ns.saturating_sub(from_ns) >= gap_ns;
        if (has_moved(last.now_ns, now_ns) || has_moved(last.newest_ns, newest_ns))
            && (self.ends(row, last.now_ns, now_ns) || self.ends(row, last.newest_ns, newest_ns))
        {
            return true;
        }
        // More will come of it where the next span ends soon.
        let soon = |from_ns: i64| self.ends(row, from_ns, from_ns.saturating_add(self.partition_ns));
        let wait_ns = if soon(now_ns) || soon(newest_ns) { self.partition_ns } else { 0 };
        let pause_ns = gap_ns.max(last.now_ns.saturating_sub(since_ns) / 2).saturating_add(wait_ns);
        now_ns.saturating_sub(last.now_ns) >= pause_ns
    }

    /// Whether something of the part of `row` may have come of age.
    pub(super) fn is_old(&self, row: &PartRow, now_ns: i64) -> bool {
        let age_ns = now_ns.saturating_sub(self.anchor_ns(row));
        age_ns >= self.partition_ns / YOUTHS_PER_PARTITION && self.ends(row, i64::MIN, now_ns)
    }

    /// Whether the part of `row` passes from one moment to another, which is included, the end of some span.
    fn ends(&self, row: &PartRow, from_ns: i64, to_ns: i64) -> bool {
        let anchor_ns = self.anchor_ns(row);
        self.spans_ns.iter().map(|span_ns| anchor_ns.saturating_add(*span_ns)).any(|end_ns| {
            // What ends at the end of time never does.
            from_ns < end_ns && end_ns <= to_ns
        })
    }

    /// What the age of a part is counted from. All of a raw part should come of age before it is written again; of what
    /// spans long, rollups most of all, a quarter.
    fn anchor_ns(&self, row: &PartRow) -> i64 {
        let width_ns = row.max_ns.saturating_sub(row.min_ns);
        match row.kind {
            PartKind::Raw if width_ns <= self.partition_ns => row.max_ns,
            _ => row.min_ns.saturating_add(width_ns / 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use nephometer_drivers::PartId;
    use uuid::Uuid;

    use super::*;

    const S: i64 = 1_000_000_000;

    fn row(kind: PartKind, min_seconds: i64, max_seconds: i64) -> PartRow {
        PartRow {
            id: PartId(Uuid::nil()),
            kind,
            sack: 0,
            level: 0,
            min_ns: min_seconds * S,
            max_ns: max_seconds * S,
            min_position: 0,
            max_position: 1,
            bytes: 1,
            series: 1,
            points: 1,
            as_of_ns: 0,
        }
    }

    fn moment(now_seconds: i64, newest_seconds: i64) -> Moment {
        Moment { now_ns: now_seconds * S, newest_ns: newest_seconds * S }
    }

    /// Looks at the part of `row` from one second to another, by a clock that both kinds of measures follow.
    fn looks_between(row: &PartRow, newest: impl Fn(i64) -> i64, seconds: std::ops::Range<i64>) -> Vec<i64> {
        let horizons = Horizons { spans_ns: BTreeSet::from([1000 * S, 100_000 * S]), partition_ns: 640 * S };
        let mut looks = None;
        let mut at = Vec::new();
        for second in seconds {
            let moment = moment(second, newest(second));
            if horizons.is_due(row, looks, moment) {
                looks = Some(Looks::after(looks, moment));
                at.push(second);
            }
        }
        at
    }

    #[test]
    fn what_is_young_is_not_looked_at() {
        let raw = row(PartKind::Raw, 0, 50);
        assert!(looks_between(&raw, |now| now, 0..1050).is_empty());
        assert_eq!(looks_between(&raw, |now| now, 0..1051), [1050]);
        let just_written = Horizons { spans_ns: BTreeSet::from([S]), partition_ns: 640 * S };
        assert!(!just_written.is_old(&raw, 129 * S) && just_written.is_old(&raw, 130 * S));
        assert_eq!(looks_between(&row(PartKind::Rollup, 0, 400), |now| now, 0..1101), [1100]);
        assert_eq!(looks_between(&row(PartKind::Raw, 0, 4000), |now| now, 0..2001), [2000]);
    }

    #[test]
    fn looks_become_rare() {
        let raw = row(PartKind::Raw, 0, 50);
        let at = looks_between(&raw, |now| now, 0..1_000_000);
        assert!(at.contains(&1050) && at.contains(&100_050), "at the end of each span: {at:?}");
        assert!(at.iter().all(|at| !(99_500..100_050).contains(at)), "none shortly before: {at:?}");
        assert!(at.len() < 40, "{at:?}");
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{at:?}");
        let farthest = at.windows(2).map(|pair| (pair[1] - 1050) as f64 / (pair[0] - 1040) as f64);
        assert!(farthest.skip(2).all(|ratio| ratio < 1.8), "{at:?}");
    }

    #[test]
    fn what_was_freed_rests() {
        let horizons = Horizons { spans_ns: BTreeSet::from([1000 * S]), partition_ns: 640 * S };
        let raw = row(PartKind::Raw, 0, 50);
        let merged = moment(2000, 2000);
        let due = |looks, at| horizons.is_due(&raw, Some(looks), moment(at, at));
        let rest = Looks::rest(merged, horizons.partition_ns);
        assert!(!due(rest, 2639) && due(rest, 2640));
        let again = Looks::after(Some(rest), moment(2640, 2640));
        assert!(!due(again, 3599) && due(again, 3600), "ever more seldom");
        let disappointing = Looks::after(None, merged);
        assert!(!due(disappointing, 2009) && due(disappointing, 2010));
        assert_eq!(disappointing.earlier(rest), rest);
    }

    #[test]
    fn imports_are_looked_at_as_they_go_on() {
        let raw = row(PartKind::Raw, 0, 50);
        // All that is written in one second reaches 2,000 s.
        let at = looks_between(&raw, |now| if now < 900_000 { 100 } else { 2000 }, 899_999..900_001);
        assert_eq!(at, [899_999, 900_000]);
        let at = looks_between(&raw, |_| 900, 900_000..1_000_000);
        assert!(at.len() < 30 && at[1] == 900_650, "nothing more has come: {at:?}");
    }
}
