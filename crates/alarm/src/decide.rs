//! Decisions: what samples, states or members say of an alarm, and the words for it. Pure: no I/O, no clock. Outcomes and
//! texts are Aodh's, which clients show and scripts match.

mod combination;
mod composite;
mod members;
mod meters;
mod reads;
mod samples;

#[cfg(test)]
mod composite_tests;
#[cfg(test)]
mod tests;

use nephometer_model::AlarmState;
use serde_json::Value;

pub use combination::{alarms_of, combination};
pub use composite::{composite, leaves};
pub use members::{MemberAge, members};
pub use meters::{MeterPoint, meters};
pub use reads::{Look, finding, meters_finding, meters_reads, metric_read, prometheus_finding};
pub use samples::{Judgement, Samples, threshold, unknown_to};

/// What a look at a rule over series gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Enough samples to compare.
    Samples(Samples),
    /// Not enough to tell.
    Insufficient {
        /// Why, for people.
        reason: String,
        /// What was there.
        samples: Vec<f64>,
        /// What `reason_data` counts: samples that were expected, or for Prometheus those that came.
        count: usize,
    },
    /// Not enough to tell, and the rule says that the alarm then stays as it is.
    Hold,
    /// The look itself went wrong: the alarm stays as it is.
    Failed(String),
}

/// Where an alarm stands now, and why. The state may be the one in which it stood before: then those who want to be
/// told again and again are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Where it stands.
    pub state: AlarmState,
    /// Why, for people.
    pub reason: String,
    /// Why, for machines; an object.
    pub reason_data: Value,
}

/// What an evaluation came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// What is to be written or told; nothing where all stays silently as it is.
    pub verdict: Option<Verdict>,
    /// The state that the counters of evaluations count; nothing where they do not.
    pub counted: Option<AlarmState>,
}

impl Decision {
    /// A verdict that counters do not count. One that changes nothing is silent unless `repeat`.
    fn uncounted(verdict: Verdict, current: AlarmState, repeat: bool) -> Self {
        Self { verdict: (verdict.state != current || repeat).then_some(verdict), counted: None }
    }
}

/// `Transition to` where the state changes, else `Remaining as`.
fn movement(from: AlarmState, to: AlarmState) -> &'static str {
    if from == to { "Remaining as" } else { "Transition to" }
}
