//! The part catalog: which immutable parts exist, how far the log is covered by them, what is to be forgotten.
//!
//! Calls block; the engine makes them from its own threads. Each [`PartCatalog::commit`] is one SQL transaction:
//! that is what makes a flush count exactly once.

use nephometer_model::{SeriesKey, Timespan, Timestamp};
use uuid::Uuid;

/// Identity of a part, also the stem of its file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(pub Uuid);

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// Raw measures.
    Raw,
    /// Aggregates of spans whose raw measures are gone.
    Rollup,
}

/// A part as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// Identity.
    pub id: PartId,
    /// What it holds.
    pub kind: PartKind,
    /// Sack that its series belong to.
    pub sack: u32,
    /// How often its content has been merged: 0 for a flush.
    pub level: u32,
    /// Oldest timestamp inside.
    pub min_ns: i64,
    /// Newest timestamp inside.
    pub max_ns: i64,
    /// Log position of the oldest write inside: later parts win over earlier ones at equal timestamps.
    pub min_position: u64,
    /// Log position after the newest write inside or the newest delete carried out on it: tombstones at or after it
    /// still apply.
    pub max_position: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Series inside.
    pub series: u64,
    /// Measures or aggregates inside.
    pub points: u64,
    /// The time as of which retention was last applied to the content: its newest timestamp for a flush, the time
    /// of merging otherwise.
    pub as_of_ns: i64,
}

/// A span of a series, deleted at a log position: it hides what was written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tombstone {
    /// Whose measures.
    pub key: SeriesKey,
    /// First timestamp deleted.
    pub start_ns: i64,
    /// End of the span, exclusive.
    pub stop_ns: i64,
    /// Log position of the delete.
    pub position: u64,
}

/// Measures that came too late to count, by series and span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LateCount {
    /// Whose measures.
    pub key: SeriesKey,
    /// Start of the span.
    pub start: Timestamp,
    /// Width of the span.
    pub width: Timespan,
    /// How many measures, to be added to what the catalog has.
    pub measures: u64,
}

/// A block that is damaged and set aside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Quarantined {
    /// The file: a part or a log segment.
    pub file: String,
    /// Where the damage begins, in bytes from the start of the file.
    pub offset: u64,
    /// Bytes set aside.
    pub bytes: u64,
    /// What is wrong.
    pub reason: String,
    /// When it was found.
    pub found_at: Timestamp,
}

/// What the catalog holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogState {
    /// All parts.
    pub parts: Vec<PartRow>,
    /// Everything in the log before this position is in parts.
    pub log_position: u64,
    /// Deletes whose measures may still be in parts.
    pub tombstones: Vec<Tombstone>,
    /// Series that the index has forgotten and whose data may still be in parts.
    pub dead_series: Vec<SeriesKey>,
    /// Damaged blocks.
    pub quarantined: Vec<Quarantined>,
}

/// One transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogChange {
    /// Parts that exist from now on; their files are already durable.
    pub add_parts: Vec<PartRow>,
    /// Parts that are gone; their files are removed afterwards.
    pub remove_parts: Vec<PartId>,
    /// New covered position of the log.
    pub log_position: Option<u64>,
    /// Deletes to remember.
    pub add_tombstones: Vec<Tombstone>,
    /// Deletes that have been executed everywhere.
    pub remove_tombstones: Vec<Tombstone>,
    /// Late measures to add to the ledger.
    pub late: Vec<LateCount>,
    /// Series whose data is gone everywhere.
    pub forget_series: Vec<SeriesKey>,
    /// Damage found.
    pub quarantine: Vec<Quarantined>,
}

/// Why the catalog did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("part catalog: {0}")]
pub struct CatalogError(pub String);

/// Which parts exist.
pub trait PartCatalog: Send + Sync {
    /// Everything but the late ledger.
    fn load(&self) -> Result<CatalogState, CatalogError>;

    /// Applies `change` as one durable transaction.
    fn commit(&self, change: &CatalogChange) -> Result<(), CatalogError>;

    /// The late ledger of one series, oldest first.
    fn late(&self, key: SeriesKey) -> Result<Vec<LateCount>, CatalogError>;

    /// Late measures of all series together.
    fn late_total(&self) -> Result<u64, CatalogError>;
}
