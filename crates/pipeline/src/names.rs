//! Patterns of names, as polling.yaml and pipeline.yaml list them: globs that include, and globs behind `!` that exclude.

use nephometer_model::glob_match;
use serde_json::Value;

/// What a list of patterns chooses among. Messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// Names of meters, or of pollsters in polling.yaml.
    Meters,
    /// Types of events.
    Events,
}

impl NameKind {
    /// The key under which files list the patterns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meters => "meters",
            Self::Events => "events",
        }
    }
}

/// Why a list of patterns is refused. The texts are upstream's, as far as upstream refuses it with one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamePatternsError {
    /// There is none.
    #[error("No {0} specified")]
    Empty(&'static str),
    /// Names that are to be taken and names that are not, without a `*` that both stand beside.
    #[error("Both included and excluded {0} specified")]
    Mixed(&'static str),
    /// `*` and names beside it that it takes anyway.
    #[error("Included {0} specified with wildcard")]
    Wildcard(&'static str),
    /// An entry is no text, or an empty one.
    #[error("{kind} should be a list of names, not {value}")]
    NotNames {
        /// The key.
        kind: &'static str,
        /// What was there, as JSON.
        value: String,
    },
}

/// A checked list of patterns. Globs are case-sensitive and cover the whole name: `*`, `?`, `[seq]`, `[!seq]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePatterns {
    included: Vec<Box<str>>,
    excluded: Vec<Box<str>>,
}

impl NamePatterns {
    /// Reads what a file says under the key of `kind`: a list of texts. A single text counts as a list of one (upstream
    /// takes it letter by letter, which only `*` survives).
    pub fn from_value(value: &Value, kind: NameKind) -> Result<Self, NamePatternsError> {
        let wrong =
            |value: &Value| NamePatternsError::NotNames { kind: kind.as_str(), value: value.to_string() };
        match value {
            Value::Null => Err(NamePatternsError::Empty(kind.as_str())),
            Value::String(text) if text.is_empty() => Err(NamePatternsError::Empty(kind.as_str())),
            Value::String(text) => Self::new(&[text], kind),
            Value::Array(items) => {
                let texts: Result<Vec<&str>, _> =
                    items.iter().map(|item| item.as_str().ok_or_else(|| wrong(item))).collect();
                Self::new(&texts?, kind)
            }
            other => Err(wrong(other)),
        }
    }

    /// Checks `patterns` in upstream's order. What a pattern is, its first letter alone tells: `!` excludes, `*` does not
    /// count as an included name, anything else does (`disk.*` too).
    pub fn new<T: AsRef<str>>(patterns: &[T], kind: NameKind) -> Result<Self, NamePatternsError> {
        let what = kind.as_str();
        if patterns.is_empty() {
            return Err(NamePatternsError::Empty(what));
        }
        let texts: Vec<&str> = patterns.iter().map(AsRef::as_ref).collect();
        if texts.contains(&"") {
            return Err(NamePatternsError::NotNames { kind: what, value: "\"\"".to_owned() });
        }
        let names = texts.iter().any(|text| !text.starts_with(['!', '*']));
        let exclusions = texts.iter().any(|text| text.starts_with('!'));
        if names && exclusions {
            return Err(NamePatternsError::Mixed(what));
        }
        if names && texts.contains(&"*") {
            return Err(NamePatternsError::Wildcard(what));
        }
        let (excluded, included): (Vec<&str>, Vec<&str>) =
            texts.into_iter().partition(|text| text.starts_with('!'));
        Ok(Self {
            included: included.into_iter().map(Box::from).collect(),
            excluded: excluded.into_iter().map(|text| Box::from(&text[1..])).collect(),
        })
    }

    /// Whether an exclusion matches `name`.
    pub fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether `name` is chosen: no exclusion matches it, and an inclusion does or there is none.
    pub fn matches(&self, name: &str) -> bool {
        let is_included = || self.included.iter().any(|pattern| matches(pattern, name));
        !self.excludes(name) && (self.included.is_empty() || is_included())
    }
}

/// [`glob_match`], without its buffers for the patterns that most files consist of.
fn matches(pattern: &str, name: &str) -> bool {
    pattern == "*"
        || if pattern.contains(['*', '?', '[']) { glob_match(pattern, name) } else { pattern == name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<NamePatterns, String> {
        NamePatterns::from_value(value, NameKind::Meters).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_refused_in_upstreams_words() {
        for (value, message) in [
            (json!([]), "No meters specified"),
            (json!(null), "No meters specified"),
            (json!(["cpu", "!disk.*"]), "Both included and excluded meters specified"),
            (json!(["cpu", "!disk.*", "*"]), "Both included and excluded meters specified"),
            (json!(["*", "disk.*"]), "Included meters specified with wildcard"),
            (json!(["cpu", 7]), "meters should be a list of names, not 7"),
            (json!({"cpu": 1}), "meters should be a list of names, not {\"cpu\":1}"),
            (json!(["cpu", ""]), "meters should be a list of names, not \"\""),
        ] {
            assert_eq!(read(&value).unwrap_err(), message, "{value}");
        }
        let events = NamePatterns::from_value(&json!(["a", "!b"]), NameKind::Events).unwrap_err();
        assert_eq!(events.to_string(), "Both included and excluded events specified");
    }

    #[test]
    fn exclusions_come_first() {
        for (list, chosen, left) in [
            (json!(["*"]), vec!["cpu", ""], vec![]),
            (json!("*"), vec!["cpu"], vec![]),
            (json!(["cpu", "disk.*"]), vec!["cpu", "disk.read"], vec!["cpu_util", "xdisk.read", "CPU"]),
            (json!(["!disk.*", "!cpu"]), vec!["memory", "cpu_util"], vec!["disk.x", "cpu"]),
            (json!(["*", "!cpu"]), vec!["memory"], vec!["cpu"]),
            (json!(["*foo", "!xfoo"]), vec!["afoo"], vec!["xfoo", "bar"]),
            (json!(["!*"]), vec![], vec!["cpu"]),
            (json!(["disk.[rw]*", "n?"]), vec!["disk.read", "nx"], vec!["disk.x", "n"]),
        ] {
            let patterns = read(&list).unwrap();
            for (names, expected) in [(chosen, true), (left, false)] {
                for name in names {
                    assert_eq!(patterns.matches(name), expected, "{list} {name}");
                }
            }
        }
    }
}
