//! Segments as bytes: header, frames of records.
