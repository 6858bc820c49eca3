//! What the workloads need on the server: archive policies, resource types, resources and their metrics.

use anyhow::{Context, Result, bail};
use nephometer_model::{MetricId, ResourceId, parse_python_uuid};
use serde_json::{Value, json};

use crate::client::Connection;

/// A month at a minute, a year at an hour.
pub(super) const MINUTES_POLICY: &str = "bench-60s";
/// 100,000 points at a second.
pub(super) const SECONDS_POLICY: &str = "bench-1s";
/// Two years at a minute.
pub(super) const YEAR_POLICY: &str = "bench-year";
/// A day at a minute, eleven years at an hour.
pub(super) const HOURS_POLICY: &str = "bench-hours";

/// Makes the policies where they are not there yet; each has five aggregation methods.
pub(super) fn policies(connection: &mut Connection) -> Result<()> {
    const DAY: u64 = 86_400;
    let spans = |spans: &[(u64, u64)]| -> Value {
        spans.iter().map(|(step, span)| json!({"granularity": step, "timespan": span})).collect()
    };
    for (name, definition) in [
        (MINUTES_POLICY, spans(&[(60, 30 * DAY), (3600, 365 * DAY)])),
        (SECONDS_POLICY, spans(&[(1, 100_000)])),
        (YEAR_POLICY, spans(&[(60, 730 * DAY)])),
        (HOURS_POLICY, spans(&[(60, DAY), (3600, 11 * 365 * DAY)])),
    ] {
        let methods = ["mean", "min", "max", "sum", "count"];
        let body = json!({
            "name": name, "back_window": 0, "definition": definition, "aggregation_methods": methods,
        });
        make(connection, "/v1/archive_policy", &body)?;
    }
    Ok(())
}

/// The coarsest granularity of a policy, in seconds.
pub(super) fn coarsest_step(policy: &str) -> u32 {
    match policy {
        SECONDS_POLICY => 1,
        YEAR_POLICY => 60,
        _ => 3600,
    }
}

/// Posts something that may be there already.
pub(super) fn make(connection: &mut Connection, path: &str, body: &Value) -> Result<()> {
    let answer = connection.request("POST", path, body.to_string().as_bytes())?;
    match answer.status {
        201 | 409 => Ok(()),
        status => bail!("POST {path}: {status} {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// Makes a resource with metrics of these names; returns the ids of the metrics in the order of the names.
pub(super) fn resource(
    connection: &mut Connection,
    id: ResourceId,
    names: &[String],
    policy: &str,
) -> Result<Vec<MetricId>> {
    let metrics: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({"archive_policy_name": policy}))).collect();
    let body = json!({"id": id, "metrics": metrics}).to_string();
    let made = connection.request("POST", "/v1/resource/generic", body.as_bytes())?.json()?;
    let id = |value: &Value| Some(MetricId(parse_python_uuid(value.as_str()?)?));
    let ids = names.iter().map(|name| id(&made["metrics"][name])).collect::<Option<_>>();
    ids.context("the resource lacks a metric that was asked for")
}
