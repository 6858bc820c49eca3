//! Operations across series: `/v1/aggregates`.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use nephometer_metric::operations::{Node, OperationsError, parse_operations};
use nephometer_metric::query::{QueryError, parse_filter, parse_filter_text};
use nephometer_metric::{
    AggregatesQuery, Fill, Gaps, GroupKey, InvalidInput, MeasureError, MeasuredSeries, ResourceAggregates,
    ResourceSelection, Series,
};
use nephometer_model::{Filter, ResourceType};
use serde_json::{Map, Value};

use super::arguments;
use super::attributes::value_body;
use super::call::Call;
use super::error::ApiError;
use super::metric::whole_body;
use super::points::{write_entries, write_named_series, write_series};
use super::render::json_bytes;
use super::resource_form;
use super::route::{Answer, Route, handler};
use crate::json as encoder;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v1/aggregates", "Evaluate operations across series", handler!(evaluate))
            .rule("get metric")
            .takes("OperationsRequest")
            .gives("OperationsAnswer")
            .query(&[
                "start",
                "stop",
                "granularity",
                "needed_overlap",
                "fill",
                "groupby",
                "use_history",
                "details",
            ])
            .statuses(&[200, 400, 404, 415]),
    ]
}

/// What the body asks for.
struct Request {
    operations: Node,
    /// Type and condition of resources; nothing where metrics are named by id.
    resources: Option<(String, Filter)>,
}

async fn evaluate(call: Call) -> Answer {
    let use_history = call.flag("use_history", false)?;
    let details = call.flag("details", false)?;
    let query = query(&call)?;
    let request = read_body(&call.json()?, call.access().creator())?;
    let mut out = Vec::new();
    match request.resources {
        None => {
            let found = call.service().aggregate_metrics(&call.access(), request.operations, &query).await?;
            let references = details.then(|| found.metrics.iter().map(whole_body).collect());
            write_answer(&mut out, &found.measures, references);
        }
        Some((type_name, filter)) => {
            let group_by: Vec<_> = call.query.all("groupby").filter(|name| !name.is_empty()).collect();
            let group_by = group_by.into_iter().map(str::to_owned).collect();
            let selection = ResourceSelection { type_name, filter, group_by, use_history };
            let service = call.service();
            let groups =
                service.aggregate_resources(&call.access(), &request.operations, &selection, &query).await?;
            let types = if details { types_of(&call, &groups).await? } else { BTreeMap::new() };
            let references = |group: &ResourceAggregates| details.then(|| resource_bodies(group, &types));
            write_groups(&mut out, &groups, references, selection.group_by.is_empty());
        }
    }
    Ok(json_bytes(StatusCode::OK, out))
}

/// Range, granularity and gaps; without `fill` and `needed_overlap` gaps are dropped.
fn query(call: &Call) -> Result<AggregatesQuery, ApiError> {
    let needed_overlap = arguments::needed_overlap(call)?;
    let (start, stop) = (arguments::timestamp(call, "start")?, arguments::timestamp(call, "stop")?);
    let granularity = arguments::granularity(call)?;
    let gaps = match (arguments::fill(call)?, needed_overlap) {
        (Some(fill), _) => Gaps::Fill(fill),
        (None, Some(needed)) => Gaps::NeededOverlap(needed),
        (None, None) => Gaps::Fill(Fill::DropNa),
    };
    Ok(AggregatesQuery { start, stop, granularity, gaps })
}

fn read_body(body: &Value, creator: Option<&str>) -> Result<Request, MeasureError> {
    let object = body.as_object().ok_or_else(|| InvalidInput::new("expected a dictionary"))?;
    let (mut operations, mut type_name, mut search) = (None, None, None);
    for (key, value) in object {
        match key.as_str() {
            "operations" => operations = Some(read_operations(value)?),
            "resource_type" => {
                let name = value.as_str().ok_or_else(|| InvalidInput::new("expected str").under(key))?;
                type_name = Some(name.to_owned());
            }
            "search" => search = Some(value),
            _ => return Err(InvalidInput::key("extra keys not allowed", key).into()),
        }
    }
    let missing = |key| InvalidInput::key("required key not provided", key);
    let operations = operations.ok_or_else(|| missing("operations"))?;
    let resources = match type_name {
        None => None,
        Some(type_name) => {
            let search = search.ok_or_else(|| missing("search"))?;
            Some((type_name, read_search(search, creator)?))
        }
    };
    Ok(Request { operations, resources })
}

fn read_operations(value: &Value) -> Result<Node, MeasureError> {
    let node = parse_operations(value).map_err(|error| match error {
        MeasureError::Invalid(invalid) => invalid.under("operations").into(),
        other => other,
    })?;
    if node.references().is_empty() {
        return Err(OperationsError::NoMetric(value.clone()).into());
    }
    Ok(node)
}

fn read_search(value: &Value, creator: Option<&str>) -> Result<Filter, QueryError> {
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(Filter::All),
        Value::String(text) => parse_filter_text(text, creator),
        value => Ok(parse_filter(value, creator).map_err(|error| error.under("search"))?),
    }
}

async fn types_of(
    call: &Call,
    groups: &[ResourceAggregates],
) -> Result<BTreeMap<String, ResourceType>, ApiError> {
    let resources: Vec<_> = groups.iter().flat_map(|group| group.resources.iter().cloned()).collect();
    Ok(if resources.is_empty() { BTreeMap::new() } else { call.service().types_of(&resources).await? })
}

fn resource_bodies(group: &ResourceAggregates, types: &BTreeMap<String, ResourceType>) -> Vec<Value> {
    let body = |resource| Value::Object(resource_form::body(resource, types.get(&resource.type_name)));
    group.resources.iter().map(body).collect()
}

/// What is answered for all together, or a list with an entry for each group.
fn write_groups(
    out: &mut Vec<u8>,
    groups: &[ResourceAggregates],
    references: impl Fn(&ResourceAggregates) -> Option<Vec<Value>>,
    ungrouped: bool,
) {
    if let ([all], true) = (groups, ungrouped) {
        write_answer(out, &all.measures, references(all));
        return;
    }
    encoder::write_list(out, groups, |out, group| {
        out.extend_from_slice(b"{\"group\": ");
        encoder::write_value(out, &group_body(&group.group));
        out.extend_from_slice(b", \"measures\": ");
        write_answer(out, &group.measures, references(group));
        out.push(b'}');
    });
}

/// The values that make a group.
pub(super) fn group_body(group: &GroupKey) -> Value {
    let entry =
        |(name, value): &(String, Option<_>)| (name.clone(), value.as_ref().map_or(Value::Null, value_body));
    Value::Object(group.iter().map(entry).collect::<Map<_, _>>())
}

/// `{"measures": …}`, and what was read where that is asked for.
fn write_answer(out: &mut Vec<u8>, measures: &MeasuredSeries, references: Option<Vec<Value>>) {
    out.extend_from_slice(b"{\"measures\": ");
    write_measures(out, measures);
    if let Some(references) = references {
        out.extend_from_slice(b", \"references\": ");
        encoder::write_value(out, &Value::Array(references));
    }
    out.push(b'}');
}

type ByMethod<'a> = BTreeMap<&'a str, &'a [Series]>;

/// By metric and method, by resource, name and method, or one aggregated series.
fn write_measures(out: &mut Vec<u8>, measures: &MeasuredSeries) {
    let each = match measures {
        MeasuredSeries::Aggregated(series) => {
            write_named_series(out, [("aggregated", series.as_slice())]);
            return;
        }
        MeasuredSeries::Each(each) => each,
    };
    let mut by_metric: BTreeMap<String, ByMethod<'_>> = BTreeMap::new();
    let mut by_resource: BTreeMap<String, BTreeMap<&str, ByMethod<'_>>> = BTreeMap::new();
    for owned in each {
        let methods = match &owned.resource {
            None => by_metric.entry(owned.metric.to_string()).or_default(),
            Some((id, name)) => by_resource.entry(id.to_string()).or_default().entry(name).or_default(),
        };
        methods.entry(&owned.method).or_insert(&owned.series);
    }
    if by_resource.is_empty() {
        write_entries(out, &by_metric, write_methods);
    } else {
        write_entries(out, &by_resource, |out, metrics| write_entries(out, metrics, write_methods));
    }
}

fn write_methods(out: &mut Vec<u8>, methods: &ByMethod<'_>) {
    write_entries(out, methods, |out, series| write_series(out, series));
}
