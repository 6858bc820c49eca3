//! Conditions on single values, as searches in measures state them.

use crate::operators::BinaryOp;

/// An expression over the value of a point. (Gnocchi's REST behaviour, `POST /v1/search/metric`.)
#[derive(Debug, Clone, PartialEq)]
pub enum ValueExpression {
    /// A number of the query.
    Constant(f64),
    /// The point's value and a number.
    Value(BinaryOp, f64),
    /// Two expressions.
    Binary(BinaryOp, Box<ValueExpression>, Box<ValueExpression>),
    /// 1 where all expressions are true, else 0.
    All(Vec<ValueExpression>),
    /// 1 where any expression is true, else 0.
    Any(Vec<ValueExpression>),
}

impl ValueExpression {
    /// What the expression gives for `value`.
    pub fn evaluate(&self, value: f64) -> f64 {
        let truth = |holds: bool| f64::from(u8::from(holds));
        match self {
            Self::Constant(number) => *number,
            Self::Value(op, number) => op.apply(value, *number),
            Self::Binary(op, left, right) => op.apply(left.evaluate(value), right.evaluate(value)),
            Self::All(parts) => truth(parts.iter().all(|part| part.matches(value))),
            Self::Any(parts) => truth(parts.iter().any(|part| part.matches(value))),
        }
    }

    /// Whether a point with `value` is found: whether the result is not zero. NaN is not zero.
    pub fn matches(&self, value: f64) -> bool {
        self.evaluate(value) != 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ValueExpression::{All, Any, Binary, Constant, Value};

    fn found(expression: &ValueExpression) -> Vec<i64> {
        let series = [(0, 1.0), (10, 4.0), (20, 9.0), (30, -2.0)];
        series.iter().filter(|(_, value)| expression.matches(*value)).map(|(at, _)| *at).collect()
    }

    fn binary(op: BinaryOp, left: ValueExpression, right: ValueExpression) -> ValueExpression {
        Binary(op, Box::new(left), Box::new(right))
    }

    #[test]
    fn nested_arithmetic_selects_points() {
        let sum = binary(BinaryOp::Ge, Value(BinaryOp::Add, 3.0), Constant(7.0));
        assert_eq!(found(&sum), [10, 20]);
        let even = binary(BinaryOp::Eq, Value(BinaryOp::Mod, 2.0), Constant(0.0));
        assert_eq!(found(&even), [10, 30]);
        let both = binary(BinaryOp::Gt, Value(BinaryOp::Mul, 2.0), Value(BinaryOp::Add, 1.0));
        assert_eq!(found(&both), [10, 20]);
    }

    #[test]
    fn truth_is_being_unlike_zero() {
        assert_eq!(found(&Value(BinaryOp::Add, 2.0)), [0, 10, 20]);
        assert!(Value(BinaryOp::Div, 0.0).matches(0.0), "NaN is true");
        assert_eq!(found(&All(vec![Value(BinaryOp::Gt, 0.0), Value(BinaryOp::Ne, 4.0)])), [0, 20]);
        assert_eq!(found(&Any(vec![Value(BinaryOp::Lt, 0.0), Value(BinaryOp::Eq, 4.0)])), [10, 30]);
        assert_eq!((found(&All(vec![])).len(), found(&Any(vec![])).len()), (4, 0));
    }
}
