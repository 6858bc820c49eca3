//! Lists and searches of resources and their revisions.

use std::collections::HashMap;

use nephometer_drivers::{IndexError, ResourceQuery, Sort};
use nephometer_model::{Comparison, Filter, MetricId, Resource, Timestamp, parse_python_uuid};
use uuid::Uuid;

use crate::Failure;
use crate::columns::{Branch, Column, Place};
use crate::filter::{Lookup, Lookups, Scope};
use crate::resources::{SELECTED, read, selected};
use crate::session::{Dialect, Session, Statement, query_one};
use crate::sort::{self, SortKey};
use crate::types::{self, StoredType};
use crate::value::{Row, Value};

/// One list: what is asked and what it is asked about.
struct Listing<'a> {
    query: &'a ResourceQuery,
    stored: &'a StoredType,
    sorts: Vec<Sort>,
    keys: Vec<SortKey>,
    now: Timestamp,
    /// Whether the rows are better found in the order of the list than by their type.
    follows_order: bool,
    lookups: Lookups,
    part: Part,
    /// What the part has or lacks.
    split: Option<Column>,
}

/// Which rows of a list. Those with and without a value of the first sort key are found apart: then an index leads to
/// the place where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// Rows that have the value.
    Valued,
    /// Rows that have none; sorted by the other keys.
    Empty,
}

/// A type of more resources than this is rather walked through in the order asked for than sorted.
const LARGE_TYPE: i64 = if cfg!(test) { 4 } else { 30_000 };
/// Up to so many rows that have an attribute's value are looked up and sorted.
const FEW_ROWS: i64 = if cfg!(test) { 2 } else { 5000 };
/// Up to so many rows that have an attribute's value are remembered during a walk.
const MANY_ROWS: i64 = if cfg!(test) { 10 } else { 30_000 };

/// Where rows come from.
struct Source {
    /// From FROM to WHERE and, where there are conditions, AND.
    text: String,
    /// The value of the first sort key, if it is not what its column says.
    first_key: Option<String>,
}

/// Where a page begins.
struct Marker {
    id: Uuid,
    revision: i64,
}

pub(crate) async fn list(session: &mut dyn Session, query: &ResourceQuery) -> Result<Vec<Resource>, Failure> {
    let stored = types::require(session, &query.type_name, "").await?;
    let mut listing = Listing::new(query, &stored, session.shared().clock.now())?;
    listing.follows_order = follows_order(session, &listing).await?;
    listing.lookups = lookups(session, &listing).await?;
    let marker = match &query.page.marker {
        None => None,
        Some(marker) => Some(listing.marker_values(session, marker).await?),
    };
    let rows = listing.fetch(session, marker).await?;
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

/// How to search for the attributes that all rows of a page must have, by how many rows have them. PostgreSQL counts
/// for itself.
async fn lookups(session: &mut dyn Session, listing: &Listing<'_>) -> Result<Lookups, Failure> {
    let mut lookups = Lookups::new();
    if session.dialect() == Dialect::Postgres || !listing.is_walk() {
        return Ok(lookups);
    }
    let scope = listing.scope(Branch::Current);
    for (pk, column, value) in
        listing.conditions().iter().filter_map(|filter| scope.attribute_equality(filter))
    {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM resource_attribute a \
             WHERE a.attribute_pk = $1 AND a.{column} = $2 LIMIT $3)"
        );
        let rows = query_one(session, &sql, &[pk.into(), value, MANY_ROWS.into()]).await?.int()?;
        let lookup = match rows {
            ..=FEW_ROWS => Lookup::First,
            MANY_ROWS.. => Lookup::Each,
            _ => Lookup::Among,
        };
        lookups.insert(pk, lookup);
    }
    Ok(lookups)
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
        let (lookups, part) = (Lookups::new(), Part::Whole);
        Ok(Self { query, stored, sorts, keys, now, follows_order: false, lookups, part, split: None })
    }

    fn scope(&self, branch: Branch) -> Scope<'_> {
        let Self { stored, now, lookups, .. } = self;
        Scope { stored, branch, history: self.query.history, now: *now, lookups }
    }

    /// Whether it is a page that an index has in its order.
    fn is_walk(&self) -> bool {
        self.query.page.limit.is_some()
            && !self.query.history
            && (self.query.page.sorts.is_empty() || self.follows_order || self.is_by_attribute())
    }

    /// What all rows must fulfil.
    fn conditions(&self) -> &[Filter] {
        match &self.query.filter {
            Filter::All => &[],
            Filter::And(parts) => parts,
            filter => std::slice::from_ref(filter),
        }
    }

    /// Whether a condition may lead to few rows.
    fn has_lookup(&self) -> bool {
        let scope = self.scope(Branch::Current);
        self.conditions().iter().any(|condition| match scope.attribute_equality(condition) {
            Some((pk, ..)) => self.lookups.get(&pk).is_none_or(|lookup| *lookup == Lookup::First),
            None => !matches!(condition, Filter::Compare(comparison, ..) if *comparison != Comparison::Eq),
        })
    }

    fn is_by_attribute(&self) -> bool {
        let first = self.sorts.first().and_then(|sort| self.column(sort, Branch::Current));
        first.is_some_and(|column| matches!(column.place, Place::Attribute { .. }))
    }

    fn column(&self, sort: &Sort, branch: Branch) -> Option<Column> {
        Column::of(&sort.key, self.stored, branch, self.query.history)
    }

    /// The rows of the page that begins after the row with the values `marker`.
    async fn fetch(
        &self,
        session: &mut dyn Session,
        marker: Option<Vec<Value>>,
    ) -> Result<Vec<Row>, Failure> {
        let limit = self.query.page.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let (Some(limit), Some(key)) = (limit, self.keys.first().filter(|key| key.nullable)) else {
            return self.fetch_part(session, marker, limit).await;
        };
        if self.query.history {
            return self.fetch_part(session, marker, Some(limit)).await;
        }
        let mut parts = [Part::Valued, Part::Empty];
        if key.nulls_first {
            parts.reverse();
        }
        let begin = match &marker {
            Some(values) if values.first() == Some(&Value::Null) => Part::Empty,
            Some(_) => Part::Valued,
            None => parts[0],
        };
        let mut marker = marker;
        let mut rows: Vec<Row> = Vec::new();
        for part in parts.into_iter().skip_while(|part| *part != begin) {
            let left = limit.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
            if left <= 0 && !rows.is_empty() {
                break;
            }
            let mut marker = marker.take();
            if let (Part::Empty, Some(values)) = (part, &mut marker) {
                values.remove(0);
            }
            rows.extend(self.of_part(part).fetch_part(session, marker, Some(left)).await?);
        }
        Ok(rows)
    }

    /// The list of a part of the rows.
    fn of_part(&self, part: Part) -> Listing<'_> {
        let (mut sorts, mut keys) = (self.sorts.clone(), self.keys.clone());
        if part == Part::Empty {
            sorts.remove(0);
            keys.remove(0);
        } else {
            keys[0].nullable = false;
        }
        let split = self.sorts.first().and_then(|sort| self.column(sort, Branch::Current));
        Listing { sorts, keys, lookups: self.lookups.clone(), part, split, ..*self }
    }

    async fn fetch_part(
        &self,
        session: &mut dyn Session,
        marker: Option<Vec<Value>>,
        limit: Option<i64>,
    ) -> Result<Vec<Row>, Failure> {
        let mut statement = Statement::new(session.dialect());
        let rows = self.rows(&mut statement, None)?;
        statement.push(&format!("SELECT {SELECTED} FROM ({rows}) u"));
        if let Some(values) = marker {
            let after = sort::after(&mut statement, &self.keys, values);
            statement.push(&format!(" WHERE {after}"));
        }
        statement.push(&sort::order_by(&self.keys));
        if let Some(limit) = limit {
            let limit = statement.param(limit);
            statement.push(&format!(" LIMIT {limit}"));
        }
        session.query_once(&statement.text, &statement.params).await
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
        let source = self.source(statement.dialect, branch);
        let mut text = format!("SELECT {}", selected(branch));
        for (number, sort) in self.sorts.iter().enumerate() {
            let value = match &source.first_key {
                Some(value) if number == 0 => value.clone(),
                _ => {
                    self.column(sort, branch).ok_or_else(|| sort::invalid_key(&sort.key))?.expression(branch)
                }
            };
            text.push_str(&format!(", {value} AS s{number}"));
        }
        text.push_str(&source.text);
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
                let scope = self.scope(branch);
                text.push_str(&scope.condition(statement, &self.query.filter)?);
            }
        }
        Ok(text)
    }

    /// What is searched: the end of the text is the WHERE that further conditions follow.
    fn source(&self, dialect: Dialect, branch: Branch) -> Source {
        let plain = |condition: &str| Source {
            text: match branch {
                Branch::Current => format!(" FROM resource r WHERE {condition}"),
                Branch::Past => format!(
                    " FROM resource_history h JOIN resource r ON r.pk = h.resource_pk WHERE {condition}"
                ),
            },
            first_key: None,
        };
        let Some(split) = &self.split else { return plain("") };
        match (self.part, &split.place) {
            (Part::Valued, Place::Attribute { pk, column }) => {
                // SQLite takes CROSS JOIN as an order: values first.
                let ordered = dialect == Dialect::Sqlite && !self.has_lookup();
                let join = if ordered { "CROSS JOIN" } else { "JOIN" };
                let text = format!(
                    " FROM resource_attribute s {join} resource r ON r.pk = s.resource_pk \
                     WHERE s.attribute_pk = {pk} AND s.{column} IS NOT NULL AND "
                );
                Source { text, first_key: Some(format!("s.{column}")) }
            }
            (Part::Empty, Place::Attribute { pk, .. }) => plain(&format!(
                "NOT EXISTS (SELECT 1 FROM resource_attribute s \
                 WHERE s.resource_pk = r.pk AND s.attribute_pk = {pk}) AND "
            )),
            (part, _) => {
                let not = if part == Part::Empty { "" } else { "NOT " };
                plain(&format!("{} IS {not}NULL AND ", split.expression(branch)))
            }
        }
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

#[cfg(test)]
mod tests;
