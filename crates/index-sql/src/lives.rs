//! When resources ended, for expiry: short rows in the order of the index of ends.

use std::collections::HashMap;

use nephometer_drivers::{LifeQuery, LifeState, ResourceLife};
use nephometer_model::{ResourceId, SeriesKey, Timestamp};

use crate::Failure;
use crate::session::Session;
use crate::value::Value;

pub(crate) async fn list(session: &mut dyn Session, query: &LifeQuery) -> Result<Vec<ResourceLife>, Failure> {
    let (sql, params) = statement(query);
    let mut pks = Vec::new();
    let mut lives = Vec::new();
    for mut row in session.query(&sql, &params).await? {
        pks.push(row.int()?);
        lives.push(ResourceLife {
            id: ResourceId(row.uuid()?),
            ended_at: row.opt_int()?.map(Timestamp::from_micros),
            revision_start: Timestamp::from_micros(row.int()?),
            series: Vec::new(),
        });
    }
    if query.with_series {
        let mut series = series_of(session, &pks).await?;
        for (life, pk) in lives.iter_mut().zip(&pks) {
            life.series = series.remove(pk).unwrap_or_default();
        }
    }
    Ok(lives)
}

/// Both orders are that of the index of ends, where open resources are those without one.
fn statement(query: &LifeQuery) -> (String, Vec<Value>) {
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let bound = match query.state {
        LifeState::Open { unchanged_since } => unchanged_since,
        LifeState::Ended { before } => before,
    };
    let mut params: Vec<Value> = vec![bound.micros().into(), limit.into()];
    let condition = match (query.state, query.after) {
        (LifeState::Open { .. }, None) => "r.ended_at IS NULL AND r.revision_start < $1",
        (LifeState::Open { .. }, Some((_, id))) => {
            params.push(id.0.into());
            "r.ended_at IS NULL AND r.id > $3 AND r.revision_start < $1"
        }
        (LifeState::Ended { .. }, Some((Some(end), id))) => {
            params.extend([end.micros().into(), id.0.into()]);
            "(r.ended_at, r.id) > ($3, $4) AND r.ended_at < $1"
        }
        (LifeState::Ended { .. }, _) => "r.ended_at < $1",
    };
    let sql = format!(
        "SELECT r.pk, r.id, r.ended_at, r.revision_start FROM resource r WHERE {condition} \
         ORDER BY r.ended_at, r.id LIMIT $2"
    );
    (sql, params)
}

/// The series of resources by the keys of these, each list ascending.
async fn series_of(session: &mut dyn Session, pks: &[i64]) -> Result<HashMap<i64, Vec<SeriesKey>>, Failure> {
    let condition = session.dialect().any_of("m.resource_pk", "$1", false);
    let sql = format!("SELECT m.resource_pk, m.key FROM metric m WHERE {condition}");
    let mut series: HashMap<i64, Vec<SeriesKey>> = HashMap::with_capacity(pks.len());
    for mut row in session.query(&sql, &[Value::Ints(pks.to_vec())]).await? {
        let (pk, key) = (row.int()?, row.int()?);
        series.entry(pk).or_default().push(SeriesKey(key.cast_unsigned()));
    }
    for keys in series.values_mut() {
        keys.sort_unstable();
    }
    Ok(series)
}
