//! Test harness: real servers on free ports, temporary places, faults. A dev-dependency only.

pub mod postgres;
