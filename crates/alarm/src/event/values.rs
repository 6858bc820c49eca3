//! Values of events and of conditions on them, and how they compare: as in Python, where what is of different kinds is
//! unequal and has no order.

use std::cmp::Ordering;

use nephometer_model::time::{parse_float, parse_timestamp};
use nephometer_model::{EventCondition, Operator, Timestamp, python};
use serde_json::Value;

use super::Event;
use crate::query::boolean;

/// A value with its kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum EventValue {
    /// `integer`.
    Whole(i64),
    /// `float`.
    Float(f64),
    /// `datetime`.
    Time(Timestamp),
    /// `boolean`, in conditions only.
    Bool(bool),
    /// `string`, and all else.
    Text(String),
}

/// Text as Python's `int()` reads it.
fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    text.strip_prefix('+').unwrap_or(text).replace('_', "").parse().ok()
}

/// A time in ISO 8601, without a zone in UTC.
fn time(text: &str) -> Option<Timestamp> {
    // Relative times mean nothing in an event, so that the current time does not matter.
    text.contains('-').then(|| parse_timestamp(text, Timestamp::default()).ok()).flatten()
}

#[expect(clippy::cast_possible_truncation, reason = "Python cuts the fraction off too")]
fn whole_of(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        other => whole(&python::str(other)),
    }
}

impl EventValue {
    /// The value of a trait whose type is given by its number or its name; what does not read as its type is text.
    pub(super) fn of_trait(kind: &Value, value: &Value) -> Self {
        let kind = match kind {
            Value::Number(number) => match number.as_i64() {
                Some(2) => "integer",
                Some(3) => "float",
                Some(4) => "datetime",
                _ => "string",
            },
            other => other.as_str().unwrap_or_default(),
        };
        Self::read(kind, value).unwrap_or_else(|| Self::Text(python::str(value)))
    }

    /// A value read as a kind; `""` and unknown kinds are text.
    fn read(kind: &str, value: &Value) -> Option<Self> {
        let text = python::str(value);
        match kind {
            "integer" => whole_of(value).map(Self::Whole),
            "float" => parse_float(&text).map(Self::Float),
            "datetime" => time(&text).map(Self::Time),
            "boolean" => boolean(&text).map(Self::Bool),
            _ => Some(Self::Text(text)),
        }
    }

    /// How it stands to a condition's value; nothing where the two have no order.
    #[expect(clippy::cast_precision_loss, reason = "traits beyond 2^53 compare with fractions to 15 digits")]
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(b)),
            (Self::Whole(a), Self::Float(b)) => (*a as f64).partial_cmp(b),
            (Self::Float(a), Self::Whole(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Whole(a), Self::Bool(b)) => Some(a.cmp(&i64::from(*b))),
            (Self::Text(a), Self::Bool(b)) => boolean(a).map(|a| a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// The types that a condition's value may have; empty for text.
const KINDS: [&str; 5] = ["integer", "float", "string", "boolean", "datetime"];

/// Whether a condition's value reads as its type; else why not, in upstream's words.
pub(crate) fn convertible(value: &str, kind: &str) -> Result<(), String> {
    if !kind.is_empty() && !KINDS.contains(&kind) {
        let known = KINDS.map(python::repr_str).join(", ");
        return Err(format!(
            "The data type {kind} is not supported. The supported data type list is: [{known}]"
        ));
    }
    match EventValue::read(kind, &Value::from(value)) {
        Some(_) => Ok(()),
        None => Err(format!("Unable to convert the value {value} to the expected data type {kind}.")),
    }
}

/// A condition of an event alarm, understood.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    field: String,
    kind: String,
    operator: Operator,
    value: EventValue,
}

impl Condition {
    /// Understands a condition; nothing where its value does not read as its type, so that it never holds.
    pub(super) fn new(condition: &EventCondition) -> Option<Self> {
        let value = EventValue::read(&condition.kind, &Value::from(condition.value.as_str()))?;
        let (field, kind) = (condition.field.clone(), condition.kind.clone());
        Some(Self { field, kind, operator: condition.op, value })
    }

    /// Whether the event meets it.
    pub(super) fn holds(&self, event: &Event) -> bool {
        let order = self.of(event).and_then(|value| value.compare(&self.value));
        match self.operator {
            Operator::Eq => order == Some(Ordering::Equal),
            Operator::Ne => order != Some(Ordering::Equal),
            Operator::Lt => order == Some(Ordering::Less),
            Operator::Gt => order == Some(Ordering::Greater),
            Operator::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }

    /// The value that the condition is about: a trait, or what lies on a path through the event.
    fn of(&self, event: &Event) -> Option<EventValue> {
        if let Some(name) = self.field.strip_prefix("traits.") {
            return event.traits.get(name).cloned();
        }
        let found = self.field.split('.').try_fold(&event.body, |value, key| value.get(key))?;
        EventValue::read(&self.kind, found).filter(|_| !found.is_null())
    }
}
