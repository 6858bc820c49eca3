//! Samples as OpenTelemetry metrics: `otlp+http://` and `otlp+https://` as the OTLP specification wants them, and
//! `opentelemetryhttp://` as Ceilometer writes them, which is not OTLP but what its users' receivers understand.

mod message;

use async_trait::async_trait;
use nephometer_model::time::parse_timestamp;
use nephometer_model::{Clock, MeterType, Sample, Timestamp, json, python};
use prost::Message as _;
use serde_json::{Value, json};
use std::sync::Arc;

use super::address::Address;
use super::client::HttpTarget;
use crate::{PublishError, Publisher, RefusedSample};

/// Where OTLP receivers listen for metrics.
const OTLP_PATH: &str = "/v1/metrics";
const OTLP_PORT: u16 = 4318;

/// How samples are written.
enum Form {
    /// OTLP's binary form.
    Otlp,
    /// Upstream's JSON: a request for each sample.
    Upstream,
}

/// See the module.
pub(super) struct OtlpPublisher {
    name: String,
    target: HttpTarget,
    form: Form,
    clock: Arc<dyn Clock>,
}

impl OtlpPublisher {
    pub(super) fn new(address: &mut Address, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let name = address.to_string();
        let (form, secure, content_type) = match address.scheme.as_str() {
            "opentelemetryhttp" => (Form::Upstream, address.take_flag("ssl", false)?, "application/json"),
            scheme => (Form::Otlp, scheme == "otlp+https", "application/x-protobuf"),
        };
        address.take("batch");
        if matches!(form, Form::Otlp) {
            address.port = address.port.or(Some(OTLP_PORT));
            if matches!(address.path.as_str(), "" | "/") {
                address.path = OTLP_PATH.to_owned();
            }
        }
        let target = HttpTarget::new(address, secure, content_type)?;
        Ok(Self { name, target, form, clock })
    }

    /// When a sample was taken; or that it says nothing that is a time.
    fn time(&self, sample: &Sample) -> Result<Timestamp, String> {
        let text = sample.timestamp.as_deref().ok_or("it has no timestamp")?;
        parse_timestamp(text, self.clock.now()).map_err(|error| format!("its timestamp is {error}"))
    }
}

#[async_trait]
impl Publisher for OtlpPublisher {
    fn target(&self) -> &str {
        &self.name
    }

    fn at_once(&self) -> usize {
        match self.form {
            Form::Otlp => usize::MAX,
            Form::Upstream => 1,
        }
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        let mut points = Vec::with_capacity(samples.len());
        let mut refused = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let volume = sample.volume.as_f64().ok_or_else(|| "its volume is no number".to_owned());
            match self.time(sample).and_then(|time| Ok((time, volume?))) {
                Ok((time, volume)) => points.push((sample, time, volume)),
                Err(reason) => refused.push(RefusedSample { index, reason }),
            }
        }
        match self.form {
            Form::Upstream => {
                for (sample, time, volume) in points {
                    let body = upstream(sample, time, volume);
                    self.target.post(self.target.url(), json::to_vec(&body)).await?;
                }
            }
            Form::Otlp if points.is_empty() => {}
            Form::Otlp => {
                let body = message::request(&points).encode_to_vec();
                let answer = self.target.post(self.target.url(), body).await?;
                if let Some(rejected) = message::rejected(&answer) {
                    // Which they are it does not say, and asks not to send them again.
                    tracing::warn!(
                        publisher = self.name,
                        rejected.count,
                        rejected.reason,
                        "an OTLP receiver rejects a part of the samples"
                    );
                }
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(PublishError::SomeRefused(refused)) }
    }
}

/// Upstream's body. Its times are in seconds though their names say nanoseconds.
fn upstream(sample: &Sample, time: Timestamp, volume: f64) -> Value {
    let kind = match sample.meter_type {
        MeterType::Cumulative => "counter",
        MeterType::Gauge | MeterType::Delta => "gauge",
    };
    let attribute = |key: &str, value: Option<&str>| json!({"key": key, "value": {"string_value": value}});
    let seconds = time.ns().div_euclid(1_000_000_000);
    let point = json!({
        "attributes": [
            attribute("resource_id", sample.resource_id.as_deref()),
            attribute("user_id", sample.user_id.as_deref()),
            attribute("project_id", sample.project_id.as_deref()),
        ],
        "start_time_unix_nano": seconds,
        "time_unix_nano": seconds,
        "as_double": if volume.is_finite() { json!(sample.volume.to_json()) } else { json!(python::float(volume)) },
        "flags": 0,
    });
    json!({"resource_metrics": [{"scope_metrics": [{
        "scope": {"name": "ceilometer", "version": "v1"},
        "metrics": [{
            "name": sample.name.replace('.', "_"),
            "description": format!("{} unit:{}", sample.name, sample.unit),
            "unit": &*sample.unit,
            kind: {"data_points": [point]},
        }],
    }]}]})
}
