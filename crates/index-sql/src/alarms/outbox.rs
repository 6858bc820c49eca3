//! The outbox: messages that wait for their delivery, or were given up.

use std::collections::BTreeMap;
use std::time::Duration;

use nephometer_drivers::{
    BUS_ACTION, Delivery, DeliveryEnd, DeliveryGroup, NOTIFIERS, NewDelivery, OutboxCounts,
};
use nephometer_model::{AlarmId, Timestamp};
use uuid::Uuid;

use super::rows::stored;
use super::targets;
use crate::session::{Dialect, Session, query_one};
use crate::value::{Batch, ColumnType, Row, Value};
use crate::{Failure, leases};

/// PostgreSQL's channel on which new messages are told of.
pub(crate) const NEWS: &str = "nephometer_outbox";
const MESSAGES: [(&str, ColumnType); 11] = [
    ("id", ColumnType::Uuid),
    ("alarm_id", ColumnType::Text),
    ("project_id", ColumnType::Text),
    ("target", ColumnType::Int),
    ("action", ColumnType::Text),
    ("payload", ColumnType::Text),
    ("not_before", ColumnType::Int),
    ("group_key", ColumnType::Text),
    ("group_id", ColumnType::Int),
    ("wait", ColumnType::Int),
    ("created_at", ColumnType::Int),
];
const FAILURES: [(&str, ColumnType); 3] =
    [("pk", ColumnType::Int), ("last_error", ColumnType::Text), ("dead_at", ColumnType::Int)];
const COLUMNS: &str = "o.id, o.alarm_id, o.project_id, o.action, o.payload, o.not_before, o.group_key, \
                       o.wait, o.created_at, o.attempts, o.last_error";

/// One number for some texts; other texts may have the same.
fn hash(texts: &[&str]) -> i64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.cast_signed()
}

/// An alarm and one of its actions. Where two have the same number, their messages wait for each other.
fn target(message: &NewDelivery) -> i64 {
    hash(&[&message.alarm_id.0, &message.action])
}

/// What a message may go together with. Where two groups have the same number, who delivers tells them apart.
fn group(message: &NewDelivery) -> Option<i64> {
    let group = message.group.as_ref()?;
    Some(hash(&[message.project_id.as_deref().unwrap_or_default(), &message.action, &group.key]))
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn wait(message: &NewDelivery) -> i64 {
    message.group.as_ref().map_or(0, |group| micros(group.wait))
}

/// The target of a message and when it is sent at the latest, if none is before it.
fn due(message: &NewDelivery) -> (i64, i64) {
    (target(message), message.not_before.micros().saturating_add(wait(message)))
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
            message.group.as_ref().map_or(Value::Null, |group| stored(&group.key)),
            group(message).into(),
            wait(message).into(),
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
    targets::expect(session, messages.map(due)).await?;
    if batch.rows.is_empty() { Ok(()) } else { announce(session).await }
}

/// Tells those who deliver, once this transaction is there to be seen.
async fn announce(session: &mut dyn Session) -> Result<(), Failure> {
    match session.dialect() {
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => session.execute(&format!("NOTIFY {NEWS}"), &[]).await.map(drop),
    }
}

/// Adds messages of which some may be known.
pub(super) async fn add(session: &mut dyn Session, messages: &[NewDelivery]) -> Result<(), Failure> {
    let batch = batch(session.shared().clock.now(), messages.iter());
    let added = session.insert_new("outbox", "pk", &batch).await?;
    let fresh = messages.iter().filter(|message| added.contains_key(&message.id));
    targets::expect(session, fresh.map(due)).await?;
    if added.is_empty() { Ok(()) } else { announce(session).await }
}

/// A message whose row begins with [`COLUMNS`].
fn read(row: &mut Row) -> Result<Delivery, Failure> {
    let group = |key: Option<String>, wait: i64| {
        key.map(|key| DeliveryGroup { key, wait: Duration::from_micros(wait.cast_unsigned()) })
    };
    let message = NewDelivery {
        id: row.uuid()?,
        alarm_id: AlarmId(row.text()?),
        project_id: row.opt_text()?,
        action: row.text()?,
        payload: row.text()?,
        not_before: Timestamp::from_micros(row.int()?),
        group: group(row.opt_text()?, row.int()?),
    };
    Ok(Delivery {
        message,
        created_at: Timestamp::from_micros(row.int()?),
        attempts: u32::try_from(row.int()?).unwrap_or(u32::MAX),
        last_error: row.opt_text()?,
    })
}

/// A message that may be taken.
struct Found {
    pk: i64,
    target: i64,
    group: Option<i64>,
    /// Since when.
    due_at: i64,
    delivery: Delivery,
}

pub(super) async fn take(
    session: &mut dyn Session,
    (member, length, limit): &(Uuid, Duration, u32),
) -> Result<Vec<Delivery>, Failure> {
    let now = session.shared().clock.now().micros();
    let living = leases::living(session, NOTIFIERS).await?;
    if !living.contains(member) {
        return Ok(Vec::new());
    }
    let due = targets::due(session, now, living, *limit).await?;
    if due.rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = heads(session, &due).await?;
    let room = i64::from(*limit) - found.len() as i64;
    if room > 0 {
        add_groups(session, &mut found, now, room).await?;
    }
    found.sort_by_key(|found| (found.due_at, found.pk));
    let mut spans = BTreeMap::new();
    for Found { pk, target, .. } in &found {
        let (head, tail) = spans.entry(*target).or_insert((*pk, *pk));
        (*head, *tail) = ((*head).min(*pk), (*tail).max(*pk));
    }
    targets::hold(session, &spans, *member, now.saturating_add(micros(*length))).await?;
    Ok(found.into_iter().map(|found| found.delivery).collect())
}

/// The first messages of targets.
async fn heads(session: &mut dyn Session, due: &Batch) -> Result<Vec<Found>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS}, o.pk, v.target, o.group_id, v.due_at FROM {{rows}} JOIN outbox o ON o.pk = \
         (SELECT min(e.pk) FROM outbox e WHERE e.target = v.target AND e.dead_at IS NULL)"
    );
    let found = |mut row: Row| {
        let delivery = read(&mut row)?;
        let (pk, target, group) = (row.int()?, row.int()?, row.opt_int()?);
        Ok(Found { pk, target, group, due_at: row.int()?, delivery })
    };
    session.query_batch(&sql, due).await?.into_iter().map(found).collect()
}

/// Adds up to `room` messages that go with those that were found: none of their target before them stays behind.
async fn add_groups(
    session: &mut dyn Session,
    found: &mut Vec<Found>,
    now: i64,
    room: i64,
) -> Result<(), Failure> {
    let mut since = BTreeMap::new();
    for Found { group, due_at, .. } in &*found {
        if let Some(group) = group {
            let first = since.entry(*group).or_insert(*due_at);
            *first = (*first).min(*due_at);
        }
    }
    if since.is_empty() {
        return Ok(());
    }
    let in_groups = session.dialect().any_of("o.group_id", "$1", false);
    let known = session.dialect().any_of("o.pk", "$2", true);
    let sql = format!(
        "SELECT {COLUMNS}, o.pk, o.target, o.group_id FROM outbox o JOIN outbox_target t ON t.target = o.target \
         WHERE {in_groups} AND {known} AND o.dead_at IS NULL AND (t.holder IS NULL OR t.due_at <= $3) \
         AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.target = o.target AND e.pk <= o.pk AND e.dead_at IS NULL \
         AND (e.group_id IS NULL OR e.group_id <> o.group_id OR e.not_before > $3 \
         OR (e.attempts > 0 AND t.due_at > $3))) ORDER BY o.pk LIMIT $4 {}",
        targets::unless_locked(session, "OF t")
    );
    let params = [
        Value::Ints(since.keys().copied().collect()),
        Value::Ints(found.iter().map(|found| found.pk).collect()),
        now.into(),
        room.into(),
    ];
    for mut row in session.query(&sql, &params).await? {
        let delivery = read(&mut row)?;
        let (pk, target, group) = (row.int()?, row.int()?, row.opt_int()?);
        let due_at = group.and_then(|group| since.get(&group)).copied().unwrap_or(now);
        found.push(Found { pk, target, group, due_at, delivery });
    }
    Ok(())
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
    // Of a target's messages some may go while others stay, which then say when it is due.
    free.retain(|target| !later.iter().any(|(postponed, _)| postponed == target));
    targets::postpone(session, later).await?;
    targets::release(session, free).await
}

/// Forgets all messages of an alarm but those to the bus.
pub(super) async fn forget(session: &mut dyn Session, id: &AlarmId) -> Result<(), Failure> {
    let params = [Value::from(&id.0), BUS_ACTION.into()];
    let sql = "SELECT DISTINCT o.target FROM outbox o WHERE o.alarm_id = $1 AND o.action <> $2 \
               AND o.dead_at IS NULL";
    let rows = session.query(sql, &params).await?;
    let targets = rows.into_iter().map(|mut row| row.int()).collect::<Result<Vec<_>, _>>()?;
    session.execute("DELETE FROM outbox WHERE alarm_id = $1 AND action <> $2", &params).await?;
    if targets.is_empty() { Ok(()) } else { targets::release(session, targets).await }
}

pub(super) async fn dead(session: &mut dyn Session, limit: &u32) -> Result<Vec<Delivery>, Failure> {
    let sql =
        format!("SELECT {COLUMNS} FROM outbox o WHERE o.dead_at IS NOT NULL ORDER BY o.pk DESC LIMIT $1");
    let rows = session.query(&sql, &[i64::from(*limit).into()]).await?;
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

pub(super) async fn revive(session: &mut dyn Session, ids: &Option<Vec<Uuid>>) -> Result<u64, Failure> {
    let now = session.shared().clock.now().micros();
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
    if revived > 0 {
        announce(session).await?;
    }
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
