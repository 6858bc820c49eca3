//! Named metrics of a resource: made, moved, detached.

use std::collections::{BTreeMap, BTreeSet};

use nephometer_drivers::{IndexError, ResourceMetric};
use nephometer_model::MetricId;

use crate::metrics::ROWS;
use crate::session::{Session, query_opt};
use crate::value::{Batch, Value};
use crate::{Failure, labels, policies};

/// Detaches all metrics of a resource; they keep their names.
pub(crate) async fn detach_all(session: &mut dyn Session, resource_pk: i64) -> Result<(), Failure> {
    let sql = "UPDATE metric SET resource_pk = NULL WHERE resource_pk = $1";
    session.execute(sql, &[resource_pk.into()]).await?;
    Ok(())
}

/// Gives a resource of this creator more metrics; a name that one of its metrics has is refused.
pub(crate) async fn attach(
    session: &mut dyn Session,
    resource_pk: i64,
    creator: Option<&str>,
    metrics: &BTreeMap<String, ResourceMetric>,
) -> Result<(), Failure> {
    if metrics.is_empty() {
        return Ok(());
    }
    let creator_pk = labels::creator(session, creator).await?;
    let labels = labels::intern(session, labels_of(metrics)).await?;
    let policies = policies::keys_by_name(session, policies_of(metrics)).await?;
    let mut news = Batch::new(&ROWS);
    for (name, metric) in metrics {
        let name_pk = labels.get(name).copied();
        let moved = match metric {
            ResourceMetric::Existing(id) => Some(key_of(session, *id, creator_pk).await?),
            ResourceMetric::New { .. } => None,
        };
        let sql = "SELECT key FROM metric WHERE resource_pk = $1 AND name_pk = $2";
        let there = query_opt(session, sql, &[resource_pk.into(), name_pk.into()]).await?;
        if let Some(mut row) = there
            && Some(row.int()?) != moved
        {
            return Err(IndexError::NamedMetricAlreadyExists(name.clone()).into());
        }
        match metric {
            ResourceMetric::Existing(_) => {
                let sql = "UPDATE metric SET resource_pk = $2, name_pk = $3 WHERE key = $1";
                session.execute(sql, &[moved.into(), resource_pk.into(), name_pk.into()]).await?;
            }
            ResourceMetric::New { id, unit, policy_name } => {
                let policy_key = policies.get(policy_name).map(|(key, _)| *key);
                let policy_key =
                    policy_key.ok_or_else(|| IndexError::NoSuchArchivePolicy(policy_name.clone()))?;
                let unit_pk = unit.as_ref().and_then(|unit| labels.get(unit)).copied();
                let keys = [Some(resource_pk), name_pk, unit_pk, creator_pk, Some(policy_key)];
                news.push(std::iter::once(id.0.into()).chain(keys.map(Value::from)).collect());
            }
        }
    }
    if news.rows.is_empty() { Ok(()) } else { session.insert("metric", &news).await }
}

/// The key of a metric of this creator.
async fn key_of(session: &mut dyn Session, id: MetricId, creator_pk: Option<i64>) -> Result<i64, Failure> {
    let sql = "SELECT key, creator_pk FROM metric WHERE id = $1 {lock}";
    if let Some(mut row) = query_opt(session, sql, &[id.0.into()]).await? {
        let key = row.int()?;
        if row.opt_int()? == creator_pk {
            return Ok(key);
        }
    }
    Err(IndexError::NoSuchMetric(id.to_string()).into())
}

fn labels_of(metrics: &BTreeMap<String, ResourceMetric>) -> BTreeSet<&str> {
    let mut texts: BTreeSet<_> = metrics.keys().map(String::as_str).collect();
    for metric in metrics.values() {
        if let ResourceMetric::New { unit: Some(unit), .. } = metric {
            texts.insert(unit);
        }
    }
    texts
}

fn policies_of(metrics: &BTreeMap<String, ResourceMetric>) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for metric in metrics.values() {
        if let ResourceMetric::New { policy_name, .. } = metric {
            names.insert(policy_name.as_str());
        }
    }
    names
}
