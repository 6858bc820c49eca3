//! Composite rules: basic rules joined by and, or.

use nephometer_model::{AlarmType, CompositeRule, SubRule, python};
use serde_json::Value;

use super::fields::{Fields, wrong_type};
use super::{DefinitionError, rules};

/// The types that a basic rule may have.
const BASIC: [AlarmType; 4] = [
    AlarmType::Prometheus,
    AlarmType::GnocchiResourcesThreshold,
    AlarmType::GnocchiAggregationByMetricsThreshold,
    AlarmType::GnocchiAggregationByResourcesThreshold,
];
/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// Reads a composite rule; a single basic rule is one too.
pub(super) fn rule(value: &Value) -> Result<CompositeRule, DefinitionError> {
    nested(value, 0)
}

fn nested(value: &Value, depth: usize) -> Result<CompositeRule, DefinitionError> {
    let Value::Object(object) = value else { return Err(malformed(value)) };
    if depth > MAX_DEPTH {
        return Err(DefinitionError::Invalid(format!(
            "composite rules may be nested {MAX_DEPTH} deep at most"
        )));
    }
    let Some((word, inner)) = object.iter().next().filter(|_| object.len() == 1) else {
        return basic(value).map(|rule| CompositeRule::Rule(Box::new(rule)));
    };
    let join = match word.as_str() {
        "and" => CompositeRule::And,
        "or" => CompositeRule::Or,
        _ => {
            let text = "Threshold rules should be combined with \"and\" or \"or\"";
            return Err(DefinitionError::Invalid(text.to_owned()));
        }
    };
    let list = inner.as_array().filter(|list| !list.is_empty()).ok_or_else(|| malformed(value))?;
    list.iter().map(|rule| nested(rule, depth + 1)).collect::<Result<_, _>>().map(join)
}

fn malformed(value: &Value) -> DefinitionError {
    DefinitionError::Invalid(format!(
        "Invalid input composite rule: {}, it should be a dict with an \"and\" or \"or\" as key, and the value of dict \
         should be a list of basic threshold rules or sub composite rules, can be nested.",
        python::repr(value)
    ))
}

fn basic(value: &Value) -> Result<SubRule, DefinitionError> {
    let mut fields = Fields::of(value, "data.composite_rule")?;
    let given = fields.take("type");
    let Some(given) = given.filter(|given| !given.is_null()) else {
        return Err(DefinitionError::Invalid("type must be set in every rule".to_owned()));
    };
    let kind = given.as_str().and_then(AlarmType::parse).filter(|kind| BASIC.contains(kind));
    let Some(kind) = kind else {
        let known: Vec<_> = BASIC.iter().map(|kind| python::repr_str(kind.as_str())).collect();
        return Err(DefinitionError::Invalid(format!(
            "Unsupported sub-rule type :{} in composite rule, should be one of: [{}]",
            python::str(given),
            known.join(", ")
        )));
    };
    if let Some(truth @ Value::Bool(_)) = value.get("threshold") {
        return Err(wrong_type("threshold", truth, "float"));
    }
    let rule = match kind {
        AlarmType::Prometheus => SubRule::Prometheus(rules::prometheus(&mut fields)?),
        AlarmType::GnocchiAggregationByMetricsThreshold => SubRule::Metrics(rules::metrics(&mut fields)?),
        AlarmType::GnocchiAggregationByResourcesThreshold => {
            SubRule::Resources(rules::resources(&mut fields)?)
        }
        _ => SubRule::Resource(rules::resource(&mut fields)?),
    };
    fields.finish()?;
    Ok(rule)
}
