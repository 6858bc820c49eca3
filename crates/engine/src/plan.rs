//! What to merge next.
//!
//! Raw parts merge with those of their partition, `merge_fan_in` or more of like size at a time, two once the partition
//! has passed; what lies in several partitions (the rest of a flush that spans very many) merges with its like and is
//! split on the way. Of parts that overlap in time only neighbours in rank may merge; where one stands between, it joins
//! in. A part is also rewritten alone, when a quarter of it or more has come of age (raw becomes rollups, what is no longer
//! kept is dropped; [`age`] tells when that is looked at) or when it holds deleted measures.
//!
//! How often a measure is written to parts: once by a flush, then once by each merge. As the largest of `f` parts that
//! merge is at most 3/2 of the mean of the others, what comes out is at least g = 1 + 2 (f - 1) / 3 times as large, so
//! that a measure is in at most log_g (M / F) merges, rounded up, where F is what a flush writes of a sack and M the
//! sack's measures of a partition, or `merge_max_bytes` if that is less; few more may follow when the partition has
//! passed. With f = 8, g is 5.7: three merges suffice from 10 MiB to 1 GiB. Evenly large flushes come to log_f.

mod age;
mod share;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use nephometer_drivers::{PartId, PartKind, PartRow, StoreError};
use nephometer_model::ArchivePolicy;

pub(crate) use age::{Looks, Moment};

use crate::core::Core;
use crate::merge::{Job, Orders, merged_rank};
use crate::parts::{Part, PartSet, rank};
use crate::retention::{dense_horizon_ns, horizons_ns};
use crate::settings::{Settings, seconds_to_ns};
use crate::tombstones::applies;
use age::Horizons;
use share::share_of_age;

/// Most parts that one merge is planned for.
const MAX_INPUTS: usize = 64;
/// A part is written again when it has so much that is no longer kept as it is. What this writes of a part, all times
/// together, is at most three times its size; what it leaves is at most a third of what is needed.
const SHARE_WORTH_A_MERGE: f64 = 0.25;

/// Kind and inputs of a job, and whether raw becomes rollups.
type Choice = (PartKind, Vec<Arc<Part>>, bool);

/// The most useful job in `sack`, if there is any. Parts in `tried` have come of age, but cannot be rolled up for now.
pub(crate) fn next_job(
    core: &Core,
    sack: usize,
    tried: &BTreeSet<PartId>,
) -> Result<Option<Job>, StoreError> {
    let orders = Orders::of(core, sack);
    let now_ns = core.now_ns();
    let newest_ns = core.sacks[sack].lock().newest_bound_ns.min(now_ns);
    let moment = Moment { now_ns, newest_ns };
    let horizons = horizons_of(core);
    let chosen = match tiers(&core.settings, &orders, tried, &horizons, now_ns) {
        None => of_age(core, &orders, tried, &horizons, moment)?,
        chosen => chosen,
    };
    let chosen = match chosen {
        None => with_garbage(core, &orders, now_ns)?,
        chosen => chosen,
    };
    Ok(chosen.map(|(kind, inputs, roll_up)| Job { sack, kind, inputs, roll_up, orders, moment }))
}

/// Parts of like size.
fn tiers(
    settings: &Settings,
    orders: &Orders,
    tried: &BTreeSet<PartId>,
    horizons: &Horizons,
    now_ns: i64,
) -> Option<Choice> {
    let Some(inputs) = size_tier(settings, orders, now_ns) else {
        return rollup_tier(settings, &orders.parts).map(|inputs| (PartKind::Rollup, inputs, false));
    };
    // What has come of age need not be written once more for that.
    let is_old = |part: &Arc<Part>| !tried.contains(&part.row.id) && horizons.is_old(&part.row, now_ns);
    let roll_up = inputs.iter().all(is_old);
    Some((PartKind::Raw, inputs, roll_up))
}

/// The first part of which so much has come of age that it is worth a merge, with what belongs to it.
fn of_age(
    core: &Core,
    orders: &Orders,
    tried: &BTreeSet<PartId>,
    horizons: &Horizons,
    moment: Moment,
) -> Result<Option<Choice>, StoreError> {
    for part in orders.parts.iter().filter(|part| !tried.contains(&part.row.id)) {
        if !horizons.is_due(&part.row, part.looks(), moment) {
            continue;
        }
        if share_of_age(core, orders, part, part)? < SHARE_WORTH_A_MERGE {
            part.set_looks(Looks::after(part.looks(), moment));
            continue;
        }
        let inputs = match part.row.kind {
            PartKind::Raw => with_leftovers(core, orders, part, horizons, moment.now_ns)?,
            PartKind::Rollup => vec![Arc::clone(part)],
        };
        return Ok(Some((part.row.kind, inputs, true)));
    }
    Ok(None)
}

/// The spans of all policies.
fn horizons_of(core: &Core) -> Horizons {
    let min_raw_ns = core.settings.min_raw_ns();
    let of = |policy: &Arc<ArchivePolicy>| {
        let dense = dense_horizon_ns(policy, min_raw_ns);
        horizons_ns(policy).into_iter().chain(dense)
    };
    let spans_ns = core.policies().iter().flat_map(of).collect();
    Horizons { spans_ns, partition_ns: core.settings.partition_ns() }
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
        // Nothing in order comes to a partition that has passed: two parts are enough to be merged.
        let closed = end_ns.saturating_add(width_ns / 8) < now_ns;
        let fan_in = if closed { 2 } else { settings.merge_fan_in as usize };
        if let Some(run) = run_of_like_size(group, fan_in, settings.merge_max_bytes) {
            return Some(closure(orders, run));
        }
    }
    None
}

/// Parts of `group` that lie side by side and are worth merging, as many as can be.
fn run_of_like_size(group: &[&Arc<Part>], fan_in: usize, max_bytes: u64) -> Option<Vec<Arc<Part>>> {
    let sizes: Vec<u64> = group.iter().map(|part| part.row.bytes).collect();
    let run = like_sizes(&sizes, fan_in, max_bytes)?;
    Some(group[run].iter().map(|part| Arc::clone(part)).collect())
}

/// The longest range of at least `fan_in` sizes, all below `max_bytes`, whose largest is at most 3/2 of the mean of
/// `fan_in - 1` others; where several are so long, that of the least bytes.
fn like_sizes(sizes: &[u64], fan_in: usize, max_bytes: u64) -> Option<Range<usize>> {
    let mut best: Option<(usize, Reverse<u64>, Range<usize>)> = None;
    for begin in 0..sizes.len() {
        let (mut sum, mut max) = (0, 0);
        let fitting =
            sizes[begin..].iter().take(MAX_INPUTS.max(fan_in)).take_while(|size| **size < max_bytes);
        for (at, size) in fitting.enumerate() {
            sum += size;
            max = max.max(*size);
            let len = at + 1;
            let is_like = max.saturating_mul(2 * (fan_in as u64 - 1)) <= (sum - max).saturating_mul(3);
            let is_better =
                || best.as_ref().is_none_or(|(most, least, _)| (len, Reverse(sum)) > (*most, *least));
            if len >= fan_in && is_like && is_better() {
                best = Some((len, Reverse(sum), begin..begin + len));
            }
        }
    }
    best.map(|(_, _, range)| range)
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

/// A raw part that has come of age, and the small rests of older ones that have come of age meanwhile.
fn with_leftovers(
    core: &Core,
    orders: &Orders,
    part: &Arc<Part>,
    horizons: &Horizons,
    now_ns: i64,
) -> Result<Vec<Arc<Part>>, StoreError> {
    let may_be_rest = |other: &&Arc<Part>| {
        other.row.id != part.row.id
            && other.row.max_ns <= part.row.max_ns
            && other.row.points <= part.row.points / 4
            && horizons.is_old(&other.row, now_ns)
    };
    let mut inputs = vec![Arc::clone(part)];
    for other in orders.parts.raw.iter().filter(may_be_rest) {
        if inputs.len() < MAX_INPUTS && share_of_age(core, orders, other, part)? >= SHARE_WORTH_A_MERGE {
            inputs.push(Arc::clone(other));
        }
    }
    Ok(closure(orders, inputs))
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
    use super::*;

    #[test]
    fn like_sizes_merge() {
        let run = |sizes: &[u64]| like_sizes(sizes, 3, 100);
        assert_eq!(run(&[]), None);
        assert_eq!(run(&[10, 10]), None);
        assert_eq!(run(&[10, 9, 11]), Some(0..3));
        assert_eq!(run(&[50, 10, 10]), None, "one is much larger");
        assert_eq!(run(&[50, 10, 9, 8]), Some(1..4));
        assert_eq!(run(&[30, 30, 10, 10, 10]), Some(0..5), "what comes out would merge at once");
        assert_eq!(run(&[9, 9, 100, 9]), None, "one is as large as parts become");
        assert_eq!(run(&[1, 50, 1, 1]), None, "nothing is skipped");
        assert_eq!(like_sizes(&[30, 19], 2, 100), None);
        assert_eq!(like_sizes(&[30, 20], 2, 100), Some(0..2));
    }

    /// Bytes written by merges over bytes flushed, and the most parts there were.
    fn amplification(flushes: usize, fan_in: usize) -> (f64, usize) {
        let (mut sizes, mut written, mut flushed, mut most) = (Vec::new(), 0, 0, 0);
        for flush in 0..flushes {
            let size = 80 + (flush as u64 * 7919) % 40;
            sizes.push(size);
            flushed += size;
            most = most.max(sizes.len());
            while let Some(run) = like_sizes(&sizes, fan_in, 10_000) {
                let sum = sizes[run.clone()].iter().sum();
                written += sum;
                sizes.splice(run, [sum]);
            }
        }
        (written as f64 / flushed as f64, most)
    }

    #[test]
    fn a_measure_is_seldom_written_again() {
        // Four days of flushes every 16 minutes.
        let (written, most) = amplification(360, 8);
        assert!(written <= 2.7 && most <= 20, "{written} times, {most} parts");
        let (written, most) = amplification(36_000, 8);
        assert!(written <= 3.0, "{written} times, {most} parts");
    }
}
