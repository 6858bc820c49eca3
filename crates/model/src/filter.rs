//! Search conditions on resources, already parsed from either query language and not yet bound to a schema.

use crate::Timestamp;

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal; with null: has no value.
    Eq,
    /// Not equal, or has no value; with null: has a value.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// SQL LIKE with `%` and `_`, case-sensitive.
    Like,
}

/// A value as a query gives it; what it means depends on the attribute's type.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterValue {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of the JSON form.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
    /// A point in time, where the program itself makes the condition.
    Time(Timestamp),
}

/// A condition over the attributes of a resource (and of its type). Names are upstream's: `id`, `type`, `creator`,
/// `created_by_user_id`, `created_by_project_id`, `project_id`, `user_id`, `started_at`, `ended_at`, `lifespan`,
/// `revision_start`, `revision_end`, `original_resource_id`, or an attribute of the type. Values of `id` are
/// already transformed into UUID text.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Everything.
    All,
    /// One attribute against one value.
    Compare(Comparison, String, FilterValue),
    /// One attribute among several values; nulls never match.
    In(String, Vec<FilterValue>),
    /// All conditions hold.
    And(Vec<Filter>),
    /// At least one condition holds.
    Or(Vec<Filter>),
    /// The condition is known not to hold (SQL's NOT: unknown stays unknown).
    Not(Box<Filter>),
}

impl Filter {
    /// Both conditions; `All` disappears.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) => other,
            (this, Self::All) => this,
            (this, other) => Self::And(vec![this, other]),
        }
    }

    /// `attribute = text`.
    pub fn eq_text(attribute: &str, text: &str) -> Self {
        Self::Compare(Comparison::Eq, attribute.to_owned(), FilterValue::Text(text.to_owned()))
    }
}
