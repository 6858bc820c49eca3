//! The body of a batch of measures by resource and metric, written without a tree: an agent sends tens of thousands a cycle.

use nephometer_drivers::NamedMeasures;
use nephometer_model::Timestamp;
use serde::{Serialize, Serializer};

/// Measures of one resource after the other, and of one metric after the other, each in the order in which they came.
pub(super) struct Batch<'a>(Vec<&'a NamedMeasures>);

impl<'a> Batch<'a> {
    pub(super) fn of(measures: &'a [NamedMeasures]) -> Self {
        let mut sorted: Vec<_> = measures.iter().collect();
        sorted
            .sort_by(|one, other| (&one.resource_id, &one.metric).cmp(&(&other.resource_id, &other.metric)));
        Self(sorted)
    }
}

impl Serialize for Batch<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let resources = self.0.chunk_by(|one, other| one.resource_id == other.resource_id);
        serializer.collect_map(resources.filter_map(|of| Some((&of.first()?.resource_id, Metrics(of)))))
    }
}

/// Metrics of one resource.
struct Metrics<'a>(&'a [&'a NamedMeasures]);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metrics = self.0.chunk_by(|one, other| one.metric == other.metric);
        let metrics = metrics.filter_map(|of| {
            let first = of.first()?;
            let policy = first.archive_policy.as_deref();
            let metric =
                Metric { measures: Measures(of), archive_policy_name: policy, unit: first.unit.as_deref() };
            Some((&first.metric, metric))
        });
        serializer.collect_map(metrics)
    }
}

#[derive(Serialize)]
struct Metric<'a> {
    measures: Measures<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_policy_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
}

/// All measures of one metric.
struct Measures<'a>(&'a [&'a NamedMeasures]);

impl Serialize for Measures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let measures = self.0.iter().flat_map(|named| &named.measures);
        serializer.collect_seq(measures.map(|(time, value)| Measure::of(*time, *value)))
    }
}

#[derive(Serialize)]
struct Measure {
    timestamp: String,
    value: Number,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    /// JSON has no numbers for these; Gnocchi reads them from texts.
    Other(String),
}

impl Measure {
    fn of(time: Timestamp, value: f64) -> Self {
        let number = if value.is_finite() { Number::Finite(value) } else { Number::Other(value.to_string()) };
        Self { timestamp: time.isoformat(), value: number }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_belongs_together_is_together() {
        let named = |resource: &str, metric: &str, unit: Option<&str>, values: &[f64]| NamedMeasures {
            resource_id: resource.to_owned(),
            metric: metric.to_owned(),
            archive_policy: unit.map(|_| "low".to_owned()),
            unit: unit.map(str::to_owned),
            measures: values.iter().zip(0..).map(|(value, at)| (Timestamp::from_ns(at), *value)).collect(),
        };
        let measures = [
            named("b", "cpu", Some("ns"), &[1.0]),
            named("a", "x", None, &[f64::NAN, 2.5]),
            named("b", "disk", None, &[]),
            named("b", "cpu", Some("ns"), &[3.0]),
        ];
        let written = serde_json::to_value(Batch::of(&measures)).unwrap();
        let at = |ns: i64| Timestamp::from_ns(ns).isoformat();
        let expected = json!({
            "a": {"x": {"measures": [{"timestamp": at(0), "value": "NaN"}, {"timestamp": at(1), "value": 2.5}]}},
            "b": {
                "cpu": {
                    "measures": [{"timestamp": at(0), "value": 1.0}, {"timestamp": at(0), "value": 3.0}],
                    "archive_policy_name": "low",
                    "unit": "ns",
                },
                "disk": {"measures": []},
            },
        });
        assert_eq!(written, expected);
    }
}
