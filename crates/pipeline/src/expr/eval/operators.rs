//! What operators make of values.

use super::{Machine, Result};
use crate::expr::ast::{Binary, Comparison, Unary};
use crate::expr::error::{EvalError, Fault};
use crate::expr::value::Value;
use crate::expr::{compare, format_spec, index, number};

impl<'a> Machine<'_, 'a> {
    /// `left operator right`.
    pub(in crate::expr) fn binary(
        &mut self,
        operator: Binary,
        left: &Value<'a>,
        right: &Value<'a>,
    ) -> Result<Value<'a>> {
        if let Some(number) = number::arithmetic(operator, left, right) {
            return number;
        }
        match (operator, left, right) {
            (Binary::Add, Value::Str(a), Value::Str(b)) => self.text([&**a, &**b].concat()),
            (Binary::Modulo, Value::Str(template), _) => {
                let text = format_spec::percent(self, template, right)?;
                self.text(text)
            }
            (Binary::Multiply, _, _) if left.as_int().is_some() => self.repeat(right, left, operator),
            (Binary::Multiply, _, _) if right.as_int().is_some() => self.repeat(left, right, operator),
            (Binary::Add, _, _) => self.concatenate(left, right),
            (Binary::BitOr, _, _) => match (left.as_dict()?, right.as_dict()?) {
                (Some(a), Some(b)) => {
                    self.room(a.entries().len() + b.entries().len())?;
                    let mut merged = (*a).clone();
                    for (key, value) in b.entries() {
                        merged.insert(key.clone(), value.clone())?;
                    }
                    Ok(Value::dict(merged))
                }
                _ => Err(unsupported_operands(operator, left, right)),
            },
            _ => Err(unsupported_operands(operator, left, right)),
        }
    }

    fn concatenate(&mut self, left: &Value<'a>, right: &Value<'a>) -> Result<Value<'a>> {
        let operands = || unsupported_operands(Binary::Add, left, right);
        if left.type_name() != right.type_name() || matches!(left, Value::Iterator(_)) {
            return Err(operands());
        }
        let (Some(a), Some(b)) = (left.sequence(), right.sequence()) else { return Err(operands()) };
        self.room(a.len() + b.len())?;
        let both = [&*a, &*b].concat();
        Ok(if matches!(left, Value::Tuple(_)) { Value::tuple(both) } else { Value::list(both) })
    }

    /// A text or a list, several times.
    fn repeat(&mut self, value: &Value<'a>, times: &Value<'a>, operator: Binary) -> Result<Value<'a>> {
        let count = usize::try_from(times.as_int().unwrap_or_default().max(0)).unwrap_or(usize::MAX);
        if let Value::Str(text) = value {
            self.room(text.len().saturating_mul(count))?;
            return Ok(Value::made(text.repeat(count)));
        }
        match (value, value.sequence()) {
            (Value::Iterator(_), _) | (_, None) => Err(unsupported_operands(operator, value, times)),
            (_, Some(items)) => {
                self.room(items.len().saturating_mul(count))?;
                let count = if items.is_empty() { 0 } else { count };
                let many: Vec<_> = (0..count).flat_map(|_| items.iter().cloned()).collect();
                Ok(if matches!(value, Value::Tuple(_)) { Value::tuple(many) } else { Value::list(many) })
            }
        }
    }

    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        left: &Value<'a>,
        right: &Value<'a>,
    ) -> Result<bool> {
        // What is gone through in a comparison is not counted element by element.
        let length = |value: &Value<'a>| value.sequence().map_or(0, |items| items.len());
        self.work(length(left).min(length(right)))?;
        let order = |symbol| compare::order(left, right, symbol);
        match comparison {
            Comparison::Equal => compare::equal(left, right),
            Comparison::NotEqual => Ok(!compare::equal(left, right)?),
            Comparison::Less => Ok(order("<")?.is_some_and(std::cmp::Ordering::is_lt)),
            Comparison::LessOrEqual => Ok(order("<=")?.is_some_and(std::cmp::Ordering::is_le)),
            Comparison::Greater => Ok(order(">")?.is_some_and(std::cmp::Ordering::is_gt)),
            Comparison::GreaterOrEqual => Ok(order(">=")?.is_some_and(std::cmp::Ordering::is_ge)),
            Comparison::In => index::contains(self, right, left),
            Comparison::NotIn => Ok(!index::contains(self, right, left)?),
            Comparison::Is => compare::same(left, right),
            Comparison::IsNot => Ok(!compare::same(left, right)?),
        }
    }
}

pub(super) fn unary<'a>(operator: Unary, value: &Value<'a>) -> Result<Value<'a>> {
    if operator == Unary::Not {
        return Ok(Value::Bool(!value.is_true()));
    }
    match (operator, value.as_int(), value) {
        (Unary::Minus, Some(int), _) => int
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| EvalError::new(Fault::Limit, "whole numbers are limited to 128 bits")),
        (Unary::Plus, Some(int), _) => Ok(Value::Int(int)),
        (Unary::Invert, Some(int), _) => Ok(Value::Int(!int)),
        (Unary::Minus, None, Value::Float(float)) => Ok(Value::Float(-float)),
        (Unary::Plus, None, Value::Float(float)) => Ok(Value::Float(*float)),
        _ => {
            let symbol = match operator {
                Unary::Minus => "-",
                Unary::Plus => "+",
                _ => "~",
            };
            Err(EvalError::of_type(format!("bad operand type for unary {symbol}: '{}'", value.type_name())))
        }
    }
}

fn unsupported_operands(operator: Binary, left: &Value<'_>, right: &Value<'_>) -> EvalError {
    EvalError::of_type(format!(
        "unsupported operand type(s) for {}: '{}' and '{}'",
        operator.symbol(),
        left.type_name(),
        right.type_name()
    ))
}
