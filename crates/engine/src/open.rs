//! Start: what the catalog and the log know becomes the state that everything works on.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Builder;

use crossbeam_channel::bounded;
use nephometer_drivers::{CatalogState, PartRow};
use nephometer_model::ArchivePolicy;

use crate::apply::{Share, apply, note_bytes};
use crate::commit::Change;
use crate::core::{Core, Foundations};
use crate::io::Storage;
use crate::parts::{Damage, PARTS, PartSet, QUARANTINE, Shelf, file_name};
use crate::sack::Sack;
use crate::wal::{WalWriter, replay};

/// Folder of the log.
pub(crate) const LOG: &str = "log";
/// File that remembers over how many sacks series are spread.
const SACKS: &str = "sacks";

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings are no good.
    #[error("engine settings: {0}")]
    Settings(String),
    /// The data was written with another number of sacks.
    #[error("the data is spread over {stored} sacks, the setting is {wanted}; it cannot be changed")]
    Sacks {
        /// As the data is.
        stored: String,
        /// As the setting is.
        wanted: u32,
    },
    /// The catalog does not answer.
    #[error(transparent)]
    Catalog(#[from] nephometer_drivers::CatalogError),
    /// Files cannot be read or written.
    #[error("engine files: {0}")]
    Io(#[from] std::io::Error),
}

/// A core whose heads hold what the log had, and the log, ready to go on.
pub(crate) struct Opened {
    pub(crate) core: Arc<Core>,
    pub(crate) log: WalWriter,
    /// Everything before this position is in parts.
    pub(crate) covered: u64,
    /// Position of the next request.
    pub(crate) next_position: u64,
}

/// Reads the catalog, sweeps files that nobody knows, replays the log.
pub(crate) fn open(foundations: Foundations, policies: &[Arc<ArchivePolicy>]) -> Result<Opened, OpenError> {
    let settings = &foundations.settings;
    let problems = settings.problems();
    if !problems.is_empty() {
        return Err(OpenError::Settings(problems.join("; ")));
    }
    let storage = Arc::clone(&foundations.storage);
    check_sacks(&*storage, settings.sacks)?;
    let state = foundations.catalog.load()?;
    let late_total = foundations.catalog.late_total()?;
    sweep(&*storage, &state)?;
    let damage = Damage::new(Arc::clone(&foundations.clock), &state.quarantined);
    let shelf = Arc::new(Shelf::new(Arc::clone(&storage), damage, settings.block_cache_bytes));
    let sacks = sacks(settings.sacks, &shelf, &state);
    let (segment_bytes, salt) = (settings.log_segment_bytes, foundations.ids.uuid().as_u64_pair().1);
    let core = Arc::new(Core::new(foundations, shelf, sacks));
    core.set_policies(policies);
    core.counters.late_measures.store(late_total, Ordering::Relaxed);
    core.counters.covered_position.store(state.log_position, Ordering::Relaxed);
    let next_position = replay_log(&core, state.log_position)?;
    let mut log = WalWriter::open(storage, LOG, next_position, segment_bytes, salt)?;
    log.remove_below(state.log_position, true).map_err(std::io::Error::other)?;
    core.counters.log_bytes.store(log.bytes(), Ordering::Relaxed);
    Ok(Opened { core, log, covered: state.log_position, next_position })
}

fn check_sacks(storage: &dyn Storage, wanted: u32) -> Result<(), OpenError> {
    if storage.list("")?.iter().any(|name| name == SACKS) {
        let reader = storage.open_read(SACKS)?;
        let mut bytes = vec![0; usize::try_from(reader.len()?.min(32)).unwrap_or(0)];
        reader.read_exact_at(0, &mut bytes)?;
        let stored = String::from_utf8_lossy(&bytes).trim().to_owned();
        if stored != wanted.to_string() {
            return Err(OpenError::Sacks { stored, wanted });
        }
        return Ok(());
    }
    let unfinished = format!("{SACKS}.new");
    let mut file = storage.create(&unfinished)?;
    file.write_all(format!("{wanted}\n").as_bytes())?;
    file.sync()?;
    storage.rename(&unfinished, SACKS)?;
    storage.sync_dir("")?;
    Ok(())
}

/// Removes files of parts that the catalog does not know: flushes and merges that a crash has interrupted, and parts
/// that were replaced. Of these, damaged ones are set aside.
fn sweep(storage: &dyn Storage, state: &CatalogState) -> Result<(), OpenError> {
    let known: HashSet<String> = state.parts.iter().map(file_name).collect();
    let damaged: HashSet<&str> = state.quarantined.iter().map(|place| place.file.as_str()).collect();
    let mut swept = 0;
    for name in storage.list(PARTS)?.iter().filter(|name| !known.contains(*name)) {
        let path = format!("{PARTS}/{name}");
        if damaged.contains(name.as_str()) {
            storage.rename(&path, &format!("{QUARANTINE}/{name}"))?;
        } else {
            storage.remove(&path)?;
        }
        swept += 1;
    }
    if swept > 0 {
        storage.sync_dir(PARTS)?;
        tracing::info!(swept, "files of unknown parts removed");
    }
    Ok(())
}

fn sacks(count: u32, shelf: &Arc<Shelf>, state: &CatalogState) -> Vec<Sack> {
    let of_sack = |number: u32| {
        let rows = state.parts.iter().filter(|row: &&PartRow| row.sack == number);
        PartSet::default().with(rows.map(|row| shelf.part(row.clone())), &[])
    };
    let mut sacks: Vec<Sack> = (0..count).map(|number| Sack::new(count, of_sack(number))).collect();
    let place = |key: u64| usize::try_from(key % u64::from(count)).unwrap_or(0);
    for tombstone in &state.tombstones {
        sacks[place(tombstone.key.0)].tombstones.add(*tombstone);
    }
    for key in &state.dead_series {
        // When it was told is forgotten: any part may still hold some of it.
        sacks[place(key.0)].dead.insert(key.0, state.log_position);
    }
    sacks
}

/// Requests of the log, with their positions, handed from who reads to those who apply.
type Read = Arc<Vec<(u64, Change)>>;

/// Memory of requests that are handed on at once, in bytes.
const READ_BYTES: u64 = 1 << 20;
/// How many such groups may wait for a thread.
const READ_AHEAD: usize = 3;

/// Puts what the log holds after `from_position` in the heads; returns the position to go on with. One thread reads,
/// others apply, each to its share of the sacks.
fn replay_log(core: &Core, from_position: u64) -> Result<u64, OpenError> {
    let started_ns = core.clock.monotonic_ns();
    let threads = core.sacks.len().min(core.settings.read_threads as usize);
    let mut measures = 0;
    let replayed = std::thread::scope(|scope| {
        let mut to_apply = Vec::with_capacity(threads);
        for number in 0..threads {
            let (sender, groups) = bounded::<Read>(READ_AHEAD);
            let share = Share { number, of: threads };
            let body = move || groups.iter().for_each(|group| apply_all(core, &group, share));
            Builder::new().name(format!("neph-replay-{number}")).spawn_scoped(scope, body)?;
            to_apply.push(sender);
        }
        let (mut group, mut bytes) = (Vec::new(), 0);
        let hand_on = |group: &mut Vec<_>| {
            let group: Read = Arc::new(std::mem::take(group));
            // A thread that is gone has panicked, which the end of the scope tells.
            to_apply.iter().for_each(|sender| drop(sender.send(Arc::clone(&group))));
        };
        let replayed = replay(&*core.storage, LOG, from_position, |position, record| {
            let change = Change::from(record);
            measures += change.measures();
            bytes += change.bytes();
            group.push((position, change));
            if bytes >= READ_BYTES {
                hand_on(&mut group);
                bytes = 0;
            }
        })?;
        hand_on(&mut group);
        Ok::<_, OpenError>(replayed)
    })?;
    for damage in &replayed.damage {
        core.shelf.damage.report(&damage.file, damage.offset, damage.bytes, &damage.reason);
    }
    note_bytes(core);
    if replayed.records > 0 {
        core.first_waits();
    }
    tracing::info!(
        records = replayed.records,
        measures,
        torn_bytes = replayed.torn_bytes,
        damaged = replayed.damage.len(),
        seconds = crate::flush::seconds_since(core, started_ns),
        "log replayed"
    );
    Ok(replayed.next_position.max(from_position).max(1))
}

fn apply_all(core: &Core, group: &[(u64, Change)], share: Share) {
    for (position, change) in group {
        apply(core, *position, change, share);
    }
}
