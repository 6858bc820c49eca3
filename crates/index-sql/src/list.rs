//! Lists and searches of resources and their revisions.

use std::collections::HashMap;

use nephometer_drivers::{IndexError, ResourceQuery, Sort};
use nephometer_model::{MetricId, Resource, Timestamp, parse_python_uuid};
use uuid::Uuid;

use crate::Failure;
use crate::columns::{Branch, Column};
use crate::filter::Scope;
use crate::resources::{SELECTED, read, selected};
use crate::session::{Dialect, Session, Statement, query_one};
use crate::sort::{self, SortKey};
use crate::types::{self, StoredType};
use crate::value::Value;

/// One list: what is asked and what it is asked about.
struct Listing<'a> {
    query: &'a ResourceQuery,
    stored: &'a StoredType,
    sorts: Vec<Sort>,
    keys: Vec<SortKey>,
    now: Timestamp,
    /// Whether the rows are better found in the order of the list than by their type.
    follows_order: bool,
}

/// A type of more resources than this is rather walked through in the order asked for than sorted.
const LARGE_TYPE: i64 = 30_000;

/// Where a page begins.
struct Marker {
    id: Uuid,
    revision: i64,
}

pub(crate) async fn list(session: &mut dyn Session, query: &ResourceQuery) -> Result<Vec<Resource>, Failure> {
    let stored = types::require(session, &query.type_name, "").await?;
    let mut listing = Listing::new(query, &stored, session.shared().clock.now())?;
    listing.follows_order = follows_order(session, &listing).await?;
    let marker = match &query.page.marker {
        None => None,
        Some(marker) => Some(listing.marker_values(session, marker).await?),
    };
    let mut statement = Statement::new(session.dialect());
    let rows = listing.rows(&mut statement, None)?;
    statement.push(&format!("SELECT {SELECTED} FROM ({rows}) u"));
    if let Some(values) = marker {
        let after = sort::after(&mut statement, &listing.keys, values);
        statement.push(&format!(" WHERE {after}"));
    }
    statement.push(&sort::order_by(&listing.keys));
    if let Some(limit) = query.page.limit {
        let limit = statement.param(i64::try_from(limit).unwrap_or(i64::MAX));
        statement.push(&format!(" LIMIT {limit}"));
    }
    let rows = session.query_once(&statement.text, &statement.params).await?;
    let attributes = query.details || !stored.is_generic();
    let mut resources = Vec::with_capacity(rows.len());
    let mut pks = Vec::with_capacity(rows.len());
    for mut row in rows {
        let (pk, resource) = read(&mut row, attributes)?;
        pks.push(pk);
        resources.push(resource);
    }
    if query.with_metrics {
        let metrics = metrics_of(session, &pks).await?;
        for (resource, pk) in resources.iter_mut().zip(&pks) {
            resource.metrics = metrics.get(pk).cloned().unwrap_or_default();
        }
    }
    Ok(resources)
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
        Ok(Self { query, stored, sorts, keys, now, follows_order: false })
    }

    /// The rows that are sorted: the matching ones, or the one of `marker`.
    fn rows(&self, statement: &mut Statement, marker: Option<&Marker>) -> Result<String, Failure> {
        let mut rows = self.branch(statement, Branch::Current, marker)?;
        if self.query.history {
            let past = self.branch(statement, Branch::Past, marker)?;
            rows = format!("{rows} UNION ALL {past}");
        }
        Ok(rows)
    }

    fn branch(
        &self,
        statement: &mut Statement,
        branch: Branch,
        marker: Option<&Marker>,
    ) -> Result<String, Failure> {
        let mut text = format!("SELECT {}", selected(branch));
        for (number, sort) in self.sorts.iter().enumerate() {
            let column = Column::of(&sort.key, self.stored, branch, self.query.history)
                .ok_or_else(|| sort::invalid_key(&sort.key))?;
            text.push_str(&format!(", {} AS s{number}", column.expression(branch)));
        }
        text.push_str(match branch {
            Branch::Current => " FROM resource r WHERE ",
            Branch::Past => " FROM resource_history h JOIN resource r ON r.pk = h.resource_pk WHERE ",
        });
        if !self.stored.is_generic() {
            let type_pk = statement.param(self.stored.pk);
            // The plus keeps SQLite from using an index of the column.
            let plus = if self.follows_order { "+" } else { "" };
            text.push_str(&format!("{plus}r.type_pk = {type_pk} AND "));
        }
        match marker {
            Some(Marker { id, revision }) => {
                let id = statement.param(*id);
                text.push_str(&format!("r.id = {id}"));
                let number = match branch {
                    Branch::Current => "-1",
                    Branch::Past => "h.revision",
                };
                if self.query.history {
                    let revision = statement.param(*revision);
                    text.push_str(&format!(" AND {number} = {revision}"));
                }
            }
            None => {
                let scope = Scope { stored: self.stored, branch, history: self.query.history, now: self.now };
                text.push_str(&scope.condition(statement, &self.query.filter)?);
            }
        }
        Ok(text)
    }

    /// The values of the sort keys in the row that `marker` names.
    async fn marker_values(&self, session: &mut dyn Session, marker: &str) -> Result<Vec<Value>, Failure> {
        let named = if self.query.history {
            marker.split_once('@').and_then(|(id, revision)| Some((id, revision.parse().ok()?)))
        } else {
            Some((marker, -1))
        };
        let invalid = || Failure::from(sort::invalid_marker(marker));
        let (id, revision) = named.ok_or_else(invalid)?;
        let id = parse_python_uuid(id).ok_or_else(invalid)?;
        let mut statement = Statement::new(session.dialect());
        let rows = self.rows(&mut statement, Some(&Marker { id, revision }))?;
        let keys: Vec<_> = (0..self.keys.len()).map(|number| format!("u.s{number}")).collect();
        statement.push(&format!("SELECT {} FROM ({rows}) u", keys.join(", ")));
        let rows = session.query_once(&statement.text, &statement.params).await?;
        let mut row = rows.into_iter().next().ok_or_else(invalid)?;
        sort::marker_values(&mut row, &self.keys)
    }
}
