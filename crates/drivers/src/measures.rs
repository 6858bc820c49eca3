//! The store of measures as services see it: durable appends, aggregates computed on reading, deletes.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::{AggregationMethod, ArchivePolicy, PolicyKey, SeriesKey, Timespan, Timestamp};

/// Consecutive measures of one series inside a [`WriteBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesRun {
    /// Whose measures they are.
    pub key: SeriesKey,
    /// The policy of that metric.
    pub policy: PolicyKey,
    /// How many measures of the columns belong to this run.
    pub len: u32,
}

/// The measures of one request, as columns. A series may occur in several runs; measures may come in any order and
/// repeat timestamps: within one batch the smallest value of a timestamp counts (NaN only where there is no other).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteBatch {
    /// Runs; their lengths add up to the length of the columns.
    pub runs: Vec<SeriesRun>,
    /// Nanoseconds since the epoch, not negative.
    pub timestamps_ns: Vec<i64>,
    /// Values, NaN and infinities included.
    pub values: Vec<f64>,
}

/// One stored series as a request wants to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregateRead {
    /// Which series.
    pub key: SeriesKey,
    /// The policy of that metric; decides what is retained.
    pub policy: PolicyKey,
    /// What to compute; need not be among the policy's methods (the caller checks what the dialect demands).
    pub method: AggregationMethod,
    /// Width of the buckets; one of the policy's definitions.
    pub granularity: Timespan,
    /// First point in time, rounded down to a bucket by the store.
    pub start: Option<Timestamp>,
    /// End, exclusive, compared with the start of a bucket.
    pub stop: Option<Timestamp>,
}

/// A computed series: buckets in ascending order. Retention has been applied: no bucket is older than the definition
/// allows, counted back from the newest bucket of the whole series (not of the range read).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aggregates {
    /// Starts of buckets, nanoseconds since the epoch.
    pub timestamps_ns: Vec<i64>,
    /// Their values.
    pub values: Vec<f64>,
}

/// Measures of one series that came too late to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateSpan {
    /// Start of the span; a multiple of its width.
    pub start: Timestamp,
    /// Width of the span: the coarsest granularity of the policy.
    pub width: Timespan,
    /// How many measures fell into it.
    pub measures: u64,
}

/// How the store is, for operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Measures acknowledged since start.
    pub measures_written: u64,
    /// Measures held in memory.
    pub head_measures: u64,
    /// Series with measures in memory.
    pub head_series: u64,
    /// Bytes of the log not yet covered by parts.
    pub log_bytes: u64,
    /// Immutable parts.
    pub parts: u64,
    /// Their bytes.
    pub part_bytes: u64,
    /// Measures in raw parts.
    pub part_measures: u64,
    /// Blocks set aside because they are damaged.
    pub quarantined_blocks: u64,
    /// Measures that came too late to count, ever.
    pub late_measures: u64,
    /// Flushes done since start.
    pub flushes: u64,
    /// Merges done since start.
    pub merges: u64,
    /// Bytes of log written since start, and those that were there.
    pub log_bytes_written: u64,
    /// Bytes of parts that flushes have written since start.
    pub flush_bytes_written: u64,
    /// Bytes of parts that merges have written since start.
    pub merge_bytes_written: u64,
    /// Why writes are refused at the moment, if they are.
    pub refusing_writes: Option<String>,
}

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A bound is reached (queue, memory, disk): try again later. Nothing of the request was taken.
    #[error("{reason}")]
    Busy {
        /// What is full.
        reason: String,
        /// When to try again.
        retry_after_seconds: u32,
    },
    /// The store is stopping or has stopped after a fatal error.
    #[error("the measure store is closed: {0}")]
    Closed(String),
    /// Reading failed for another reason than damage (which is quarantined and does not fail reads).
    #[error("measure store: {0}")]
    Io(String),
}

/// Durable measures and what is computed from them.
#[async_trait]
pub trait MeasureStore: Send + Sync {
    /// Appends `batch`. When it returns, the measures are on disk and every later read sees them. All or nothing.
    async fn write(&self, batch: WriteBatch) -> Result<(), StoreError>;

    /// Computes `reads`, one answer each, in their order; a series without data gives an empty answer.
    async fn read(&self, reads: Vec<AggregateRead>) -> Result<Vec<Aggregates>, StoreError>;

    /// Removes the measures of `key` in `[start, stop)` that were acknowledged before this call; durable on return.
    async fn delete_span(&self, key: SeriesKey, start: Timestamp, stop: Timestamp) -> Result<(), StoreError>;

    /// Tells that the index has forgotten these series; their data goes away in the background.
    async fn delete_series(&self, keys: &[SeriesKey]) -> Result<(), StoreError>;

    /// Measures of `key` that came too late to count, by span, oldest first.
    async fn late(&self, key: SeriesKey) -> Result<Vec<LateSpan>, StoreError>;

    /// The newest measure of each series; nothing where there is none.
    async fn newest(&self, keys: &[SeriesKey]) -> Result<Vec<Option<Timestamp>>, StoreError>;

    /// Tells how policies look from now on; must be called before the first write or read of their metrics.
    fn set_policies(&self, policies: &[Arc<ArchivePolicy>]);

    /// How the store is.
    fn status(&self) -> StoreStatus;
}
