//! The notifier between a real outbox and real receivers.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod groups;
mod life;
#[path = "../receiver/mod.rs"]
mod receiver;
mod webhooks;
mod world;
