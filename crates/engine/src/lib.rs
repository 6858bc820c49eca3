//! Embedded storage of measures: write-ahead log, head, immutable parts, merging. Knows no HTTP, no SQL, no names of
//! metrics.
//!
//! A write goes through `commit` (log, one sync for many) to `apply` (heads) and is answered; `flush` turns heads into
//! parts, `merge` turns parts into fewer ones, `read` computes aggregates from all of them. `core` holds what these share
//! and says in which order locks are taken.

mod apply;
mod batch;
mod commit;
mod core;
mod engine;
mod flush;
mod head;
pub mod io;
mod late;
mod maintain;
mod merge;
mod open;
pub mod part;
mod parts;
mod plan;
mod pool;
mod read;
mod retention;
mod rollup;
mod sack;
mod settings;
mod tombstones;
mod view;
pub mod wal;

pub use engine::Engine;
pub use open::OpenError;
pub use settings::{LateRule, Settings};
