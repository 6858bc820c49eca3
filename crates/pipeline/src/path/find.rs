//! Follows paths in values. What came in is looked at where it is; what a path computes is made anew and has no parent.

use std::borrow::Cow;
use std::rc::Rc;

use nephometer_model::{Metadata, Sample};
use serde_json::Value;

use super::node::{Node, Operand};
use super::{PathError, filter, sort};
use crate::expr;

/// Places that one evaluation may visit.
const MAX_VISITS: usize = 1_000_000;

pub(super) type Result<T> = std::result::Result<T, PathError>;

pub(super) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(PathError(message.into()))
}

/// A value where it is, or made on the way.
#[derive(Debug, Clone)]
pub(super) enum Place<'a> {
    Json(&'a Value),
    Metadata(&'a Metadata),
    Made(Rc<Value>),
    /// The fields of a sample, by their names.
    Sample(&'a Sample),
}

impl<'a> Place<'a> {
    /// As JSON, without a copy where that can be.
    fn json(&self) -> Cow<'_, Value> {
        match self {
            Self::Json(value) => Cow::Borrowed(value),
            Self::Made(value) => Cow::Borrowed(value),
            Self::Metadata(metadata) => Cow::Owned(metadata.to_json()),
            Self::Sample(sample) => Cow::Owned(Value::Object(sample.to_map())),
        }
    }

    /// What is under `name`, where this is a map.
    fn field(&self, name: &str) -> Option<Place<'a>> {
        match self {
            Self::Json(Value::Object(map)) => map.get(name).map(Place::Json),
            Self::Metadata(metadata) => metadata.get(name).map(Place::Json),
            Self::Made(value) => value.get(name).map(|value| Place::Made(Rc::new(value.clone()))),
            Self::Sample(sample) => sample_field(sample, name),
            Self::Json(_) => None,
        }
    }

    fn keys(&self) -> Vec<String> {
        match self {
            Self::Json(Value::Object(map)) => map.keys().cloned().collect(),
            Self::Metadata(metadata) => metadata.keys().map(str::to_owned).collect(),
            other => match &*other.json() {
                Value::Object(map) => map.keys().cloned().collect(),
                _ => Vec::new(),
            },
        }
    }

    /// The element at `index`, where this is a list.
    fn element(&self, index: usize) -> Option<Place<'a>> {
        match self {
            Self::Json(Value::Array(items)) => items.get(index).map(Place::Json),
            Self::Made(value) => value.get(index).map(|value| Place::Made(Rc::new(value.clone()))),
            _ => None,
        }
    }

    /// How many elements, where this is a list.
    fn elements(&self) -> Option<usize> {
        match self {
            Self::Json(Value::Array(items)) => Some(items.len()),
            Self::Made(value) => value.as_array().map(Vec::len),
            _ => None,
        }
    }

    fn is_map(&self) -> bool {
        matches!(self, Self::Metadata(_) | Self::Sample(_)) || self.json().is_object()
    }
}

fn sample_field<'a>(sample: &'a Sample, name: &str) -> Option<Place<'a>> {
    let made = |value: Value| Some(Place::Made(Rc::new(value)));
    let text = |text: &Option<std::sync::Arc<str>>| made(text.as_deref().map_or(Value::Null, Value::from));
    match name {
        "name" => made(Value::from(&*sample.name)),
        "type" => made(Value::from(sample.meter_type.as_str())),
        "unit" => made(Value::from(&*sample.unit)),
        "volume" => made(sample.volume.to_json()),
        "user_id" => text(&sample.user_id),
        "user_name" => text(&sample.user_name),
        "project_id" => text(&sample.project_id),
        "project_name" => text(&sample.project_name),
        "resource_id" => text(&sample.resource_id),
        "timestamp" => text(&sample.timestamp),
        "resource_metadata" => Some(Place::Metadata(&sample.metadata)),
        "source" => made(Value::from(&*sample.source)),
        "id" => made(Value::from(&*sample.id)),
        "monotonic_time" => made(sample.monotonic_time_seconds.map_or(Value::Null, Value::from)),
        _ => None,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Name(String),
    At(i64),
    None,
}

/// A value, how it was reached, and from where.
#[derive(Debug, Clone)]
pub(super) struct Datum<'a> {
    pub(super) place: Place<'a>,
    step: Step,
    parent: Option<Rc<Datum<'a>>>,
}

impl<'a> Datum<'a> {
    pub(super) fn alone(place: Place<'a>) -> Self {
        Self { place, step: Step::None, parent: None }
    }

    pub(super) fn made(value: Value) -> Self {
        Self::alone(Place::Made(Rc::new(value)))
    }

    pub(super) fn value(&self) -> Cow<'_, Value> {
        self.place.json()
    }
}

/// What a path has found.
#[derive(Debug, Clone)]
pub struct Match<'a>(Datum<'a>);

impl<'a> Match<'a> {
    /// The value.
    pub fn value(&self) -> Cow<'_, Value> {
        self.0.value()
    }

    /// The value, for as long as what was searched.
    pub fn into_value(self) -> Cow<'a, Value> {
        match self.0.place {
            Place::Json(value) => Cow::Borrowed(value),
            Place::Made(value) => Cow::Owned(Rc::unwrap_or_clone(value)),
            other => Cow::Owned(other.json().into_owned()),
        }
    }

    /// Where it was found: names and indexes from the root, with dots between them (`payload.list.[0].x`). What was
    /// computed has none.
    pub fn path(&self) -> String {
        let mut steps = Vec::new();
        let mut at = &self.0;
        while let Some(parent) = &at.parent {
            steps.push(match &at.step {
                Step::Name(name) => name.clone(),
                Step::At(index) => format!("[{index}]"),
                Step::None => "`this`".to_owned(),
            });
            at = parent;
        }
        steps.reverse();
        steps.join(".")
    }
}

/// One evaluation.
pub(super) struct Finder {
    visits: usize,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self { visits: MAX_VISITS }
    }

    pub(super) fn find_in<'a>(mut self, node: &Node, value: &'a Value) -> Result<Vec<Match<'a>>> {
        let found = self.find(node, &Datum::alone(Place::Json(value)))?;
        Ok(found.into_iter().map(Match).collect())
    }

    pub(super) fn find_in_sample<'a>(mut self, node: &Node, sample: &'a Sample) -> Result<Vec<Match<'a>>> {
        let found = self.find(node, &Datum::alone(Place::Sample(sample)))?;
        Ok(found.into_iter().map(Match).collect())
    }

    fn visit(&mut self, count: usize) -> Result<()> {
        match self.visits.checked_sub(count + 1) {
            Some(left) => {
                self.visits = left;
                Ok(())
            }
            None => fail("the path leads to too many places"),
        }
    }

    pub(super) fn find<'a>(&mut self, node: &Node, datum: &Datum<'a>) -> Result<Vec<Datum<'a>>> {
        self.visit(0)?;
        match node {
            Node::Root => Ok(vec![root_of(datum)]),
            Node::This => Ok(vec![datum.clone()]),
            Node::Parent => match &datum.parent {
                Some(parent) => Ok(vec![(**parent).clone()]),
                None => fail("there is no parent here"),
            },
            Node::Fields(names) => self.fields(names, datum),
            Node::Index(index) => index_in(*index, datum),
            Node::Slice(start, end) => self.slice(*start, *end, datum),
            Node::Child(left, right) => {
                let mut found = Vec::new();
                for inner in self.find(left, datum)? {
                    found.append(&mut self.find(right, &inner)?);
                }
                Ok(found)
            }
            Node::Descendants(left, right) => {
                let mut found = Vec::new();
                for inner in self.find_whole(left, datum)? {
                    self.descend(right, &inner, &mut found)?;
                }
                Ok(found)
            }
            Node::Where(left, right) => {
                let mut found = Vec::new();
                for inner in self.find(left, datum)? {
                    if !self.find_whole(right, &inner)?.is_empty() {
                        found.push(inner);
                    }
                }
                Ok(found)
            }
            Node::Union(left, right) => {
                let mut found = self.find(left, datum)?;
                found.append(&mut self.find(right, datum)?);
                Ok(found)
            }
            Node::Arithmetic(left, operator, right) => self.arithmetic(left, *operator, right, datum),
            Node::Filter(conditions) => self.filter(conditions, datum),
            Node::Sorted(keys) => sort::sorted(self, keys, datum),
            Node::Len => {
                Ok(length(&datum.value()).map(|length| Datum::made(length.into())).into_iter().collect())
            }
            Node::Sub(sub) => match &*datum.value() {
                Value::String(text) => {
                    let replaced =
                        sub.0.sub(&sub.1, text, 1 << 20).map_err(|error| PathError(error.to_string()))?;
                    Ok(if replaced == *text { Vec::new() } else { vec![Datum::made(replaced.into())] })
                }
                other => fail(format!("`sub` needs a text, not {other}")),
            },
            Node::Split { separator, segment, most } => {
                Ok(split(&datum.value(), *separator, *segment, *most))
            }
        }
    }

    /// What `node` finds, where upstream does not go through that one by one: `sorted` of what cannot be sorted is found as
    /// it is there, and an error everywhere else.
    pub(super) fn find_whole<'a>(&mut self, node: &Node, datum: &Datum<'a>) -> Result<Vec<Datum<'a>>> {
        match node {
            Node::Sorted(keys) if !sort::can_be_sorted(keys, &datum.value()) => Ok(vec![datum.clone()]),
            _ => self.find(node, datum),
        }
    }

    fn fields<'a>(&mut self, names: &[String], datum: &Datum<'a>) -> Result<Vec<Datum<'a>>> {
        let all = names.iter().any(|name| name == "*");
        let names = if all { Cow::Owned(datum.place.keys()) } else { Cow::Borrowed(names) };
        self.visit(names.len())?;
        let mut parent = None;
        Ok(names
            .iter()
            .filter_map(|name| {
                let place = datum.place.field(name)?;
                let parent = parent.get_or_insert_with(|| Rc::new(datum.clone()));
                Some(Datum { place, step: Step::Name(name.clone()), parent: Some(Rc::clone(parent)) })
            })
            .collect())
    }

    fn slice<'a>(
        &mut self,
        start: Option<i64>,
        end: Option<i64>,
        datum: &Datum<'a>,
    ) -> Result<Vec<Datum<'a>>> {
        let Some(length) = datum.place.elements() else {
            return match &*datum.value() {
                // One thing counts as a list of one thing.
                value @ (Value::Object(_) | Value::String(_) | Value::Bool(_)) => {
                    self.slice_of_one(value, start, end, datum)
                }
                value @ Value::Number(number) if !number.is_f64() => {
                    self.slice_of_one(value, start, end, datum)
                }
                other => fail(format!("{other} has no elements")),
            };
        };
        self.visit(length)?;
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let bound = |at: i64| if at < 0 { (at + length).max(0) } else { at.min(length) };
        let parent = Rc::new(datum.clone());
        Ok((start.map_or(0, bound)..end.map_or(length, bound))
            .filter_map(|at| {
                let place = datum.place.element(usize::try_from(at).ok()?)?;
                Some(Datum { place, step: Step::At(at), parent: Some(Rc::clone(&parent)) })
            })
            .collect())
    }

    fn slice_of_one<'a>(
        &mut self,
        value: &Value,
        start: Option<i64>,
        end: Option<i64>,
        datum: &Datum<'a>,
    ) -> Result<Vec<Datum<'a>>> {
        let place = Place::Made(Rc::new(Value::Array(vec![value.clone()])));
        self.slice(start, end, &Datum { place, step: datum.step.clone(), parent: datum.parent.clone() })
    }

    /// What `node` finds in `datum` and, after that, in each of its parts.
    fn descend<'a>(&mut self, node: &Node, datum: &Datum<'a>, found: &mut Vec<Datum<'a>>) -> Result<()> {
        found.append(&mut self.find(node, datum)?);
        let parent = Rc::new(datum.clone());
        if let Some(length) = datum.place.elements() {
            for at in 0..length {
                let Some(place) = datum.place.element(at) else { break };
                let step = Step::At(i64::try_from(at).unwrap_or(i64::MAX));
                self.descend(node, &Datum { place, step, parent: Some(Rc::clone(&parent)) }, found)?;
            }
        } else if datum.place.is_map() {
            for name in datum.place.keys() {
                let Some(place) = datum.place.field(&name) else { continue };
                let inner = Datum { place, step: Step::Name(name), parent: Some(Rc::clone(&parent)) };
                self.descend(node, &inner, found)?;
            }
        }
        Ok(())
    }

    fn filter<'a>(
        &mut self,
        conditions: &[super::node::Condition],
        datum: &Datum<'a>,
    ) -> Result<Vec<Datum<'a>>> {
        let Some(length) = datum.place.elements() else { return Ok(Vec::new()) };
        let parent = Rc::new(datum.clone());
        let mut found = Vec::new();
        for at in 0..length {
            let Some(place) = datum.place.element(at) else { break };
            let mut holds = true;
            for condition in conditions {
                // Every condition is judged: one of them may be in error.
                holds &= filter::holds(self, condition, &Datum::alone(place.clone()))?;
            }
            if holds {
                let step = Step::At(i64::try_from(at).unwrap_or(i64::MAX));
                found.push(Datum { place, step, parent: Some(Rc::clone(&parent)) });
            }
        }
        Ok(found)
    }

    /// Sides of several matches are taken pair by pair; what does not fit together gives nothing.
    fn arithmetic<'a>(
        &mut self,
        left: &Operand,
        operator: expr::Operator,
        right: &Operand,
        datum: &Datum<'a>,
    ) -> Result<Vec<Datum<'a>>> {
        let pairs: Vec<(Value, Value)> = match (left, right) {
            (Operand::Constant(left), Operand::Constant(right)) => vec![(left.clone(), right.clone())],
            (Operand::Path(left), Operand::Constant(right)) => {
                self.values(left, datum)?.into_iter().map(|left| (left, right.clone())).collect()
            }
            (Operand::Constant(left), Operand::Path(right)) => {
                self.values(right, datum)?.into_iter().map(|right| (left.clone(), right)).collect()
            }
            (Operand::Path(left), Operand::Path(right)) => {
                let (left, right) = (self.values(left, datum)?, self.values(right, datum)?);
                if left.len() != right.len() {
                    return Ok(Vec::new());
                }
                left.into_iter().zip(right).collect()
            }
        };
        let mut found = Vec::new();
        for (left, right) in &pairs {
            match expr::operate(operator, left, right) {
                Ok(value) => found.push(Datum::made(value)),
                Err(error) if error.fault == expr::Fault::Type => return Ok(Vec::new()),
                Err(error) => return fail(error.to_string()),
            }
        }
        Ok(found)
    }

    fn values(&mut self, node: &Node, datum: &Datum<'_>) -> Result<Vec<Value>> {
        let found = self.find(node, datum)?;
        Ok(found.iter().map(|found| found.value().into_owned()).collect())
    }
}

fn root_of<'a>(datum: &Datum<'a>) -> Datum<'a> {
    let mut at = datum;
    while let Some(parent) = &at.parent {
        at = parent;
    }
    Datum::alone(at.place.clone())
}

fn index_in<'a>(index: i64, datum: &Datum<'a>) -> Result<Vec<Datum<'a>>> {
    let value = datum.value();
    let Some(length) = length(&value) else { return fail(format!("{value} has no elements")) };
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if length <= index {
        return Ok(Vec::new());
    }
    let at = if index < 0 { index + length } else { index };
    let at = usize::try_from(at).map_err(|_| PathError(format!("index {index} is out of range")))?;
    let place = match &*value {
        Value::Object(_) => return fail(format!("a map has no element {index}")),
        Value::String(text) => text.chars().nth(at).map(|c| Place::Made(Rc::new(c.to_string().into()))),
        _ => datum.place.element(at),
    };
    let parent = Some(Rc::new(datum.clone()));
    Ok(place.map(|place| Datum { place, step: Step::At(index), parent }).into_iter().collect())
}

/// `len` of what has one.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(map) => Some(map.len()),
        _ => None,
    }
}

fn split<'a>(value: &Value, separator: char, segment: usize, most: Option<usize>) -> Vec<Datum<'a>> {
    let Value::String(text) = value else { return Vec::new() };
    let part = match most {
        Some(most) => text.splitn(most.saturating_add(1), separator).nth(segment),
        None => text.split(separator).nth(segment),
    };
    part.map(|part| Datum::made(part.into())).into_iter().collect()
}
