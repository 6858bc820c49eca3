//! From head to parts: the heads are set aside, written as parts, and one catalog transaction makes these exist and
//! tells how far the log is covered. A crash before it leaves files that nobody knows, which are swept at start, and a
//! log that is replayed; a crash after it replays nothing twice.
//!
//! Sacks are written one after the other, and reads go to a sack's new parts as soon as they are whole, so that the memory
//! of its head is free for what arrives meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;
use nephometer_drivers::{CatalogChange, LateCount, PartRow, StoreError, Tombstone};
use nephometer_series::Points;
use nephometer_series::codec::SeriesColumns;
use parking_lot::Mutex;

use crate::commit::ApplyMessage;
use crate::core::Core;
use crate::head::{HeadSeries, Packed};
use crate::late::count_spans;
use crate::parts::{PARTS, PartSet, PartsWriter, Provenance, discard};
use crate::rollup::floor_in;
use crate::sack::{LateMap, late_counts};
use crate::wal::WalWriter;

/// What one flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub(crate) parts: usize,
    pub(crate) points: u64,
}

/// Flushes, one at a time.
pub(crate) struct Flusher {
    core: Arc<Core>,
    apply: Sender<ApplyMessage>,
    log: Arc<Mutex<WalWriter>>,
    progress: Mutex<Progress>,
}

/// How far flushing has come.
struct Progress {
    /// Everything before this position is in parts.
    covered: u64,
    /// Heads are set aside that hold everything up to this position.
    frozen_to: Option<u64>,
    /// The first of them have been written to these parts, which the catalog did not take yet.
    written: Vec<Written>,
}

/// The outcome of writing one sack's head.
#[derive(Default, Clone)]
struct Written {
    parts: Vec<PartRow>,
    late: Vec<LateCount>,
}

impl Flusher {
    pub(crate) fn new(
        core: Arc<Core>,
        apply: Sender<ApplyMessage>,
        log: Arc<Mutex<WalWriter>>,
        covered: u64,
    ) -> Self {
        Self {
            core,
            apply,
            log,
            progress: Mutex::new(Progress { covered, frozen_to: None, written: Vec::new() }),
        }
    }

    /// Writes everything acknowledged before this call to parts. After an error nothing is lost and the next call goes
    /// on where this one stopped.
    pub(crate) fn flush(&self) -> Result<Option<Flushed>, StoreError> {
        let mut progress = self.progress.lock();
        let end_position = match progress.frozen_to {
            Some(position) => position,
            None => self.freeze()?,
        };
        progress.frozen_to = Some(end_position);
        if end_position == progress.covered {
            self.drop_empty_heads();
            progress.frozen_to = None;
            return Ok(None);
        }
        let started_ns = self.core.clock.monotonic_ns();
        self.write_sacks(&mut progress.written)?;
        let flushed = self.publish(progress.covered, end_position, &progress.written)?;
        progress.written.clear();
        progress.covered = end_position;
        self.core.counters.covered_position.store(end_position, Ordering::Release);
        progress.frozen_to = None;
        let freed = self.log.lock().remove_below(end_position, self.may_keep_files());
        self.core.counters.log_bytes.store(self.log.lock().bytes(), Ordering::Relaxed);
        match freed {
            Ok(bytes) => _ = self.core.counters.log_freed_bytes.fetch_add(bytes, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "covered log segments could not be removed"),
        }
        let seconds = seconds_since(&self.core, started_ns);
        tracing::info!(parts = flushed.parts, points = flushed.points, seconds, "flushed");
        Ok(Some(flushed))
    }

    /// Whether the log may keep the files of what it removes, to write them again: neither when it ends nor when the disk
    /// is short of room.
    fn may_keep_files(&self) -> bool {
        let Core { settings, storage, stopping, .. } = &*self.core;
        let has_room = || storage.free_bytes().is_ok_and(|free| free >= settings.min_free_disk_bytes);
        !stopping.load(Ordering::Relaxed) && has_room()
    }

    fn freeze(&self) -> Result<u64, StoreError> {
        let closed = |_| StoreError::Closed("its threads have ended".to_owned());
        let (answer, position) = crossbeam_channel::bounded(1);
        self.apply.send(ApplyMessage::Freeze(answer)).map_err(|_| closed(()))?;
        position.recv().map_err(|_| closed(()))
    }

    fn drop_empty_heads(&self) {
        for sack in &self.core.sacks {
            sack.lock().frozen = None;
        }
        self.core.counters.frozen_bytes.store(0, Ordering::Relaxed);
    }

    /// Writes the sacks that are not among `written`. After an error those that are done stay there.
    fn write_sacks(&self, written: &mut Vec<Written>) -> Result<(), StoreError> {
        for number in written.len()..self.core.sacks.len() {
            let done = self.write_sack(number)?;
            self.core.storage.sync_dir(PARTS).map_err(|error| {
                discard(&self.core, &done.parts);
                StoreError::Io(error.to_string())
            })?;
            let parts: Vec<_> = done.parts.iter().map(|row| self.core.shelf.part(row.clone())).collect();
            written.push(done);
            let mut sack = self.core.sacks[number].lock();
            let frozen_bytes = sack.frozen.as_ref().map_or(0, |frozen| frozen.buffer.bytes());
            sack.thaw(parts);
            drop(sack);
            self.core.counters.frozen_bytes.fetch_sub(frozen_bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn write_sack(&self, number: usize) -> Result<Written, StoreError> {
        // No merge is about to raise the floor of rollups: it has done so, or will see what is frozen.
        let publish = self.core.publish.lock();
        let sack = self.core.sacks[number].lock();
        let Some(frozen) = sack.frozen.clone() else { return Ok(Written::default()) };
        let parts = Arc::clone(&sack.parts);
        let dead = sack.dead.clone();
        drop((sack, publish));
        let mut writer = PartsWriter::new(
            &self.core,
            Provenance {
                sack: u32::try_from(number).unwrap_or(u32::MAX),
                level: 0,
                min_position: frozen.start_position,
                max_position: frozen.end_position,
                as_of_ns: None,
            },
        );
        let mut late = Vec::new();
        let (mut packed, mut points) = (Packed::default(), Points::default());
        for series in frozen.buffer.sorted().filter(|series| !dead.contains_key(&series.key)) {
            frozen.buffer.pack(&series, &mut packed);
            packed.unpack(&mut points);
            self.drop_late(&parts, &series, &mut points, &mut late)?;
            writer.push_raw(&SeriesColumns {
                key: series.key,
                policy: series.policy,
                timestamps_ns: &points.timestamps_ns,
                values: &points.values,
            })?;
        }
        Ok(Written { parts: writer.finish()?, late })
    }

    /// Takes from `points`, the measures of `series`, those whose time has been rolled up meanwhile; these go to the
    /// ledger.
    fn drop_late(
        &self,
        parts: &PartSet,
        series: &HeadSeries,
        points: &mut Points,
        late: &mut Vec<LateCount>,
    ) -> Result<(), StoreError> {
        if series.min_ns < parts.rolled_up_to_ns()
            && let Some(floor) = floor_in(parts, series.key)?
        {
            let split = points.timestamps_ns.partition_point(|t| *t < floor);
            let policy = self.core.policy(series.policy);
            late.extend(count_spans(series.key, policy.as_deref(), &points.timestamps_ns[..split]));
            points.timestamps_ns.drain(..split);
            points.values.drain(..split);
        }
        Ok(())
    }

    /// Makes the parts exist and their measures leave the heads.
    fn publish(
        &self,
        start_position: u64,
        end_position: u64,
        written: &[Written],
    ) -> Result<Flushed, StoreError> {
        let _publish = self.core.publish.lock();
        let mut change = CatalogChange { log_position: Some(end_position), ..CatalogChange::default() };
        let mut late_now = Vec::new();
        for (sack, written) in self.core.sacks.iter().zip(written) {
            let sack = sack.lock();
            let new = |tombstone: &&Tombstone| (start_position..end_position).contains(&tombstone.position);
            change.add_tombstones.extend(sack.tombstones.iter().filter(new));
            change.late.extend(late_counts(&sack.frozen_late));
            change.add_parts.extend_from_slice(&written.parts);
            late_now.extend_from_slice(&written.late);
        }
        change.late.extend_from_slice(&late_now);
        let flushed = Flushed {
            parts: change.add_parts.len(),
            points: change.add_parts.iter().map(|row| row.points).sum(),
        };
        let bytes = change.add_parts.iter().map(|row| row.bytes).sum();
        self.core.commit(change)?;
        for sack in &self.core.sacks {
            let mut sack = sack.lock();
            sack.unpublished.clear();
            sack.frozen_late = LateMap::new();
        }
        self.core.counters.flush_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.core.count_late(&late_now);
        self.core.counters.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(flushed)
    }
}

/// Seconds since `started_ns` on the monotonic clock.
pub(crate) fn seconds_since(core: &Core, started_ns: u64) -> f64 {
    core.clock.monotonic_ns().saturating_sub(started_ns) as f64 / 1e9
}
