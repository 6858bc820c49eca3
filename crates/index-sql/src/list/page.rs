//! The rows of one page, as statements.

use nephometer_model::parse_python_uuid;
use uuid::Uuid;

use super::Listing;
use super::plan::{Plan, Way, keys_value};
use crate::Failure;
use crate::attributes::without_value;
use crate::columns::Branch;
use crate::filter::Look;
use crate::resources::{SELECTED, selected};
use crate::session::{Dialect, Session, Statement};
use crate::sort;
use crate::value::{Row, Value};

/// Which rows of a list. Those with and without a value of the first sort key are walked through apart: then an index
/// leads to the place where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// Rows that have the value.
    Valued,
    /// Rows that have none; sorted by the other keys.
    Empty,
}

/// Where a page begins.
struct Marker {
    id: Uuid,
    revision: i64,
}

/// Where the rows of a statement come from.
struct Source {
    /// The key of a resource.
    row: &'static str,
    /// Conditions that are part of it.
    conditions: Vec<String>,
    /// The attribute's column of which values, or rows without one, with their resources' ids are walked through.
    values: Option<&'static str>,
}

impl Listing<'_> {
    /// The rows of the page that begins after the row with the values `marker`: of revisions all of
    /// [`SELECTED`], of resources their keys.
    pub(super) async fn fetch(
        &self,
        session: &mut dyn Session,
        plan: &Plan,
        marker: Option<Vec<Value>>,
    ) -> Result<Vec<Row>, Failure> {
        if plan.keys.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let limit = self.query.page.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let (Way::Walk, Some(limit), Some(key)) =
            (plan.way, limit, self.keys.first().filter(|key| key.nullable))
        else {
            return self.fetch_part(session, plan, Part::Whole, marker, limit).await;
        };
        let mut parts = [Part::Valued, Part::Empty];
        if key.nulls_first {
            parts.reverse();
        }
        let begin = match &marker {
            Some(values) if values.first() == Some(&Value::Null) => Part::Empty,
            Some(_) => Part::Valued,
            None => parts[0],
        };
        let mut marker = marker;
        let mut rows: Vec<Row> = Vec::new();
        for part in parts.into_iter().skip_while(|part| *part != begin) {
            let left = limit.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
            if left <= 0 && !rows.is_empty() {
                break;
            }
            rows.extend(self.fetch_part(session, plan, part, marker.take(), Some(left)).await?);
        }
        Ok(rows)
    }

    async fn fetch_part(
        &self,
        session: &mut dyn Session,
        plan: &Plan,
        part: Part,
        mut marker: Option<Vec<Value>>,
        limit: Option<i64>,
    ) -> Result<Vec<Row>, Failure> {
        let mut keys = self.keys.clone();
        match part {
            Part::Whole => {}
            Part::Valued => keys[0].nullable = false,
            Part::Empty => {
                keys.remove(0);
                if let Some(values) = &mut marker {
                    values.remove(0);
                }
            }
        }
        let mut statement = Statement::new(session.dialect());
        let mut rows = self.branch(&mut statement, Branch::Current, plan, part)?;
        if self.query.history {
            let past = self.branch(&mut statement, Branch::Past, plan, part)?;
            rows = format!("{rows} UNION ALL {past}");
        }
        let wanted = if self.query.history { SELECTED } else { "u.pk" };
        statement.push(&format!("SELECT {wanted} FROM ({rows}) u"));
        if let Some(values) = marker {
            let after = sort::after(&mut statement, &keys, values);
            statement.push(&format!(" WHERE {after}"));
        }
        statement.push(&sort::order_by(&keys));
        if let Some(limit) = limit {
            let limit = statement.param(limit);
            statement.push(&format!(" LIMIT {limit}"));
        }
        session.query_once(&statement.text, &statement.params).await
    }

    /// The rows of a branch that match.
    fn branch(
        &self,
        statement: &mut Statement,
        branch: Branch,
        plan: &Plan,
        part: Part,
    ) -> Result<String, Failure> {
        let Source { row, mut conditions, values } = self.source(branch, part);
        let dialect = statement.dialect;
        if !self.stored.is_generic() && values.is_none() {
            let type_pk = statement.param(self.stored.pk);
            // The plus keeps SQLite from using an index of the column.
            let plus = if self.follows_order { "+" } else { "" };
            conditions.push(format!("{plus}r.type_pk = {type_pk}"));
        }
        if let Some(keys) = &plan.keys {
            let keys = statement.param(keys_value(keys));
            let key = if plan.way == Way::Walk { dialect.unindexed(row) } else { row.to_owned() };
            conditions.push(dialect.any_of(&key, &keys, false));
        }
        let look = if plan.way == Way::Free { Look::Search } else { Look::Row(row) };
        conditions.push(self.scope(branch, look).condition(statement, &plan.tests)?);
        let skip = usize::from(part == Part::Empty);
        let mut columns = if self.query.history { selected(branch) } else { format!("{row} AS pk") };
        for (number, sort) in self.sorts.iter().skip(skip).enumerate() {
            let value = match (values, sort.key.as_str()) {
                (Some(column), _) if number + skip == 0 => format!("s.{column}"),
                (Some(_), "id") => "s.id".to_owned(),
                _ => self
                    .column(sort, branch)
                    .ok_or_else(|| sort::invalid_key(&sort.key))?
                    .expression(branch, row),
            };
            columns.push_str(&format!(", {value} AS s{number}"));
        }
        let conditions = conditions.join(" AND ");
        let tables = match (branch, values) {
            (Branch::Past, _) => "resource_history h JOIN resource r ON r.pk = h.resource_pk".to_owned(),
            (Branch::Current, None) => "resource r".to_owned(),
            (Branch::Current, Some(_)) => values_first(dialect, &[&columns, &conditions]),
        };
        Ok(format!("SELECT {columns} FROM {tables} WHERE {conditions}"))
    }

    fn source(&self, branch: Branch, part: Part) -> Source {
        if let (Part::Valued | Part::Empty, Some((pk, column))) = (part, self.first_attribute()) {
            let value = match part {
                Part::Empty => without_value("s"),
                _ => format!("s.{column} IS NOT NULL"),
            };
            let conditions = vec![format!("s.attribute_pk = {pk}"), value];
            return Source { row: "s.resource_pk", conditions, values: Some(column) };
        }
        let mut conditions = Vec::new();
        if part != Part::Whole {
            let not = if part == Part::Empty { "" } else { "NOT " };
            let column = self.sorts.first().and_then(|sort| self.column(sort, branch));
            conditions
                .extend(column.map(|column| format!("{} IS {not}NULL", column.expression(branch, "r.pk"))));
        }
        Source { row: "r.pk", conditions, values: None }
    }

    /// The values of the sort keys in the row that `marker` names.
    pub(super) async fn marker_values(
        &self,
        session: &mut dyn Session,
        marker: &str,
    ) -> Result<Vec<Value>, Failure> {
        let named = if self.query.history {
            marker.split_once('@').and_then(|(id, revision)| Some((id, revision.parse().ok()?)))
        } else {
            Some((marker, -1))
        };
        let invalid = || Failure::from(sort::invalid_marker(marker));
        let (id, revision) = named.ok_or_else(invalid)?;
        let marker = Marker { id: parse_python_uuid(id).ok_or_else(invalid)?, revision };
        let mut statement = Statement::new(session.dialect());
        let mut text = self.marked(&mut statement, Branch::Current, &marker)?;
        if self.query.history {
            text = format!("{text} UNION ALL {}", self.marked(&mut statement, Branch::Past, &marker)?);
        }
        let rows = session.query_once(&text, &statement.params).await?;
        let mut row = rows.into_iter().next().ok_or_else(invalid)?;
        sort::marker_values(&mut row, &self.keys)
    }

    /// The sort keys of the row that a marker names, if it is one of a branch.
    fn marked(&self, statement: &mut Statement, branch: Branch, marker: &Marker) -> Result<String, Failure> {
        let mut columns = Vec::new();
        for sort in &self.sorts {
            let column = self.column(sort, branch).ok_or_else(|| sort::invalid_key(&sort.key))?;
            columns.push(column.expression(branch, "r.pk"));
        }
        let (columns, id) = (columns.join(", "), statement.param(marker.id));
        let (tables, revision) = match branch {
            Branch::Current => ("resource r", "-1"),
            Branch::Past => ("resource_history h JOIN resource r ON r.pk = h.resource_pk", "h.revision"),
        };
        let number = statement.param(marker.revision);
        let mut text = format!("SELECT {columns} FROM {tables} WHERE r.id = {id} AND {revision} = {number}");
        if !self.stored.is_generic() {
            let type_pk = statement.param(self.stored.pk);
            text.push_str(&format!(" AND r.type_pk = {type_pk}"));
        }
        Ok(text)
    }
}

/// The values of an attribute, `s`, in their order, with their resources where one of the texts mentions these.
fn values_first(dialect: Dialect, texts: &[&str]) -> String {
    if !texts.iter().any(|text| text.contains("r.")) {
        return "resource_attribute s".to_owned();
    }
    // SQLite takes CROSS JOIN as an order.
    let join = if dialect == Dialect::Sqlite { "CROSS JOIN" } else { "JOIN" };
    format!("resource_attribute s {join} resource r ON r.pk = s.resource_pk")
}
