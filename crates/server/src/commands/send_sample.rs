//! `send-sample`: one sample through the pipelines, as if it had been polled.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use nephometer_model::{Clock as _, IdSource as _, Meter, Sample, SystemClock};

use nephometer_pipeline::expr::Expression;
use serde_json::{Map, Value};

use crate::cli::{GlobalArgs, SendSampleArgs};
use crate::collection::{Collection, Outlets};
use crate::logging;

use super::load_config;

/// Sends it, and fails where nobody takes it.
pub(super) fn run(args: &SendSampleArgs, global: &GlobalArgs) -> Result<()> {
    let mut config = load_config(global)?;
    logging::start(&config.log)?;
    // Whoever sends by hand waits for the target: what is spooled would have nobody to deliver it.
    config.publisher.spool.max_bytes = 0;
    config.polling.namespaces.clear();
    let clock = Arc::new(SystemClock::new());
    let sample = sample(args, &clock)?;
    let collection = Collection::open(&config, &clock)?;
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sink = Outlets { collection: &collection, service: None, directory: directory.path().to_owned() }
            .open()?;
        sink.accept(vec![sample]).await.context("the sample is not taken")?;
        sink.delivered().await;
        Ok(())
    })
}

fn sample(args: &SendSampleArgs, clock: &SystemClock) -> Result<Sample> {
    let meter = Meter::new(&args.name, args.meter_type, &args.unit);
    let mut sample = Sample::new(&meter, args.volume, clock.uuid().to_string());
    let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
    sample.resource_id = Some(args.resource.as_str().into());
    sample.user_id = shared(&args.user);
    sample.project_id = shared(&args.project);
    let now = || clock.now_micros().isoformat().trim_end_matches("+00:00").to_owned();
    sample.timestamp = Some(args.timestamp.clone().unwrap_or_else(now).into());
    sample.metadata = metadata(args.metadata.as_deref().unwrap_or("{}"))?.into();
    Ok(sample)
}

/// A dict as Python writes one; JSON is one but for its constants.
fn metadata(text: &str) -> Result<Map<String, Value>> {
    if let Ok(map) = serde_json::from_str(text) {
        return Ok(map);
    }
    let read = Expression::compile(text).map_err(anyhow::Error::from);
    let read = read.and_then(|expression| Ok(expression.evaluate_json(&[])?));
    match read.with_context(|| format!("--sample-metadata: `{text}` is no dict"))? {
        Value::Object(map) => Ok(map),
        _ => bail!("--sample-metadata: `{text}` is no dict"),
    }
}
