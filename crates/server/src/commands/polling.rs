//! `polling`: the agent in a process of its own; with `--once` one cycle of each interval, and what came of it.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Result;
use nephometer_model::{Sample, SystemClock};
use nephometer_pipeline::KeptSamples;
use nephometer_polling::{Division, PollOutcome};
use serde_json::{Value, json};

use crate::cli::{GlobalArgs, PollingArgs};
use crate::collection::{Collection, Extras, Outlets};
use crate::{logging, services};

use super::{load_config, say, serve, table};

/// Runs `polling`.
pub(super) fn run(args: &PollingArgs, mut global: GlobalArgs) -> Result<()> {
    if !args.namespaces.is_empty() {
        global.set.push(format!("polling.namespaces={}", args.namespaces.join(",")));
    }
    if args.once { once(args, &global) } else { serve::run(&services::POLLING, SystemClock::new(), &global) }
}

/// Polls once and prints what came of it; samples are handed on unless the run is a dry one.
fn once(args: &PollingArgs, global: &GlobalArgs) -> Result<()> {
    let mut config = load_config(global)?;
    logging::start(&config.log)?;
    // There is nobody to deliver what would be spooled.
    config.publisher.spool.max_bytes = 0;
    let clock = Arc::new(SystemClock::new());
    let collection = Collection::open(&config, &clock)?;
    let (plan, _) = collection.plan()?;
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (samples, outcomes) = runtime.block_on(async {
        let division = Division::alone(Arc::clone(&clock) as _);
        if !args.dry_run {
            let outlets =
                Outlets { collection: &collection, service: None, directory: directory.path().to_owned() };
            let sink = outlets.open()?;
            let (agent, _) = collection.agent(plan, Arc::clone(&sink) as _, division, Extras::default());
            let outcomes = agent.once().await;
            sink.delivered().await;
            return Ok::<_, anyhow::Error>((Vec::new(), outcomes));
        }
        let collected = Arc::new(KeptSamples::default());
        let (agent, _) = collection.agent(plan, Arc::clone(&collected) as _, division, Extras::default());
        let outcomes = agent.once().await;
        Ok((collected.take(), outcomes))
    })?;
    if args.json { say(&as_json(&samples, &outcomes)?) } else { say(&as_tables(&samples, &outcomes)) }
}

fn as_json(samples: &[Sample], outcomes: &[PollOutcome]) -> Result<String> {
    let pollsters: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "source": &*outcome.source,
                "pollster": &*outcome.pollster,
                "resources": outcome.resources,
                "samples": outcome.samples,
                "seconds": outcome.took.as_secs_f64(),
                "failure": outcome.failure,
            })
        })
        .collect();
    let samples: Vec<Value> = samples.iter().map(|sample| Value::Object(sample.to_map())).collect();
    Ok(serde_json::to_string_pretty(&json!({ "samples": samples, "pollsters": pollsters }))? + "\n")
}

/// Samples by resource and meter; then the pollsters that made them, and how they fared.
fn as_tables(samples: &[Sample], outcomes: &[PollOutcome]) -> String {
    let mut rows: Vec<[String; 6]> = samples
        .iter()
        .map(|sample| {
            let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
            let volume = match sample.volume.to_json() {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let unit = sample.unit.to_string();
            [
                text(&sample.resource_id),
                sample.name.to_string(),
                sample.meter_type.to_string(),
                volume,
                unit,
                text(&sample.project_id),
            ]
        })
        .collect();
    rows.sort();
    let mut out = table(["RESOURCE", "METER", "TYPE", "VOLUME", "UNIT", "PROJECT"], &rows);
    let rows: Vec<[String; 6]> = outcomes
        .iter()
        .map(|outcome| {
            [
                outcome.source.to_string(),
                outcome.pollster.to_string(),
                outcome.resources.to_string(),
                outcome.samples.to_string(),
                format!("{:.3}", outcome.took.as_secs_f64()),
                outcome.failure.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let _ = write!(
        out,
        "\n{}",
        table(["SOURCE", "POLLSTER", "RESOURCES", "SAMPLES", "SECONDS", "FAILURE"], &rows)
    );
    out
}
