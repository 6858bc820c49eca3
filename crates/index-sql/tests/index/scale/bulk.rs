//! Very many resources and metrics, written as rows past the API, in the order and the form in which it makes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use futures::SinkExt;
use nephometer_drivers::{NewMetric, NewResource};
use nephometer_model::AttributeValue;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// Resources written at a time.
const CHUNK: u128 = 20_000;

#[derive(Debug, Clone)]
enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Id(Uuid),
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// A table and the columns that are written.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
}

const LABEL: Table = Table { name: "label", columns: &["pk", "text"] };
const CREATOR: Table = Table { name: "creator", columns: &["pk", "text", "project"] };
const RESOURCE: Table = Table {
    name: "resource",
    columns: &[
        "pk",
        "id",
        "type_pk",
        "creator_pk",
        "user_id",
        "project_id",
        "started_at",
        "ended_at",
        "revision_start",
        "original_resource_id",
        "attributes",
    ],
};
const RESOURCE_ATTRIBUTE: Table = Table {
    name: "resource_attribute",
    columns: &["resource_pk", "attribute_pk", "text", "number", "integer", "id"],
};
const METRIC: Table = Table {
    name: "metric",
    columns: &["key", "id", "resource_pk", "name_pk", "unit_pk", "creator_pk", "policy_key"],
};

type Rows = Vec<Vec<Cell>>;

/// Texts and their keys, those that are new since they were last written.
#[derive(Default)]
struct Texts {
    keys: BTreeMap<String, i64>,
    new: Rows,
}

impl Texts {
    fn key(&mut self, text: Option<&str>, more: impl FnOnce(&str) -> Vec<Cell>) -> Cell {
        let Some(text) = text else { return Cell::Null };
        let next = i64::try_from(self.keys.len()).unwrap() + 1;
        let key = *self.keys.entry(text.to_owned()).or_insert(next);
        if key == next {
            self.new.push([vec![Cell::Int(key), text.into()], more(text)].concat());
        }
        Cell::Int(key)
    }
}

/// Makes rows of what is to be created in an index that has one type with attributes and one policy.
pub(super) struct Maker<'a> {
    pub(super) type_pk: i64,
    pub(super) policy_key: i64,
    pub(super) attribute_pks: BTreeMap<String, i64>,
    pub(super) resource: &'a dyn Fn(u128) -> NewResource,
    pub(super) metrics: &'a dyn Fn(u128) -> Vec<NewMetric>,
    labels: Texts,
    creators: Texts,
    metrics_made: i64,
}

fn json(value: &AttributeValue) -> serde_json::Value {
    match value {
        AttributeValue::String(text) => text.clone().into(),
        AttributeValue::Bool(value) => (*value).into(),
        AttributeValue::Uuid(id) => serde_json::json!(["u", id.to_string()]),
        AttributeValue::Datetime(time) => serde_json::json!(["t", time.micros()]),
        AttributeValue::Number(number) => serde_json::Value::Number(number.clone()),
    }
}

fn search_cells(value: &AttributeValue) -> [Cell; 3] {
    match value {
        AttributeValue::String(text) => [text.as_str().into(), Cell::Null, Cell::Null],
        AttributeValue::Uuid(id) => [id.to_string().into(), Cell::Null, Cell::Null],
        AttributeValue::Number(number) => {
            [Cell::Null, number.as_f64().map_or(Cell::Null, Cell::Real), Cell::Null]
        }
        AttributeValue::Bool(value) => [Cell::Null, Cell::Null, Cell::Int((*value).into())],
        AttributeValue::Datetime(time) => [Cell::Null, Cell::Null, Cell::Int(time.micros())],
    }
}

fn creator_cells(text: &str) -> Vec<Cell> {
    vec![text.rsplit_once(':').map(|(_, project)| project).into()]
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        resource: &'a dyn Fn(u128) -> NewResource,
        metrics: &'a dyn Fn(u128) -> Vec<NewMetric>,
    ) -> Self {
        Self {
            type_pk: 0,
            policy_key: 0,
            attribute_pks: BTreeMap::new(),
            resource,
            metrics,
            labels: Texts::default(),
            creators: Texts::default(),
            metrics_made: 0,
        }
    }

    /// The rows of a resource, of its attributes, and of its metrics.
    fn rows(&mut self, number: u128, tables: &mut [(&Table, Rows); 3]) {
        let new = (self.resource)(number);
        let pk = i64::try_from(number).unwrap() + 1;
        let [(_, resources), (_, attributes), (_, metrics)] = tables;
        let values = new.attributes.iter().map(|(name, value)| (name.clone(), json(value)));
        let values: serde_json::Map<_, _> = values.collect();
        resources.push(vec![
            pk.into(),
            Cell::Id(new.id.0),
            self.type_pk.into(),
            self.creators.key(new.creator.as_deref(), creator_cells),
            new.user_id.into(),
            new.project_id.into(),
            new.started_at.micros().into(),
            new.ended_at.map(|end| end.micros()).into(),
            new.revision_start.micros().into(),
            new.original_resource_id.into(),
            serde_json::Value::Object(values).to_string().into(),
        ]);
        for (name, value) in &new.attributes {
            let [text, real, integer] = search_cells(value);
            attributes.push(vec![
                pk.into(),
                self.attribute_pks[name].into(),
                text,
                real,
                integer,
                Cell::Id(new.id.0),
            ]);
        }
        for metric in (self.metrics)(number) {
            self.metrics_made += 1;
            metrics.push(vec![
                self.metrics_made.into(),
                Cell::Id(metric.id.0),
                pk.into(),
                self.labels.key(metric.name.as_deref(), |_| Vec::new()),
                self.labels.key(metric.unit.as_deref(), |_| Vec::new()),
                self.creators.key(metric.creator.as_deref(), creator_cells),
                self.policy_key.into(),
            ]);
        }
    }

    /// The rows of a chunk of resources, and of the texts that are new with them.
    fn chunk(&mut self, numbers: std::ops::Range<u128>) -> Vec<(&'static Table, Rows)> {
        let mut tables =
            [(&RESOURCE, Rows::new()), (&RESOURCE_ATTRIBUTE, Rows::new()), (&METRIC, Rows::new())];
        for number in numbers {
            self.rows(number, &mut tables);
        }
        let texts = [(&LABEL, &mut self.labels), (&CREATOR, &mut self.creators)];
        let texts = texts.map(|(table, texts)| (table, std::mem::take(&mut texts.new)));
        texts.into_iter().chain(tables).collect()
    }
}

const KEYS: [&str; 3] = [
    "SELECT name, pk FROM attribute",
    "SELECT name, pk FROM resource_type WHERE name <> 'generic'",
    "SELECT name, key FROM archive_policy",
];

fn chunks(resources: u128) -> impl Iterator<Item = std::ops::Range<u128>> {
    (0..resources)
        .step_by(usize::try_from(CHUNK).unwrap())
        .map(move |first| first..(first + CHUNK).min(resources))
}

/// Writes into the SQLite file at `path`, which nobody else has open.
pub(super) fn sqlite(path: &Path, maker: &mut Maker<'_>, resources: u128) {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    for (name, value) in [("synchronous", "OFF"), ("foreign_keys", "OFF"), ("cache_size", "-4000000")] {
        connection.pragma_update(None, name, value).unwrap();
    }
    connection.pragma_update(None, "journal_mode", "OFF").unwrap();
    let [attributes, types, policies] = KEYS.map(|sql| {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect::<BTreeMap<String, i64>>()
    });
    (maker.type_pk, maker.policy_key) = (*types.values().next().unwrap(), *policies.values().next().unwrap());
    maker.attribute_pks = attributes;
    let transaction = connection.transaction().unwrap();
    for numbers in chunks(resources) {
        for (table, rows) in maker.chunk(numbers) {
            let marks = vec!["?"; table.columns.len()].join(", ");
            let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", table.name, table.columns.join(", "));
            let mut insert = transaction.prepare_cached(&sql).unwrap();
            for row in rows {
                for (index, cell) in (1..).zip(row) {
                    match cell {
                        Cell::Null => insert.raw_bind_parameter(index, rusqlite::types::Null),
                        Cell::Int(value) => insert.raw_bind_parameter(index, value),
                        Cell::Real(value) => insert.raw_bind_parameter(index, value),
                        Cell::Text(value) => insert.raw_bind_parameter(index, value),
                        Cell::Id(value) => insert.raw_bind_parameter(index, value.as_bytes().as_slice()),
                    }
                    .unwrap();
                }
                insert.raw_execute().unwrap();
            }
        }
    }
    transaction.execute("UPDATE metric_sequence SET next = ?1", [maker.metrics_made + 1]).unwrap();
    // As the writer does it whenever so many have come together.
    transaction
        .execute_batch(
            "INSERT INTO resource_trigram (rowid, text) SELECT row, text FROM trigram_change ORDER BY row; \
             DELETE FROM trigram_change",
        )
        .unwrap();
    transaction.commit().unwrap();
}

/// A row in the text format of COPY.
fn copy_line(line: &mut String, row: &[Cell]) {
    for (position, cell) in row.iter().enumerate() {
        if position > 0 {
            line.push('\t');
        }
        match cell {
            Cell::Null => line.push_str("\\N"),
            Cell::Int(value) => write!(line, "{value}").unwrap(),
            Cell::Real(value) => write!(line, "{value}").unwrap(),
            Cell::Text(value) => line.push_str(&value.replace('\\', "\\\\")),
            Cell::Id(value) => write!(line, "{value}").unwrap(),
        }
    }
    line.push('\n');
}

/// Writes into the PostgreSQL database at `url`, and does what autovacuum would have done after a while.
pub(super) async fn postgres(url: &str, maker: &mut Maker<'_>, resources: u128) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("SET session_replication_role = replica; SET synchronous_commit = off")
        .await
        .unwrap();
    let mut keys = Vec::new();
    for sql in KEYS {
        let rows = client.query(sql, &[]).await.unwrap();
        keys.push(rows.iter().map(|row| (row.get(0), row.get(1))).collect::<BTreeMap<String, i64>>());
    }
    maker.policy_key = *keys[2].values().next().unwrap();
    maker.type_pk = *keys[1].values().next().unwrap();
    maker.attribute_pks = keys.swap_remove(0);
    for numbers in chunks(resources) {
        for (table, rows) in maker.chunk(numbers) {
            let sql = format!("COPY {} ({}) FROM STDIN", table.name, table.columns.join(", "));
            let sink = client.copy_in::<_, Cursor<Vec<u8>>>(&sql).await.unwrap();
            futures::pin_mut!(sink);
            for rows in rows.chunks(1000) {
                let mut lines = String::new();
                rows.iter().for_each(|row| copy_line(&mut lines, row));
                sink.send(Cursor::new(lines.into_bytes())).await.unwrap();
            }
            sink.finish().await.unwrap();
        }
    }
    for table in [&LABEL, &CREATOR, &RESOURCE, &METRIC] {
        let (name, key) = (table.name, table.columns[0]);
        let sql = format!("SELECT setval(pg_get_serial_sequence('{name}', '{key}'), max({key})) FROM {name}");
        client.query(&sql, &[]).await.unwrap();
    }
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}
