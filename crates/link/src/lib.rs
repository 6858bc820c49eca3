//! The link between the process that holds the measures and those that decide alarms without holding them: readings as
//! [`MetricReader`](nephometer_drivers::MetricReader) has them, and the news of which watched series were written.
//!
//! Both ends are here, so that what is said is in one place ([`wire`]). It is for processes of one deployment: whoever
//! knows the token reads every measure. This crate knows contracts and HTTP; it decides nothing about alarms.

mod client;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{Link, LinkSettings, LinkSettingsError, LinkStatus};
pub use server::{LinkParts, router};
