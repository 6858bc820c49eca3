//! What the journal says, in memory.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use nephometer_model::{Sample, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use super::coding::{Record, Step};
use crate::transform::{Entry, Kept, Key};

/// Entries of one record when the journal is written anew.
const ENTRIES_A_RECORD: usize = 1000;

/// The number that a sample's id is recognised by.
pub(super) fn id_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Samples that were made together and wait for publishers.
#[derive(Debug, Clone)]
struct Waiting {
    sequence: u64,
    samples: Arc<Vec<Sample>>,
}

/// What one sink remembers.
#[derive(Debug, Default)]
pub(crate) struct SinkMemory {
    pub(crate) entries: HashMap<Key, Entry>,
    outbox: VecDeque<Waiting>,
    last_sequence: u64,
    /// Who is to get what is made, and up to which number each has got it.
    pub(super) settled: HashMap<Arc<str>, u64>,
    seen: Seen,
}

/// Ids of the latest samples.
#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<u64>,
    ids: HashSet<u64>,
}

impl Seen {
    fn insert(&mut self, id: u64, window: usize) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > window {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }
}

/// Which samples of a batch are new.
pub(super) struct FreshIds {
    pub(super) ids: Vec<u64>,
    pub(super) replayed: usize,
}

impl SinkMemory {
    /// The samples that were not here before, and their ids.
    pub(super) fn fresh(&self, samples: Vec<Sample>) -> (Vec<Sample>, FreshIds) {
        let count = samples.len();
        let mut ids = Vec::with_capacity(count);
        let mut within = HashSet::with_capacity(count);
        let fresh: Vec<Sample> = samples
            .into_iter()
            .filter(|sample| {
                let id = id_hash(&sample.id);
                let fresh = !self.seen.ids.contains(&id) && within.insert(id);
                if fresh {
                    ids.push(id);
                }
                fresh
            })
            .collect();
        let replayed = count - fresh.len();
        (fresh, FreshIds { ids, replayed })
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Samples that some publisher has not got.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.iter().map(|waiting| waiting.samples.len()).sum()
    }

    pub(super) fn waiting_for(&self, target: &str) -> usize {
        let settled = self.settled.get(target).copied().unwrap_or_default();
        let of_it = self.outbox.iter().filter(|waiting| waiting.sequence > settled);
        of_it.map(|waiting| waiting.samples.len()).sum()
    }

    pub(super) fn next(&self, target: &str) -> Option<(u64, Arc<Vec<Sample>>)> {
        let settled = self.settled.get(target).copied().unwrap_or_default();
        let next = self.outbox.iter().find(|waiting| waiting.sequence > settled)?;
        Some((next.sequence, Arc::clone(&next.samples)))
    }

    /// Drops what everybody has got.
    fn drop_settled(&mut self) {
        let settled = self.settled.values().copied().min().unwrap_or(u64::MAX);
        while self.outbox.front().is_some_and(|waiting| waiting.sequence <= settled) {
            self.outbox.pop_front();
        }
    }

    /// What may be forgotten.
    pub(super) fn idle(&self, before: Timestamp, most: usize, by_resource: &dyn Fn(u64) -> bool) -> Vec<Key> {
        let free = |(key, entry): &(&Key, &Entry)| !entry.kept.owes(by_resource(key.transformer));
        let mut idle: Vec<Key> = Vec::new();
        let mut resting: Vec<(Timestamp, &Key)> = Vec::new();
        for (key, entry) in self.entries.iter().filter(free) {
            if entry.touched < before {
                idle.push(key.clone());
            } else {
                resting.push((entry.touched, key));
            }
        }
        let excess = (self.entries.len() - idle.len()).saturating_sub(most);
        if excess > 0 {
            // Some more than needed, so that this is not done for each key that comes.
            let many = (excess + most / 10).min(resting.len());
            resting.sort_unstable();
            idle.extend(resting[..many].iter().map(|(_, key)| (*key).clone()));
        }
        idle
    }

    fn apply(&mut self, step: Step, window: usize) {
        for (key, kept) in step.changes {
            match kept {
                Some(kept) => self.entries.insert(key, Entry { kept, touched: step.now }),
                None => self.entries.remove(&key),
            };
        }
        for id in step.seen {
            self.seen.insert(id, window);
        }
        if !step.samples.is_empty() {
            self.last_sequence += 1;
            self.outbox.push_back(Waiting { sequence: self.last_sequence, samples: step.samples });
        }
    }

    /// Records that say all of this.
    fn records(&self, sink: &Arc<str>) -> Vec<Record> {
        let empty = || Step {
            sink: Arc::clone(sink),
            samples: Arc::default(),
            changes: BTreeMap::new(),
            seen: Vec::new(),
            now: Timestamp::default(),
        };
        let mut by_time: BTreeMap<Timestamp, Vec<(Key, Option<Kept>)>> = BTreeMap::new();
        for (key, entry) in &self.entries {
            by_time.entry(entry.touched).or_default().push((key.clone(), Some(entry.kept.clone())));
        }
        let mut steps = vec![Step { seen: self.seen.order.iter().copied().collect(), ..empty() }];
        for (touched, entries) in by_time {
            for part in entries.chunks(ENTRIES_A_RECORD) {
                steps.push(Step { changes: part.iter().cloned().collect(), now: touched, ..empty() });
            }
        }
        let mut records: Vec<Record> = steps.into_iter().map(Record::Step).collect();
        let before = self.outbox.front().map_or(self.last_sequence, |first| first.sequence - 1);
        records.push(Record::Sequence { sink: Arc::clone(sink), last: before });
        records.extend(
            self.outbox
                .iter()
                .map(|waiting| Record::Step(Step { samples: Arc::clone(&waiting.samples), ..empty() })),
        );
        records.extend(self.settled.iter().map(|(target, sequence)| Record::Settled {
            sink: Arc::clone(sink),
            target: Arc::clone(target),
            sequence: *sequence,
        }));
        records
    }
}

/// What all sinks remember.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) sinks: HashMap<Arc<str>, SinkMemory>,
}

impl Memory {
    pub(super) fn sink(&mut self, sink: &Arc<str>) -> &mut SinkMemory {
        self.sinks.entry(Arc::clone(sink)).or_default()
    }

    /// Does what `record` says.
    pub(super) fn apply(&mut self, record: Record, window: usize) {
        match record {
            Record::Step(step) => {
                let sink = Arc::clone(&step.sink);
                self.sink(&sink).apply(step, window);
            }
            Record::Settled { sink, target, sequence } => {
                let memory = self.sink(&sink);
                memory.settled.insert(target, sequence);
                memory.drop_settled();
            }
            Record::Detached { sink, target } => {
                let memory = self.sink(&sink);
                memory.settled.remove(&target);
                memory.drop_settled();
            }
            Record::Sequence { sink, last } => self.sink(&sink).last_sequence = last,
            Record::Forgotten { sink } => {
                self.sinks.remove(&sink);
            }
        }
    }

    /// Records that say all of this.
    pub(super) fn records(&self) -> Vec<Record> {
        self.sinks.iter().flat_map(|(sink, memory)| memory.records(sink)).collect()
    }
}
