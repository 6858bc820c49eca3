//! How alarms read measures: in one process by plain calls, apart over a Gnocchi API.

use std::sync::Weak;

use async_trait::async_trait;
use nephometer_model::{SeriesKey, Timespan, Timestamp};
use serde_json::Value;

use crate::SeriesRun;

/// Whose measures.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricSubject {
    /// A metric, by its name, of a resource of any type.
    OfResource {
        /// The resource, as the alarm names it.
        resource_id: String,
        /// Its name there.
        metric: String,
    },
    /// Several metrics, aggregated together.
    Metrics(Vec<String>),
    /// The metric of that name of all resources that a search finds, aggregated together.
    OfResources {
        /// Its name.
        metric: String,
        /// The type that is searched.
        resource_type: String,
        /// A search in Gnocchi's JSON form.
        search: Value,
    },
}

/// One reading. Aggregations over several series are made as `needed_overlap=0` does it.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRead {
    /// Whose measures.
    pub subject: MetricSubject,
    /// Gnocchi's name of the method, `rate:` forms included. Over several series the series are read by this method
    /// without `rate:` and aggregated by the whole of it.
    pub method: String,
    /// Width of the data points.
    pub granularity: Timespan,
    /// First point in time, rounded down to a data point.
    pub start: Timestamp,
    /// End, exclusive.
    pub stop: Timestamp,
    /// Whose rights count: only what this project may see is read; nothing for all.
    pub project_id: Option<String>,
}

/// Data points of the asked granularity in ascending order: starts and values.
pub type DataPoints = Vec<(Timestamp, f64)>;

/// Why there are no data points.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricReadError {
    /// The metric, or one of them, does not exist.
    #[error("the metric does not exist")]
    NoSuchMetric,
    /// The resource does not exist.
    #[error("the resource does not exist")]
    NoSuchResource,
    /// There is nothing of that method or granularity.
    #[error("nothing of that aggregation or granularity")]
    NoSuchAggregate,
    /// The service refused, as an HTTP API would: status and text (JSON where it is structured).
    #[error("{text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its description.
        text: String,
    },
    /// The service does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// Readings for alarms.
#[async_trait]
pub trait MetricReader: Send + Sync {
    /// An answer for each reading, in their order.
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>>;

    /// Whether such a reading can be made: what it looks for need not be there.
    ///
    /// # Errors
    /// [`MetricReadError::Refused`] where the reading means nothing, [`MetricReadError::Unavailable`].
    async fn check(&self, read: &MetricRead) -> Result<(), MetricReadError>;

    /// The aggregation methods that policies may have, `rate:` forms included.
    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError>;

    /// The series that each reading depends on now; nothing where the reader cannot tell, so that the alarm is evaluated
    /// by time only.
    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>>;
}

/// Hears of measures that were acknowledged. Called on the write path: must return within microseconds, must not block.
pub trait WriteObserver: Send + Sync {
    /// The series of these runs have new measures (a series may come in several runs).
    fn written(&self, runs: &[SeriesRun]);
}

/// Where observers are told of acknowledged measures.
pub trait WriteFeed: Send + Sync {
    /// From now on `observer` hears of all measures, as long as somebody holds it.
    fn observe(&self, observer: Weak<dyn WriteObserver>);
}
