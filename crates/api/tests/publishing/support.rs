//! Samples, and a target that fails when a test wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use nephometer_drivers::{
    AttributeChange, Made, MetricWriteError, MetricWriter, NamedMeasures, TypeAttributes,
};
use nephometer_model::{Metadata, Meter, MeterType, NewArchivePolicy, Sample};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// A reading of `cpu` of an instance at `second` of 2026-01-01.
pub(crate) fn cpu(instance: &str, second: u32, volume: f64) -> Sample {
    sample("cpu", instance, second, volume)
}

/// A reading of any meter.
pub(crate) fn sample(meter: &str, resource: &str, second: u32, volume: f64) -> Sample {
    let meter = Meter::new(meter, MeterType::Cumulative, "ns");
    let mut sample = Sample::new(&meter, volume, format!("{resource}-{second}"));
    sample.resource_id = Some(resource.into());
    sample.user_id = Some("a-user".into());
    sample.project_id = Some("a-project".into());
    let (minute, second) = (second / 60, second % 60);
    sample.timestamp = Some(format!("2026-01-01T00:{minute:02}:{second:02}.000000").into());
    sample.metadata =
        metadata(json!({"display_name": "vm", "host": "c1", "flavor": {"id": "1", "name": "m1.small"}}));
    sample
}

pub(crate) fn metadata(value: Value) -> Metadata {
    let Value::Object(fields) = value else { panic!("metadata is an object") };
    fields.into()
}

/// A writer that counts what it is asked, and is away when told.
pub(crate) struct Watched<W> {
    inner: W,
    /// Requests that do not succeed from now on.
    pub(crate) away: AtomicU64,
    /// What was asked: the method, and of what.
    pub(crate) asked: Mutex<Vec<String>>,
}

impl<W> Watched<W> {
    pub(crate) fn new(inner: W) -> Arc<Self> {
        Arc::new(Self { inner, away: AtomicU64::new(0), asked: Mutex::default() })
    }

    /// What was asked since the last time, but for reading types.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock())
    }

    fn note(&self, what: &str, of: &str) -> Result<(), MetricWriteError> {
        self.asked.lock().push(format!("{what} {of}"));
        let away = self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match away {
            Ok(_) => Err(MetricWriteError::Unavailable("it is away".to_owned())),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl<W: MetricWriter> MetricWriter for Watched<W> {
    async fn create_archive_policy(&self, policy: &NewArchivePolicy) -> Result<Made, MetricWriteError> {
        self.note("policy", &policy.name)?;
        self.inner.create_archive_policy(policy).await
    }

    async fn resource_type(&self, name: &str) -> Result<Option<TypeAttributes>, MetricWriteError> {
        self.inner.resource_type(name).await
    }

    async fn create_resource_type(
        &self,
        name: &str,
        attributes: &TypeAttributes,
    ) -> Result<Made, MetricWriteError> {
        self.note("type", name)?;
        self.inner.create_resource_type(name, attributes).await
    }

    async fn change_resource_type(
        &self,
        name: &str,
        attribute: &str,
        change: &AttributeChange,
    ) -> Result<(), MetricWriteError> {
        self.note("attribute", &format!("{name}.{attribute}"))?;
        self.inner.change_resource_type(name, attribute, change).await
    }

    async fn write(&self, measures: &[NamedMeasures]) -> Result<(), MetricWriteError> {
        let count: usize = measures.iter().map(|named| named.measures.len()).sum();
        self.note("measures", &count.to_string())?;
        self.inner.write(measures).await
    }

    async fn create_resource(
        &self,
        resource_type: &str,
        attributes: &Map<String, Value>,
    ) -> Result<Made, MetricWriteError> {
        self.note("resource", resource_type)?;
        self.inner.create_resource(resource_type, attributes).await
    }

    async fn change_resource(
        &self,
        resource_type: &str,
        id: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), MetricWriteError> {
        let names: Vec<_> = attributes.keys().map(String::as_str).collect();
        self.note("change", &names.join("+"))?;
        self.inner.change_resource(resource_type, id, attributes).await
    }

    async fn search_resources(
        &self,
        resource_type: &str,
        query: &Value,
    ) -> Result<Vec<String>, MetricWriteError> {
        self.inner.search_resources(resource_type, query).await
    }
}
