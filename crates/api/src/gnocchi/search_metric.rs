//! Search for points by their values: `/v1/search/metric`.

use http::Method;
use nephometer_metric::ValueSearch;
use nephometer_metric::query::parse_predicate;
use nephometer_model::{MetricId, Timespan, Timestamp, parse_python_uuid, time};

use super::arguments;
use super::batch::by_metric_id;
use super::call::Call;
use super::error::ApiError;
use super::route::{Answer, Route, handler};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v1/search/metric", "Find points by their values", handler!(search))
            .rule("search metric")
            .takes("ValuePredicate")
            .gives("AggregatesByMetric")
            .query(&["metric_id", "start", "stop", "aggregation", "granularity"])
            .statuses(&[200, 400, 415]),
    ]
}

async fn search(call: Call) -> Answer {
    let metrics = call.service().searchable_metrics(&call.access(), &metric_ids(&call)?).await?;
    if call.body.is_empty() {
        return Err(ApiError::bad_request("No query specified in body"));
    }
    let predicate = parse_predicate(&call.json()?)?;
    let (start, stop) = (bound(&call, "start")?, bound(&call, "stop")?);
    let search = ValueSearch {
        predicate,
        method: arguments::aggregation(&call)?,
        granularities: granularities(&call)?,
        start,
        stop,
    };
    let found = call.service().search_values(&metrics, &search).await?;
    Ok(by_metric_id(found).answer())
}

fn metric_ids(call: &Call) -> Result<Vec<MetricId>, ApiError> {
    let refused = || ApiError::argument("metric_id", "badly formed hexadecimal UUID string");
    let ids =
        call.query.all("metric_id").map(|text| parse_python_uuid(text).map(MetricId).ok_or_else(refused));
    let ids: Vec<_> = ids.collect::<Result<_, _>>()?;
    if ids.is_empty() { Err(ApiError::argument("metric_id", "Must be given")) } else { Ok(ids) }
}

fn bound(call: &Call, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let read = |text| {
        time::parse_timestamp(text, call.service().clock().now())
            .map_err(|_| ApiError::bad_request(format!("Invalid value for {name}")))
    };
    call.query.single(name)?.map(read).transpose()
}

fn granularities(call: &Call) -> Result<Vec<Timespan>, ApiError> {
    let read = |text| {
        time::parse_timespan(text).map_err(|error| ApiError::argument("granularity", &error.to_string()))
    };
    call.query.all("granularity").map(read).collect()
}
