//! Transformers of the legacy pipeline.yaml (spec ceilometer-v2 4.3): what is computed of samples on their way.
//!
//! Pure: a transformer sees a sample, what it remembers, and the time; what it remembers is a [`View`] that whoever runs it
//! commits or drops as a whole. What differs from upstream, and why:
//!
//! - A numeric `scale` of `rate_of_change` multiplies the rate. Upstream multiplies the rate by the counter, too.
//! - Time between samples is that of the monotonic clock only where it agrees with that of the timestamps: guests move to
//!   hosts with other clocks, and hosts restart.
//! - Keys keep meter and resource apart; upstream runs their texts together.
//! - `aggregator`: `retention_time` without `size` collects until the time is over (upstream's default size of 1 ends it at
//!   once); the time is counted from arrival, not from the sample's own timestamp; means count by the sample's key, so that
//!   `target` may rename the meter or make it a gauge; `max` caps the outcome.
//! - `accumulator` with a size below 1 passes samples on.
//! - `arithmetic`: the first meter of the expression is the one whose owner and metadata count, the timestamp is the latest of
//!   the operands', and names may hold `-`. Upstream takes any of the meters, and the time of whatever came last.
//! - New samples keep `source` and monotonic time, and have ids that follow from those that they are made of, so that what is
//!   computed again after a crash is recognised.
//! - Volumes that are numbers in texts are numbers here.
//! - What is remembered of keys that are idle is forgotten; flushing goes by a timer as well.

mod aggregate;
mod arithmetic;
mod change;
mod convert;
mod scope;
mod view;

#[cfg(test)]
mod tests;

use nephometer_model::{Sample, Timestamp, Volume};
use serde_json::{Map, Value};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use aggregate::Aggregator;
use arithmetic::Arithmetic;
use change::{Delta, RateOfChange};
use convert::Conversion;
pub(crate) use view::{Entry, Kept, Key, View};

/// Why a sample went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// It has no volume.
    NoVolume,
    /// Its volume is not a number.
    NotANumber,
    /// A change needs two.
    NoPredecessor,
    /// An older one than its predecessor.
    OutOfOrder,
    /// It has less than its predecessor, where only growth counts.
    NotGrown,
    /// Its timestamp is missing, or none.
    NoTime,
    /// The expression has no value for it, or none that is a number.
    Expression,
    /// It was here already.
    Replayed,
    /// A publisher's target refuses it for good.
    Refused,
}

impl DropReason {
    /// Its name in counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoVolume => "no_volume",
            Self::NotANumber => "not_a_number",
            Self::NoPredecessor => "no_predecessor",
            Self::OutOfOrder => "out_of_order",
            Self::NotGrown => "not_grown",
            Self::NoTime => "no_time",
            Self::Expression => "expression",
            Self::Replayed => "replayed",
            Self::Refused => "refused",
        }
    }
}

/// What became of a sample. Nearly all of them go on, so that a box would cost more than it saves.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large variant is the usual one")]
pub(crate) enum Outcome {
    /// It goes on, as it was or another in its place.
    On(Sample),
    /// It is remembered.
    Kept,
    /// It goes no further.
    Dropped(DropReason),
}

/// Parameters that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformerError {
    /// There is no such transformer.
    #[error("No transformer named {0} loaded")]
    Unknown(String),
    /// A parameter is wrong.
    #[error("{transformer}: {reason}")]
    Parameter {
        /// Of which.
        transformer: String,
        /// What is wrong.
        reason: String,
    },
}

/// A transformer as a file describes it.
#[derive(Debug, Clone)]
pub struct Transformer {
    kind: Kind,
    /// Tells it from others in what is remembered: a hash of its name and parameters.
    identity: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    UnitConversion(Box<Conversion>),
    RateOfChange(Box<RateOfChange>),
    Delta(Box<Delta>),
    Aggregator(Box<Aggregator>),
    /// Holds so many samples back, and lets them go together.
    Accumulator(u64),
    Arithmetic(Box<Arithmetic>),
}

impl Transformer {
    /// Reads an entry of `transformers`.
    pub fn read(entry: &Value) -> Result<Self, TransformerError> {
        let name = entry.get("name").and_then(Value::as_str).unwrap_or("None");
        let empty = Map::new();
        let wrong = |reason: String| TransformerError::Parameter { transformer: name.to_owned(), reason };
        let parameters = match entry.get("parameters") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(parameters)) => parameters,
            Some(other) => return Err(wrong(format!("parameters should be a mapping, not {other}"))),
        };
        let kind = match name {
            "unit_conversion" => Conversion::read(parameters).map(Box::new).map(Kind::UnitConversion),
            "rate_of_change" => RateOfChange::read(parameters).map(Box::new).map(Kind::RateOfChange),
            "delta" => Delta::read(parameters).map(Box::new).map(Kind::Delta),
            "aggregator" => Aggregator::read(parameters).map(Box::new).map(Kind::Aggregator),
            "accumulator" => {
                convert::whole(parameters, "size").map(|size| Kind::Accumulator(size.unwrap_or(1)))
            }
            "arithmetic" => Arithmetic::read(parameters).map(Box::new).map(Kind::Arithmetic),
            other => return Err(TransformerError::Unknown(other.to_owned())),
        };
        // Keys of mappings in one order, so that a file that only moves them means the same.
        let mut text = format!("{name} ");
        canonical(&Value::Object(parameters.clone()), &mut text);
        Ok(Self { kind: kind.map_err(wrong)?, identity: xxh3_64(text.as_bytes()) })
    }

    /// Whether it remembers anything.
    pub(crate) fn remembers(&self) -> bool {
        !matches!(self.kind, Kind::UnitConversion(_) | Kind::Accumulator(0))
    }

    /// Whether what it holds only waits for others of their resource, and is worth nothing without them.
    pub(crate) fn waits_by_resource(&self) -> bool {
        matches!(self.kind, Kind::Arithmetic(_))
    }

    /// Tells it from other transformers of its sink in what is remembered; `place` is its place there.
    pub(crate) fn identity(&self, place: usize) -> u64 {
        self.identity.rotate_left(u32::try_from(place % 64).unwrap_or_default())
    }

    /// What becomes of `sample`.
    pub(crate) fn handle(&self, sample: Sample, view: &mut View<'_>) -> Outcome {
        match &self.kind {
            Kind::UnitConversion(conversion) => conversion.handle(sample, view),
            Kind::RateOfChange(rate) => rate.handle(&sample, view),
            Kind::Delta(delta) => delta.handle(sample, view),
            Kind::Aggregator(aggregator) => aggregator.handle(&sample, view),
            Kind::Accumulator(0) => Outcome::On(sample),
            Kind::Accumulator(_) => aggregate::accumulate(sample, view),
            Kind::Arithmetic(arithmetic) => arithmetic.handle(sample, view),
        }
    }

    /// What it lets go at the end of a batch, or when time has passed.
    pub(crate) fn flush(&self, view: &mut View<'_>, drops: &mut Vec<DropReason>) -> Vec<Sample> {
        match &self.kind {
            Kind::Aggregator(aggregator) => aggregator.flush(view, false),
            Kind::Accumulator(size) if *size > 0 => aggregate::release(*size, view),
            Kind::Arithmetic(arithmetic) => arithmetic.flush(view, drops),
            _ => Vec::new(),
        }
    }

    /// All that it holds back: it is not there any more.
    pub(crate) fn drain(&self, view: &mut View<'_>) -> Vec<Sample> {
        match &self.kind {
            Kind::Aggregator(aggregator) => aggregator.flush(view, true),
            Kind::Accumulator(_) => aggregate::release(0, view),
            _ => Vec::new(),
        }
    }
}

/// JSON with the keys of its maps in order.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for key in keys {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(&map[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The id of what a transformer makes of the sample `id`: always the same, so that replays are recognised.
pub(crate) fn derived_id(transformer: u64, id: &str) -> std::sync::Arc<str> {
    let name = [&transformer.to_be_bytes(), id.as_bytes()].concat();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &name).hyphenated().to_string().into()
}

/// When a sample was read.
pub(crate) fn time_of(sample: &Sample, now: Timestamp) -> Option<Timestamp> {
    nephometer_model::time::parse_timestamp(sample.timestamp.as_deref()?, now).ok()
}

/// A volume as a number, whole ones whole.
pub(crate) fn number_of(volume: &Volume) -> Option<Volume> {
    match volume {
        Volume::Int(_) | Volume::Float(_) => Some(volume.clone()),
        other => {
            let float = other.as_f64()?;
            // What fits is what it was: a text without a point spells a whole number.
            let whole = match other {
                Volume::Other(Value::String(text)) => text.trim().parse().ok(),
                Volume::Other(Value::Bool(value)) => Some(i64::from(*value)),
                _ => None,
            };
            Some(whole.map_or(Volume::Float(float), Volume::Int))
        }
    }
}

/// Refuses samples whose volume is none, as every pipeline does before anything else.
pub(crate) fn check_volume(sample: &Sample) -> Result<(), DropReason> {
    match &sample.volume {
        Volume::Other(Value::Null) => Err(DropReason::NoVolume),
        volume if volume.as_f64().is_none() => Err(DropReason::NotANumber),
        _ => Ok(()),
    }
}
