//! Merging: several parts of one sack become fewer, larger ones. On the way deletes are carried out, what no definition
//! keeps is dropped, and, where a part has come of age, raw measures are replaced by rollups.
//!
//! Reads go on meanwhile; one catalog transaction swaps the parts. Measures that arrive meanwhile for a time that is being
//! rolled up make the job void (it is tried again later): nothing that counted may cease to count.

mod cursor;
mod rollups;
mod settle;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nephometer_drivers::{CatalogChange, PartId, PartKind, PartRow, StoreError, Tombstone};
use nephometer_series::Points;
use nephometer_series::codec::SeriesColumns;

use crate::core::Core;
use crate::flush::seconds_since;
use crate::head::KeyMap;
use crate::parts::{PARTS, Part, PartSet, PartsWriter, Provenance, discard, rank};
use crate::plan::{Looks, Moment};
use crate::tombstones::{Tombstones, erase};
use crate::view::merge_newer;
use cursor::RawCursor;
pub(crate) use settle::Settler;

/// What is to be merged.
pub(crate) struct Job {
    pub(crate) sack: usize,
    pub(crate) kind: PartKind,
    /// By ascending rank.
    pub(crate) inputs: Vec<Arc<Part>>,
    /// Whether raw measures that have come of age become rollups.
    pub(crate) roll_up: bool,
    /// What is carried out on the way.
    pub(crate) orders: Orders,
    /// When it was planned.
    pub(crate) moment: Moment,
}

impl Job {
    /// As of when all that has come of age has gone from what comes out; nothing where some of it may stay.
    fn settled_at(&self) -> Option<Moment> {
        (self.roll_up || self.kind == PartKind::Rollup).then_some(self.moment)
    }

    /// The rank of what comes out.
    fn rank(&self) -> (u64, u64) {
        merged_rank(&self.inputs, &self.orders)
    }
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The parts are swapped.
    Merged,
    /// Late measures or deletes arrived meanwhile; nothing has changed.
    Void,
}

/// What a job finds in its sack when it is planned, and carries out.
///
/// Spans that were deleted since the last flush wait for the next one: a replay of the log judges once more what is late
/// among the measures that came before the delete, and must find in parts how far the series had come then.
pub(crate) struct Orders {
    pub(crate) parts: Arc<PartSet>,
    pub(crate) tombstones: Tombstones,
    pub(crate) dead: KeyMap<u64>,
    /// Deleted spans that wait for the next flush; nothing of their series can be rolled up before.
    pub(crate) waiting: Tombstones,
    /// The position after the newest delete that the catalog knows.
    executed_position: u64,
}

impl Orders {
    /// The parts that the catalog knows and the deletes of `sack` as they are now.
    pub(crate) fn of(core: &Core, sack: usize) -> Self {
        let covered = core.counters.covered_position.load(Ordering::Acquire);
        let sack = core.sacks[sack].lock();
        let (mut tombstones, mut waiting) = (Tombstones::default(), Tombstones::default());
        for tombstone in sack.tombstones.iter() {
            let is_known = tombstone.position < covered;
            if is_known { &mut tombstones } else { &mut waiting }.add(*tombstone);
        }
        let deletes = tombstones.iter().map(|tombstone| tombstone.position);
        let dead = sack.dead.values().copied().filter(|position| *position < covered);
        let executed = deletes.chain(dead).max();
        Self {
            parts: sack.known_parts(),
            tombstones,
            dead: sack.dead.clone(),
            waiting,
            executed_position: executed.map_or(0, |position| position + 1),
        }
    }
}

/// Does `job`. After an error nothing has changed.
pub(crate) fn run(core: &Arc<Core>, job: &Job) -> Result<Outcome, StoreError> {
    let started_ns = core.clock.monotonic_ns();
    check_room(core, job)?;
    let mut writer = PartsWriter::new(core, provenance(core, job));
    match job.kind {
        PartKind::Raw => merge_raw(core, job, &mut writer)?,
        PartKind::Rollup => rollups::merge(core, job, &mut writer)?,
    }
    let floor_ns = writer.rollup_floor_ns().filter(|_| job.kind == PartKind::Raw);
    let parts = writer.finish()?;
    let outcome = publish(core, job, floor_ns, &parts);
    if outcome.as_ref().is_ok_and(|outcome| *outcome == Outcome::Merged) {
        core.counters.merges.fetch_add(1, Ordering::Relaxed);
        let written = parts.iter().map(|row| row.bytes).sum();
        core.counters.merge_bytes.fetch_add(written, Ordering::Relaxed);
        tracing::info!(
            sack = job.sack,
            kind = ?job.kind,
            roll_up = job.roll_up,
            inputs = job.inputs.len(),
            input_bytes = job.inputs.iter().map(|part| part.row.bytes).sum::<u64>(),
            outputs = parts.len(),
            output_bytes = written,
            seconds = seconds_since(core, started_ns),
            "merged"
        );
    }
    outcome
}

/// Merging must not take the room that the log and flushes need.
fn check_room(core: &Core, job: &Job) -> Result<(), StoreError> {
    let input_bytes: u64 = job.inputs.iter().map(|part| part.row.bytes).sum();
    let free_bytes = core.storage.free_bytes().map_err(|error| StoreError::Io(error.to_string()))?;
    if free_bytes < input_bytes.saturating_add(core.settings.min_free_disk_bytes) {
        return Err(StoreError::Io(format!("{free_bytes} B of disk are too few to merge {input_bytes} B")));
    }
    Ok(())
}

fn provenance(core: &Core, job: &Job) -> Provenance {
    let rows = || job.inputs.iter().map(|part| &part.row);
    let (min_position, max_position) = job.rank();
    let settled_ns = job.settled_at().map(|_| core.now_ns());
    let as_of_ns = settled_ns.or_else(|| rows().map(|row| row.as_of_ns).min());
    Provenance {
        sack: u32::try_from(job.sack).unwrap_or(u32::MAX),
        level: rows().map(|row| row.level).max().unwrap_or(0).saturating_add(1),
        min_position,
        max_position,
        as_of_ns,
    }
}

fn merge_raw(core: &Arc<Core>, job: &Job, writer: &mut PartsWriter) -> Result<(), StoreError> {
    let orders = &job.orders;
    let mut cursors = Vec::new();
    for part in &job.inputs {
        cursors.extend(RawCursor::open(part)?);
    }
    let settler = Settler::new(core, &job.inputs, job.rank(), orders, job.roll_up);
    while let Some(key) = cursors.iter().filter_map(RawCursor::key).min() {
        core.go_on()?;
        let mut points = Points::default();
        let mut policy = 0;
        for cursor in cursors.iter_mut().filter(|cursor| cursor.key() == Some(key)) {
            let mut more = Points::default();
            policy = cursor.take(key, &mut more)?;
            erase(&mut more, orders.tombstones.of(key), cursor.max_position());
            merge_newer(&mut points, (&more.timestamps_ns, &more.values));
        }
        if points.is_empty() || orders.dead.contains_key(&key) {
            continue;
        }
        settler.settle(key, policy, &mut points, writer)?;
        if !points.is_empty() {
            writer.push_raw(&SeriesColumns {
                key,
                policy,
                timestamps_ns: &points.timestamps_ns,
                values: &points.values,
            })?;
        }
    }
    Ok(())
}

/// Swaps the parts, unless what was rolled up is no longer all there is.
fn publish(
    core: &Core,
    job: &Job,
    floor_ns: Option<i64>,
    written: &[PartRow],
) -> Result<Outcome, StoreError> {
    let discard = || discard(core, written);
    let synced = core.storage.sync_dir(PARTS).map_err(|error| StoreError::Io(error.to_string()));
    synced.inspect_err(|_| discard())?;
    let removed: Vec<PartId> = job.inputs.iter().map(|part| part.row.id).collect();
    let _publish = core.publish.lock();
    if floor_ns.is_some_and(|floor_ns| has_newcomers(core, job, floor_ns)) {
        discard();
        return Ok(Outcome::Void);
    }
    let change = CatalogChange {
        add_parts: written.to_vec(),
        remove_parts: removed.clone(),
        ..CatalogChange::default()
    };
    core.commit(change).inspect_err(|error| {
        if error.certain {
            discard();
        }
    })?;
    let parts: Vec<_> = written.iter().map(|row| core.shelf.part(row.clone())).collect();
    remember_looks(core, job, &parts);
    let mut sack = core.sacks[job.sack].lock();
    sack.parts = Arc::new(sack.parts.with(parts, &removed));
    drop(sack);
    job.inputs.iter().for_each(|part| part.replaced());
    Ok(Outcome::Merged)
}

/// Notes in `written`, the parts that come of `job`, that they need not be looked at soon. Where hardly anything went, they
/// are looked at as seldom as what they were made of: so nothing is written again and again for what does not go.
fn remember_looks(core: &Core, job: &Job, written: &[Arc<Part>]) {
    let Some(moment) = job.settled_at() else { return };
    let points = |parts: &[Arc<Part>], kind| {
        let of_kind = parts.iter().filter(|part| part.row.kind == kind);
        of_kind.map(|part| part.row.points).sum::<u64>()
    };
    let has_shrunk = points(written, job.kind) <= points(&job.inputs, job.kind) / 8 * 7;
    let before = job.inputs.iter().filter_map(|part| part.looks()).reduce(Looks::earlier);
    let looks = if has_shrunk {
        Looks::rest(moment, core.settings.partition_ns())
    } else {
        Looks::after(before, moment)
    };
    written.iter().for_each(|part| part.set_looks(looks));
}

/// Whether measures older than `floor_ns` have left the head, or are leaving it, since the job began, or something was
/// deleted that the job does not carry out.
fn has_newcomers(core: &Core, job: &Job, floor_ns: i64) -> bool {
    let sack = core.sacks[job.sack].lock();
    let known = &job.orders.parts.raw;
    let Orders { tombstones, waiting, .. } = &job.orders;
    let is_known = |tombstone: &Tombstone| {
        [tombstones, waiting].iter().any(|known| known.of(tombstone.key.0).contains(tombstone))
    };
    if !sack.tombstones.iter().all(is_known) {
        return true;
    }
    let new = |part: &&Arc<Part>| known.iter().all(|other| other.row.id != part.row.id);
    sack.parts.raw.iter().filter(new).any(|part| part.row.min_ns < floor_ns)
        || sack
            .frozen
            .as_ref()
            .is_some_and(|frozen| frozen.buffer.sorted().any(|series| series.min_ns < floor_ns))
}

/// The rank of what comes out of merging `parts`: to have carried out `orders` counts as a write.
pub(crate) fn merged_rank<'a>(parts: impl IntoIterator<Item = &'a Arc<Part>>, orders: &Orders) -> (u64, u64) {
    let ranks = parts.into_iter().map(|part| rank(&part.row));
    ranks.fold((u64::MAX, orders.executed_position), |merged, (min, max)| {
        (merged.0.min(min), merged.1.max(max))
    })
}
