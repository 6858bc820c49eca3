//! Silences: alarms whose messages are held back for a time. Filters of the store, decided in memory.

use nephometer_drivers::{AlarmFilter, AlarmValue, Silence};
use nephometer_model::{Alarm, Operator, Timestamp, python};
use regex::Regex;
use serde_json::Value;

use crate::query::{Listed, QueryError, parse_filter};

/// A filter whose regular expressions are ready.
#[derive(Debug, Clone)]
enum Test {
    All,
    Compare(Operator, String, AlarmValue),
    /// Nothing where the expression is none: nobody knows.
    Matches(String, Option<Regex>),
    In(String, Vec<AlarmValue>),
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
}

/// What a column of an alarm holds.
enum Column {
    Text(Option<String>),
    Bool(Option<bool>),
    Time(Timestamp),
}

fn column(alarm: &Alarm, name: &str) -> Option<Column> {
    let text = |text: &str| Column::Text(Some(text.to_owned()));
    let actions = |list: &Option<Vec<String>>| {
        Column::Text(list.as_ref().map(|list| python::dumps(&Value::from(list.as_slice()))))
    };
    Some(match name {
        "alarm_id" => text(&alarm.id.0),
        "type" => text(alarm.rule.type_name()),
        "enabled" => Column::Bool(alarm.enabled),
        "name" => text(&alarm.name),
        "description" => text(&alarm.description),
        "timestamp" => Column::Time(alarm.timestamp),
        "user_id" => Column::Text(alarm.user_id.clone()),
        "project_id" => Column::Text(alarm.project_id.clone()),
        "state" => text(alarm.state.as_str()),
        "state_timestamp" => Column::Time(alarm.state_timestamp),
        "state_reason" => text(&alarm.state_reason),
        "ok_actions" => actions(&alarm.ok_actions),
        "alarm_actions" => actions(&alarm.alarm_actions),
        "insufficient_data_actions" => actions(&alarm.insufficient_data_actions),
        "repeat_actions" => Column::Bool(Some(alarm.repeat_actions)),
        "rule" => text(&python::dumps(&alarm.rule.to_value())),
        "time_constraints" => {
            let list = serde_json::to_value(&alarm.time_constraints).unwrap_or_default();
            text(&python::dumps(&list))
        }
        "severity" => text(alarm.severity.as_str()),
        "evaluate_timestamp" => Column::Time(alarm.evaluate_timestamp),
        _ => return None,
    })
}

/// How a column stands to a value; nothing where nobody knows.
fn order(column: &Column, value: &AlarmValue) -> Option<std::cmp::Ordering> {
    match (column, value) {
        (Column::Text(text), AlarmValue::Text(value)) => Some(text.as_ref()?.cmp(value)),
        (Column::Text(text), AlarmValue::Number(value)) => Some(text.as_ref()?.cmp(&value.to_string())),
        (Column::Text(text), AlarmValue::Bool(value)) => Some(text.as_ref()?.cmp(&value.to_string())),
        (Column::Bool(held), AlarmValue::Bool(value)) => Some((*held)?.cmp(value)),
        (Column::Bool(held), AlarmValue::Text(value)) => {
            Some((*held)?.cmp(&value.to_ascii_lowercase().parse().ok()?))
        }
        (Column::Time(time), AlarmValue::Time(value)) => Some(time.cmp(value)),
        _ => None,
    }
}

fn holds(operator: Operator, order: std::cmp::Ordering) -> bool {
    match operator {
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Ge => order.is_ge(),
        Operator::Gt => order.is_gt(),
    }
}

impl Test {
    fn new(filter: AlarmFilter) -> Self {
        let all = |filters: Vec<AlarmFilter>| filters.into_iter().map(Self::new).collect();
        match filter {
            AlarmFilter::All => Self::All,
            AlarmFilter::Compare(operator, column, value) => Self::Compare(operator, column, value),
            AlarmFilter::Matches(column, pattern) => Self::Matches(column, Regex::new(&pattern).ok()),
            AlarmFilter::In(column, values) => Self::In(column, values),
            AlarmFilter::And(filters) => Self::And(all(filters)),
            AlarmFilter::Or(filters) => Self::Or(all(filters)),
            AlarmFilter::Not(filter) => Self::Not(Box::new(Self::new(*filter))),
        }
    }

    /// Whether the alarm passes; nothing where nobody knows, as in SQL.
    fn passes(&self, alarm: &Alarm) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::Compare(operator, name, value) => {
                order(&column(alarm, name)?, value).map(|order| holds(*operator, order))
            }
            Self::Matches(name, pattern) => match column(alarm, name)? {
                Column::Text(Some(text)) => Some(pattern.as_ref()?.is_match(&text)),
                _ => None,
            },
            Self::In(name, values) => {
                let column = column(alarm, name)?;
                any(values.iter().map(|value| order(&column, value).map(std::cmp::Ordering::is_eq)))
            }
            Self::And(tests) => {
                any(tests.iter().map(|test| test.passes(alarm).map(|passes| !passes))).map(|fails| !fails)
            }
            Self::Or(tests) => any(tests.iter().map(|test| test.passes(alarm))),
            Self::Not(test) => test.passes(alarm).map(|passes| !passes),
        }
    }
}

/// Whether one is true; nothing where none is and one is not known.
fn any(tests: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = true;
    for test in tests {
        match test {
            Some(true) => return Some(true),
            Some(false) => {}
            None => known = false,
        }
    }
    known.then_some(false)
}

/// Judges the JSON text of a silence's filter.
///
/// # Errors
/// What of it is not in the language of complex queries, a regular expression that is none included.
pub fn check_filter(text: &str) -> Result<(), QueryError> {
    fn patterns(filter: &AlarmFilter) -> Result<(), QueryError> {
        match filter {
            AlarmFilter::Matches(_, pattern) => {
                let refuse =
                    |error: regex::Error| QueryError(format!("Filter expression not valid: {error}"));
                Regex::new(pattern).map(drop).map_err(refuse)
            }
            AlarmFilter::And(filters) | AlarmFilter::Or(filters) => filters.iter().try_for_each(patterns),
            AlarmFilter::Not(filter) => patterns(filter),
            AlarmFilter::All | AlarmFilter::Compare(..) | AlarmFilter::In(..) => Ok(()),
        }
    }
    patterns(&parse_filter(Listed::Alarms, text)?.0)
}

/// A silence, understood.
#[derive(Debug, Clone)]
struct Hush {
    project_id: Option<String>,
    test: Test,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

/// All silences, understood.
#[derive(Debug, Clone, Default)]
pub struct Silences(Vec<Hush>);

impl Silences {
    /// Understands silences; one whose filter, a complex query's, cannot be read silences nothing.
    pub fn new(rows: Vec<Silence>) -> Self {
        let hush = |row: Silence| {
            let (filter, _) = parse_filter(Listed::Alarms, &row.filter).ok()?;
            let test = Test::new(filter);
            let Silence { project_id, starts_at, ends_at, .. } = row;
            Some(Hush { project_id, test, starts_at, ends_at })
        };
        Self(rows.into_iter().filter_map(hush).collect())
    }

    /// Until when messages of the alarm are held back that come up at `now`; nothing where they are not.
    pub fn until(&self, alarm: &Alarm, now: Timestamp) -> Option<Timestamp> {
        let covers = |hush: &&Hush| {
            (hush.starts_at..hush.ends_at).contains(&now)
                && hush.project_id.as_ref().is_none_or(|project| Some(project) == alarm.project_id.as_ref())
                && hush.test.passes(alarm) == Some(true)
        };
        self.0.iter().filter(covers).map(|hush| hush.ends_at).max()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::world::above_80;

    fn text(column: &str, operator: Operator, value: &str) -> AlarmFilter {
        AlarmFilter::Compare(operator, column.to_owned(), AlarmValue::Text(value.to_owned()))
    }

    fn passes(filter: AlarmFilter) -> Option<bool> {
        Test::new(filter).passes(&above_80("a", "cpu 1", 3))
    }

    #[test]
    fn filters_decide_as_sql_does() {
        use AlarmFilter::{And, Compare, In, Matches, Not, Or};
        let yes = || text("name", Operator::Eq, "name of a");
        let no = || text("alarm_id", Operator::Gt, "a");
        let unknown = || text("user_id", Operator::Ne, "x");
        let bool_is = |value| Compare(Operator::Eq, "enabled".to_owned(), AlarmValue::Bool(value));
        for (filter, expected) in [
            (AlarmFilter::All, Some(true)),
            (yes(), Some(true)),
            (no(), Some(false)),
            (unknown(), None),
            (Not(Box::new(unknown())), None),
            (And(vec![no(), unknown()]), Some(false)),
            (And(vec![yes(), unknown()]), None),
            (Or(vec![yes(), unknown()]), Some(true)),
            (Or(vec![no(), unknown()]), None),
            (bool_is(true), Some(true)),
            (bool_is(false), Some(false)),
            (text("enabled", Operator::Eq, "True"), Some(true)),
            (Matches("rule".to_owned(), "\"metric\": \"cpu \\d\"".to_owned()), Some(true)),
            (Matches("name".to_owned(), "(".to_owned()), None),
            (text("alarm_actions", Operator::Eq, r#"["log://alarm"]"#), Some(true)),
            (In("severity".to_owned(), vec![AlarmValue::Text("low".to_owned())]), Some(true)),
            (
                Compare(Operator::Lt, "timestamp".to_owned(), AlarmValue::Time(Timestamp::from_ns(1))),
                Some(true),
            ),
            (text("no_such", Operator::Eq, ""), None),
        ] {
            assert_eq!(passes(filter.clone()), expected, "{filter:?}");
        }
    }

    #[test]
    fn the_longest_silence_counts_while_it_lasts() {
        let row = |project: Option<&str>, name: &str, from: i64, to: i64| Silence {
            id: Uuid::nil(),
            project_id: project.map(str::to_owned),
            user_id: None,
            filter: json!({"=": {"name": name}}).to_string(),
            comment: String::new(),
            starts_at: Timestamp::from_ns(from),
            ends_at: Timestamp::from_ns(to),
        };
        let rows = vec![
            row(Some("p"), "name of a", 10, 20),
            row(None, "name of a", 10, 30),
            row(Some("q"), "name of a", 10, 90),
            row(None, "other", 10, 90),
            Silence { filter: "{".to_owned(), ..row(None, "name of a", 0, 90) },
        ];
        let silences = Silences::new(rows);
        let until =
            |now: i64| silences.until(&above_80("a", "m1", 1), Timestamp::from_ns(now)).map(Timestamp::ns);
        assert_eq!(
            [until(9), until(10), until(19), until(29), until(30)],
            [None, Some(30), Some(30), Some(30), None]
        );
    }
}
