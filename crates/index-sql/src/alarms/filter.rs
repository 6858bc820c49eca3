//! Conditions over the columns of a table, as SQL and, where regular expressions are among them, also decided here: the
//! databases' own expressions differ from each other and from ours. SQL then finds no row too few.

use std::cmp::Ordering;

use nephometer_drivers::{AlarmFilter, AlarmStoreError, AlarmValue};
use nephometer_model::Operator;
use regex::Regex;

use super::columns::{Column, Kind, Table};
use crate::filter::balanced;
use crate::session::Statement;
use crate::value::Value;

/// More conditions than this nobody writes; databases do not take many more.
const MAX_CONDITIONS: usize = 10_000;

/// A condition; columns are places in a row.
#[derive(Debug)]
pub(super) enum Condition {
    Compare { column: usize, operator: Operator, value: Value },
    In { column: usize, texts: Vec<String> },
    Matches { column: usize, pattern: Regex },
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
}

/// Which rows SQL has to find where it cannot decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Those for which the condition may hold.
    Holding,
    /// Those for which it may be known not to hold.
    Failing,
}

fn query(text: String) -> AlarmStoreError {
    AlarmStoreError::Query(text)
}

/// A filter whose columns, values and expressions make sense.
pub(super) fn compile(table: &Table, filter: &AlarmFilter) -> Result<Condition, AlarmStoreError> {
    let mut left = MAX_CONDITIONS;
    compile_part(table, filter, &mut left)
}

fn compile_part(table: &Table, filter: &AlarmFilter, left: &mut usize) -> Result<Condition, AlarmStoreError> {
    *left = left.checked_sub(1).ok_or_else(|| query("the filter has too many conditions".to_owned()))?;
    let mut parts = |parts: &[AlarmFilter]| {
        parts.iter().map(|part| compile_part(table, part, left)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match filter {
        AlarmFilter::All => Condition::And(Vec::new()),
        AlarmFilter::And(filters) => Condition::And(parts(filters)?),
        AlarmFilter::Or(filters) => Condition::Or(parts(filters)?),
        AlarmFilter::Not(inner) => Condition::Not(Box::new(compile_part(table, inner, left)?)),
        AlarmFilter::Compare(operator, name, value) => {
            let (column, found) = find(table, name)?;
            Condition::Compare { column, operator: *operator, value: operand(found, value)? }
        }
        AlarmFilter::In(name, values) => among(table, name, values)?,
        AlarmFilter::Matches(name, pattern) => {
            let (column, found) = find(table, name)?;
            if !is_text(found.kind) {
                return Err(query(format!("{name} is no text that an expression could match")));
            }
            let pattern = Regex::new(pattern)
                .map_err(|error| query(format!("Invalid regular expression {pattern:?}: {error}")))?;
            Condition::Matches { column, pattern }
        }
    })
}

fn among(table: &Table, name: &str, values: &[AlarmValue]) -> Result<Condition, AlarmStoreError> {
    let (column, found) = find(table, name)?;
    let operands = values.iter().map(|value| operand(found, value)).collect::<Result<Vec<_>, _>>()?;
    let equals = |value: Value| match value {
        Value::Text(text) => Ok(text),
        value => Err(Condition::Compare { column, operator: Operator::Eq, value }),
    };
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for value in operands {
        match equals(value) {
            Ok(text) => texts.push(text),
            Err(condition) => others.push(condition),
        }
    }
    Ok(if others.is_empty() { Condition::In { column, texts } } else { Condition::Or(others) })
}

fn find(table: &Table, name: &str) -> Result<(usize, &'static Column), AlarmStoreError> {
    table.column(name).ok_or_else(|| query(format!("There is no column {name:?}")))
}

fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Severity)
}

/// What a column is compared with.
fn operand(column: &Column, value: &AlarmValue) -> Result<Value, AlarmStoreError> {
    let unfit = |text: &dyn std::fmt::Display| query(format!("Invalid value {text} for {}", column.name));
    match (column.kind, value) {
        (Kind::Text | Kind::Severity, AlarmValue::Text(text)) if text.contains('\0') => {
            Err(unfit(&"with NUL"))
        }
        (Kind::Text | Kind::Severity, AlarmValue::Text(text)) => Ok(text.into()),
        (_, AlarmValue::Number(number)) if !number.is_finite() => Err(unfit(number)),
        (Kind::Text | Kind::Severity, AlarmValue::Number(number)) => Ok(number.to_string().into()),
        (Kind::Text | Kind::Severity, AlarmValue::Bool(value)) => Ok(value.to_string().into()),
        (Kind::Bool, AlarmValue::Bool(value)) => Ok(i64::from(*value).into()),
        (Kind::Bool, AlarmValue::Number(number)) => Ok((*number).into()),
        (Kind::Bool, AlarmValue::Text(text)) if text.eq_ignore_ascii_case("true") => Ok(1.into()),
        (Kind::Bool, AlarmValue::Text(text)) if text.eq_ignore_ascii_case("false") => Ok(0.into()),
        (Kind::Time, AlarmValue::Time(time)) => Ok(time.micros().into()),
        (_, AlarmValue::Text(text)) => Err(unfit(&format!("{text:?}"))),
        (_, AlarmValue::Number(number)) => Err(unfit(number)),
        (_, AlarmValue::Bool(value)) => Err(unfit(value)),
        (_, AlarmValue::Time(time)) => Err(unfit(&time.isoformat())),
    }
}

const fn sql_operator(operator: Operator) -> &'static str {
    match operator {
        Operator::Lt => "<",
        Operator::Le => "<=",
        Operator::Eq => "=",
        Operator::Ne => "<>",
        Operator::Ge => ">=",
        Operator::Gt => ">",
    }
}

impl Condition {
    /// Whether the program has to decide, too.
    pub(super) fn has_patterns(&self) -> bool {
        match self {
            Self::Compare { .. } | Self::In { .. } => false,
            Self::Matches { .. } => true,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::has_patterns),
            Self::Not(inner) => inner.has_patterns(),
        }
    }

    /// SQL over rows of `a` that holds for all rows for which the condition holds, and for no others where it has no
    /// patterns.
    pub(super) fn sql(&self, table: &Table, statement: &mut Statement) -> String {
        self.sql_for(table, statement, Wanted::Holding)
    }

    fn sql_for(&self, table: &Table, statement: &mut Statement, wanted: Wanted) -> String {
        let name = |column: usize| format!("a.{}", table.columns[column].name);
        let mut parts = |parts: &[Self]| {
            parts.iter().map(|part| part.sql_for(table, statement, wanted)).collect::<Vec<_>>()
        };
        match self {
            Self::And(all) => balanced(&parts(all), true),
            Self::Or(any) => balanced(&parts(any), false),
            Self::Not(inner) => {
                let wanted = if wanted == Wanted::Holding { Wanted::Failing } else { Wanted::Holding };
                format!("NOT ({})", inner.sql_for(table, statement, wanted))
            }
            Self::Compare { column, operator, value } => {
                let param = statement.param(value.clone());
                format!("{} {} {param}", name(*column), sql_operator(*operator))
            }
            // Unknown where there is no value, else false.
            Self::In { column, texts } if texts.is_empty() => format!("{0} <> {0}", name(*column)),
            Self::In { column, texts } => {
                let param = statement.param(Value::Texts(texts.clone()));
                statement.dialect.any_of(&name(*column), &param, false)
            }
            Self::Matches { column, .. } if wanted == Wanted::Holding => {
                format!("{} IS NOT NULL", name(*column))
            }
            Self::Matches { column, .. } => format!("{0} <> {0}", name(*column)),
        }
    }

    /// Whether the condition holds for a row; nothing where that is unknown.
    pub(super) fn holds(&self, cells: &[Value]) -> Option<bool> {
        match self {
            Self::Compare { column, operator, value } => {
                let ordering = compare(cells.get(*column)?, value)?;
                Some(match operator {
                    Operator::Lt => ordering.is_lt(),
                    Operator::Le => ordering.is_le(),
                    Operator::Eq => ordering.is_eq(),
                    Operator::Ne => ordering.is_ne(),
                    Operator::Ge => ordering.is_ge(),
                    Operator::Gt => ordering.is_gt(),
                })
            }
            Self::In { column, texts } => match cells.get(*column)? {
                Value::Text(cell) => Some(texts.contains(cell)),
                cell => (*cell != Value::Null).then_some(false),
            },
            Self::Matches { column, pattern } => match cells.get(*column)? {
                Value::Text(cell) => Some(pattern.is_match(cell)),
                _ => None,
            },
            Self::And(parts) => combined(parts, cells, false),
            Self::Or(parts) => combined(parts, cells, true),
            Self::Not(inner) => inner.holds(cells).map(|holds| !holds),
        }
    }
}

/// What follows from all parts, where one that is `decisive` decides.
fn combined(parts: &[Condition], cells: &[Value], decisive: bool) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for part in parts {
        match part.holds(cells) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

fn compare(cell: &Value, value: &Value) -> Option<Ordering> {
    match (cell, value) {
        (Value::Text(cell), Value::Text(value)) => Some(cell.cmp(value)),
        (Value::Int(cell), Value::Int(value)) => Some(cell.cmp(value)),
        (Value::Int(cell), Value::Real(value)) => (*cell as f64).partial_cmp(value),
        _ => None,
    }
}
