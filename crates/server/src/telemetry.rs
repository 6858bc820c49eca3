//! What the program counts about itself, and its form as OpenMetrics text.
//!
//! Requests are counted where they enter (see [`count_requests`]); what the store, the index and the process know
//! about themselves is asked for when somebody looks.

mod alarms;
mod certificates;
mod polling;
mod samples;
mod snapshot;

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use nephometer_model::Clock;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub(crate) use alarms::{AlarmFigures, AlarmWork, EvaluatorFigures, HeardFigures};
pub(crate) use certificates::CertificateFigures;
pub(crate) use polling::PollingFigures;
pub(crate) use samples::SampleFigures;
pub(crate) use snapshot::{
    IndexStatus, KeystoneFigures, LimitFigures, ProcessStatus, Snapshot, StoreFigures,
};

/// What a request is about, as operators think of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RequestKind {
    /// Measures are written.
    Ingest,
    /// Measures or aggregates are read.
    Query,
    /// Anything about metrics, resources, policies, and the rest.
    Index,
    /// Anything about alarms.
    Alarm,
}

impl RequestKind {
    /// The kind of a request to an API.
    fn of(method: &Method, path: &str) -> Self {
        let has = |part: &str| path.contains(part);
        let writes = has("/influxdb/write") || has("/prometheus/write");
        if has("/v2/") && !has("/v1/") {
            Self::Alarm
        } else if writes || (*method == Method::POST && path.trim_end_matches('/').ends_with("/measures")) {
            Self::Ingest
        } else if has("/measures") || has("/aggregat") || has("/search/metric") {
            Self::Query
        } else {
            Self::Index
        }
    }
}

impl EncodeLabelValue for RequestKind {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Index => "index",
            Self::Alarm => "alarm",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: RequestKind,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: RequestKind,
}

/// The counters of one process.
pub(crate) struct Telemetry {
    clock: Arc<dyn Clock>,
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<KindLabels, Histogram>,
    /// By [`RequestKind`]: the histograms' counts and sums, which they do not tell.
    totals: [Totals; 4],
}

#[derive(Debug, Default)]
struct Totals {
    requests: AtomicU64,
    nanoseconds: AtomicU64,
}

/// Requests of one kind so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct RequestTotals {
    /// How many were answered.
    pub(crate) requests: u64,
    /// How long they took together.
    pub(crate) seconds: f64,
}

impl Telemetry {
    /// Counters at zero.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let mut registry = Registry::with_prefix("nephometer");
        let requests = Family::default();
        // From 0.1 ms to 13 s, each bucket twice as wide.
        let seconds: Family<KindLabels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(1e-4, 2.0, 18)));
        for kind in [RequestKind::Ingest, RequestKind::Query, RequestKind::Index, RequestKind::Alarm] {
            drop(seconds.get_or_create(&KindLabels { kind }));
        }
        registry.register("http_requests", "Requests answered by the APIs", Family::clone(&requests));
        registry.register(
            "http_request_seconds",
            "Time from a request's head to its answer",
            Family::clone(&seconds),
        );
        Self { clock, registry, requests, seconds, totals: Default::default() }
    }

    /// What was counted for one kind of request.
    pub(crate) fn totals(&self, kind: RequestKind) -> RequestTotals {
        let Totals { requests, nanoseconds } = &self.totals[kind as usize];
        RequestTotals {
            requests: requests.load(Ordering::Relaxed),
            seconds: Duration::from_nanos(nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }

    fn count(&self, kind: RequestKind, status: u16, nanoseconds: u64) {
        self.requests.get_or_create(&RequestLabels { kind, status }).inc();
        let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
        self.seconds.get_or_create(&KindLabels { kind }).observe(seconds);
        let totals = &self.totals[kind as usize];
        totals.requests.fetch_add(1, Ordering::Relaxed);
        totals.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Everything as OpenMetrics text.
    pub(crate) fn render(&self, snapshot: &Snapshot) -> Result<String> {
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        snapshot.encode(&mut text)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Middleware that counts and times the requests of an API.
pub(crate) async fn count_requests(
    State(telemetry): State<Arc<Telemetry>>,
    request: Request,
    next: Next,
) -> Response {
    let kind = RequestKind::of(request.method(), request.uri().path());
    let begin_ns = telemetry.clock.monotonic_ns();
    let response = next.run(request).await;
    let elapsed_ns = telemetry.clock.monotonic_ns().saturating_sub(begin_ns);
    telemetry.count(kind, response.status().as_u16(), elapsed_ns);
    response
}

#[cfg(test)]
mod tests;
