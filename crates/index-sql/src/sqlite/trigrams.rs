//! The index of parts of texts: what came or went waits in a list, and is sorted into it when it is much.

use super::session::SqliteSession;
use crate::Failure;

/// A list of so many texts is looked through in some milliseconds, and sorted in within a few dozen.
const LONG: i64 = if cfg!(test) { 4 } else { 4096 };

/// Sorts the list into the index where it is long. The connection is in no transaction before and after.
pub(super) fn sort_in(session: &SqliteSession) {
    let Err(failure) = sort_in_if_long(session) else { return };
    // Nothing is lost: the list is looked through until it can be sorted in.
    tracing::warn!(error = %failure, "texts wait to be sorted into the index");
    if session.in_transaction() {
        super::threads::finish(session, "ROLLBACK");
    }
}

fn sort_in_if_long(session: &SqliteSession) -> Result<(), Failure> {
    // Keys begin anew when the list is empty.
    if session.whole("SELECT coalesce(max(pk), 0) FROM trigram_change")? < LONG {
        return Ok(());
    }
    session.control("BEGIN IMMEDIATE")?;
    // FTS5 collects what comes in the order of rows, and writes it out where it does not. What it is to forget it is told in
    // the column that has its name.
    session.control(
        "INSERT INTO resource_trigram (resource_trigram, rowid, text) \
         SELECT CASE WHEN is_gone THEN 'delete' END, row, text FROM trigram_change ORDER BY row, pk",
    )?;
    session.control("DELETE FROM trigram_change")?;
    session.control("COMMIT")
}
