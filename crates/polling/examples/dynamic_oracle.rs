//! Polls by definitions over given answers, one JSON object a line, for `conformance/pipeline/dynamic.py`.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudReader, CloudTarget};
use nephometer_model::{Clock, ManualClock, Sample, Timestamp};
use nephometer_pipeline::{NotAccepted, SampleSink};
use nephometer_polling::dynamic::{DynamicDefinitions, plugins};
use nephometer_polling::{Cycle, Resource, SampleOut};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Question {
    definition: Value,
    resources: Vec<String>,
    /// By type of service.
    catalogue: BTreeMap<String, Vec<String>>,
    /// By address: status and body.
    answers: BTreeMap<String, (u16, String)>,
}

struct Cloud {
    catalogue: BTreeMap<String, Vec<String>>,
    answers: BTreeMap<String, (u16, String)>,
}

#[async_trait]
impl CloudReader for Cloud {
    async fn endpoints(&self, service_type: &str) -> Result<Vec<String>, CloudError> {
        Ok(self.catalogue.get(service_type).cloned().unwrap_or_default())
    }

    async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError> {
        let (CloudTarget::Configured(url) | CloudTarget::Link(url)) = &call.target else {
            return Err(CloudError::Invalid("no address".to_owned()));
        };
        let found = self.answers.get(url).cloned();
        let (status, body) = found.unwrap_or((404, format!("nothing is at {url}")));
        Ok(CloudAnswer { status, headers: http::HeaderMap::new(), body: body.into() })
    }

    async fn project_id(&self) -> Result<Option<String>, CloudError> {
        Ok(None)
    }
}

#[derive(Default)]
struct Taken(Mutex<Vec<Sample>>);

#[async_trait]
impl SampleSink for Taken {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        self.0.lock().extend(samples);
        Ok(())
    }
}

async fn answer(question: Question) -> Result<Value> {
    let directory = tempfile::tempdir()?;
    // JSON is YAML.
    std::fs::write(directory.path().join("a.yaml"), json!([question.definition]).to_string())?;
    let namespaces = ["central".to_owned()];
    let definitions = match DynamicDefinitions::load(&[directory.path().to_owned()], &namespaces) {
        Ok(definitions) => definitions,
        Err(error) => return Ok(json!({"wrong": error.to_string()})),
    };
    if let Some(problem) = definitions.problems.first() {
        return Ok(json!({"wrong": problem.error.to_string()}));
    }
    let cloud =
        Arc::new(Cloud { catalogue: question.catalogue, answers: question.answers }) as Arc<dyn CloudReader>;
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
    let by = Arc::clone(&clock) as Arc<dyn Clock>;
    let plugins = plugins(&definitions, "central", &cloud, &by)?;
    let pollster = plugins.pollsters.first().context("a pollster")?;
    let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
    let resources: Vec<_> = question.resources.into_iter().map(Resource::from_id).collect();
    let taken = Taken::default();
    let mut out = SampleOut::new(&taken, "t".into(), 10);
    let polled = pollster.poll(&cycle, &resources, &mut out).await;
    out.flush().await?;
    let samples: Vec<_> =
        taken.0.into_inner().into_iter().map(|sample| Value::Object(sample.to_map())).collect();
    Ok(json!({
        "discovery": pollster.default_discovery(),
        "samples": samples,
        "failure": polled.err().map(|error| error.to_string()),
    }))
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let question = serde_json::from_str(&line?)?;
        writeln!(output, "{}", runtime.block_on(answer(question))?)?;
    }
    Ok(())
}
