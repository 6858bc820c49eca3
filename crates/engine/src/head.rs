//! The head: measures of one sack that are in the log but not in parts yet, in order of arrival.
//!
//! Each series is a chain of chunks inside an arena, so that a measure costs its 16 bytes and little more, and a
//! series about 40. Order of arrival is order of log positions; sorting is left to those who read.

mod arena;
mod entries;
mod keys;

use std::collections::HashSet;

use nephometer_series::{Duplicates, Points, sort_and_deduplicate};

use arena::{Arena, Chain};
use entries::{Entries, Entry};
use keys::KeyIndex;
pub(crate) use keys::KeyMap;

/// Measures of one series in order of arrival; strictly ascending within one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) key: u64,
    pub(crate) policy: u32,
    pub(crate) timestamps_ns: &'a [i64],
    pub(crate) values: &'a [f64],
}

/// What the head holds of one series, which is not nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadSeries {
    pub(crate) key: u64,
    pub(crate) policy: u32,
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    chain: Chain,
    /// Whether arrival was in order of time, each timestamp once.
    ascending: bool,
}

/// The measures of one sack between two flushes.
#[derive(Debug)]
pub(crate) struct HeadBuffer {
    index: KeyIndex,
    entries: Entries,
    /// Numbers of the series that did not arrive in order of time, each timestamp once; few, as a rule.
    disordered: HashSet<usize>,
    arena: Arena,
    measures: u64,
}

impl HeadBuffer {
    /// An empty buffer; `stride` is the distance of neighbouring keys of the sack.
    pub(crate) fn new(stride: u32) -> Self {
        Self {
            index: KeyIndex::new(stride),
            entries: Entries::default(),
            disordered: HashSet::new(),
            arena: Arena::default(),
            measures: 0,
        }
    }

    /// Appends a run that is not empty.
    pub(crate) fn append(&mut self, run: &Run<'_>) {
        let (Some(first), Some(last)) = (run.timestamps_ns.first(), run.timestamps_ns.last()) else { return };
        let number = self.index.number_or_insert(run.key, self.entries.len());
        if number == self.entries.len() {
            self.entries.push(Entry::empty(run.policy));
        }
        let entry = self.entries.get_mut(number);
        entry.policy = run.policy;
        if entry.chain.len > 0 && *first <= entry.max_ns {
            self.disordered.insert(number);
        }
        entry.max_ns = entry.max_ns.max(*last);
        self.arena.append(&mut entry.chain, run.timestamps_ns, run.values);
        self.measures += run.timestamps_ns.len() as u64;
    }

    fn at(&self, key: u64, number: usize) -> Option<HeadSeries> {
        let Entry { max_ns, chain, policy } = *self.entries.get(number);
        let ascending = self.disordered.is_empty() || !self.disordered.contains(&number);
        let min_ns = if ascending { self.arena.first(&chain) } else { self.arena.min(&chain) }?;
        Some(HeadSeries { key, policy, min_ns, max_ns, chain, ascending })
    }

    /// What the buffer holds of `key`, if anything.
    pub(crate) fn series(&self, key: u64) -> Option<HeadSeries> {
        self.index.number(key).and_then(|number| self.at(key, number))
    }

    /// The measures of `series`, sorted, the newest of equal timestamps.
    pub(crate) fn points(&self, series: &HeadSeries) -> Points {
        let len = series.chain.len as usize;
        let mut points = Points { timestamps_ns: Vec::with_capacity(len), values: Vec::with_capacity(len) };
        self.arena.collect(&series.chain, &mut points.timestamps_ns, &mut points.values);
        if !series.ascending {
            sort_and_deduplicate(&mut points.timestamps_ns, &mut points.values, Duplicates::Newest);
        }
        points
    }

    /// Removes the measures of `key` in `[start_ns, stop_ns)`.
    pub(crate) fn remove(&mut self, key: u64, start_ns: i64, stop_ns: i64) {
        let Some(number) = self.index.number(key) else { return };
        let Some(series) = self.at(key, number) else { return };
        if series.min_ns >= stop_ns || series.max_ns < start_ns {
            return;
        }
        let mut left = self.points(&series);
        let mut keep = left.timestamps_ns.iter().map(|t| *t < start_ns || *t >= stop_ns);
        left.values.retain(|_| keep.next().unwrap_or(true));
        left.timestamps_ns.retain(|t| *t < start_ns || *t >= stop_ns);
        self.measures -= u64::from(series.chain.len);
        self.disordered.remove(&number);
        *self.entries.get_mut(number) = Entry::empty(series.policy);
        self.append(&Run {
            key,
            policy: series.policy,
            timestamps_ns: &left.timestamps_ns,
            values: &left.values,
        });
    }

    /// All series that have measures, by ascending key.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = HeadSeries> {
        self.index.numbers_by_key().filter_map(|(key, number)| self.at(key, number))
    }

    /// Measures inside, repeated timestamps included.
    pub(crate) fn measures(&self) -> u64 {
        self.measures
    }

    /// Series inside.
    pub(crate) fn series_count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Memory taken, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let disordered = self.disordered.capacity() * (size_of::<usize>() + 1);
        (self.entries.bytes() + disordered + self.arena.bytes() + self.index.bytes()) as u64
    }
}

#[cfg(test)]
mod tests;
