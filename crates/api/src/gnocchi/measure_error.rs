//! Refusals of requests about measures in upstream's words and shapes.

use http::StatusCode;
use nephometer_metric::ingest::BodyError;
use nephometer_metric::operations::{OperationsError, SeriesName};
use nephometer_metric::prometheus::RemoteWriteError;
use nephometer_metric::{MeasureError, OperationError, UnknownResource};
use serde_json::{Value, json};

use super::decode::undecodable;
use super::error::ApiError;
use crate::python;

impl From<MeasureError> for ApiError {
    fn from(error: MeasureError) -> Self {
        let text = error.to_string();
        match error {
            MeasureError::Body(BodyError::Undecodable(reason)) => undecodable(&reason),
            MeasureError::Body(BodyError::Invalid(invalid)) | MeasureError::Invalid(invalid) => {
                invalid.into()
            }
            MeasureError::Query(error) => error.into(),
            MeasureError::Operations(error) => error.into(),
            MeasureError::UnknownResources(resources) => {
                let detail: Vec<_> = resources.iter().map(unknown_resource).collect();
                Self::bad_request(json!({"cause": text, "detail": detail}))
            }
            MeasureError::MethodNotComputed { metric, method } => Self::not_found(json!({
                "cause": text,
                "detail": {"metric": metric, "aggregation_method": method},
            })),
            MeasureError::UnknownResourceType(name) => {
                Self::bad_request(json!({"cause": text, "detail": name}))
            }
            MeasureError::ResourceOfOtherType(id) => {
                Self::new(StatusCode::CONFLICT, json!({"cause": text, "detail": id}))
            }
            MeasureError::TooManyPoints(_) => {
                Self::bad_request(json!({"cause": "Too many points", "reason": text, "detail": []}))
            }
            MeasureError::Line(_) => value_error("line", &text),
            MeasureError::MissingTag(_) => value_error("key", &text),
            MeasureError::RemoteWrite(RemoteWriteError::TooLarge { .. }) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
            }
            MeasureError::RemoteWrite(_) => value_error("body", &text),
            MeasureError::AggregationNotComputed { .. } => Self::not_found(text),
            MeasureError::SearchNotComputed { method, granularity } => Self::bad_request(json!({
                "cause": text,
                "detail": {"granularity": granularity.seconds(), "aggregation_method": method},
            })),
            MeasureError::UnknownMetrics(_)
            | MeasureError::ResampleNeedsGranularity
            | MeasureError::ResampleSpan(_)
            | MeasureError::UnboundedDelete
            | MeasureError::GroupBy => Self::bad_request(text),
        }
    }
}

fn unknown_resource(resource: &UnknownResource) -> Value {
    json!({"resource_id": resource.id, "original_resource_id": resource.original_id})
}

fn value_error(detail: &str, reason: &str) -> ApiError {
    ApiError::bad_request(json!({"cause": "Value error", "detail": detail, "reason": reason}))
}

fn pairs(series: &[SeriesName]) -> Value {
    series.iter().map(|(name, method)| json!([name, method])).collect::<Vec<_>>().into()
}

fn not_aggregable(reason: &str, detail: impl Into<Value>) -> ApiError {
    let detail: Value = detail.into();
    ApiError::bad_request(
        json!({"cause": "Metrics cannot be aggregated", "reason": reason, "detail": detail}),
    )
}

impl From<OperationsError> for ApiError {
    fn from(error: OperationsError) -> Self {
        let text = error.to_string();
        match error {
            OperationsError::Syntax(reason) => {
                Self::bad_request(json!({"cause": "Invalid operations", "reason": text, "detail": reason}))
            }
            OperationsError::NoMetric(operations) => Self::bad_request(
                json!({"cause": "Operations is invalid", "reason": text, "detail": operations}),
            ),
            OperationsError::InvalidReferences(series) => Self::bad_request(
                json!({"cause": "Invalid metric references", "reason": text, "detail": pairs(&series)}),
            ),
            OperationsError::UnknownMetrics(ids) => {
                Self::not_found(json!({"cause": "Unknown metrics", "reason": text, "detail": ids}))
            }
            OperationsError::NoMatch(names) => {
                Self::not_found(format!("Metric {} does not exist", python::repr(&names.into())))
            }
            OperationsError::UnknownMethod(series) => {
                Self::not_found(json!({"cause": text, "detail": pairs(&[series])}))
            }
            OperationsError::NoGranularityMatch(series) => not_aggregable(&text, pairs(&series)),
            OperationsError::MissingGranularities(series) => {
                let entry = |((name, method), granularity): &(SeriesName, nephometer_model::Timespan)| {
                    json!([name, method, granularity.seconds()])
                };
                not_aggregable(&text, series.iter().map(entry).collect::<Vec<_>>())
            }
            OperationsError::Overlap { series, .. } => not_aggregable(&text, pairs(&series)),
            OperationsError::Operation { error: OperationError::DifferentRows, operands, series } => {
                let operands: Vec<_> = operands.iter().map(python::str).collect();
                not_aggregable(format!("{text} {}", operands.join(" <> ")).trim_end(), pairs(&series))
            }
            OperationsError::Operation { series, .. } => not_aggregable(&text, pairs(&series)),
            OperationsError::NeedsSeries(_) | OperationsError::HistoryNeedsAggregate => Self::new(
                StatusCode::BAD_REQUEST,
                json!({"cause": "Invalid operations", "reason": text, "detail": []}),
            ),
            OperationsError::UnknownReaggregation(_) => Self::argument("reaggregation", &text),
        }
    }
}
