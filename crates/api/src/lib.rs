//! HTTP dialects. One folder per dialect (`gnocchi`, `aodh`); what they share is beside it.
//!
//! This crate knows the services and no adapter. Wire structures never leave it; a dialect's `error` module decides
//! how errors of the services become statuses and texts.

pub mod aodh;
pub mod gnocchi;
pub mod http;
pub mod json;
pub mod limits;
pub mod python;
pub mod schema;

pub use http::server::{HttpSettings, serve};
