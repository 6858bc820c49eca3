//! Prometheus remote write: a snappy-compressed protocol buffer of labelled samples.

use std::collections::{BTreeMap, HashMap};

use nephometer_model::{Attribute, AttributeKind, AttributeValue};
use prost::Message;

use crate::ingest::Measures;
use crate::measures::ResourceMeasures;

/// The resource type of what Prometheus writes.
pub const PROMETHEUS_TYPE: &str = "prometheus";

/// The value by which Prometheus says that a series has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp_ms: i64,
}

/// Why a body is no remote write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteWriteError {
    /// It would decompress to more than is allowed.
    #[error("the body is larger than {max_bytes} bytes when decompressed")]
    TooLarge {
        /// The most that is allowed.
        max_bytes: usize,
    },
    /// It is not compressed with snappy, or no protocol buffer of the right kind.
    #[error("{0}")]
    Undecodable(String),
    /// A series without a name.
    #[error("a time series has no label `__name__'")]
    Nameless,
    /// A sample before 1970 or beyond what nanoseconds in 64 bits hold.
    #[error("unexpected timestamp 'Timestamp must be after Epoch'")]
    Timestamp,
}

/// Attributes of the resource type.
pub fn prometheus_attributes() -> BTreeMap<String, Attribute> {
    let kind = AttributeKind::String { min_length: 1, max_length: 512 };
    let attribute = Attribute { kind, required: true };
    ["instance", "job"].into_iter().map(|name| (name.to_owned(), attribute)).collect()
}

/// Reads a body. Resources are called `job@instance`, metrics by the series' name; other labels are not kept, so of
/// several series of one name the last one counts, as upstream has it. Marks of ended series are no measures.
pub fn read_remote_write(body: &[u8], max_bytes: usize) -> Result<Vec<ResourceMeasures>, RemoteWriteError> {
    let undecodable = |error: &dyn std::fmt::Display| RemoteWriteError::Undecodable(error.to_string());
    let length = snap::raw::decompress_len(body).map_err(|error| undecodable(&error))?;
    if length > max_bytes {
        return Err(RemoteWriteError::TooLarge { max_bytes });
    }
    let plain = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| undecodable(&error))?;
    let request = WriteRequest::decode(plain.as_slice()).map_err(|error| undecodable(&error))?;
    let mut resources: Vec<ResourceMeasures> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for series in request.timeseries {
        let labels: HashMap<&str, &str> =
            series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
        if labels.values().any(|value| value.contains('\0')) {
            return Err(undecodable(&"NUL characters are not supported"));
        }
        let name = *labels.get("__name__").ok_or(RemoteWriteError::Nameless)?;
        let label = |name: &str| labels.get(name).copied().unwrap_or("none").to_owned();
        let (job, instance) = (label("job"), label("instance"));
        let measures = measures(&series.samples)?;
        if measures.is_empty() {
            continue;
        }
        let id = format!("{job}@{instance}");
        let place = *places.entry(id.clone()).or_insert(resources.len());
        if place == resources.len() {
            let attributes = [("job", job), ("instance", instance)];
            let attributes = attributes.map(|(name, value)| (name.to_owned(), AttributeValue::String(value)));
            resources.push(ResourceMeasures {
                original_id: id,
                attributes: attributes.into(),
                metrics: BTreeMap::new(),
            });
        }
        resources[place].metrics.insert(name.to_owned(), measures);
    }
    Ok(resources)
}

fn measures(samples: &[Sample]) -> Result<Measures, RemoteWriteError> {
    let mut measures = Measures::default();
    for sample in samples.iter().filter(|sample| sample.value.to_bits() != STALE) {
        let ns = sample.timestamp_ms.checked_mul(1_000_000).filter(|ns| *ns >= 0);
        measures.timestamps_ns.push(ns.ok_or(RemoteWriteError::Timestamp)?);
        measures.values.push(sample.value);
    }
    Ok(measures)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> TimeSeries {
        let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
        let sample =
            |(value, timestamp_ms): &(f64, i64)| Sample { value: *value, timestamp_ms: *timestamp_ms };
        TimeSeries {
            labels: labels.iter().map(label).collect(),
            samples: samples.iter().map(sample).collect(),
        }
    }

    fn body(timeseries: Vec<TimeSeries>) -> Vec<u8> {
        let plain = WriteRequest { timeseries }.encode_to_vec();
        snap::raw::Encoder::new().compress_vec(&plain).unwrap()
    }

    #[test]
    fn series_become_metrics_of_their_source() {
        let up = [("__name__", "up"), ("job", "node"), ("instance", "h:1")];
        let stale = f64::from_bits(STALE);
        let body = body(vec![
            series(&up, &[(0.0, 1)]),
            series(&up, &[(1.0, 1_506_146_578_187), (stale, 1_506_146_579_000)]),
            series(&[("__name__", "x")], &[(2.0, 3)]),
            series(&[("__name__", "y")], &[]),
        ]);
        let resources = read_remote_write(&body, 1 << 20).unwrap();
        let ids: Vec<_> = resources.iter().map(|resource| resource.original_id.as_str()).collect();
        assert_eq!(ids, ["node@h:1", "none@none"]);
        assert_eq!(resources[0].metrics["up"].timestamps_ns, [1_506_146_578_187_000_000]);
        assert_eq!(resources[0].metrics["up"].values, [1.0]);
        assert_eq!(resources[1].metrics.keys().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn refuses_what_is_none() {
        let nameless = body(vec![series(&[("job", "x")], &[(1.0, 1)])]);
        assert_eq!(read_remote_write(&nameless, 1 << 20), Err(RemoteWriteError::Nameless));
        let early = body(vec![series(&[("__name__", "x")], &[(1.0, -1)])]);
        assert_eq!(read_remote_write(&early, 1 << 20), Err(RemoteWriteError::Timestamp));
        let nul = body(vec![series(&[("__name__", "x\0")], &[(1.0, 1)])]);
        assert!(matches!(read_remote_write(&nul, 1 << 20), Err(RemoteWriteError::Undecodable(_))));
        assert!(matches!(read_remote_write(b"garbage", 1 << 20), Err(RemoteWriteError::Undecodable(_))));
        let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).unwrap();
        assert_eq!(read_remote_write(&bomb, 1 << 19), Err(RemoteWriteError::TooLarge { max_bytes: 1 << 19 }));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_remote_write(&bytes, 1 << 16);
            let compressed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
            let _ = read_remote_write(&compressed, 1 << 16);
        }
    }
}
