//! The outbox: messages that wait for their delivery, or were given up.

use std::time::Duration;

use nephometer_drivers::{Delivery, DeliveryEnd, NewDelivery, OutboxCounts};
use nephometer_model::{AlarmId, Timestamp};
use uuid::Uuid;

use super::rows::stored;
use super::targets;
use crate::Failure;
use crate::session::{Session, query_one};
use crate::value::{Batch, ColumnType, Row, Value};

const MESSAGES: [(&str, ColumnType); 9] = [
    ("id", ColumnType::Uuid),
    ("alarm_id", ColumnType::Text),
    ("project_id", ColumnType::Text),
    ("target", ColumnType::Int),
    ("action", ColumnType::Text),
    ("payload", ColumnType::Text),
    ("not_before", ColumnType::Int),
    ("group_key", ColumnType::Text),
    ("created_at", ColumnType::Int),
];
const FAILURES: [(&str, ColumnType); 3] =
    [("pk", ColumnType::Int), ("last_error", ColumnType::Text), ("dead_at", ColumnType::Int)];
const COLUMNS: &str = "o.id, o.alarm_id, o.project_id, o.action, o.payload, o.not_before, o.group_key, \
                       o.created_at, o.attempts, o.last_error";

/// One number for an alarm and one of its actions. Two of them may have the same: then messages wait for each other.
fn target(message: &NewDelivery) -> i64 {
    let bytes = message.alarm_id.0.bytes().chain([0]).chain(message.action.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.cast_signed()
}

fn batch<'a>(now: Timestamp, messages: impl Iterator<Item = &'a NewDelivery>) -> Batch {
    let opt = |text: &Option<String>| text.as_deref().map_or(Value::Null, stored);
    let mut batch = Batch::new(&MESSAGES);
    for message in messages {
        batch.push(vec![
            message.id.into(),
            stored(&message.alarm_id.0),
            opt(&message.project_id),
            target(message).into(),
            stored(&message.action),
            stored(&message.payload),
            message.not_before.micros().into(),
            opt(&message.group),
            now.micros().into(),
        ]);
    }
    batch
}

/// Adds messages that are new.
pub(super) async fn insert<'a>(
    session: &mut dyn Session,
    messages: impl Iterator<Item = &'a NewDelivery> + Clone,
) -> Result<(), Failure> {
    let batch = batch(session.shared().clock.now(), messages.clone());
    session.insert("outbox", &batch).await?;
    targets::expect(session, messages.map(|message| (target(message), message.not_before))).await
}

/// Adds messages of which some may be known.
pub(super) async fn add(session: &mut dyn Session, messages: &[NewDelivery]) -> Result<(), Failure> {
    let batch = batch(session.shared().clock.now(), messages.iter());
    let added = session.insert_new("outbox", "pk", &batch).await?;
    let added = messages.iter().filter(|message| added.contains_key(&message.id));
    targets::expect(session, added.map(|message| (target(message), message.not_before))).await
}

/// A message whose row begins with [`COLUMNS`].
fn read(row: &mut Row) -> Result<Delivery, Failure> {
    let message = NewDelivery {
        id: row.uuid()?,
        alarm_id: AlarmId(row.text()?),
        project_id: row.opt_text()?,
        action: row.text()?,
        payload: row.text()?,
        not_before: Timestamp::from_micros(row.int()?),
        group: row.opt_text()?,
    };
    Ok(Delivery {
        message,
        created_at: Timestamp::from_micros(row.int()?),
        attempts: u32::try_from(row.int()?).unwrap_or(u32::MAX),
        last_error: row.opt_text()?,
    })
}

pub(super) async fn take(
    session: &mut dyn Session,
    (member, length, limit): &(Uuid, Duration, u32),
) -> Result<Vec<Delivery>, Failure> {
    let now = session.shared().clock.now().micros();
    let due = targets::due(session, now, *limit).await?;
    if due.rows.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS}, o.pk, v.target, v.due_at FROM {{rows}} JOIN outbox o ON o.pk = \
         (SELECT min(e.pk) FROM outbox e WHERE e.target = v.target AND e.dead_at IS NULL)"
    );
    let (mut taken, mut heads) = (Vec::new(), Vec::new());
    for mut row in session.query_batch(&sql, &due).await? {
        let delivery = read(&mut row)?;
        let (pk, target) = (row.int()?, row.int()?);
        heads.push((target, pk));
        taken.push((row.int()?, pk, delivery));
    }
    let until = now.saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
    targets::hold(session, heads, *member, until).await?;
    taken.sort_by_key(|(due_at, pk, _)| (*due_at, *pk));
    Ok(taken.into_iter().map(|(_, _, delivery)| delivery).collect())
}

pub(super) async fn end(
    session: &mut dyn Session,
    (member, ends): &(Uuid, Vec<(Uuid, DeliveryEnd)>),
) -> Result<(), Failure> {
    let now = session.shared().clock.now().micros();
    let held = targets::held(session, *member, ends.iter().map(|(id, _)| *id).collect()).await?;
    let (mut delivered, mut failed) = (Vec::new(), Batch::new(&FAILURES));
    let (mut free, mut later) = (Vec::new(), Vec::new());
    for (id, end) in ends {
        let Some(&(pk, target)) = held.get(id) else { continue };
        match end {
            DeliveryEnd::Delivered => delivered.push(pk),
            DeliveryEnd::Retry { error, .. } => failed.push(vec![pk.into(), stored(error), Value::Null]),
            DeliveryEnd::Dead { error } => failed.push(vec![pk.into(), stored(error), now.into()]),
            DeliveryEnd::Returned { .. } => {}
        }
        match end {
            DeliveryEnd::Retry { at, .. } | DeliveryEnd::Returned { at } => later.push((target, at.micros())),
            DeliveryEnd::Delivered | DeliveryEnd::Dead { .. } => free.push(target),
        }
    }
    let condition = session.dialect().any_of("pk", "$1", false);
    let sql = format!("DELETE FROM outbox WHERE {condition}");
    session.execute(&sql, &[Value::Ints(delivered)]).await?;
    let sql = "UPDATE outbox SET attempts = attempts + 1, last_error = v.last_error, dead_at = v.dead_at \
               FROM {rows} WHERE outbox.pk = v.pk";
    session.execute_batch(sql, &failed).await?;
    targets::postpone(session, later).await?;
    targets::release(session, free).await
}

/// Forgets all messages of an alarm.
pub(super) async fn forget(session: &mut dyn Session, id: &AlarmId) -> Result<(), Failure> {
    let id = Value::from(&id.0);
    let sql = "SELECT DISTINCT o.target FROM outbox o WHERE o.alarm_id = $1 AND o.dead_at IS NULL";
    let rows = session.query(sql, std::slice::from_ref(&id)).await?;
    let targets = rows.into_iter().map(|mut row| row.int()).collect::<Result<Vec<_>, _>>()?;
    session.execute("DELETE FROM outbox WHERE alarm_id = $1", &[id]).await?;
    if targets.is_empty() { Ok(()) } else { targets::release(session, targets).await }
}

pub(super) async fn dead(session: &mut dyn Session, limit: &u32) -> Result<Vec<Delivery>, Failure> {
    let sql =
        format!("SELECT {COLUMNS} FROM outbox o WHERE o.dead_at IS NOT NULL ORDER BY o.pk DESC LIMIT $1");
    let rows = session.query(&sql, &[i64::from(*limit).into()]).await?;
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

pub(super) async fn revive(session: &mut dyn Session, ids: &Option<Vec<Uuid>>) -> Result<u64, Failure> {
    let now = session.shared().clock.now();
    let mut condition = "dead_at IS NOT NULL".to_owned();
    let mut params = Vec::new();
    if let Some(ids) = ids {
        condition.push_str(&format!(" AND {}", session.dialect().any_of("id", "$1", false)));
        params.push(Value::Uuids(ids.clone()));
    }
    let sql = format!("SELECT pk, target FROM outbox WHERE {condition} ORDER BY pk {{lock}}");
    let (mut keys, mut targets) = (Vec::new(), Vec::new());
    for mut row in session.query(&sql, &params).await? {
        keys.push(row.int()?);
        targets.push((row.int()?, now));
    }
    let condition = session.dialect().any_of("pk", "$1", false);
    let sql = format!("UPDATE outbox SET dead_at = NULL, attempts = 0 WHERE {condition}");
    let revived = session.execute(&sql, &[Value::Ints(keys)]).await?;
    targets::hasten(session, targets.into_iter()).await?;
    Ok(revived)
}

/// Forgets messages that were given up before.
pub(super) async fn expire(session: &mut dyn Session, before: &Timestamp) -> Result<u64, Failure> {
    let sql = "DELETE FROM outbox WHERE dead_at < $1";
    session.execute(sql, &[before.micros().into()]).await
}

pub(super) async fn counts(session: &mut dyn Session) -> Result<OutboxCounts, Failure> {
    let sql = "SELECT (SELECT count(*) FROM outbox o WHERE o.dead_at IS NULL), \
               (SELECT min(o.created_at) FROM outbox o WHERE o.dead_at IS NULL), \
               (SELECT count(*) FROM outbox o WHERE o.dead_at IS NOT NULL)";
    let mut row = query_one(session, sql, &[]).await?;
    Ok(OutboxCounts {
        waiting: row.int()?.cast_unsigned(),
        oldest: row.opt_int()?.map(Timestamp::from_micros),
        dead: row.int()?.cast_unsigned(),
    })
}
