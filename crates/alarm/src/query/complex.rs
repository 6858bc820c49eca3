//! Complex queries: a tree of conditions and an order, both as JSON text.

use nephometer_drivers::{AlarmFilter, AlarmValue, Direction, Page, Sort};
use nephometer_model::time::parse_timestamp;
use nephometer_model::{Operator, Timestamp, python};
use serde_json::{Map, Value};

use super::{Listed, QueryError, boolean, is_boolean};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// A complex query, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ComplexQuery {
    /// Which rows.
    pub filter: AlarmFilter,
    /// The order, and how many.
    pub page: Page,
    /// What it compares the column with that says who may see a row: values, or lists of them.
    pub projects: Vec<Value>,
}

/// Understands the body of a complex query.
///
/// # Errors
/// What of it is not in the language.
pub fn parse_complex(listed: Listed, body: &Value) -> Result<ComplexQuery, QueryError> {
    let Value::Object(body) = body else {
        return Err(QueryError::invalid("body", &python::str(body), "Expected an object."));
    };
    let known = ["filter", "orderby", "limit"];
    let mut unknown: Vec<_> = body.keys().map(String::as_str).filter(|key| !known.contains(key)).collect();
    if !unknown.is_empty() {
        unknown.sort_unstable();
        let plural = if unknown.len() > 1 { "s" } else { "" };
        return Err(QueryError(format!(
            "Unknown attribute{plural} for argument body: {}",
            unknown.join(", ")
        )));
    }
    let (filter, projects) = match text(body, "filter")? {
        None => (AlarmFilter::All, Vec::new()),
        Some(text) => parse_filter(listed, text)?,
    };
    let sorts = match text(body, "orderby")? {
        None => Vec::new(),
        Some(text) => orderby(listed, text)?,
    };
    let page = Page { limit: limit(body.get("limit"))?, marker: None, sorts };
    Ok(ComplexQuery { filter, page, projects })
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, QueryError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let reason = "Wrong type. Expected '<class 'str'>'";
            Err(QueryError::invalid(key, &python::str(other), reason))
        }
    }
}

fn limit(value: Option<&Value>) -> Result<Option<u64>, QueryError> {
    let number = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    let shown = || value.map(python::str).unwrap_or_default();
    let number = number.ok_or_else(|| {
        let reason = format!("invalid literal for int() with base 10: '{}'", shown());
        QueryError::invalid("limit", &shown(), &reason)
    })?;
    match u64::try_from(number) {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(QueryError("Limit should be positive".to_owned())),
    }
}

/// Understands the JSON text of a filter; and what it compares the column with that says who may see a row.
///
/// # Errors
/// What of it is not in the language.
pub fn parse_filter(listed: Listed, text: &str) -> Result<(AlarmFilter, Vec<Value>), QueryError> {
    let refuse = |reason: String| QueryError(format!("Filter expression not valid: {reason}"));
    let tree: Value = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
    let mut parser = Parser { listed, projects: Vec::new() };
    let filter = parser.node(&tree, 0).map_err(|problem| match problem {
        Problem::Grammar(reason) => refuse(reason),
        Problem::Value(reason) => QueryError(reason),
    })?;
    Ok((filter, parser.projects))
}

/// What is wrong with a filter.
enum Problem {
    /// It is not in the language.
    Grammar(String),
    /// A value is not what its column holds; the text is the whole refusal.
    Value(String),
}

struct Parser {
    listed: Listed,
    projects: Vec<Value>,
}

/// The only entry of an object.
fn single(value: &Value) -> Result<(&String, &Value), Problem> {
    let map = value.as_object().filter(|map| map.len() == 1);
    map.and_then(|map| map.iter().next())
        .ok_or_else(|| Problem::Grammar(format!("{} is not an object of one key", python::repr(value))))
}

impl Parser {
    fn node(&mut self, value: &Value, depth: usize) -> Result<AlarmFilter, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Grammar(format!("nested deeper than {MAX_DEPTH}")));
        }
        let (word, operand) = single(value)?;
        let word = word.to_ascii_lowercase();
        let operator = match word.as_str() {
            "and" => return Ok(AlarmFilter::And(self.nodes(operand, depth)?)),
            "or" => return Ok(AlarmFilter::Or(self.nodes(operand, depth)?)),
            "not" => return Ok(AlarmFilter::Not(Box::new(self.node(operand, depth + 1)?))),
            "in" => return self.among(operand),
            "=~" => return self.matches(operand),
            "=" => Operator::Eq,
            "!=" => Operator::Ne,
            "<" => Operator::Lt,
            ">" => Operator::Gt,
            "<=" | "=<" => Operator::Le,
            ">=" | "=>" => Operator::Ge,
            _ => return Err(Problem::Grammar(format!("{} is no operator", python::repr_str(&word)))),
        };
        let (column, value) = self.leaf(operand)?;
        Ok(AlarmFilter::Compare(operator, column.to_owned(), convert(column, value)?))
    }

    fn nodes(&mut self, value: &Value, depth: usize) -> Result<Vec<AlarmFilter>, Problem> {
        let list = value.as_array().filter(|list| list.len() >= 2);
        let list = list
            .ok_or_else(|| Problem::Grammar(format!("{} is no list of two or more", python::repr(value))))?;
        list.iter().map(|one| self.node(one, depth + 1)).collect()
    }

    /// Column and value of a leaf.
    fn leaf<'v>(&mut self, operand: &'v Value) -> Result<(&'static str, &'v Value), Problem> {
        let (name, value) = single(operand)?;
        let column = match name.as_str() {
            "user" => "user_id",
            "project" => "project_id",
            name => name,
        };
        let known = self.listed.columns().iter().copied().find(|known| *known == column);
        let column =
            known.ok_or_else(|| Problem::Grammar(format!("{} is no field", python::repr_str(name))))?;
        if column == self.listed.visibility() {
            self.projects.push(value.clone());
        }
        Ok((column, value))
    }

    fn among(&mut self, operand: &Value) -> Result<AlarmFilter, Problem> {
        let (column, value) = self.leaf(operand)?;
        let list = value
            .as_array()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| Problem::Grammar(format!("{} is no list of one or more", python::repr(value))))?;
        if is_time(column) {
            return Err(Problem::Value(format!(
                "Failed to parse the timestamp value {}",
                python::str(value)
            )));
        }
        let plain = |value: &&Value| !matches!(value, Value::String(_) | Value::Number(_));
        if let Some(other) = list.iter().find(plain) {
            let reason = format!("{} is neither text nor number", python::repr(other));
            return Err(Problem::Grammar(reason));
        }
        let values = list.iter().map(|value| convert(column, value)).collect::<Result<_, _>>()?;
        Ok(AlarmFilter::In(column.to_owned(), values))
    }

    fn matches(&mut self, operand: &Value) -> Result<AlarmFilter, Problem> {
        let (column, value) = self.leaf(operand)?;
        let pattern = match value {
            value if is_json(column) => python::dumps(value),
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => python::str(value),
            other => return Err(Problem::Grammar(format!("{} is no value", python::repr(other)))),
        };
        Ok(AlarmFilter::Matches(column.to_owned(), pattern))
    }
}

fn is_time(column: &str) -> bool {
    matches!(column, "timestamp" | "state_timestamp" | "evaluate_timestamp")
}

/// Whether a column holds JSON text.
fn is_json(column: &str) -> bool {
    let lists = ["ok_actions", "alarm_actions", "insufficient_data_actions", "rule", "time_constraints"];
    lists.contains(&column)
}

/// A value as its column is compared with it.
fn convert(column: &str, value: &Value) -> Result<AlarmValue, Problem> {
    if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
        return Err(Problem::Grammar(format!("{} is no value", python::repr(value))));
    }
    if is_time(column) {
        let text = python::str(value);
        let time = text.contains('-').then(|| parse_timestamp(&text, Timestamp::default()).ok()).flatten();
        let refuse = || Problem::Value(format!("Failed to parse the timestamp value {text}"));
        return time.map(AlarmValue::Time).ok_or_else(refuse);
    }
    if is_boolean(column)
        && let Some(truth) = boolean(&python::str(value))
    {
        return Ok(AlarmValue::Bool(truth));
    }
    if is_json(column) {
        return Ok(AlarmValue::Text(python::dumps(value)));
    }
    Ok(match value {
        Value::Bool(truth) => AlarmValue::Bool(*truth),
        Value::Number(number) => AlarmValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        other => AlarmValue::Text(python::str(other)),
    })
}

fn orderby(listed: Listed, text: &str) -> Result<Vec<Sort>, QueryError> {
    let refuse = |reason: String| QueryError(format!("Order-by expression not valid: {reason}"));
    let list: Value = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
    let list = list.as_array().ok_or_else(|| refuse(format!("{} is no list", python::repr(&list))))?;
    list.iter()
        .map(|one| {
            let (name, direction) = single(one).map_err(|problem| match problem {
                Problem::Grammar(reason) | Problem::Value(reason) => refuse(reason),
            })?;
            let key = match name.as_str() {
                "user" => "user_id",
                "project" => "project_id",
                name => name,
            };
            if !listed.columns().contains(&key) {
                return Err(refuse(format!("{} is no field", python::repr_str(name))));
            }
            let direction = match direction.as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("asc") => Direction::Ascending,
                Some("desc") => Direction::Descending,
                _ => return Err(refuse(format!("{} is neither asc nor desc", python::repr(direction)))),
            };
            Ok(Sort { key: key.to_owned(), direction, nulls: None })
        })
        .collect()
}
