//! The alarm API against upstream's own tests of it, told anew: `upstream_cases.toml` says which of our tests covers which
//! case of theirs, or why none does; `cases` holds that list to be whole. `mended` has what upstream does wrong and we do not.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod alarms;
mod beyond;
mod cases;
mod complex;
mod deliveries;
mod front;
mod history;
mod mended;
mod metrics;
mod quotas;
mod rules;
mod support;
mod trusts;
