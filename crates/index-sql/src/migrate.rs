//! The schema and how it changes: numbered steps in each database's own words, each applied once, in order.

use deadpool_postgres::{Client, Transaction};
use nephometer_model::with_causes;
use rusqlite::Connection;

use crate::OpenError;

/// The steps: SQLite's text and PostgreSQL's. Released steps never change; new ones are added at the end.
const STEPS: [(&str, &str); 7] = [
    (include_str!("migrations/sqlite/0001_index.sql"), include_str!("migrations/postgres/0001_index.sql")),
    (
        include_str!("migrations/sqlite/0002_attribute_order.sql"),
        include_str!("migrations/postgres/0002_attribute_order.sql"),
    ),
    (
        include_str!("migrations/sqlite/0003_covering.sql"),
        include_str!("migrations/postgres/0003_covering.sql"),
    ),
    (include_str!("migrations/sqlite/0004_alarms.sql"), include_str!("migrations/postgres/0004_alarms.sql")),
    (
        include_str!("migrations/sqlite/0005_notifiers.sql"),
        include_str!("migrations/postgres/0005_notifiers.sql"),
    ),
    (include_str!("migrations/sqlite/0006_groups.sql"), include_str!("migrations/postgres/0006_groups.sql")),
    (
        include_str!("migrations/sqlite/0007_searches.sql"),
        include_str!("migrations/postgres/0007_searches.sql"),
    ),
];

/// What [`make_trigrams`] makes.
const TRIGRAMS: &str =
    concat!("CREATE EXTENSION IF NOT EXISTS pg_trgm;\n", include_str!("migrations/postgres/trigrams.sql"));

/// Serialises schema changes of all processes at one PostgreSQL database; the number means nothing.
const ADVISORY_LOCK: i64 = 0x6e65_7068_6f6d_6574;

/// The version of the schema that this program knows.
fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// The steps after `version`, with the version that each leads to.
fn pending(
    version: i64,
) -> Result<impl Iterator<Item = (i64, &'static (&'static str, &'static str))>, OpenError> {
    if version > known() {
        return Err(OpenError::NewerSchema { found: version, known: known() });
    }
    let skip = usize::try_from(version).unwrap_or_default();
    Ok((1..).zip(STEPS.iter()).skip(skip))
}

/// Brings an SQLite database up to date.
pub(crate) fn sqlite(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY) STRICT",
    )?;
    let version =
        transaction.query_row("SELECT coalesce(max(version), 0) FROM schema_version", (), |row| {
            row.get::<_, i64>(0)
        })?;
    for (number, (text, _)) in pending(version)? {
        transaction.execute_batch(text)?;
        transaction.execute("INSERT INTO schema_version (version) VALUES (?1)", [number])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Brings a PostgreSQL database up to date; processes that start together take turns.
pub(crate) async fn postgres(client: &mut Client) -> Result<(), OpenError> {
    let failed = |error: tokio_postgres::Error| OpenError::Database(with_causes(&error));
    let mut transaction = client.transaction().await.map_err(failed)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ADVISORY_LOCK]).await.map_err(failed)?;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)")
        .await
        .map_err(failed)?;
    let row = transaction
        .query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[])
        .await
        .map_err(failed)?;
    for (number, (_, text)) in pending(row.get(0))? {
        transaction.batch_execute(text).await.map_err(failed)?;
        transaction
            .execute("INSERT INTO schema_version (version) VALUES ($1)", &[&number])
            .await
            .map_err(failed)?;
    }
    make_trigrams(&mut transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Makes the index of parts of texts where it is not there yet and PostgreSQL's extension for it can be had: that may
/// change from one start to the next. Without it all works, and patterns that match little take longer.
async fn make_trigrams(transaction: &mut Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    let sql = "SELECT to_regclass('resource_attribute_by_trigram') IS NULL";
    if !transaction.query_one(sql, &[]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let savepoint = transaction.transaction().await?;
    match savepoint.batch_execute(TRIGRAMS).await {
        Ok(()) => savepoint.commit().await,
        Err(error) => {
            savepoint.rollback().await?;
            let reason = with_causes(&error);
            tracing::info!(reason, "the index does without PostgreSQL's extension pg_trgm");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrates_once_and_refuses_what_is_newer() {
        let mut connection = Connection::open_in_memory().unwrap();
        sqlite(&mut connection).unwrap();
        sqlite(&mut connection).unwrap();
        connection.execute("INSERT INTO schema_version (version) VALUES (?1)", [known() + 1]).unwrap();
        let error = sqlite(&mut connection).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the database has schema version {}, this program knows only {}", known() + 1, known())
        );
    }
}
