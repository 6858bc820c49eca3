//! The suites of both contracts, on SQLite and on a real PostgreSQL.

use nephometer_drivers::PartCatalog;
use nephometer_drivers::conformance::{catalog, indexer};

use crate::support;

/// Runs a behaviour of the catalog, whose calls block, on a thread that is not the runtime's.
fn check_catalog(catalog: &dyn PartCatalog, behaviour: fn(&dyn PartCatalog)) {
    std::thread::scope(|scope| scope.spawn(|| behaviour(catalog)).join().unwrap());
}

/// One test for each behaviour, over an index that `$open` makes.
macro_rules! suites {
    ($open:path, $indexer:ident, $catalog:ident) => {
        use super::*;

        nephometer_drivers::for_each_indexer_behaviour!($indexer);
        nephometer_drivers::for_each_catalog_behaviour!($catalog);

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn deleted_metrics_are_dead_series() {
            let fresh = $open().await;
            catalog::deleted_metrics_are_dead_series(&fresh.index, &fresh.index).await;
        }
    };
}

macro_rules! sqlite_indexer {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            indexer::$name(&support::sqlite().await.index).await;
        }
    )*};
}

macro_rules! sqlite_catalog {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            check_catalog(&support::sqlite().await.index, catalog::$name);
        }
    )*};
}

macro_rules! postgres_indexer {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            indexer::$name(&support::postgres().await.index).await;
        }
    )*};
}

macro_rules! postgres_catalog {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            check_catalog(&support::postgres().await.index, catalog::$name);
        }
    )*};
}

mod sqlite {
    suites!(support::sqlite, sqlite_indexer, sqlite_catalog);
}

mod postgres {
    suites!(support::postgres, postgres_indexer, postgres_catalog);
}
