//! The index and the part catalog on SQLite and PostgreSQL. Knows no HTTP, no measures and no policy rules.
