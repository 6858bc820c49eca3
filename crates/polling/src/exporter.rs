//! The agent's own Prometheus exporter: the last samples of each pollster as gauges, in upstream's names and labels. What
//! each series has for labels is its own affair; upstream stops where two samples of a meter differ in that.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nephometer_model::{Metadata, Sample, python};
use parking_lot::Mutex;
use serde_json::Value;

use crate::PollsterKey;

/// Media type of what is rendered.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Lines by meter.
type Series = BTreeMap<String, Vec<String>>;

/// What pollsters have read the last time, as text.
#[derive(Debug, Default)]
pub struct Exporter(Mutex<BTreeMap<PollsterKey, Series>>);

impl Exporter {
    /// Puts what a pollster of a source has read in place of what it had read before.
    pub fn replace(&self, key: &PollsterKey, samples: &[Sample]) {
        let mut series = Series::new();
        for sample in samples {
            let Some(value) = sample.volume.as_f64() else { continue };
            let name = metric_name(&sample.name);
            let line = format!("{name}{{{}}} {}\n", labels(sample), shown(value));
            series.entry(name).or_default().push(line);
        }
        self.0.lock().insert(key.clone(), series);
    }

    /// Forgets pollsters that a new plan has no more.
    pub(crate) fn retain(&self, keys: &std::collections::HashSet<PollsterKey>) {
        self.0.lock().retain(|key, _| keys.contains(key));
    }

    /// Everything, in Prometheus' text format. A series that two sources have read is told once.
    pub fn render(&self) -> String {
        let mut merged: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        let pollsters = self.0.lock();
        for (name, lines) in pollsters.values().flatten() {
            let series = merged.entry(name).or_default();
            for line in lines {
                let (labels, _) = line.rsplit_once(' ').unwrap_or((line, ""));
                series.insert(labels, line);
            }
        }
        let mut text = String::new();
        for (name, series) in merged {
            let _ = write!(text, "# HELP {name} \n# TYPE {name} gauge\n");
            text.extend(series.into_values());
        }
        text
    }
}

fn metric_name(meter: &str) -> String {
    format!("ceilometer_{}", meter.replace('.', "_"))
}

fn shown(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ if value.is_nan() => "NaN".to_owned(),
        _ => python::float(value),
    }
}

/// Labels in upstream's order.
fn labels(sample: &Sample) -> String {
    let metadata = &sample.metadata;
    let mut labels = Labels::default();
    identity(sample, &mut labels);
    labels.some("vm_instance", metadata.get("host"));
    if let Some(name) = resource_name(metadata) {
        labels.put("resource_name", &name);
    }
    if !metadata.is_empty() {
        let group = metadata.get("user_metadata").and_then(|user| user.get("server_group"));
        labels.put(
            "server_group",
            &group.filter(|group| is_true(group)).map_or("none".to_owned(), python::str),
        );
    }
    if let Some(state) = metadata.get("alarm_state").filter(|state| state.as_str() != Some("")) {
        labels.put("state", &python::str(state));
    }
    let mut with = |names: &[&str]| {
        for name in names {
            labels.put(
                name,
                &metadata.get(name).filter(|value| is_true(value)).map_or(String::new(), python::str),
            );
        }
    };
    if sample.name.starts_with("loadbalancer") {
        with(&["availability_zone"]);
    }
    if &*sample.name == "volume.service.health" {
        with(&["binary", "zone", "status"]);
    }
    if let Some(flavor) = metadata.get("flavor") {
        labels.some("flavor_id", flavor.get("id"));
        labels.some("flavor_name", flavor.get("name"));
    }
    labels.0
}

fn identity(sample: &Sample, labels: &mut Labels) {
    let parts: Vec<&str> = sample.name.split('.').collect();
    let resource = sample.resource_id.as_deref();
    labels.put(parts[0], if parts.len() > 2 { parts[2] } else { resource.unwrap_or("None") });
    labels.put("publisher", "ceilometer");
    labels.put("type", parts.get(1).unwrap_or(&parts[0]));
    for (name, value) in [
        ("counter", Some(&*sample.name)),
        ("project", sample.project_id.as_deref()),
        ("project_name", sample.project_name.as_deref()),
        ("user", sample.user_id.as_deref()),
        ("user_name", sample.user_name.as_deref()),
        ("unit", Some(&*sample.unit)),
        ("resource", resource),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels.put(name, value);
        }
    }
}

fn resource_name(metadata: &Metadata) -> Option<String> {
    let text = |name: &str| metadata.get(name).filter(|value| is_true(value)).map(python::str);
    match (text("display_name"), text("name")) {
        (Some(display_name), Some(name)) => Some(format!("{display_name}:{name}")),
        (display_name, name) => display_name.or(name),
    }
}

/// Python's truth.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// `name="value",…`
#[derive(Debug, Default)]
struct Labels(String);

impl Labels {
    fn some(&mut self, name: &str, value: Option<&Value>) {
        if let Some(value) = value.filter(|value| is_true(value)) {
            self.put(name, &python::str(value));
        }
    }

    fn put(&mut self, name: &str, value: &str) {
        let out = &mut self.0;
        if !out.is_empty() {
            out.push(',');
        }
        // What no label may contain, and no meter of upstream's has.
        out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

#[cfg(test)]
mod tests {

    use nephometer_model::{Meter, MeterType, Volume};
    use serde_json::json;

    use super::*;

    fn sample(meter: &str, volume: impl Into<Volume>, metadata: Value) -> Sample {
        let mut sample = Sample::new(&Meter::new(meter, MeterType::Cumulative, "B"), volume, "i");
        sample.resource_id = Some("r-1".into());
        sample.project_id = Some("p".into());
        let Value::Object(metadata) = metadata else { panic!() };
        sample.metadata = metadata.into();
        sample
    }

    fn key(pollster: &str) -> PollsterKey {
        ("source".into(), pollster.into())
    }

    #[test]
    fn series_have_upstreams_labels() {
        let exporter = Exporter::default();
        let metadata = json!({
            "display_name": "web \"1\"", "name": "instance-1", "host": "h4sh", "flavor": {"id": "1", "name": "m1"},
        });
        let read = [
            sample("disk.device.read.bytes", 12_i64, metadata),
            sample("disk.device.read.bytes", 2.5, json!({})),
            sample("disk.device.read.bytes", Value::Null, json!({})),
        ];
        exporter.replace(&key("disk.device.read.bytes"), &read);
        exporter.replace(&key("cpu"), &[sample("cpu", f64::INFINITY, json!({"alarm_state": "ok"}))]);
        let health = json!({"binary": "cinder-volume", "zone": null, "status": "enabled"});
        exporter.replace(&key("volume.service.health"), &[sample("volume.service.health", 1_i64, health)]);
        assert_eq!(
            exporter.render(),
            "# HELP ceilometer_cpu \n# TYPE ceilometer_cpu gauge\n\
             ceilometer_cpu{cpu=\"r-1\",publisher=\"ceilometer\",type=\"cpu\",counter=\"cpu\",project=\"p\",unit=\"B\",\
             resource=\"r-1\",server_group=\"none\",state=\"ok\"} +Inf\n\
             # HELP ceilometer_disk_device_read_bytes \n# TYPE ceilometer_disk_device_read_bytes gauge\n\
             ceilometer_disk_device_read_bytes{disk=\"read\",publisher=\"ceilometer\",type=\"device\",\
             counter=\"disk.device.read.bytes\",project=\"p\",unit=\"B\",resource=\"r-1\",vm_instance=\"h4sh\",\
             resource_name=\"web \\\"1\\\":instance-1\",server_group=\"none\",flavor_id=\"1\",flavor_name=\"m1\"} 12.0\n\
             ceilometer_disk_device_read_bytes{disk=\"read\",publisher=\"ceilometer\",type=\"device\",\
             counter=\"disk.device.read.bytes\",project=\"p\",unit=\"B\",resource=\"r-1\"} 2.5\n\
             # HELP ceilometer_volume_service_health \n# TYPE ceilometer_volume_service_health gauge\n\
             ceilometer_volume_service_health{volume=\"health\",publisher=\"ceilometer\",type=\"service\",\
             counter=\"volume.service.health\",project=\"p\",unit=\"B\",resource=\"r-1\",server_group=\"none\",\
             binary=\"cinder-volume\",zone=\"\",status=\"enabled\"} 1.0\n"
        );
    }

    #[test]
    fn what_is_not_read_any_more_is_gone() {
        let exporter = Exporter::default();
        exporter.replace(&key("radosgw.usage"), &[sample("radosgw.api.request", 1_i64, json!({}))]);
        exporter.replace(
            &("other".into(), "radosgw.usage".into()),
            &[sample("radosgw.api.request", 1_i64, json!({}))],
        );
        assert_eq!(exporter.render().matches("ceilometer_radosgw_api_request{").count(), 1);
        exporter.replace(&key("radosgw.usage"), &[]);
        exporter.retain(&std::collections::HashSet::from([key("radosgw.usage")]));
        assert_eq!(exporter.render(), "");
    }
}
