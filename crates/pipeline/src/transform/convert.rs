//! What most transformers share: names and units that are mapped, volumes that are scaled and capped.

use std::sync::Arc;

use nephometer_model::{MeterType, Sample, Volume};
use serde_json::{Map, Value};

use super::scope::SampleScope;
use super::{DropReason, Outcome, View, derived_id, number_of};
use crate::expr::Expression;
use crate::python_regex::{PythonRegex, Replacement};

/// Longest name or unit that a mapping makes, in bytes.
const MAX_MAPPED_BYTES: usize = 4096;

/// What a volume is multiplied by, or replaced by.
#[derive(Debug, Clone)]
pub(super) enum Scale {
    None,
    Number(Volume),
    Expression(Expression),
}

#[derive(Debug, Clone)]
struct Mapping {
    from: PythonRegex,
    to: Replacement,
}

/// `source` and `target`.
#[derive(Debug, Clone)]
pub(super) struct Conversion {
    /// Samples of other units are left alone.
    source_unit: Option<String>,
    name: Option<Arc<str>>,
    unit: Option<Arc<str>>,
    meter_type: Option<MeterType>,
    map_name: Option<Mapping>,
    map_unit: Option<Mapping>,
    pub(super) scale: Scale,
    max: Option<f64>,
}

/// A parameter that is a mapping; nothing where it is missing.
pub(super) fn mapping<'p>(
    parameters: &'p Map<String, Value>,
    key: &str,
) -> Result<Option<&'p Map<String, Value>>, String> {
    match parameters.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(format!("{key} should be a mapping, not {other}")),
    }
}

/// A parameter that is a text; nothing where it is missing.
pub(super) fn text<'p>(parameters: &'p Map<String, Value>, key: &str) -> Result<Option<&'p str>, String> {
    match parameters.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("{key} should be a text, not {other}")),
    }
}

/// A parameter that is a whole number; nothing where it is missing or null. Negative ones count as zero.
pub(super) fn whole(parameters: &Map<String, Value>, key: &str) -> Result<Option<u64>, String> {
    let wrong = |value: &Value| format!("{key} should be a whole number, not {value}");
    match parameters.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
            let number: f64 = number.ok_or_else(|| wrong(value))?;
            if number.is_finite() && number < 1e15 {
                Ok(Some(number.max(0.0) as u64))
            } else {
                Err(wrong(value))
            }
        }
    }
}

impl Conversion {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, String> {
        let empty = Map::new();
        let source = mapping(parameters, "source")?.unwrap_or(&empty);
        let target = mapping(parameters, "target")?.unwrap_or(&empty);
        let from = mapping(source, "map_from")?.unwrap_or(&empty);
        let to = mapping(target, "map_to")?.unwrap_or(&empty);
        let map = |attribute: &str| match (text(from, attribute)?, text(to, attribute)?) {
            (Some(from), Some(to)) if !from.is_empty() && !to.is_empty() => {
                let from =
                    PythonRegex::new(from).map_err(|error| format!("map_from {attribute}: {error}"))?;
                let to =
                    Replacement::new(to, &from).map_err(|error| format!("map_to {attribute}: {error}"))?;
                Ok::<_, String>(Some(Mapping { from, to }))
            }
            _ => Ok(None),
        };
        let meter_type = text(target, "type")?.map(str::parse::<MeterType>).transpose();
        Ok(Self {
            source_unit: text(source, "unit")?.map(str::to_owned),
            name: text(target, "name")?.map(Arc::from),
            unit: text(target, "unit")?.map(Arc::from),
            meter_type: meter_type.map_err(|error| format!("type: {error}"))?,
            map_name: map("name")?,
            map_unit: map("unit")?,
            scale: scale(target)?,
            max: match target.get("max") {
                None | Some(Value::Null) => None,
                // Upstream takes a zero for none.
                Some(max) => Some(max.as_f64().ok_or_else(|| format!("max should be a number, not {max}"))?)
                    .filter(|max| *max != 0.0),
            },
        })
    }

    /// `unit_conversion`: the volume scaled.
    pub(super) fn handle(&self, sample: Sample, view: &View<'_>) -> Outcome {
        if !self.takes(&sample) {
            return Outcome::On(sample);
        }
        match self.scaled(&sample) {
            Ok(volume) => Outcome::On(self.convert(&sample, self.cap(volume), view.transformer())),
            Err(reason) => Outcome::Dropped(reason),
        }
    }

    pub(super) fn takes(&self, sample: &Sample) -> bool {
        self.source_unit.as_deref().is_none_or(|unit| unit == &*sample.unit)
    }

    /// The sample's volume scaled; where `scale` is an expression, its value.
    pub(super) fn scaled(&self, sample: &Sample) -> Result<Volume, DropReason> {
        let volume = number_of(&sample.volume).ok_or(DropReason::NotANumber)?;
        match &self.scale {
            Scale::None => Ok(volume),
            Scale::Number(factor) => Ok(product(&volume, factor)),
            Scale::Expression(expression) => evaluate(expression, &Sample { volume, ..sample.clone() }),
        }
    }

    /// What `growth` is multiplied by.
    pub(super) fn factor(&self, sample: &Sample) -> Result<f64, DropReason> {
        match &self.scale {
            Scale::None => Ok(1.0),
            Scale::Number(factor) => factor.as_f64().ok_or(DropReason::Expression),
            Scale::Expression(expression) => {
                let volume = number_of(&sample.volume).ok_or(DropReason::NotANumber)?;
                evaluate(expression, &Sample { volume, ..sample.clone() })?
                    .as_f64()
                    .ok_or(DropReason::Expression)
            }
        }
    }

    /// `volume`, or the most that it may be.
    pub(super) fn cap(&self, volume: Volume) -> Volume {
        match (self.max, volume.as_f64()) {
            (Some(max), Some(value)) if value > max => Volume::Float(max),
            _ => volume,
        }
    }

    /// The meter's type once it is converted.
    pub(super) fn type_of(&self, sample: &Sample) -> MeterType {
        self.meter_type.unwrap_or(sample.meter_type)
    }

    /// A new sample in the place of `sample`.
    pub(super) fn convert(&self, sample: &Sample, volume: Volume, transformer: u64) -> Sample {
        Sample {
            name: mapped(self.map_name.as_ref(), self.name.as_ref(), &sample.name),
            unit: mapped(self.map_unit.as_ref(), self.unit.as_ref(), &sample.unit),
            meter_type: self.type_of(sample),
            volume,
            id: derived_id(transformer, &sample.id),
            ..sample.clone()
        }
    }
}

/// What a mapping makes of `text`; where there is none, or it makes nothing, the target's, else `text` itself.
fn mapped(mapping: Option<&Mapping>, target: Option<&Arc<str>>, text: &Arc<str>) -> Arc<str> {
    let mapped = mapping.and_then(|mapping| mapping.from.sub(&mapping.to, text, MAX_MAPPED_BYTES).ok());
    match mapped.filter(|mapped| !mapped.is_empty()) {
        Some(mapped) => mapped.into(),
        None => Arc::clone(target.unwrap_or(text)),
    }
}

fn scale(target: &Map<String, Value>) -> Result<Scale, String> {
    match target.get("scale") {
        None | Some(Value::Null) => Ok(Scale::None),
        Some(Value::String(text)) if text.is_empty() => Ok(Scale::None),
        Some(Value::String(text)) => {
            Expression::compile(text).map(Scale::Expression).map_err(|error| format!("scale: {error}"))
        }
        Some(number @ Value::Number(_)) if number.as_f64() == Some(0.0) => Ok(Scale::None),
        Some(number @ Value::Number(_)) => Ok(Scale::Number(Volume::from(number.clone()))),
        Some(other) => Err(format!("scale should be a number or an expression, not {other}")),
    }
}

/// The product; of whole numbers a whole one, while it fits.
fn product(a: &Volume, b: &Volume) -> Volume {
    if let (Volume::Int(a), Volume::Int(b)) = (a, b)
        && let Some(product) = a.checked_mul(*b)
    {
        return Volume::Int(product);
    }
    Volume::Float(a.as_f64().unwrap_or(f64::NAN) * b.as_f64().unwrap_or(f64::NAN))
}

/// The difference; of whole numbers a whole one, while it fits.
pub(super) fn difference(a: &Volume, b: &Volume) -> Volume {
    if let (Volume::Int(a), Volume::Int(b)) = (a, b)
        && let Some(difference) = a.checked_sub(*b)
    {
        return Volume::Int(difference);
    }
    Volume::Float(a.as_f64().unwrap_or(f64::NAN) - b.as_f64().unwrap_or(f64::NAN))
}

/// The sum; of whole numbers a whole one, while it fits.
pub(super) fn sum(a: &Volume, b: &Volume) -> Volume {
    if let (Volume::Int(a), Volume::Int(b)) = (a, b)
        && let Some(sum) = a.checked_add(*b)
    {
        return Volume::Int(sum);
    }
    Volume::Float(a.as_f64().unwrap_or(f64::NAN) + b.as_f64().unwrap_or(f64::NAN))
}

/// The number that `expression` is for `sample`.
fn evaluate(expression: &Expression, sample: &Sample) -> Result<Volume, DropReason> {
    let value = match expression.evaluate(&SampleScope(sample)) {
        Ok(value) => value,
        Err(error) => {
            let (meter, resource) = (&*sample.name, sample.resource_id.as_deref());
            tracing::warn!(meter, resource, "the scale `{}` has no value: {error}", expression.text());
            return Err(DropReason::Expression);
        }
    };
    number(&value).ok_or_else(|| {
        tracing::warn!(meter = &*sample.name, "the scale `{}` is no number", expression.text());
        DropReason::Expression
    })
}

/// A value of an expression as a volume, where it is a number.
pub(super) fn number(value: &crate::expr::Value<'_>) -> Option<Volume> {
    match value {
        crate::expr::Value::Int(int) => {
            Some(i64::try_from(*int).map_or(Volume::Float(*int as f64), Volume::Int))
        }
        other => other.as_f64().map(Volume::Float),
    }
}
