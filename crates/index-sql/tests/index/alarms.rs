//! The suites of alarms and leases, on SQLite and on a real PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::AlarmStore as _;
use nephometer_drivers::conformance::{NOW, alarms, leases};
use nephometer_index_sql::{PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::ManualClock;
use tokio::sync::Notify;

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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_lost_its_connection_listens_again() {
        let url = support::fresh_postgres().await;
        let settings = PostgresSettings { connections: 1, ..PostgresSettings::at(url.clone()) };
        let index = SqlIndex::connect_postgres(&settings, support::clock()).await.unwrap();
        let wake = Arc::new(Notify::new());
        assert!(index.hear_of_deliveries(&wake));
        wake.notified().await;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let lost = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND query LIKE 'LISTEN %'";
        assert_eq!(client.query(lost, &[]).await.unwrap().len(), 1);
        wake.notified().await;
        client.batch_execute("NOTIFY nephometer_outbox").await.unwrap();
        wake.notified().await;
    }
}
