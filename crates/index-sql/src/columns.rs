//! What a search or a sort can name, and where it is found: in the resource's row, in a row it points to, or among
//! its attributes.

use nephometer_model::{Attribute, AttributeKind};

use crate::attributes::search_column;
use crate::types::StoredType;

/// Current resources (`resource r`) or past revisions (`resource_history h JOIN resource r`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    Current,
    Past,
}

/// How values of a column compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A UUID of the database's own type.
    Id,
    /// A UUID kept as text.
    UuidText,
    Number,
    Bool,
    /// Microseconds since the epoch.
    Time,
    /// Microseconds.
    Span,
    Whole,
}

/// Where a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An expression over the row.
    Row(String),
    /// A column of the row of `table` whose `pk` is the expression `reference`.
    Linked { reference: &'static str, table: &'static str, column: &'static str },
    /// An attribute.
    Attribute { pk: i64, column: &'static str },
}

/// A column that a search or a sort names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) place: Place,
}

fn row(kind: Kind, nullable: bool, expression: impl Into<String>) -> Column {
    Column { kind, nullable, place: Place::Row(expression.into()) }
}

impl Column {
    /// What `name` is for resources of a type; revisions have their number and end only where history is listed.
    pub(crate) fn of(name: &str, stored: &StoredType, branch: Branch, history: bool) -> Option<Self> {
        // Tables whose columns change from revision to revision.
        let t = if branch == Branch::Past { "h" } else { "r" };
        let column = match name {
            "id" => row(Kind::Id, false, "r.id"),
            "original_resource_id" => row(Kind::Text, false, "r.original_resource_id"),
            "type" => Self {
                kind: Kind::Text,
                nullable: false,
                place: Place::Linked { reference: "r.type_pk", table: "resource_type", column: "name" },
            },
            "creator" => Self {
                kind: Kind::Text,
                nullable: true,
                place: Place::Linked { reference: "r.creator_pk", table: "creator", column: "text" },
            },
            "user_id" | "project_id" => row(Kind::Text, true, format!("{t}.{name}")),
            "started_at" | "revision_start" => row(Kind::Time, false, format!("{t}.{name}")),
            "ended_at" => row(Kind::Time, true, format!("{t}.ended_at")),
            "revision" if history => match branch {
                Branch::Current => row(Kind::Whole, false, "CAST(-1 AS BIGINT)"),
                Branch::Past => row(Kind::Whole, false, "h.revision"),
            },
            "revision_end" if history => match branch {
                Branch::Current => row(Kind::Time, true, "CAST(NULL AS BIGINT)"),
                Branch::Past => row(Kind::Time, true, "h.revision_end"),
            },
            _ => {
                let (pk, attribute) = stored.attributes.get(name)?;
                Self::of_attribute(*pk, attribute)
            }
        };
        Some(column)
    }

    /// How long the resource lived.
    pub(crate) fn lifespan(branch: Branch) -> Self {
        let t = if branch == Branch::Past { "h" } else { "r" };
        row(Kind::Span, true, format!("({t}.ended_at - {t}.started_at)"))
    }

    fn of_attribute(pk: i64, attribute: &Attribute) -> Self {
        let kind = match attribute.kind {
            AttributeKind::String { .. } => Kind::Text,
            AttributeKind::Number { .. } => Kind::Number,
            AttributeKind::Uuid => Kind::UuidText,
            AttributeKind::Bool => Kind::Bool,
            AttributeKind::Datetime => Kind::Time,
        };
        let place = Place::Attribute { pk, column: search_column(&attribute.kind) };
        Self { kind, nullable: true, place }
    }

    /// The value as an expression, for sorting and for the marker of a page; `row` is the key of the resource.
    pub(crate) fn expression(&self, branch: Branch, row: &str) -> String {
        match &self.place {
            Place::Row(expression) => expression.clone(),
            Place::Linked { reference, table, column } => {
                format!("(SELECT x.{column} FROM {table} x WHERE x.pk = {reference})")
            }
            Place::Attribute { pk, column } => {
                let (values, owner) = attribute_rows(branch, row);
                format!("(SELECT a.{column} FROM {values} a WHERE {owner} AND a.attribute_pk = {pk})")
            }
        }
    }
}

/// The table of a branch's attribute values, and the condition that ties a row `a` of it to the resource of key `row`
/// or its revision.
pub(crate) fn attribute_rows(branch: Branch, row: &str) -> (&'static str, String) {
    match branch {
        Branch::Current => ("resource_attribute", format!("a.resource_pk = {row}")),
        Branch::Past => ("history_attribute", "a.revision = h.revision".to_owned()),
    }
}
