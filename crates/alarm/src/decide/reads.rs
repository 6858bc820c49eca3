//! What a rule has to read, and what the answer says.

use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, MetricSubject};
use nephometer_model::time::NS_PER_SECOND;
use nephometer_model::{MetersRule, PrometheusRule, SubRule, Threshold, Timespan, Timestamp, python};
use serde_json::{Map, Value, json};

use super::{Finding, MeterPoint, Samples, meters};

/// When somebody looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The end of the window.
    pub now: Timestamp,
    /// The window reaches back that much further, for measures that arrive late; seconds.
    pub ingestion_lag_seconds: i64,
}

impl Look {
    /// The reading of the newest `points` data points of a series, and one more for the one that is still filling.
    fn read(&self, subject: MetricSubject, method: &str, width_seconds: u32, points: u32) -> MetricRead {
        let span_seconds = i64::from(width_seconds)
            .saturating_mul(i64::from(points))
            .saturating_add(self.ingestion_lag_seconds);
        MetricRead {
            subject,
            method: method.to_owned(),
            granularity: Timespan::from_seconds(i64::from(width_seconds)),
            start: Timestamp::from_ns(
                self.now.ns().saturating_sub(span_seconds.saturating_mul(NS_PER_SECOND)),
            ),
            stop: self.now,
            project_id: None,
        }
    }

    fn by_threshold(&self, subject: MetricSubject, rule: &Threshold) -> MetricRead {
        let points = rule.evaluation_periods.saturating_add(1);
        let read = self.read(subject, &rule.aggregation_method, rule.granularity_seconds, points);
        MetricRead { project_id: rule.scope_to_project.clone(), ..read }
    }
}

/// What a rule reads; nothing for one that asks Prometheus, an error where its query is no JSON.
pub fn metric_read(rule: &SubRule, look: &Look) -> Result<Option<MetricRead>, String> {
    let (subject, threshold) = match rule {
        SubRule::Resource(rule) => {
            let subject = MetricSubject::OfResource {
                resource_id: rule.resource_id.clone(),
                metric: rule.metric.clone(),
            };
            (subject, &rule.threshold)
        }
        SubRule::Metrics(rule) => (MetricSubject::Metrics(rule.metrics.clone()), &rule.threshold),
        SubRule::Resources(rule) => {
            let search = serde_json::from_str(&rule.query)
                .map_err(|error| format!("the query of the rule is no JSON: {error}"))?;
            let subject = MetricSubject::OfResources {
                metric: rule.metric.clone(),
                resource_type: rule.resource_type.clone(),
                search,
            };
            (subject, &rule.threshold)
        }
        SubRule::Prometheus(_) => return Ok(None),
    };
    Ok(Some(look.by_threshold(subject, threshold)))
}

const fn threshold_of(rule: &SubRule) -> Option<&Threshold> {
    match rule {
        SubRule::Resource(rule) => Some(&rule.threshold),
        SubRule::Metrics(rule) => Some(&rule.threshold),
        SubRule::Resources(rule) => Some(&rule.threshold),
        SubRule::Prometheus(_) => None,
    }
}

fn list(metrics: &[String]) -> String {
    python::repr(&metrics.into())
}

/// Why there is nothing, in upstream's words.
fn reason(rule: &SubRule, method: &str, error: &MetricReadError) -> String {
    use MetricReadError::{NoSuchAggregate, NoSuchMetric, NoSuchResource, Refused, Unavailable};
    match (error, rule) {
        (Refused { status, text }, _) => {
            format!("alarm statistics retrieval failed: {text} (HTTP {status})")
        }
        (Unavailable(text), _) => format!("alarm statistics retrieval failed: {text}"),
        (NoSuchMetric, SubRule::Resource(rule)) => {
            format!("metric {} for resource {} does not exists", rule.metric, rule.resource_id)
        }
        (NoSuchResource, SubRule::Resource(rule)) => {
            format!("resource {} does not exists", rule.resource_id)
        }
        (NoSuchAggregate, SubRule::Resource(rule)) => format!(
            "aggregation {method} does not exist for metric {} of resource {}",
            rule.metric, rule.resource_id
        ),
        (NoSuchMetric, SubRule::Metrics(rule)) => {
            format!("At least of metrics in {} does not exist", list(&rule.metrics))
        }
        (_, SubRule::Metrics(rule)) => {
            format!("aggregation {method} does not exist for at least one metrics in {}", list(&rule.metrics))
        }
        (NoSuchMetric, SubRule::Resources(rule)) => format!("metric {} does not exists", rule.metric),
        (_, SubRule::Resources(_)) => {
            format!("aggregation {method} does not exist for at least one metric of the query")
        }
        (error, SubRule::Prometheus(_)) => format!("alarm statistics retrieval failed: {error}"),
    }
}

/// What the answer to a rule's reading says. Nothing is known where there is no answer, unless what is absent is
/// the metric or the resource and the rule says what absent data points count as.
pub fn finding(rule: &SubRule, answer: &Result<DataPoints, MetricReadError>) -> Finding {
    let Some(threshold) = threshold_of(rule) else {
        return Finding::Failed("a rule that reads no metric has read one".to_owned());
    };
    let absent = match answer {
        Ok(points) if !points.is_empty() => {
            let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
            return Samples::by_rule(&values, threshold);
        }
        Ok(_) => format!("No datapoint for granularity {}", threshold.granularity_seconds),
        Err(error) => reason(rule, &threshold.aggregation_method, error),
    };
    let count = threshold.evaluation_periods as usize;
    let nothing_there =
        matches!(answer, Ok(_) | Err(MetricReadError::NoSuchMetric | MetricReadError::NoSuchResource));
    match Samples::by_rule(&[], threshold) {
        Finding::Insufficient { .. } => Finding::Insufficient { reason: absent, samples: Vec::new(), count },
        other if nothing_there => other,
        _ => Finding::Insufficient { reason: absent, samples: Vec::new(), count },
    }
}

/// What the values that a PromQL query gave say: they are series, not points in time, and all must agree.
pub fn prometheus_finding(rule: &PrometheusRule, answer: &Result<Vec<f64>, MetricReadError>) -> Finding {
    let reason = match answer {
        Ok(values) => match Samples::compare(values, rule.comparison_operator, rule.threshold) {
            Some(samples) => return Finding::Samples(samples),
            None => "datapoints are unknown".to_owned(),
        },
        Err(error) => format!("alarm statistics retrieval failed: {error}"),
    };
    Finding::Insufficient { reason, samples: Vec::new(), count: 0 }
}

/// Whose samples a rule over meters means: a metric of that name of one resource, or of all that its conditions find;
/// and the project that they are narrowed to.
fn meters_subject(rule: &MetersRule) -> Result<(MetricSubject, Option<String>), String> {
    let mut conditions = Vec::new();
    let (mut resource_id, mut project_id) = (None, None);
    for condition in &rule.query {
        let field = condition["field"].as_str().unwrap_or_default();
        let value = &condition["value"];
        if !matches!(condition.get("op").and_then(Value::as_str), None | Some("eq" | "")) {
            return Err(format!("conditions on {field} can be equalities only"));
        }
        let column = match field {
            "resource" | "resource_id" => {
                resource_id = Some(python::str(value));
                "id"
            }
            "project" | "project_id" => {
                project_id = Some(python::str(value));
                "project_id"
            }
            "user" | "user_id" => "user_id",
            "meter" if value.as_str() == Some(rule.meter_name.as_str()) => continue,
            other => return Err(format!("metered samples cannot be chosen by {other}")),
        };
        conditions.push(json!({"=": Map::from_iter([(column.to_owned(), value.clone())])}));
    }
    let metric = rule.meter_name.clone();
    // The project is whose rights count, so that with the resource it needs no search.
    let others = conditions.len() - usize::from(project_id.is_some());
    let subject = match resource_id {
        Some(resource_id) if others == 1 => MetricSubject::OfResource { resource_id, metric },
        _ => MetricSubject::OfResources {
            metric,
            resource_type: "generic".to_owned(),
            search: match conditions.len() {
                0 => json!({}),
                1 => conditions.swap_remove(0),
                _ => json!({"and": conditions}),
            },
        },
    };
    Ok((subject, project_id))
}

/// What a rule over meters reads: its statistic and, where outliers are left out, the counts of samples.
pub fn meters_reads(rule: &MetersRule, look: &Look) -> Result<Vec<MetricRead>, String> {
    let (subject, project_id) = meters_subject(rule)?;
    let method = if rule.statistic == "avg" { "mean" } else { rule.statistic.as_str() };
    let counts = method == "count" || rule.exclude_outliers;
    if counts && matches!(subject, MetricSubject::OfResources { .. }) {
        return Err("samples are counted for one resource only".to_owned());
    }
    let back = if rule.exclude_outliers { rule.evaluation_periods } else { 1 };
    let points = rule.evaluation_periods.saturating_add(back);
    let methods = [Some(method), rule.exclude_outliers.then_some("count")];
    Ok(methods
        .into_iter()
        .flatten()
        .map(|method| {
            let read = look.read(subject.clone(), method, rule.period_seconds, points);
            MetricRead { project_id: project_id.clone(), ..read }
        })
        .collect())
}

/// What the answers to [`meters_reads`] say; one that failed counts as empty.
pub fn meters_finding(rule: &MetersRule, answers: &[&Result<DataPoints, MetricReadError>]) -> Finding {
    let points_of = |at: usize| answers.get(at).and_then(|answer| answer.as_ref().ok());
    let values = points_of(0).map(Vec::as_slice).unwrap_or_default();
    let counts = points_of(1).map(Vec::as_slice).unwrap_or_default();
    let count_at = |at: Timestamp| {
        counts.binary_search_by_key(&at, |(start, _)| *start).map_or(0.0, |found| counts[found].1)
    };
    let points: Vec<MeterPoint> =
        values.iter().map(|(at, value)| MeterPoint { value: *value, count: count_at(*at) }).collect();
    meters(rule, &points)
}
