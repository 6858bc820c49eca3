//! Targets of messages: where the first message that waits is due, so that nobody looks at those behind it.
//!
//! Whoever adds messages, or ends their delivery, holds the rows of their targets, in the order of these.

use std::collections::{BTreeMap, HashMap};

use nephometer_model::Timestamp;
use uuid::Uuid;

use crate::Failure;
use crate::session::{Dialect, Session};
use crate::value::{Batch, ColumnType, Value};

const DUE: [(&str, ColumnType); 2] = [("target", ColumnType::Int), ("due_at", ColumnType::Int)];
const HEADS: [(&str, ColumnType); 4] = [
    ("target", ColumnType::Int),
    ("head", ColumnType::Int),
    ("holder", ColumnType::Uuid),
    ("due_at", ColumnType::Int),
];

async fn note(
    session: &mut dyn Session,
    times: impl Iterator<Item = (i64, Timestamp)>,
    where_known: &str,
) -> Result<(), Failure> {
    let mut first = BTreeMap::new();
    for (target, time) in times {
        first.entry(target).or_insert(time.micros());
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
    times: impl Iterator<Item = (i64, Timestamp)>,
) -> Result<(), Failure> {
    note(session, times, "outbox_target.due_at").await
}

/// Messages that came before those that wait are to be delivered at a time.
pub(super) async fn hasten(
    session: &mut dyn Session,
    times: impl Iterator<Item = (i64, Timestamp)>,
) -> Result<(), Failure> {
    let unless_held =
        "CASE WHEN outbox_target.holder IS NULL THEN excluded.due_at ELSE outbox_target.due_at END";
    note(session, times, unless_held).await
}

/// Targets that are due, with the time since when, and that nobody else is just looking at.
pub(super) async fn due(session: &mut dyn Session, now: i64, limit: u32) -> Result<Batch, Failure> {
    let lock = match session.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    let sql = format!(
        "SELECT t.target, t.due_at FROM outbox_target t WHERE t.due_at <= $1 ORDER BY t.due_at, t.target \
         LIMIT $2 {lock}"
    );
    let mut batch = Batch::new(&DUE);
    for mut row in session.query(&sql, &[now.into(), i64::from(limit).into()]).await? {
        batch.push(vec![row.value()?, row.value()?]);
    }
    Ok(batch)
}

/// A member has the first messages of targets, pairs of target and message, until a time.
pub(super) async fn hold(
    session: &mut dyn Session,
    heads: Vec<(i64, i64)>,
    member: Uuid,
    until: i64,
) -> Result<(), Failure> {
    let mut batch = Batch::new(&HEADS);
    for (target, head) in heads {
        batch.push(vec![target.into(), head.into(), member.into(), until.into()]);
    }
    let sql = "UPDATE outbox_target SET head = v.head, holder = v.holder, due_at = v.due_at \
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
         JOIN outbox_target t ON t.target = o.target AND t.head = o.pk \
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
    let sql = "UPDATE outbox_target SET due_at = v.due_at, head = NULL, holder = NULL \
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
        "UPDATE outbox_target SET head = NULL, holder = NULL, \
         due_at = (SELECT o.not_before FROM {waiting} ORDER BY o.pk LIMIT 1) WHERE {condition}"
    );
    session.execute(&sql, &[targets]).await.map(drop)
}
