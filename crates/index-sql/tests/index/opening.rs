//! Opening: what was written is there again, schemas are brought up to date, newer ones are refused.

use futures::future::join_all;
use nephometer_drivers::{Direction, Indexer, NewMetric, Page, ResourceQuery, Sort};
use nephometer_index_sql::{OpenError, PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::{ArchivePolicy, Comparison, Filter, FilterValue, MetricId};
use nephometer_testkit::postgres::Postgres;
use uuid::Uuid;

use crate::support;

fn metric(number: u128) -> NewMetric {
    NewMetric {
        id: MetricId(Uuid::from_u128(number)),
        creator: None,
        resource_id: None,
        name: None,
        unit: None,
        policy_name: "low".to_owned(),
    }
}

#[tokio::test]
async fn sqlite_keeps_what_was_written_and_never_reuses_keys() {
    let directory = tempfile::tempdir().unwrap();
    let settings = SqliteSettings::at(directory.path().join("index.sqlite"));
    let mut newest = None;
    for round in 0..3 {
        let index = SqlIndex::open_sqlite(&settings, support::clock()).unwrap();
        if round == 0 {
            index.create_archive_policy(ArchivePolicy::upstream_defaults().swap_remove(1)).await.unwrap();
        }
        assert_eq!(index.counts().await.unwrap().archive_policies, 1);
        let made = index.create_metric(metric(1)).await.unwrap();
        assert!(newest < Some(made.key));
        newest = Some(made.key);
        index.delete_metric(made.id).await.unwrap();
    }
}

#[tokio::test]
async fn other_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.sqlite");
    std::fs::write(&path, "this is a text of some length, and not a database at all".repeat(100)).unwrap();
    let error = SqlIndex::open_sqlite(&SqliteSettings::at(path), support::clock()).err().unwrap();
    assert_eq!(error.to_string(), "SQLite: file is not a database");
    let missing = directory.path().join("none/index.sqlite");
    assert!(matches!(
        SqlIndex::open_sqlite(&SqliteSettings::at(missing), support::clock()),
        Err(OpenError::Sqlite(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_brought_up_to_date_once_by_many() {
    let url =
        tokio::task::spawn_blocking(|| Postgres::shared().unwrap().fresh_database().unwrap()).await.unwrap();
    let settings = PostgresSettings { connections: 2, ..PostgresSettings::at(&url) };
    let opened = join_all((0..6).map(|_| SqlIndex::connect_postgres(&settings, support::clock()))).await;
    assert!(opened.iter().all(Result::is_ok));
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.execute("INSERT INTO schema_version (version) VALUES (1000)", &[]).await.unwrap();
    let error = SqlIndex::connect_postgres(&settings, support::clock()).await.err().unwrap();
    assert!(matches!(error, OpenError::NewerSchema { found: 1000, .. }));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let settings =
        PostgresSettings { wait_seconds: 2, ..PostgresSettings::at("postgresql://x@127.0.0.1:1/x") };
    let error = SqlIndex::connect_postgres(&settings, support::clock()).await.err().unwrap();
    assert!(error.to_string().contains("refused"), "{error}");
    let error = SqlIndex::connect_postgres(&PostgresSettings::at("nonsense"), support::clock()).await.err();
    assert!(matches!(error, Some(OpenError::Url(_))));
}

/// What the first version of the schema held: a type of two attributes, resources with both, one and none of them, and metrics,
/// one of which is gone.
const FIRST_ROWS: &str = "
    INSERT INTO schema_version (version) VALUES (1);
    INSERT INTO resource_type (name, state) VALUES ('vm', '\"active\"');
    INSERT INTO attribute (type_pk, name, definition) VALUES
        (2, 'host', '{\"type\":\"string\",\"min_length\":0,\"max_length\":9,\"required\":false}'),
        (2, 'up', '{\"type\":\"bool\",\"required\":false}');
    INSERT INTO resource (id, type_pk, started_at, revision_start, original_resource_id, attributes) VALUES
        (<1>, 2, 1, 1, 'both', '{\"host\":\"a text\",\"up\":true}'),
        (<2>, 2, 2, 2, 'one', '{\"host\":\"b\"}'),
        (<3>, 2, 3, 3, 'none', '{}');
    INSERT INTO resource_attribute (resource_pk, attribute_pk, text, integer) VALUES
        (1, 1, 'a text', NULL), (1, 2, NULL, 1), (2, 1, 'b', NULL);
    INSERT INTO archive_policy (name, back_window, definition, methods, version) VALUES ('low', 0, '[]', '[]', 1);
    INSERT INTO label (text) VALUES ('cpu');
    INSERT INTO metric (id, resource_pk, name_pk, policy_key) VALUES (<1>, 1, 1, 1), (<2>, NULL, NULL, 1);
    DELETE FROM metric WHERE key = 2;";

const VERSIONS: &str = "CREATE TABLE schema_version (version BIGINT NOT NULL PRIMARY KEY);";

const SECOND_VERSION: &str = "INSERT INTO schema_version (version) VALUES (2);";

/// [`FIRST_ROWS`] with ids as `id` writes them.
fn first_rows(id: impl Fn(u128) -> String) -> String {
    (1..=3).fold(FIRST_ROWS.to_owned(), |text, number| text.replace(&format!("<{number}>"), &id(number)))
}

async fn check_first_rows(index: &SqlIndex) {
    let found = async |filter: Filter, key: &str, direction: Direction| {
        let sorts = vec![Sort { key: key.to_owned(), direction, nulls: None }];
        let query = ResourceQuery {
            type_name: "vm".to_owned(),
            filter,
            history: false,
            details: true,
            with_metrics: true,
            page: Page { limit: Some(10), marker: None, sorts },
        };
        let rows = index.list_resources(&query).await.unwrap();
        rows.into_iter().map(|row| row.original_resource_id).collect::<Vec<_>>()
    };
    let (up, down) = (Direction::Ascending, Direction::Descending);
    assert_eq!(found(Filter::All, "host", up).await, ["both", "one", "none"]);
    assert_eq!(found(Filter::All, "host", down).await, ["none", "one", "both"]);
    assert_eq!(found(Filter::All, "up", up).await, ["both", "one", "none"]);
    assert_eq!(found(Filter::eq_text("host", "b"), "id", up).await, ["one"]);
    let without = |name: &str| Filter::Compare(Comparison::Eq, name.to_owned(), FilterValue::Null);
    assert_eq!(found(without("up"), "host", up).await, ["one", "none"]);
    assert_eq!(found(Filter::Not(Box::new(without("host"))), "id", up).await, ["both", "one"]);
    let part = Filter::Compare(Comparison::Like, "host".to_owned(), FilterValue::Text("%tex%".to_owned()));
    assert_eq!(found(part, "id", up).await, ["both"]);
    let kept = index.metrics_by_id(&[MetricId(Uuid::from_u128(1))]).await.unwrap();
    assert_eq!(
        kept.iter().map(|metric| (metric.key.0, metric.name.as_deref())).collect::<Vec<_>>(),
        [(1, Some("cpu"))]
    );
    assert_eq!(index.create_metric(metric(7)).await.unwrap().key.0, 3);
}

#[tokio::test]
async fn sqlite_brings_earlier_schemas_with_their_rows_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let first = include_str!("../../src/migrations/sqlite/0001_index.sql");
    connection.execute_batch(&VERSIONS.replace("BIGINT", "INTEGER").replace(");", ") STRICT;")).unwrap();
    connection.execute_batch(first).unwrap();
    let id = |number| format!("x'{}'", Uuid::from_u128(number).simple());
    connection.execute_batch(&first_rows(id)).unwrap();
    let copy = directory.path().join("second.sqlite");
    std::fs::copy(&path, &copy).unwrap();
    drop(connection);
    let second = include_str!("../../src/migrations/sqlite/0002_attribute_order.sql");
    rusqlite::Connection::open(&copy).unwrap().execute_batch(&format!("{second}{SECOND_VERSION}")).unwrap();
    check_first_rows(&SqlIndex::open_sqlite(&SqliteSettings::at(copy), support::clock()).unwrap()).await;
    check_first_rows(&SqlIndex::open_sqlite(&SqliteSettings::at(path), support::clock()).unwrap()).await;
}

/// Runs statements in a database of PostgreSQL.
async fn run_in(url: &str, statements: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statements).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// What one statement of one value tells of a database of PostgreSQL.
async fn is_so(url: &str, statement: &str) -> bool {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = client.query_one(statement, &[]).await.unwrap().get(0);
    drop(client);
    connection.await.unwrap().unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_brings_earlier_schemas_with_their_rows_up_to_date() {
    let first = include_str!("../../src/migrations/postgres/0001_index.sql");
    let second = include_str!("../../src/migrations/postgres/0002_attribute_order.sql");
    let id = |number| format!("'{}'", Uuid::from_u128(number));
    let first = format!("{VERSIONS}{first}{}", first_rows(id));
    for schema in [first.clone(), format!("{first}{second}{SECOND_VERSION}")] {
        let url = support::fresh_postgres().await;
        run_in(&url, &schema).await;
        let index = SqlIndex::connect_postgres(&PostgresSettings::at(&url), support::clock()).await.unwrap();
        check_first_rows(&index).await;
        let covering = "SELECT count(*) = 7 FROM pg_index WHERE indnatts > indnkeyatts AND indrelid \
                        IN ('resource'::regclass, 'metric'::regclass)";
        assert!(is_so(&url, covering).await);
    }
}

const TRIGRAMS: &str = "SELECT to_regclass('resource_attribute_by_trigram') IS NOT NULL";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_finds_parts_of_texts_by_an_index_as_soon_as_it_may() {
    let url = support::fresh_postgres().await;
    run_in(
        &url,
        "DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT CREATE ON SCHEMA public TO plain",
    )
    .await;
    let plain = PostgresSettings::at(url.replace("nephometer@", "plain@"));
    // Only who may make something in a database may use the extension there.
    drop(SqlIndex::connect_postgres(&plain, support::clock()).await.unwrap());
    assert!(!is_so(&url, TRIGRAMS).await);
    run_in(&url, "CREATE EXTENSION pg_trgm").await;
    drop(SqlIndex::connect_postgres(&plain, support::clock()).await.unwrap());
    assert!(is_so(&url, TRIGRAMS).await);
    drop(SqlIndex::connect_postgres(&plain, support::clock()).await.unwrap());
}
