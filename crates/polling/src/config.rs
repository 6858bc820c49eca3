//! polling.yaml: which meters are read how often, in upstream's format and with upstream's words for what is wrong with it.

use std::sync::Arc;
use std::time::Duration;

use nephometer_model::python;
use nephometer_pipeline::{NameKind, NamePatterns};
use serde_json::{Map, Value};

/// What is read how often.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PollingConfig {
    /// In the file's order.
    pub sources: Vec<PollingSource>,
}

/// Meters that are read at one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct PollingSource {
    /// Its name.
    pub name: Arc<str>,
    /// How often, in whole seconds.
    pub interval: Duration,
    /// What: matched with the names of pollsters.
    pub meters: NamePatterns,
    /// What they are read of, beside what is discovered.
    pub resources: Vec<Arc<str>>,
    /// How that is discovered: `name`, `name:parameter`, `name://parameter`. Where neither this nor `resources` says
    /// anything, each pollster knows how.
    pub discovery: Vec<String>,
    /// Where this is said, agents divide this source's pollsters among them rather than its resources. Upstream evaluates
    /// it as Python and calls the group by the outcome.
    pub group_expression: Option<String>,
}

/// Why a file is no polling.yaml.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PollingConfigError {
    /// It is no YAML.
    #[error("{0}")]
    Yaml(String),
    /// It says what cannot be.
    #[error("Polling {part}: {reason}")]
    Invalid {
        /// The part of it, as Python prints it.
        part: String,
        /// Why.
        reason: String,
    },
}

impl PollingConfig {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, PollingConfigError> {
        let file: Value =
            serde_saphyr::from_str(text).map_err(|error| PollingConfigError::Yaml(error.to_string()))?;
        let sources = file.get("sources").ok_or_else(|| invalid(&file, "sources required"))?;
        let sources = match sources {
            Value::Null => &Vec::new(),
            Value::Array(sources) => sources,
            _ => return Err(invalid(&file, "sources must be a list")),
        };
        Ok(Self { sources: sources.iter().map(PollingSource::read).collect::<Result<_, _>>()? })
    }
}

fn invalid(part: &Value, reason: impl Into<String>) -> PollingConfigError {
    PollingConfigError::Invalid { part: python::repr(part), reason: reason.into() }
}

impl PollingSource {
    fn read(source: &Value) -> Result<Self, PollingConfigError> {
        let wrong = |reason: &str| invalid(source, reason);
        let fields = source.as_object().ok_or_else(|| wrong("a source must be a mapping"))?;
        let name = fields.get("name").ok_or_else(|| wrong("Required field name not specified"))?;
        let meters = fields.get("meters").ok_or_else(|| wrong("Missing meters value"))?;
        let interval = fields.get("interval").ok_or_else(|| wrong("Missing interval value"))?;
        let interval = whole_seconds(interval).ok_or_else(|| wrong("Invalid interval value"))?;
        let interval = u64::try_from(interval).ok().filter(|seconds| *seconds > 0);
        let interval = interval.ok_or_else(|| wrong("Interval value should > 0"))?;
        let resources = texts(fields, "resources").ok_or_else(|| wrong("Resources should be a list"))?;
        let discovery = texts(fields, "discovery").ok_or_else(|| wrong("Discovery should be a list"))?;
        let meters = NamePatterns::from_value(meters, NameKind::Meters);
        let meters = meters.map_err(|error| wrong(&error.to_string()))?;
        let group_expression = fields.get("group_id_coordination_expression");
        Ok(Self {
            name: python::str(name).into(),
            interval: Duration::from_secs(interval),
            meters,
            resources: resources.into_iter().map(Arc::from).collect(),
            discovery,
            group_expression: group_expression.filter(|text| !text.is_null()).map(python::str),
        })
    }
}

/// Python's `int` of a value.
fn whole_seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| float.abs() < 9e18)?;
            Some(float.trunc() as i64)
        }),
        Value::String(text) => text.trim().replace('_', "").parse().ok(),
        _ => None,
    }
}

/// A list of texts, empty where the field is not given or says nothing; nothing where it is no list.
fn texts(fields: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    match fields.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => Some(Vec::new()),
        Some(Value::Array(items)) => Some(items.iter().map(python::str).collect()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(fields: &str) -> Result<PollingSource, String> {
        let parsed = PollingConfig::parse(&format!("sources: [{{{fields}}}]"));
        parsed.map(|config| config.sources[0].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_upstreams_sample() {
        let text = "---\nsources:\n    - name: some_pollsters\n      interval: 300\n      meters:\n        - cpu\n        - \
                    disk.device.read.bytes\n    - name: all\n      interval: '60'\n      meters: \"*\"\n      \
                    resources: [a, 5]\n      discovery: ['endpoint:compute']\n";
        let config = PollingConfig::parse(text).unwrap();
        assert_eq!(config.sources.len(), 2);
        let [some, all] = &config.sources[..] else { panic!() };
        assert_eq!((&*some.name, some.interval.as_secs()), ("some_pollsters", 300));
        assert!(some.meters.matches("cpu") && !some.meters.matches("memory"));
        assert_eq!((all.interval.as_secs(), all.resources.len()), (60, 2));
        assert_eq!((&*all.resources[1], all.discovery[0].as_str()), ("5", "endpoint:compute"));
        assert!(all.meters.matches("anything"));
    }

    #[test]
    fn says_what_is_wrong_in_upstreams_words() {
        for (fields, reason) in [
            ("interval: 1, meters: [a]", "Required field name not specified"),
            ("name: src, interval: 1", "Missing meters value"),
            ("name: src, meters: [a]", "Missing interval value"),
            ("name: src, interval: soon, meters: [a]", "Invalid interval value"),
            ("name: src, interval: null, meters: [a]", "Invalid interval value"),
            ("name: src, interval: 0.9, meters: [a]", "Interval value should > 0"),
            ("name: src, interval: -5, meters: [a]", "Interval value should > 0"),
            ("name: src, interval: 1, meters: [a], resources: x", "Resources should be a list"),
            ("name: src, interval: 1, meters: [a], discovery: x", "Discovery should be a list"),
            ("name: src, interval: 1, meters: []", "No meters specified"),
            ("name: src, interval: 1, meters: [a, '!b']", "Both included and excluded meters specified"),
            ("name: src, interval: 1, meters: ['*', b]", "Included meters specified with wildcard"),
        ] {
            let error = source(fields).unwrap_err();
            assert!(error.starts_with("Polling {") && error.ends_with(&format!("}}: {reason}")), "{error}");
        }
        let error = source("name: src, meters: [a]").unwrap_err();
        assert_eq!(error, "Polling {'name': 'src', 'meters': ['a']}: Missing interval value");
        let error = PollingConfig::parse("{}").unwrap_err().to_string();
        assert_eq!(error, "Polling {}: sources required");
        assert!(matches!(PollingConfig::parse("a: ["), Err(PollingConfigError::Yaml(_))));
    }

    #[test]
    fn numbers_are_taken_as_python_takes_them() {
        assert_eq!(source("name: 7, interval: 1.9, meters: [a]").unwrap().interval.as_secs(), 1);
        assert_eq!(&*source("name: 7, interval: ' 1_0 ', meters: [a]").unwrap().name, "7");
        let with =
            source("name: src, interval: 1, meters: ['!a*', '*'], group_id_coordination_expression: \"'x'\"");
        assert_eq!(with.unwrap().group_expression.as_deref(), Some("'x'"));
    }
}
