//! Pages of alarms and of history.

use nephometer_drivers::{AlarmFilter, AlarmStoreError, Direction, Page, Sort};
use nephometer_model::{Alarm, AlarmId};

use super::columns::{ALARMS, Table};
use super::filter::{self, Condition};
use super::rows::read_alarm;
use crate::Failure;
use crate::session::{Session, Statement, query_opt};
use crate::sort::{self, SortKey};
use crate::value::{Row, Value};

/// So many rows are fetched at a time where the program decides which of them match.
const CHUNK_ROWS: u64 = 2000;

/// A list that makes sense.
struct Listing {
    table: &'static Table,
    condition: Condition,
    keys: Vec<SortKey>,
    /// The values of the keys as the columns `s0`, `s1`, …, each after a comma.
    key_columns: String,
}

pub(super) async fn get(session: &mut dyn Session, id: &AlarmId) -> Result<Alarm, Failure> {
    let sql = format!("SELECT {} FROM alarm a WHERE a.alarm_id = $1", ALARMS.cells("a"));
    let no_such = || Failure::from(AlarmStoreError::NoSuchAlarm(id.clone()));
    if id.0.contains('\0') {
        return Err(no_such());
    }
    query_opt(session, &sql, &[(&id.0).into()]).await?.map(read_alarm).ok_or_else(no_such)?
}

pub(super) async fn list(
    session: &mut dyn Session,
    (filter, page): &(AlarmFilter, Page),
) -> Result<Vec<Alarm>, Failure> {
    rows(session, &ALARMS, filter, page).await?.into_iter().map(read_alarm).collect()
}

/// The rows of a page.
pub(super) async fn rows(
    session: &mut dyn Session,
    table: &'static Table,
    filter: &AlarmFilter,
    page: &Page,
) -> Result<Vec<Row>, Failure> {
    let listing = Listing::new(table, filter, &page.sorts)?;
    let mut after = match &page.marker {
        None => None,
        Some(marker) => Some(listing.marker(session, marker).await?),
    };
    if !listing.condition.has_patterns() {
        return listing.fetch(session, after, page.limit).await;
    }
    let limit = page.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut matching = Vec::new();
    while matching.len() < limit {
        let chunk = listing.fetch(session, after, Some(CHUNK_ROWS)).await?;
        let is_last = (chunk.len() as u64) < CHUNK_ROWS;
        after = chunk.last().map(|row| row.cells()[table.width()..].to_vec());
        let matches = |row: &Row| listing.condition.holds(row.cells()) == Some(true);
        matching.extend(chunk.into_iter().filter(matches).take(limit - matching.len()));
        if is_last {
            break;
        }
    }
    Ok(matching)
}

impl Listing {
    fn new(table: &'static Table, filter: &AlarmFilter, sorts: &[Sort]) -> Result<Self, Failure> {
        let newest = [Sort { direction: Direction::Descending, ..sort::ascending("timestamp") }];
        let sorts = if sorts.is_empty() { &newest } else { sorts };
        let (mut keys, mut key_columns) = (Vec::new(), String::new());
        for (number, sort) in sort::completed(sorts, &[], &[table.id]).iter().enumerate() {
            let (_, column) = table.column(&sort.key).ok_or_else(|| {
                AlarmStoreError::Query(format!("Sort key supplied is invalid: {}", sort.key))
            })?;
            keys.push(SortKey::new(sort, column.nullable));
            key_columns.push_str(&format!(", {} AS s{number}", column.sort_expression("a")));
        }
        Ok(Self { table, condition: filter::compile(table, filter)?, keys, key_columns })
    }

    /// Rows that SQL takes for matching, and on which a further condition over `a` holds.
    fn source(&self, statement: &mut Statement, further: &str) -> String {
        let condition = self.condition.sql(self.table, statement);
        let (cells, keys, name) = (self.table.cells("a"), &self.key_columns, self.table.name);
        format!("SELECT {cells}{keys} FROM {name} a WHERE {condition}{further}")
    }

    /// The values of the keys in the row that the marker names.
    async fn marker(&self, session: &mut dyn Session, marker: &str) -> Result<Vec<Value>, Failure> {
        let no_such = || Failure::from(AlarmStoreError::NoSuchMarker(marker.to_owned()));
        if marker.contains('\0') {
            return Err(no_such());
        }
        let mut statement = Statement::new(session.dialect());
        let param = statement.param(marker);
        let sql = self.source(&mut statement, &format!(" AND a.{} = {param}", self.table.id));
        let rows = session.query_once(&sql, &statement.params).await?;
        let row = rows.into_iter().find(|row| self.condition.holds(row.cells()) == Some(true));
        row.map(|row| row.cells()[self.table.width()..].to_vec()).ok_or_else(no_such)
    }

    async fn fetch(
        &self,
        session: &mut dyn Session,
        after: Option<Vec<Value>>,
        limit: Option<u64>,
    ) -> Result<Vec<Row>, Failure> {
        let mut statement = Statement::new(session.dialect());
        let source = self.source(&mut statement, "");
        statement.push(&format!("SELECT u.* FROM ({source}) u"));
        if let Some(values) = after {
            let after = sort::after(&mut statement, &self.keys, values);
            statement.push(&format!(" WHERE {after}"));
        }
        statement.push(&sort::order_by(&self.keys));
        if let Some(limit) = limit {
            let limit = statement.param(i64::try_from(limit).unwrap_or(i64::MAX));
            statement.push(&format!(" LIMIT {limit}"));
        }
        session.query_once(&statement.text, &statement.params).await
    }
}
