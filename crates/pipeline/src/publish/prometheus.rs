//! `prometheus://`: the last sample of each series, pushed to a Prometheus Pushgateway.
//!
//! A push replaces what the gateway has of the same names in the same group. Where the address names no group of its own,
//! each resource is one, so that resources do not replace each other.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nephometer_model::{MeterType, Sample, Volume, python};
use reqwest::Url;

use super::address::Address;
use super::client::HttpTarget;
use crate::{PublishError, Publisher};

/// See the module.
pub(super) struct PrometheusPublisher {
    name: String,
    target: HttpTarget,
    /// Whether the address names a group.
    grouped: bool,
}

impl PrometheusPublisher {
    pub(super) fn new(address: &mut Address) -> Result<Self, String> {
        let name = address.to_string();
        let secure = address.take_flag("ssl", false)?;
        address.take("batch");
        let steps = address.path.split('/').filter(|step| !step.is_empty()).count();
        let grouped = address.path.starts_with("/metrics/job/") && steps > 3;
        // The type is upstream's; the gateway does not look at it.
        let target = HttpTarget::new(address, secure, "plain/text")?;
        Ok(Self { name, target, grouped })
    }
}

impl PrometheusPublisher {
    /// The address of a resource's group. The gateway wants ids with slashes, and empty ones, in a form of its own.
    fn group(&self, id: &str) -> Url {
        if id.is_empty() || id.contains('/') {
            let encoded = if id.is_empty() { "=".to_owned() } else { URL_SAFE_NO_PAD.encode(id) };
            return self.target.below(&["resource_id@base64", encoded.as_str()]);
        }
        self.target.below(&["resource_id", id])
    }
}

#[async_trait]
impl Publisher for PrometheusPublisher {
    fn target(&self) -> &str {
        &self.name
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        if samples.is_empty() {
            return Ok(());
        }
        if self.grouped {
            return self.target.post(self.target.url(), text(samples.iter())).await.map(drop);
        }
        let mut groups: Vec<(String, Vec<&Sample>)> = Vec::new();
        let mut places: HashMap<Option<&str>, usize> = HashMap::new();
        for sample in samples {
            let id = sample.resource_id.as_deref();
            let place = *places.entry(id).or_insert_with(|| {
                groups.push((id.unwrap_or("None").to_owned(), Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(sample);
        }
        for (id, samples) in groups {
            self.target.post(&self.group(&id), text(samples.into_iter())).await?;
        }
        Ok(())
    }
}

/// Samples in Prometheus's text form, by name; of several of one series the last, because a body may have one.
fn text<'a>(samples: impl Iterator<Item = &'a Sample>) -> String {
    let mut names: Vec<(String, Vec<(String, &Sample)>)> = Vec::new();
    for sample in samples {
        let name = sample.name.replace(['.', '-'], "_");
        let labels = labels(sample);
        let place = names.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            names.push((name, Vec::new()));
            names.len() - 1
        });
        let series = &mut names[place].1;
        match series.iter_mut().find(|(known, _)| *known == labels) {
            Some(known) => known.1 = sample,
            None => series.push((labels, sample)),
        }
    }
    let mut text = String::new();
    for (name, series) in names {
        let kind = series.iter().find_map(|(_, sample)| match sample.meter_type {
            MeterType::Cumulative => Some("counter"),
            MeterType::Gauge => Some("gauge"),
            // Prometheus has no word for it.
            MeterType::Delta => None,
        });
        if let Some(kind) = kind {
            text.push_str(&format!("# TYPE {name} {kind}\n"));
        }
        for (labels, sample) in series {
            text.push_str(&format!("{name}{{{labels}}} {}\n", number(&sample.volume)));
        }
    }
    text
}

fn labels(sample: &Sample) -> String {
    let label = |name: &str, value: Option<&str>| {
        let value = value.unwrap_or("None").replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    [
        label("resource_id", sample.resource_id.as_deref()),
        label("user_id", sample.user_id.as_deref()),
        label("project_id", sample.project_id.as_deref()),
    ]
    .join(", ")
}

fn number(volume: &Volume) -> String {
    match volume {
        Volume::Int(value) => value.to_string(),
        Volume::Float(value) => python::float(*value),
        Volume::Other(value) => python::str(value),
    }
}

#[cfg(test)]
mod tests {
    use nephometer_model::Meter;

    use super::*;

    #[test]
    fn a_body_has_each_series_once() {
        let sample = |name: &str, meter_type, volume: Volume, resource: &str| {
            let mut sample = Sample::new(&Meter::new(name, meter_type, ""), 0_i64, "i");
            sample.volume = volume;
            sample.resource_id = Some(resource.into());
            sample
        };
        let samples = [
            sample("disk.read-x", MeterType::Cumulative, 1_i64.into(), "a"),
            sample("power", MeterType::Delta, f64::INFINITY.into(), "a\"\\\n"),
            sample("disk.read-x", MeterType::Cumulative, 2_i64.into(), "a"),
            sample("disk.read-x", MeterType::Cumulative, 1.5.into(), "b"),
        ];
        assert_eq!(
            text(samples.iter()),
            "# TYPE disk_read_x counter\n\
             disk_read_x{resource_id=\"a\", user_id=\"None\", project_id=\"None\"} 2\n\
             disk_read_x{resource_id=\"b\", user_id=\"None\", project_id=\"None\"} 1.5\n\
             power{resource_id=\"a\\\"\\\\\\n\", user_id=\"None\", project_id=\"None\"} inf\n"
        );
    }
}
