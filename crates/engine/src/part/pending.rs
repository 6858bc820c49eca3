//! Series that wait for their block to be full.

use std::ops::Range;

use nephometer_series::codec::{CodecError, ColumnId, RollupColumns, SeriesColumns};

use super::index::BlockEntry;

/// Raw measures of the next block.
#[derive(Debug, Default)]
pub(super) struct PendingRaw {
    /// Key, policy and end of each series in the columns.
    series: Vec<(u64, u32, usize)>,
    timestamps_ns: Vec<i64>,
    values: Vec<f64>,
}

impl PendingRaw {
    /// Measures waiting.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes some measures of a series; the series that came last may go on.
    pub(super) fn push(&mut self, series: &SeriesColumns<'_>, part: Range<usize>) {
        self.timestamps_ns.extend_from_slice(&series.timestamps_ns[part.clone()]);
        self.values.extend_from_slice(&series.values[part]);
        let end = self.values.len();
        match self.series.last_mut() {
            Some(last) if last.0 == series.key => *last = (series.key, series.policy, end),
            _ => self.series.push((series.key, series.policy, end)),
        }
    }

    /// The series waiting.
    pub(super) fn columns(&self) -> Vec<SeriesColumns<'_>> {
        let mut from = 0;
        let column = |(key, policy, end): &(u64, u32, usize)| {
            let part = from..*end;
            from = *end;
            SeriesColumns {
                key: *key,
                policy: *policy,
                timestamps_ns: &self.timestamps_ns[part.clone()],
                values: &self.values[part],
            }
        };
        self.series.iter().map(column).collect()
    }

    /// What the index says of them; place and length are still open.
    pub(super) fn entry(&self) -> BlockEntry {
        BlockEntry {
            min_key: self.series.first().map_or(0, |series| series.0),
            max_key: self.series.last().map_or(0, |series| series.0),
            min_ns: self.timestamps_ns.iter().copied().min().unwrap_or_default(),
            max_ns: self.timestamps_ns.iter().copied().max().unwrap_or_default(),
            offset: 0,
            len: 0,
            points: self.values.len() as u32,
        }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.series.clear();
        self.timestamps_ns.clear();
        self.values.clear();
    }
}

/// Rollups of the next block.
#[derive(Debug, Default)]
pub(super) struct PendingRollup {
    series: Vec<PendingSeries>,
    slots_ns: Vec<i64>,
    values: Vec<f64>,
    /// Values waiting; a series without columns counts its slots.
    held: usize,
}

#[derive(Debug)]
struct PendingSeries {
    key: u64,
    policy: u32,
    granularity_ns: i64,
    raw_floor_ns: i64,
    slots: Range<usize>,
    /// Its columns and where the values of each begin.
    columns: Vec<(ColumnId, usize)>,
}

impl PendingRollup {
    /// Values waiting.
    pub(super) fn values(&self) -> usize {
        self.held
    }

    /// Takes some slots of a series at one granularity.
    pub(super) fn push(&mut self, series: &RollupColumns<'_>, part: Range<usize>) {
        let start = self.slots_ns.len();
        self.slots_ns.extend_from_slice(&series.slots_ns[part.clone()]);
        let mut columns = Vec::with_capacity(series.columns.len());
        for (id, values) in series.columns {
            columns.push((*id, self.values.len()));
            self.values.extend_from_slice(&values[part.clone()]);
        }
        self.held += part.len() * columns.len().max(1);
        self.series.push(PendingSeries {
            key: series.key,
            policy: series.policy,
            granularity_ns: series.granularity_ns,
            raw_floor_ns: series.raw_floor_ns,
            slots: start..self.slots_ns.len(),
            columns,
        });
    }

    /// Shows the series waiting to `encode`.
    pub(super) fn with_columns(
        &self,
        encode: impl FnOnce(&[RollupColumns<'_>]) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let values = |series: &PendingSeries| -> Vec<(ColumnId, &[f64])> {
            let column = |(id, from): &(ColumnId, usize)| (*id, &self.values[*from..][..series.slots.len()]);
            series.columns.iter().map(column).collect()
        };
        let columns: Vec<_> = self.series.iter().map(values).collect();
        let whole: Vec<_> = self
            .series
            .iter()
            .zip(&columns)
            .map(|(series, columns)| RollupColumns {
                key: series.key,
                policy: series.policy,
                granularity_ns: series.granularity_ns,
                raw_floor_ns: series.raw_floor_ns,
                slots_ns: &self.slots_ns[series.slots.clone()],
                columns,
            })
            .collect();
        encode(&whole)
    }

    /// What the index says of them; place and length are still open.
    pub(super) fn entry(&self) -> BlockEntry {
        BlockEntry {
            min_key: self.series.first().map_or(0, |series| series.key),
            max_key: self.series.last().map_or(0, |series| series.key),
            min_ns: self.slots_ns.iter().copied().min().unwrap_or_default(),
            max_ns: self.slots_ns.iter().copied().max().unwrap_or_default(),
            offset: 0,
            len: 0,
            points: self.slots_ns.len() as u32,
        }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.series.clear();
        self.slots_ns.clear();
        self.values.clear();
        self.held = 0;
    }
}
