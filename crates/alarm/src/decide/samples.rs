//! The threshold decision: samples against a threshold.

use nephometer_model::{AlarmState, MissingData, Operator, Threshold, python};
use serde_json::{Value, json};

use super::{Decision, Finding, Verdict, movement};

/// Samples that were compared with a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// How many there are, those included that are absent and count as something.
    total: usize,
    /// How many of them are outside the threshold.
    outside: usize,
    /// How many outside make an alarm; nothing for upstream's rule, by which all do, and some leave it open.
    enough: Option<usize>,
    /// Whether the newest is outside.
    last_outside: bool,
    /// The newest that is there.
    last: Option<f64>,
}

/// What samples say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// This.
    Definite(AlarmState),
    /// Some are outside and some are not; the newest says this.
    Mixed(AlarmState),
}

const fn state_of(outside: bool) -> AlarmState {
    if outside { AlarmState::Alarm } else { AlarmState::Ok }
}

impl Samples {
    /// Compares `values`, oldest first; nothing where there are none.
    pub fn compare(values: &[f64], operator: Operator, threshold: f64) -> Option<Self> {
        let last = *values.last()?;
        Some(Self {
            total: values.len(),
            outside: values.iter().filter(|value| operator.holds(**value, threshold)).count(),
            enough: None,
            last_outside: operator.holds(last, threshold),
            last: Some(last),
        })
    }

    /// Compares the newest of `values` by a rule that looks at a number of them; [`Finding::Insufficient`] or what the
    /// rule wants instead where there are too few.
    pub fn by_rule(values: &[f64], rule: &Threshold) -> Finding {
        let wanted = rule.evaluation_periods as usize;
        let values = &values[values.len().saturating_sub(wanted)..];
        let absent = wanted - values.len();
        let absent_outside = match rule.treat_missing_data {
            _ if absent == 0 => false,
            None | Some(MissingData::Missing) => {
                let reason = format!("{wanted} datapoints are unknown");
                return Finding::Insufficient { reason, samples: values.to_vec(), count: wanted };
            }
            Some(MissingData::Ignore) => return Finding::Hold,
            Some(MissingData::Breaching) => true,
            Some(MissingData::NotBreaching) => false,
        };
        let there = Self::compare(values, rule.comparison_operator, rule.threshold);
        let (outside, last_outside) =
            there.as_ref().map_or((0, absent_outside), |there| (there.outside, there.last_outside));
        Finding::Samples(Self {
            total: wanted,
            outside: outside + if absent_outside { absent } else { 0 },
            enough: rule.datapoints_to_alarm.map(|enough| enough as usize),
            last_outside,
            last: there.and_then(|there| there.last),
        })
    }

    /// What they say.
    pub fn judge(&self) -> Judgement {
        match self.enough {
            Some(enough) => Judgement::Definite(state_of(self.outside >= enough)),
            None if self.outside == self.total => Judgement::Definite(AlarmState::Alarm),
            None if self.outside == 0 => Judgement::Definite(AlarmState::Ok),
            None => Judgement::Mixed(state_of(self.last_outside)),
        }
    }

    fn verdict(&self, current: AlarmState, state: AlarmState) -> Verdict {
        let inside = state == AlarmState::Ok;
        let count = if inside { self.total - self.outside } else { self.outside };
        verdict(current, state, inside, count, self.last)
    }
}

fn most_recent(last: Option<f64>) -> String {
    last.map_or_else(|| "None".to_owned(), python::float)
}

fn verdict(current: AlarmState, state: AlarmState, inside: bool, count: usize, last: Option<f64>) -> Verdict {
    let disposition = if inside { "inside" } else { "outside" };
    Verdict {
        state,
        reason: format!(
            "{} {state} due to {count} samples {disposition} threshold, most recent: {}",
            movement(current, state),
            most_recent(last)
        ),
        reason_data: reason_data(disposition, count, last),
    }
}

fn reason_data(disposition: &str, count: usize, last: Option<f64>) -> Value {
    json!({"type": "threshold", "disposition": disposition, "count": count, "most_recent": last})
}

/// The verdict that nothing is known any more; nothing where nothing was known before and nobody is told again.
pub fn unknown_to(
    current: AlarmState,
    repeat: bool,
    reason: &str,
    samples: &[f64],
    count: usize,
) -> Option<Verdict> {
    let last = samples.last().copied();
    let state = AlarmState::InsufficientData;
    if current != state {
        let reason_data = reason_data("unknown", count, last);
        return Some(Verdict { state, reason: reason.to_owned(), reason_data });
    }
    repeat.then(|| verdict(current, state, false, 0, last))
}

/// What a finding means for an alarm that stands in `current`; `repeat` where those who were told are told again. An
/// error is the text of a look that failed.
pub fn threshold(current: AlarmState, repeat: bool, finding: &Finding) -> Result<Decision, String> {
    let samples = match finding {
        Finding::Samples(samples) => samples,
        Finding::Insufficient { reason, samples, count } => {
            let verdict = unknown_to(current, repeat, reason, samples, *count);
            return Ok(Decision { verdict, counted: Some(AlarmState::InsufficientData) });
        }
        Finding::Hold => return Ok(Decision::default()),
        Finding::Failed(why) => return Err(why.clone()),
    };
    let unknown = current == AlarmState::InsufficientData;
    Ok(match samples.judge() {
        Judgement::Mixed(trend) => {
            let state = if unknown { trend } else { current };
            let verdict = (unknown || repeat).then(|| samples.verdict(current, state));
            Decision { verdict, counted: None }
        }
        Judgement::Definite(state) => {
            let verdict = (state != current || repeat).then(|| samples.verdict(current, state));
            Decision { verdict, counted: Some(state) }
        }
    })
}
