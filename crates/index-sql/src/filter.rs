//! Filters as SQL conditions.
//!
//! Comparisons with nothing are unknown, and NOT keeps unknown unknown. We push NOT down to the leaves; a leaf then
//! becomes a condition that is true where the leaf (or its negation) is known to hold and else false or unknown, which
//! AND and OR treat alike. So leaves may be searches of other tables, and these may use indexes.

mod fold;
mod keys;
mod trigrams;
mod values;

use nephometer_drivers::IndexError;
use nephometer_model::{Comparison, Filter, FilterValue, Timestamp};

use crate::columns::{Branch, Column, Kind, Place, attribute_rows};
use crate::session::{Dialect, Statement};
use crate::types::StoredType;
use crate::value::Value;
use values::{convert, convert_all, python_text};

/// More parameters than this no statement takes.
const MAX_PARAMETERS: usize = 30_000;

/// At most so many searches are put together (SQLite takes 500).
const MAX_UNION: usize = 100;

/// How conditions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// What few rows have is searched for, and indexes may be used for all.
    Search,
    /// Each looks at the one row that it is asked about, a resource with this key; no index leads to the row.
    Row(&'static str),
    /// Not a condition, but the search for the keys of all rows.
    Keys,
}

const TRUE: &str = "1 = 1";
const FALSE: &str = "1 = 0";

/// What a filter is about.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) stored: &'a StoredType,
    pub(crate) branch: Branch,
    pub(crate) history: bool,
    pub(crate) now: Timestamp,
    pub(crate) look: Look,
}

impl Scope<'_> {
    /// The condition that `filter` holds; its parameters go into `statement`.
    pub(crate) fn condition(&self, statement: &mut Statement, filter: &Filter) -> Result<String, IndexError> {
        self.compile(statement, &self.folded(filter), false)
    }

    /// The key of a resource as the row searched has it.
    fn row(&self) -> &'static str {
        if let Look::Row(row) = self.look { row } else { "r.pk" }
    }

    /// What keeps SQLite from using an index for the expression that follows.
    fn plus(&self, dialect: Dialect) -> &'static str {
        if dialect == Dialect::Sqlite && matches!(self.look, Look::Row(_)) { "+" } else { "" }
    }

    /// What ends a search of another table that PostgreSQL shall not turn into a join.
    pub(crate) fn fence(&self, dialect: Dialect) -> &'static str {
        if matches!(self.look, Look::Row(_)) { dialect.fence() } else { "" }
    }

    fn compile(
        &self,
        statement: &mut Statement,
        filter: &Filter,
        negated: bool,
    ) -> Result<String, IndexError> {
        if statement.params.len() > MAX_PARAMETERS {
            return Err(IndexError::QueryOperator("too many conditions".to_owned()));
        }
        match filter {
            Filter::All => Ok(if negated { FALSE } else { TRUE }.to_owned()),
            Filter::Not(inner) => self.compile(statement, inner, !negated),
            Filter::And(parts) => self.compile_all(statement, parts, negated, !negated),
            Filter::Or(parts) => self.compile_all(statement, parts, negated, negated),
            Filter::Compare(comparison, name, value) => {
                self.compare(statement, *comparison, name, value, negated)
            }
            Filter::In(name, values) => self.among(statement, name, values, negated),
        }
    }

    fn compile_all(
        &self,
        statement: &mut Statement,
        parts: &[Filter],
        negated: bool,
        conjunction: bool,
    ) -> Result<String, IndexError> {
        let conditions = parts.iter().map(|part| self.compile(statement, part, negated));
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        if !conjunction
            && self.branch == Branch::Current
            && self.look == Look::Search
            && (2..=MAX_UNION).contains(&conditions.len())
            && parts.iter().all(|part| self.is_selective(part, negated))
        {
            // Databases seldom use an index for each side of an OR; apart they do.
            let each =
                conditions.iter().map(|condition| format!("SELECT r.pk FROM resource r WHERE {condition}"));
            return Ok(format!("r.pk IN ({})", each.collect::<Vec<_>>().join(" UNION ALL ")));
        }
        Ok(balanced(&conditions, conjunction))
    }

    /// Whether few resources are expected to match, and an index leads to them.
    fn is_selective(&self, filter: &Filter, negated: bool) -> bool {
        let Filter::Compare(Comparison::Eq, name, value) = filter else { return false };
        if negated || *value == FilterValue::Null {
            return false;
        }
        match name.as_str() {
            "created_by_project_id" | "creator" => true,
            "created_by_user_id" | "type" => false,
            _ => self.column(name).is_ok_and(|column| {
                matches!(column.kind, Kind::Text | Kind::Id | Kind::UuidText | Kind::Number)
            }),
        }
    }

    fn column(&self, name: &str) -> Result<Column, IndexError> {
        if name == "lifespan" {
            return Ok(Column::lifespan(self.branch));
        }
        Column::of(name, self.stored, self.branch, self.history).ok_or_else(|| IndexError::NoSuchAttribute {
            resource_type: self.stored.name.clone(),
            attribute: name.to_owned(),
        })
    }

    fn compare(
        &self,
        statement: &mut Statement,
        comparison: Comparison,
        name: &str,
        value: &FilterValue,
        negated: bool,
    ) -> Result<String, IndexError> {
        if let "created_by_user_id" | "created_by_project_id" = name {
            let plus = self.plus(statement.dialect);
            return created_by(statement, plus, comparison, name, value, negated);
        }
        let column = self.column(name)?;
        if *value == FilterValue::Null {
            return Ok(match comparison {
                Comparison::Eq => self.presence(statement.dialect, &column, negated),
                Comparison::Ne => self.presence(statement.dialect, &column, !negated),
                _ => FALSE.to_owned(),
            });
        }
        let invalid = || IndexError::QueryValue { field: name.to_owned(), value: python_text(value) };
        let value = if comparison == Comparison::Like {
            like_pattern(&column, value).ok_or_else(invalid)?
        } else {
            convert(column.kind, value, self.now).ok_or_else(invalid)?
        };
        let value = operand(statement, comparison, value);
        if comparison == Comparison::Ne && !negated {
            return Ok(self.differs(statement.dialect, &column, &value));
        }
        let equality = matches!((comparison, negated), (Comparison::Eq, false) | (Comparison::Ne, true));
        let leaf = |expression: &str| compare_values(expression, comparison, &value, negated);
        Ok(self.search(statement.dialect, &column, leaf, equality))
    }

    /// The condition that the row has another value than the parameter `value`, or none.
    fn differs(&self, dialect: Dialect, column: &Column, value: &str) -> String {
        if let Place::Attribute { .. } = column.place {
            let same = self.search(dialect, column, |expression| format!("{expression} = {value}"), false);
            return format!("NOT {same}");
        }
        let other = self.search(dialect, column, |expression| format!("{expression} <> {value}"), false);
        if column.nullable {
            format!("({} OR {other})", self.presence(dialect, column, false))
        } else {
            other
        }
    }

    fn among(
        &self,
        statement: &mut Statement,
        name: &str,
        values: &[FilterValue],
        negated: bool,
    ) -> Result<String, IndexError> {
        let invalid = || {
            let list: Vec<_> = values.iter().map(values::python_repr).collect();
            IndexError::QueryValue { field: name.to_owned(), value: format!("[{}]", list.join(", ")) }
        };
        if let "created_by_user_id" | "created_by_project_id" = name {
            return Err(invalid());
        }
        let column = self.column(name)?;
        let known: Vec<_> = values.iter().filter(|value| **value != FilterValue::Null).collect();
        let has_null = known.len() < values.len();
        let list = convert_all(column.kind, &known, self.now).ok_or_else(invalid)?;
        if known.is_empty() || (negated && has_null) {
            // Among none: false for all. Among values and nothing: perhaps, so never known not to be.
            return Ok(if negated && !has_null { TRUE } else { FALSE }.to_owned());
        }
        let list = statement.param(list);
        let dialect = statement.dialect;
        Ok(self.search(dialect, &column, |expression| dialect.any_of(expression, &list, negated), !negated))
    }

    /// The condition that the row has no value (with `negated`: has one).
    fn presence(&self, dialect: Dialect, column: &Column, negated: bool) -> String {
        let expression = match &column.place {
            Place::Row(expression) => expression.as_str(),
            Place::Linked { reference, .. } => reference,
            Place::Attribute { pk, column } => {
                let (table, owner) = attribute_rows(self.branch, self.row());
                let (not, fence) = (if negated { "" } else { "NOT " }, self.fence(dialect));
                return format!(
                    "{not}EXISTS (SELECT 1 FROM {table} a WHERE {owner} AND a.attribute_pk = {pk} \
                     AND a.{column} IS NOT NULL{fence})"
                );
            }
        };
        let plus = self.plus(dialect);
        format!("{plus}{expression} IS {}NULL", if negated { "NOT " } else { "" })
    }

    /// The condition that the row has a value for which `leaf` holds. Few rows are expected where the leaf tells
    /// `selective`: then they are looked up first, else row by row.
    fn search(
        &self,
        dialect: Dialect,
        column: &Column,
        leaf: impl Fn(&str) -> String,
        selective: bool,
    ) -> String {
        let plus = self.plus(dialect);
        let condition = match &column.place {
            Place::Row(expression) => leaf(&format!("{plus}{expression}")),
            Place::Linked { reference, table, column } => {
                let leaf = leaf(&format!("x.{column}"));
                format!("{plus}{reference} IN (SELECT x.pk FROM {table} x WHERE {leaf})")
            }
            Place::Attribute { pk, column } => {
                let of_row = format!("a.{column}");
                let leaf = leaf(&of_row);
                let keys = format!(
                    "SELECT a.resource_pk FROM resource_attribute a \
                     WHERE a.attribute_pk = {pk} AND {of_row} IS NOT NULL AND {leaf}"
                );
                if self.look == Look::Keys {
                    return keys;
                }
                if selective && self.branch == Branch::Current && self.look == Look::Search {
                    return format!("r.pk IN ({keys})");
                }
                let (table, owner) = attribute_rows(self.branch, self.row());
                let fence = self.fence(dialect);
                return format!(
                    "EXISTS (SELECT 1 FROM {table} a WHERE {owner} AND a.attribute_pk = {pk} AND {leaf}{fence})"
                );
            }
        };
        if self.look == Look::Keys { keys_where(&condition) } else { condition }
    }
}

/// The search for the keys of resources of which a condition holds.
fn keys_where(condition: &str) -> String {
    format!("SELECT r.pk FROM resource r WHERE {condition}")
}

/// All or any of `parts`, nested by halves: databases limit how deep an expression may be.
pub(crate) fn balanced(parts: &[String], conjunction: bool) -> String {
    match parts {
        [] => if conjunction { TRUE } else { FALSE }.to_owned(),
        [part] => part.clone(),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            let word = if conjunction { "AND" } else { "OR" };
            format!("({} {word} {})", balanced(left, conjunction), balanced(right, conjunction))
        }
    }
}

/// The parameter for a value to compare with, as [`compare_values`] wants it. SQLite's LIKE takes longer with an escape.
fn operand(statement: &mut Statement, comparison: Comparison, value: Value) -> String {
    let has_escape =
        comparison == Comparison::Like && matches!(&value, Value::Text(text) if text.contains('\\'));
    let param = statement.param(value);
    if has_escape { format!("{param} ESCAPE '\\'") } else { param }
}

/// A comparison of two values that are there, or its negation.
fn compare_values(expression: &str, comparison: Comparison, value: &str, negated: bool) -> String {
    let operator = match (comparison, negated) {
        (Comparison::Eq, false) | (Comparison::Ne, true) => "=",
        (Comparison::Eq, true) | (Comparison::Ne, false) => "<>",
        (Comparison::Lt, false) | (Comparison::Ge, true) => "<",
        (Comparison::Le, false) | (Comparison::Gt, true) => "<=",
        (Comparison::Gt, false) | (Comparison::Le, true) => ">",
        (Comparison::Ge, false) | (Comparison::Lt, true) => ">=",
        (Comparison::Like, false) => "LIKE",
        (Comparison::Like, true) => "NOT LIKE",
    };
    format!("{expression} {operator} {value}")
}

/// A pattern for LIKE; only texts have patterns, and an escape needs something to escape.
fn like_pattern(column: &Column, value: &FilterValue) -> Option<Value> {
    let pattern = python_text(value);
    let trailing = pattern.len() - pattern.trim_end_matches('\\').len();
    let usable = matches!(column.kind, Kind::Text | Kind::UuidText) && trailing.is_multiple_of(2);
    (usable && !pattern.contains('\0')).then(|| pattern.into())
}

/// `text` as a pattern that matches just it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// The user before, or the project after, the colon of the creator; a creator without colon has neither.
fn created_by(
    statement: &mut Statement,
    plus: &str,
    comparison: Comparison,
    name: &str,
    value: &FilterValue,
    negated: bool,
) -> Result<String, IndexError> {
    let text = python_text(value);
    let invalid = || IndexError::QueryValue { field: name.to_owned(), value: text.clone() };
    let inverted = match comparison {
        Comparison::Eq | Comparison::Like => negated,
        Comparison::Ne => !negated,
        _ => return Err(invalid()),
    };
    if *value == FilterValue::Null {
        return Ok(format!("{plus}r.creator_pk IS {}NULL", if inverted { "NOT " } else { "" }));
    }
    let pattern = if comparison == Comparison::Like { text.clone() } else { escaped(&text) };
    let backslashes = pattern.len() - pattern.trim_end_matches('\\').len();
    if text.contains('\0') || (name == "created_by_project_id" && !backslashes.is_multiple_of(2)) {
        return Err(invalid());
    }
    let condition = creator_condition(statement, comparison, name, &text, &pattern, inverted);
    Ok(format!("{plus}r.creator_pk IN (SELECT x.pk FROM creator x WHERE {condition})"))
}

/// The condition on a creator `x` that its user or project is the one wanted.
fn creator_condition(
    statement: &mut Statement,
    comparison: Comparison,
    name: &str,
    text: &str,
    pattern: &str,
    inverted: bool,
) -> String {
    if name == "created_by_project_id" && comparison != Comparison::Like && !text.contains(':') {
        let value = statement.param(text);
        return if inverted {
            format!("(x.project IS NULL OR x.project <> {value})")
        } else {
            format!("x.project = {value}")
        };
    }
    let pattern = if name == "created_by_user_id" { format!("{pattern}:%") } else { format!("%:{pattern}") };
    let pattern = operand(statement, Comparison::Like, pattern.into());
    compare_values("x.text", Comparison::Like, &pattern, inverted)
}

/// The condition that the creator `x` of a metric belongs to a project, for those who may see only such.
pub(crate) fn creator_of_project(statement: &mut Statement, project: &str) -> String {
    creator_condition(statement, Comparison::Eq, "created_by_project_id", project, &escaped(project), false)
}
