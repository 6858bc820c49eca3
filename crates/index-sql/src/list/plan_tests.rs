//! How the databases find pages: in the order of an index, and never by looking at whole tables.

use std::collections::HashMap;

use async_trait::async_trait;
use nephometer_drivers::{Direction, MetricAccess, MetricQuery, Page};
use nephometer_model::{Comparison, FilterValue};
use uuid::Uuid;

use super::tests::{open_postgres, open_sqlite, populate};
use super::*;
use crate::metric_list;
use crate::session::Shared;
use crate::value::Batch;

/// A session that asks how the statements of requests are run, before they are.
struct Explained<'a> {
    inner: &'a mut dyn Session,
    plans: Vec<String>,
}

impl Explained<'_> {
    async fn explain(&mut self, sql: &str, params: &[Value]) -> Result<(), Failure> {
        let explain = match self.dialect() {
            Dialect::Sqlite => "EXPLAIN QUERY PLAN",
            Dialect::Postgres => "EXPLAIN",
        };
        let mut plan = String::new();
        for mut row in self.inner.query_once(&format!("{explain} {sql}"), params).await? {
            while let Ok(value) = row.value() {
                if let Value::Text(line) = value {
                    plan.push_str(&line);
                    plan.push('\n');
                }
            }
        }
        self.plans.push(format!("{plan}{sql}"));
        Ok(())
    }
}

#[async_trait]
impl Session for Explained<'_> {
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    fn shared(&self) -> &Shared {
        self.inner.shared()
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.inner.query(sql, params).await
    }

    async fn query_once(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.explain(sql, params).await?;
        self.inner.query_once(sql, params).await
    }

    async fn keys(&mut self, search: &str, params: &[Value]) -> Result<Vec<i64>, Failure> {
        self.explain(search, params).await?;
        self.inner.keys(search, params).await
    }

    async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failure> {
        self.inner.execute(sql, params).await
    }

    async fn query_batch(&mut self, sql: &str, batch: &Batch) -> Result<Vec<Row>, Failure> {
        self.inner.query_batch(sql, batch).await
    }

    async fn execute_batch(&mut self, sql: &str, batch: &Batch) -> Result<u64, Failure> {
        self.inner.execute_batch(sql, batch).await
    }

    async fn insert(&mut self, table: &str, batch: &Batch) -> Result<(), Failure> {
        self.inner.insert(table, batch).await
    }

    async fn insert_new(
        &mut self,
        table: &str,
        key: &str,
        batch: &Batch,
    ) -> Result<HashMap<Uuid, i64>, Failure> {
        self.inner.insert_new(table, key, batch).await
    }
}

/// PostgreSQL would read and sort tables as small as these; where it cannot do else it still does.
const AS_IF_LARGE: &str = "SELECT set_config(s.name, 'off', true) \
                           FROM unnest(array['enable_seqscan', 'enable_sort', 'enable_bitmapscan']) AS s(name)";

enum Asked {
    Resources(ResourceQuery),
    Metrics(MetricQuery),
}

async fn plans(session: &mut dyn Session, asked: &Asked) -> Result<Vec<String>, Failure> {
    if session.dialect() == Dialect::Postgres {
        session.query(AS_IF_LARGE, &[]).await?;
    }
    let mut explained = Explained { inner: session, plans: Vec::new() };
    match asked {
        Asked::Resources(query) => drop(list(&mut explained, query).await?),
        Asked::Metrics(query) => drop(metric_list::list(&mut explained, query).await?),
    }
    Ok(explained.plans)
}

fn page(sorts: &[(&str, Direction)]) -> Page {
    let sort = |(key, direction): &(&str, Direction)| Sort {
        key: (*key).to_owned(),
        direction: *direction,
        nulls: None,
    };
    Page { limit: Some(7), marker: None, sorts: sorts.iter().map(sort).collect() }
}

fn resources(type_name: &str, filter: Filter, sorts: &[(&str, Direction)]) -> Asked {
    Asked::Resources(ResourceQuery {
        type_name: type_name.to_owned(),
        filter,
        history: false,
        details: true,
        with_metrics: true,
        page: page(sorts),
    })
}

/// Pages, and whether an index has each in its order.
fn asked() -> Vec<(Asked, bool)> {
    let text = Filter::eq_text;
    let rack = || Filter::Compare(Comparison::Ge, "rack".to_owned(), FilterValue::Text("r0".to_owned()));
    let member = Filter::Or(vec![text("project_id", "p1"), text("created_by_project_id", "p1")]);
    let ascending = Direction::Ascending;
    let access = |project: &str| {
        let resource_filter = Some(Filter::eq_text("project_id", project));
        Some(MetricAccess { created_by_project_id: Some(project.to_owned()), resource_filter })
    };
    let mut asked = vec![
        (resources("vm", Filter::All, &[]), true),
        (resources("generic", Filter::All, &[]), true),
        (resources("vm", rack(), &[]), true),
        (resources("vm", Filter::Not(Box::new(text("rack", "r0"))), &[]), true),
        (resources("vm", rack().and(text("rack", "r1")), &[]), false),
        (resources("vm", text("zone", "a"), &[]), false),
        (resources("vm", text("zone", "a"), &[("rack", ascending)]), false),
        (resources("vm", text("id", &Uuid::from_u128(1).to_string()), &[]), false),
        (resources("vm", member.clone(), &[]), false),
        (resources("vm", member.and(rack()), &[("started_at", ascending)]), false),
        (Asked::Metrics(MetricQuery { page: page(&[]), ..MetricQuery::default() }), true),
    ];
    for key in ["id", "started_at", "ended_at", "project_id", "user_id", "zone", "rack"] {
        asked.push((resources("vm", Filter::All, &[(key, ascending)]), true));
        asked.push((resources("vm", rack(), &[(key, ascending)]), true));
    }
    for project in ["p1", "nobody's"] {
        asked.push((
            Asked::Metrics(MetricQuery {
                access: access(project),
                page: page(&[]),
                ..MetricQuery::default()
            }),
            false,
        ));
    }
    asked
}

async fn check(index: &crate::SqlIndex, sorted: &str, reads_whole_table: impl Fn(&str) -> bool) {
    populate(index).await;
    let mut sorts = 0;
    for (asked, ordered) in asked() {
        let plans = index.read(asked, |session, asked| Box::pin(plans(session, asked))).await.unwrap();
        for plan in plans {
            sorts += usize::from(plan.contains(sorted));
            assert!(!ordered || !plan.contains(sorted), "sorted: {plan}");
            assert!(!reads_whole_table(&plan), "a whole table: {plan}");
        }
    }
    assert!(sorts > 0, "what was gathered is sorted, and we would have seen others");
}

#[tokio::test]
async fn sqlite_reads_no_whole_tables_for_a_page_and_sorts_none_that_has_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let sorted = "USE TEMP B-TREE FOR ORDER BY";
    // A scan of an index is a walk; these are tables without one. Metrics lie in the order of ids: to walk through them is one,
    // to sort them then is not.
    let reads_whole_table = |plan: &str| {
        let scans = |alias: &str| plan.lines().any(|line| line.trim_end() == format!("SCAN {alias}"));
        ["r", "a", "s"].into_iter().any(scans) || (scans("m") && plan.contains(sorted))
    };
    check(&open_sqlite(&directory), sorted, reads_whole_table).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_reads_no_whole_tables_for_a_page_and_sorts_none_that_has_an_index() {
    let reads_whole_table = |plan: &str| {
        ["resource", "metric", "resource_attribute"]
            .iter()
            .any(|table| plan.contains(&format!("Seq Scan on {table} ")))
    };
    check(&open_postgres().await, "Sort Key", reads_whole_table).await;
}
