//! Sorted lists.

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value;

use super::PathError;
use super::find::{Datum, Finder, Place, Result, fail};
use super::node::Node;
use crate::expr;

/// So few elements are sorted exactly as Python sorts them, contradictory comparisons included: where something is missing,
/// nothing decides.
const FEW: usize = 64;

/// Whether `value` is a list, or a map that is sorted by its keys.
pub(super) fn can_be_sorted(keys: &[(Node, bool)], value: &Value) -> bool {
    value.is_array() || (value.is_object() && keys.is_empty())
}

/// The elements of `datum` as one sorted list; of a map, its keys.
pub(super) fn sorted<'a>(
    finder: &mut Finder,
    keys: &[(Node, bool)],
    datum: &Datum<'a>,
) -> Result<Vec<Datum<'a>>> {
    let items = match &*datum.value() {
        Value::Array(items) => items.clone(),
        Value::Object(map) if keys.is_empty() => map.keys().map(|key| Value::from(key.as_str())).collect(),
        other => return fail(format!("{other} cannot be sorted")),
    };
    let by = &mut |left: &Value, right: &Value| compare(finder, keys, left, right);
    let items = if items.len() < FEW { insertion_sort(items, by) } else { merge_sort(items, by) }?;
    Ok(vec![Datum::made(Value::Array(items))])
}

fn compare(finder: &mut Finder, keys: &[(Node, bool)], left: &Value, right: &Value) -> Result<Ordering> {
    let order = |left: &Value, right: &Value| {
        let order = expr::order(left, right, "<").map_err(|error| PathError(error.to_string()))?;
        Ok(order.unwrap_or(Ordering::Equal))
    };
    if keys.is_empty() {
        return order(left, right);
    }
    let alone = |value: &Value| Datum::alone(Place::Made(Rc::new(value.clone())));
    for (path, down) in keys {
        let (left, right) = (finder.find(path, &alone(left))?, finder.find(path, &alone(right))?);
        // What is missing, or there more than once, does not decide.
        let ([left], [right]) = (&left[..], &right[..]) else { continue };
        let (left, right) = (left.value(), right.value());
        if expr::equal(&left, &right).map_err(|error| PathError(error.to_string()))? {
            continue;
        }
        let found = order(&left, &right)?;
        return Ok(if *down { found.reverse() } else { found });
    }
    Ok(Ordering::Equal)
}

/// Finds the run that the list begins with, and inserts what follows it.
fn insertion_sort(
    mut items: Vec<Value>,
    compare: &mut dyn FnMut(&Value, &Value) -> Result<Ordering>,
) -> Result<Vec<Value>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let down = compare(&items[1], &items[0])?.is_lt();
    let mut run = 2;
    while run < items.len() && compare(&items[run], &items[run - 1])?.is_lt() == down {
        run += 1;
    }
    if down {
        items[..run].reverse();
    }
    for next in run..items.len() {
        let (mut from, mut to) = (0, next);
        while from < to {
            let middle = usize::midpoint(from, to);
            if compare(&items[next], &items[middle])?.is_lt() { to = middle } else { from = middle + 1 }
        }
        items[from..=next].rotate_right(1);
    }
    Ok(items)
}

/// A stable sort that takes any comparison, contradictory ones too (the standard library's may refuse them by a panic).
fn merge_sort(
    mut items: Vec<Value>,
    compare: &mut dyn FnMut(&Value, &Value) -> Result<Ordering>,
) -> Result<Vec<Value>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let left = merge_sort(items, compare)?;
    let right = merge_sort(right, compare)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if compare(b, a)?.is_lt() { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}
