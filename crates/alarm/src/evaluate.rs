//! The evaluator: decides alarms as measures land and as time passes, and records what follows.

mod record;
mod silence;

pub use record::{GroupKey, Grouping, Occasion, Recorder, Recording, payload};
pub use silence::{FilterReader, Silences};
