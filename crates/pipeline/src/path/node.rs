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

impl Node {
    /// Whether the first step is `field`, and no later one leaves what is below it.
    pub(super) fn begins_with(&self, field: &str) -> bool {
        match self {
            Self::Fields(names) => names.len() == 1 && names[0] == field,
            Self::Child(left, right) if matches!(**left, Self::Root | Self::This) => right.begins_with(field),
            Self::Child(left, right) | Self::Descendants(left, right) | Self::Where(left, right) => {
                left.begins_with(field) && right.goes_down()
            }
            Self::Union(left, right) => left.begins_with(field) && right.begins_with(field),
            _ => false,
        }
    }

    /// How many nodes lie in each other.
    pub(super) fn depth(&self) -> usize {
        let of_operand = |operand: &Operand| match operand {
            Operand::Path(node) => node.depth(),
            Operand::Constant(_) => 0,
        };
        1 + match self {
            Self::Child(left, right)
            | Self::Descendants(left, right)
            | Self::Where(left, right)
            | Self::Union(left, right) => left.depth().max(right.depth()),
            Self::Arithmetic(left, _, right) => of_operand(left).max(of_operand(right)),
            Self::Filter(conditions) => {
                conditions.iter().map(|condition| condition.path.depth()).max().unwrap_or(0)
            }
            Self::Sorted(keys) => keys.iter().map(|(path, _)| path.depth()).max().unwrap_or(0),
            Self::Root
            | Self::This
            | Self::Parent
            | Self::Fields(_)
            | Self::Index(_)
            | Self::Slice(..)
            | Self::Len
            | Self::Sub(_)
            | Self::Split { .. } => 0,
        }
    }

    /// Whether it only goes from a value to its parts.
    fn goes_down(&self) -> bool {
        match self {
            Self::Root | Self::Parent => false,
            Self::Child(left, right)
            | Self::Descendants(left, right)
            | Self::Where(left, right)
            | Self::Union(left, right) => left.goes_down() && right.goes_down(),
            Self::Arithmetic(left, _, right) => [left, right].iter().all(|side| match &***side {
                Operand::Path(node) => node.goes_down(),
                Operand::Constant(_) => true,
            }),
            // Elements that are judged and sorted are roots of their own.
            _ => true,
        }
    }
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
