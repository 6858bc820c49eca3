//! Arithmetic of time series and the codec of their columns.
//!
//! Pure functions over slices: this crate may not do I/O, may not read clocks, holds no state, knows no metrics,
//! no policies' storage and no API.
