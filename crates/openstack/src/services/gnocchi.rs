//! Measures of any Gnocchi API, asked as Aodh asks for them, and written as Ceilometer writes them.

mod answer;
mod api;
mod batch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use http::{Method, StatusCode};
use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, MetricReader, MetricSubject};
use nephometer_model::{Clock, SeriesKey, Timespan, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::failure::unread;
use crate::keystone::{Request, Session, segment};

pub use api::GnocchiApi;
pub use write::GnocchiWriter;

/// Requests at a time.
const AT_ONCE: usize = 16;
/// The methods that Gnocchi knows are asked for again after so long.
const METHODS_KEPT: Duration = Duration::from_secs(3600);

/// Methods, and until when they are good by the monotonic clock.
type KnownMethods = Option<(Vec<String>, u64)>;

/// Reads measures as the user of a session.
///
/// It cannot tell which series a reading depends on: alarms that read by it are evaluated by time. Where a reading counts
/// for the rights of one project, the resource or the metrics are looked at first, and searches are narrowed.
pub struct GnocchiReader {
    api: GnocchiApi,
    clock: Arc<dyn Clock>,
    methods: Mutex<KnownMethods>,
}

impl GnocchiReader {
    /// Asks the catalogue's `metric` service as `session`.
    pub fn new(session: Arc<Session>, clock: Arc<dyn Clock>) -> Self {
        Self::over(GnocchiApi::keystone(session), clock)
    }

    /// Asks any API.
    pub fn over(api: GnocchiApi, clock: Arc<dyn Clock>) -> Self {
        Self { api, clock, methods: Mutex::new(None) }
    }

    /// The answer's JSON.
    async fn ask(&self, request: Request) -> Result<Value, MetricReadError> {
        let answer = self.api.answer(&request).await.map_err(|error| unread(&error))?;
        if !answer.status.is_success() {
            return Err(answer::refused(answer.status, &answer.body));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| MetricReadError::Unavailable(format!("Gnocchi's answer is no JSON: {error}")))
    }

    async fn read_one(&self, read: &MetricRead) -> Result<DataPoints, MetricReadError> {
        let single = read.method.strip_prefix("rate:").unwrap_or(&read.method);
        let body = match &read.subject {
            MetricSubject::OfResource { resource_id, metric } => {
                self.require_resource(resource_id, read.project_id.as_deref()).await?;
                let answer = self.ask(measures_request(read, resource_id, metric)).await?;
                return answer::points(&answer, read.granularity);
            }
            MetricSubject::Metrics(ids) => {
                self.require_metrics(ids, read.project_id.as_deref()).await?;
                let metrics = ids.iter().map(|id| json!(["metric", id, single]));
                let head = [json!("aggregate"), json!(read.method)];
                json!({"operations": head.into_iter().chain(metrics).collect::<Vec<_>>()})
            }
            MetricSubject::OfResources { metric, resource_type, search } => json!({
                "operations": ["aggregate", read.method, ["metric", metric, single]],
                "search": narrowed(search, read.project_id.as_deref()),
                "resource_type": resource_type,
            }),
        };
        let answer = self.ask(aggregates_request(read, &body)).await?;
        answer::points(&answer["measures"]["aggregated"], read.granularity)
    }

    /// Refuses unless `project` (nothing: everybody) owns or made the resource.
    async fn require_resource(&self, id: &str, project: Option<&str>) -> Result<(), MetricReadError> {
        let Some(project) = project else { return Ok(()) };
        let path = format!("/v1/resource/generic/{}", segment(id));
        let resource = self.ask(Request::new(Method::GET, "metric", &path)).await?;
        if answer::is_of(&resource, project) { Ok(()) } else { Err(MetricReadError::NoSuchResource) }
    }

    /// Refuses unless `project` made these metrics, or owns or made their resources.
    async fn require_metrics(&self, ids: &[String], project: Option<&str>) -> Result<(), MetricReadError> {
        let Some(project) = project else { return Ok(()) };
        for id in ids {
            let path = format!("/v1/metric/{}", segment(id));
            let metric = self.ask(Request::new(Method::GET, "metric", &path)).await?;
            if !answer::is_of(&metric, project) && !answer::is_of(&metric["resource"], project) {
                return Err(MetricReadError::NoSuchMetric);
            }
        }
        Ok(())
    }
}

/// A time without zone, in UTC, as Python writes it.
fn naive(time: Timestamp) -> String {
    let text = time.isoformat();
    text.strip_suffix("+00:00").unwrap_or(&text).to_owned()
}

/// Seconds, without a fraction where there is none.
fn seconds(span: Timespan) -> String {
    let text = span.seconds().to_string();
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn measures_request(read: &MetricRead, resource_id: &str, metric: &str) -> Request {
    let (resource, metric) = (segment(resource_id), segment(metric));
    let path = format!("/v1/resource/generic/{resource}/metric/{metric}/measures");
    Request::new(Method::GET, "metric", &path)
        .query("aggregation", &read.method)
        .query("granularity", &seconds(read.granularity))
        .query("start", &naive(read.start))
        .query("stop", &naive(read.stop))
        .query("refresh", "False")
}

fn aggregates_request(read: &MetricRead, body: &Value) -> Request {
    Request::new(Method::POST, "metric", "/v1/aggregates")
        .query("details", "False")
        .query("granularity", &seconds(read.granularity))
        .query("needed_overlap", "0")
        .query("start", &naive(read.start))
        .query("stop", &naive(read.stop))
        .query("use_history", "False")
        .json(body)
        // It only reads.
        .repeatable()
}

/// A search among what `project` owns or made.
fn narrowed(search: &Value, project: Option<&str>) -> Value {
    let Some(project) = project else { return search.clone() };
    let own = json!({"or": [
        {"=": {"project_id": project}},
        {"=": {"created_by_project_id": project}},
    ]});
    if search.as_object().is_some_and(serde_json::Map::is_empty) {
        return own;
    }
    json!({"and": [own, search]})
}

#[async_trait]
impl MetricReader for GnocchiReader {
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>> {
        let mut answers = Vec::with_capacity(reads.len());
        for read in &reads {
            answers.push(Box::pin(self.read_one(read)));
        }
        futures::stream::iter(answers).buffered(AT_ONCE).collect().await
    }

    async fn check(&self, read: &MetricRead) -> Result<(), MetricReadError> {
        let MetricSubject::OfResources { resource_type, search, .. } = &read.subject else { return Ok(()) };
        let path = format!("/v1/search/resource/{}", segment(resource_type));
        let request = Request::new(Method::POST, "metric", &path).query("limit", "1");
        let body = narrowed(search, read.project_id.as_deref());
        match self.ask(request.json(&body).repeatable()).await {
            Err(MetricReadError::NoSuchMetric | MetricReadError::NoSuchResource) => Ok(()),
            // The resource type is not there.
            Err(MetricReadError::NoSuchAggregate) => Err(MetricReadError::Refused {
                status: StatusCode::BAD_REQUEST.as_u16(),
                text: format!("Resource type {resource_type} does not exist"),
            }),
            outcome => outcome.map(drop),
        }
    }

    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError> {
        let now_ns = self.clock.monotonic_ns();
        if let Some((methods, until_ns)) = &*self.methods.lock()
            && now_ns < *until_ns
        {
            return Ok(methods.clone());
        }
        let body = self.ask(Request::new(Method::GET, "metric", "/v1/capabilities")).await?;
        let listed = body["aggregation_methods"].as_array().map(Vec::as_slice).unwrap_or_default();
        let methods: Vec<_> = listed.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let kept_ns = u64::try_from(METHODS_KEPT.as_nanos()).unwrap_or(u64::MAX);
        *self.methods.lock() = Some((methods.clone(), now_ns.saturating_add(kept_ns)));
        Ok(methods)
    }

    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>> {
        vec![None; reads.len()]
    }
}
