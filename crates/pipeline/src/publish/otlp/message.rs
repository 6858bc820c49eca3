//! The messages of OTLP's metrics service that are needed here. Numbers are those of opentelemetry-proto 1.

use std::collections::HashMap;

use nephometer_model::{MeterType, Sample, Timestamp, Volume};
use prost::{Message, Oneof};

/// `AGGREGATION_TEMPORALITY_DELTA`.
const DELTA: i32 = 1;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportMetricsServiceRequest {
    #[prost(message, repeated, tag = "1")]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "AnyValueKind", tags = "1")]
    value: Option<AnyValueKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum AnyValueKind {
    #[prost(string, tag = "1")]
    Text(String),
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(oneof = "Data", tags = "5, 7")]
    data: Option<Data>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Data {
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    #[prost(message, tag = "7")]
    Sum(Sum),
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<NumberDataPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct Sum {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<NumberDataPoint>,
    #[prost(int32, tag = "2")]
    aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    is_monotonic: bool,
}

#[derive(Clone, PartialEq, Message)]
struct NumberDataPoint {
    #[prost(fixed64, tag = "2")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    time_unix_nano: u64,
    #[prost(oneof = "Number", tags = "4, 6")]
    value: Option<Number>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
enum Number {
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(sfixed64, tag = "6")]
    Int(i64),
}

#[derive(Clone, PartialEq, Message)]
struct ExportMetricsServiceResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_data_points: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// What a receiver did not take.
pub(super) struct Rejected {
    pub(super) count: i64,
    pub(super) reason: String,
}

/// What the answer says was rejected, if anything was.
pub(super) fn rejected(answer: &[u8]) -> Option<Rejected> {
    let partial = ExportMetricsServiceResponse::decode(answer).ok()?.partial_success?;
    let (count, reason) = (partial.rejected_data_points, partial.error_message);
    (count > 0).then_some(Rejected { count, reason })
}

/// A request with all samples: a metric for each meter, a data point for each sample.
pub(super) fn request(points: &[(&Sample, Timestamp, f64)]) -> ExportMetricsServiceRequest {
    let mut metrics: Vec<Metric> = Vec::new();
    let mut places: HashMap<(&str, MeterType, &str), usize> = HashMap::new();
    for (sample, time, volume) in points {
        let place = places.entry((&sample.name, sample.meter_type, &sample.unit)).or_insert_with(|| {
            metrics.push(metric(sample));
            metrics.len() - 1
        });
        let point = data_point(sample, *time, *volume);
        match metrics.get_mut(*place).and_then(|metric| metric.data.as_mut()) {
            Some(Data::Gauge(gauge)) => gauge.data_points.push(point),
            Some(Data::Sum(sum)) => sum.data_points.push(point),
            None => {}
        }
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let scope_metrics =
        ScopeMetrics { scope: Some(Scope { name: "nephometer".to_owned(), version }), metrics };
    let resource = Resource { attributes: vec![attribute("service.name", "nephometer")] };
    let resource_metrics = ResourceMetrics { resource: Some(resource), scope_metrics: vec![scope_metrics] };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn metric(sample: &Sample) -> Metric {
    let sum = |aggregation_temporality| Sum {
        data_points: Vec::new(),
        aggregation_temporality,
        is_monotonic: aggregation_temporality == CUMULATIVE,
    };
    let data = match sample.meter_type {
        MeterType::Gauge => Data::Gauge(Gauge { data_points: Vec::new() }),
        MeterType::Delta => Data::Sum(sum(DELTA)),
        MeterType::Cumulative => Data::Sum(sum(CUMULATIVE)),
    };
    Metric {
        name: sample.name.to_string(),
        description: String::new(),
        unit: sample.unit.to_string(),
        data: Some(data),
    }
}

fn data_point(sample: &Sample, time: Timestamp, volume: f64) -> NumberDataPoint {
    let owners = [
        ("resource_id", &sample.resource_id),
        ("user_id", &sample.user_id),
        ("project_id", &sample.project_id),
    ];
    NumberDataPoint {
        // Nobody knows since when a counter counts.
        start_time_unix_nano: 0,
        time_unix_nano: u64::try_from(time.ns()).unwrap_or(0),
        value: Some(match sample.volume {
            Volume::Int(whole) => Number::Int(whole),
            _ => Number::Double(volume),
        }),
        attributes: owners
            .iter()
            .filter_map(|(key, value)| Some(attribute(key, value.as_deref()?)))
            .collect(),
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(AnyValueKind::Text(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value) }
}
