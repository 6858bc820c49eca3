//! Metrics: making, finding, deleting.

mod create;

use std::collections::{HashMap, HashSet};

use nephometer_drivers::IndexError;
use nephometer_model::{Metric, MetricId, Resource, ResourceId, SeriesKey};

use crate::session::Session;
use crate::value::{Batch, ColumnType, Row, Value};
use crate::{Failure, labels, policies, resources};

pub(crate) use create::{ROWS, create, create_or_get};

/// What [`load`] reads from rows of a metric `m`.
pub(crate) const COLUMNS: &str = "m.key, m.id, (SELECT x.text FROM label x WHERE x.pk = m.name_pk) AS name, \
     (SELECT x.text FROM label x WHERE x.pk = m.unit_pk) AS unit, \
     (SELECT x.text FROM creator x WHERE x.pk = m.creator_pk) AS creator, \
     (SELECT x.id FROM resource x WHERE x.pk = m.resource_pk) AS resource_id, m.policy_key, \
     (SELECT x.version FROM archive_policy x WHERE x.key = m.policy_key) AS policy_version";

const IDS: [(&str, ColumnType); 1] = [("id", ColumnType::Uuid)];

/// The metrics of rows of [`COLUMNS`].
pub(crate) async fn load(session: &mut dyn Session, rows: Vec<Row>) -> Result<Vec<Metric>, Failure> {
    let mut found = Vec::with_capacity(rows.len());
    let mut wanted = HashSet::new();
    for mut row in rows {
        let key = SeriesKey(row.int()?.cast_unsigned());
        let id = MetricId(row.uuid()?);
        let (name, unit, creator) = (row.opt_text()?, row.opt_text()?, row.opt_text()?);
        let resource_id = row.opt_uuid()?.map(ResourceId);
        let (policy_key, version) = (row.int()?, row.int()?);
        wanted.insert((policy_key, version));
        found.push((key, id, name, unit, creator, resource_id, policy_key));
    }
    let policies = policies::by_key(session, wanted).await?;
    let metric = |(key, id, name, unit, creator, resource_id, policy_key)| {
        let policy = policies.get(&policy_key).cloned();
        let policy = policy.ok_or_else(|| Failure::Internal("a metric has no policy".to_owned()))?;
        Ok(Metric { id, key, name, unit, creator, resource_id, policy })
    };
    found.into_iter().map(metric).collect()
}

pub(crate) async fn by_id(session: &mut dyn Session, ids: &[MetricId]) -> Result<Vec<Metric>, Failure> {
    let mut ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let sql = format!("SELECT {COLUMNS} FROM {{rows}} JOIN metric m ON m.id = v.id");
    let rows = session.query_batch(&sql, &Batch::of(&IDS, ids)).await?;
    load(session, rows).await
}

pub(crate) async fn with_resource(
    session: &mut dyn Session,
    id: MetricId,
) -> Result<Option<(Metric, Option<Resource>)>, Failure> {
    let Some(metric) = by_id(session, &[id]).await?.pop() else { return Ok(None) };
    let resource = match metric.resource_id {
        Some(id) => resources::by_id(session, &[id]).await?.pop(),
        None => None,
    };
    Ok(Some((metric, resource)))
}

pub(crate) async fn by_name(
    session: &mut dyn Session,
    names: &[(ResourceId, String)],
) -> Result<Vec<Metric>, Failure> {
    let ids: Vec<_> = names.iter().map(|(id, _)| *id).collect();
    let pks = resource_pks(session, &ids).await?;
    let labels = labels::find(session, names.iter().map(|(_, name)| name.as_str()).collect()).await?;
    let pairs: HashSet<_> =
        names.iter().filter_map(|(id, name)| Some((*pks.get(id)?, *labels.get(name)?))).collect();
    by_pair(session, pairs).await
}

const PAIRS: [(&str, ColumnType); 2] = [("resource_pk", ColumnType::Int), ("name_pk", ColumnType::Int)];

/// The metrics of these (resource, name) keys.
async fn by_pair(
    session: &mut dyn Session,
    pairs: impl IntoIterator<Item = (i64, i64)>,
) -> Result<Vec<Metric>, Failure> {
    let mut batch = Batch::new(&PAIRS);
    for (resource_pk, name_pk) in pairs {
        batch.push(vec![resource_pk.into(), name_pk.into()]);
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM {{rows}} JOIN metric m ON m.resource_pk = v.resource_pk AND m.name_pk = v.name_pk"
    );
    let rows = session.query_batch(&sql, &batch).await?;
    load(session, rows).await
}

async fn resource_pks(
    session: &mut dyn Session,
    ids: &[ResourceId],
) -> Result<HashMap<ResourceId, i64>, Failure> {
    let sql = "SELECT r.id, r.pk FROM {rows} JOIN resource r ON r.id = v.id";
    let rows = session.query_batch(sql, &Batch::of(&IDS, resources::unique(ids))).await?;
    rows.into_iter().map(|mut row| Ok((ResourceId(row.uuid()?), row.int()?))).collect()
}

/// All metrics of these resources.
pub(crate) async fn of_resources(session: &mut dyn Session, pks: &[i64]) -> Result<Vec<Metric>, Failure> {
    let condition = session.dialect().any_of("m.resource_pk", "$1", false);
    let sql = format!("SELECT {COLUMNS} FROM metric m WHERE {condition} ORDER BY m.key");
    let rows = session.query(&sql, &[Value::Ints(pks.to_vec())]).await?;
    load(session, rows).await
}

/// Deletes metrics and marks their series dead.
pub(crate) async fn bury(session: &mut dyn Session, metrics: &[Metric]) -> Result<(), Failure> {
    const KEYS: [(&str, ColumnType); 1] = [("key", ColumnType::Int)];
    let keys = metrics.iter().map(|metric| metric.key.0.cast_signed());
    let batch = Batch::of(&KEYS, keys.clone());
    session.execute_batch("INSERT INTO dead_series (series_key) SELECT v.key FROM {rows}", &batch).await?;
    let condition = session.dialect().any_of("key", "$1", false);
    let sql = format!("DELETE FROM metric WHERE {condition}");
    session.execute(&sql, &[Value::Ints(keys.collect())]).await?;
    Ok(())
}

pub(crate) async fn delete(session: &mut dyn Session, id: &MetricId) -> Result<Metric, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM metric m WHERE m.id = $1 {{lock}}");
    let rows = session.query(&sql, &[id.0.into()]).await?;
    let metric = load(session, rows).await?.into_iter().next();
    let metric = metric.ok_or_else(|| Failure::from(IndexError::NoSuchMetric(id.to_string())))?;
    bury(session, std::slice::from_ref(&metric)).await?;
    Ok(metric)
}
