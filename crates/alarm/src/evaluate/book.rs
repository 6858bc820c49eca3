//! The alarms of the shares that are held: which there are, what they depend on, and when each is to be evaluated next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use nephometer_drivers::{WriteWatch, share_of};
use nephometer_model::{Alarm, AlarmId, AlarmRule, CompositeRule, SeriesKey, SubRule};

use super::batch::{Done, End};
use super::questions::is_evaluated;
use crate::decide::leaves;
use crate::time::Windows;

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;
/// An alarm over one series is evaluated no more often than this; one over many in proportion.
const REST_PER_SERIES_NS: u64 = 40_000_000;
/// But no alarm waits longer than this after measures.
const MAX_REST_NS: u64 = 4 * SECOND_NS;
/// How long it is taken for known on which series an alarm depends that names its metrics.
const SERIES_NAMED_NS: u64 = 600 * SECOND_NS;
/// And one that searches for them.
const SERIES_FOUND_NS: u64 = 60 * SECOND_NS;
/// And one whose metric or resource is not there yet.
const SERIES_ABSENT_NS: u64 = 10 * SECOND_NS;
/// What the store did not take, or whose measures cannot be had, is tried again after this.
const RETRY_NS: u64 = SECOND_NS;
/// No time at all.
const NEVER: u64 = u64::MAX;

/// An alarm that is evaluated. Times are nanoseconds of the clock that never goes back.
struct Entry {
    alarm: Arc<Alarm>,
    generation: u64,
    windows: Option<Arc<Windows>>,
    /// What it depends on, as far as that is known.
    series: Vec<SeriesKey>,
    /// When that is to be found out again.
    series_due_ns: u64,
    /// Nobody could tell: no measures will start an evaluation.
    deaf: bool,
    /// Whether somebody evaluates it.
    in_flight: bool,
    /// Evaluate at once, whatever has happened.
    at_once: bool,
    /// When the first measures were heard of that no evaluation has seen.
    written_ns: Option<u64>,
    /// Since when its measures cannot be had.
    away_ns: Option<u64>,
    /// Measures start no evaluation before.
    rest_until_ns: u64,
    /// When it is evaluated without measures.
    due_ns: u64,
    /// The node of the heap that counts.
    wake_ns: u64,
}

impl Entry {
    fn next_ns(&self) -> u64 {
        let by_measures = self.written_ns.map_or(NEVER, |written_ns| written_ns.max(self.rest_until_ns));
        let by_series = if self.deaf { self.series_due_ns } else { NEVER };
        if self.at_once { 0 } else { self.due_ns.min(by_measures).min(by_series) }
    }

    /// Is due again soon, by the same measures.
    fn try_again(&mut self, now_ns: u64, since_ns: Option<u64>) {
        self.rest_until_ns = now_ns.saturating_add(RETRY_NS);
        self.due_ns = self.due_ns.min(self.rest_until_ns);
        self.written_ns = since_ns.or(self.written_ns);
    }

    fn rest_ns(&self) -> u64 {
        let series = u64::try_from(self.series.len().max(1)).unwrap_or(u64::MAX);
        REST_PER_SERIES_NS.saturating_mul(series).min(MAX_REST_NS)
    }

    /// Whether which series it depends on changes by itself.
    fn searches(&self) -> bool {
        let found = |rule: &SubRule| matches!(rule, SubRule::Resources(_));
        match &self.alarm.rule {
            AlarmRule::Resources(_) | AlarmRule::Meters(_) => true,
            AlarmRule::Composite(rule) => any_leaf(rule, &found),
            _ => false,
        }
    }
}

fn any_leaf(rule: &CompositeRule, test: &dyn Fn(&SubRule) -> bool) -> bool {
    leaves(rule).into_iter().any(test)
}

/// An evaluation that is due.
pub(super) struct Due {
    pub(super) slot: u32,
    pub(super) generation: u64,
    pub(super) alarm: Arc<Alarm>,
    pub(super) windows: Option<Arc<Windows>>,
    /// The time has come by itself.
    pub(super) by_time: bool,
    pub(super) since_ns: Option<u64>,
    /// Since when its measures cannot be had.
    pub(super) away_ns: Option<u64>,
    pub(super) wants_series: bool,
    /// It is not to be decided, only to be found out on which series it depends.
    pub(super) asks_only: bool,
}

/// See above.
pub(super) struct Book {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_id: HashMap<AlarmId, u32, RandomState>,
    by_series: HashMap<SeriesKey, Vec<u32>, RandomState>,
    heap: BinaryHeap<Reverse<(u64, u32, u64)>>,
    generation: u64,
    interval_ns: u64,
    watch: Arc<WriteWatch>,
}

impl Book {
    /// An empty book. Alarms come up by themselves once in `interval_ns`.
    pub(super) fn new(watch: Arc<WriteWatch>, interval_ns: u64) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            by_series: HashMap::default(),
            heap: BinaryHeap::new(),
            generation: 0,
            interval_ns: interval_ns.max(1),
            watch,
        }
    }

    /// How many alarms there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The alarm that an evaluation was about, if it is still there.
    pub(super) fn alarm(&self, slot: u32, generation: u64) -> Option<&Alarm> {
        let entry = self.entries.get(slot as usize)?.as_ref()?;
        (entry.generation == generation).then_some(&*entry.alarm)
    }

    /// Takes an alarm as it is now, to be evaluated at once, unless this version, or a newer one, is known.
    pub(super) fn put(&mut self, alarm: Arc<Alarm>) {
        if let Some(slot) = self.by_id.get(&alarm.id)
            && self.entries[*slot as usize].as_ref().is_some_and(|old| old.alarm.version >= alarm.version)
        {
            return;
        }
        self.remove(&alarm.id);
        if !alarm.is_enabled() || !is_evaluated(&alarm.rule) {
            if let AlarmRule::Unknown { type_name, .. } = &alarm.rule {
                tracing::warn!(alarm = %alarm.id, type_name, "an alarm's rule is not understood: it is never evaluated");
            }
            return;
        }
        self.generation += 1;
        let windows = Windows::of_stored(&alarm.time_constraints).map(Arc::new);
        let id = alarm.id.clone();
        let entry = Entry {
            alarm,
            generation: self.generation,
            windows,
            series: Vec::new(),
            series_due_ns: 0,
            deaf: false,
            in_flight: false,
            at_once: true,
            written_ns: None,
            away_ns: None,
            rest_until_ns: 0,
            due_ns: 0,
            wake_ns: NEVER,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        self.entries[slot as usize] = Some(entry);
        self.by_id.insert(id, slot);
        self.schedule(slot);
    }

    /// Forgets an alarm.
    pub(super) fn remove(&mut self, id: &AlarmId) {
        let Some(slot) = self.by_id.remove(id) else { return };
        self.watch_series(slot, Vec::new());
        self.entries[slot as usize] = None;
        self.free.push(slot);
    }

    /// Forgets all alarms of a share.
    pub(super) fn remove_share(&mut self, share: u16) {
        let ids: Vec<AlarmId> = self.by_id.keys().filter(|id| share_of(id) == share).cloned().collect();
        ids.iter().for_each(|id| self.remove(id));
    }

    /// When something is due next; nothing where nothing ever is.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at_ns, ..))| *at_ns)
    }

    /// Takes note of series with new measures.
    pub(super) fn written(&mut self, written: &[(SeriesKey, u64)]) {
        for (series, at_ns) in written {
            let slots = self.by_series.get(series).cloned().unwrap_or_default();
            for slot in slots {
                if let Some(entry) = self.entries[slot as usize].as_mut() {
                    entry.written_ns.get_or_insert(*at_ns);
                    self.schedule(slot);
                }
            }
        }
    }

    /// Up to `limit` evaluations that are due; they are somebody's until [`Book::done`].
    pub(super) fn due(&mut self, now_ns: u64, limit: usize) -> Vec<Due> {
        let mut due = Vec::new();
        while due.len() < limit {
            let Some(Reverse((at_ns, slot, generation))) = self.heap.peek().copied() else { break };
            if at_ns > now_ns {
                break;
            }
            self.heap.pop();
            let Some(entry) = self.entries[slot as usize].as_mut() else { continue };
            if entry.generation != generation || entry.wake_ns != at_ns {
                continue;
            }
            entry.wake_ns = NEVER;
            if entry.in_flight {
                continue;
            }
            if entry.next_ns() <= now_ns {
                due.push(take(entry, slot, now_ns, self.interval_ns));
            } else {
                self.schedule(slot);
            }
        }
        due
    }

    /// Takes note of how an evaluation ended; whether its share was found to be another's.
    pub(super) fn done(&mut self, done: Done, now_ns: u64) -> Option<u16> {
        let slot = done.slot;
        let entry = self.entries.get_mut(slot as usize)?.as_mut()?;
        if entry.generation != done.generation {
            return None;
        }
        entry.in_flight = false;
        let away_ns = entry.away_ns.take();
        let mut newer = None;
        let mut fenced = None;
        match done.end {
            End::Same => {}
            End::Now { alarm, decide_anew: false } => entry.alarm = alarm,
            End::Now { alarm, decide_anew: true } => newer = Some(alarm),
            End::Gone => {
                let id = entry.alarm.id.clone();
                self.remove(&id);
                return None;
            }
            End::Fenced => fenced = Some(share_of(&entry.alarm.id)),
            End::Failed { soon: true } => entry.try_again(now_ns, done.since_ns),
            End::Failed { soon: false } => {}
            End::Away => {
                entry.away_ns = away_ns.or(Some(now_ns));
                entry.try_again(now_ns, done.since_ns);
            }
        }
        if let Some(series) = done.series {
            self.learn_series(slot, series, now_ns);
        }
        if let Some(alarm) = newer {
            // Known under an older version, so that it is taken and decided at once.
            let id = alarm.id.clone();
            self.remove(&id);
            self.put(alarm);
            return None;
        }
        self.schedule(slot);
        fenced
    }

    fn learn_series(&mut self, slot: u32, series: Option<Vec<SeriesKey>>, now_ns: u64) {
        let interval_ns = self.interval_ns;
        let Some(entry) = self.entries[slot as usize].as_mut() else { return };
        let known_ns = match &series {
            None => SERIES_ABSENT_NS.min(interval_ns),
            Some(_) if entry.searches() => SERIES_FOUND_NS,
            Some(_) => SERIES_NAMED_NS,
        };
        entry.series_due_ns = now_ns.saturating_add(known_ns);
        entry.deaf = series.is_none();
        let series = series.unwrap_or_default();
        if entry.series != series {
            // What was written before the series was watched has been heard by nobody.
            entry.written_ns.get_or_insert(now_ns);
            self.watch_series(slot, series);
        }
    }

    /// Watches these series for the alarm and no others.
    fn watch_series(&mut self, slot: u32, series: Vec<SeriesKey>) {
        let Some(entry) = self.entries[slot as usize].as_mut() else { return };
        let old = std::mem::replace(&mut entry.series, series.clone());
        for key in old {
            if let Some(slots) = self.by_series.get_mut(&key) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    self.by_series.remove(&key);
                    self.watch.forget(key);
                }
            }
        }
        for key in series {
            self.by_series.entry(key).or_default().push(slot);
            self.watch.watch(key);
        }
    }

    fn schedule(&mut self, slot: u32) {
        let Some(entry) = self.entries[slot as usize].as_mut() else { return };
        let next_ns = entry.next_ns();
        if !entry.in_flight && next_ns < entry.wake_ns {
            entry.wake_ns = next_ns;
            self.heap.push(Reverse((next_ns, slot, entry.generation)));
        }
    }
}

/// Hands an evaluation out, and sets the time of the next one without measures: measures put it off, except for those
/// who want to be told again and again, who are told by the clock alone.
fn take(entry: &mut Entry, slot: u32, now_ns: u64, interval_ns: u64) -> Due {
    let first = entry.due_ns == 0;
    let asks_only = !entry.at_once && entry.written_ns.is_none() && entry.due_ns > now_ns;
    // Nobody is told again because an alarm was changed or has come to another evaluator.
    let by_time = !first && entry.due_ns <= now_ns;
    if first {
        // Spread over half an interval, so that what is loaded together does not stay together.
        let spread_ns =
            (u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % (interval_ns / 2).max(1);
        entry.due_ns = now_ns + interval_ns - spread_ns;
    } else if by_time {
        let missed = (now_ns - entry.due_ns) / interval_ns;
        entry.due_ns += (missed + 1) * interval_ns;
    } else if !(entry.alarm.repeat_actions || asks_only) {
        entry.due_ns = now_ns + interval_ns + interval_ns / 4;
    }
    entry.in_flight = true;
    entry.at_once = false;
    if !asks_only {
        entry.rest_until_ns = now_ns + entry.rest_ns();
    }
    Due {
        slot,
        generation: entry.generation,
        alarm: Arc::clone(&entry.alarm),
        windows: entry.windows.clone(),
        by_time,
        since_ns: entry.written_ns.take(),
        away_ns: entry.away_ns,
        wants_series: entry.series_due_ns <= now_ns,
        asks_only,
    }
}
