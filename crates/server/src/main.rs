//! The nephometer program: roles, configuration, wiring. The only crate that sees services and adapters.
fn main() {}
