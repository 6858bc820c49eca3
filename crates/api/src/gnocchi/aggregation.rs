//! One aggregate of several metrics, as older clients ask for it: `/v1/aggregation`.

use http::{Method, StatusCode};
use nephometer_metric::{CrossQuery, Gaps, InvalidInput};
use nephometer_model::{MetricId, parse_python_uuid};

use super::aggregates::group_body;
use super::arguments;
use super::call::Call;
use super::document::Document;
use super::error::ApiError;
use super::resource::filter_of;
use super::route::{Answer, Route, handler};

const QUERY: &[&str] = &[
    "metric",
    "start",
    "stop",
    "aggregation",
    "reaggregation",
    "granularity",
    "needed_overlap",
    "fill",
    "resample",
    "refresh",
];
const RESOURCE_QUERY: &[&str] = &[
    "filter",
    "groupby",
    "start",
    "stop",
    "aggregation",
    "reaggregation",
    "granularity",
    "needed_overlap",
    "fill",
    "resample",
    "refresh",
];

pub(super) fn routes() -> Vec<Route> {
    let (metrics, named) = ("/v1/aggregation/metric", "/v1/aggregation/resource/{type}/metric/{name}");
    let nameless = "/v1/aggregation/resource/{type}/metric";
    vec![
        Route::new(Method::GET, metrics, "Aggregate metrics named in the query", handler!(by_query))
            .rule("get metric")
            .gives("Aggregates")
            .query(QUERY)
            .statuses(&[200, 400, 404]),
        Route::new(Method::POST, metrics, "Aggregate metrics named in the body", handler!(by_body))
            .rule("get metric")
            .takes("MetricIds")
            .gives("Aggregates")
            .query(QUERY)
            .statuses(&[200, 400, 404, 415]),
        Route::new(Method::POST, named, "Aggregate metrics of resources", handler!(by_resource))
            .rule("search resource")
            .takes("Filter")
            .gives("CrossAnswer")
            .query(RESOURCE_QUERY)
            .statuses(&[200, 400, 404, 415]),
        Route::new(Method::POST, nameless, "Refused: a metric's name is missing", handler!(refuse))
            .statuses(&[405]),
    ]
}

async fn refuse(_: Call) -> Answer {
    Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ""))
}

/// The ids that texts name, or what is wrong with the first that names none.
fn metric_ids<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Result<Vec<MetricId>, InvalidInput> {
    let read = |(index, text): (usize, Option<&str>)| {
        let id = text.and_then(parse_python_uuid);
        id.map(MetricId).ok_or_else(|| InvalidInput::new("not a valid value").at(index))
    };
    texts.enumerate().map(read).collect()
}

async fn by_query(call: Call) -> Answer {
    let ids = metric_ids(call.query.all("metric").map(Some))
        .map_err(|error| ApiError::bad_request(format!("Invalid input: {error}")))?;
    by_ids(&call, &ids).await
}

async fn by_body(call: Call) -> Answer {
    let body = call.json()?;
    let list = body.as_array().ok_or_else(|| InvalidInput::new("expected a list"))?;
    let ids = metric_ids(list.iter().map(|value| value.as_str()))?;
    by_ids(&call, &ids).await
}

async fn by_ids(call: &Call, ids: &[MetricId]) -> Answer {
    let series = call.service().cross_metrics(&call.access(), ids, &query(call)?).await?;
    Ok(Document::of(series).answer())
}

fn query(call: &Call) -> Result<CrossQuery, ApiError> {
    let needed_overlap = arguments::needed_overlap(call)?.unwrap_or(100.0);
    let (start, stop) = (arguments::timestamp(call, "start")?, arguments::timestamp(call, "stop")?);
    let granularity = arguments::granularity(call)?;
    let gaps = arguments::fill(call)?.map_or(Gaps::NeededOverlap(needed_overlap), Gaps::Fill);
    let query = CrossQuery {
        method: arguments::aggregation(call)?,
        reaggregation: call.query.single("reaggregation")?.map(str::to_owned),
        granularity,
        start,
        stop,
        gaps,
        resample: arguments::resample(call)?,
    };
    call.flag("refresh", false)?;
    Ok(query)
}

async fn by_resource(call: Call) -> Answer {
    let type_name = call.param("type");
    call.service().schema_of(type_name).await?;
    let (filter, query) = (filter_of(&call)?, query(&call)?);
    let group_by: Vec<_> =
        call.query.all("groupby").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let (access, name) = (call.access(), call.param("name"));
    let groups = call.service().cross_resources(&access, type_name, filter, name, &group_by, &query).await?;
    if group_by.is_empty() {
        let all = groups.into_iter().next().map(|(_, series)| series).unwrap_or_default();
        return Ok(Document::of(all).answer());
    }
    let mut document = Document::default();
    document.list(groups, |document, (group, series)| {
        document.text(b"{\"group\": ");
        document.value(&group_body(&group));
        document.text(b", \"measures\": ");
        document.series(series);
        document.text(b"}");
    });
    Ok(document.answer())
}
