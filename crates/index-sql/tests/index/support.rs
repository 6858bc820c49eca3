//! Fresh, empty indexes on both databases.

use std::sync::Arc;

use nephometer_drivers::conformance::NOW;
use nephometer_index_sql::{PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::ManualClock;
use nephometer_testkit::postgres::Postgres;

/// An index that is gone when this is dropped.
pub(crate) struct Fresh {
    pub(crate) index: SqlIndex,
    _directory: Option<tempfile::TempDir>,
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

pub(crate) async fn sqlite() -> Fresh {
    let directory = tempfile::tempdir().unwrap();
    let settings = SqliteSettings { readers: 2, ..SqliteSettings::at(directory.path().join("index.sqlite")) };
    let index = SqlIndex::open_sqlite(&settings, clock()).unwrap();
    Fresh { index, _directory: Some(directory) }
}

/// Where an empty database of PostgreSQL is.
pub(crate) async fn fresh_postgres() -> String {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().unwrap().fresh_database().unwrap());
    url.await.unwrap()
}

pub(crate) async fn postgres() -> Fresh {
    let settings = PostgresSettings { connections: 4, ..PostgresSettings::at(fresh_postgres().await) };
    let index = SqlIndex::connect_postgres(&settings, clock()).await.unwrap();
    Fresh { index, _directory: None }
}
