//! The index: making many resources, listing them with their metrics, searching by attributes, page by page.

use anyhow::{Context, Result};
use nephometer_model::IdSource;
use serde_json::{Value, json};

use super::report::Outcome;
use super::runner::{Runner, merged};
use super::setup::{MINUTES_POLICY, make};
use super::tally::{Request, Tally};

const TYPE: &str = "bench_instance";
/// Metrics of a resource, unless told otherwise.
const METRICS: usize = 4;
const FLAVORS: usize = 4;
/// Resources of a host.
const PER_HOST: usize = 50;
const PAGE: usize = 100;

/// Makes `--resources` resources, then lists and searches.
pub(super) fn run(runner: &mut Runner<'_>) -> Result<Vec<Outcome>> {
    let text = json!({"type": "string", "required": false, "max_length": 255});
    let attributes = json!({"host": text, "flavor": text, "display_name": text});
    let mut connection = runner.target.connect()?;
    make(&mut connection, "/v1/resource_type", &json!({"name": TYPE, "attributes": attributes}))?;
    let mut ids = Vec::new();
    let mut created = runner.measured("index.create", "resources", || {
        let workers = runner.args.workers;
        let made = runner.in_parallel(0..workers, |worker| create(runner, worker))?;
        let (made, tallies): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        ids = made.concat();
        Ok(merged(tallies))
    })?;
    created.set_memory(runner.target.usage());
    let hosts = runner.args.resources.div_ceil(PER_HOST) as u64;
    let search = |filter: Value| (format!("/v1/search/resource/{TYPE}?limit=10000"), filter.to_string());
    let first = format!("/v1/resource/{TYPE}?limit={PAGE}");
    let all = listing(runner, "index.list", |_| (format!("/v1/resource/{TYPE}?limit=10000"), String::new()))?;
    let flavor = listing(runner, "index.by-flavor", |_| search(json!({"=": {"flavor": "flavor-1"}})))?;
    let host = listing(runner, "index.by-host", |random| {
        search(json!({"=": {"host": format!("host-{}", random.below(hosts))}}))
    })?;
    let page = listing(runner, "index.page", |random| {
        let marker = &ids[usize::try_from(random.below(ids.len() as u64)).unwrap_or(0)];
        (format!("{first}&marker={marker}"), String::new())
    })?;
    let found = listing(runner, "index.page-by-flavor", |random| {
        let marker = &ids[usize::try_from(random.below(ids.len() as u64)).unwrap_or(0)];
        let path = format!("/v1/search/resource/{TYPE}?limit={PAGE}&marker={marker}");
        (path, json!({"=": {"flavor": "flavor-1"}}).to_string())
    })?;
    Ok(vec![created, all, flavor, host, page, found])
}

/// One worker's share of the resources; returns their ids.
fn create(runner: &Runner<'_>, worker: usize) -> Result<(Vec<String>, Tally)> {
    let mut connection = runner.target.connect()?;
    let mut tally = Tally::default();
    let metrics: serde_json::Map<String, Value> = (0..runner.args.per_resource.unwrap_or(METRICS))
        .map(|i| (format!("bench_{i:03}"), json!({"archive_policy_name": MINUTES_POLICY})))
        .collect();
    let mut ids = Vec::new();
    for index in (worker..runner.args.resources).step_by(runner.args.workers) {
        let id = runner.clock.uuid().to_string();
        let body = json!({
            "id": id, "project_id": format!("project-{}", index % 100), "display_name": format!("instance-{index}"),
            "host": format!("host-{}", index / PER_HOST), "flavor": format!("flavor-{}", index % FLAVORS),
            "metrics": metrics,
        });
        let path = format!("/v1/resource/{TYPE}");
        let body = body.to_string();
        let request = Request { method: "POST", path: &path, body: body.as_bytes() };
        tally.timed(&runner.clock, &mut connection, request)?;
        tally.items += 1;
        ids.push(id);
    }
    Ok((ids, tally))
}

fn listing(
    runner: &Runner<'_>,
    name: &str,
    request: impl Fn(&mut super::values::Random) -> (String, String),
) -> Result<Outcome> {
    runner.measured(name, "resources", || {
        let count = |answer: &Value| Ok(answer.as_array().context("a list of resources")?.len() as u64);
        runner.varied(None, request, count, runner.timer())
    })
}
