//! The language of operations across series: `(aggregate mean (metric a mean))`, or the same as nested JSON lists.

mod evaluate;
mod parse;
mod text;

use std::collections::HashSet;

use nephometer_model::{AggregationMethod, Timespan};
use nephometer_series::matrix::{CrossMethod, OperationError, OverlapError};
use nephometer_series::{BinaryOp, Grouping, UnaryOp};
use serde_json::Value;

pub(crate) use evaluate::{Evaluated, evaluate};
pub use parse::parse_operations;

/// A metric (or a pattern of metrics' names) and the method by which it is read, as a request names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Id, or pattern of names.
    pub name: String,
    /// Name of the method.
    pub method: String,
}

/// A node of the tree of operations.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A number.
    Number(f64),
    /// Stored series.
    Metric(Vec<Reference>),
    /// All series of the nodes as one, at each timestamp.
    Aggregate(CrossMethod, Vec<Node>),
    /// A window that moves over each series.
    Rolling(CrossMethod, usize, Box<Node>),
    /// Each series regrouped.
    Resample(AggregationMethod, Grouping, Box<Node>),
    /// Two operands element by element; and both as they were written, for error texts.
    Binary(BinaryOp, Box<[Node; 2]>, [Value; 2]),
    /// A value between bounds; and the operands as they were written.
    Clip(Vec<Node>, Vec<Value>),
    /// Each element by itself.
    Unary(UnaryOp, Box<Node>),
    /// Differences of consecutive points; per second if so.
    RateOfChange {
        /// Whether to divide by the seconds between the points.
        per_second: bool,
        /// What is differenced.
        node: Box<Node>,
    },
}

/// A series that an error is about: its name (or pattern) and method.
pub type SeriesName = (String, String);

/// Why operations cannot be read or evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OperationsError {
    /// A text that is no expression; with upstream's kind of reason.
    #[error("Fail to parse the operations string")]
    Syntax(String),
    /// Operations that read no series.
    #[error("At least one 'metric' is required")]
    NoMetric(Value),
    /// References by id that are no ids.
    #[error("badly formed hexadecimal UUID string")]
    InvalidReferences(Vec<SeriesName>),
    /// Metrics referred to by id that do not exist.
    #[error("Provided metrics don't exists")]
    UnknownMetrics(Vec<String>),
    /// No resource has a metric of any of these names; sorted, unique.
    #[error("Metric {0:?} does not exist")]
    NoMatch(Vec<String>),
    /// A method that the policy of the metric with this id does not compute.
    #[error("Metrics with unknown aggregation")]
    UnknownMethod(SeriesName),
    /// The series have no granularity in common.
    #[error("No granularity match")]
    NoGranularityMatch(Vec<SeriesName>),
    /// The granularity asked for is missing in these series.
    #[error("Granularities are missing")]
    MissingGranularities(Vec<(SeriesName, Timespan)>),
    /// The series overlap too little.
    #[error("{error}")]
    Overlap {
        /// How much too little.
        error: OverlapError,
        /// The series.
        series: Vec<SeriesName>,
    },
    /// An operation that its operands do not allow.
    #[error("{error}")]
    Operation {
        /// What does not fit.
        error: OperationError,
        /// The operands as they were written, where they matter.
        operands: Vec<Value>,
        /// The series.
        series: Vec<SeriesName>,
    },
    /// An operation that needs series and got a number.
    #[error("'{0}' operation needs a time serie")]
    NeedsSeries(&'static str),
    /// Sums over the history of resources need one series as result.
    #[error("use_history needs operations that aggregate")]
    HistoryNeedsAggregate,
    /// A method that does not work across series.
    #[error("'{0}' is not a reaggregation method")]
    UnknownReaggregation(String),
}

impl Node {
    /// All references of the tree, each once, in order.
    pub fn references(&self) -> Vec<Reference> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        self.visit(&mut |references: &[Reference]| {
            for reference in references {
                if seen.insert(reference.clone()) {
                    found.push(reference.clone());
                }
            }
        });
        found
    }

    fn visit(&self, visit: &mut impl FnMut(&[Reference])) {
        match self {
            Self::Number(_) => {}
            Self::Metric(references) => visit(references),
            Self::Aggregate(_, nodes) | Self::Clip(nodes, _) => {
                nodes.iter().for_each(|node| node.visit(visit));
            }
            Self::Binary(_, nodes, _) => nodes.iter().for_each(|node| node.visit(visit)),
            Self::Rolling(_, _, node)
            | Self::Resample(_, _, node)
            | Self::Unary(_, node)
            | Self::RateOfChange { node, .. } => node.visit(visit),
        }
    }

    /// Changes every reference.
    pub(crate) fn rename(&mut self, rename: &impl Fn(&mut Reference)) {
        match self {
            Self::Number(_) => {}
            Self::Metric(references) => references.iter_mut().for_each(rename),
            Self::Aggregate(_, nodes) | Self::Clip(nodes, _) => {
                nodes.iter_mut().for_each(|node| node.rename(rename));
            }
            Self::Binary(_, nodes, _) => nodes.iter_mut().for_each(|node| node.rename(rename)),
            Self::Rolling(_, _, node)
            | Self::Resample(_, _, node)
            | Self::Unary(_, node)
            | Self::RateOfChange { node, .. } => node.rename(rename),
        }
    }
}
