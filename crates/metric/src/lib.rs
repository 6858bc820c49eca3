//! The metric service: ingestion, queries and aggregates over the contracts of `drivers`. Knows no HTTP and no adapter.
