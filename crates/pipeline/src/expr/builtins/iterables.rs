//! Functions of what can be gone through.

use super::{Arguments, Builtin};
use crate::expr::ast::Binary;
use crate::expr::compare;
use crate::expr::error::EvalError;
use crate::expr::eval::{Machine, Result};
use crate::expr::value::Value;

/// What elements are compared by: themselves, or what `key` makes of them.
fn keyed<'a>(
    machine: &mut Machine<'_, 'a>,
    items: Vec<Value<'a>>,
    key: Option<&Value<'a>>,
) -> Result<Vec<(Value<'a>, Value<'a>)>> {
    machine.room(items.len())?;
    let key = key.filter(|key| !matches!(key, Value::None));
    let pairs = items.into_iter().map(|item| {
        let by = match key {
            Some(key) => machine.call(key, vec![item.clone()], Vec::new())?,
            None => item.clone(),
        };
        Ok((by, item))
    });
    pairs.collect()
}

pub(super) fn extreme<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let (key, default) = (arguments.named("key"), arguments.named("default"));
    let first = arguments.next()?;
    let mut others = arguments.rest();
    let items = if others.is_empty() {
        machine.items(&first)?.into_owned()
    } else {
        others.insert(0, first);
        others
    };
    let mut best: Option<(Value<'a>, Value<'a>)> = None;
    for (by, item) in keyed(machine, items, key.as_ref())? {
        machine.work(1)?;
        let better = match &best {
            None => true,
            Some((best, _)) if builtin == Builtin::Max => {
                compare::order(&by, best, ">")?.is_some_and(std::cmp::Ordering::is_gt)
            }
            Some((best, _)) => compare::order(&by, best, "<")?.is_some_and(std::cmp::Ordering::is_lt),
        };
        if better {
            best = Some((by, item));
        }
    }
    let empty = || EvalError::of_value(format!("{}() arg is an empty sequence", builtin.name()));
    best.map(|(_, item)| item).or(default).ok_or_else(empty)
}

pub(super) fn sum<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let value = arguments.next()?;
    let mut total = arguments.either("start").unwrap_or(Value::Int(0));
    if total.as_text().is_some() {
        return Err(EvalError::of_type("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    for item in machine.items(&value)?.iter() {
        machine.work(1)?;
        total = machine.binary(Binary::Add, &total, item)?;
    }
    Ok(total)
}

pub(super) fn sorted<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let value = arguments.next()?;
    let (key, reverse) = (arguments.named("key"), arguments.named("reverse"));
    let reverse = match reverse.map(|reverse| (reverse.as_int(), reverse)) {
        None => false,
        Some((Some(number), _)) => number != 0,
        Some((None, other)) => {
            let text = format!("'{}' object cannot be interpreted as an integer", other.type_name());
            return Err(EvalError::of_type(text));
        }
    };
    let items = machine.items(&value)?.into_owned();
    let mut items = keyed(machine, items, key.as_ref())?;
    // A list sorted downwards keeps the order of equals, too.
    if reverse {
        items.reverse();
    }
    let mut sorted = merge_sort(machine, items)?;
    if reverse {
        sorted.reverse();
    }
    machine.list(sorted.into_iter().map(|(_, item)| item).collect())
}

type Keyed<'a> = (Value<'a>, Value<'a>);

/// A stable sort that takes any comparison, contradictory ones too.
pub(in crate::expr) fn merge_sort<'a>(
    machine: &mut Machine<'_, 'a>,
    mut items: Vec<Keyed<'a>>,
) -> Result<Vec<Keyed<'a>>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let left = merge_sort(machine, items)?;
    let right = merge_sort(machine, right)?;
    machine.work(left.len() + right.len())?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let less = compare::order(&b.0, &a.0, "<")?.is_some_and(std::cmp::Ordering::is_lt);
        merged.extend(if less { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

pub(super) fn reduce<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let (function, value) = (arguments.next()?, arguments.next()?);
    let items = machine.items(&value)?.into_owned();
    let mut items = items.into_iter();
    let start = arguments.optional().or_else(|| items.next());
    let mut total =
        start.ok_or_else(|| EvalError::of_type("reduce() of empty iterable with no initial value"))?;
    for item in items {
        total = machine.call(&function, vec![total, item], Vec::new())?;
    }
    Ok(total)
}

pub(super) fn iterator<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let items = match builtin {
        Builtin::Range => return range(machine, arguments),
        Builtin::Reversed => {
            let value = arguments.next()?;
            if matches!(value, Value::Iterator(_)) {
                return Err(EvalError::of_type("'generator' object is not reversible"));
            }
            let mut items = machine.items(&value)?.into_owned();
            items.reverse();
            items
        }
        Builtin::Enumerate => {
            let value = arguments.next()?;
            let start = arguments.either("start").map_or(Some(0), |start| start.as_int());
            let start =
                start.ok_or_else(|| EvalError::of_type("enumerate() needs a whole number to start with"))?;
            let items = machine.items(&value)?;
            let pairs = items.iter().zip(start..);
            pairs.map(|(item, at)| Value::tuple(vec![Value::Int(at), item.clone()])).collect()
        }
        Builtin::Filter => {
            let (function, value) = (arguments.next()?, arguments.next()?);
            let mut kept = Vec::new();
            for item in machine.items(&value)?.iter() {
                machine.work(1)?;
                let holds = match &function {
                    Value::None => item.is_true(),
                    function => machine.call(function, vec![item.clone()], Vec::new())?.is_true(),
                };
                if holds {
                    kept.push(item.clone());
                }
            }
            kept
        }
        _ => {
            let function = if builtin == Builtin::Map { Some(arguments.next()?) } else { None };
            let lists = arguments.rest();
            if lists.is_empty() && function.is_some() {
                return Err(EvalError::of_type("map() must have at least two arguments."));
            }
            let lists: Vec<Vec<Value<'a>>> =
                lists.iter().map(|list| Ok(machine.items(list)?.into_owned())).collect::<Result<_>>()?;
            let length = lists.iter().map(Vec::len).min().unwrap_or_default();
            machine.room(length * lists.len())?;
            let mut made = Vec::new();
            for at in 0..length {
                machine.work(lists.len())?;
                let row: Vec<Value<'a>> = lists.iter().map(|list| list[at].clone()).collect();
                made.push(match &function {
                    Some(function) => machine.call(function, row, Vec::new())?,
                    None => Value::tuple(row),
                });
            }
            made
        }
    };
    machine.room(items.len())?;
    Ok(Value::iterator(items))
}

fn range<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let mut bounds = Vec::new();
    for value in arguments.rest() {
        bounds.push(value.as_int().ok_or_else(|| {
            EvalError::of_type(format!("'{}' object cannot be interpreted as an integer", value.type_name()))
        })?);
    }
    let (start, stop, step) = match bounds[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => {
            return Err(EvalError::of_type(format!("range expected 1 to 3 arguments, got {}", bounds.len())));
        }
    };
    if step == 0 {
        return Err(EvalError::of_value("range() arg 3 must not be zero"));
    }
    let mut items = Vec::new();
    let mut at = start;
    while if step > 0 { at < stop } else { at > stop } {
        machine.room(1)?;
        machine.work(1)?;
        items.push(Value::Int(at));
        at = at.saturating_add(step);
    }
    // A list, so that its length can be asked for; its text is not that of Python's range.
    machine.list(items)
}
