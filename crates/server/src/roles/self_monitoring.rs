//! Measures this host and this process into their own store, through the metric service like any client: two resources
//! with attributes, metrics under a policy of their own.

mod readings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nephometer_drivers::IndexError;
use nephometer_metric::ingest::{Measures, NamedRun, ResourceBatch, ResourceRuns};
use nephometer_metric::{
    Access, MetricError, MetricService, NewArchivePolicy, PolicyItemSpec, ResourcePatch, ResourceSpec,
};
use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, Attributes, Identity, ResourceId, Timespan, resource_id_from,
};
use tokio::time::MissedTickBehavior;

use crate::host::{self, HostFacts};
use crate::stage::Stage;
use crate::watcher::Watcher;

use super::{Ground, Handle, Role};
use readings::{Reading, Readings};

/// Who makes the resources and metrics.
const CREATOR: &str = "nephometer";
/// Their archive policy: (granularity, timespan) in seconds.
const POLICY: &str = "nephometer";
const DEFINITION: [(i64, i64); 3] = [(5, 6 * 3600), (60, 14 * 86_400), (3600, 365 * 86_400)];
const METHODS: [&str; 6] = ["mean", "min", "max", "last", "count", "rate:mean"];
/// Type of this host's resource.
const HOST_TYPE: &str = "nephometer_host";
/// Type of this process's resource.
const PROCESS_TYPE: &str = "nephometer_process";

/// Wanted where `self_monitoring.enabled` is.
pub(crate) static ROLE: Role = Role {
    name: "self_monitoring",
    stands_on: &[Ground::Store],
    is_wanted: |config| config.self_monitoring.enabled,
    start: |stage| Box::pin(async move { start(stage) }),
};

/// What is asked and told.
struct Deps {
    service: Arc<MetricService>,
    watcher: Arc<Watcher>,
    /// The directory whose file system is measured.
    data_dir: PathBuf,
}

/// Measures until the process stops.
fn start(stage: &Stage<'_>) -> Result<Handle> {
    let deps = Deps {
        service: Arc::clone(&stage.parts.store()?.service),
        watcher: Arc::clone(&stage.watcher),
        data_dir: stage.config.storage.data_dir.clone(),
    };
    let interval = Duration::from_secs(stage.config.self_monitoring.interval_seconds);
    let shutdown = stage.shutdown.clone();
    Ok(Handle::spawn(ROLE.name, None, async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut monitor = Monitor::new(deps);
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
            if let Err(error) = monitor.measure().await {
                tracing::warn!(%error, "this host and process were not measured");
            }
        }
    }))
}

struct Monitor {
    deps: Deps,
    identity: Identity,
    facts: HostFacts,
    readings: Readings,
    resources: Option<Resources>,
}

/// The ids of the two resources, once they are there.
#[derive(Clone, Copy)]
struct Resources {
    host: ResourceId,
    process: ResourceId,
}

impl Monitor {
    fn new(deps: Deps) -> Self {
        let identity = Identity { creator: Some(CREATOR.to_owned()), ..Identity::default() };
        Self { deps, identity, facts: host::facts(), readings: Readings::default(), resources: None }
    }

    /// Takes all readings and writes them as one request.
    async fn measure(&mut self) -> Result<(), MetricError> {
        let resources = match self.resources {
            Some(resources) => resources,
            None => self.prepare().await?,
        };
        self.resources = Some(resources);
        let snapshot = self.deps.watcher.look().await;
        let telemetry = Arc::clone(self.deps.watcher.telemetry());
        let now = self.deps.service.clock().now();
        let host = self.readings.host(host::usage(&self.deps.data_dir));
        let process = self.readings.process(&snapshot, &telemetry, now);
        let mut measures = Measures::default();
        let mut batch = ResourceBatch::default();
        for (id, readings) in [(resources.host, host), (resources.process, process)] {
            let runs = readings.iter().map(run).collect();
            batch.resources.push(ResourceRuns { original_id: id.to_string().into(), id, runs });
            measures.timestamps_ns.extend(readings.iter().map(|_| now.ns()));
            measures.values.extend(readings.iter().map(|reading| reading.value));
        }
        batch.measures = measures;
        self.deps.service.write_resource_batch(&self.access(), batch, true).await
    }

    fn access(&self) -> Access<'_> {
        Access::internal(&self.identity)
    }

    /// Makes policy, types and resources where they are missing, and brings attributes up to date.
    async fn prepare(&self) -> Result<Resources, MetricError> {
        let service = &self.deps.service;
        let definition = DEFINITION.map(|(granularity, timespan)| PolicyItemSpec {
            granularity: Some(Timespan::from_seconds(granularity)),
            points: None,
            timespan: Some(Timespan::from_seconds(timespan)),
        });
        let policy = NewArchivePolicy {
            name: POLICY.to_owned(),
            back_window: 0,
            methods: Some(METHODS.map(str::to_owned).to_vec()),
            definition: definition.to_vec(),
        };
        there_or_made(service.create_archive_policy(&self.access(), policy).await)?;
        let HostFacts { hostname, kernel, cpus } = &self.facts;
        let text = |value: &str| AttributeValue::String(value.to_owned());
        let number = |value: u64| AttributeValue::Number(value.into());
        let host = [("hostname", text(hostname)), ("kernel", text(kernel)), ("cpus", number(*cpus))];
        let process = [
            ("hostname", text(hostname)),
            ("version", text(env!("CARGO_PKG_VERSION"))),
            ("pid", number(u64::from(std::process::id()))),
        ];
        Ok(Resources {
            host: self.resource(HOST_TYPE, &format!("host:{hostname}"), host).await?,
            process: self.resource(PROCESS_TYPE, &format!("nephometer:{hostname}"), process).await?,
        })
    }

    /// The resource `name` of a type with these attributes.
    async fn resource<const N: usize>(
        &self,
        type_name: &str,
        name: &str,
        values: [(&str, AttributeValue); N],
    ) -> Result<ResourceId, MetricError> {
        let service = &self.deps.service;
        let attributes: Attributes =
            values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let schema: BTreeMap<String, Attribute> =
            attributes.iter().map(|(name, value)| (name.clone(), attribute_for(value))).collect();
        there_or_made(service.create_resource_type(&self.access(), type_name, schema).await)?;
        let id = resource_id_from(name, Some(CREATOR)).map_err(|error| {
            MetricError::Index(IndexError::Internal(format!("the host's name {name} makes no id: {error}")))
        })?;
        let spec = ResourceSpec {
            id,
            original_resource_id: name.to_owned(),
            type_name: type_name.to_owned(),
            user_id: None,
            project_id: None,
            started_at: None,
            ended_at: None,
            attributes: attributes.clone(),
            metrics: BTreeMap::new(),
        };
        if there_or_made(service.create_resource(&self.access(), spec).await)?.is_none() {
            let current = service.resource(&self.access(), type_name, id).await?;
            let attributes = attributes.into_iter().map(|(name, value)| (name, Some(value))).collect();
            let patch = ResourcePatch { attributes, ..ResourcePatch::default() };
            service.change_resource(&self.access(), type_name, &current, patch, false).await?;
        }
        Ok(id)
    }
}

fn attribute_for(value: &AttributeValue) -> Attribute {
    let kind = match value {
        AttributeValue::Number(_) => AttributeKind::Number { min: None, max: None },
        _ => AttributeKind::String { min_length: 0, max_length: 255 },
    };
    Attribute { kind, required: false }
}

fn run(reading: &Reading) -> NamedRun<'static> {
    NamedRun {
        name: reading.name.into(),
        policy_name: Some(POLICY.into()),
        unit: Some(reading.unit.into()),
        len: 1,
    }
}

/// Nothing where it is there already.
fn there_or_made<T>(made: Result<T, MetricError>) -> Result<Option<T>, MetricError> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(MetricError::Index(
            IndexError::ArchivePolicyAlreadyExists(_)
            | IndexError::ResourceTypeAlreadyExists(_)
            | IndexError::ResourceAlreadyExists(_),
        )) => Ok(None),
        Err(error) => Err(error),
    }
}
