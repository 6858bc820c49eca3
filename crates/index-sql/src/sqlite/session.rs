//! A connection of SQLite as a [`Session`].

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Statement};
use uuid::Uuid;

use crate::Failure;
use crate::session::{Dialect, Session, Shared};
use crate::value::{Batch, Row, Value};

/// A connection inside a transaction that the thread around it begins and ends.
pub(crate) struct SqliteSession {
    connection: Connection,
    shared: Arc<Shared>,
}

impl SqliteSession {
    pub(crate) fn new(connection: Connection, shared: Arc<Shared>) -> Self {
        Self { connection, shared }
    }

    /// Runs a pragma. Many act when they are prepared, so that a prepared one that is kept does nothing.
    pub(crate) fn pragma(&self, sql: &str) -> Result<(), Failure> {
        self.connection.execute_batch(sql).map_err(|error| failure(&error))
    }

    /// Runs a statement without parameters and rows.
    pub(crate) fn control(&self, sql: &str) -> Result<(), Failure> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| failure(&error))?;
        let mut rows = statement.raw_query();
        while rows.next().map_err(|error| failure(&error))?.is_some() {}
        Ok(())
    }

    /// The whole number that a statement without parameters gives.
    pub(crate) fn whole(&self, sql: &str) -> Result<i64, Failure> {
        let run = || self.connection.prepare_cached(sql)?.query_row((), |row| row.get(0));
        run().map_err(|error| failure(&error))
    }

    /// Whether a transaction is open.
    pub(crate) fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Rows that came and went so far; what was undone counts too.
    pub(crate) fn changes_so_far(&self) -> u64 {
        self.connection.total_changes()
    }

    fn rows(&self, sql: &str, params: &[Value]) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut answer = Vec::new();
        bind(&mut statement, params)?;
        collect(&mut statement, &mut answer)?;
        Ok(answer)
    }

    fn changes(&self, sql: &str, params: &[Value]) -> rusqlite::Result<u64> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        statement.raw_execute().map(|changed| changed as u64)
    }

    /// Inserts rows, with `conflict` as the end of the statement, and gives `made` each that came to be with its key.
    fn insert_rows(
        &self,
        table: &str,
        conflict: &str,
        batch: &Batch,
        mut made: impl FnMut(&[Value], i64),
    ) -> Result<(), Failure> {
        let column = WITHOUT_ROWID.iter().find(|(name, _)| *name == table).map(|(_, column)| *column);
        let mut next = if column.is_some() { self.reserve(table, batch.rows.len())? } else { 0 };
        self.for_each_row(&(insertion(table, batch, column) + conflict), batch, |statement, row| {
            if column.is_some() {
                // In place of the row's number.
                statement.raw_bind_parameter(batch.columns.len() + 1, next)?;
            }
            if statement.raw_execute()? == 1 {
                made(row, if column.is_some() { next } else { self.connection.last_insert_rowid() });
            }
            next += 1;
            Ok(())
        })
    }

    /// The first of so many keys that no row of `table` has had, nor ever gets again.
    fn reserve(&self, table: &str, count: usize) -> Result<i64, Failure> {
        let first = self.whole(&format!("SELECT next FROM {table}_sequence"))?;
        let run = || {
            let next = first.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
            self.connection.prepare_cached(&format!("UPDATE {table}_sequence SET next = ?1"))?.execute([next])
        };
        run().map_err(|error| failure(&error))?;
        Ok(first)
    }

    /// Runs `sql` with each row of a batch, and `each` on the statement so bound.
    fn for_each_row(
        &self,
        sql: &str,
        batch: &Batch,
        mut each: impl FnMut(&mut Statement<'_>, &[Value]) -> rusqlite::Result<()>,
    ) -> Result<(), Failure> {
        let mut run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let counts = statement.parameter_count() > batch.columns.len();
            for (number, row) in (1_i64..).zip(&batch.rows) {
                bind(&mut statement, row)?;
                if counts {
                    statement.raw_bind_parameter(batch.columns.len() + 1, number)?;
                }
                each(&mut statement, row)?;
            }
            Ok(())
        };
        run().map_err(|error| failure(&error))
    }
}

#[async_trait]
impl Session for SqliteSession {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.rows(&translate(sql, ""), params).map_err(|error| failure(&error))
    }

    async fn query_once(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.query(sql, params).await
    }

    async fn keys(&mut self, search: &str, params: &[Value]) -> Result<Vec<i64>, Failure> {
        let run = || {
            let mut statement = self.connection.prepare_cached(&translate(search, ""))?;
            bind(&mut statement, params)?;
            let mut keys = Vec::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                keys.push(row.get(0)?);
            }
            Ok(keys)
        };
        run().map_err(|error| failure(&error))
    }

    async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failure> {
        self.changes(&translate(sql, ""), params).map_err(|error| failure(&error))
    }

    async fn query_batch(&mut self, sql: &str, batch: &Batch) -> Result<Vec<Row>, Failure> {
        let mut answer = Vec::new();
        self.for_each_row(&translate(sql, &row_source(batch)), batch, |statement, _| {
            collect(statement, &mut answer)
        })?;
        Ok(answer)
    }

    async fn execute_batch(&mut self, sql: &str, batch: &Batch) -> Result<u64, Failure> {
        let mut changed = 0;
        self.for_each_row(&translate(sql, &row_source(batch)), batch, |statement, _| {
            changed += statement.raw_execute()? as u64;
            Ok(())
        })?;
        Ok(changed)
    }

    async fn insert(&mut self, table: &str, batch: &Batch) -> Result<(), Failure> {
        self.insert_rows(table, "", batch, |_, _| {})
    }

    async fn insert_new(
        &mut self,
        table: &str,
        _: &str,
        batch: &Batch,
    ) -> Result<HashMap<Uuid, i64>, Failure> {
        let mut keys = HashMap::with_capacity(batch.rows.len());
        self.insert_rows(table, " ON CONFLICT DO NOTHING", batch, |row, key| {
            if let Some(Value::Uuid(id)) = row.first() {
                keys.insert(*id, key);
            }
        })?;
        Ok(keys)
    }
}

/// Tables in the order of another column than their key, and their key: these come from a sequence.
const WITHOUT_ROWID: [(&str, &str); 1] = [("metric", "key")];

/// An INSERT of one row of VALUES, those of the batch and, as the last parameter, one for the column `key`: anything else,
/// INSERT … SELECT or RETURNING, would make SQLite copy each page aside before it changes it, statement by statement.
fn insertion(table: &str, batch: &Batch, key: Option<&str>) -> String {
    let (mut columns, mut values) = (String::new(), String::new());
    for (position, name) in batch.columns.iter().map(|(name, _)| *name).chain(key).enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        columns.push_str(&format!("{comma}{name}"));
        values.push_str(&format!("{comma}?{}", position + 1));
    }
    format!("INSERT INTO {table} ({columns}) VALUES ({values})")
}

/// The one-row table that stands for `{rows}`: SQLite runs the statement once for each row.
fn row_source(batch: &Batch) -> String {
    let mut text = String::from("(SELECT ");
    for (position, (name, _)) in batch.columns.iter().enumerate() {
        text.push_str(&format!("${} AS {name}, ", position + 1));
    }
    text.push_str(&format!("${} AS ord) v", batch.columns.len() + 1));
    text
}

/// SQLite's spelling: parameters `?1`, no row locks (there is one writer).
fn translate(sql: &str, rows: &str) -> String {
    let mut text = String::with_capacity(sql.len() + rows.len());
    let mut rest = sql;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
        if &rest[at..end] == "{rows}" {
            text.push_str(rows);
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    text.replace('$', "?")
}

fn bind(statement: &mut Statement<'_>, params: &[Value]) -> rusqlite::Result<()> {
    for (index, value) in params.iter().enumerate() {
        let index = index + 1;
        match value {
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
            Value::Int(value) => statement.raw_bind_parameter(index, value)?,
            Value::Real(value) => statement.raw_bind_parameter(index, value)?,
            Value::Text(value) => statement.raw_bind_parameter(index, value)?,
            Value::Uuid(value) => statement.raw_bind_parameter(index, value.as_bytes().as_slice())?,
            Value::Ints(values) => statement.raw_bind_parameter(index, array(values.iter().copied()))?,
            Value::Reals(values) => statement.raw_bind_parameter(index, array(values.iter().copied()))?,
            Value::Texts(values) => statement.raw_bind_parameter(index, array(values.iter().cloned()))?,
            Value::Uuids(values) => {
                statement.raw_bind_parameter(index, array(values.iter().map(|id| id.as_bytes().to_vec())))?;
            }
        }
    }
    Ok(())
}

fn array(values: impl Iterator<Item = impl Into<rusqlite::types::Value>>) -> rusqlite::vtab::array::Array {
    Rc::new(values.map(Into::into).collect())
}

fn collect(statement: &mut Statement<'_>, answer: &mut Vec<Row>) -> rusqlite::Result<()> {
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let mut cells = Vec::with_capacity(columns);
        for column in 0..columns {
            cells.push(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Real(value) => Value::Real(value),
                ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
                ValueRef::Blob(bytes) => Value::Uuid(Uuid::from_slice(bytes).unwrap_or_default()),
            });
        }
        answer.push(Row::new(cells));
    }
    Ok(())
}

/// What a caller should think of SQLite's error.
pub(crate) fn failure(error: &rusqlite::Error) -> Failure {
    let text = format!("SQLite: {error}");
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly,
        ) => Failure::Unavailable(text),
        _ => Failure::Internal(text),
    }
}
