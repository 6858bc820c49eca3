//! What object stores tell of each project: meters whose readings come from one answer a project and cycle.

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt as _;
use nephometer_model::{Meter, MeterType, Sample, Volume};
use serde_json::{Map, Value};

use crate::{Cycle, Resource};

/// Projects that are asked about side by side.
const AT_ONCE: usize = 4;

/// One reading of a project's account, or of a container in it.
pub(super) struct Reading {
    /// The container, where it is of one.
    pub(super) container: Option<String>,
    /// What is read.
    pub(super) volume: Volume,
    /// What is told of it.
    pub(super) metadata: Map<String, Value>,
}

impl Reading {
    /// Of the account.
    pub(super) fn of_account(volume: impl Into<Volume>) -> Self {
        Self { container: None, volume: volume.into(), metadata: Map::new() }
    }
}

/// A gauge of accounts.
pub(super) fn gauge(name: &str, unit: &str) -> Meter {
    Meter::new(name, MeterType::Gauge, unit)
}

/// The sample of a reading of `project`'s account.
pub(super) fn sample(cycle: &Cycle, meter: &Meter, project: &Arc<str>, reading: Reading) -> Sample {
    let mut sample = Sample::new(meter, reading.volume, cycle.ids().uuid().to_string());
    sample.project_id = Some(Arc::clone(project));
    sample.resource_id = Some(match reading.container {
        Some(container) => format!("{project}/{container}").into(),
        None => Arc::clone(project),
    });
    sample.metadata = reading.metadata.into();
    sample
}

/// What `ask` says of each of `projects`, in their order, some at a time.
pub(super) async fn ask_all<T, F>(projects: &[Resource], ask: impl Fn(Arc<str>) -> F) -> Vec<(Arc<str>, T)>
where
    F: Future<Output = T>,
{
    let ids: Vec<_> = projects.iter().map(|project| Arc::clone(&project.id)).collect();
    let asked = ids.into_iter().map(|id| {
        let answer = ask(Arc::clone(&id));
        async move { (id, answer.await) }
    });
    futures::stream::iter(asked).buffered(AT_ONCE).collect().await
}
