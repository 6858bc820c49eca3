//! Arithmetic of time series and the codec of their columns.
//!
//! Pure functions over slices: this crate may not do I/O, may not read clocks, holds no state, knows no metrics,
//! no policies' storage and no API.

mod aggregate;
mod buckets;
pub mod codec;
mod duplicates;
mod grouping;
pub mod matrix;
mod operators;
mod order;
mod points;
mod predicate;
mod window;

pub use aggregate::{Aggregation, aggregate, aggregate_many, resample};
pub use duplicates::{Duplicates, sort_and_deduplicate};
pub use grouping::{Calendar, Group, Grouping};
pub use operators::{BinaryOp, UnaryOp};
pub use points::Points;
pub use predicate::ValueExpression;
pub use window::WindowedSum;
