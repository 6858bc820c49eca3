//! Expressions of configuration files: the part of Python that `scale` and `expr` of transformers and the attributes of
//! dynamic pollsters are written in, with Python's meaning of every value.
//!
//! Pure and bounded: an expression sees what it is given and nothing else, cannot change anything, and ends with an error
//! once it has used up its [`Limits`]. Beyond the language itself it knows the builtins that compute, methods of texts,
//! lists and maps, `re` and `json`. Differences from Python are refusals, with two exceptions: lambdas and comprehensions
//! see every name, and what Python makes lazily (`map`, generators) is made at once and may be gone through repeatedly.
//! Refused are complex numbers, whole numbers beyond 128 bits, and assignments of any kind.

mod ast;
mod attributes;
mod builtins;
mod compare;
mod error;
mod eval;
mod format;
mod format_spec;
mod fstring;
mod index;
mod lexer;
mod methods;
mod modules;
mod number;
mod parser;
mod string_methods;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use ast::Binary as Operator;
pub use attributes::Attributes;
pub use error::{EvalError, ExpressionSyntaxError, Fault};
pub use value::{Dict, Str, Value};

use std::fmt;

use serde_json::Value as Json;

/// Where an expression's names come from. Names that it does not know are looked up among the builtins.
pub trait Scope<'a> {
    /// The value of `name`.
    fn get(&self, name: &str) -> Option<Value<'a>>;

    /// The value of a name that is no builtin either; by default there is none.
    fn unknown(&self, _name: &str) -> Option<Value<'a>> {
        None
    }
}

/// A few names and their values.
#[derive(Debug, Clone, Default)]
pub struct Names<'n, 'a>(pub Vec<(&'n str, Value<'a>)>);

impl<'a> Scope<'a> for Names<'_, 'a> {
    fn get(&self, name: &str) -> Option<Value<'a>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

/// How much one evaluation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations: each node that is evaluated, and each element that is gone through.
    pub steps: u64,
    /// Bytes of texts and elements of lists that are made, all together.
    pub size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1_000_000, size: 16 << 20 }
    }
}

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    text: String,
    root: ast::Node,
}

impl Expression {
    /// The longest expression that is read, in bytes.
    pub const MAX_BYTES: usize = 16 << 10;

    /// Reads `text`. An error says where it is no expression of the subset.
    pub fn compile(text: &str) -> Result<Self, ExpressionSyntaxError> {
        let root = parser::parse(text)?;
        Ok(Self { text: text.to_owned(), root })
    }

    /// What it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its value where names mean what `scope` says.
    pub fn evaluate<'a>(&'a self, scope: &dyn Scope<'a>) -> Result<Value<'a>, EvalError> {
        self.evaluate_within(scope, Limits::default())
    }

    /// [`Self::evaluate`] with other limits than the usual ones.
    pub fn evaluate_within<'a>(
        &'a self,
        scope: &dyn Scope<'a>,
        limits: Limits,
    ) -> Result<Value<'a>, EvalError> {
        eval::Machine::new(scope, limits).run(&self.root)
    }

    /// Its value as JSON where names mean JSON values. What JSON cannot say (NaN, functions) is an error.
    pub fn evaluate_json(&self, names: &[(&str, &Json)]) -> Result<Json, EvalError> {
        let names = Names(names.iter().map(|(name, value)| (*name, Value::from_json(value))).collect());
        self.evaluate(&names)?.to_json()
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// `left operator right` of JSON values, as an expression computes it.
pub(crate) fn operate(operator: Operator, left: &Json, right: &Json) -> Result<Json, EvalError> {
    let names = Names::default();
    let mut machine = eval::Machine::new(&names, Limits::default());
    machine.binary(operator, &Value::from_json(left), &Value::from_json(right))?.to_json()
}

/// How JSON values are ordered; nothing where NaN is in the way.
pub(crate) fn order(
    left: &Json,
    right: &Json,
    symbol: &str,
) -> Result<Option<std::cmp::Ordering>, EvalError> {
    compare::order(&Value::from_json(left), &Value::from_json(right), symbol)
}

/// Whether JSON values are equal: `1`, `1.0` and `true` are.
pub(crate) fn equal(left: &Json, right: &Json) -> Result<bool, EvalError> {
    compare::equal(&Value::from_json(left), &Value::from_json(right))
}

/// `int(value)` of a JSON value.
pub(crate) fn whole_number(value: &Json) -> Result<Json, EvalError> {
    builtins::whole_number(&Value::from_json(value))?.to_json()
}
