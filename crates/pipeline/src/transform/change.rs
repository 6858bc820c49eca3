//! Transformers that compare a sample with the one before it: `rate_of_change` and `delta`.

use nephometer_model::{MeterType, Sample, Timestamp, Volume};
use serde_json::{Map, Value};

use super::convert::{Conversion, difference};
use super::{DropReason, Kept, Outcome, View, number_of, time_of};

/// Monotonic time is believed where it differs from that between the timestamps by no more than this: the timestamps of a
/// round of polling are those of its beginning. In seconds.
const MONOTONIC_SLACK_SECONDS: f64 = 60.0;

/// Growth by time.
#[derive(Debug, Clone)]
pub(super) struct RateOfChange(Conversion);

/// Growth.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    conversion: Conversion,
    growth_only: bool,
}

/// A reading and the one before it.
struct Change {
    before: Volume,
    volume: Volume,
    /// Time between them by their timestamps, and by the monotonic clock where both have it.
    wall_seconds: f64,
    monotonic_seconds: Option<f64>,
}

impl Change {
    /// Compares `sample` with what is remembered of its meter and resource, and remembers it in its place.
    fn take(sample: &Sample, view: &mut View<'_>) -> Result<Self, DropReason> {
        let volume = number_of(&sample.volume).ok_or(DropReason::NotANumber)?;
        let time = time_of(sample, view.now()).ok_or(DropReason::NoTime)?;
        let of = format!("{}\0{}", sample.name, sample.resource_id.as_deref().unwrap_or_default());
        let before = match view.get(&of) {
            Some(Kept::Last { volume, time, monotonic_seconds }) => {
                Some((volume.clone(), *time, *monotonic_seconds))
            }
            _ => None,
        };
        let monotonic = sample.monotonic_time_seconds;
        if before.as_ref().is_some_and(|(_, before, _)| time < *before) {
            return Err(DropReason::OutOfOrder);
        }
        view.put(&of, Kept::Last { volume: volume.clone(), time, monotonic_seconds: monotonic });
        let (before, before_time, before_monotonic) = before.ok_or(DropReason::NoPredecessor)?;
        Ok(Self {
            before,
            volume,
            wall_seconds: seconds_between(before_time, time),
            monotonic_seconds: monotonic.zip(before_monotonic).map(|(now, before)| now - before),
        })
    }

    /// Time between the readings, by the better clock.
    fn seconds(&self) -> f64 {
        let believable = |seconds: &f64| {
            *seconds > 0.0
                && (seconds - self.wall_seconds).abs()
                    <= MONOTONIC_SLACK_SECONDS.max(self.wall_seconds / 10.0)
        };
        self.monotonic_seconds.filter(believable).unwrap_or(self.wall_seconds)
    }

    fn difference(&self) -> Volume {
        difference(&self.volume, &self.before)
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.ns() - from.ns()) as f64 / 1e9
}

impl RateOfChange {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, String> {
        Conversion::read(parameters).map(Self)
    }

    pub(super) fn handle(&self, sample: &Sample, view: &mut View<'_>) -> Outcome {
        let change = match Change::take(sample, view) {
            Ok(change) => change,
            Err(reason) => return Outcome::Dropped(reason),
        };
        let grown = change.difference().as_f64().unwrap_or(f64::NAN);
        // A counter that has less than before began anew: what it has now is the least that it has grown by.
        let reset = grown < 0.0 && sample.meter_type == MeterType::Cumulative;
        let grown = if reset { change.volume.as_f64().unwrap_or(f64::NAN) } else { grown };
        let seconds = change.seconds();
        let rate = if seconds > 0.0 { grown / seconds } else { 0.0 };
        match self.0.factor(sample) {
            Ok(factor) => {
                let volume = self.0.cap(Volume::Float(factor * rate));
                Outcome::On(self.0.convert(sample, volume, view.transformer()))
            }
            Err(reason) => Outcome::Dropped(reason),
        }
    }
}

impl Delta {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, String> {
        let growth_only = match parameters.get("growth_only") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(growth_only)) => *growth_only,
            Some(other) => return Err(format!("growth_only should be true or false, not {other}")),
        };
        Ok(Self { conversion: Conversion::read(parameters)?, growth_only })
    }

    pub(super) fn handle(&self, sample: Sample, view: &mut View<'_>) -> Outcome {
        let change = match Change::take(&sample, view) {
            Ok(change) => change,
            Err(reason) => return Outcome::Dropped(reason),
        };
        let difference = change.difference();
        if self.growth_only && difference.as_f64().is_some_and(|difference| difference < 0.0) {
            return Outcome::Dropped(DropReason::NotGrown);
        }
        let converted = self.conversion.convert(&sample, difference, view.transformer());
        // The unit is that of what grows, whatever the target says.
        Outcome::On(Sample { unit: sample.unit, meter_type: MeterType::Delta, ..converted })
    }
}
