//! What an alarm watches, typed, and as it is stored: JSON whose keys stand in Aodh's order.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AlarmType, MissingData, Operator};

/// What rules over series of measures have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Width of a data point in seconds, 1..=31,536,000.
    #[serde(rename = "granularity")]
    pub granularity_seconds: u32,
    /// How data points are compared.
    pub comparison_operator: Operator,
    /// With what.
    pub threshold: f64,
    /// Gnocchi's name of an aggregation method, `rate:` forms included.
    pub aggregation_method: String,
    /// How many data points are looked at, 1..=100.
    pub evaluation_periods: u32,
    /// How many of them suffice for `alarm`; nothing for all. An addition to upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datapoints_to_alarm: Option<u32>,
    /// What absent data points count as; nothing for `missing`. An addition to upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treat_missing_data: Option<MissingData>,
    /// The project whose rights count when the rule reads; nothing for all (an administrator's own). Not for clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_to_project: Option<String>,
}

/// `gnocchi_resources_threshold`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceRule {
    /// The condition.
    #[serde(flatten)]
    pub threshold: Threshold,
    /// Name (or id) of the metric.
    pub metric: String,
    /// The resource that has it.
    pub resource_id: String,
    /// Its type; not used when evaluating.
    pub resource_type: String,
}

/// `gnocchi_aggregation_by_metrics_threshold`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRule {
    /// The condition.
    #[serde(flatten)]
    pub threshold: Threshold,
    /// Ids of metrics that are aggregated together.
    pub metrics: Vec<String>,
}

/// `gnocchi_aggregation_by_resources_threshold`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourcesRule {
    /// The condition.
    #[serde(flatten)]
    pub threshold: Threshold,
    /// Name of the metric.
    pub metric: String,
    /// Which resources: JSON text of a search, narrowed to what the owner may see.
    pub query: String,
    /// The type that is searched.
    pub resource_type: String,
}

/// A condition on an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventCondition {
    /// `traits.<name>`, or a key of the event.
    pub field: String,
    /// How it is compared.
    pub op: Operator,
    /// What the value is: `string`, `integer`, `float`, `boolean`, `datetime`; empty for text.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// With what.
    pub value: String,
}

/// `event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRule {
    /// A shell glob.
    pub event_type: String,
    /// All must hold.
    pub query: Vec<EventCondition>,
}

/// `prometheus`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrometheusRule {
    /// How values are compared.
    pub comparison_operator: Operator,
    /// With what.
    pub threshold: f64,
    /// PromQL.
    pub query: String,
    /// The project that selectors are narrowed to.
    pub scope_to_project: Option<String>,
}

/// `loadbalancer_member_health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancerRule {
    /// Octavia's pool.
    pub pool_id: String,
    /// Heat's stack.
    pub stack_id: String,
    /// Heat's group.
    pub autoscaling_group_id: String,
}

/// `threshold`, retired upstream: statistics of metered samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetersRule {
    /// Which meter.
    pub meter_name: String,
    /// How statistics are compared.
    pub comparison_operator: Operator,
    /// With what.
    pub threshold: f64,
    /// `max`, `min`, `avg`, `sum` or `count`.
    pub statistic: String,
    /// Width of a period in seconds.
    #[serde(rename = "period")]
    pub period_seconds: u32,
    /// How many of them are looked at.
    pub evaluation_periods: u32,
    /// Leave periods out whose count of samples is unusual.
    pub exclude_outliers: bool,
    /// Conditions of the old metering API.
    pub query: Vec<Value>,
}

/// `combination`, retired upstream: states of other alarms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CombinationRule {
    /// `and` or `or`.
    pub operator: String,
    /// Which alarms.
    pub alarm_ids: Vec<String>,
}

/// A rule inside a composite one.
#[derive(Debug, Clone, PartialEq)]
pub enum SubRule {
    /// See [`ResourceRule`].
    Resource(ResourceRule),
    /// See [`MetricsRule`].
    Metrics(MetricsRule),
    /// See [`ResourcesRule`].
    Resources(ResourcesRule),
    /// See [`PrometheusRule`].
    Prometheus(PrometheusRule),
}

/// `composite`: rules joined by and, or.
#[derive(Debug, Clone, PartialEq)]
pub enum CompositeRule {
    /// All hold.
    And(Vec<CompositeRule>),
    /// One holds.
    Or(Vec<CompositeRule>),
    /// A rule.
    Rule(Box<SubRule>),
}

/// What an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub enum AlarmRule {
    /// One metric of one resource.
    Resource(ResourceRule),
    /// Several metrics together.
    Metrics(MetricsRule),
    /// A metric of all resources that a search finds.
    Resources(ResourcesRule),
    /// Events.
    Event(EventRule),
    /// Rules joined by and, or.
    Composite(CompositeRule),
    /// A PromQL query.
    Prometheus(PrometheusRule),
    /// Members of a load balancer's pool.
    LoadBalancer(LoadBalancerRule),
    /// Statistics of metered samples.
    Meters(MetersRule),
    /// States of other alarms.
    Combination(CombinationRule),
    /// A row of a type, or with a rule, that this program does not know: shown and deleted, never evaluated.
    Unknown {
        /// As stored.
        type_name: String,
        /// As stored.
        rule: Value,
    },
}

fn typed<T: DeserializeOwned>(rule: &Value) -> Option<T> {
    T::deserialize(rule).ok()
}

fn object(rule: &impl Serialize) -> Value {
    serde_json::to_value(rule).unwrap_or_default()
}

impl SubRule {
    /// Its type.
    pub const fn alarm_type(&self) -> AlarmType {
        match self {
            Self::Resource(_) => AlarmType::GnocchiResourcesThreshold,
            Self::Metrics(_) => AlarmType::GnocchiAggregationByMetricsThreshold,
            Self::Resources(_) => AlarmType::GnocchiAggregationByResourcesThreshold,
            Self::Prometheus(_) => AlarmType::Prometheus,
        }
    }

    /// As stored: the rule's keys, then `type`.
    pub fn to_value(&self) -> Value {
        let mut value = match self {
            Self::Resource(rule) => object(rule),
            Self::Metrics(rule) => object(rule),
            Self::Resources(rule) => object(rule),
            Self::Prometheus(rule) => object(rule),
        };
        if let Value::Object(map) = &mut value {
            map.insert("type".to_owned(), self.alarm_type().as_str().into());
        }
        value
    }

    fn parse(rule: &Value) -> Option<Self> {
        match AlarmType::parse(rule.get("type")?.as_str()?)? {
            AlarmType::GnocchiResourcesThreshold => typed(rule).map(Self::Resource),
            AlarmType::GnocchiAggregationByMetricsThreshold => typed(rule).map(Self::Metrics),
            AlarmType::GnocchiAggregationByResourcesThreshold => typed(rule).map(Self::Resources),
            AlarmType::Prometheus => typed(rule).map(Self::Prometheus),
            _ => None,
        }
    }
}

impl CompositeRule {
    /// As stored.
    pub fn to_value(&self) -> Value {
        let joined = |word: &str, rules: &[Self]| {
            let rules = rules.iter().map(Self::to_value).collect();
            Value::Object(Map::from_iter([(word.to_owned(), Value::Array(rules))]))
        };
        match self {
            Self::And(rules) => joined("and", rules),
            Self::Or(rules) => joined("or", rules),
            Self::Rule(rule) => rule.to_value(),
        }
    }

    /// A stored rule; nothing where it is none.
    pub fn parse(rule: &Value) -> Option<Self> {
        let map = rule.as_object()?;
        let Some((word, rules)) = map.iter().next().filter(|_| map.len() == 1) else {
            return SubRule::parse(rule).map(|rule| Self::Rule(Box::new(rule)));
        };
        let rules = rules.as_array()?.iter().map(Self::parse).collect::<Option<Vec<_>>>()?;
        match word.as_str() {
            "and" => Some(Self::And(rules)),
            "or" => Some(Self::Or(rules)),
            _ => None,
        }
    }
}

impl AlarmRule {
    /// The rule of a stored row; [`AlarmRule::Unknown`] where it cannot be read.
    pub fn from_stored(type_name: &str, rule: Value) -> Self {
        let known = AlarmType::parse(type_name).and_then(|kind| match kind {
            AlarmType::GnocchiResourcesThreshold => typed(&rule).map(Self::Resource),
            AlarmType::GnocchiAggregationByMetricsThreshold => typed(&rule).map(Self::Metrics),
            AlarmType::GnocchiAggregationByResourcesThreshold => typed(&rule).map(Self::Resources),
            AlarmType::Event => typed(&rule).map(Self::Event),
            AlarmType::Composite => CompositeRule::parse(&rule).map(Self::Composite),
            AlarmType::LoadbalancerMemberHealth => typed(&rule).map(Self::LoadBalancer),
            AlarmType::Prometheus => typed(&rule).map(Self::Prometheus),
            AlarmType::Threshold => typed(&rule).map(Self::Meters),
            AlarmType::Combination => typed(&rule).map(Self::Combination),
        });
        known.unwrap_or_else(|| Self::Unknown { type_name: type_name.to_owned(), rule })
    }

    /// As stored.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Resource(rule) => object(rule),
            Self::Metrics(rule) => object(rule),
            Self::Resources(rule) => object(rule),
            Self::Event(rule) => object(rule),
            Self::Composite(rule) => rule.to_value(),
            Self::Prometheus(rule) => object(rule),
            Self::LoadBalancer(rule) => object(rule),
            Self::Meters(rule) => object(rule),
            Self::Combination(rule) => object(rule),
            Self::Unknown { rule, .. } => rule.clone(),
        }
    }

    /// The type's name.
    pub fn type_name(&self) -> &str {
        match self.alarm_type() {
            Some(kind) => kind.as_str(),
            None => match self {
                Self::Unknown { type_name, .. } => type_name,
                _ => "",
            },
        }
    }

    /// The type, where it is known.
    pub const fn alarm_type(&self) -> Option<AlarmType> {
        Some(match self {
            Self::Resource(_) => AlarmType::GnocchiResourcesThreshold,
            Self::Metrics(_) => AlarmType::GnocchiAggregationByMetricsThreshold,
            Self::Resources(_) => AlarmType::GnocchiAggregationByResourcesThreshold,
            Self::Event(_) => AlarmType::Event,
            Self::Composite(_) => AlarmType::Composite,
            Self::Prometheus(_) => AlarmType::Prometheus,
            Self::LoadBalancer(_) => AlarmType::LoadbalancerMemberHealth,
            Self::Meters(_) => AlarmType::Threshold,
            Self::Combination(_) => AlarmType::Combination,
            Self::Unknown { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stored_rules_keep_the_order_of_their_keys() {
        let text = r#"{"granularity":60,"comparison_operator":"gt","threshold":0.8,"aggregation_method":"mean","evaluation_periods":3,"metric":"cpu","resource_id":"r","resource_type":"instance"}"#;
        let rule = AlarmRule::from_stored("gnocchi_resources_threshold", serde_json::from_str(text).unwrap());
        assert_eq!(rule.alarm_type(), Some(AlarmType::GnocchiResourcesThreshold));
        assert_eq!(rule.to_value().to_string(), text);
    }

    #[test]
    fn a_composite_rule_comes_back() {
        let leaf = json!({"comparison_operator": "gt", "threshold": 1.0, "query": "up", "scope_to_project": null,
                          "type": "prometheus"});
        let rule = json!({"or": [leaf, {"and": [leaf, leaf]}]});
        assert_eq!(AlarmRule::from_stored("composite", rule.clone()).to_value(), rule);
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let rule = AlarmRule::from_stored("mystery", json!({"a": 1}));
        assert_eq!((rule.type_name(), rule.to_value()), ("mystery", json!({"a": 1})));
        let broken = AlarmRule::from_stored("event", json!({"event_type": 7}));
        assert_eq!(broken.type_name(), "event");
    }
}
