//! A transaction of PostgreSQL as a [`Session`].

use std::collections::HashMap;
use std::error::Error;

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use nephometer_model::with_causes;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::Failure;
use crate::session::{Dialect, Session, Shared};
use crate::value::{Batch, ColumnType, Row, Value};

/// Rows that one statement takes as arrays.
const BATCH_ROWS: usize = 20_000;

pub(crate) struct PostgresSession<'a> {
    transaction: &'a Transaction<'a>,
    shared: &'a Shared,
}

impl<'a> PostgresSession<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>, shared: &'a Shared) -> Self {
        Self { transaction, shared }
    }

    async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let statement = self.transaction.prepare_cached(sql).await.map_err(|error| failure(&error))?;
        let rows = self.transaction.query(&statement, params).await.map_err(|error| failure(&error))?;
        rows.iter().map(row).collect()
    }

    async fn rows_once(&self, sql: &str, params: &[Value]) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let typed: Vec<_> =
            params.iter().map(|value| (value as &(dyn ToSql + Sync), value_type(value))).collect();
        let rows = self.transaction.query_typed(&translate(sql, ""), &typed).await;
        rows.map_err(|error| failure(&error))
    }

    async fn changes(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        let statement = self.transaction.prepare_cached(sql).await.map_err(|error| failure(&error))?;
        self.transaction.execute(&statement, params).await.map_err(|error| failure(&error))
    }
}

#[async_trait]
impl Session for PostgresSession<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn shared(&self) -> &Shared {
        self.shared
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.rows(&translate(sql, ""), &references(params)).await
    }

    async fn query_once(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.rows_once(sql, params).await?.iter().map(row).collect()
    }

    /// As one array: a row each would cost several times as much.
    async fn keys(&mut self, search: &str, params: &[Value]) -> Result<Vec<i64>, Failure> {
        let sql = format!("SELECT array_agg(k.key) FROM ({search}) AS k(key)");
        let rows = self.rows_once(&sql, params).await?;
        let keys = rows.first().map_or(Ok(None), |row| row.try_get::<_, Option<Vec<i64>>>(0));
        Ok(keys.map_err(|error| Failure::Internal(with_causes(&error)))?.unwrap_or_default())
    }

    async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failure> {
        self.changes(&translate(sql, ""), &references(params)).await
    }

    async fn query_batch(&mut self, sql: &str, batch: &Batch) -> Result<Vec<Row>, Failure> {
        let sql = translate(sql, &row_source(batch));
        let mut answer = Vec::new();
        for rows in batch.rows.chunks(BATCH_ROWS) {
            let columns = arrays(batch, rows);
            answer.extend(self.rows(&sql, &array_references(&columns)).await?);
        }
        Ok(answer)
    }

    async fn execute_batch(&mut self, sql: &str, batch: &Batch) -> Result<u64, Failure> {
        let sql = translate(sql, &row_source(batch));
        let mut changed = 0;
        for rows in batch.rows.chunks(BATCH_ROWS) {
            let columns = arrays(batch, rows);
            changed += self.changes(&sql, &array_references(&columns)).await?;
        }
        Ok(changed)
    }

    async fn insert(&mut self, table: &str, batch: &Batch) -> Result<(), Failure> {
        self.execute_batch(&insertion(table, batch), batch).await.map(drop)
    }

    async fn insert_new(
        &mut self,
        table: &str,
        key: &str,
        batch: &Batch,
    ) -> Result<HashMap<Uuid, i64>, Failure> {
        let sql = insertion(table, batch) + &format!(" ON CONFLICT DO NOTHING RETURNING id, {key}");
        let rows = self.query_batch(&sql, batch).await?;
        rows.into_iter().map(|mut row| Ok((row.uuid()?, row.int()?))).collect()
    }
}

/// An INSERT of a batch in its order.
fn insertion(table: &str, batch: &Batch) -> String {
    let columns: Vec<_> = batch.columns.iter().map(|(name, _)| *name).collect();
    let columns = columns.join(", ");
    format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {{rows}} ORDER BY v.ord")
}

/// The table that stands for `{rows}`: one array parameter for each column.
fn row_source(batch: &Batch) -> String {
    let mut arrays = Vec::new();
    let mut names = String::new();
    for (position, (name, column_type)) in batch.columns.iter().enumerate() {
        let type_name = match column_type {
            ColumnType::Int => "bigint",
            ColumnType::Real => "double precision",
            ColumnType::Text => "text",
            ColumnType::Uuid => "uuid",
        };
        arrays.push(format!("${}::{type_name}[]", position + 1));
        names.push_str(name);
        names.push_str(", ");
    }
    format!("unnest({}) WITH ORDINALITY AS v({names}ord)", arrays.join(", "))
}

fn translate(sql: &str, rows: &str) -> String {
    sql.replace("{lock}", "FOR UPDATE").replace("{share}", "FOR SHARE").replace("{rows}", rows)
}

/// One column of a batch as an array parameter.
#[derive(Debug)]
enum Array {
    Ints(Vec<Option<i64>>),
    Reals(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
    Uuids(Vec<Option<Uuid>>),
}

fn arrays(batch: &Batch, rows: &[Vec<Value>]) -> Vec<Array> {
    let column = |index: usize| rows.iter().map(move |row| &row[index]);
    let array = |(index, (_, column_type)): (usize, &(&str, ColumnType))| match column_type {
        ColumnType::Int => Array::Ints(
            column(index)
                .map(|value| if let Value::Int(value) = value { Some(*value) } else { None })
                .collect(),
        ),
        ColumnType::Real => Array::Reals(
            column(index)
                .map(|value| if let Value::Real(value) = value { Some(*value) } else { None })
                .collect(),
        ),
        ColumnType::Text => Array::Texts(
            column(index)
                .map(|value| if let Value::Text(value) = value { Some(value.clone()) } else { None })
                .collect(),
        ),
        ColumnType::Uuid => Array::Uuids(
            column(index)
                .map(|value| if let Value::Uuid(value) = value { Some(*value) } else { None })
                .collect(),
        ),
    };
    batch.columns.iter().enumerate().map(array).collect()
}

fn array_references(arrays: &[Array]) -> Vec<&(dyn ToSql + Sync)> {
    fn reference(array: &Array) -> &(dyn ToSql + Sync) {
        match array {
            Array::Ints(values) => values,
            Array::Reals(values) => values,
            Array::Texts(values) => values,
            Array::Uuids(values) => values,
        }
    }
    arrays.iter().map(reference).collect()
}

fn references(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn value_type(value: &Value) -> Type {
    match value {
        Value::Null | Value::Text(_) => Type::TEXT,
        Value::Int(_) => Type::INT8,
        Value::Real(_) => Type::FLOAT8,
        Value::Uuid(_) => Type::UUID,
        Value::Ints(_) => Type::INT8_ARRAY,
        Value::Reals(_) => Type::FLOAT8_ARRAY,
        Value::Texts(_) => Type::TEXT_ARRAY,
        Value::Uuids(_) => Type::UUID_ARRAY,
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => value.to_sql_checked(ty, out),
            Self::Real(value) => value.to_sql_checked(ty, out),
            Self::Text(value) => value.to_sql_checked(ty, out),
            Self::Uuid(value) => value.to_sql_checked(ty, out),
            Self::Ints(values) => values.to_sql_checked(ty, out),
            Self::Reals(values) => values.to_sql_checked(ty, out),
            Self::Texts(values) => values.to_sql_checked(ty, out),
            Self::Uuids(values) => values.to_sql_checked(ty, out),
        }
    }

    /// Each variant checks for itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn row(row: &tokio_postgres::Row) -> Result<Row, Failure> {
    let cell = |(index, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index).map(Value::from),
            Type::INT4 => row.try_get::<_, Option<i32>>(index).map(|value| value.map(i64::from).into()),
            Type::FLOAT8 => row.try_get::<_, Option<f64>>(index).map(Value::from),
            Type::UUID => row.try_get::<_, Option<Uuid>>(index).map(Value::from),
            _ => row.try_get::<_, Option<String>>(index).map(Value::from),
        };
        value.map_err(|error| Failure::Internal(with_causes(&error)))
    };
    let cells: Result<Vec<_>, _> = row.columns().iter().enumerate().map(cell).collect();
    cells.map(Row::new)
}

/// What a caller should think of PostgreSQL's error. Operations look before they write, so a violated constraint
/// means that somebody else was quicker: the next attempt will see it.
pub(crate) fn failure(error: &tokio_postgres::Error) -> Failure {
    let text = format!("PostgreSQL: {}", with_causes(error));
    let Some(code) = error.code() else {
        return if error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()) {
            Failure::Unavailable(text)
        } else {
            Failure::Internal(text)
        };
    };
    if [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
        SqlState::FOREIGN_KEY_VIOLATION,
    ]
    .contains(code)
    {
        return Failure::Retry(text);
    }
    // Classes of "connection", "insufficient resources", "operator intervention" and "system error".
    match code.code().get(..2) {
        Some("08" | "53" | "57" | "58") => Failure::Unavailable(text),
        _ => Failure::Internal(text),
    }
}
