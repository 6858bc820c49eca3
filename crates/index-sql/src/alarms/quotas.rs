//! Quotas: how many alarms a project or a user may have.

use nephometer_drivers::{ALARM_SHARES, AlarmLimits, AlarmStoreError};
use nephometer_model::{Alarm, Quota};

use super::rows::stored;
use crate::Failure;
use crate::session::{Session, query_one, query_opt};
use crate::value::{Batch, ColumnType, Row, Value};

/// The resource that alarms are to quotas.
const ALARMS: &str = "alarms";

const QUOTAS: [(&str, ColumnType); 3] =
    [("project_id", ColumnType::Text), ("resource", ColumnType::Text), ("maximum", ColumnType::Int)];

/// A project or a user may have so many alarms.
pub(super) struct Bound {
    column: &'static str,
    id: String,
    maximum: u64,
}

impl Bound {
    /// The share that is held while alarms of the owner are counted: any will do, if it is always the same.
    pub(super) fn guard(&self) -> i64 {
        let hash = self.id.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        (hash % u64::from(ALARM_SHARES)).cast_signed()
    }
}

/// What bounds a new alarm. A quota that changes at the same moment may or may not count.
pub(super) async fn bounds(
    session: &mut dyn Session,
    alarm: &Alarm,
    limits: AlarmLimits,
) -> Result<Vec<Bound>, Failure> {
    let mut bounds = Vec::new();
    if let Some(project) = &alarm.project_id {
        let sql = "SELECT q.maximum FROM alarm_quota q WHERE q.project_id = $1 AND q.resource = $2";
        let row = query_opt(session, sql, &[project.into(), ALARMS.into()]).await?;
        let maximum = match row {
            Some(mut row) => row.opt_int()?.map(i64::cast_unsigned),
            None => limits.project,
        };
        bounds.extend(maximum.map(|maximum| Bound { column: "project_id", id: project.clone(), maximum }));
    }
    if let (Some(user), Some(maximum)) = (&alarm.user_id, limits.user) {
        bounds.push(Bound { column: "user_id", id: user.clone(), maximum });
    }
    Ok(bounds)
}

/// Whether there is room for one more alarm; to be asked while the guards are held.
pub(super) async fn check(session: &mut dyn Session, bounds: &[Bound]) -> Result<(), Failure> {
    for Bound { column, id, maximum } in bounds {
        let maximum = i64::try_from(*maximum).unwrap_or(i64::MAX);
        // Nobody has to count further than there is room.
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM alarm a WHERE a.{column} = $1 LIMIT $2) c");
        if query_one(session, &sql, &[id.into(), maximum.into()]).await?.int()? >= maximum {
            return Err(AlarmStoreError::QuotaExceeded.into());
        }
    }
    Ok(())
}

fn read(mut row: Row) -> Result<Quota, Failure> {
    Ok(Quota {
        project_id: row.text()?,
        resource: row.text()?,
        limit: row.opt_int()?.map(i64::cast_unsigned),
    })
}

pub(super) async fn list(session: &mut dyn Session, project_id: &str) -> Result<Vec<Quota>, Failure> {
    let sql = "SELECT q.project_id, q.resource, q.maximum FROM alarm_quota q WHERE q.project_id = $1 \
               ORDER BY q.resource";
    session.query(sql, &[stored(project_id)]).await?.into_iter().map(read).collect()
}

pub(super) async fn set(
    session: &mut dyn Session,
    (project_id, quotas): &(String, Vec<Quota>),
) -> Result<Vec<Quota>, Failure> {
    let mut batch = Batch::new(&QUOTAS);
    for (place, quota) in quotas.iter().enumerate() {
        // Of several for one resource the last one counts.
        if quotas[place + 1..].iter().all(|later| later.resource != quota.resource) {
            let maximum = quota.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
            batch.push(vec![stored(project_id), stored(&quota.resource), maximum.into()]);
        }
    }
    let sql = "INSERT INTO alarm_quota (project_id, resource, maximum) \
               SELECT v.project_id, v.resource, v.maximum FROM {rows} WHERE 1 = 1 \
               ON CONFLICT (project_id, resource) DO UPDATE SET maximum = excluded.maximum";
    session.execute_batch(sql, &batch).await?;
    list(session, project_id).await
}

pub(super) async fn delete(session: &mut dyn Session, project_id: &str) -> Result<(), Failure> {
    let params: [Value; 1] = [stored(project_id)];
    session.execute("DELETE FROM alarm_quota WHERE project_id = $1", &params).await.map(drop)
}
