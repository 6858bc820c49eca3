//! Opening: what was written is there again, schemas are brought up to date, newer ones are refused.

use futures::future::join_all;
use nephometer_drivers::{Indexer, NewMetric};
use nephometer_index_sql::{OpenError, PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::{ArchivePolicy, MetricId};
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
