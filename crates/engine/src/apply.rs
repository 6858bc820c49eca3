//! Logged requests become visible: the apply thread puts them in the heads, in log order, and answers.

use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;
use nephometer_drivers::WriteBatch;

use crate::commit::{ApplyMessage, Change, Logged};
use crate::core::Core;
use crate::head::Run;
use crate::late::{Lateness, judge};
use crate::maintain::{Bell, flush_is_due};
use crate::sack::Sack;
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
                    apply(core, at, &change, Share::ALL);
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

/// The sacks that one of several threads takes care of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// Which thread, from 0.
    pub(crate) number: usize,
    /// How many threads.
    pub(crate) of: usize,
}

impl Share {
    /// All sacks.
    pub(crate) const ALL: Self = Self { number: 0, of: 1 };

    fn has(self, sack: usize) -> bool {
        sack % self.of == self.number
    }
}

/// Makes one logged change visible in the sacks of `share`.
pub(crate) fn apply(core: &Core, position: u64, change: &Change, share: Share) {
    match change {
        Change::Write(batch) => apply_batch(core, batch, share),
        Change::DeleteSpan { key, start_ns, stop_ns } => {
            let tombstone = Change::tombstone(*key, *start_ns, *stop_ns, position);
            if share.has(core.sack_number(key.0)) {
                core.sack_of(key.0).lock().delete_span(tombstone);
            }
        }
        Change::DeleteSeries(keys) => {
            for key in keys.iter().filter(|key| share.has(core.sack_number(key.0))) {
                core.sack_of(key.0).lock().delete_series(key.0, position);
            }
        }
    }
}

fn apply_batch(core: &Core, batch: &WriteBatch, share: Share) {
    let present_ns = core.present_ns();
    let BySack { runs, ends } = by_sack(core, batch);
    let mut begin = 0;
    for (number, end) in ends.into_iter().enumerate() {
        let runs = &runs[begin..end];
        begin = end;
        if runs.is_empty() || !share.has(number) {
            continue;
        }
        let mut sack = core.sacks[number].lock();
        for (run, first) in runs {
            let run = &batch.runs[*run];
            let range = *first..*first + run.len as usize;
            let run = Run {
                key: run.key.0,
                policy: run.policy.0,
                timestamps_ns: &batch.timestamps_ns[range.clone()],
                values: &batch.values[range],
            };
            append(core, &mut sack, &run, present_ns);
        }
    }
}

/// Puts what counts of a run in the head.
fn append(core: &Core, sack: &mut Sack, run: &Run<'_>, present_ns: i64) {
    match judge(core, sack, run, present_ns) {
        Lateness::Counts => sack.append(run),
        Lateness::Partly { counting, span_counts } => {
            core.count_late(&span_counts);
            for late in span_counts {
                sack.count_late(late.key.0, late.start, late.width, late.measures);
            }
            sack.append(&Run { timestamps_ns: &counting.timestamps_ns, values: &counting.values, ..*run });
        }
    }
}

/// Runs of a batch in the order of their sacks.
struct BySack {
    /// Number of each run and where its measures begin.
    runs: Vec<(usize, usize)>,
    /// Where in `runs` those of each sack end.
    ends: Vec<usize>,
}

fn by_sack(core: &Core, batch: &WriteBatch) -> BySack {
    let numbers: Vec<usize> = batch.runs.iter().map(|run| core.sack_number(run.key.0)).collect();
    let mut ends = vec![0; core.sacks.len()];
    numbers.iter().for_each(|number| ends[*number] += 1);
    let mut begin = 0;
    for end in &mut ends {
        // Where its runs begin for now; each run that is put in its place moves it on.
        begin += std::mem::replace(end, begin);
    }
    let mut runs = vec![(0, 0); numbers.len()];
    let mut first = 0;
    for (at, (number, run)) in numbers.into_iter().zip(&batch.runs).enumerate() {
        runs[ends[number]] = (at, first);
        ends[number] += 1;
        first += run.len as usize;
    }
    BySack { runs, ends }
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
