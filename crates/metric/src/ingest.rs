//! Bodies with measures, read straight into columns.
//!
//! Each body has two readers: a scanner that takes what clients usually send in one pass and without a tree, and a
//! plain reader for all the rest. The scanner gives up on anything unusual, and then the plain reader decides alone;
//! what both accept they read alike. A body is read and checked as a whole before anything of it is stored.

mod scan;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;

use nephometer_model::{MetricId, ResourceId, Timestamp, parse_python_uuid};
use uuid::Uuid;

use crate::InvalidInput;

/// Why a body with measures is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is no JSON; the text says where it stops being so.
    #[error("{0}")]
    Undecodable(String),
    /// It breaks the schema.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
}

/// Measures as two columns of one length, in the order of the body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    /// Nanoseconds since the epoch, not negative.
    pub timestamps_ns: Vec<i64>,
    /// Values, NaN and infinities included.
    pub values: Vec<f64>,
}

impl Measures {
    /// How many measures there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Measures of metrics that are named by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricBatch {
    /// Metrics and how many of the measures are theirs, in order. An id may occur several times, or with none.
    pub runs: Vec<(MetricId, u32)>,
    /// All measures.
    pub measures: Measures,
}

/// Measures of one named metric of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedRun<'a> {
    /// Name of the metric.
    pub name: Cow<'a, str>,
    /// Policy for the metric if it must be made.
    pub policy_name: Option<Cow<'a, str>>,
    /// Unit for the metric if it must be made.
    pub unit: Option<Cow<'a, str>>,
    /// How many of the measures belong to it.
    pub len: u32,
}

/// The metrics of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceRuns<'a> {
    /// The id as the client gave it.
    pub original_id: Cow<'a, str>,
    /// The id.
    pub id: ResourceId,
    /// Its metrics, in order.
    pub runs: Vec<NamedRun<'a>>,
}

/// Measures of metrics that are named by resource and name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceBatch<'a> {
    /// Resources, in order; one may occur several times.
    pub resources: Vec<ResourceRuns<'a>>,
    /// All measures.
    pub measures: Measures,
}

/// Reads `[{"timestamp": …, "value": …}, …]`. The first timestamp decides the form of all; other keys are ignored;
/// numbers may be text, booleans, `NaN` and infinities. `now` is what relative timestamps count from.
pub fn read_measures(body: &[u8], now: Timestamp) -> Result<Measures, BodyError> {
    let text = utf8(body)?;
    if let Some(measures) = scan::measures(text, now) {
        return Ok(measures);
    }
    tree::measures(&tree::decode(text)?, now).map_err(BodyError::Invalid)
}

/// Reads `{metric id: measures, …}`.
pub fn read_metric_batch(body: &[u8], now: Timestamp) -> Result<MetricBatch, BodyError> {
    let text = utf8(body)?;
    if let Some(batch) = scan::metric_batch(text, now) {
        return Ok(batch);
    }
    tree::metric_batch(&tree::decode(text)?, now).map_err(BodyError::Invalid)
}

/// Reads `{resource id: {metric name: measures or {"measures": …, "archive_policy_name"?, "unit"?}, …}, …}`.
/// Resource ids are transformed for `creator`, who asks.
pub fn read_resource_batch<'a>(
    body: &'a [u8],
    creator: Option<&str>,
    now: Timestamp,
) -> Result<ResourceBatch<'a>, BodyError> {
    let text = utf8(body)?;
    if let Some(batch) = scan::resource_batch(text, creator, now) {
        return Ok(batch);
    }
    tree::resource_batch(&tree::decode(text)?, creator, now).map_err(BodyError::Invalid)
}

fn utf8(body: &[u8]) -> Result<&str, BodyError> {
    std::str::from_utf8(body)
        .map_err(|error| BodyError::Undecodable(format!("the body is no UTF-8: {error}")))
}

/// The metric id that a key names, in any form that Python's UUID parser takes.
fn metric_id(key: &str) -> Option<MetricId> {
    let canonical = if key.len() == 36 { Uuid::try_parse(key).ok() } else { None };
    canonical.or_else(|| parse_python_uuid(key)).map(MetricId)
}

/// The resource id that a key names.
fn resource_id(key: &str, creator: Option<&str>) -> Result<ResourceId, InvalidInput> {
    if key.len() == 36
        && let Ok(id) = Uuid::try_parse(key)
    {
        return Ok(ResourceId(id));
    }
    nephometer_model::resource_id_from(key, creator)
        .map_err(|error| InvalidInput::key(error.to_string(), key))
}
