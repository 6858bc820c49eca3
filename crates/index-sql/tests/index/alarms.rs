//! The suites of alarms and leases, on SQLite and on a real PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::conformance::{NOW, alarms, leases};
use nephometer_index_sql::{PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::ManualClock;

use crate::support;

/// An index on SQLite, and the clock by which its leases end.
pub(crate) fn sqlite() -> (tempfile::TempDir, SqlIndex, Arc<ManualClock>) {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(NOW));
    let settings = SqliteSettings { readers: 2, ..SqliteSettings::at(directory.path().join("index.sqlite")) };
    let index = SqlIndex::open_sqlite(&settings, clock.clone()).unwrap();
    (directory, index, clock)
}

/// An index on PostgreSQL, whose clock nobody can move.
pub(crate) async fn postgres() -> SqlIndex {
    let settings =
        PostgresSettings { connections: 4, ..PostgresSettings::at(support::fresh_postgres().await) };
    SqlIndex::connect_postgres(&settings, support::clock()).await.unwrap()
}

fn advance(clock: &ManualClock, span: Duration) {
    clock.advance_ns(i64::try_from(span.as_nanos()).unwrap());
}

fn sleep(span: Duration) {
    tokio::task::block_in_place(|| std::thread::sleep(span));
}

macro_rules! on_sqlite {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            alarms::$name(&sqlite().1).await;
        }
    )*};
}

macro_rules! on_postgres {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            alarms::$name(&postgres().await).await;
        }
    )*};
}

macro_rules! outbox_on_sqlite {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (_directory, index, clock) = sqlite();
            alarms::$name(&index, &index, &|span| advance(&clock, span)).await;
        }
    )*};
}

macro_rules! outbox_on_postgres {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let index = postgres().await;
            alarms::$name(&index, &index, &sleep).await;
        }
    )*};
}

macro_rules! leases_on_sqlite {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (_directory, index, clock) = sqlite();
            leases::$name(&index, &|span| advance(&clock, span)).await;
        }
    )*};
}

macro_rules! leases_on_postgres {
    ($($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            leases::$name(&postgres().await, &sleep).await;
        }
    )*};
}

mod embedded {
    use super::*;

    nephometer_drivers::for_each_alarm_behaviour!(on_sqlite);
    nephometer_drivers::for_each_outbox_behaviour!(outbox_on_sqlite);
    nephometer_drivers::for_each_lease_behaviour!(leases_on_sqlite);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn fences_keep_former_holders_out() {
        let (_directory, index, clock) = sqlite();
        leases::fences_keep_former_holders_out(&index, &index, &|span| advance(&clock, span)).await;
    }
}

mod server {
    use super::*;

    nephometer_drivers::for_each_alarm_behaviour!(on_postgres);
    nephometer_drivers::for_each_outbox_behaviour!(outbox_on_postgres);
    nephometer_drivers::for_each_lease_behaviour!(leases_on_postgres);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn fences_keep_former_holders_out() {
        let index = postgres().await;
        leases::fences_keep_former_holders_out(&index, &index, &sleep).await;
    }
}
