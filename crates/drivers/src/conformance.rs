//! Suites that show that an adapter keeps a contract: one function per behaviour, each over a fresh, empty adapter
//! whose clock stands at [`NOW`]. A behaviour panics where it is not kept.

#![allow(clippy::unwrap_used, reason = "a suite fails by panicking")]

pub mod alarms;
pub mod catalog;
pub mod indexer;
pub mod leases;
pub mod metric_writer;

use nephometer_model::Timestamp;

/// The time at which the clock of an adapter under test stands: 2025-06-01T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_ns(1_748_779_200_000_000_000);
