//! The head: measures of one sack that are in the log but not in parts yet, in order of arrival.
//!
//! Each series is a chain of chunks inside an arena, where a measure takes one to three bytes as a rule (`coding`), and
//! 44 bytes beside it. Order of arrival is order of log positions; decoding and sorting is left to those who read.

mod arena;
mod coding;
mod entries;
mod keys;

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

/// The coded measures of one series, taken out of a head: decoding them needs no lock.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    ascending: bool,
}

impl Packed {
    /// Puts the measures, sorted, the newest of equal timestamps, in `points`.
    pub(crate) fn unpack(&self, points: &mut Points) {
        points.timestamps_ns.clear();
        points.values.clear();
        coding::decode(&self.bytes, points);
        if !self.ascending {
            sort_and_deduplicate(&mut points.timestamps_ns, &mut points.values, Duplicates::Newest);
        }
    }
}

/// Oldest and newest timestamp.
type Span = (i64, i64);

/// The measures of one sack between two flushes.
#[derive(Debug)]
pub(crate) struct HeadBuffer {
    index: KeyIndex,
    entries: Entries,
    /// Of the series that did not arrive in order of time, each timestamp once: their spans by number. Few, as a rule.
    disordered: KeyMap<Span>,
    arena: Arena,
    measures: u64,
    /// A run while it is coded.
    coded: Vec<u8>,
}

impl HeadBuffer {
    /// An empty buffer; `stride` is the distance of neighbouring keys of the sack.
    pub(crate) fn new(stride: u32) -> Self {
        Self {
            index: KeyIndex::new(stride),
            entries: Entries::default(),
            disordered: KeyMap::default(),
            arena: Arena::default(),
            measures: 0,
            coded: Vec::new(),
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
        let (mut state, mut chain) = (entry.state(), entry.chain());
        let mut is_first = chain.is_empty();
        if !is_first && *first <= state.last_ns {
            let whole = || (coding::first_ns(self.arena.first(&chain)), state.last_ns);
            self.disordered.entry(number as u64).or_insert_with(whole);
        }
        if !self.disordered.is_empty()
            && let Some((min_ns, max_ns)) = self.disordered.get_mut(&(number as u64))
        {
            (*min_ns, *max_ns) = ((*min_ns).min(*first), (*max_ns).max(*last));
        }
        self.coded.clear();
        for (at_ns, value) in run.timestamps_ns.iter().zip(run.values) {
            state.push(is_first, *at_ns, *value, &mut self.coded);
            is_first = false;
        }
        self.arena.append(&mut chain, &self.coded);
        entry.set(run.policy, state, chain);
        self.measures += run.timestamps_ns.len() as u64;
    }

    fn at(&self, key: u64, number: usize) -> Option<HeadSeries> {
        let entry = self.entries.get(number);
        let chain = entry.chain();
        if chain.is_empty() {
            return None;
        }
        let span = if self.disordered.is_empty() { None } else { self.disordered.get(&(number as u64)) };
        let (min_ns, max_ns) = span
            .copied()
            .unwrap_or_else(|| (coding::first_ns(self.arena.first(&chain)), entry.state().last_ns));
        Some(HeadSeries { key, policy: entry.policy, min_ns, max_ns, chain, ascending: span.is_none() })
    }

    /// What the buffer holds of `key`, if anything.
    pub(crate) fn series(&self, key: u64) -> Option<HeadSeries> {
        self.index.number(key).and_then(|number| self.at(key, number))
    }

    /// Puts the measures of `series` in `packed`.
    pub(crate) fn pack(&self, series: &HeadSeries, packed: &mut Packed) {
        packed.bytes.clear();
        self.arena.collect(&series.chain, &mut packed.bytes);
        packed.ascending = series.ascending;
    }

    /// Removes the measures of `key` in `[start_ns, stop_ns)`.
    pub(crate) fn remove(&mut self, key: u64, start_ns: i64, stop_ns: i64) {
        let Some(number) = self.index.number(key) else { return };
        let Some(series) = self.at(key, number) else { return };
        if series.min_ns >= stop_ns || series.max_ns < start_ns {
            return;
        }
        let (mut packed, mut left) = (Packed::default(), Points::default());
        self.pack(&series, &mut packed);
        coding::decode(&packed.bytes, &mut left);
        self.measures -= left.values.len() as u64;
        packed.unpack(&mut left);
        let mut keep = left.timestamps_ns.iter().map(|t| *t < start_ns || *t >= stop_ns);
        left.values.retain(|_| keep.next().unwrap_or(true));
        left.timestamps_ns.retain(|t| *t < start_ns || *t >= stop_ns);
        self.disordered.remove(&(number as u64));
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
        let disordered = self.disordered.capacity() * (size_of::<(u64, Span)>() + 1);
        (self.entries.bytes() + disordered + self.arena.bytes() + self.index.bytes() + self.coded.capacity())
            as u64
    }
}

#[cfg(test)]
mod tests;
