//! Paths as trees.

use serde_json::Value;

use crate::expr::Operator;
use crate::python_regex::{PythonRegex, Replacement};

#[derive(Debug, Clone)]
pub(super) enum Node {
    Root,
    This,
    Parent,
    /// Names; `*` among them takes all.
    Fields(Vec<String>),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    Child(Box<Node>, Box<Node>),
    Descendants(Box<Node>, Box<Node>),
    Where(Box<Node>, Box<Node>),
    Union(Box<Node>, Box<Node>),
    Arithmetic(Box<Operand>, Operator, Box<Operand>),
    Filter(Vec<Condition>),
    /// Paths to sort by, and whether downwards; none sorts by the elements themselves.
    Sorted(Vec<(Node, bool)>),
    Len,
    Sub(Box<(PythonRegex, Replacement)>),
    Split {
        separator: char,
        segment: usize,
        /// How often it is split at most.
        most: Option<usize>,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    Path(Node),
    Constant(Value),
}

/// A condition of a filter: a path that finds something, or something that compares.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) path: Node,
    pub(super) comparison: Option<(Comparison, Value)>,
}

#[derive(Debug, Clone)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Matches at the beginning.
    Matches(Box<PythonRegex>),
}
