//! The index on both databases: one process, so that one PostgreSQL cluster serves all tests.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod alarm_contention;
mod alarm_costs;
mod alarm_filters;
mod alarm_support;
mod alarms;
mod conformance;
mod contention;
mod creation;
mod opening;
mod random_filters;
mod scale;
mod support;
mod tls;
