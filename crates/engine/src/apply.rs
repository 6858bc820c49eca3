//! Logged requests become visible: the apply thread puts them in the heads, in log order, and answers.

use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;
use nephometer_drivers::WriteBatch;

use crate::commit::{ApplyMessage, Change, Logged};
use crate::core::Core;
use crate::head::Run;
use crate::late::{Lateness, judge};
use crate::maintain::{Bell, flush_is_due};
use crate::settings::LateRule;

/// The body of the apply thread: ends when it is told to. `covered` is the position before which everything
/// is in parts, `position` that of the first request it will see.
pub(crate) fn run_apply(
    core: &Core,
    messages: &Receiver<ApplyMessage>,
    mut covered: u64,
    mut position: u64,
    flush_bell: &Bell,
) {
    for message in messages {
        match message {
            ApplyMessage::Apply(logged) => {
                for Logged { position: at, change, done } in logged {
                    apply(core, at, &change);
                    position = at + 1;
                    if let Change::Write(batch) = &change {
                        let measures = batch.values.len() as u64;
                        core.counters.measures_written.fetch_add(measures, Ordering::Relaxed);
                    }
                    let _ = done.send(Ok(()));
                }
                note_bytes(core);
                core.first_waits();
                if flush_is_due(core) {
                    flush_bell.ring();
                }
            }
            ApplyMessage::Freeze(frozen) => {
                freeze(core, covered, position);
                covered = position;
                let _ = frozen.send(position);
            }
            ApplyMessage::End => return,
        }
    }
}

/// Makes one logged change visible.
pub(crate) fn apply(core: &Core, position: u64, change: &Change) {
    match change {
        Change::Write(batch) => apply_batch(core, batch),
        Change::DeleteSpan { key, start_ns, stop_ns } => {
            let tombstone = Change::tombstone(*key, *start_ns, *stop_ns, position);
            core.sack_of(key.0).lock().delete_span(tombstone);
        }
        Change::DeleteSeries(keys) => {
            for key in keys {
                core.sack_of(key.0).lock().delete_series(key.0, position);
            }
        }
    }
}

fn apply_batch(core: &Core, batch: &WriteBatch) {
    let sacks = core.sacks.len() as u64;
    let present_ns = core.present_ns();
    for (number, sack) in core.sacks.iter().enumerate() {
        let mut locked = None;
        let mut begin = 0;
        for run in &batch.runs {
            let end = begin + run.len as usize;
            if run.key.0 % sacks == number as u64 && end > begin {
                let run = Run {
                    key: run.key.0,
                    policy: run.policy.0,
                    timestamps_ns: &batch.timestamps_ns[begin..end],
                    values: &batch.values[begin..end],
                };
                let sack = locked.get_or_insert_with(|| sack.lock());
                match judge(core, sack, &run, present_ns) {
                    Lateness::Counts => sack.append(&run),
                    Lateness::Partly { counting, span_counts } => {
                        core.count_late(&span_counts);
                        for late in span_counts {
                            sack.count_late(late.key.0, late.start, late.width, late.measures);
                        }
                        sack.append(&Run {
                            timestamps_ns: &counting.timestamps_ns,
                            values: &counting.values,
                            ..run
                        });
                    }
                }
            }
            begin = end;
        }
    }
}

/// Sets all heads aside.
fn freeze(core: &Core, start_position: u64, end_position: u64) {
    let mut bytes = 0;
    for sack in &core.sacks {
        let mut sack = sack.lock();
        bytes += sack.active.bytes();
        sack.freeze(start_position, end_position);
        if core.settings.late == LateRule::Accept {
            sack.newest_ns.clear();
        }
    }
    core.counters.frozen_bytes.store(bytes, Ordering::Relaxed);
    core.counters.waiting_since_ns.store(0, Ordering::Relaxed);
    note_bytes(core);
}

/// Brings the count of the active heads' memory up to date.
pub(crate) fn note_bytes(core: &Core) {
    let bytes = core.sacks.iter().map(|sack| sack.lock().active.bytes()).sum();
    core.counters.active_bytes.store(bytes, Ordering::Relaxed);
}
