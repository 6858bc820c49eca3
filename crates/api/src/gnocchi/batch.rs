//! Measures of many metrics in one request: `/v1/batch`.

use http::Method;
use nephometer_metric::ingest::{read_metric_batch, read_resource_batch};
use nephometer_metric::{MeasureError, MeasuresQuery, Series};
use nephometer_model::MetricId;
use serde_json::{Value, json};

use super::arguments::grouping;
use super::call::Call;
use super::decode::{JSON, require_media_type};
use super::document::Document;
use super::error::ApiError;
use super::measures::{accepted, reading};
use super::route::{Answer, Route, handler};
use super::values::{read_text, read_timespan, read_timestamp, read_uuid, timespan, timestamp, uuid};
use crate::schema::{Key, Schema};

pub(super) fn routes() -> Vec<Route> {
    let by_id = "/v1/batch/metrics/measures";
    let by_name = "/v1/batch/resources/metrics/measures";
    vec![
        Route::new(Method::POST, by_id, "Write measures of metrics named by id", handler!(by_metric))
            .rule("post measures")
            .takes("MeasuresByMetric")
            .statuses(&[202, 400, 415]),
        Route::new(Method::POST, by_name, "Write measures of metrics of resources", handler!(by_resource))
            .rule("post measures")
            .query(&["create_metrics"])
            .takes("MeasuresByResource")
            .statuses(&[202, 400, 415]),
        Route::new(
            Method::POST,
            "/v1/batch/metrics/measures/read",
            "Read aggregates of metrics",
            handler!(read),
        )
        .rule("get measures")
        .takes("ReadOfMetrics")
        .gives("AggregatesByMetric")
        .statuses(&[200, 400, 404, 415]),
    ]
}

async fn by_metric(call: Call) -> Answer {
    require_media_type(&call.headers, JSON)?;
    let now = call.service().clock().now();
    let batch = reading(&call, || read_metric_batch(&call.body, now)).map_err(MeasureError::from)?;
    let charge = call.charge(batch.measures.len())?;
    call.service().write_metric_batch(&call.access(), batch).await?;
    charge.keep();
    Ok(accepted())
}

async fn by_resource(call: Call) -> Answer {
    require_media_type(&call.headers, JSON)?;
    let (now, access) = (call.service().clock().now(), call.access());
    let batch = reading(&call, || read_resource_batch(&call.body, access.creator(), now));
    let batch = batch.map_err(MeasureError::from)?;
    let create = call.flag("create_metrics", false)?;
    let charge = call.charge(batch.measures.len())?;
    call.service().write_resource_batch(&access, batch, create).await?;
    charge.keep();
    Ok(accepted())
}

/// Answers `{metric id: [[timestamp, granularity, value], …], …}`, each metric as its own `measures` would.
async fn read(call: Call) -> Answer {
    let checked = call.checked(&read_schema(&call))?;
    let ids: Vec<_> =
        checked["metrics"].as_array().into_iter().flatten().filter_map(read_uuid).map(MetricId).collect();
    let found = call.service().read_many(&call.access(), &ids, &read_query(&checked)?).await?;
    Ok(by_metric_id(found).answer())
}

/// An object of series by metric.
pub(super) fn by_metric_id(found: Vec<(MetricId, Vec<Series>)>) -> Document {
    let mut document = Document::default();
    let entries = found.into_iter().map(|(id, series)| (id.to_string(), series));
    document.object(entries, Document::series);
    document
}

fn read_schema(call: &Call) -> Schema {
    let time =
        || Schema::Any(vec![Schema::Null, timestamp(call.service().clock().now(), "not a valid value")]);
    Schema::Object(vec![
        Key::required("metrics", Schema::List(Box::new(uuid("badly formed hexadecimal UUID string")))),
        Key::optional("start", time()),
        Key::optional("stop", time()),
        Key::with_default("aggregation", json!("mean"), Schema::Str),
        Key::optional("granularity", Schema::Any(vec![Schema::Null, timespan()])),
        Key::optional("resample", Schema::Any(vec![Schema::Null, Schema::Str])),
    ])
}

fn read_query(checked: &Value) -> Result<MeasuresQuery, ApiError> {
    let granularity = read_timespan(checked.get("granularity"));
    let resample = read_text(checked.get("resample")).filter(|text| !text.is_empty());
    if resample.is_some() && granularity.is_none() {
        return Err(MeasureError::ResampleNeedsGranularity.into());
    }
    Ok(MeasuresQuery {
        method: read_text(checked.get("aggregation")).unwrap_or_default(),
        granularity,
        start: read_timestamp(checked.get("start")).flatten(),
        stop: read_timestamp(checked.get("stop")).flatten(),
        resample: resample.as_deref().map(grouping).transpose()?,
    })
}
