//! The outbox: messages that wait for their delivery, or were given up.

use std::time::Duration;

use nephometer_drivers::{Delivery, DeliveryEnd, NewDelivery, OutboxCounts};
use nephometer_model::{AlarmId, Timestamp};
use uuid::Uuid;

use super::rows::stored;
use crate::Failure;
use crate::session::{Dialect, Session, query_one};
use crate::value::{Batch, ColumnType, Row, Value};

const MESSAGES: [(&str, ColumnType); 10] = [
    ("id", ColumnType::Uuid),
    ("alarm_id", ColumnType::Text),
    ("project_id", ColumnType::Text),
    ("target", ColumnType::Int),
    ("action", ColumnType::Text),
    ("payload", ColumnType::Text),
    ("not_before", ColumnType::Int),
    ("group_key", ColumnType::Text),
    ("created_at", ColumnType::Int),
    ("due_at", ColumnType::Int),
];
const IDS: [(&str, ColumnType); 2] = [("id", ColumnType::Uuid), ("holder", ColumnType::Uuid)];
const ENDS: [(&str, ColumnType); 5] = [
    ("id", ColumnType::Uuid),
    ("holder", ColumnType::Uuid),
    ("due_at", ColumnType::Int),
    ("last_error", ColumnType::Text),
    ("dead", ColumnType::Int),
];
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
            message.not_before.micros().into(),
        ]);
    }
    batch
}

/// Adds messages that are new.
pub(super) async fn insert<'a>(
    session: &mut dyn Session,
    messages: impl Iterator<Item = &'a NewDelivery>,
) -> Result<(), Failure> {
    let batch = batch(session.shared().clock.now(), messages);
    session.insert("outbox", &batch).await
}

/// Adds messages of which some may be known.
pub(super) async fn add(session: &mut dyn Session, messages: &[NewDelivery]) -> Result<(), Failure> {
    let batch = batch(session.shared().clock.now(), messages.iter());
    session.insert_new("outbox", "pk", &batch).await.map(drop)
}

fn read(mut row: Row) -> Result<Delivery, Failure> {
    let row = &mut row;
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
    // What somebody else is just taking is not waited for.
    let lock = match session.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox o WHERE o.dead = 0 AND o.due_at <= $1 AND NOT EXISTS \
         (SELECT 1 FROM outbox e WHERE e.dead = 0 AND e.target = o.target AND e.pk < o.pk) \
         ORDER BY o.due_at, o.pk LIMIT $2 {lock}"
    );
    let rows = session.query(&sql, &[now.into(), i64::from(*limit).into()]).await?;
    let taken = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if taken.is_empty() {
        return Ok(taken);
    }
    let until = now.saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
    let ids = taken.iter().map(|delivery| delivery.message.id).collect();
    let condition = session.dialect().any_of("id", "$3", false);
    let sql = format!("UPDATE outbox SET holder = $1, due_at = $2 WHERE {condition}");
    session.execute(&sql, &[(*member).into(), until.into(), Value::Uuids(ids)]).await?;
    Ok(taken)
}

pub(super) async fn end(
    session: &mut dyn Session,
    (member, ends): &(Uuid, Vec<(Uuid, DeliveryEnd)>),
) -> Result<(), Failure> {
    let now = session.shared().clock.now().micros();
    let (mut delivered, mut others) = (Batch::new(&IDS), Batch::new(&ENDS));
    for (id, end) in ends {
        let (due_at, error, dead) = match end {
            DeliveryEnd::Delivered => {
                delivered.push(vec![(*id).into(), (*member).into()]);
                continue;
            }
            DeliveryEnd::Retry { at, error } => (at.micros(), error, 0),
            DeliveryEnd::Dead { error } => (now, error, 1),
        };
        others.push(vec![(*id).into(), (*member).into(), due_at.into(), stored(error), dead.into()]);
    }
    let sql = "DELETE FROM outbox WHERE (id, holder) IN (SELECT v.id, v.holder FROM {rows}) AND dead = 0";
    session.execute_batch(sql, &delivered).await?;
    let sql = "UPDATE outbox SET holder = NULL, due_at = v.due_at, last_error = v.last_error, dead = v.dead, \
               attempts = attempts + 1 FROM {rows} \
               WHERE outbox.id = v.id AND outbox.holder = v.holder AND outbox.dead = 0";
    session.execute_batch(sql, &others).await.map(drop)
}

pub(super) async fn dead(session: &mut dyn Session, limit: &u32) -> Result<Vec<Delivery>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM outbox o WHERE o.dead = 1 ORDER BY o.pk DESC LIMIT $1");
    session.query(&sql, &[i64::from(*limit).into()]).await?.into_iter().map(read).collect()
}

pub(super) async fn revive(session: &mut dyn Session, ids: &Option<Vec<Uuid>>) -> Result<u64, Failure> {
    let mut sql = "UPDATE outbox SET dead = 0, due_at = $1, attempts = 0 WHERE dead = 1".to_owned();
    let mut params = vec![Value::from(session.shared().clock.now().micros())];
    if let Some(ids) = ids {
        let condition = session.dialect().any_of("id", "$2", false);
        sql.push_str(&format!(" AND {condition}"));
        params.push(Value::Uuids(ids.clone()));
    }
    session.execute(&sql, &params).await
}

/// Forgets messages that were given up before.
pub(super) async fn expire(session: &mut dyn Session, before: &Timestamp) -> Result<u64, Failure> {
    let sql = "DELETE FROM outbox WHERE dead = 1 AND due_at < $1";
    session.execute(sql, &[before.micros().into()]).await
}

pub(super) async fn counts(session: &mut dyn Session) -> Result<OutboxCounts, Failure> {
    let sql = "SELECT (SELECT count(*) FROM outbox o WHERE o.dead = 0), \
               (SELECT min(o.created_at) FROM outbox o WHERE o.dead = 0), \
               (SELECT count(*) FROM outbox o WHERE o.dead = 1)";
    let mut row = query_one(session, sql, &[]).await?;
    Ok(OutboxCounts {
        waiting: row.int()?.cast_unsigned(),
        oldest: row.opt_int()?.map(Timestamp::from_micros),
        dead: row.int()?.cast_unsigned(),
    })
}
