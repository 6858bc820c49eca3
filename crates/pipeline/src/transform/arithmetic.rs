//! `arithmetic`: an expression over several meters of a resource.

use std::sync::Arc;

use nephometer_model::{MeterType, Sample, Volume};
use serde_json::{Map, Value};

use super::convert::{mapping, number, text};
use super::scope::attribute;
use super::{DropReason, Kept, Outcome, View, derived_id, number_of, time_of};
use crate::expr::{self, Expression, Names};

#[derive(Debug, Clone)]
pub(super) struct Arithmetic {
    /// The meters of the expression in its order; the first is the one whose owner and metadata count.
    meters: Vec<String>,
    /// Its operands by attribute: a name in the expression, a meter, and which attribute.
    operands: Vec<Operand>,
    expression: Expression,
    name: Option<Arc<str>>,
    unit: Option<Arc<str>>,
    meter_type: Option<MeterType>,
}

/// `$(meter)` in an expression, with the attribute behind it.
#[derive(Debug, Clone)]
struct Operand {
    name: String,
    meter: String,
    /// `volume` where none is named.
    attribute: String,
}

impl Arithmetic {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, String> {
        let empty = Map::new();
        let target = mapping(parameters, "target")?.unwrap_or(&empty);
        let given = text(target, "expr")?.unwrap_or_default();
        let (escaped, operands) = escape(given);
        let mut meters: Vec<String> = Vec::new();
        for operand in &operands {
            if !meters.contains(&operand.meter) {
                meters.push(operand.meter.clone());
            }
        }
        if meters.is_empty() {
            return Err(format!(
                "Arithmetic transformer must use at least one meter in expression '{given}'"
            ));
        }
        let meter_type = text(target, "type")?.map(str::parse::<MeterType>).transpose();
        Ok(Self {
            meters,
            operands,
            expression: Expression::compile(&escaped).map_err(|error| format!("expr: {error}"))?,
            name: text(target, "name")?.map(Arc::from),
            unit: text(target, "unit")?.map(Arc::from),
            meter_type: meter_type.map_err(|error| format!("type: {error}"))?,
        })
    }

    /// Remembers the latest sample of each operand; everything else ends here.
    pub(super) fn handle(&self, sample: Sample, view: &mut View<'_>) -> Outcome {
        if !self.meters.iter().any(|meter| **meter == *sample.name) {
            return Outcome::Kept;
        }
        let resource = sample.resource_id.as_deref().unwrap_or_default().to_owned();
        let mut latest = match view.get(&resource) {
            Some(Kept::Held(samples)) => samples.clone(),
            _ => Vec::new(),
        };
        latest.retain(|known| known.name != sample.name);
        latest.push(sample);
        view.put(&resource, Kept::Held(latest));
        Outcome::Kept
    }

    /// Computes what is complete. Only what this batch has touched can have become so.
    pub(super) fn flush(&self, view: &mut View<'_>, drops: &mut Vec<DropReason>) -> Vec<Sample> {
        let mut out = Vec::new();
        for resource in view.touched() {
            let complete = matches!(view.get(&resource), Some(Kept::Held(samples)) if samples.len() == self.meters.len());
            if !complete {
                continue;
            }
            let Some(Kept::Held(samples)) = view.remove(&resource) else { continue };
            match self.compute(&samples, view) {
                Some(sample) => out.push(sample),
                None => drops.push(DropReason::Expression),
            }
        }
        out
    }

    fn compute(&self, samples: &[Sample], view: &View<'_>) -> Option<Sample> {
        let of = |meter: &str| samples.iter().find(|sample| *sample.name == *meter);
        let numbers: Vec<Sample> = samples
            .iter()
            .map(|sample| Sample {
                volume: number_of(&sample.volume).unwrap_or_else(|| sample.volume.clone()),
                ..sample.clone()
            })
            .collect();
        let number_sample = |meter: &str| numbers.iter().find(|sample| *sample.name == *meter);
        let names = self.operands.iter().filter_map(|operand| {
            let value = attribute(number_sample(&operand.meter)?, &operand.attribute);
            Some((operand.name.as_str(), value.unwrap_or(expr::Value::Namespace(None))))
        });
        let value = match self.expression.evaluate(&Names(names.collect())) {
            Ok(value) => number(&value).and_then(|value| value.as_f64()).ok_or("it is no number".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let value = value.and_then(|value| {
            if value.is_nan() { Err("Expression evaluated to a NaN value!".to_owned()) } else { Ok(value) }
        });
        let value = match value {
            Ok(value) => value,
            Err(reason) => {
                tracing::warn!("Unable to evaluate expression {}: {reason}", self.expression.text());
                return None;
            }
        };
        let reference = of(self.meters.first()?)?;
        let latest = samples.iter().max_by_key(|sample| time_of(sample, view.now()))?;
        let ids: Vec<&str> = samples.iter().map(|sample| &*sample.id).collect();
        Some(Sample {
            name: self.name.clone().unwrap_or_else(|| Arc::clone(&reference.name)),
            unit: self.unit.clone().unwrap_or_else(|| Arc::clone(&reference.unit)),
            meter_type: self.meter_type.unwrap_or(reference.meter_type),
            volume: Volume::Float(value),
            timestamp: latest.timestamp.clone(),
            id: derived_id(view.transformer(), &ids.join(" ")),
            ..reference.clone()
        })
    }
}

/// `expr` with a name in the place of each `$(meter)` and the attribute behind it.
fn escape(expr: &str) -> (String, Vec<Operand>) {
    let is_meter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let (mut out, mut operands) = (String::new(), Vec::<Operand>::new());
    let mut rest = expr;
    while let Some(at) = rest.find("$(") {
        let inner = &rest[at + 2..];
        let end = inner.find(|c: char| !is_meter(c)).unwrap_or(inner.len());
        if end == 0 || !inner[end..].starts_with(')') {
            out.push_str(&rest[..at + 2]);
            rest = inner;
            continue;
        }
        out.push_str(&rest[..at]);
        let meter = inner[..end].to_owned();
        rest = &inner[end + 1..];
        let mut attribute = "volume".to_owned();
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(after.len());
            attribute = after[..end].to_owned();
            rest = &after[end..];
        }
        let known = operands.iter().find(|operand| operand.meter == meter && operand.attribute == attribute);
        let name = known.map_or_else(|| format!("operand_{}", operands.len()), |known| known.name.clone());
        out.push_str(&name);
        if known.is_none() {
            operands.push(Operand { name, meter, attribute });
        }
    }
    out.push_str(rest);
    (out, operands)
}
