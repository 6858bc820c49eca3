//! Lists of metrics.

use nephometer_drivers::{IndexCounts, MetricAccess, MetricQuery, Sort};
use nephometer_model::{Metric, parse_python_uuid};

use crate::columns::Branch;
use crate::filter::{LOOK_UP_FIRST, Scope, creator_of_project};
use crate::metrics::{COLUMNS, load};
use crate::session::{Session, Statement, query_one};
use crate::sort::{self, SortKey};
use crate::value::Value;
use crate::{Failure, resources, types};

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

fn keys(sorts: &[Sort]) -> Result<(Vec<SortKey>, String), Failure> {
    let mut keys = Vec::new();
    let mut columns = String::new();
    for (number, sort) in sorts.iter().enumerate() {
        let (expression, nullable) = key_expression(&sort.key).ok_or_else(|| sort::invalid_key(&sort.key))?;
        keys.push(SortKey::new(sort, nullable));
        columns.push_str(&format!(", {expression} AS s{number}"));
    }
    Ok((keys, columns))
}

pub(crate) async fn list(session: &mut dyn Session, query: &MetricQuery) -> Result<Vec<Metric>, Failure> {
    let sorts = sort::completed(&query.page.sorts, &["id"], &["id"]);
    let (keys, sort_columns) = keys(&sorts)?;
    let mut statement = Statement::new(session.dialect());
    let generic = types::require(session, types::GENERIC, "").await?;
    let now = session.shared().clock.now();
    let scope =
        Scope { stored: &generic, branch: Branch::Current, history: false, now, lookups: &LOOK_UP_FIRST };
    let mut conditions = conditions(&mut statement, query);
    if let Some(access) = &query.access {
        conditions.push(access_condition(&mut statement, &scope, access)?);
    }
    let matching =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    statement.push(&format!("SELECT u.* FROM (SELECT {COLUMNS}{sort_columns} FROM metric m{matching}) u"));
    if let Some(marker) = &query.page.marker {
        let values = marker_values(session, marker, &keys, &sort_columns).await?;
        let after = sort::after(&mut statement, &keys, values);
        statement.push(&format!(" WHERE {after}"));
    }
    statement.push(&sort::order_by(&keys));
    if let Some(limit) = query.page.limit {
        let limit = statement.param(i64::try_from(limit).unwrap_or(i64::MAX));
        statement.push(&format!(" LIMIT {limit}"));
    }
    let rows = session.query_once(&statement.text, &statement.params).await?;
    load(session, rows).await
}

async fn marker_values(
    session: &mut dyn Session,
    marker: &str,
    keys: &[SortKey],
    sort_columns: &str,
) -> Result<Vec<Value>, Failure> {
    let invalid = || Failure::from(sort::invalid_marker(marker));
    let id = parse_python_uuid(marker).ok_or_else(invalid)?;
    let sql = format!("SELECT m.id{sort_columns} FROM metric m WHERE m.id = $1");
    let rows = session.query_once(&sql, &[id.into()]).await?;
    let mut row = rows.into_iter().next().ok_or_else(invalid)?;
    row.uuid()?;
    sort::marker_values(&mut row, keys)
}

/// The conditions that a query names.
fn conditions(statement: &mut Statement, query: &MetricQuery) -> Vec<String> {
    let dialect = statement.dialect;
    let mut conditions = Vec::new();
    if let Some(ids) = &query.ids {
        let ids = statement.param(Value::Uuids(ids.iter().map(|id| id.0).collect()));
        conditions.push(dialect.any_of("m.id", &ids, false));
    }
    if let Some(names) = &query.names {
        let names = statement.param(Value::Texts(names.clone()));
        let named = dialect.any_of("x.text", &names, false);
        conditions.push(format!("m.name_pk IN (SELECT x.pk FROM label x WHERE {named})"));
    }
    if let Some(ids) = &query.resource_ids {
        let ids = statement.param(Value::Uuids(resources::unique(ids)));
        let owners = dialect.any_of("x.id", &ids, false);
        conditions.push(format!("m.resource_pk IN (SELECT x.pk FROM resource x WHERE {owners})"));
    }
    for (value, reference, key, table, column) in [
        (&query.unit, "unit_pk", "pk", "label", "text"),
        (&query.creator, "creator_pk", "pk", "creator", "text"),
        (&query.policy_name, "policy_key", "key", "archive_policy", "name"),
    ] {
        if let Some(value) = value {
            let value = statement.param(value);
            conditions
                .push(format!("m.{reference} = (SELECT x.{key} FROM {table} x WHERE x.{column} = {value})"));
        }
    }
    conditions
}

/// The condition that a caller may see a metric: by its creator's project, or by its resource.
fn access_condition(
    statement: &mut Statement,
    scope: &Scope<'_>,
    access: &MetricAccess,
) -> Result<String, Failure> {
    let mut ways = Vec::new();
    if let Some(project) = &access.created_by_project_id {
        let creator = creator_of_project(statement, project);
        ways.push(format!("m.creator_pk IN (SELECT x.pk FROM creator x WHERE {creator})"));
    }
    match &access.resource_filter {
        None => {}
        Some(filter) => {
            let condition = scope.condition(statement, filter)?;
            ways.push(format!("m.resource_pk IN (SELECT r.pk FROM resource r WHERE {condition})"));
        }
    }
    // Each way has an index of its own, which an OR would not use.
    let each: Vec<_> = ways.iter().map(|way| format!("SELECT m.key FROM metric m WHERE {way}")).collect();
    Ok(if each.is_empty() { "1 = 0".to_owned() } else { format!("m.key IN ({})", each.join(" UNION ALL ")) })
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
