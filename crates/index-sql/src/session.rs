//! One transaction of either database, as operations see it.
//!
//! Operations are written once, as async functions over [`Session`]. On PostgreSQL they really wait; on SQLite they
//! run on a thread of the database and every call is ready at once.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use nephometer_drivers::{AlarmStoreError, IndexError};
use nephometer_model::Clock;
use uuid::Uuid;

use crate::policies::PolicyCache;
use crate::value::{Batch, Row, Value};

/// Which database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// `expression` is one of the elements of the array parameter `parameter`, or with `negated` none of them.
    pub(crate) fn any_of(self, expression: &str, parameter: &str, negated: bool) -> String {
        match (self, negated) {
            (Self::Sqlite, false) => format!("{expression} IN rarray({parameter})"),
            (Self::Sqlite, true) => format!("{expression} NOT IN rarray({parameter})"),
            (Self::Postgres, false) => format!("{expression} = ANY({parameter})"),
            (Self::Postgres, true) => format!("{expression} <> ALL({parameter})"),
        }
    }

    /// What ends a search that PostgreSQL shall run as it is written, whatever the statement around it wants.
    pub(crate) fn fence(self) -> &'static str {
        if self == Self::Postgres { " OFFSET 0" } else { "" }
    }

    /// The number `expression` in a form for which no index is used.
    pub(crate) fn unindexed(self, expression: &str) -> String {
        match self {
            Self::Sqlite => format!("+{expression}"),
            Self::Postgres => format!("({expression} + 0)"),
        }
    }
}

/// What an operation does, and what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads one state of the database.
    Read,
    /// It reads one state of the database and writes; others that write the same come in between.
    Write,
    /// It holds rows before it goes by what they say. Each statement sees what others have written meanwhile, so that
    /// those who want the same rows wait for each other instead of beginning again.
    Lock,
}

/// What all sessions of one index have in common.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policies: PolicyCache,
}

/// Why an operation did not end well.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// The answer is no.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The answer of the store of alarms is no.
    #[error(transparent)]
    Alarm(#[from] AlarmStoreError),
    /// Another transaction came in between: do it all again.
    #[error("too much contention: {0}")]
    Retry(String),
    /// The database does not answer, or cannot write.
    #[error("{0}")]
    Unavailable(String),
    /// What should not happen.
    #[error("{0}")]
    Internal(String),
}

impl From<Failure> for IndexError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Index(error) => error,
            Failure::Alarm(error) => Self::Internal(error.to_string()),
            Failure::Retry(_) | Failure::Unavailable(_) => Self::Unavailable(failure.to_string()),
            Failure::Internal(text) => {
                tracing::error!(error = %text, "the index failed");
                Self::Internal(text)
            }
        }
    }
}

/// One transaction.
///
/// Statements are written with `$1`, `$2`, … and may hold `{lock}` and `{share}` after a SELECT: the rows read are
/// held against changes until the transaction ends (`{lock}` also against other lockers).
#[async_trait]
pub(crate) trait Session: Send {
    /// Which database this is.
    fn dialect(&self) -> Dialect;
    /// What all sessions share.
    fn shared(&self) -> &Shared;
    /// Rows of a statement whose text is one of few.
    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure>;
    /// Rows of a statement that was put together for one request.
    async fn query_once(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure>;
    /// The keys that a search which was put together for one request finds; its rows have one column.
    async fn keys(&mut self, search: &str, params: &[Value]) -> Result<Vec<i64>, Failure>;
    /// Number of rows changed.
    async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failure>;
    /// Rows of a statement over `{rows}`, in no certain order.
    async fn query_batch(&mut self, sql: &str, batch: &Batch) -> Result<Vec<Row>, Failure>;
    /// Number of rows changed by a statement over `{rows}`.
    async fn execute_batch(&mut self, sql: &str, batch: &Batch) -> Result<u64, Failure>;
    /// Adds the rows of a batch whose columns are columns of `table`.
    async fn insert(&mut self, table: &str, batch: &Batch) -> Result<(), Failure>;
    /// Adds the rows of a batch whose columns are columns of `table`, the first of them a unique `id`; of those that
    /// differ in no unique column only the first one, and none where there is such a row already. Gives the keys that
    /// the new rows got (column `key`, in the order of the batch) by their ids.
    async fn insert_new(
        &mut self,
        table: &str,
        key: &str,
        batch: &Batch,
    ) -> Result<HashMap<Uuid, i64>, Failure>;
}

/// An operation: runs in one transaction, possibly several times until it succeeds.
pub(crate) type Operation<A, T> = for<'s> fn(&'s mut dyn Session, &'s A) -> BoxFuture<'s, Result<T, Failure>>;

/// The first row, if there is one.
pub(crate) async fn query_opt(
    session: &mut dyn Session,
    sql: &str,
    params: &[Value],
) -> Result<Option<Row>, Failure> {
    Ok(session.query(sql, params).await?.into_iter().next())
}

/// The only row of a statement that always gives one.
pub(crate) async fn query_one(
    session: &mut dyn Session,
    sql: &str,
    params: &[Value],
) -> Result<Row, Failure> {
    query_opt(session, sql, params)
        .await?
        .ok_or_else(|| Failure::Internal("a statement gave no row".to_owned()))
}

/// A statement that is put together piece by piece.
pub(crate) struct Statement {
    pub(crate) dialect: Dialect,
    pub(crate) text: String,
    pub(crate) params: Vec<Value>,
}

impl Statement {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::with_capacity(512), params: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Name of a new parameter with this value.
    pub(crate) fn param(&mut self, value: impl Into<Value>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }
}
