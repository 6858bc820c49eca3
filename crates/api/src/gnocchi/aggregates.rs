//! Operations across series: `/v1/aggregates`.

use std::collections::BTreeMap;

use http::Method;
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
use super::document::Document;
use super::error::ApiError;
use super::metric::whole_body;
use super::resource_form;
use super::route::{Answer, Route, handler};

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
    let mut document = Document::default();
    match request.resources {
        None => {
            let found = call.service().aggregate_metrics(&call.access(), request.operations, &query).await?;
            let references = details.then(|| found.metrics.iter().map(whole_body).collect());
            write_answer(&mut document, found.measures, references);
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
            write_groups(&mut document, groups, references, selection.group_by.is_empty());
        }
    }
    Ok(document.answer())
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
    document: &mut Document,
    mut groups: Vec<ResourceAggregates>,
    references: impl Fn(&ResourceAggregates) -> Option<Vec<Value>>,
    ungrouped: bool,
) {
    if ungrouped
        && groups.len() == 1
        && let Some(all) = groups.pop()
    {
        let references = references(&all);
        write_answer(document, all.measures, references);
        return;
    }
    document.list(groups, |document, group| {
        let references = references(&group);
        document.text(b"{\"group\": ");
        document.value(&group_body(&group.group));
        document.text(b", \"measures\": ");
        write_answer(document, group.measures, references);
        document.text(b"}");
    });
}

/// The values that make a group.
pub(super) fn group_body(group: &GroupKey) -> Value {
    let entry =
        |(name, value): &(String, Option<_>)| (name.clone(), value.as_ref().map_or(Value::Null, value_body));
    Value::Object(group.iter().map(entry).collect::<Map<_, _>>())
}

/// `{"measures": …}`, and what was read where that is asked for.
fn write_answer(document: &mut Document, measures: MeasuredSeries, references: Option<Vec<Value>>) {
    document.text(b"{\"measures\": ");
    write_measures(document, measures);
    if let Some(references) = references {
        document.text(b", \"references\": ");
        document.value(&Value::Array(references));
    }
    document.text(b"}");
}

type ByMethod = BTreeMap<String, Vec<Series>>;

/// By metric and method, by resource, name and method, or one aggregated series.
fn write_measures(document: &mut Document, measures: MeasuredSeries) {
    let each = match measures {
        MeasuredSeries::Aggregated(series) => {
            document.object([("aggregated", series)], Document::series);
            return;
        }
        MeasuredSeries::Each(each) => each,
    };
    let mut by_metric: BTreeMap<String, ByMethod> = BTreeMap::new();
    let mut by_resource: BTreeMap<String, BTreeMap<String, ByMethod>> = BTreeMap::new();
    for owned in each {
        let methods = match owned.resource {
            None => by_metric.entry(owned.metric.to_string()).or_default(),
            Some((id, name)) => by_resource.entry(id.to_string()).or_default().entry(name).or_default(),
        };
        methods.entry(owned.method).or_insert(owned.series);
    }
    if by_resource.is_empty() {
        document.object(by_metric, write_methods);
    } else {
        document.object(by_resource, |document, metrics| document.object(metrics, write_methods));
    }
}

fn write_methods(document: &mut Document, methods: ByMethod) {
    document.object(methods, Document::series);
}
