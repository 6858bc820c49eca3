//! The evaluator: decides alarms as measures land and as time passes, and records what follows.
//!
//! Alarms are divided into shares that evaluators hold by leases. An evaluator keeps the alarms of its shares in memory
//! (`book`), hears which series have new measures ([`WriteWatch`](nephometer_drivers::WriteWatch)), asks what it has to know for many alarms together
//! (`ask`), decides ([`crate::decide`]), and writes what follows under the condition that alarm and share are still
//! what they were (`batch`). Whatever has changed meanwhile is decided anew.

mod ask;
mod batch;
mod book;
mod evaluator;
mod preview;
mod questions;
mod record;
mod silence;
#[cfg(test)]
mod simulation;
mod status;
#[cfg(test)]
mod tests;

pub use ask::Sources;
pub use evaluator::{Evaluator, EvaluatorHandle, EvaluatorParts, EvaluatorSettings};
pub use preview::{PreviewError, PreviewRequest, PreviewTransition, Previewed, preview};
pub use record::{Occasion, Recorder, Recording, payload};
pub use silence::{Silences, check_filter};
pub use status::{EvaluatorStatus, Lag};
