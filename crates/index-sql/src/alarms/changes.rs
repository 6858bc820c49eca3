//! Changes of alarms that people make: they are made, replaced, deleted.

use nephometer_drivers::{AlarmLimits, AlarmStoreError, ChangeRecord, NewDelivery};
use nephometer_model::{Alarm, AlarmId};

use super::rows::{ALARM_COLUMNS, alarm_values, change_batch, check, rounded, share_value};
use super::shares::HeldShares;
use super::{outbox, quotas};
use crate::Failure;
use crate::session::{Session, query_opt};
use crate::value::Value;

/// How long it is remembered that an alarm was deleted, in microseconds: a day.
const TOMBSTONE_MICROS: i64 = 86_400_000_000;

/// An alarm to be made.
pub(super) struct Creation {
    pub(super) alarm: Alarm,
    pub(super) record: ChangeRecord,
    pub(super) limits: AlarmLimits,
}

pub(super) async fn create(session: &mut dyn Session, creation: &Creation) -> Result<Alarm, Failure> {
    let alarm = rounded(Alarm { version: 1, ..creation.alarm.clone() });
    check(&alarm)?;
    let bounds = quotas::bounds(session, &alarm, creation.limits).await?;
    let mut held = vec![share_value(&alarm.id)];
    held.extend(bounds.iter().map(quotas::Bound::guard));
    let shares = HeldShares::hold(session, held).await?;
    quotas::check(session, &bounds).await?;
    let revision = shares.next(&alarm.id)?;
    let names: Vec<_> = ALARM_COLUMNS.iter().map(|(name, _)| *name).collect();
    let params: Vec<_> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO alarm ({}) VALUES ({}) ON CONFLICT DO NOTHING",
        names.join(", "),
        params.join(", ")
    );
    if session.execute(&sql, &alarm_values(&alarm, 1, revision)).await? == 0 {
        return Err(AlarmStoreError::Changed.into());
    }
    shares.advance(session, [&alarm.id]).await?;
    keep(session, &creation.record).await?;
    Ok(alarm)
}

/// Keeps what history says of a change, and who is told.
async fn keep(session: &mut dyn Session, record: &ChangeRecord) -> Result<(), Failure> {
    session.insert("alarm_history", &change_batch(&record.change)).await?;
    outbox::insert(session, record.deliveries.iter()).await
}

/// The version of an alarm, which nobody else changes then.
async fn held_version(session: &mut dyn Session, id: &AlarmId) -> Result<i64, Failure> {
    let sql = "SELECT a.version FROM alarm a WHERE a.alarm_id = $1 {lock}";
    let no_such = || Failure::from(AlarmStoreError::NoSuchAlarm(id.clone()));
    if id.0.contains('\0') {
        return Err(no_such());
    }
    query_opt(session, sql, &[(&id.0).into()]).await?.ok_or_else(no_such)?.int()
}

pub(super) async fn update(
    session: &mut dyn Session,
    (alarm, record): &(Alarm, ChangeRecord),
) -> Result<Alarm, Failure> {
    check(alarm)?;
    let shares = HeldShares::hold(session, vec![share_value(&alarm.id)]).await?;
    if held_version(session, &alarm.id).await? != alarm.version {
        return Err(AlarmStoreError::Changed.into());
    }
    let alarm = rounded(Alarm { version: alarm.version + 1, ..alarm.clone() });
    let settings: Vec<_> =
        (1..).zip(&ALARM_COLUMNS).skip(1).map(|(number, (name, _))| format!("{name} = ${number}")).collect();
    let sql = format!("UPDATE alarm SET {} WHERE alarm_id = $1", settings.join(", "));
    session.execute(&sql, &alarm_values(&alarm, alarm.version, shares.next(&alarm.id)?)).await?;
    shares.advance(session, [&alarm.id]).await?;
    keep(session, record).await?;
    Ok(alarm)
}

pub(super) async fn delete(
    session: &mut dyn Session,
    (id, version, deliveries): &(AlarmId, i64, Vec<NewDelivery>),
) -> Result<(), Failure> {
    let share = share_value(id);
    let shares = HeldShares::hold(session, vec![share]).await?;
    if held_version(session, id).await? != *version {
        return Err(AlarmStoreError::Changed.into());
    }
    let now = session.shared().clock.now().micros();
    outbox::forget(session, id).await?;
    session.execute("DELETE FROM alarm WHERE alarm_id = $1", &[(&id.0).into()]).await?;
    let sql = "DELETE FROM alarm_tombstone WHERE share = $1 AND expires_at < $2";
    session.execute(sql, &[share.into(), now.into()]).await?;
    let sql = "INSERT INTO alarm_tombstone (share, revision, alarm_id, expires_at) VALUES ($1, $2, $3, $4)";
    let tombstone: [Value; 4] =
        [share.into(), shares.next(id)?.into(), (&id.0).into(), (now + TOMBSTONE_MICROS).into()];
    session.execute(sql, &tombstone).await?;
    shares.advance(session, [id]).await?;
    outbox::insert(session, deliveries.iter()).await
}
