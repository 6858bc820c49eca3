//! Embedded storage of measures: write-ahead log, head, immutable parts, merging. Knows no HTTP, no SQL, no names of
//! metrics.

pub mod io;
pub mod part;
pub mod wal;
