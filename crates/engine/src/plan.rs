//! What to merge next.
//!
//! Raw parts merge with those of their partition, four or so of like size at a time; what lies in several partitions
//! (the rest of a flush that spans very many) merges with its like and is split on the way. Of parts that overlap in
//! time only neighbours in rank may merge; where one stands between, it joins in. A part is also rewritten alone, when
//! it has come of age (raw becomes rollups, what is no longer kept is dropped) or holds deleted measures.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nephometer_drivers::{PartId, PartKind, PartRow, StoreError};
use nephometer_model::ArchivePolicy;

use crate::core::Core;
use crate::merge::{Job, Orders, merged_rank};
use crate::parts::{Part, PartSet, rank};
use crate::retention::{dense_horizon_ns, horizons_ns};
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
    let orders = Orders::of(core, sack);
    let now_ns = core.now_ns();
    let chosen = match size_tier(&core.settings, &orders, now_ns) {
        Some(inputs) => Some((PartKind::Raw, inputs, false)),
        None => rollup_tier(&core.settings, &orders.parts).map(|inputs| (PartKind::Rollup, inputs, false)),
    };
    let chosen = match chosen {
        None => of_age(core, &orders, tried, now_ns)?,
        chosen => chosen,
    };
    let chosen = match chosen {
        None => with_garbage(core, &orders, now_ns)?,
        chosen => chosen,
    };
    Ok(chosen.map(|(kind, inputs, roll_up)| Job { sack, kind, inputs, roll_up, orders }))
}

type Choice = (PartKind, Vec<Arc<Part>>, bool);

/// The first part that has come of age, with what belongs to it.
fn of_age(
    core: &Core,
    orders: &Orders,
    tried: &BTreeSet<PartId>,
    now_ns: i64,
) -> Result<Option<Choice>, StoreError> {
    let all = all_horizons_ns(core);
    let min_gap_ns = core.settings.partition_ns() / 8;
    for part in orders.parts.iter().filter(|part| !tried.contains(&part.row.id)) {
        // What is inside is looked at only where it may matter.
        if !is_of_age(&part.row, &all, now_ns, min_gap_ns) {
            continue;
        }
        let horizons = horizons_of(core, part)?;
        if is_of_age(&part.row, &horizons, now_ns, min_gap_ns) {
            let inputs = match part.row.kind {
                PartKind::Raw => with_leftovers(orders, part, &horizons),
                PartKind::Rollup => vec![Arc::clone(part)],
            };
            return Ok(Some((part.row.kind, inputs, true)));
        }
    }
    Ok(None)
}

/// The horizons of all policies.
fn all_horizons_ns(core: &Core) -> BTreeSet<i64> {
    let min_raw_ns = core.settings.min_raw_ns();
    let of = |policy: &Arc<ArchivePolicy>| {
        let dense = dense_horizon_ns(policy, min_raw_ns).map(|(span, _)| span);
        horizons_ns(policy).into_iter().chain(dense)
    };
    core.policies().iter().flat_map(of).collect()
}

/// The horizons of the policies inside `part`; those of dense measures only where it holds many.
fn horizons_of(core: &Core, part: &Part) -> Result<BTreeSet<i64>, StoreError> {
    let contents = part.contents()?;
    let mut horizons = BTreeSet::new();
    for policy in contents.policies().filter_map(|policy| core.policy(policy)) {
        horizons.extend(horizons_ns(&policy));
        let dense = dense_horizon_ns(&policy, core.settings.min_raw_ns())
            .filter(|(_, distance_ns)| contents.is_dense(policy.key.0, *distance_ns));
        horizons.extend(dense.map(|(span, _)| span));
    }
    Ok(horizons)
}

/// The first part that holds something deleted.
fn with_garbage(core: &Core, orders: &Orders, now_ns: i64) -> Result<Option<Choice>, StoreError> {
    let wait_ns = seconds_to_ns(core.settings.garbage_seconds);
    for part in orders.parts.iter().filter(|part| part.row.as_of_ns.saturating_add(wait_ns) <= now_ns) {
        if has_garbage(orders, part)? {
            let inputs = match part.row.kind {
                PartKind::Raw => closure(orders, vec![Arc::clone(part)]),
                PartKind::Rollup => vec![Arc::clone(part)],
            };
            return Ok(Some((part.row.kind, inputs, false)));
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
fn size_tier(settings: &Settings, orders: &Orders, now_ns: i64) -> Option<Vec<Arc<Part>>> {
    let width_ns = settings.partition_ns();
    let mut groups: BTreeMap<Option<i64>, Vec<&Arc<Part>>> = BTreeMap::new();
    for part in &orders.parts.raw {
        groups.entry(home(&part.row, width_ns)).or_default().push(part);
    }
    for (home, group) in &groups {
        let end_ns = home.map_or(i64::MAX, |home| home.saturating_add(1).saturating_mul(width_ns));
        // Nothing in order comes to a partition that has passed: two parts are enough to be merged, and one that
        // was written in a hurry is written again.
        let closed = end_ns.saturating_add(width_ns / 8) < now_ns;
        let fan_in = if closed { 2 } else { settings.merge_fan_in as usize };
        if let Some(run) = run_of_like_size(group, fan_in, settings.merge_max_bytes) {
            return Some(closure(orders, run));
        }
        if closed
            && let [only] = group.as_slice()
            && only.row.level == 0
        {
            return Some(closure(orders, vec![Arc::clone(only)]));
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
fn closure(orders: &Orders, mut run: Vec<Arc<Part>>) -> Vec<Arc<Part>> {
    loop {
        let merged = merged_rank(&run, orders);
        let inside = |part: &Arc<Part>| run.iter().any(|member| member.row.id == part.row.id);
        let between =
            orders.parts.raw.iter().find(|part| !inside(part) && stands_between(&part.row, &run, merged));
        let Some(part) = between else { break };
        run.push(Arc::clone(part));
    }
    run.sort_by_key(|part| rank(&part.row));
    run
}

/// Whether `row` would change places with a member of `run` that it overlaps. Parts of one rank have come out of one
/// flush or merge and hold nothing in common; only such may have one rank.
fn stands_between(row: &PartRow, run: &[Arc<Part>], merged: (u64, u64)) -> bool {
    let after = rank(row).cmp(&merged);
    run.iter()
        .filter(|member| member.row.min_ns <= row.max_ns && row.min_ns <= member.row.max_ns)
        .map(|member| rank(row).cmp(&rank(&member.row)))
        .any(|before| before != Ordering::Equal && before != after)
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
fn with_leftovers(orders: &Orders, part: &Arc<Part>, horizons: &BTreeSet<i64>) -> Vec<Arc<Part>> {
    let shortest = horizons.first().copied().unwrap_or(i64::MAX);
    let is_rest = |other: &&Arc<Part>| {
        other.row.id != part.row.id
            && other.row.max_ns <= part.row.max_ns
            && other.row.as_of_ns >= other.row.max_ns.saturating_add(shortest)
            && other.row.points <= part.row.points / 4
    };
    let rests = orders.parts.raw.iter().filter(is_rest).cloned();
    closure(orders, rests.chain([Arc::clone(part)]).collect())
}

/// Whether `part` holds something that was deleted.
fn has_garbage(orders: &Orders, part: &Part) -> Result<bool, StoreError> {
    for tombstone in orders.tombstones.iter().filter(|known| applies(known, part.row.max_position)) {
        let range = tombstone.start_ns..tombstone.stop_ns;
        if part.overlaps(&range) && part.holds(tombstone.key.0, &range)? {
            return Ok(true);
        }
    }
    let dead = orders.dead.iter().filter(|(_, position)| **position >= part.row.max_position);
    let mut keys: Vec<u64> = dead.map(|(key, _)| *key).collect();
    keys.sort_unstable();
    for key in keys {
        if part.holds(key, &(i64::MIN..i64::MAX))? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const S: i64 = 1_000_000_000;

    fn row(kind: PartKind, min_seconds: i64, max_seconds: i64, as_of_seconds: i64) -> PartRow {
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
            as_of_ns: as_of_seconds * S,
        }
    }

    fn of_age(row: &PartRow, now_seconds: i64) -> bool {
        is_of_age(row, &BTreeSet::from([100 * S, 1000 * S]), now_seconds * S, 10 * S)
    }

    #[test]
    fn parts_come_of_age_once_for_each_span() {
        let fresh = row(PartKind::Raw, 0, 50, 50);
        assert!(!of_age(&fresh, 149));
        assert!(of_age(&fresh, 150));
        assert!(of_age(&fresh, 9000), "old data that has just been written");
        let seen = row(PartKind::Raw, 0, 50, 200);
        assert!(!of_age(&seen, 1049));
        assert!(of_age(&seen, 1050));
        assert!(!of_age(&row(PartKind::Raw, 0, 50, 1045), 1050), "not twice in a short time");
        assert!(!of_age(&row(PartKind::Raw, 0, 50, 1100), 99_000));
    }

    #[test]
    fn rollups_come_of_age_by_their_oldest_quarter() {
        assert!(!of_age(&row(PartKind::Rollup, 0, 400, 450), 1099));
        assert!(of_age(&row(PartKind::Rollup, 0, 400, 450), 1100));
    }
}
