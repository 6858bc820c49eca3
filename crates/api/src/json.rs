//! JSON as Python's standard encoder writes it: the words' own writer, under the name by which dialects know it.

pub use nephometer_model::json::*;
