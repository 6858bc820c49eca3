//! Expressions as trees.

use std::sync::Arc;

/// An expression. Trees are never deeper than [`super::parser::MAX_DEPTH`].
#[derive(Debug, Clone)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
    Name(Arc<str>),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    Dict(Vec<(Node, Node)>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// `a < b < c`.
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    /// Condition, then, otherwise.
    IfElse(Box<[Node; 3]>),
    Attribute(Box<Node>, Arc<str>),
    Index(Box<Node>, Box<Node>),
    /// What is cut, start, stop, step.
    Slice(Box<Node>, Box<[Option<Node>; 3]>),
    Call(Box<Call>),
    Lambda(Arc<Lambda>),
    Comprehension(Box<Comprehension>),
    FString(Vec<Piece>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Minus,
    Plus,
    Invert,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

impl Binary {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Modulo => "%",
            Self::Power => "** or pow()",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Is,
    IsNot,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) function: Node,
    pub(super) arguments: Vec<Node>,
    pub(super) named: Vec<(Arc<str>, Node)>,
}

#[derive(Debug, Clone)]
pub(super) struct Lambda {
    pub(super) parameters: Vec<(Arc<str>, Option<Node>)>,
    pub(super) body: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    List,
    /// What Python makes on demand.
    Generator,
    Dict,
}

#[derive(Debug, Clone)]
pub(super) struct Comprehension {
    pub(super) made: Made,
    /// An element, or a key.
    pub(super) element: Node,
    /// The value beside a key.
    pub(super) value: Option<Node>,
    pub(super) clauses: Vec<Clause>,
}

/// `for targets in items if condition if condition`.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) target: Target,
    pub(super) items: Node,
    pub(super) conditions: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) enum Target {
    Name(Arc<str>),
    Several(Vec<Target>),
}

#[derive(Debug, Clone)]
pub(super) enum Piece {
    Text(Arc<str>),
    Value {
        node: Node,
        conversion: Conversion,
        /// The format behind the colon.
        spec: Vec<Piece>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    None,
    Str,
    Repr,
    Ascii,
}

/// Compiled expressions go between threads, values do not.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Node>();
};
