//! Background work: flushing when memory, log or age ask for it, merging, forgetting deletes that are carried out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nephometer_drivers::{CatalogChange, StoreError};
use nephometer_model::SeriesKey;
use parking_lot::{Condvar, Mutex};

use crate::core::Core;
use crate::flush::Flusher;
use crate::merge::{self, Outcome};
use crate::parts::PartSet;
use crate::plan::next_job;
use crate::settings::{Settings, seconds_to_ns};

/// How often the flush thread looks around when nothing wakes it.
const TICK: Duration = Duration::from_secs(1);
/// How often the merge thread does, in ticks; each flush wakes it.
const MERGE_TICKS: u32 = 60;
/// Longest pause after a failure, in ticks.
const MAX_PAUSE_TICKS: u32 = 30;

/// A head of very many series is written to parts when it has so many measures of each, on average. What a block keeps
/// for each series (its first value, how it is coded) costs about three bytes: spread over these it hardly matters.
const MEASURES_PER_SERIES: u64 = 18;

/// Wakes a background thread, or ends it.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Default)]
struct BellState {
    ringing: bool,
    stopping: bool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.state.lock().ringing = true;
        self.rung.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.rung.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Waits for the bell or for `ticks`; false when it is time to end.
    fn wait(&self, ticks: u32) -> bool {
        let mut state = self.state.lock();
        if !state.ringing && !state.stopping {
            self.rung.wait_for(&mut state, TICK * ticks);
        }
        state.ringing = false;
        !state.stopping
    }

    /// Waits for `ticks`, whoever rings; false when it is time to end.
    fn rest(&self, ticks: u32) -> bool {
        for _ in 0..ticks {
            let mut state = self.state.lock();
            if !state.stopping {
                self.rung.wait_for(&mut state, TICK);
            }
            if state.stopping {
                return false;
            }
        }
        true
    }
}

/// Whether the head should be written to parts now.
pub(crate) fn flush_is_due(core: &Core) -> bool {
    let counters = &core.counters;
    let since = counters.waiting_since_ns.load(Ordering::Relaxed);
    let age_ns = core.clock.monotonic_ns().saturating_sub(since);
    let limit_ns = seconds_to_ns(core.settings.flush_age_seconds).unsigned_abs();
    let active_bytes = counters.active_bytes.load(Ordering::Relaxed);
    is_full(&core.settings, active_bytes, || measures_and_series(core))
        || counters.log_bytes.load(Ordering::Relaxed) >= core.settings.flush_log_bytes
        || (since != 0 && age_ns >= limit_ns)
}

/// Whether a head of so many bytes is to be written to parts. Of very many series it would hold one measure or two: parts
/// of such compress badly and are merged often, so that it may grow until it has some measures of each series, but not
/// beyond half of what heads may take at all.
fn is_full(settings: &Settings, active_bytes: u64, content: impl FnOnce() -> (u64, u64)) -> bool {
    if active_bytes < settings.flush_head_bytes {
        return false;
    }
    active_bytes >= settings.head_bytes / 2 || {
        let (measures, series) = content();
        measures >= series.saturating_mul(MEASURES_PER_SERIES)
    }
}

/// What the active heads hold.
fn measures_and_series(core: &Core) -> (u64, u64) {
    core.sacks.iter().fold((0, 0), |(measures, series), sack| {
        let sack = sack.lock();
        (measures + sack.active.measures(), series + sack.active.series_count())
    })
}

/// The body of the flush thread.
pub(crate) fn run_flush(core: &Core, flusher: &Flusher, bell: &Bell, merge_bell: &Bell) {
    let mut pause = 1;
    // Rung while it pauses after a failure, it goes on pausing.
    while if pause == 1 { bell.wait(1) } else { bell.rest(pause) } {
        if pause == 1 && !flush_is_due(core) {
            continue;
        }
        match flusher.flush() {
            Ok(_) => {
                pause = 1;
                merge_bell.ring();
            }
            Err(error) => {
                pause = (pause * 2).min(MAX_PAUSE_TICKS);
                tracing::error!(%error, pause, "flushing failed; it is tried again");
            }
        }
    }
}

/// The body of the merge thread.
pub(crate) fn run_merge(core: &Arc<Core>, bell: &Bell) {
    let mut pause = 1;
    while if pause == 1 { bell.wait(MERGE_TICKS) } else { bell.rest(pause) } {
        pause = match settle(core, || bell.is_stopping()) {
            Ok(()) => 1,
            Err(_) if bell.is_stopping() => return,
            Err(error) => {
                tracing::error!(%error, "merging failed; it is tried again");
                (pause * 2).min(MAX_PAUSE_TICKS)
            }
        };
    }
}

/// Merges whatever there is to merge and forgets what is carried out.
pub(crate) fn settle(core: &Arc<Core>, is_stopping: impl Fn() -> bool) -> Result<(), StoreError> {
    let _merging = core.merging.lock();
    for sack in 0..core.sacks.len() {
        let mut tried = BTreeSet::new();
        while !is_stopping()
            && let Some(job) = next_job(core, sack, &tried)?
        {
            if merge::run(core, &job)? == Outcome::Void {
                tried.extend(job.inputs.iter().map(|part| part.row.id));
            }
        }
    }
    forget(core)
}

/// Forgets deletes that no part needs any more, and tells the catalog of damage found.
pub(crate) fn forget(core: &Core) -> Result<(), StoreError> {
    let mut change = CatalogChange::default();
    let covered = core.counters.covered_position.load(Ordering::Acquire);
    for sack in &core.sacks {
        let (parts, tombstones, dead, flushing) = {
            let sack = sack.lock();
            let tombstones: Vec<_> = sack.tombstones.iter().copied().collect();
            let dead: Vec<_> = sack.dead.iter().map(|(key, position)| (*key, *position)).collect();
            (Arc::clone(&sack.parts), tombstones, dead, sack.is_flushing())
        };
        if flushing {
            continue;
        }
        for tombstone in tombstones.into_iter().filter(|tombstone| tombstone.position < covered) {
            let range = tombstone.start_ns..tombstone.stop_ns;
            if !is_held(&parts, tombstone.key.0, tombstone.position, &range)? {
                change.remove_tombstones.push(tombstone);
            }
        }
        for (key, position) in dead.into_iter().filter(|(_, position)| *position < covered) {
            if !is_held(&parts, key, position, &(i64::MIN..i64::MAX))? {
                change.forget_series.push(SeriesKey(key));
            }
        }
    }
    let _publish = core.publish.lock();
    if change == CatalogChange::default() && !core.shelf.damage.has_untold() {
        return Ok(());
    }
    core.commit(change.clone())?;
    for tombstone in &change.remove_tombstones {
        core.sack_of(tombstone.key.0).lock().tombstones.remove(&[*tombstone]);
    }
    for key in &change.forget_series {
        core.sack_of(key.0).lock().dead.remove(&key.0);
    }
    Ok(())
}

/// Whether parts hold something of `key` in `range_ns` that was written before `position`.
fn is_held(
    parts: &PartSet,
    key: u64,
    position: u64,
    range_ns: &std::ops::Range<i64>,
) -> Result<bool, StoreError> {
    for part in parts.iter() {
        if position >= part.row.max_position && part.overlaps(range_ns) && part.holds(key, range_ns)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_of_many_series_may_grow() {
        let settings = Settings { flush_head_bytes: 100, head_bytes: 600, ..Settings::default() };
        let full = |bytes, measures| is_full(&settings, bytes, || (measures, 10));
        assert!(!full(99, 1000));
        assert!(full(100, 180) && !full(100, 179) && !full(299, 179) && full(300, 179));
        let tight = Settings { head_bytes: 100, ..settings.clone() };
        assert!(is_full(&tight, 100, || (1, 10)));
    }
}
