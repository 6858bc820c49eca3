//! Merging of the layers flag > environment > file > default, with every problem collected and named by its source.

use std::fmt;
use std::path::{Path, PathBuf};

use nephometer_model::closest_name;
use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, Problem};

/// Prefix of environment variables that set keys: `NEPHOMETER__SECTION__KEY`.
const ENV_PREFIX: &str = "NEPHOMETER__";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Env(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Env(name) => write!(f, "from {name}"),
            Self::Flag => f.write_str("from --set"),
        }
    }
}

/// One key as one layer gives it. Text of flags and variables is typed once the key is known.
struct Given {
    key: String,
    value: Raw,
    source: Source,
}

enum Raw {
    Typed(Value),
    Text(String),
}

/// What the operator says: a file's path and text, environment variables, `--set` arguments.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// The configuration file, already read.
    pub(crate) file: Option<(PathBuf, String)>,
    /// All environment variables; foreign ones are ignored.
    pub(crate) env: Vec<(String, String)>,
    /// `section.key=value` arguments, in order.
    pub(crate) flags: Vec<String>,
}

impl Layers {
    /// Merges the layers over the defaults. Pure: nothing is opened or resolved.
    pub(crate) fn merge(self) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let given = self.collect(&mut problems);
        let defaults = default_table();
        let known = leaf_keys(&defaults);
        let mut merged = defaults.clone();
        for Given { key, value, source } in given {
            let Some(default) = lookup(&defaults, &key) else {
                problems.push(unknown(&key, &source, &known));
                continue;
            };
            match checked(&defaults, &key, value, default) {
                Ok(value) => set(&mut merged, &key, value),
                Err(reason) => problems.push(Problem::new(format!("{key} ({source}): {reason}"))),
            }
        }
        if problems.is_empty() {
            Config::deserialize(Value::Table(merged)).map_err(|e| vec![Problem::new(e.to_string())])
        } else {
            Err(problems)
        }
    }

    /// All given keys, weakest layer first.
    fn collect(self, problems: &mut Vec<Problem>) -> Vec<Given> {
        let mut given = Vec::new();
        if let Some((path, text)) = self.file {
            match text.parse::<Table>() {
                Ok(table) => from_file(&table, &path, &mut given, problems),
                Err(e) => problems.push(Problem::new(unreadable(&path, &text, &e))),
            }
        }
        let mut env: Vec<_> = self.env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        env.sort();
        for (name, text) in env {
            let key = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
            given.push(Given { key, value: Raw::Text(text), source: Source::Env(name) });
        }
        for flag in self.flags {
            match flag.split_once('=') {
                Some((key, text)) => given.push(Given {
                    key: key.trim().to_owned(),
                    value: Raw::Text(text.to_owned()),
                    source: Source::Flag,
                }),
                None => problems
                    .push(Problem::new(format!("--set {}: expected section.key=value", name_in(&flag)))),
            }
        }
        given
    }
}

/// The beginning of `flag` that can be a key: the rest may be a secret.
fn name_in(flag: &str) -> &str {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    &flag[..flag.find(|c| !is_name(c)).unwrap_or(flag.len())]
}

/// Where a file is no TOML, and why. The line itself is not repeated: it may hold a secret.
fn unreadable(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line =
        before.map_or_else(String::new, |before| format!("line {}: ", before.matches('\n').count() + 1));
    format!("{}: {line}{}", path.display(), error.message().trim().replace('\n', " "))
}

/// The defaults as a tree that has every key.
pub(super) fn default_table() -> Table {
    Table::try_from(Config::default()).expect("the defaults are plain data")
}

/// Every `section.key`.
pub(super) fn leaf_keys(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    walk(table, "", &mut |key, _| keys.push(key));
    keys
}

fn walk(table: &Table, prefix: &str, visit: &mut impl FnMut(String, &Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => walk(inner, &key, visit),
            value => visit(key, value),
        }
    }
}

fn from_file(table: &Table, path: &Path, given: &mut Vec<Given>, problems: &mut Vec<Problem>) {
    let defaults = default_table();
    for (section, value) in table {
        match (value, defaults.get(section)) {
            (Value::Table(_), _) | (_, None) => {}
            _ => problems.push(Problem::new(format!(
                "{section} (in {}): is a section, write [{section}]",
                path.display()
            ))),
        }
    }
    walk(table, "", &mut |key, value| {
        if !matches!(defaults.get(&key), Some(Value::Table(_))) {
            let source = Source::File(path.to_owned());
            given.push(Given { key, value: Raw::Typed(value.clone()), source });
        }
    });
}

/// The value under a dotted key, where that is a leaf.
fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut names = key.split('.');
    let mut value = table.get(names.next()?)?;
    for name in names {
        value = value.as_table()?.get(name)?;
    }
    (!value.is_table()).then_some(value)
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                set(inner, rest, value);
            }
        }
    }
}

fn unknown(key: &str, source: &Source, known: &[String]) -> Problem {
    let last = key.rsplit('.').next().unwrap_or(key);
    let elsewhere = || known.iter().map(String::as_str).find(|k| k.rsplit('.').next() == Some(last));
    let hint = closest_name(key, known.iter().map(String::as_str)).or_else(elsewhere);
    let hint = hint.map_or_else(String::new, |name| format!("; did you mean {name}?"));
    Problem::new(format!("{key} ({source}): no such key{hint}"))
}

/// The value as the default's type, accepted by its section on its own.
fn checked(defaults: &Table, key: &str, raw: Raw, default: &Value) -> Result<Value, String> {
    let value = match raw {
        Raw::Typed(value) => value,
        Raw::Text(text) => typed(&text, default)?,
    };
    let mut probe = defaults.clone();
    set(&mut probe, key, value.clone());
    match Config::deserialize(Value::Table(probe)) {
        Ok(_) => Ok(value),
        Err(e) => Err(e.message().trim().replace('\n', " ")),
    }
}

/// What `text` means where `default` stands: text as it is, lists as TOML or separated by commas, else TOML.
fn typed(text: &str, default: &Value) -> Result<Value, String> {
    let parsed = || format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    match default {
        Value::String(_) => Ok(Value::String(text.to_owned())),
        Value::Array(_) => Ok(parsed().filter(Value::is_array).unwrap_or_else(|| {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        })),
        _ => parsed().ok_or_else(|| format!("expected {}, found `{text}`", default.type_str())),
    }
}
