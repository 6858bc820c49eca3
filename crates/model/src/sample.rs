//! Samples: one reading of one meter on one resource, with its owner and what was known of the resource.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::Metadata;

/// How readings of a meter relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeterType {
    /// What is at that moment.
    Gauge,
    /// What was added since the reading before.
    Delta,
    /// What has added up since some beginning: only grows, but for restarts.
    Cumulative,
}

impl MeterType {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Delta => "delta",
            Self::Cumulative => "cumulative",
        }
    }
}

impl fmt::Display for MeterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A type of meter that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported sample type `{0}`: it is gauge, delta or cumulative")]
pub struct UnknownMeterType(pub String);

impl FromStr for MeterType {
    type Err = UnknownMeterType;

    fn from_str(text: &str) -> Result<Self, UnknownMeterType> {
        match text {
            "gauge" => Ok(Self::Gauge),
            "delta" => Ok(Self::Delta),
            "cumulative" => Ok(Self::Cumulative),
            _ => Err(UnknownMeterType(text.to_owned())),
        }
    }
}

/// What a sample reads. Whole numbers stay whole, because signatures and bodies tell `1` from `1.0`; what is no number is
/// carried as it came until a pipeline refuses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Volume {
    /// A whole number.
    Int(i64),
    /// Any other number, infinities and NaN included.
    Float(f64),
    /// Whatever else a source gave: null, text, a whole number beyond 64 bits.
    Other(Value),
}

impl Volume {
    /// As a number, where it is one or a text that reads as one (the rule of pipelines).
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Other(Value::String(text)) => crate::time::parse_float(text),
            Self::Other(Value::Bool(value)) => Some(f64::from(*value)),
            Self::Other(Value::Number(number)) => number.as_f64(),
            Self::Other(_) => None,
        }
    }

    /// As JSON has it; floats that JSON has no word for are null.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Int(value) => Value::from(*value),
            Self::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Self::Other(value) => value.clone(),
        }
    }
}

impl From<i64> for Volume {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Volume {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Other(Value::from(value)), Self::Int)
    }
}

impl From<f64> for Volume {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Value> for Volume {
    fn from(value: Value) -> Self {
        match &value {
            Value::Number(number) if number.is_i64() => Self::Int(number.as_i64().unwrap_or_default()),
            Value::Number(number) if number.is_f64() => Self::Float(number.as_f64().unwrap_or_default()),
            _ => Self::Other(value),
        }
    }
}

/// One reading. Texts and metadata are shared, because the samples of one resource repeat them (spec ceilometer 1.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The meter.
    pub name: Arc<str>,
    /// How its readings relate to each other.
    pub meter_type: MeterType,
    /// Free text, may be empty.
    pub unit: Arc<str>,
    /// The reading.
    pub volume: Volume,
    /// Who uses the resource.
    pub user_id: Option<Arc<str>>,
    /// That user's name, where somebody has looked it up.
    pub user_name: Option<Arc<str>>,
    /// Whose the resource is.
    pub project_id: Option<Arc<str>>,
    /// That project's name, where somebody has looked it up.
    pub project_name: Option<Arc<str>>,
    /// What was measured.
    pub resource_id: Option<Arc<str>>,
    /// When, ISO 8601 as the source writes it: polled samples have no zone and mean UTC.
    pub timestamp: Option<Arc<str>>,
    /// What was known of the resource, in the source's order.
    pub metadata: Metadata,
    /// Where it comes from, `openstack` as a rule.
    pub source: Arc<str>,
    /// Names this sample wherever it goes.
    pub id: Arc<str>,
    /// The reading's time on the source's monotonic clock, in seconds.
    pub monotonic_time_seconds: Option<f64>,
}

/// What is measured and in which unit: the part of a sample that all readings of a meter share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Meter {
    /// Its name, `disk.device.read.bytes`.
    pub name: Arc<str>,
    /// How its readings relate to each other.
    pub meter_type: MeterType,
    /// Free text, may be empty.
    pub unit: Arc<str>,
}

impl Meter {
    /// A meter.
    pub fn new(name: &str, meter_type: MeterType, unit: &str) -> Self {
        Self { name: name.into(), meter_type, unit: unit.into() }
    }
}

impl Sample {
    /// The source of samples that name none.
    pub const DEFAULT_SOURCE: &'static str = "openstack";

    /// A reading of `meter`, of nothing and nobody yet, named `id`.
    pub fn new(meter: &Meter, volume: impl Into<Volume>, id: impl Into<Arc<str>>) -> Self {
        Self {
            name: Arc::clone(&meter.name),
            meter_type: meter.meter_type,
            unit: Arc::clone(&meter.unit),
            volume: volume.into(),
            user_id: None,
            user_name: None,
            project_id: None,
            project_name: None,
            resource_id: None,
            timestamp: None,
            metadata: Metadata::default(),
            source: Self::DEFAULT_SOURCE.into(),
            id: id.into(),
            monotonic_time_seconds: None,
        }
    }

    /// All fields by their names, in the order in which publishers of plain samples write them.
    pub fn to_map(&self) -> Map<String, Value> {
        let text = |text: &Option<Arc<str>>| text.as_deref().map_or(Value::Null, Value::from);
        let monotonic = self.monotonic_time_seconds.map_or(Value::Null, Value::from);
        let fields = [
            ("name", Value::from(&*self.name)),
            ("type", Value::from(self.meter_type.as_str())),
            ("unit", Value::from(&*self.unit)),
            ("volume", self.volume.to_json()),
            ("user_id", text(&self.user_id)),
            ("user_name", text(&self.user_name)),
            ("project_id", text(&self.project_id)),
            ("project_name", text(&self.project_name)),
            ("resource_id", text(&self.resource_id)),
            ("timestamp", text(&self.timestamp)),
            ("resource_metadata", self.metadata.to_json()),
            ("source", Value::from(&*self.source)),
            ("id", Value::from(&*self.id)),
            ("monotonic_time", monotonic),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn volumes_are_numbers_where_pipelines_take_them_for_such() {
        assert_eq!(Volume::from(json!(1)), Volume::Int(1));
        assert_eq!(Volume::from(json!(1.0)), Volume::Float(1.0));
        assert_eq!(Volume::from(u64::MAX).as_f64(), Some(u64::MAX as f64));
        assert_eq!(Volume::from(json!(" 2.5 ")).as_f64(), Some(2.5));
        assert_eq!(Volume::from(json!(true)).as_f64(), Some(1.0));
        assert_eq!(Volume::from(json!("infinite gigabytes")).as_f64(), None);
        assert_eq!(Volume::from(Value::Null).as_f64(), None);
    }

    #[test]
    fn a_sample_lists_its_fields_in_upstreams_order() {
        let meter = Meter::new("cpu", MeterType::Cumulative, "ns");
        let map = Sample::new(&meter, 5_i64, "i").to_map();
        let names: Vec<_> = map.keys().map(String::as_str).collect();
        assert_eq!(names[..4], ["name", "type", "unit", "volume"]);
        assert_eq!(names.last(), Some(&"monotonic_time"));
        assert_eq!(map["volume"], json!(5));
        assert_eq!("delta".parse(), Ok(MeterType::Delta));
        assert!("rate".parse::<MeterType>().is_err());
    }
}
