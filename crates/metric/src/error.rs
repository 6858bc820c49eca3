//! Why the service refuses. `Display` is the text that clients of upstream's API see; a dialect chooses the status.

use nephometer_drivers::{IndexError, StoreError};
use nephometer_model::{MetricId, PolicyError, ResourceId};

use crate::MeasureError;

/// Why the service refuses a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// What the request addresses does not exist, is taken, in use, or the index has another reason.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Something that the body refers to does not exist or is taken.
    #[error("{0}")]
    Reference(IndexError),
    /// The store of measures refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No rule allows it; the text is empty where upstream gives none.
    #[error("{0}")]
    Forbidden(&'static str),
    /// A policy's definitions contradict each other.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// An aggregation method's name that means nothing.
    #[error("not a valid value")]
    UnknownMethod {
        /// Where in the list of the request it stands.
        position: usize,
    },
    /// A change that a policy does not allow.
    #[error("Archive policy {name} does not support change: {reason}")]
    PolicyChange {
        /// The policy.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A rename onto another rule.
    #[error(
        "Archive policy rule {name} does not support change: Archive policy rule {taken} already exists."
    )]
    RuleChange {
        /// The rule.
        name: String,
        /// The name that is taken.
        taken: String,
    },
    /// A rule for a policy that is not there.
    #[error("Archive policy {0} does not exist")]
    RulePolicy(String),
    /// No rule chooses a policy for a metric of this name, and none was given.
    #[error(
        "No archive policy name specified and no archive policy rule found matching the metric name {}",
        .0.as_deref().unwrap_or("None")
    )]
    NoRuleMatches(Option<String>),
    /// Names of metrics become parts of paths.
    #[error("'/' is not supported in metric name")]
    SlashInMetricName,
    /// A metric of a resource needs a name.
    #[error("Name cannot be null if resource_id is not null")]
    MetricNeedsName,
    /// The resource has a metric of that name already, and the request made a metric by itself.
    #[error("Named metric {0} already exists")]
    NamedMetricTaken(String),
    /// A resource that would end before it began.
    #[error("Start timestamp cannot be after end timestamp")]
    EndBeforeStart,
    /// A resource type's description that cannot be; the text says what.
    #[error("Invalid input: {0}")]
    ResourceType(String),
    /// A change that attributes do not support; the text says what.
    #[error("{0}")]
    ResourceTypeChange(String),
    /// A filter that would delete everything.
    #[error("caution: the query can not be empty, or it will                   delete entire database")]
    EmptyDeleteFilter,
    /// A metric of the path or body, named as the client named it.
    #[error("Metric {0} does not exist")]
    NoSuchMetric(MetricId),
    /// A request about measures; see there.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// A resource that is not there, or not for this caller.
    #[error("Resource {0} does not exist")]
    NoSuchResource(ResourceId),
}

impl MetricError {
    /// The same error as one about something that the body refers to, where it is of that kind.
    pub(crate) fn into_reference(self) -> Self {
        match self {
            Self::Index(
                error @ (IndexError::NoSuchMetric(_)
                | IndexError::NoSuchResource(_)
                | IndexError::NoSuchArchivePolicy(_)),
            ) => Self::Reference(error),
            other => other,
        }
    }

    /// As [`MetricError::into_reference`], where the resource itself is what the request addresses.
    pub(crate) fn into_reference_to_metrics(self) -> Self {
        match self {
            error @ Self::Index(IndexError::NoSuchResource(_)) => error,
            other => other.into_reference(),
        }
    }
}
