//! Changing a resource, with a revision of what it was.

use nephometer_drivers::{IndexError, ResourceChange};
use nephometer_model::{Resource, ResourceId, Timestamp};

use crate::session::{Session, query_one};
use crate::types::{self, StoredType};
use crate::value::Value;
use crate::{Failure, attributes, resource_metrics, resources};

/// What an update is asked to do.
pub(crate) struct Update {
    pub(crate) type_name: String,
    pub(crate) id: ResourceId,
    pub(crate) change: ResourceChange,
}

pub(crate) async fn update(session: &mut dyn Session, update: &Update) -> Result<Resource, Failure> {
    let Update { type_name, id, change } = update;
    let (pk, before) = resources::require(session, type_name, *id, "{lock}").await?;
    if change.expected_revision_start.is_some_and(|start| start.micros() != before.revision_start.micros()) {
        return Err(IndexError::Changed.into());
    }
    let stored = types::require(session, &before.type_name, "{share}").await?;
    let after = changed(&stored, &before, change)?;
    if let Some(mut after) = after {
        resources::check_span(type_name, after.started_at, after.ended_at)?;
        after.revision_start = change.now;
        keep_history(session, pk, change.now).await?;
        store(session, &stored, pk, &after).await?;
    }
    if let Some(metrics) = &change.metrics {
        if !change.append_metrics {
            resource_metrics::detach_all(session, pk).await?;
        }
        resource_metrics::attach(session, pk, before.creator.as_deref(), metrics).await?;
    }
    let (pk, resource) = resources::require(session, type_name, *id, "").await?;
    resources::show(session, type_name, pk, resource).await
}

/// The resource after the change, or nothing where the change makes no difference.
fn changed(
    stored: &StoredType,
    before: &Resource,
    change: &ResourceChange,
) -> Result<Option<Resource>, IndexError> {
    let mut after = before.clone();
    if let Some(user_id) = &change.user_id {
        after.user_id.clone_from(user_id);
    }
    if let Some(project_id) = &change.project_id {
        after.project_id.clone_from(project_id);
    }
    if let Some(started_at) = change.started_at {
        after.started_at = Timestamp::from_micros(started_at.micros());
    }
    if let Some(ended_at) = change.ended_at {
        after.ended_at = ended_at.map(|end| Timestamp::from_micros(end.micros()));
    }
    for (name, value) in &change.attributes {
        attributes::checked(stored, name, value.as_ref())?;
        match (value, after.attributes.get(name)) {
            (Some(new), Some(old)) if attributes::same(new, old) => {}
            (Some(new), _) => drop(after.attributes.insert(name.clone(), new.clone())),
            (None, _) => drop(after.attributes.remove(name)),
        }
    }
    Ok((after != *before).then_some(after))
}

/// Writes the present state into the history.
async fn keep_history(session: &mut dyn Session, pk: i64, end: Timestamp) -> Result<(), Failure> {
    let sql = "INSERT INTO resource_history (resource_pk, user_id, project_id, started_at, ended_at, \
               revision_start, revision_end, attributes) \
               SELECT pk, user_id, project_id, started_at, ended_at, revision_start, CAST($2 AS BIGINT), attributes \
               FROM resource WHERE pk = $1 RETURNING revision";
    let revision = query_one(session, sql, &[pk.into(), end.micros().into()]).await?.int()?;
    let sql = "INSERT INTO history_attribute (revision, attribute_pk, text, number, integer) \
               SELECT CAST($2 AS BIGINT), a.attribute_pk, a.text, a.number, a.integer \
               FROM resource_attribute a WHERE a.resource_pk = $1";
    let sql = format!("{sql} AND NOT ({})", attributes::without_value("a"));
    session.execute(&sql, &[pk.into(), revision.into()]).await?;
    Ok(())
}

async fn store(
    session: &mut dyn Session,
    stored: &StoredType,
    pk: i64,
    after: &Resource,
) -> Result<(), Failure> {
    let params: [Value; 7] = [
        pk.into(),
        after.user_id.as_ref().into(),
        after.project_id.as_ref().into(),
        after.started_at.micros().into(),
        after.ended_at.map(Timestamp::micros).into(),
        after.revision_start.micros().into(),
        attributes::encode(&after.attributes).into(),
    ];
    let sql = "UPDATE resource SET user_id = $2, project_id = $3, started_at = $4, ended_at = $5, \
               revision_start = $6, attributes = $7 WHERE pk = $1";
    session.execute(sql, &params).await?;
    replace_search_rows(session, stored, pk, after).await
}

async fn replace_search_rows(
    session: &mut dyn Session,
    stored: &StoredType,
    pk: i64,
    after: &Resource,
) -> Result<(), Failure> {
    session.execute("DELETE FROM resource_attribute WHERE resource_pk = $1", &[pk.into()]).await?;
    attributes::add_search_rows(session, stored, pk, after.id, &after.attributes).await
}
