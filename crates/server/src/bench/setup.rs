//! What the workloads need on the server: archive policies, a rule, resources and their metrics.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::client::Connection;

/// Policy of the bulk and panel metrics: a month at a minute, a year at an hour, five methods.
pub(super) const BULK_POLICY: &str = "bench-60s";
/// Policy of the metrics that are read point by point.
pub(super) const POINTS_POLICY: &str = "bench-1s";
/// Names of the bulk metrics begin so; a rule gives them [`BULK_POLICY`].
pub(super) const NAME_PREFIX: &str = "bench.";

/// Makes policies and rule where they are not there yet.
pub(super) fn policies(connection: &mut Connection) -> Result<()> {
    let methods = ["mean", "min", "max", "sum", "count"];
    let bulk = json!([
        {"granularity": 60, "timespan": 30 * 86_400},
        {"granularity": 3600, "timespan": 365 * 86_400},
    ]);
    for (name, definition) in
        [(BULK_POLICY, bulk), (POINTS_POLICY, json!([{"granularity": 1, "points": 100_000}]))]
    {
        let body = json!({
            "name": name, "back_window": 0, "definition": definition, "aggregation_methods": methods,
        });
        make(connection, "/v1/archive_policy", &body)?;
    }
    let rule = json!({
        "name": "bench", "metric_pattern": format!("{NAME_PREFIX}*"), "archive_policy_name": BULK_POLICY,
    });
    make(connection, "/v1/archive_policy_rule", &rule)
}

/// Posts something that may be there already.
fn make(connection: &mut Connection, path: &str, body: &Value) -> Result<()> {
    let answer = connection.request("POST", path, body.to_string().as_bytes())?;
    match answer.status {
        201 | 409 => Ok(()),
        status => bail!("POST {path}: {status} {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// Makes a resource with metrics of these names (none where the load makes them itself); returns the resource's id and
/// the ids of the metrics in the order of the names.
pub(super) fn resource(
    connection: &mut Connection,
    id: &str,
    names: &[String],
    policy: &str,
) -> Result<(String, Vec<String>)> {
    let metrics: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({"archive_policy_name": policy}))).collect();
    let body = json!({"id": id, "metrics": metrics}).to_string();
    let made = connection.request("POST", "/v1/resource/generic", body.as_bytes())?.json()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let ids = names.iter().map(|name| text(&made["metrics"][name])).collect::<Option<_>>();
    let id = text(&made["id"]).context("a resource has an id")?;
    Ok((id, ids.context("the resource lacks a metric that was asked for")?))
}
