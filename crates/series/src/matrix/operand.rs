//! Element-wise operations between series, and between series and numbers.

use super::{Matrix, OperationError};
use crate::operators::{BinaryOp, UnaryOp};

/// What an operation takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A number.
    Number(f64),
    /// Series.
    Series(Matrix),
}

/// `left op right`, element by element. One column on a side meets every column of the other.
///
/// # Errors
/// Series with other rows, or with numbers of columns that do not fit.
pub fn binary(op: BinaryOp, left: Operand, right: Operand) -> Result<Operand, OperationError> {
    Ok(match (left, right) {
        (Operand::Number(left), Operand::Number(right)) => Operand::Number(op.apply(left, right)),
        (Operand::Series(left), Operand::Number(right)) => {
            Operand::Series(left.map(|value| op.apply(value, right)))
        }
        (Operand::Number(left), Operand::Series(right)) => {
            Operand::Series(right.map(|value| op.apply(left, value)))
        }
        (Operand::Series(left), Operand::Series(right)) => Operand::Series(pairwise(op, left, right)?),
    })
}

/// `value`, but at least `low` and, where there is one, at most `high`. NaN in a bound gives NaN.
///
/// # Errors
/// As [`binary`].
pub fn clip(value: Operand, low: Operand, high: Option<Operand>) -> Result<Operand, OperationError> {
    let raised = binary(BinaryOp::ClipMin, value, low)?;
    match high {
        Some(high) => binary(BinaryOp::ClipMax, raised, high),
        None => Ok(raised),
    }
}

/// `op` of every element.
pub fn unary(op: UnaryOp, operand: Operand) -> Operand {
    match operand {
        Operand::Number(value) => Operand::Number(op.apply(value)),
        Operand::Series(matrix) => Operand::Series(matrix.map(|value| op.apply(value))),
    }
}

fn pairwise(op: BinaryOp, mut left: Matrix, mut right: Matrix) -> Result<Matrix, OperationError> {
    left.same_rows(&right)?;
    let combine = |left: &mut [f64], right: &[f64]| {
        for (left, right) in left.iter_mut().zip(right) {
            *left = op.apply(*left, *right);
        }
    };
    match (left.columns.len(), right.columns.len()) {
        (a, b) if a == b => {
            for (left, right) in left.columns.iter_mut().zip(&right.columns) {
                combine(left, right);
            }
            Ok(left)
        }
        (_, 1) => {
            for left in &mut left.columns {
                combine(left, &right.columns[0]);
            }
            Ok(left)
        }
        (1, _) => {
            for right in &mut right.columns {
                let mut result = left.columns[0].clone();
                combine(&mut result, right);
                *right = result;
            }
            Ok(right)
        }
        (left, right) => Err(OperationError::DifferentColumns { left, right }),
    }
}

impl Matrix {
    fn map(mut self, f: impl Fn(f64) -> f64) -> Self {
        for value in self.columns.iter_mut().flatten() {
            *value = f(*value);
        }
        self
    }
}
