//! What to merge next.
//!
//! Raw parts merge with those of their partition, four or so of like size at a time; what lies in several partitions
//! (the rest of a flush that spans very many) merges with its like and is split on the way. Of parts that overlap in
//! time only neighbours in rank may merge; where one stands between, it joins in. A part is also rewritten alone, when
//! it has come of age (raw becomes rollups, what is no longer kept is dropped) or holds deleted measures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nephometer_drivers::{PartId, PartKind, PartRow, StoreError};

use crate::core::Core;
use crate::merge::{Job, merged_rank};
use crate::parts::{Part, PartSet, rank};
use crate::retention::horizons_ns;
use crate::settings::{Settings, seconds_to_ns};
use crate::tombstones::applies;

/// Parts of a run may differ so much in size from what has been gathered: this many halves.
const SIZE_RATIO_HALVES: u64 = 3;

/// The most useful job in `sack`, if there is any. Parts in `tried` have come of age, but cannot be rolled up for now.
pub(crate) fn next_job(
    core: &Core,
    sack: usize,
    tried: &BTreeSet<PartId>,
) -> Result<Option<Job>, StoreError> {
    let parts = Arc::clone(&core.sacks[sack].lock().parts);
    let now_ns = core.now_ns();
    let job = |kind, inputs, roll_up| Job { sack, kind, inputs, roll_up };
    if let Some(inputs) = size_tier(&core.settings, &parts, now_ns) {
        return Ok(Some(job(PartKind::Raw, inputs, false)));
    }
    if let Some(inputs) = rollup_tier(&core.settings, &parts) {
        return Ok(Some(job(PartKind::Rollup, inputs, false)));
    }
    let horizons: BTreeSet<i64> = core.policies().iter().flat_map(|policy| horizons_ns(policy)).collect();
    let min_gap_ns = core.settings.partition_ns() / 8;
    for part in parts.iter().filter(|part| !tried.contains(&part.row.id)) {
        if is_of_age(&part.row, &horizons, now_ns, min_gap_ns) {
            let inputs = with_leftovers(&parts, part, &horizons);
            return Ok(Some(job(part.row.kind, inputs, true)));
        }
    }
    for part in parts.iter().filter(|part| !tried.contains(&part.row.id)) {
        if has_garbage(core, sack, part, now_ns)? {
            return Ok(Some(job(part.row.kind, vec![Arc::clone(part)], false)));
        }
    }
    Ok(None)
}

/// The partition that holds all of a part, if one does.
fn home(row: &PartRow, partition_ns: i64) -> Option<i64> {
    let first = row.min_ns.div_euclid(partition_ns);
    (row.max_ns.div_euclid(partition_ns) == first).then_some(first)
}

/// Raw parts of like size in one partition.
fn size_tier(settings: &Settings, parts: &PartSet, now_ns: i64) -> Option<Vec<Arc<Part>>> {
    let width_ns = settings.partition_ns();
    let mut groups: BTreeMap<Option<i64>, Vec<&Arc<Part>>> = BTreeMap::new();
    for part in &parts.raw {
        groups.entry(home(&part.row, width_ns)).or_default().push(part);
    }
    for (home, group) in &groups {
        let end_ns = home.map_or(i64::MAX, |home| home.saturating_add(1).saturating_mul(width_ns));
        // Nothing in order comes to a partition that has passed: two parts are enough to be merged, and one that
        // was written in a hurry is written again.
        let closed = end_ns.saturating_add(width_ns / 8) < now_ns;
        let fan_in = if closed { 2 } else { settings.merge_fan_in as usize };
        if let Some(run) = run_of_like_size(group, fan_in, settings.merge_max_bytes) {
            return Some(closure(parts, run));
        }
        if closed
            && let [only] = group.as_slice()
            && only.row.level == 0
        {
            return Some(vec![Arc::clone(only)]);
        }
    }
    None
}

/// The newest run of at least `fan_in` parts, neighbours in rank, none much larger than those after it together.
fn run_of_like_size(group: &[&Arc<Part>], fan_in: usize, max_bytes: u64) -> Option<Vec<Arc<Part>>> {
    let mut run: Vec<Arc<Part>> = Vec::new();
    let mut bytes = 0;
    for part in group.iter().rev() {
        let size = part.row.bytes;
        let fits = size < max_bytes && (bytes == 0 || size * 2 <= bytes * SIZE_RATIO_HALVES);
        if !fits {
            if run.len() >= fan_in {
                break;
            }
            run.clear();
            bytes = 0;
            if size >= max_bytes {
                continue;
            }
        }
        bytes += size;
        run.push(Arc::clone(part));
    }
    run.reverse();
    (run.len() >= fan_in).then_some(run)
}

/// `run` and all parts that have to be merged with it, lest they stand between by rank.
fn closure(parts: &PartSet, mut run: Vec<Arc<Part>>) -> Vec<Arc<Part>> {
    loop {
        let merged = merged_rank(&run);
        let inside = |part: &Arc<Part>| run.iter().any(|member| member.row.id == part.row.id);
        let between = parts.raw.iter().find(|part| !inside(part) && stands_between(&part.row, &run, merged));
        let Some(part) = between else { break };
        run.push(Arc::clone(part));
    }
    run.sort_by_key(|part| rank(&part.row));
    run
}

/// Whether `row` would change places with a member of `run` that it overlaps.
fn stands_between(row: &PartRow, run: &[Arc<Part>], merged: (u64, u64)) -> bool {
    let overlapping = run
        .iter()
        .filter(|member| member.row.min_ns <= row.max_ns && row.min_ns <= member.row.max_ns)
        .filter(|member| rank(&member.row) != rank(row));
    let mut overlapping = overlapping.map(|member| rank(row) < rank(&member.row));
    overlapping.any(|before| before != (rank(row) < merged))
}

/// Rollup parts of like size; order does not matter to them.
fn rollup_tier(settings: &Settings, parts: &PartSet) -> Option<Vec<Arc<Part>>> {
    let mut by_size: Vec<&Arc<Part>> = parts.rollups.iter().collect();
    by_size.sort_by_key(|part| std::cmp::Reverse(part.row.bytes));
    run_of_like_size(&by_size, settings.merge_fan_in as usize, settings.merge_max_bytes)
}

/// Whether, since retention was last applied to a part, enough of it has reached the end of some policy's span.
fn is_of_age(row: &PartRow, horizons: &BTreeSet<i64>, now_ns: i64, min_gap_ns: i64) -> bool {
    if row.as_of_ns.saturating_add(min_gap_ns) > now_ns {
        return false;
    }
    let anchor_ns = match row.kind {
        PartKind::Raw => row.max_ns,
        PartKind::Rollup => row.min_ns.saturating_add((row.max_ns - row.min_ns) / 4),
    };
    // Looked at ever more seldom, however many policies there are.
    let seen = row.as_of_ns.saturating_sub(anchor_ns);
    if seen > 0 && now_ns.saturating_sub(anchor_ns) < seen.saturating_add(seen / 4) {
        return false;
    }
    horizons.iter().any(|span| {
        let end_ns = anchor_ns.saturating_add(*span);
        end_ns <= now_ns && end_ns > row.as_of_ns
    })
}

/// A raw part that has come of age, and the small rests of older ones that were rolled up before.
fn with_leftovers(parts: &PartSet, part: &Arc<Part>, horizons: &BTreeSet<i64>) -> Vec<Arc<Part>> {
    if part.row.kind == PartKind::Rollup {
        return vec![Arc::clone(part)];
    }
    let shortest = horizons.first().copied().unwrap_or(i64::MAX);
    let is_rest = |other: &&Arc<Part>| {
        other.row.id != part.row.id
            && other.row.max_ns <= part.row.max_ns
            && other.row.as_of_ns >= other.row.max_ns.saturating_add(shortest)
            && other.row.points <= part.row.points / 4
    };
    let rests = parts.raw.iter().filter(is_rest).cloned();
    closure(parts, rests.chain([Arc::clone(part)]).collect())
}

/// Whether `part` holds something that was deleted, and has waited long enough to be rid of it.
fn has_garbage(core: &Core, sack: usize, part: &Part, now_ns: i64) -> Result<bool, StoreError> {
    let wait_ns = seconds_to_ns(core.settings.garbage_seconds);
    if part.row.as_of_ns.saturating_add(wait_ns) > now_ns {
        return Ok(false);
    }
    let (tombstones, dead) = {
        let sack = core.sacks[sack].lock();
        let tombstones: Vec<_> = sack.tombstones.iter().copied().collect();
        let dead: Vec<(u64, u64)> = sack.dead.iter().map(|(key, position)| (*key, *position)).collect();
        (tombstones, dead)
    };
    for tombstone in tombstones.iter().filter(|tombstone| applies(tombstone, part.row.max_position)) {
        let range = tombstone.start_ns..tombstone.stop_ns;
        if part.overlaps(&range) && part.holds(tombstone.key.0, &range)? {
            return Ok(true);
        }
    }
    let mut keys: Vec<u64> =
        dead.iter().filter(|(_, position)| *position >= part.row.max_position).map(|(key, _)| *key).collect();
    keys.sort_unstable();
    for key in keys {
        if part.holds(key, &(i64::MIN..i64::MAX))? {
            return Ok(true);
        }
    }
    Ok(false)
}
