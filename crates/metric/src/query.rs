//!
//! Parsing only: names and types of attributes are not known here, the index binds them.

mod json;
mod predicate;
mod text;

pub use json::parse_filter;
pub use predicate::parse_predicate;
pub use text::parse_filter_text;

use crate::InvalidInput;

/// Why a query is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A text that does not parse; upstream's wording up to `Expected`.
    #[error("Invalid filter: {0}")]
    Syntax(String),
    /// A query that breaks the schema.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
}
