//! Alarms and what belongs to them: history, quotas, counters, the outbox of messages, silences.
//!
//! Whoever changes an alarm holds, in this order: leases that fence him, rows of shares by number, rows of alarms by id.
//! So no two wait for each other, and revisions of a share are committed in their order.

mod apply;
mod changes;
mod columns;
mod counters;
mod filter;
mod history;
mod list;
mod news;
mod outbox;
mod quotas;
mod rows;
mod shares;
mod silences;
mod store;
mod targets;
