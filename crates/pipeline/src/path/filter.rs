//! Conditions of filters.

use std::cmp::Ordering;

use serde_json::Value;

use super::PathError;
use super::find::{Datum, Finder, Result, fail};
use super::node::{Comparison, Condition};
use crate::expr::{self, Fault};

/// Whether `condition` holds for `datum`: it finds something, and that compares.
pub(super) fn holds(finder: &mut Finder, condition: &Condition, datum: &Datum<'_>) -> Result<bool> {
    let Some((comparison, constant)) = &condition.comparison else {
        return Ok(!finder.find_whole(&condition.path, datum)?.is_empty());
    };
    let found = finder.find(&condition.path, datum)?;
    let mut any = false;
    for datum in &found {
        let value = datum.value();
        if !value.is_null() {
            any |= compares(&value, comparison, constant)?;
        }
    }
    Ok(any)
}

fn compares(value: &Value, comparison: &Comparison, constant: &Value) -> Result<bool> {
    // Beside a whole number, or true or false, everything is made a whole number first.
    let whole = constant.is_boolean() || (constant.is_number() && !constant.is_f64());
    let cast = match whole.then(|| expr::whole_number(value)) {
        None => None,
        Some(Ok(number)) => Some(number),
        Some(Err(error)) if error.fault == Fault::Value => return Ok(false),
        Some(Err(error)) => return fail(error.to_string()),
    };
    let value = cast.as_ref().unwrap_or(value);
    let error = |error: expr::EvalError| PathError(error.to_string());
    let order = |symbol: &str| expr::order(value, constant, symbol).map_err(error);
    match comparison {
        Comparison::Equal => expr::equal(value, constant).map_err(error),
        Comparison::NotEqual => expr::equal(value, constant).map(|equal| !equal).map_err(error),
        Comparison::Less => Ok(order("<")?.is_some_and(Ordering::is_lt)),
        Comparison::LessOrEqual => Ok(order("<=")?.is_some_and(Ordering::is_le)),
        Comparison::Greater => Ok(order(">")?.is_some_and(Ordering::is_gt)),
        Comparison::GreaterOrEqual => Ok(order(">=")?.is_some_and(Ordering::is_ge)),
        Comparison::Matches(regex) => match value {
            Value::String(text) => {
                let found = regex.match_start(text).map_err(|error| PathError(error.to_string()))?;
                Ok(found.is_some())
            }
            other => fail(format!("`~` needs a text, not {other}")),
        },
    }
}
