//! Lists and searches of resources and their revisions.

mod page;
mod patterns;
mod plan;

use std::collections::HashMap;

use nephometer_drivers::{IndexError, ResourceQuery, Sort};
use nephometer_model::{Filter, MetricId, Resource, Timestamp};

use crate::Failure;
use crate::columns::{Branch, Column, Place};
use crate::filter::{Look, Scope};
use crate::resources::{read, selected};
use crate::session::{Dialect, Session, query_one};
use crate::sort::{self, SortKey};
use crate::types::{self, StoredType};
use crate::value::{Row, Value};
use plan::Way;

/// One list: what is asked and what it is asked about.
struct Listing<'a> {
    query: &'a ResourceQuery,
    stored: &'a StoredType,
    filter: Filter,
    sorts: Vec<Sort>,
    keys: Vec<SortKey>,
    now: Timestamp,
    /// Whether the rows are better found in the order of the list than by their type.
    follows_order: bool,
}

/// A type of more resources than this is rather walked through in the order asked for than sorted.
const LARGE_TYPE: i64 = if cfg!(test) { 4 } else { 15_000 };

pub(crate) async fn list(session: &mut dyn Session, query: &ResourceQuery) -> Result<Vec<Resource>, Failure> {
    let stored = types::require(session, &query.type_name, "").await?;
    let mut listing = Listing::new(query, &stored, session.shared().clock.now())?;
    let marker = match &query.page.marker {
        None => None,
        Some(marker) => Some(listing.marker_values(session, marker).await?),
    };
    let plan = plan::find(session, &listing).await?;
    listing.follows_order = plan.way == Way::Walk && follows_order(session, &listing).await?;
    let rows = listing.fetch(session, &plan, marker).await?;
    let attributes = query.details || !stored.is_generic();
    let (pks, mut resources) =
        if query.history { revisions(rows, attributes)? } else { load(session, rows, attributes).await? };
    if query.with_metrics {
        let mut metrics = metrics_of(session, &pks).await?;
        for (resource, pk) in resources.iter_mut().zip(&pks) {
            resource.metrics = if query.history {
                metrics.get(pk).cloned().unwrap_or_default()
            } else {
                metrics.remove(pk).unwrap_or_default()
            };
        }
    }
    Ok(resources)
}

/// Keys and contents of whole rows.
fn revisions(rows: Vec<Row>, attributes: bool) -> Result<(Vec<i64>, Vec<Resource>), Failure> {
    let read = rows.into_iter().map(|mut row| read(&mut row, attributes));
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

/// Keys and contents of the resources of which there are the keys.
async fn load(
    session: &mut dyn Session,
    rows: Vec<Row>,
    attributes: bool,
) -> Result<(Vec<i64>, Vec<Resource>), Failure> {
    let pks = rows.into_iter().map(|mut row| row.int()).collect::<Result<Vec<_>, _>>()?;
    let places: HashMap<i64, usize> = pks.iter().copied().zip(0..).collect();
    let condition = session.dialect().any_of("r.pk", "$1", false);
    let sql = format!("SELECT {} FROM resource r WHERE {condition}", selected(Branch::Current));
    let mut loaded = Vec::with_capacity(pks.len());
    for mut row in session.query(&sql, &[Value::Ints(pks)]).await? {
        let (pk, resource) = read(&mut row, attributes)?;
        loaded.push((places.get(&pk).copied().unwrap_or_default(), pk, resource));
    }
    loaded.sort_unstable_by_key(|(place, ..)| *place);
    Ok(loaded.into_iter().map(|(_, pk, resource)| (pk, resource)).unzip())
}

/// Whether a list of one type is in the order of an index that knows no types, and the type is large. PostgreSQL
/// counts for itself.
async fn follows_order(session: &mut dyn Session, listing: &Listing<'_>) -> Result<bool, Failure> {
    let indexed = ["id", "started_at", "ended_at", "project_id", "user_id", "original_resource_id"];
    let indexed = listing.sorts.first().is_some_and(|sort| indexed.contains(&sort.key.as_str()));
    if session.dialect() == Dialect::Postgres || listing.stored.is_generic() || !indexed {
        return Ok(false);
    }
    let sql = "SELECT count(*) FROM (SELECT pk FROM resource WHERE type_pk = $1 LIMIT $2)";
    let mut row = query_one(session, sql, &[listing.stored.pk.into(), LARGE_TYPE.into()]).await?;
    Ok(row.int()? == LARGE_TYPE)
}

/// The metrics of resources by the keys of these, each list sorted by name.
pub(crate) async fn metrics_of(
    session: &mut dyn Session,
    pks: &[i64],
) -> Result<HashMap<i64, Vec<(String, MetricId)>>, Failure> {
    let mut wanted = pks.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let condition = session.dialect().any_of("m.resource_pk", "$1", false);
    let sql = format!(
        "SELECT m.resource_pk, l.text, m.id FROM metric m JOIN label l ON l.pk = m.name_pk WHERE {condition}"
    );
    let mut metrics: HashMap<i64, Vec<(String, MetricId)>> = HashMap::with_capacity(wanted.len());
    for mut row in session.query(&sql, &[Value::Ints(wanted)]).await? {
        let (pk, name, id) = (row.int()?, row.text()?, row.uuid()?);
        metrics.entry(pk).or_default().push((name, MetricId(id)));
    }
    for list in metrics.values_mut() {
        list.sort_unstable();
    }
    Ok(metrics)
}

impl<'a> Listing<'a> {
    fn new(query: &'a ResourceQuery, stored: &'a StoredType, now: Timestamp) -> Result<Self, IndexError> {
        let ties: &[&str] = if query.history { &["id", "revision"] } else { &["id"] };
        let sorts = sort::completed(&query.page.sorts, &["revision_start", "started_at"], ties);
        let key = |sort: &Sort| {
            // A key that only past revisions have is null in the current ones, so the current branch decides.
            let column = Column::of(&sort.key, stored, Branch::Current, query.history)
                .ok_or_else(|| sort::invalid_key(&sort.key))?;
            Ok(SortKey::new(sort, column.nullable))
        };
        let keys = sorts.iter().map(key).collect::<Result<_, IndexError>>()?;
        let filter = query.filter.clone();
        let mut listing = Self { query, stored, filter, sorts, keys, now, follows_order: false };
        listing.filter = listing.scope(Branch::Current, Look::Search).folded(&query.filter);
        Ok(listing)
    }

    fn scope(&self, branch: Branch, look: Look) -> Scope<'_> {
        Scope { stored: self.stored, branch, history: self.query.history, now: self.now, look }
    }

    fn column(&self, sort: &Sort, branch: Branch) -> Option<Column> {
        Column::of(&sort.key, self.stored, branch, self.query.history)
    }

    /// The attribute that the list is sorted by first: its key and its column.
    fn first_attribute(&self) -> Option<(i64, &'static str)> {
        match self.column(self.sorts.first()?, Branch::Current)?.place {
            Place::Attribute { pk, column } => Some((pk, column)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod pattern_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod tests;
