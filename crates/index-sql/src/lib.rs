//! The index, the part catalog, alarms and leases on SQLite and PostgreSQL. Knows no HTTP, no measures and no policy rules.
//!
//! Every operation is written once, over `session::Session`, and runs as one transaction of either database. Texts
//! compare by code point and LIKE is case-sensitive on both. Attributes of resources are no columns: a resource's row
//! holds them as JSON for reading, and one typed row each, indexed, is what searches look at, so that a change of a
//! resource type is a change of rows and never of tables.

mod alarms;
mod attributes;
mod catalog;
mod columns;
mod filter;
mod index;
mod labels;
mod leases;
mod list;
mod lives;
mod metric_list;
mod metrics;
mod migrate;
mod policies;
mod postgres;
mod resource_metrics;
mod resources;
mod rules;
mod session;
mod sort;
mod sqlite;
mod types;
mod update;
mod value;

pub use index::SqlIndex;
pub use postgres::{PostgresSettings, TlsError, TlsMode};
pub use sqlite::SqliteSettings;

use session::Failure;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer program has been here.
    #[error("the database has schema version {found}, this program knows only {known}")]
    NewerSchema {
        /// Version of the schema found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// The connection string is not understood.
    #[error("the connection string cannot be used: {0}")]
    Url(String),
    /// What the connection string says about TLS cannot work.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file cannot be opened or is no database of ours.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Anything else, with its causes.
    #[error("{0}")]
    Database(String),
}
