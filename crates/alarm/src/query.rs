//! What clients look for among alarms and their history: simple queries (`q`), complex ones (JSON text), pages. Languages
//! and refusals are those of Aodh's REST API v2; identifiers always compare as text, truth values as truth values.

mod complex;
mod page;
mod simple;
#[cfg(test)]
mod tests;

use nephometer_drivers::Page;

pub use complex::{ComplexQuery, parse_complex, parse_filter};
pub use page::parse_page;
pub use simple::{HistoryQuery, ListQuery, QueryItem, history_query, list_query, query_items};

/// Why a query is refused: 400 with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(pub String);

impl QueryError {
    fn invalid(field: &str, value: &str, reason: &str) -> Self {
        Self(format!("Invalid input for field/attribute {field}. Value: '{value}'. {reason}"))
    }
}

/// What is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Alarms.
    Alarms,
    /// Records of their history.
    History,
}

impl Listed {
    /// Columns that complex queries may name.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Alarms => &[
                "alarm_id",
                "type",
                "enabled",
                "name",
                "description",
                "timestamp",
                "user_id",
                "project_id",
                "state",
                "state_timestamp",
                "state_reason",
                "ok_actions",
                "alarm_actions",
                "insufficient_data_actions",
                "repeat_actions",
                "rule",
                "time_constraints",
                "severity",
                "evaluate_timestamp",
            ],
            Self::History => &[
                "event_id",
                "alarm_id",
                "type",
                "severity",
                "detail",
                "user_id",
                "project_id",
                "on_behalf_of",
                "timestamp",
            ],
        }
    }

    /// Columns that pages may be sorted by.
    const fn sort_keys(self) -> &'static [&'static str] {
        match self {
            Self::Alarms => &[
                "alarm_id",
                "enabled",
                "name",
                "type",
                "severity",
                "timestamp",
                "user_id",
                "project_id",
                "state",
                "repeat_actions",
                "state_timestamp",
            ],
            Self::History => &[
                "event_id",
                "alarm_id",
                "on_behalf_of",
                "project_id",
                "user_id",
                "type",
                "timestamp",
                "severity",
            ],
        }
    }

    /// The column that says which project may see a row.
    pub const fn visibility(self) -> &'static str {
        match self {
            Self::Alarms => "project_id",
            Self::History => "on_behalf_of",
        }
    }
}

/// The words that Aodh takes for true and false, in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Whether a column holds true or false.
fn is_boolean(column: &str) -> bool {
    matches!(column, "enabled" | "repeat_actions")
}

/// Whether a page would be empty whatever there is.
pub fn is_empty_page(page: &Page) -> bool {
    page.limit == Some(0)
}
