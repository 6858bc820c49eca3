//! Why requests about measures are refused. `Display` is what clients see where it is a plain text.

use nephometer_model::time::TimespanError;
use nephometer_model::{MetricId, ResourceId, Timespan};

use crate::InvalidInput;
use crate::ingest::BodyError;
use crate::operations::OperationsError;
use crate::prometheus::RemoteWriteError;
use crate::query::QueryError;

/// A resource of a batch that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownResource {
    /// Its id.
    pub id: ResourceId,
    /// The id as the client gave it.
    pub original_id: String,
}

/// Why a request about measures is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MeasureError {
    /// A body with measures that cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A body that breaks its schema.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// A query that is none.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Operations on series that cannot be read or evaluated.
    #[error(transparent)]
    Operations(#[from] OperationsError),
    /// Metrics of a batch that do not exist, as ids or `resource id/name`, sorted.
    #[error("Unknown metrics: {}", .0.join(", "))]
    UnknownMetrics(Vec<String>),
    /// Resources of a batch that do not exist, so that their metrics cannot be made.
    #[error("Unknown resources")]
    UnknownResources(Vec<UnknownResource>),
    /// A method that the metric's policy does not compute.
    #[error("Aggregation method does not exist for this metric")]
    MethodNotComputed {
        /// The metric.
        metric: MetricId,
        /// The method as it was asked for.
        method: String,
    },
    /// A granularity (or method) that the metric's policy does not have.
    #[error(
        "Aggregation method '{method}' at granularity '{:?}' for metric {metric} does not exist", .granularity.seconds()
    )]
    AggregationNotComputed {
        /// The metric.
        metric: MetricId,
        /// The method as it was asked for.
        method: String,
        /// The granularity asked for.
        granularity: Timespan,
    },
    /// The same, in a search by value.
    #[error("Aggregation does not exist")]
    SearchNotComputed {
        /// The method as it was asked for.
        method: String,
        /// The granularity asked for.
        granularity: Timespan,
    },
    /// Resampling all granularities at once makes no sense.
    #[error("A granularity must be specified to resample")]
    ResampleNeedsGranularity,
    /// A span to resample to that is none.
    #[error(transparent)]
    ResampleSpan(#[from] TimespanError),
    /// Neither end of the measures to delete is given.
    #[error("At least one of start and stop must be specified to delete measures")]
    UnboundedDelete,
    /// More points than one request may read.
    #[error(
        "more than {0} points would have to be read; ask for fewer metrics, a shorter range or a coarser granularity"
    )]
    TooManyPoints(usize),
    /// A resource type that a body names.
    #[error("Resource type does not exist")]
    UnknownResourceType(String),
    /// A resource that exists and is of another type than the measures' source has.
    #[error("Resource already exists")]
    ResourceOfOtherType(ResourceId),
    /// A line of the line protocol, counted from one.
    #[error("Unable to parse line {0}")]
    Line(usize),
    /// A line without the tag that names the resource.
    #[error("Unable to find key `{0}' in tags")]
    MissingTag(String),
    /// A remote write that cannot be read.
    #[error(transparent)]
    RemoteWrite(#[from] RemoteWriteError),
    /// A group-by attribute that the resource type does not have.
    #[error("Invalid groupby attribute")]
    GroupBy,
}
