//! Writing to a Gnocchi API: policies, types, resources and measures, in the requests of Ceilometer's publisher.

use async_trait::async_trait;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use nephometer_drivers::{
    AttributeChange, Made, MetricWriteError, MetricWriter, NamedMeasures, TypeAttributes,
};
use nephometer_model::{AttributeValue, NewArchivePolicy, PolicyItemSpec, Timespan};
use serde_json::{Map, Value, json};

use super::batch::Batch;
use super::{GnocchiApi, answer};
use crate::keystone::{Request, segment};

/// Resources that are asked for at a time; a server may give fewer.
const PAGE: &str = "1000";

/// Writes to an API of Gnocchi 4: ours or upstream's.
pub struct GnocchiWriter {
    api: GnocchiApi,
}

impl GnocchiWriter {
    /// Writes to `api`.
    pub fn new(api: GnocchiApi) -> Self {
        Self { api }
    }

    /// The answer's JSON; nothing where it has no body.
    async fn ask(&self, request: Request) -> Result<Value, MetricWriteError> {
        let unavailable = |reason: String| MetricWriteError::Unavailable(reason);
        let answer = self.api.answer(&request).await.map_err(|error| unavailable(error.to_string()))?;
        match answer.status {
            status if status.is_success() && answer.body.is_empty() => Ok(Value::Null),
            status if status.is_success() => serde_json::from_slice(&answer.body)
                .map_err(|error| unavailable(format!("Gnocchi's answer is no JSON: {error}"))),
            status => Err(refused(status, &answer.body)),
        }
    }

    /// Makes something; what is there already is as good as made.
    async fn make(&self, path: &str, definition: &impl serde::Serialize) -> Result<Made, MetricWriteError> {
        let request = Request::new(Method::POST, "metric", path).json(definition).repeatable();
        match self.ask(request).await {
            Ok(_) => Ok(Made::New),
            Err(MetricWriteError::Refused { status: 409, .. }) => Ok(Made::Existing),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl MetricWriter for GnocchiWriter {
    async fn create_archive_policy(&self, policy: &NewArchivePolicy) -> Result<Made, MetricWriteError> {
        let mut body = json!({
            "name": policy.name,
            "back_window": policy.back_window,
            "definition": policy.definition.iter().map(policy_item).collect::<Vec<_>>(),
        });
        if let Some(methods) = &policy.methods {
            body["aggregation_methods"] = json!(methods);
        }
        self.make("/v1/archive_policy", &body).await
    }

    async fn resource_type(&self, name: &str) -> Result<Option<TypeAttributes>, MetricWriteError> {
        let path = format!("/v1/resource_type/{}", segment(name));
        let mut found = match self.ask(Request::new(Method::GET, "metric", &path)).await {
            Err(MetricWriteError::NotFound(_)) => return Ok(None),
            found => found?,
        };
        let attributes = serde_json::from_value(found["attributes"].take());
        attributes.map(Some).map_err(|error| {
            MetricWriteError::Unavailable(format!("Gnocchi's resource type {name} is odd: {error}"))
        })
    }

    async fn create_resource_type(
        &self,
        name: &str,
        attributes: &TypeAttributes,
    ) -> Result<Made, MetricWriteError> {
        self.make("/v1/resource_type", &json!({"name": name, "attributes": attributes})).await
    }

    async fn change_resource_type(
        &self,
        name: &str,
        attribute: &str,
        change: &AttributeChange,
    ) -> Result<(), MetricWriteError> {
        // In a pointer, `~` and `/` have meanings of their own.
        let place = format!("/attributes/{}", attribute.replace('~', "~0").replace('/', "~1"));
        let operation = match change {
            AttributeChange::Remove => json!({"op": "remove", "path": place}),
            AttributeChange::Set { attribute, fill } => {
                let mut value = json!(attribute);
                if let Some(fill) = fill {
                    value["options"] = json!({"fill": attribute_value(fill)});
                }
                json!({"op": "add", "path": place, "value": value})
            }
        };
        let path = format!("/v1/resource_type/{}", segment(name));
        let patch = HeaderValue::from_static("application/json-patch+json");
        let request = Request::new(Method::PATCH, "metric", &path).json(&[operation]).repeatable();
        self.ask(request.header(header::CONTENT_TYPE, patch)).await.map(drop)
    }

    async fn write(&self, measures: &[NamedMeasures]) -> Result<(), MetricWriteError> {
        let request = Request::new(Method::POST, "metric", "/v1/batch/resources/metrics/measures");
        let request = request.query("create_metrics", "True").json(&Batch::of(measures)).repeatable();
        self.ask(request).await.map(drop)
    }

    async fn create_resource(
        &self,
        resource_type: &str,
        attributes: &Map<String, Value>,
    ) -> Result<Made, MetricWriteError> {
        self.make(&format!("/v1/resource/{}", segment(resource_type)), attributes).await
    }

    async fn change_resource(
        &self,
        resource_type: &str,
        id: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), MetricWriteError> {
        let path = format!("/v1/resource/{}/{}", segment(resource_type), segment(id));
        let request = Request::new(Method::PATCH, "metric", &path).json(attributes).repeatable();
        self.ask(request).await.map(drop)
    }

    async fn search_resources(
        &self,
        resource_type: &str,
        query: &Value,
    ) -> Result<Vec<String>, MetricWriteError> {
        let path = format!("/v1/search/resource/{}", segment(resource_type));
        let mut ids: Vec<String> = Vec::new();
        loop {
            let request = Request::new(Method::POST, "metric", &path).json(query).repeatable();
            let mut request = request.query("limit", PAGE);
            if let Some(last) = ids.last() {
                request = request.query("marker", last);
            }
            let found = self.ask(request).await?;
            let page = found.as_array().map(Vec::as_slice).unwrap_or_default();
            if page.is_empty() {
                return Ok(ids);
            }
            ids.extend(page.iter().filter_map(|resource| resource["id"].as_str().map(str::to_owned)));
        }
    }
}

fn policy_item(item: &PolicyItemSpec) -> Value {
    let span = |span: Option<Timespan>| span.map(Timespan::seconds);
    let parts = [
        ("granularity", json!(span(item.granularity))),
        ("points", json!(item.points)),
        ("timespan", json!(span(item.timespan))),
    ];
    let given = parts.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(key, value)| (key.to_owned(), value)).collect())
}

fn attribute_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::String(text) => json!(text),
        AttributeValue::Number(number) => json!(number),
        AttributeValue::Uuid(id) => json!(id),
        AttributeValue::Bool(flag) => json!(flag),
        AttributeValue::Datetime(time) => json!(time.isoformat()),
    }
}

/// What Gnocchi's refusal means.
fn refused(status: StatusCode, body: &[u8]) -> MetricWriteError {
    let (description, text) = answer::description(body);
    match status {
        StatusCode::NOT_FOUND => MetricWriteError::NotFound(text),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            MetricWriteError::Unavailable(format!("Gnocchi answers with {status}: {text}"))
        }
        StatusCode::BAD_REQUEST if description["cause"] == "Unknown resources" => {
            let unknown = description["detail"].as_array().map(Vec::as_slice).unwrap_or_default();
            let ids = unknown.iter().filter_map(|resource| resource["original_resource_id"].as_str());
            MetricWriteError::UnknownResources(ids.map(str::to_owned).collect())
        }
        _ => MetricWriteError::Refused { status: status.as_u16(), text },
    }
}
