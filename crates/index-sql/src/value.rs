//! Values that go into and come out of both databases.

use uuid::Uuid;

use crate::Failure;

/// A parameter or a cell. Whole numbers are 64 bits, texts UTF-8, UUIDs 16 bytes or the database's own type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Uuid(Uuid),
    Ints(Vec<i64>),
    Reals(Vec<f64>),
    Texts(Vec<String>),
    Uuids(Vec<Uuid>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer; cells are taken from left to right.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(cells: Vec<Value>) -> Self {
        Self(cells.into_iter())
    }

    /// The cells that were not taken yet.
    pub(crate) fn cells(&self) -> &[Value] {
        self.0.as_slice()
    }

    /// The next cell as it is.
    pub(crate) fn value(&mut self) -> Result<Value, Failure> {
        self.0.next().ok_or_else(|| Failure::Internal("a row is too short".to_owned()))
    }

    pub(crate) fn opt_int(&mut self) -> Result<Option<i64>, Failure> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Int(value) => Ok(Some(value)),
            other => Err(unexpected("an integer", &other)),
        }
    }

    pub(crate) fn int(&mut self) -> Result<i64, Failure> {
        self.opt_int()?.ok_or_else(|| unexpected("an integer", &Value::Null))
    }

    pub(crate) fn opt_text(&mut self) -> Result<Option<String>, Failure> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value)),
            other => Err(unexpected("a text", &other)),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, Failure> {
        self.opt_text()?.ok_or_else(|| unexpected("a text", &Value::Null))
    }

    pub(crate) fn opt_uuid(&mut self) -> Result<Option<Uuid>, Failure> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Uuid(value) => Ok(Some(value)),
            other => Err(unexpected("a UUID", &other)),
        }
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, Failure> {
        self.opt_uuid()?.ok_or_else(|| unexpected("a UUID", &Value::Null))
    }
}

fn unexpected(wanted: &str, found: &Value) -> Failure {
    Failure::Internal(format!("the database gave {found:?} where {wanted} was expected"))
}

/// Type of a column of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Int,
    Real,
    Text,
    Uuid,
}

/// Rows that one statement is applied to. The statement names them `{rows}`: a table `v` with these columns and
/// `ord`, which grows from row to row (for ORDER BY; it does not count through).
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) columns: &'static [(&'static str, ColumnType)],
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Batch {
    pub(crate) fn new(columns: &'static [(&'static str, ColumnType)]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// A batch of one column.
    pub(crate) fn of(
        columns: &'static [(&'static str, ColumnType)],
        values: impl IntoIterator<Item = impl Into<Value>>,
    ) -> Self {
        Self { columns, rows: values.into_iter().map(|value| vec![value.into()]).collect() }
    }

    pub(crate) fn push(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row has a value for each column");
        self.rows.push(row);
    }
}
