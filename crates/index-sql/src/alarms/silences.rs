//! Silences.

use nephometer_drivers::Silence;
use nephometer_model::Timestamp;
use uuid::Uuid;

use super::rows::stored;
use crate::Failure;
use crate::session::Session;
use crate::value::{Row, Value};

pub(super) async fn put(session: &mut dyn Session, silence: &Silence) -> Result<(), Failure> {
    let sql = "INSERT INTO silence (id, project_id, user_id, filter, comment, starts_at, ends_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, user_id = excluded.user_id, \
               filter = excluded.filter, comment = excluded.comment, starts_at = excluded.starts_at, \
               ends_at = excluded.ends_at";
    let id = |id: &Option<String>| id.as_deref().map_or(Value::Null, stored);
    let params: [Value; 7] = [
        silence.id.into(),
        id(&silence.project_id),
        id(&silence.user_id),
        stored(&silence.filter),
        stored(&silence.comment),
        silence.starts_at.micros().into(),
        silence.ends_at.micros().into(),
    ];
    session.execute(sql, &params).await.map(drop)
}

fn read(mut row: Row) -> Result<Silence, Failure> {
    Ok(Silence {
        id: row.uuid()?,
        project_id: row.opt_text()?,
        user_id: row.opt_text()?,
        filter: row.text()?,
        comment: row.text()?,
        starts_at: Timestamp::from_micros(row.int()?),
        ends_at: Timestamp::from_micros(row.int()?),
    })
}

pub(super) async fn list(
    session: &mut dyn Session,
    (project_id, now): &(Option<String>, Timestamp),
) -> Result<Vec<Silence>, Failure> {
    let of_project = if project_id.is_some() { " AND s.project_id = $2" } else { "" };
    let sql = format!(
        "SELECT s.id, s.project_id, s.user_id, s.filter, s.comment, s.starts_at, s.ends_at FROM silence s \
         WHERE s.ends_at > $1{of_project} ORDER BY s.starts_at, s.id"
    );
    let mut params = vec![Value::from(now.micros())];
    params.extend(project_id.iter().map(|id| stored(id)));
    session.query(&sql, &params).await?.into_iter().map(read).collect()
}

pub(super) async fn delete(session: &mut dyn Session, id: &Uuid) -> Result<bool, Failure> {
    let sql = "DELETE FROM silence WHERE id = $1";
    session.execute(sql, &[(*id).into()]).await.map(|deleted| deleted > 0)
}

/// Forgets silences that ended before.
pub(super) async fn expire(session: &mut dyn Session, before: &Timestamp) -> Result<u64, Failure> {
    session.execute("DELETE FROM silence WHERE ends_at < $1", &[before.micros().into()]).await
}
