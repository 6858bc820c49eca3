//! Rules by the type of the alarm.

use std::collections::BTreeSet;

use nephometer_model::{
    AlarmRule, AlarmType, CombinationRule, EventCondition, EventRule, LoadBalancerRule, MetersRule,
    MetricsRule, MissingData, Operator, PrometheusRule, ResourceRule, ResourcesRule, Threshold, python,
};
use serde_json::Value;

use super::fields::{Fields, invalid, not_a_list};
use super::{DefinitionError, composite, missing};
use crate::event::convertible;

/// Most data points of a window.
const MAX_PERIODS: i64 = 100;
/// Widest data point, in seconds: a year.
const MAX_GRANULARITY_SECONDS: i64 = 31_536_000;
/// What the statistics of metered samples are called.
const STATISTICS: [&str; 5] = ["max", "min", "avg", "sum", "count"];
/// What may be asked of metered samples.
const METER_FIELDS: [&str; 9] =
    ["user", "user_id", "project", "project_id", "resource", "resource_id", "meter", "source", "message_id"];

/// The key of a type's rule.
const fn key(kind: AlarmType) -> &'static str {
    match kind {
        AlarmType::GnocchiResourcesThreshold => "gnocchi_resources_threshold_rule",
        AlarmType::GnocchiAggregationByMetricsThreshold => "gnocchi_aggregation_by_metrics_threshold_rule",
        AlarmType::GnocchiAggregationByResourcesThreshold => {
            "gnocchi_aggregation_by_resources_threshold_rule"
        }
        AlarmType::Event => "event_rule",
        AlarmType::Composite => "composite_rule",
        AlarmType::LoadbalancerMemberHealth => "loadbalancer_member_health_rule",
        AlarmType::Prometheus => "prometheus_rule",
        AlarmType::Threshold => "threshold_rule",
        AlarmType::Combination => "combination_rule",
    }
}

/// The rule of an alarm of type `kind`: the only one that may be there.
pub(super) fn rule(fields: &mut Fields<'_>, kind: AlarmType) -> Result<AlarmRule, DefinitionError> {
    let mut set = BTreeSet::new();
    let mut found = None;
    for other in AlarmType::ALL {
        let value = fields.take(key(*other)).filter(|value| !value.is_null());
        if value.is_some() {
            set.insert(key(*other));
        }
        if *other == kind {
            found = value;
        }
    }
    let Some(value) = found else {
        return Err(DefinitionError::Invalid(format!("{} must be set for {kind} type alarm", key(kind))));
    };
    let mut set = set.into_iter();
    if let (Some(first), Some(second)) = (set.next(), set.next()) {
        let text = format!("{first} and {second} cannot be set at the same time");
        return Err(DefinitionError::Invalid(text));
    }
    if kind == AlarmType::Composite {
        return composite::rule(value).map(AlarmRule::Composite);
    }
    let mut fields = Fields::of(value, &format!("data.{}", key(kind)))?;
    let rule = of_fields(&mut fields, kind)?;
    fields.finish()?;
    Ok(rule)
}

fn of_fields(fields: &mut Fields<'_>, kind: AlarmType) -> Result<AlarmRule, DefinitionError> {
    Ok(match kind {
        AlarmType::GnocchiResourcesThreshold => AlarmRule::Resource(resource(fields)?),
        AlarmType::GnocchiAggregationByMetricsThreshold => AlarmRule::Metrics(metrics(fields)?),
        AlarmType::GnocchiAggregationByResourcesThreshold => AlarmRule::Resources(resources(fields)?),
        AlarmType::Event => AlarmRule::Event(event(fields)?),
        AlarmType::LoadbalancerMemberHealth => AlarmRule::LoadBalancer(LoadBalancerRule {
            pool_id: fields.text("pool_id")?,
            stack_id: fields.text("stack_id")?,
            autoscaling_group_id: fields.text("autoscaling_group_id")?,
        }),
        AlarmType::Prometheus => AlarmRule::Prometheus(prometheus(fields)?),
        AlarmType::Threshold => AlarmRule::Meters(meters(fields)?),
        AlarmType::Combination => AlarmRule::Combination(combination(fields)?),
        AlarmType::Composite => return Err(missing(key(kind))),
    })
}

pub(super) fn resource(fields: &mut Fields<'_>) -> Result<ResourceRule, DefinitionError> {
    Ok(ResourceRule {
        metric: fields.text("metric")?,
        resource_id: fields.text("resource_id")?,
        resource_type: fields.text("resource_type")?,
        threshold: threshold(fields)?,
    })
}

pub(super) fn metrics(fields: &mut Fields<'_>) -> Result<MetricsRule, DefinitionError> {
    let metrics = fields.texts("metrics")?.ok_or_else(|| missing("metrics"))?.unwrap_or_default();
    Ok(MetricsRule { metrics, threshold: threshold(fields)? })
}

pub(super) fn resources(fields: &mut Fields<'_>) -> Result<ResourcesRule, DefinitionError> {
    let metric = fields.text("metric")?;
    let query = fields.text("query")?;
    if serde_json::from_str::<Value>(&query).is_err() {
        return Err(invalid("rule/query", &query, ""));
    }
    Ok(ResourcesRule {
        metric,
        query,
        resource_type: fields.text("resource_type")?,
        threshold: threshold(fields)?,
    })
}

pub(super) fn prometheus(fields: &mut Fields<'_>) -> Result<PrometheusRule, DefinitionError> {
    Ok(PrometheusRule {
        query: fields.text("query")?,
        threshold: fields.number("threshold")?,
        comparison_operator: operator(fields, "comparison_operator")?,
        scope_to_project: None,
    })
}

fn operator(fields: &mut Fields<'_>, name: &'static str) -> Result<Operator, DefinitionError> {
    Ok(fields.word(name, Operator::ALL, Operator::as_str)?.unwrap_or(Operator::Eq))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bounds asked for")]
fn small(fields: &mut Fields<'_>, name: &'static str, max: i64) -> Result<Option<u32>, DefinitionError> {
    Ok(fields.integer(name, 1, max)?.map(|number| number as u32))
}

fn threshold(fields: &mut Fields<'_>) -> Result<Threshold, DefinitionError> {
    let evaluation_periods = small(fields, "evaluation_periods", MAX_PERIODS)?.unwrap_or(1);
    Ok(Threshold {
        granularity_seconds: small(fields, "granularity", MAX_GRANULARITY_SECONDS)?.unwrap_or(60),
        comparison_operator: operator(fields, "comparison_operator")?,
        threshold: fields.number("threshold")?,
        aggregation_method: fields.text("aggregation_method")?,
        evaluation_periods,
        datapoints_to_alarm: small(fields, "datapoints_to_alarm", i64::from(evaluation_periods))?,
        treat_missing_data: fields.word("treat_missing_data", MissingData::ALL, MissingData::as_str)?,
        scope_to_project: None,
    })
}

fn event(fields: &mut Fields<'_>) -> Result<EventRule, DefinitionError> {
    let event_type = fields.optional_text("event_type")?.filter(|text| !text.is_empty());
    let path = format!("{}.query", fields.path());
    let query = match fields.take("query") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => {
            list.iter().map(|item| condition(item, &path)).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(not_a_list("query", other)),
    };
    Ok(EventRule { event_type: event_type.unwrap_or_else(|| "*".to_owned()), query })
}

fn condition(item: &Value, path: &str) -> Result<EventCondition, DefinitionError> {
    let mut fields = Fields::of(item, path)?;
    let field = fields.text("field")?;
    let value = fields.text("value")?;
    let kind = fields.optional_text("type")?.unwrap_or_default();
    let op = fields.optional_text("op")?.filter(|op| !op.is_empty());
    fields.finish()?;
    convertible(&value, &kind).map_err(DefinitionError::Invalid)?;
    let refuse =
        |reason: String| DefinitionError::Invalid(format!("Query value or traits invalid: {reason}"));
    let fits = |c: char| c.is_ascii_alphanumeric() || ".',_-".contains(c);
    if !field.chars().all(fits) {
        return Err(refuse(format!("{} does not match '^[a-zA-Z.\\',0-9_-]*$'", python::repr_str(&field))));
    }
    let op = op.as_deref().unwrap_or(Operator::Eq.as_str());
    let op = Operator::parse(op)
        .ok_or_else(|| refuse(format!("{} is not one of lt, le, eq, ne, ge, gt", python::repr_str(op))))?;
    Ok(EventCondition { field, op, kind, value })
}

fn meters(fields: &mut Fields<'_>) -> Result<MetersRule, DefinitionError> {
    let statistic = fields.word("statistic", &STATISTICS, |word| word)?.unwrap_or("avg").to_owned();
    let query = match fields.take("query") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.clone(),
        Some(other) => return Err(not_a_list("query", other)),
    };
    query.iter().try_for_each(meter_condition)?;
    Ok(MetersRule {
        meter_name: fields.text("meter_name")?,
        comparison_operator: operator(fields, "comparison_operator")?,
        threshold: fields.number("threshold")?,
        statistic,
        period_seconds: small(fields, "period", i64::from(u32::MAX))?.unwrap_or(60),
        evaluation_periods: small(fields, "evaluation_periods", i64::from(u32::MAX))?.unwrap_or(1),
        exclude_outliers: fields.bool("exclude_outliers")?.flatten().unwrap_or(false),
        query,
    })
}

/// Judges a condition on metered samples: which, by identity or metadata, never by time.
fn meter_condition(item: &Value) -> Result<(), DefinitionError> {
    let mut fields = Fields::of(item, "data.threshold_rule.query")?;
    let field = fields.text("field")?;
    fields.text("value")?;
    fields.optional_text("type")?;
    let op = operator(&mut fields, "op")?;
    fields.finish()?;
    let is_metadata = field.starts_with("metadata.") || field.starts_with("resource_metadata.");
    if !is_metadata && !METER_FIELDS.contains(&field.as_str()) {
        let text = format!(
            "Unknown argument: \"{field}\": unrecognized field in query: {item}, valid keys: {METER_FIELDS:?}"
        );
        return Err(DefinitionError::Invalid(text));
    }
    if !is_metadata && op != Operator::Eq {
        return Err(invalid("op", op.as_str(), &format!("unimplemented operator for {field}")));
    }
    Ok(())
}

fn combination(fields: &mut Fields<'_>) -> Result<CombinationRule, DefinitionError> {
    let operator = fields.word("operator", &["or", "and"], |word| word)?.unwrap_or("and").to_owned();
    let alarm_ids = fields.texts("alarm_ids")?.flatten().ok_or_else(|| missing("alarm_ids"))?;
    if alarm_ids.iter().collect::<BTreeSet<_>>().len() < 2 {
        let text = "Alarm combination rule should contain at least two different alarm ids.";
        return Err(DefinitionError::Invalid(text.to_owned()));
    }
    Ok(CombinationRule { operator, alarm_ids })
}

/// What an alarm is described as that has no description.
pub(super) fn description(rule: &AlarmRule) -> String {
    match rule {
        AlarmRule::Event(rule) => format!("Alarm when {} event occurred.", rule.event_type),
        AlarmRule::Meters(rule) => format!(
            "Alarm when {} is {} a {} of {} over {} seconds",
            rule.meter_name,
            rule.comparison_operator,
            rule.statistic,
            python::float(rule.threshold),
            rule.period_seconds
        ),
        AlarmRule::Combination(rule) => {
            format!("Combined state of alarms {}", rule.alarm_ids.join(&format!(" {} ", rule.operator)))
        }
        other => format!("{} alarm rule", other.type_name()),
    }
}
