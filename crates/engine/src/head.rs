//! The head: measures of one sack that are in the log but not in parts yet, in order of arrival.
//!
//! Each series is a chain of chunks inside an arena, so that a measure costs its 16 bytes and little more, and a
//! series about 60. Order of arrival is order of log positions; sorting is left to those who read.

mod arena;
mod keys;

use nephometer_series::{Duplicates, Points, sort_and_deduplicate};

use arena::{Arena, Chain};
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

/// What the head holds of one series.
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

impl HeadSeries {
    /// Whether all its measures have been deleted.
    pub(crate) fn is_empty(&self) -> bool {
        self.chain.len == 0
    }
}

/// The measures of one sack between two flushes.
#[derive(Debug)]
pub(crate) struct HeadBuffer {
    index: KeyIndex,
    series: Vec<HeadSeries>,
    arena: Arena,
    measures: u64,
}

impl HeadBuffer {
    /// An empty buffer; `stride` is the distance of neighbouring keys of the sack.
    pub(crate) fn new(stride: u32) -> Self {
        Self { index: KeyIndex::new(stride), series: Vec::new(), arena: Arena::default(), measures: 0 }
    }

    /// Appends a run that is not empty.
    pub(crate) fn append(&mut self, run: &Run<'_>) {
        let (Some(first), Some(last)) = (run.timestamps_ns.first(), run.timestamps_ns.last()) else { return };
        let number = self.index.number_or_insert(run.key, self.series.len());
        if number == self.series.len() {
            self.series.push(HeadSeries {
                key: run.key,
                policy: run.policy,
                min_ns: i64::MAX,
                max_ns: i64::MIN,
                chain: Chain::default(),
                ascending: true,
            });
        }
        let series = &mut self.series[number];
        series.policy = run.policy;
        series.ascending &= series.is_empty() || *first > series.max_ns;
        series.min_ns = series.min_ns.min(*first);
        series.max_ns = series.max_ns.max(*last);
        self.arena.append(&mut series.chain, run.timestamps_ns, run.values);
        self.measures += run.timestamps_ns.len() as u64;
    }

    /// What the buffer holds of `key`, if anything.
    pub(crate) fn series(&self, key: u64) -> Option<&HeadSeries> {
        self.index.number(key).map(|number| &self.series[number]).filter(|series| !series.is_empty())
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
        let series = self.series[number];
        if series.is_empty() || series.min_ns >= stop_ns || series.max_ns < start_ns {
            return;
        }
        let mut left = self.points(&series);
        let mut keep = left.timestamps_ns.iter().map(|t| *t < start_ns || *t >= stop_ns);
        left.values.retain(|_| keep.next().unwrap_or(true));
        left.timestamps_ns.retain(|t| *t < start_ns || *t >= stop_ns);
        self.measures -= u64::from(series.chain.len);
        let empty = HeadSeries {
            min_ns: i64::MAX,
            max_ns: i64::MIN,
            chain: Chain::default(),
            ascending: true,
            ..series
        };
        self.series[number] = empty;
        self.append(&Run {
            key,
            policy: series.policy,
            timestamps_ns: &left.timestamps_ns,
            values: &left.values,
        });
    }

    /// All series that have measures, by ascending key.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = &HeadSeries> {
        self.index.numbers_by_key().map(|number| &self.series[number]).filter(|series| !series.is_empty())
    }

    /// Measures inside, repeated timestamps included.
    pub(crate) fn measures(&self) -> u64 {
        self.measures
    }

    /// Series inside.
    pub(crate) fn series_count(&self) -> u64 {
        self.series.len() as u64
    }

    /// Memory taken, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let series = self.series.capacity() * size_of::<HeadSeries>();
        (series + self.arena.bytes() + self.index.bytes()) as u64
    }
}

#[cfg(test)]
mod tests;
