//! Lists of metrics.

mod access;

use std::collections::HashMap;

use nephometer_drivers::{IndexCounts, MetricQuery, Sort};
use nephometer_model::{Metric, parse_python_uuid};
use uuid::Uuid;

use crate::metrics::{COLUMNS, load};
use crate::session::{Session, Statement, query_one};
use crate::sort::{self, SortKey};
use crate::value::{Row, Value};
use crate::{Failure, resources};
use access::Visible;

/// The value of a sort key, and whether it may be null.
fn key_expression(key: &str) -> Option<(&'static str, bool)> {
    match key {
        "id" => Some(("m.id", false)),
        "name" => Some(("(SELECT x.text FROM label x WHERE x.pk = m.name_pk)", true)),
        "unit" => Some(("(SELECT x.text FROM label x WHERE x.pk = m.unit_pk)", true)),
        "creator" => Some(("(SELECT x.text FROM creator x WHERE x.pk = m.creator_pk)", true)),
        "resource_id" => Some(("(SELECT x.id FROM resource x WHERE x.pk = m.resource_pk)", true)),
        "archive_policy_name" => {
            Some(("(SELECT x.name FROM archive_policy x WHERE x.key = m.policy_key)", false))
        }
        _ => None,
    }
}

/// What rows are sorted by, and these values as columns.
fn keys(sorts: &[Sort]) -> Result<(Vec<SortKey>, String), Failure> {
    let mut keys = Vec::new();
    let mut columns = Vec::new();
    for (number, sort) in sorts.iter().enumerate() {
        let (expression, nullable) = key_expression(&sort.key).ok_or_else(|| sort::invalid_key(&sort.key))?;
        keys.push(SortKey::new(sort, nullable));
        columns.push(format!("{expression} AS s{number}"));
    }
    Ok((keys, columns.join(", ")))
}

pub(crate) async fn list(session: &mut dyn Session, query: &MetricQuery) -> Result<Vec<Metric>, Failure> {
    let sorts = sort::completed(&query.page.sorts, &["id"], &["id"]);
    let (keys, sort_columns) = keys(&sorts)?;
    // The order is total only with the id.
    let id = sorts.iter().position(|sort| sort.key == "id").unwrap_or_default();
    let marker = match &query.page.marker {
        None => None,
        Some(marker) => Some(marker_values(session, marker, &keys, &sort_columns).await?),
    };
    let Some(wanted) = Wanted::resolve(session, query).await? else { return Ok(Vec::new()) };
    let visible = match &query.access {
        None => Visible::All,
        Some(access) => access::resolve(session, query, access).await?,
    };
    let mut statement = Statement::new(session.dialect());
    let mut pages = Vec::new();
    for search in visible.searches(&mut statement)? {
        let mut conditions = wanted.conditions(&mut statement);
        conditions.extend(search.condition);
        let matching = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let fence = if search.is_gathered { statement.dialect.fence() } else { "" };
        let rows = format!("SELECT {sort_columns} FROM metric m{matching}{fence}");
        let after = marker.as_ref().map(|values| sort::after(&mut statement, &keys, values.clone()));
        let after = after.map_or_else(String::new, |after| format!(" WHERE {after}"));
        pages.push(format!("FROM ({rows}) u{after}"));
    }
    if pages.is_empty() {
        return Ok(Vec::new());
    }
    push_page(&mut statement, &pages, &keys, id, query.page.limit);
    let rows = session.query_once(&statement.text, &statement.params).await?;
    by_id(session, rows).await
}

/// Adds the statement for the ids, the values of the sort key number `id`, of one page of what several searches find.
fn push_page(
    statement: &mut Statement,
    searches: &[String],
    keys: &[SortKey],
    id: usize,
    limit: Option<u64>,
) {
    let mut end = sort::order_by(keys);
    if let Some(limit) = limit {
        let limit = statement.param(i64::try_from(limit).unwrap_or(i64::MAX));
        end.push_str(&format!(" LIMIT {limit}"));
    }
    if let [search] = searches {
        return statement.push(&format!("SELECT u.s{id} {search}{end}"));
    }
    // No search has to find more than a page. Several may find the same.
    let pages = searches.iter().map(|search| format!("SELECT p.* FROM (SELECT u.* {search}{end}) p"));
    let pages = pages.collect::<Vec<_>>().join(" UNION ");
    statement.push(&format!("SELECT u.s{id} FROM ({pages}) u{end}"));
}

/// The metrics of which there are the ids, in the order of these.
async fn by_id(session: &mut dyn Session, rows: Vec<Row>) -> Result<Vec<Metric>, Failure> {
    let ids = rows.into_iter().map(|mut row| row.uuid()).collect::<Result<Vec<_>, _>>()?;
    let places: HashMap<Uuid, usize> = ids.iter().copied().zip(0..).collect();
    let condition = session.dialect().any_of("m.id", "$1", false);
    let sql = format!("SELECT {COLUMNS} FROM metric m WHERE {condition}");
    let rows = session.query(&sql, &[Value::Uuids(ids)]).await?;
    let mut metrics = load(session, rows).await?;
    metrics.sort_by_cached_key(|metric| places.get(&metric.id.0).copied());
    Ok(metrics)
}

async fn marker_values(
    session: &mut dyn Session,
    marker: &str,
    keys: &[SortKey],
    sort_columns: &str,
) -> Result<Vec<Value>, Failure> {
    let invalid = || Failure::from(sort::invalid_marker(marker));
    let id = parse_python_uuid(marker).ok_or_else(invalid)?;
    let sql = format!("SELECT {sort_columns} FROM metric m WHERE m.id = $1");
    let rows = session.query_once(&sql, &[id.into()]).await?;
    let mut row = rows.into_iter().next().ok_or_else(invalid)?;
    sort::marker_values(&mut row, keys)
}

/// What a query names, as keys of rows: columns of `metric` and the values of which they have one.
struct Wanted(Vec<(&'static str, Value)>);

impl Wanted {
    /// What `query` names; nothing where it names something that is not there.
    async fn resolve(session: &mut dyn Session, query: &MetricQuery) -> Result<Option<Self>, Failure> {
        let mut wanted = Vec::new();
        if let Some(ids) = &query.ids {
            wanted.push(("id", Value::Uuids(ids.iter().map(|id| id.0).collect())));
        }
        for (column, table, key, named, values) in [
            ("name_pk", "label", "pk", "text", query.names.clone().map(Value::Texts)),
            (
                "resource_pk",
                "resource",
                "pk",
                "id",
                query.resource_ids.as_ref().map(|ids| Value::Uuids(resources::unique(ids))),
            ),
            ("unit_pk", "label", "pk", "text", one(&query.unit)),
            ("creator_pk", "creator", "pk", "text", one(&query.creator)),
            ("policy_key", "archive_policy", "key", "name", one(&query.policy_name)),
        ] {
            let Some(values) = values else { continue };
            let condition = session.dialect().any_of(&format!("x.{named}"), "$1", false);
            let sql = format!("SELECT x.{key} FROM {table} x WHERE {condition}");
            let rows = session.query(&sql, &[values]).await?;
            let mut keys = rows.into_iter().map(|mut row| row.int()).collect::<Result<Vec<_>, _>>()?;
            wanted.push(match keys.as_mut_slice() {
                [] => return Ok(None),
                // An index has all metrics of one key in the order of ids.
                [key] => (column, Value::Int(*key)),
                _ => (column, Value::Ints(keys)),
            });
        }
        Ok(Some(Self(wanted)))
    }

    fn conditions(&self, statement: &mut Statement) -> Vec<String> {
        let dialect = statement.dialect;
        let condition = |(column, value): &(&str, Value)| {
            let param = statement.param(value.clone());
            match value {
                Value::Int(_) => format!("m.{column} = {param}"),
                _ => dialect.any_of(&format!("m.{column}"), &param, false),
            }
        };
        self.0.iter().map(condition).collect()
    }
}

fn one(text: &Option<String>) -> Option<Value> {
    text.clone().map(|text| Value::Texts(vec![text]))
}

/// How many of each there are.
pub(crate) async fn counts(session: &mut dyn Session) -> Result<IndexCounts, Failure> {
    let sql = "SELECT (SELECT count(*) FROM metric), (SELECT count(*) FROM resource), \
               (SELECT count(*) FROM archive_policy)";
    let mut row = query_one(session, sql, &[]).await?;
    Ok(IndexCounts {
        metrics: row.int()?.cast_unsigned(),
        resources: row.int()?.cast_unsigned(),
        archive_policies: row.int()?.cast_unsigned(),
    })
}
