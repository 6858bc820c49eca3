//! Targets of messages: where the first message that waits is due, so that nobody looks at those behind it.
//!
//! Whoever adds messages, or ends their delivery, holds the rows of their targets, in the order of these.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use crate::Failure;
use crate::session::{Dialect, Session};
use crate::value::{Batch, ColumnType, Value};

const DUE: [(&str, ColumnType); 2] = [("target", ColumnType::Int), ("due_at", ColumnType::Int)];
const HEADS: [(&str, ColumnType); 5] = [
    ("target", ColumnType::Int),
    ("head", ColumnType::Int),
    ("tail", ColumnType::Int),
    ("holder", ColumnType::Uuid),
    ("due_at", ColumnType::Int),
];

async fn note(
    session: &mut dyn Session,
    times: impl Iterator<Item = (i64, i64)>,
    where_known: &str,
) -> Result<(), Failure> {
    let mut first = BTreeMap::new();
    for (target, time) in times {
        first.entry(target).or_insert(time);
    }
    let mut batch = Batch::new(&DUE);
    for (target, due_at) in first {
        batch.push(vec![target.into(), due_at.into()]);
    }
    let sql = format!(
        "INSERT INTO outbox_target (target, due_at) SELECT v.target, v.due_at FROM {{rows}} WHERE 1 = 1 \
         ORDER BY v.target ON CONFLICT (target) DO UPDATE SET due_at = {where_known}"
    );
    session.execute_batch(&sql, &batch).await.map(drop)
}

/// Messages were added to the end: each target with its first one's time.
pub(super) async fn expect(
    session: &mut dyn Session,
    times: impl Iterator<Item = (i64, i64)>,
) -> Result<(), Failure> {
    note(session, times, "outbox_target.due_at").await
}

/// Messages that came before those that wait are to be delivered at a time.
pub(super) async fn hasten(
    session: &mut dyn Session,
    times: impl Iterator<Item = (i64, i64)>,
) -> Result<(), Failure> {
    let unless_held =
        "CASE WHEN outbox_target.holder IS NULL THEN excluded.due_at ELSE outbox_target.due_at END";
    note(session, times, unless_held).await
}

/// Targets that are due, with the time since when, and that nobody else is just looking at; first those whose messages
/// members have that are not among the living.
pub(super) async fn due(
    session: &mut dyn Session,
    now: i64,
    living: Vec<Uuid>,
    limit: u32,
) -> Result<Batch, Failure> {
    let (mut seen, mut batch) = (HashSet::new(), Batch::new(&DUE));
    for target in orphaned(session, living, limit).await? {
        seen.insert(target);
        batch.push(vec![target.into(), i64::MIN.into()]);
    }
    let sql = format!(
        "SELECT t.target, t.due_at FROM outbox_target t WHERE t.due_at <= $1 ORDER BY t.due_at, t.target \
         LIMIT $2 {}",
        unless_locked(session, "")
    );
    let room = i64::from(limit) - batch.rows.len() as i64;
    for mut row in session.query(&sql, &[now.into(), room.into()]).await? {
        let (target, due_at) = (row.int()?, row.int()?);
        if !seen.contains(&target) {
            batch.push(vec![target.into(), due_at.into()]);
        }
    }
    Ok(batch)
}

/// Targets whose first message a member has that is not among the living.
async fn orphaned(session: &mut dyn Session, living: Vec<Uuid>, limit: u32) -> Result<Vec<i64>, Failure> {
    let is_dead = session.dialect().any_of("t.holder", "$1", true);
    let sql = format!(
        "SELECT t.target FROM outbox_target t WHERE t.holder IS NOT NULL AND {is_dead} LIMIT $2 {}",
        unless_locked(session, "")
    );
    let params = [Value::Uuids(living), i64::from(limit).into()];
    session.query(&sql, &params).await?.into_iter().map(|mut row| row.int()).collect()
}

/// What ends a search that holds the rows found, or those of the tables named, and leaves out what another transaction
/// holds.
pub(super) fn unless_locked(session: &dyn Session, tables: &str) -> String {
    match session.dialect() {
        Dialect::Sqlite => String::new(),
        Dialect::Postgres => format!("FOR UPDATE {tables} SKIP LOCKED"),
    }
}

/// A member has the first messages of targets, from one message to another, until a time.
pub(super) async fn hold(
    session: &mut dyn Session,
    spans: &BTreeMap<i64, (i64, i64)>,
    member: Uuid,
    until: i64,
) -> Result<(), Failure> {
    let mut batch = Batch::new(&HEADS);
    for (&target, &(head, tail)) in spans {
        batch.push(vec![target.into(), head.into(), tail.into(), member.into(), until.into()]);
    }
    let sql = "UPDATE outbox_target SET head = v.head, tail = v.tail, holder = v.holder, due_at = v.due_at \
               FROM {rows} WHERE outbox_target.target = v.target";
    session.execute_batch(sql, &batch).await.map(drop)
}

/// Which of the messages a member still has: their keys and targets.
pub(super) async fn held(
    session: &mut dyn Session,
    member: Uuid,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, (i64, i64)>, Failure> {
    let condition = session.dialect().any_of("o.id", "$2", false);
    let sql = format!(
        "SELECT o.id, o.pk, o.target FROM outbox o \
         JOIN outbox_target t ON t.target = o.target AND o.pk BETWEEN t.head AND t.tail \
         WHERE t.holder = $1 AND {condition} ORDER BY o.target {{lock}}"
    );
    let rows = session.query(&sql, &[member.into(), Value::Uuids(ids)]).await?;
    rows.into_iter().map(|mut row| Ok((row.uuid()?, (row.int()?, row.int()?)))).collect()
}

/// The first messages of targets are tried again at a time.
pub(super) async fn postpone(session: &mut dyn Session, times: Vec<(i64, i64)>) -> Result<(), Failure> {
    let mut batch = Batch::new(&DUE);
    for (target, due_at) in times {
        batch.push(vec![target.into(), due_at.into()]);
    }
    let sql = "UPDATE outbox_target SET due_at = v.due_at, head = NULL, tail = NULL, holder = NULL \
               FROM {rows} WHERE outbox_target.target = v.target";
    session.execute_batch(sql, &batch).await.map(drop)
}

/// The first messages of targets are gone: the next ones follow.
pub(super) async fn release(session: &mut dyn Session, targets: Vec<i64>) -> Result<(), Failure> {
    let condition = session.dialect().any_of("target", "$1", false);
    let targets = Value::Ints(targets);
    let waiting = "outbox o WHERE o.target = outbox_target.target AND o.dead_at IS NULL";
    let sql = format!("DELETE FROM outbox_target WHERE {condition} AND NOT EXISTS (SELECT 1 FROM {waiting})");
    session.execute(&sql, std::slice::from_ref(&targets)).await?;
    let sql = format!(
        "UPDATE outbox_target SET head = NULL, tail = NULL, holder = NULL, \
         due_at = (SELECT o.not_before + o.wait FROM {waiting} ORDER BY o.pk LIMIT 1) WHERE {condition}"
    );
    session.execute(&sql, &[targets]).await.map(drop)
}
