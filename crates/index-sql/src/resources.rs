//! Resources: making, reading, deleting.

use nephometer_drivers::{IndexError, NewResource, ResourceMetric};
use nephometer_model::{Attributes, Filter, Metric, MetricId, Resource, ResourceId, Revision, Timestamp};

use crate::columns::Branch;
use crate::filter::{Look, Scope};
use crate::session::{Session, Statement, query_opt};
use crate::types::{self, StoredType};
use crate::value::{Batch, ColumnType, Row, Value};
use crate::{Failure, attributes, labels, list, metrics, resource_metrics};

/// What [`read`] reads from rows `u` made of [`selected`].
pub(crate) const SELECTED: &str = "u.pk, u.id, u.original_resource_id, u.type, u.creator, u.user_id, u.project_id, \
                                   u.started_at, u.ended_at, u.revision_start, u.revision_end, u.revision, u.attributes";

/// The columns of a resource or revision.
pub(crate) fn selected(branch: Branch) -> String {
    let (t, end, revision) = match branch {
        Branch::Current => ("r", "CAST(NULL AS BIGINT)", "CAST(-1 AS BIGINT)"),
        Branch::Past => ("h", "h.revision_end", "h.revision"),
    };
    format!(
        "r.pk AS pk, r.id AS id, r.original_resource_id AS original_resource_id, \
         (SELECT x.name FROM resource_type x WHERE x.pk = r.type_pk) AS type, \
         (SELECT x.text FROM creator x WHERE x.pk = r.creator_pk) AS creator, \
         {t}.user_id AS user_id, {t}.project_id AS project_id, {t}.started_at AS started_at, \
         {t}.ended_at AS ended_at, {t}.revision_start AS revision_start, {end} AS revision_end, \
         {revision} AS revision, {t}.attributes AS attributes"
    )
}

/// Key and content of a row of [`SELECTED`]; metrics are not in it.
pub(crate) fn read(row: &mut Row, with_attributes: bool) -> Result<(i64, Resource), Failure> {
    let pk = row.int()?;
    let resource = Resource {
        id: ResourceId(row.uuid()?),
        original_resource_id: row.text()?,
        type_name: row.text()?,
        creator: row.opt_text()?,
        user_id: row.opt_text()?,
        project_id: row.opt_text()?,
        started_at: Timestamp::from_micros(row.int()?),
        ended_at: row.opt_int()?.map(Timestamp::from_micros),
        revision_start: Timestamp::from_micros(row.int()?),
        revision_end: row.opt_int()?.map(Timestamp::from_micros),
        revision: Revision(row.int()?),
        attributes: if with_attributes { attributes::decode(&row.text()?)? } else { Attributes::new() },
        metrics: Vec::new(),
    };
    Ok((pk, resource))
}

/// The resource with this id, whatever its type, with its attributes and without its metrics.
pub(crate) async fn find(
    session: &mut dyn Session,
    id: ResourceId,
    lock: &str,
) -> Result<Option<(i64, Resource)>, Failure> {
    let rows = selected(Branch::Current);
    let sql = format!("SELECT {rows} FROM resource r WHERE r.id = $1 {lock}");
    query_opt(session, &sql, &[id.0.into()]).await?.map(|mut row| read(&mut row, true)).transpose()
}

/// The resource with this id, seen through a type, which must exist; without its metrics.
pub(crate) async fn require(
    session: &mut dyn Session,
    type_name: &str,
    id: ResourceId,
    lock: &str,
) -> Result<(i64, Resource), Failure> {
    let found = find(session, id, lock).await?;
    let visible =
        found.filter(|(_, resource)| type_name == types::GENERIC || resource.type_name == type_name);
    match visible {
        Some(found) => Ok(found),
        None => {
            types::require(session, type_name, "").await?;
            Err(IndexError::NoSuchResource(id).into())
        }
    }
}

/// A resource as `type_name` shows it, with its metrics.
pub(crate) async fn show(
    session: &mut dyn Session,
    type_name: &str,
    pk: i64,
    mut resource: Resource,
) -> Result<Resource, Failure> {
    if type_name == types::GENERIC {
        resource.attributes.clear();
    }
    resource.metrics = list::metrics_of(session, &[pk]).await?.remove(&pk).unwrap_or_default();
    Ok(resource)
}

pub(crate) async fn get(
    session: &mut dyn Session,
    (type_name, id): &(String, ResourceId),
) -> Result<Resource, Failure> {
    let (pk, resource) = require(session, type_name, *id, "").await?;
    show(session, type_name, pk, resource).await
}

pub(crate) async fn by_id(session: &mut dyn Session, ids: &[ResourceId]) -> Result<Vec<Resource>, Failure> {
    const IDS: [(&str, ColumnType); 1] = [("id", ColumnType::Uuid)];
    let rows = selected(Branch::Current);
    let sql = format!("SELECT {rows} FROM {{rows}} JOIN resource r ON r.id = v.id");
    let rows = session.query_batch(&sql, &Batch::of(&IDS, unique(ids))).await?;
    rows.into_iter().map(|mut row| read(&mut row, false).map(|(_, resource)| resource)).collect()
}

/// Each id once.
pub(crate) fn unique(ids: &[ResourceId]) -> Vec<uuid::Uuid> {
    let mut ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Refuses an end before the start, naming the end as upstream prints it.
pub(crate) fn check_span(
    type_name: &str,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
) -> Result<(), IndexError> {
    match ended_at {
        Some(end) if end.micros() < started_at.micros() => Err(IndexError::AttributeValueInvalid {
            resource_type: type_name.to_owned(),
            attribute: "ended_at".to_owned(),
            value: end.isoformat().replacen('T', " ", 1),
        }),
        _ => Ok(()),
    }
}

pub(crate) async fn create(session: &mut dyn Session, new: &NewResource) -> Result<Resource, Failure> {
    let stored = types::require(session, &new.type_name, "{share}").await?;
    check_span(&new.type_name, new.started_at, new.ended_at)?;
    let taken = || IndexError::ResourceAlreadyExists(new.id);
    if query_opt(session, "SELECT pk FROM resource WHERE id = $1", &[new.id.0.into()]).await?.is_some() {
        return Err(taken().into());
    }
    let pk = insert(session, &stored, new).await?.ok_or_else(taken)?;
    attributes::add_search_rows(session, &stored, pk, new.id, &new.attributes).await?;
    resource_metrics::attach(session, pk, new.creator.as_deref(), &new.metrics).await?;
    Ok(made(new))
}

/// The resource that was made of `new`.
fn made(new: &NewResource) -> Resource {
    let whole = |time: Timestamp| Timestamp::from_micros(time.micros());
    let mut metrics: Vec<(String, MetricId)> = Vec::with_capacity(new.metrics.len());
    for (name, metric) in &new.metrics {
        let (ResourceMetric::Existing(id) | ResourceMetric::New { id, .. }) = metric;
        // A metric that is moved twice has the last name.
        metrics.retain(|(_, known)| known != id);
        metrics.push((name.clone(), *id));
    }
    Resource {
        id: new.id,
        original_resource_id: new.original_resource_id.clone(),
        type_name: new.type_name.clone(),
        creator: new.creator.clone(),
        user_id: new.user_id.clone(),
        project_id: new.project_id.clone(),
        started_at: whole(new.started_at),
        ended_at: new.ended_at.map(whole),
        revision_start: whole(new.revision_start),
        revision_end: None,
        revision: Revision::CURRENT,
        attributes: attributes::as_stored(&new.attributes),
        metrics,
    }
}

const ROWS: [(&str, ColumnType); 10] = [
    ("id", ColumnType::Uuid),
    ("type_pk", ColumnType::Int),
    ("creator_pk", ColumnType::Int),
    ("user_id", ColumnType::Text),
    ("project_id", ColumnType::Text),
    ("started_at", ColumnType::Int),
    ("ended_at", ColumnType::Int),
    ("revision_start", ColumnType::Int),
    ("original_resource_id", ColumnType::Text),
    ("attributes", ColumnType::Text),
];

/// Adds the row of a resource; nothing where its id is taken.
async fn insert(
    session: &mut dyn Session,
    stored: &StoredType,
    new: &NewResource,
) -> Result<Option<i64>, Failure> {
    let creator = labels::creator(session, new.creator.as_deref()).await?;
    let mut batch = Batch::new(&ROWS);
    batch.push(vec![
        new.id.0.into(),
        stored.pk.into(),
        creator.into(),
        new.user_id.as_ref().into(),
        new.project_id.as_ref().into(),
        new.started_at.micros().into(),
        new.ended_at.map(Timestamp::micros).into(),
        new.revision_start.micros().into(),
        (&new.original_resource_id).into(),
        attributes::encode(&new.attributes).into(),
    ]);
    Ok(session.insert_new("resource", "pk", &batch).await?.remove(&new.id.0))
}

pub(crate) async fn delete(
    session: &mut dyn Session,
    (type_name, id): &(String, ResourceId),
) -> Result<Vec<Metric>, Failure> {
    let (pk, _) = require(session, type_name, *id, "{lock}").await?;
    delete_rows(session, vec![pk]).await
}

pub(crate) async fn delete_matching(
    session: &mut dyn Session,
    (type_name, filter): &(String, Filter),
) -> Result<(u64, Vec<Metric>), Failure> {
    let stored = types::require(session, type_name, "").await?;
    let now = session.shared().clock.now();
    let mut statement = Statement::new(session.dialect());
    let scope = Scope { stored: &stored, branch: Branch::Current, history: false, now, look: Look::Search };
    let condition = scope.condition(&mut statement, filter)?;
    statement.push(&format!("SELECT r.pk FROM resource r WHERE {condition}"));
    if !stored.is_generic() {
        let type_pk = statement.param(stored.pk);
        statement.push(&format!(" AND r.type_pk = {type_pk}"));
    }
    statement.push(" {lock}");
    let rows = session.query_once(&statement.text, &statement.params).await?;
    let pks = rows.into_iter().map(|mut row| row.int()).collect::<Result<Vec<_>, _>>()?;
    let deleted = pks.len() as u64;
    Ok((deleted, delete_rows(session, pks).await?))
}

/// Deletes resources with their history and metrics; gives the metrics as they were.
async fn delete_rows(session: &mut dyn Session, mut pks: Vec<i64>) -> Result<Vec<Metric>, Failure> {
    if pks.is_empty() {
        return Ok(Vec::new());
    }
    pks.sort_unstable();
    let gone = metrics::of_resources(session, &pks).await?;
    metrics::bury(session, &gone).await?;
    let dialect = session.dialect();
    let owned = dialect.any_of("resource_pk", "$1", false);
    let pks = [Value::Ints(pks)];
    for sql in [
        format!(
            "DELETE FROM history_attribute WHERE revision IN (SELECT revision FROM resource_history WHERE {owned})"
        ),
        format!("DELETE FROM resource_history WHERE {owned}"),
        format!("DELETE FROM resource_attribute WHERE {owned}"),
        format!("DELETE FROM resource WHERE {}", dialect.any_of("pk", "$1", false)),
    ] {
        session.execute(&sql, &pks).await?;
    }
    Ok(gone)
}
